package sim

import (
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/sim/adversary"
	"github.com/choir-fl/choir/tensor"
)

// inPasses lets clients weigh their updates.
func inPasses(cfg Config, passes int) Config {
	cfg.Plan.Aggregation = plan.Aggregation{Rule: "rfa", Parameters: map[string]string{"passes": strconv.Itoa(passes)}}
	cfg.Plan.Encoding.Bits = 24
	return cfg
}

func TestWeighedModelIsTheSameUnderEveryScheme(t *testing.T) {
	var digests, drops []string
	for _, scheme := range []string{"plain", "pairwise", "oneshot"} {
		cfg := inPasses(small(t, scheme, 30, 24, 4, 3), 2)
		cfg.Schemes, cfg.Faults.Dropout = allSchemes, 0.1
		cfg.Plan.Scheme.Corrupt, cfg.Plan.Encoding.Bits = 0.02, 18
		cfg.Faults.Points = []Point{BeforeUpload}
		res, err := Run(cfg)
		require.NoError(t, err, scheme)
		require.Zero(t, res.Final.RoundsFailed)
		digests = append(digests, res.Final.ModelDigest)
		drops = append(drops, strconv.Itoa(res.Rounds[1].Survivors))
	}
	require.Equal(t, []string{digests[0], digests[0], digests[0]}, digests)
	require.Equal(t, []string{drops[0], drops[0], drops[0]}, drops)
}

// What comes out of the sums is what the slow algorithm makes of the same updates.
func TestWeighedSumsGiveTheSlowResult(t *testing.T) {
	const clients, passes, clip = 12, 3, 0.5
	cfg := inPasses(small(t, "plain", clients, clients, passes, 2), passes)
	cfg.Plan.Encoding.ClipNorm = clip
	var last []float32
	cfg.Released = func(_ coordinator.Report, m tensor.Model) { last = m.Values() }
	s := newSimulation(cfg)
	require.NoError(t, s.prepare())
	_, err := s.run(0)
	require.NoError(t, err)

	task := secagg.Task{Round: secagg.RoundID{Job: "small", Round: 9, Attempt: 2}, Terms: s.plan.Terms(), Model: s.initial.Digest()}
	var xs [][]float64
	var alphas []float64
	clippedSome := 0
	for i := range clients {
		u, err := s.trainer.train(i, s.initial.Clone(), task)
		require.NoError(t, err)
		x, squares := make([]float64, len(last)), 0.0
		for j, v := range u.Model.Values() {
			x[j] = float64(v - s.initial.Values()[j])
			squares += x[j] * x[j]
		}
		if norm := math.Sqrt(squares); norm > clip {
			clippedSome++
			for j := range x {
				x[j] *= clip / norm
			}
		}
		xs, alphas = append(xs, x), append(alphas, float64(u.Examples)/50)
	}
	require.NotZero(t, clippedSome)
	v := make([]float64, len(last))
	for range passes {
		next, total := make([]float64, len(v)), 0.0
		for i, x := range xs {
			squares := 0.0
			for j := range x {
				squares += (x[j] - v[j]) * (x[j] - v[j])
			}
			beta := alphas[i] * math.Min(1, 0.1*clip/math.Sqrt(squares))
			beta = math.Round(beta*secagg.ExtraScale) / secagg.ExtraScale
			total += beta
			for j := range x {
				next[j] += beta * x[j]
			}
		}
		for j := range next {
			v[j] = next[j] / total
		}
	}
	for j := range v {
		require.InDelta(t, v[j], float64(last[j]-s.initial.Values()[j]), 1e-4)
	}
}

func TestWeighedUpdatesWithstandPoisonThatTheMeanDoesNot(t *testing.T) {
	run := func(attack string, passes int) float64 {
		cfg := small(t, "plain", 40, 30, 6, 5)
		if passes > 0 {
			cfg = inPasses(small(t, "plain", 40, 30, 6*passes, 5), passes)
		}
		if attack != "" {
			cfg = attacked(t, cfg, attack, 0.2)
		}
		res, err := Run(cfg)
		require.NoError(t, err)
		return *res.Final.TestAccuracy
	}
	clean := run("", 3)
	for _, attack := range []string{"sign-flip:scale=10", "model-replacement"} {
		mean, rfa := run(attack, 0), run(attack, 3)
		t.Logf("%s: attack-free %.3f, rfa %.3f, mean %.3f", attack, clean, rfa, mean)
		require.Greater(t, rfa, clean-0.05, attack)
		require.Less(t, mean, rfa-0.2, attack)
	}
}

// Whoever lies about its weight is not withstood, and no further from zero than the clip norm:
// the manual says so.
func TestFalseWeightSetsTheResultOfWeighedSums(t *testing.T) {
	const clients, clip = 20, 10.0
	run := func(attack string) float64 {
		cfg := inPasses(small(t, "plain", clients, clients, 3, 4), 3)
		cfg.Plan.Encoding.ClipNorm, cfg.Plan.Training.WeightCap = clip, 50
		cfg = attacked(t, cfg, attack, 0.1)
		var bad map[int]*attacker
		cfg.Trainer = func(index int, global tensor.Model, _ secagg.Task) (client.Update, error) {
			local := global.Clone()
			local.Values()[0]++
			local.Values()[1+index%10] += 0.2
			if bad[index] != nil {
				local.Values()[0] -= 100
			}
			return client.Update{Model: local, Examples: 1}, nil
		}
		var last []float32
		cfg.Released = func(_ coordinator.Report, m tensor.Model) { last = m.Values() }
		s := prepared(t, cfg)
		bad = s.adversaries.attackers
		_, err := s.run(0)
		require.NoError(t, err)
		return float64(last[0] - s.initial.Values()[0])
	}
	require.InDelta(t, 1, run("label-flip"), 0.35, "they poison, and keep to the protocol")
	require.InDelta(t, -0.1, run("false-weight:factor=1"), 0.3, "full weight: no better than the mean of clipped updates")
	require.Less(t, run("false-weight:factor=50"), -0.8*clip)
}

// What an attacker sends in place of its update is weighed as its own software would weigh it,
// but that nothing clips it first.
func TestAttackersThatKeepToTheProtocolStateTheWeightOfWhatTheySend(t *testing.T) {
	s, sums := recorded(t, attacked(t, inPasses(small(t, "plain", 20, 20, 3, 4), 3), "sign-flip:scale=100", 0.1))
	layout := s.plan.Quantizer().Layout()
	i, _ := layout.Extra(secagg.ExtraWeight)
	bad := 0
	for id, vector := range sums {
		stated := vector[layout.Main()+i]
		if s.adversaries.attacker(s.byID[id].index) == nil {
			require.Greater(t, stated, uint32(82))
			continue
		}
		bad++
		require.Less(t, stated, uint32(30), "of 819 in full, and 82 at the clip norm")
		norm := 0.0
		for _, word := range vector[:layout.Main()] {
			x := (float64(word) - float64(int(1)<<(s.plan.Quantizer().Spec().Bits-1))) / s.plan.Quantizer().Spec().Scale
			norm += x * x
		}
		require.InDelta(t, 0.1*10./5, math.Sqrt(norm), 0.02, "nu C times the weight of ten examples of fifty")
	}
	require.Equal(t, 2, bad)
}

func TestAttackersKnowHowUpdatesAreWeighed(t *testing.T) {
	rows := [][]float32{{1, 0}, {1, 0}, {1, 0}, {-8, 6}}
	got := weighed(rows, []float32{1, 0}, secagg.Weiszfeld{Smoothing: 0.1, Passes: 3}, 10)
	beta := math.Round(secagg.ExtraScale/math.Sqrt(81+36)) / secagg.ExtraScale
	require.InDeltaSlice(t, []float64{(3 - 8*beta) / (3 + beta), 6 * beta / (3 + beta)}, got, 1e-12)
}

// The last step is what moved the model last: passes that did not are none.
func TestAttackersRememberStepsAndNotPasses(t *testing.T) {
	s := prepared(t, attacked(t, inPasses(small(t, "plain", 20, 20, 6, 4), 2), "free-rider", 0.1))
	var steps [][]float32
	s.seen = func(k adversary.Known) { steps = append(steps, k.Step) }
	_, err := s.run(0)
	require.NoError(t, err)
	require.Len(t, steps, 6)
	require.Nil(t, steps[0])
	require.Nil(t, steps[1])
	for i := 2; i < 6; i += 2 {
		require.Equal(t, steps[i], steps[i+1])
		require.NotZero(t, field.Norm(steps[i]))
	}
	require.NotEqual(t, steps[2], steps[4])
}

func TestSeedRepeatsWeighedPassesUnderFaults(t *testing.T) {
	requireRepeats(t, func() Config { return inPasses(small(t, "pairwise", 40, 20, 4, 11), 2) })
}
