package client_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/tensor"
)

// noisyTerms are those of testPlan with noise of half the clip norm, which is 1, under
// scheme plain, and a model of 4096 values.
func noisyTerms(t testing.TB, mode secagg.PrivacyMode, change func(*plan.Literal)) secagg.Terms {
	t.Helper()
	l := testLiteral(3, 2, 10)
	l.Model.Tensors = []plan.Tensor{{Name: "w", Shape: []int{64, 64}}}
	l.Encoding = plan.Encoding{ClipNorm: 1}
	l.Evaluation, l.Aggregation.Denominator = plan.Evaluation{}, "fixed"
	l.Privacy = plan.Privacy{Mode: string(mode), TrustCoordinator: true, Relation: "zero-out", NoiseMultiplier: 0.5, Delta: 1e-5, Epsilon: 1e4}
	if change != nil {
		change(&l)
	}
	p, err := l.Check(plain.Scheme{})
	require.NoError(t, err)
	return p.Terms()
}

// quiet makes the noise a twentieth of the clip norm, so that updates show through it.
func quiet(t testing.TB, terms secagg.Terms) secagg.Terms {
	t.Helper()
	terms.Noise.Sigma = 0.05
	terms.Encoding = field.Spec{Clients: terms.Encoding.Clients, ClipNorm: terms.Encoding.ClipNorm}
	m, err := terms.Mechanism()
	require.NoError(t, err)
	terms.Encoding = m.Quantizer().Spec()
	return terms
}

func adaptive(l *plan.Literal) {
	l.Privacy.Clipping = plan.Clipping{Quantile: 0.5, Floor: 0.1, Ceiling: 10, BitNoise: 2}
}

func skellam(l *plan.Literal) { l.Privacy.Mechanism = "skellam" }

// counting is phased, and says that all clients but one of a roster are honest.
type counting struct{ phased }

func (counting) HonestInSum(s secagg.Session, _ int, _ float64) (int, error) {
	return s.Roster.Len() - 1, nil
}

// dealt is phased, and counts honest clients as oneshot does.
type dealt struct{ phased }

func (dealt) HonestInSum(s secagg.Session, releases int, delta float64) (int, error) {
	return oneshot.Scheme{}.HonestInSum(s, releases, delta)
}

// contribute takes one participant of a script through its ciphertext, which under
// scheme phased is its vector, and returns that. The update is the model with values
// added.
func contribute(t testing.TB, s *script, p *client.Participant, values []float32) []uint32 {
	t.Helper()
	for step := 1; step <= 3; step++ {
		_, err := p.Envelope(s.envelope(s.id(), step))
		require.NoError(t, err)
	}
	m, err := p.Model(bytes.NewReader(s.model))
	require.NoError(t, err)
	local := m.Clone()
	for i, v := range values {
		local.Values()[i] += v
	}
	_, err = p.Trained(m, client.Update{Model: local, Examples: 1})
	require.NoError(t, err)
	var out bytes.Buffer
	_, err = p.Seal(&out)
	require.NoError(t, err)
	vector := make([]uint32, out.Len()/4)
	for i := range vector {
		vector[i] = binary.LittleEndian.Uint32(out.Bytes()[4*i:])
	}
	return vector
}

// participant is one of a script's task, with coins of its own.
func participant(t testing.TB, s *script, name string) *client.Participant {
	t.Helper()
	return participantUnder(t, s, name, counting{})
}

func participantUnder(t testing.TB, s *script, name string, scheme secagg.ClientScheme) *client.Participant {
	t.Helper()
	policy := policyOf(name)
	policy.Schemes = []secagg.ClientScheme{scheme}
	coins := secagg.Hash("coins", []byte(name))
	p, err := client.Accept(policy, *s.offers[0].Task, bytes.NewReader(coins[:]))
	require.NoError(t, err)
	return p
}

// opened is the decoded sum of all clients' contributions of the same values.
func opened(t testing.TB, s *script, values []float32) ([]float64, []int64) {
	t.Helper()
	task := s.offers[0].Task
	m, err := task.Terms.Mechanism()
	require.NoError(t, err)
	sum := make([]uint32, m.Quantizer().Layout().Len())
	names := []string{"c0", "c1", "c2"}
	for _, name := range names {
		for i, w := range contribute(t, s, participant(t, s, name), values) {
			sum[i] += w
		}
	}
	if bits := m.Quantizer().WordBits(); bits < 32 {
		for i := range sum {
			sum[i] &= 1<<bits - 1
		}
	}
	rotation, err := task.Terms.Rotation(task.Round.Round)
	require.NoError(t, err)
	var draw *ddp.Draw
	if task.Terms.Privacy == secagg.PrivacyCentral {
		coins := secagg.Hash("coordinator")
		draw, err = m.Draw(&endless{coins[:], 0})
		require.NoError(t, err)
	}
	out := make([]float64, task.Terms.Tensors.Total())
	extras, err := m.Decode(out, sum, len(names), rotation, draw)
	require.NoError(t, err)
	return out, extras
}

// endless hashes on, as coins of a test.
type endless struct {
	seed []byte
	n    uint64
}

func (e *endless) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		e.n++
		d := secagg.Hash("endless", e.seed, binary.BigEndian.AppendUint64(nil, e.n))
		n += copy(p[n:], d[:])
	}
	return len(p), nil
}

// along are values of which each client's update consists, with that norm.
func along(norm float64) []float32 {
	out := make([]float32, 4096)
	for i := range out {
		out[i] = float32(norm / 64)
	}
	return out
}

// moments are the mean distance from what is expected, and the mean square.
func moments(got []float64, want float64) (mean, square float64) {
	for _, v := range got {
		mean += (v - want) / float64(len(got))
		square += (v - want) * (v - want) / float64(len(got))
	}
	return mean, square
}

// The noise of three shares, of which the terms reckon with one, or what the mode says:
// each exactly once.
func TestASumUnderNoiseDecodesToTheClippedUpdatesAndTheNoiseOnce(t *testing.T) {
	for name, row := range map[string]struct {
		mode     secagg.PrivacyMode
		change   func(*plan.Literal)
		variance float64 // in units of the promised one
	}{
		"distributed": {secagg.PrivacyDistributed, nil, 3},
		"skellam":     {secagg.PrivacyDistributed, skellam, 3},
		"local":       {secagg.PrivacyLocal, nil, 3},
		"central":     {secagg.PrivacyCentral, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := scriptOf(t, quiet(t, noisyTerms(t, row.mode, row.change)), whole...)
			n := s.offers[0].Task.Terms.Noise
			for _, norm := range []float64{0.5, 1, 8} {
				got, extras := opened(t, s, along(norm))
				require.Empty(t, extras)
				mean, square := moments(got, 3*math.Min(norm, 1)/64)
				variance := row.variance * n.Sigma * n.Sigma
				require.InDelta(t, 0, mean, 5*math.Sqrt(variance/4096))
				require.InEpsilon(t, variance, square, 5*math.Sqrt(2.0/4096), "norm %v", norm)
			}
		})
	}
}

func TestIntegersAreTheSameForEveryAdaptedClipNorm(t *testing.T) {
	s := scriptOf(t, quiet(t, noisyTerms(t, secagg.PrivacyDistributed, adaptive)), whole...)
	task := s.offers[0].Task
	m, err := task.Terms.Mechanism()
	require.NoError(t, err)
	largest := float64(m.Parameters().Extras[0].Largest)
	for _, clip := range []float64{0.25, 1, 4} {
		task.ClipNorm = clip
		for factor, bit := range map[float64]float64{0.5: 1, 1.5: 0, 100: 0} {
			got, extras := opened(t, s, along(factor*clip))
			want := math.Min(factor, 1)
			if factor > secagg.OutlierFactor {
				want = 0
			}
			mean, square := moments(got, 3*want/64) // in units of the terms' clip norm
			variance := 3 * task.Terms.Noise.Sigma * task.Terms.Noise.Sigma
			require.InDelta(t, 0, mean, 5*math.Sqrt(variance/4096))
			require.InEpsilon(t, variance, square, 5*math.Sqrt(2.0/4096))
			sigma := m.Parameters().Extras[0].Sigma * math.Sqrt(3)
			require.InDelta(t, 3*bit*largest, float64(extras[0]), 5*sigma)
			require.InEpsilon(t, 2*largest, m.Parameters().Extras[0].Sigma, 0.01, "the noise of the bit is two bits")
		}
	}
}

// bitOf is the clip bit of one contribution, whose noise is known.
func bitOf(t *testing.T, s *script, values []float32) float64 {
	task := s.offers[0].Task
	m, err := task.Terms.Mechanism()
	require.NoError(t, err)
	largest := float64(m.Parameters().Extras[0].Largest)
	two := []float64{}
	for _, v := range [][]float32{values, along(0)} { // the same coins: the same noise
		vector := contribute(t, s, participant(t, s, "c0"), v)
		two = append(two, float64(vector[len(vector)-1]))
	}
	return 1 + (two[0]-two[1])/largest
}

func TestTheClipBitSaysWhetherTheNormWasWithin(t *testing.T) {
	s := scriptOf(t, noisyTerms(t, secagg.PrivacyDistributed, adaptive), whole...)
	s.offers[0].Task.ClipNorm = 0.5
	nan, inf := along(0.1), along(0.1)
	nan[7], inf[7] = float32(math.NaN()), float32(math.Inf(1))
	require.Equal(t, 1.0, bitOf(t, s, along(0.499)))
	require.Equal(t, 0.0, bitOf(t, s, along(0.501)))
	require.Equal(t, 0.0, bitOf(t, s, inf))
	require.Equal(t, 0.5, bitOf(t, s, nan), "neither")
}

func TestAnUpdateThatIsNotFiniteGoesOutAsZeroWithNoise(t *testing.T) {
	for _, mode := range []secagg.PrivacyMode{secagg.PrivacyDistributed, secagg.PrivacyLocal} {
		s := scriptOf(t, noisyTerms(t, mode, nil), whole...)
		spoiled := along(0.5)
		spoiled[100] = float32(math.NaN())
		require.Equal(t, contribute(t, s, participant(t, s, "c0"), along(0)), contribute(t, s, participant(t, s, "c0"), spoiled), "with the same coins")
		_, square := moments(first(opened(t, s, spoiled)), 0)
		require.Greater(t, square, 0.2, "and it has its noise")
	}
}

func first(v []float64, _ []int64) []float64 { return v }

func TestNoiseIsDrawnOnceAndOtherCoinsGiveOther(t *testing.T) {
	s := scriptOf(t, noisyTerms(t, secagg.PrivacyDistributed, nil), whole...)
	once := contribute(t, s, participant(t, s, "c0"), along(0.5))
	p := participant(t, s, "c0")
	for range 2 {
		_, err := p.Model(bytes.NewReader(s.model))
		require.NoError(t, err)
	}
	require.Equal(t, once, contribute(t, s, p, along(0.5)), "the model fetched again draws nothing more")
	require.NotEqual(t, once, contribute(t, s, participant(t, s, "c1"), along(0.5)))
	var out bytes.Buffer
	_, err := p.Seal(&out)
	require.ErrorIs(t, err, client.ErrOrder, "nor does a second ciphertext")
	require.Zero(t, out.Len())
}

func TestSealWithoutTheModelsNoiseIsRefused(t *testing.T) {
	s := scriptOf(t, noisyTerms(t, secagg.PrivacyDistributed, nil), whole...)
	p := participant(t, s, "c0")
	for step := 1; step <= 3; step++ {
		_, err := p.Envelope(s.envelope(s.id(), step))
		require.NoError(t, err)
	}
	m := tensor.Zero(p.Task().Terms.Tensors) // not from Model
	_, err := p.Trained(m, client.Update{Model: m, Examples: 1})
	require.NoError(t, err)
	var out bytes.Buffer
	_, err = p.Seal(&out)
	require.ErrorIs(t, err, ddp.ErrNoise)
	require.Zero(t, out.Len())
	_, err = p.Seal(&out)
	require.ErrorIs(t, err, client.ErrTooLate, "the client left")
}

// A coordinator that counts on more honest clients than there are in a session would open
// sums with less noise than it says.
func TestFewerHonestClientsThanPromisedAreRefused(t *testing.T) {
	terms := noisyTerms(t, secagg.PrivacyDistributed, func(l *plan.Literal) { l.Cohort.Minimum = 3 })
	terms.TrustCoordinator = false
	require.Equal(t, 2, terms.Noise.Shares(), "a client knows its own share")
	s := scriptOf(t, terms, whole...)
	_, err := participant(t, s, "c0").Envelope(s.envelope(s.id(), 1))
	require.NoError(t, err, "two of three are honest")

	_, err = participant(t, scriptOf(t, relying(t, terms, 0), whole...), "c0").Envelope(s.envelope(s.id(), 1))
	require.ErrorIs(t, err, client.ErrShares, "three of three are not")

	p, err := client.Accept(policyOf("c0"), *s.offers[0].Task, endlessCoins())
	require.NoError(t, err)
	_, err = p.Envelope(s.envelope(s.id(), 1))
	require.ErrorIs(t, err, client.ErrShares, "a scheme that does not say how many")
}

// relying is terms that reckon with so many corrupt clients, and are sound otherwise.
func relying(t testing.TB, terms secagg.Terms, corrupt int) secagg.Terms {
	t.Helper()
	terms.Noise.Corrupt = corrupt
	terms.Encoding = field.Spec{Clients: terms.Encoding.Clients, ClipNorm: terms.Encoding.ClipNorm}
	m, err := terms.Mechanism()
	require.NoError(t, err)
	terms.Encoding = m.Quantizer().Spec()
	require.NoError(t, terms.Check())
	return terms
}

// The coordinator writes the terms. If it says that nobody in a bucket is corrupt, shares
// become narrower than the law of the session's own partition allows.
func TestBucketsInWhichFewerAreCorruptThanTheDrawSaysAreRefused(t *testing.T) {
	const clients = 48
	l := testLiteral(clients, 40, 10)
	l.Rounds.Attempts = 3
	l.Scheme = plan.Scheme{Name: oneshot.Name, Corrupt: 0.05, Committee: plan.CommitteeOf(panel(t, "panel"))}
	l.Encoding, l.Evaluation, l.Aggregation.Denominator = plan.Encoding{ClipNorm: 1}, plan.Evaluation{}, "fixed"
	l.Aggregation.View, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 16, Minimum: 12}
	l.Privacy = plan.Privacy{Mode: "distributed", Relation: "zero-out", NoiseMultiplier: 0.5, Delta: 1e-5, Epsilon: 1e4}
	p, err := l.Check(oneshot.Scheme{})
	require.NoError(t, err)
	terms := p.Terms()
	terms.Committee = secagg.Committee{} // the script has none
	require.Equal(t, 3, terms.Noise.Corrupt, "all corrupt clients of a cohort may be in one bucket")
	for n, known := range map[int]int{40: 2, clients: 3} { // 5 % of a roster, any of whom may meet
		members := make([]secagg.Identity, n)
		for i := range members {
			members[i] = identityOf(fmt.Sprintf("c%d", i))
		}
		roster, err := secagg.NewRoster(members)
		require.NoError(t, err)
		for corrupt := range 4 {
			s := scriptOf(t, relying(t, terms, corrupt), whole...)
			s.roster = roster
			_, err := participantUnder(t, s, "c0", dealt{}).Envelope(s.envelope(s.id(), 1))
			if corrupt < known {
				require.ErrorIs(t, err, client.ErrShares, "%d of %d", corrupt, n)
				continue
			}
			require.NoError(t, err, "%d of %d", corrupt, n)
		}
	}
}

func endlessCoins() io.Reader { return &endless{} }

func TestATaskWithoutItsClipNormIsRefused(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*plan.Literal)
		clip   float64
		ok     bool
	}{
		"fixed":             {nil, 1, true},
		"another":           {nil, 0.5, false},
		"adapted":           {adaptive, 0.5, true},
		"none":              {adaptive, 0, false},
		"negative":          {adaptive, -1, false},
		"not a number":      {adaptive, math.NaN(), false},
		"infinite":          {adaptive, math.Inf(1), false},
		"none, where fixed": {nil, 0, false},
	} {
		s := scriptOf(t, noisyTerms(t, secagg.PrivacyDistributed, row.change), whole...)
		s.offers[0].Task.ClipNorm = row.clip
		_, err := client.Accept(policyOf("c0"), *s.offers[0].Task, endlessCoins())
		if row.ok {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, secagg.ErrTerms, name)
	}
}
