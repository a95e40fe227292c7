package audit

import (
	"testing"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/stretchr/testify/require"
)

const testDelta = 1e-5

// distributed is the mechanism of clients that all survive and are honest.
func distributed(t testing.TB, clients, dimension int, sigma float64) ddp.Mechanism {
	m, err := ddp.Parameters{
		Dimension: dimension, Clients: clients, Survivors: clients, ClipNorm: 1, Scale: 2048, Sigma: sigma, Noise: dp.DiscreteGaussian,
	}.Check()
	require.NoError(t, err)
	return m
}

// claim is what the accountant says of one release.
func claim(m ddp.Mechanism) float64 { return dp.Epsilon(m.ZCDP(dp.ZeroOut), testDelta, false) }

// release runs one round of canaries through the mechanism: what is opened, and its
// noise with the clients' rounding.
func release(t testing.TB, m ddp.Mechanism, c *Canaries) (opened []float32, residuals []float64) {
	dimension := m.Parameters().Dimension
	rotation, err := ddp.NewRotation(dimension, [32]byte{'r'})
	require.NoError(t, err)
	shares := field.NewStream(field.Derive([32]byte{'s'}, "noise"))
	rounding := field.NewStream(field.Derive([32]byte{'s'}, "rounding"))
	update, prepared := make([]float32, dimension), make([]float32, m.Sensitivity().Dimension)
	words := make([]uint32, m.Quantizer().Layout().Len())
	sum := make([]uint32, len(words))
	residuals = make([]float64, dimension)
	for i := range c.Count() {
		require.NoError(t, c.Update(i, update, 1))
		draw, err := m.Draw(shares)
		require.NoError(t, err)
		counted, err := m.Prepare(prepared, update, 1, rotation)
		require.NoError(t, err)
		rounded, err := m.Encode(words, prepared, nil, rounding, draw)
		require.NoError(t, err)
		require.True(t, counted && rounded)
		field.Add(sum, words)
		if c.In(i) {
			for k, x := range update {
				residuals[k] -= float64(x)
			}
		}
	}
	decoded := make([]float64, dimension)
	_, err = m.Decode(decoded, sum, c.Count(), rotation, nil)
	require.NoError(t, err)
	opened = make([]float32, dimension)
	for k, x := range decoded {
		opened[k] = float32(x)
		residuals[k] += x
	}
	return opened, residuals
}

func audited(t testing.TB, m ddp.Mechanism, claimed float64, canaries int) (Report, []float64) {
	c := plan(t, 11, canaries, m.Parameters().Dimension)
	opened, residuals := release(t, m, c)
	require.NoError(t, c.Score(opened, nil))
	s, err := c.Scores()
	require.NoError(t, err)
	r, err := NewReport(s, claimed, testDelta, .95)
	require.NoError(t, err)
	return r, residuals
}

func TestTenThousandCanariesPassTheHonestMechanismAndCatchAQuarterOfTheNoise(t *testing.T) {
	const canaries, dimension, sigma = 10_000, 1 << 13, 2.0
	honest := distributed(t, canaries, dimension, sigma)
	claimed := claim(honest)
	require.Greater(t, claimed, 1.9)
	require.Less(t, claimed, 2.5)
	t.Run("honest", func(t *testing.T) {
		t.Parallel()
		r, residuals := audited(t, honest, claimed, canaries)
		t.Logf("%+v, claimed %g", r, claimed)
		require.False(t, r.Refuted(true))
		require.Less(t, r.EpsilonFDP, claimed)
		require.Less(t, r.EpsilonOneRun, claimed)
		require.Positive(t, r.EpsilonFDP, "the audit sees something")
		p, err := NoiseChiSquare(residuals, sigma)
		require.NoError(t, err)
		require.Greater(t, p, .001)
	})
	t.Run("a quarter of the noise behind the accountant's back", func(t *testing.T) {
		t.Parallel()
		r, _ := audited(t, distributed(t, canaries, dimension, sigma/4), claimed, canaries)
		t.Logf("%+v, claimed %g", r, claimed)
		require.True(t, r.Refuted(true))
		require.Greater(t, r.EpsilonFDP, 1.3*claimed)
	})
}

func TestHalvedNoiseOfAnOpenedSumIsSeenByItsChiSquare(t *testing.T) {
	const clients, dimension, sigma = 40, 1 << 12, 2.0
	for _, c := range []struct {
		actual   float64
		low, top float64
	}{{sigma, .001, .999}, {sigma / 2, 0, 1e-100}, {.95 * sigma, 0, .001}} {
		_, residuals := release(t, distributed(t, clients, dimension, c.actual), plan(t, 12, clients, dimension))
		p, err := NoiseChiSquare(residuals, sigma)
		require.NoError(t, err)
		require.GreaterOrEqual(t, p, c.low, "noise %g", c.actual)
		require.LessOrEqual(t, p, c.top, "noise %g", c.actual)
	}
}
