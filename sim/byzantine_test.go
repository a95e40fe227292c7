package sim

import (
	"crypto/ed25519"
	"io"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/sim/adversary"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/tensor"
)

// attacked is small with an attack by a share of its clients.
func attacked(t *testing.T, cfg Config, spec string, share float64) Config {
	t.Helper()
	a, err := adversary.Parse(spec)
	require.NoError(t, err)
	cfg.Adversary = Adversary{Attack: a, Byzantine: share}
	return cfg
}

// prepared is a simulation before time begins.
func prepared(t *testing.T, cfg Config) *simulation {
	t.Helper()
	s := newSimulation(cfg)
	require.NoError(t, s.prepare())
	return s
}

func TestAttackOnTheMeanHarmsTheModel(t *testing.T) {
	accuracy := func(spec string, share float64) float64 {
		res, err := Run(attacked(t, small(t, "plain", 40, 20, 5, 1), spec, share))
		require.NoError(t, err)
		require.Equal(t, 5, res.Final.RoundsCompleted)
		require.Equal(t, share, res.Config.Byzantine)
		if share > 0 {
			require.Equal(t, spec, *res.Config.Attack)
			require.Positive(t, res.Rounds[0].Attackers)
		} else {
			require.Nil(t, res.Config.Attack)
		}
		require.Nil(t, res.Final.AttackSuccess)
		return *res.Final.TestAccuracy
	}
	without := accuracy("none", 0)
	require.Equal(t, without, accuracy("none", 0.2), "attackers that do nothing are honest clients")
	require.Greater(t, without, 0.9)
	require.Less(t, accuracy("sign-flip:scale=10", 0.2), without-0.3)
	require.Less(t, accuracy("model-replacement:goal=reverse", 0.1), without-0.3)
}

// recorder is scheme plain, and keeps what each client of an attempt put into its sum.
type recorder struct {
	plain.Scheme
	mu     *sync.Mutex
	sealed map[secagg.RoundID]map[secagg.PartyID][]uint32
}

type recordedParty struct {
	secagg.Party
	keep func(vector []uint32)
}

func newRecorder() recorder {
	return recorder{mu: new(sync.Mutex), sealed: map[secagg.RoundID]map[secagg.PartyID][]uint32{}}
}

func (r recorder) NewParty(s secagg.Session, self int, key ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	p, err := r.Scheme.NewParty(s, self, key, coins)
	return recordedParty{p, func(vector []uint32) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.sealed[s.Binding.Round] == nil {
			r.sealed[s.Binding.Round] = map[secagg.PartyID][]uint32{}
		}
		r.sealed[s.Binding.Round][s.Roster.At(self).ID] = slices.Clone(vector)
	}}, err
}

func (p recordedParty) Seal(vector []uint32, out io.Writer) (secagg.Reply, error) {
	p.keep(vector)
	return p.Party.Seal(vector, out)
}

// recorded runs a simulation and returns what went into the sum of its first attempt.
func recorded(t *testing.T, cfg Config) (*simulation, map[secagg.PartyID][]uint32) {
	t.Helper()
	r := newRecorder()
	cfg.Schemes = []Scheme{r}
	s := prepared(t, cfg)
	_, err := s.run(0)
	require.NoError(t, err)
	return s, r.sealed[secagg.RoundID{Job: cfg.Plan.Job, Round: 1, Attempt: 1}]
}

func TestHonestVectorsDoNotChangeBecauseAttackersExist(t *testing.T) {
	_, before := recorded(t, small(t, "plain", 30, 30, 1, 2))
	s, after := recorded(t, attacked(t, small(t, "plain", 30, 30, 1, 2), "sign-flip:of=mean,knowledge=all,scale=10", 0.2))
	require.Len(t, after, 30)
	for id, vector := range after {
		if s.adversaries.attacker(s.byID[id].index) != nil {
			require.NotEqual(t, before[id], vector)
		} else {
			require.Equal(t, before[id], vector)
		}
	}
}

func TestByzantineClientsAreTheShareThatTheSeedDraws(t *testing.T) {
	of := func(seed uint64) []int {
		var out []int
		for index, a := range prepared(t, attacked(t, small(t, "plain", 40, 20, 1, seed), "zero", 0.11)).adversaries.attackers {
			require.Equal(t, index, a.index)
			out = append(out, index)
		}
		slices.Sort(out)
		return out
	}
	require.Len(t, of(1), 4, "4.4 is rounded")
	require.Equal(t, of(1), of(1))
	require.NotEqual(t, of(1), of(2))
}

func TestAttackersAreNotClippedButBoundByTheRange(t *testing.T) {
	s, vectors := recorded(t, attacked(t, small(t, "plain", 30, 30, 1, 2), "gaussian:std=100", 0.2))
	spec := s.plan.Quantizer().Spec()
	for id, vector := range vectors {
		squares, most := 0.0, int64(0)
		for _, w := range vector[:spec.Dimension] {
			v := int64(w) - 1<<(spec.Bits-1)
			squares += float64(v * v)
			most = max(most, v, -v)
		}
		norm := math.Sqrt(squares) / spec.Scale
		require.LessOrEqual(t, most, spec.Range)
		if s.adversaries.attacker(s.byID[id].index) == nil {
			require.LessOrEqual(t, norm, spec.ClipNorm*1.01)
			continue
		}
		require.Greater(t, norm, 1.5*spec.ClipNorm)
		require.Equal(t, spec.Range, most, "the range does bind")
		require.EqualValues(t, math.Round(10./50*secagg.ExtraScale), vector[spec.Dimension], "the weight of its examples")
	}
}

func TestAttackersSendNoShareOfTheNoise(t *testing.T) {
	cfg := attacked(t, private(t, "plain", "distributed", 50, 3), "zero", 0.2)
	s, vectors := recorded(t, cfg)
	spec := s.plan.Quantizer().Spec()
	silent := slices.Repeat([]uint32{1 << (spec.Bits - 1)}, spec.Dimension)
	attackers := 0
	for id, vector := range vectors {
		if s.adversaries.attacker(s.byID[id].index) != nil {
			require.Equal(t, silent, vector[:spec.Dimension])
			attackers++
		} else {
			require.NotEqual(t, silent, vector[:spec.Dimension])
		}
	}
	require.Positive(t, attackers)
}

// What an attacker sends is weight times its update, rotated under noise as honest ones are.
func TestAttackersVectorsDecodeToTheirUpdates(t *testing.T) {
	for _, mode := range []string{"none", "distributed"} {
		cfg := attacked(t, small(t, "plain", 40, 20, 1, 3), "sign-flip:scale=0.5", 0.2)
		if mode != "none" {
			cfg = attacked(t, private(t, "plain", mode, 50, 3), "sign-flip:scale=0.5", 0.2)
		}
		var known adversary.Known
		r := newRecorder()
		cfg.Schemes = []Scheme{r}
		s := prepared(t, cfg)
		s.seen = func(k adversary.Known) {
			if k.Round == 1 {
				known = k
			}
		}
		_, err := s.run(0)
		require.NoError(t, err)
		sealed := r.sealed[secagg.RoundID{Job: cfg.Plan.Job, Round: 1, Attempt: 1}]
		require.NotEmpty(t, known.Own)
		for i, own := range known.Own {
			vector := sealed[s.parties[known.OwnIDs[i]].id]
			spec := s.plan.Quantizer().Spec()
			values := make([]float32, spec.Dimension)
			for j := range values {
				values[j] = float32(float64(int64(vector[j])-1<<(spec.Bits-1)) / spec.Scale)
			}
			weight := 10. / 50
			if mode != "none" {
				weight = 1
				rotation, err := s.plan.Terms().Rotation(1)
				require.NoError(t, err)
				require.NoError(t, rotation.Inverse(values))
			}
			for j, x := range own {
				require.InDelta(t, -0.5*weight*float64(x), values[j], 5/spec.Scale)
			}
		}
	}
}

func TestAttackersSeeHonestUpdatesOnlyIfTheyKnowAll(t *testing.T) {
	for _, knowledge := range []string{"own", "all"} {
		cfg := attacked(t, small(t, "plain", 30, 30, 2, 2), "ipm:knowledge="+knowledge, 0.2)
		s := prepared(t, cfg)
		var seen []adversary.Known
		s.seen = func(k adversary.Known) { seen = append(seen, k) }
		_, err := s.run(0)
		require.NoError(t, err)
		require.Len(t, seen, 2)
		for _, k := range seen {
			require.Equal(t, 30, k.Clients)
			require.Equal(t, 6, k.Byzantine)
			require.Len(t, k.Own, 6)
			require.Equal(t, 10.0, k.ClipNorm)
			if knowledge == "own" {
				require.Nil(t, k.Honest)
				require.Nil(t, k.HonestIDs)
				continue
			}
			require.Len(t, k.Honest, 24)
			for i, u := range k.Honest {
				require.NotContains(t, k.OwnIDs, k.HonestIDs[i])
				require.LessOrEqual(t, 0.2*field.Norm(u), 10.0*1.001)
			}
		}
		require.Nil(t, seen[0].Step)
		require.NotNil(t, seen[1].Step)
		for i, x := range seen[1].Step {
			require.InDelta(t, seen[1].Global[i], seen[0].Global[i]+x, 1e-6)
		}
	}
}

func TestEachUpdateOfARoundIsTrainedOnceAndForgottenWithTheRound(t *testing.T) {
	cfg := attacked(t, small(t, "plain", 20, 20, 2, 9), "ipm:knowledge=all", 0.2)
	var mu sync.Mutex
	trained := map[[2]int]int{}
	cfg.Trainer = func(index int, global tensor.Model, task secagg.Task) (client.Update, error) {
		mu.Lock()
		defer mu.Unlock()
		trained[[2]int{index, int(task.Round.Round)}]++
		local := global.Clone()
		local.Values()[index]++
		return client.Update{Model: local, Examples: 10}, nil
	}
	var s *simulation
	cfg.Released = func(coordinator.Report, tensor.Model) { require.Nil(t, s.adversaries.updates) }
	s = prepared(t, cfg)
	_, err := s.run(0)
	require.NoError(t, err)
	require.Len(t, trained, 40)
	for who, times := range trained {
		require.Equal(t, 1, times, "client and round %v", who)
	}

	// A second attempt at a round finds what the first one trained.
	clear(trained)
	cfg.Faults.Dropout, cfg.Plan.Rounds.Attempts, cfg.Released = 0.8, 2, nil
	s = prepared(t, cfg)
	res, err := s.run(0)
	require.ErrorContains(t, err, "failed in all its attempts")
	require.Len(t, res.Rounds, 2)
	require.Len(t, trained, 20)
	for who, times := range trained {
		require.Equal(t, 1, times, "client and round %v", who)
	}
	require.LessOrEqual(t, len(s.adversaries.updates.entries), 20)
}

func TestUpdatesOfWhoIsNotInvitedAgainAreForgotten(t *testing.T) {
	u := &updates{round: 1, entries: map[int]*trained{}}
	for i := range 4 {
		_, err := u.of(i, func() (client.Update, error) { return client.Update{Examples: i}, nil })
		require.NoError(t, err)
	}
	u.keep(func(i int) bool { return i == 2 })
	require.Len(t, u.entries, 1)
	again, err := u.of(2, func() (client.Update, error) { return client.Update{}, ErrConfig })
	require.NoError(t, err)
	require.Equal(t, 2, again.Examples)
	require.True(t, u.holds(secagg.Task{Round: secagg.RoundID{Round: 1, Attempt: 3}}))
	require.False(t, u.holds(secagg.Task{Round: secagg.RoundID{Round: 2}}))
	require.False(t, u.holds(secagg.Task{Round: secagg.RoundID{Round: 1}, Model: secagg.Digest{1}}))
}

func TestSeedRepeatsAnAttack(t *testing.T) {
	requireRepeats(t, func() Config {
		cfg := attacked(t, small(t, "pairwise", 30, 20, 2, 11), "mimic:warmup=2,jitter=0.1,knowledge=all", 0.2)
		cfg.Plan.Training.WorkerMomentum = 0.5
		return cfg
	})
}

func TestFastPublishesTheModelOfFullUnderAttack(t *testing.T) {
	for scheme, spec := range map[string]string{"pairwise": "label-flip", "oneshot": "sign-flip:of=mean,knowledge=all,scale=3"} {
		digest := func(f Fidelity) string {
			cfg := attacked(t, small(t, scheme, 30, 20, 2, 5), spec, 0.2)
			cfg.Schemes, cfg.Fidelity, cfg.Faults.Dropout = allSchemes, f, 0.2
			res, err := Run(cfg)
			require.NoError(t, err)
			return res.Final.ModelDigest
		}
		require.Equal(t, digest(Full), digest(Fast), "%s under %s", spec, scheme)
	}
}

func TestUpdatesThatAreNotFiniteCountForNothing(t *testing.T) {
	for _, spec := range []string{"nan", "inf"} {
		s, vectors := recorded(t, attacked(t, small(t, "plain", 30, 30, 2, 2), spec, 0.2))
		require.Len(t, s.rounds, 2)
		layout := s.plan.Quantizer().Layout()
		nothing := slices.Repeat([]uint32{1 << (s.plan.Quantizer().Spec().Bits - 1)}, layout.Main())
		for id, vector := range vectors {
			if s.adversaries.attacker(s.byID[id].index) != nil {
				require.Equal(t, nothing, vector[:layout.Main()])
			}
			for i := layout.Main(); i < layout.Len(); i++ {
				require.Equal(t, s.adversaries.attacker(s.byID[id].index) != nil, vector[i] == 0 && vector[layout.Main()] == 0, "extra %d of %s", i, id)
			}
		}
		b, err := s.model(s.engine.State().Model)
		require.NoError(t, err)
		m, err := readModel(b)
		require.NoError(t, err)
		require.NoError(t, m.CheckFinite())
		require.Greater(t, *s.rounds[1].TestAccuracy, 0.5)
	}
}

func TestBackdoorIsMeasuredByItsProbes(t *testing.T) {
	cfg := attacked(t, small(t, "plain", 20, 20, 3, 1), "backdoor:target=1,size=1,rate=0.5", 0.4)
	shape := [3]int{1, 3, 4}
	for _, d := range []*dataset.Dataset{&cfg.Train, &cfg.Test} {
		var features []float32
		for i := range d.Len() {
			features = append(features, d.Features(i)...)
		}
		var err error
		*d, err = dataset.New(features, d.Labels(), shape, d.Classes())
		require.NoError(t, err)
	}
	res, err := Run(cfg)
	require.NoError(t, err)
	require.NotNil(t, res.Final.AttackSuccess)
	require.Equal(t, res.Rounds[2].AttackSuccess, res.Final.AttackSuccess)
	require.Greater(t, *res.Final.AttackSuccess, 0.7)

	cfg.Adversary.Byzantine = 0 // the rate that honest training has
	res, err = Run(cfg)
	require.NoError(t, err)
	require.Less(t, *res.Final.AttackSuccess, 0.4)
}

func TestAttackersThatKnowTooLittleStayHonestAndAreReported(t *testing.T) {
	run := func(spec string, share float64) Result {
		res, err := Run(attacked(t, small(t, "plain", 20, 20, 2, 1), spec, share))
		require.NoError(t, err)
		return res
	}
	alone := run("alie", 0.05)
	require.Equal(t, 1, alone.Rounds[1].Attackers)
	require.Equal(t, 1, alone.Rounds[1].Idle)
	require.Equal(t, run("none", 0).Final.ModelDigest, alone.Final.ModelDigest)
	two := run("alie", 0.1)
	require.Zero(t, two.Rounds[1].Idle)
	require.NotEqual(t, alone.Final.ModelDigest, two.Final.ModelDigest)
}

func TestAdversariesThatCannotBeAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"half":                 func(c *Config) { c.Adversary.Byzantine = 0.5 },
		"no number":            func(c *Config) { c.Adversary.Byzantine = math.NaN() },
		"negative":             func(c *Config) { c.Adversary.Byzantine = -0.1 },
		"no client":            func(c *Config) { c.Adversary.Byzantine = 0.001 },
		"an audit":             func(c *Config) { c.Audit.Canaries = 20 },
		"data that do not fit": func(c *Config) { *c = attacked(t, *c, "label-flip:source=9,target=0", 0.2) },
		"shares of no scheme":  func(c *Config) { *c = attacked(t, *c, "inconsistent-shares", 0.2) },
		"no buckets":           func(c *Config) { *c = attacked(t, *c, "bucket-steering", 0.2) },
		"no weight that is stated": func(c *Config) {
			*c = attacked(t, *c, "false-weight", 0.2)
			c.Plan.Aggregation.Denominator = "fixed"
			c.Plan.Training.WeightCap = 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := attacked(t, small(t, "plain", 30, 20, 1, 1), "zero", 0.2)
			change(&cfg)
			_, err := Run(cfg)
			require.Error(t, err)
			require.NotErrorIs(t, err, ErrInvariant)
		})
	}
	cfg := attacked(t, small(t, "plain", 3, 3, 1, 1), "zero", 0.49)
	cfg.Partition = cfg.Partition[:2]
	_, err := Run(cfg)
	require.ErrorContains(t, err, "1 Byzantine clients of 2")
}
