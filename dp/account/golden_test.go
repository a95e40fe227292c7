package account

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
)

// gaussian is a Gaussian event under zero-out with noise multiplier z, Poisson-sampled
// at rate q (1: none).
func gaussian(t testing.TB, q, z float64, count int64) dp.Event {
	t.Helper()
	s := dp.Sampling{Mode: dp.SamplingPoisson, Rate: q}
	if q == 1 {
		s = dp.Sampling{Mode: dp.SamplingNone}
	}
	return event(t, dp.Spec{Mechanism: dp.Gaussian, Relation: dp.ZeroOut, Sampling: s, StdDev: z, Clip: 1, Dimension: 1, Count: count})
}

func event(t testing.TB, s dp.Spec) dp.Event {
	t.Helper()
	e, err := dp.NewEvent(s)
	require.NoError(t, err)
	return e
}

// golden are the rows of reference section 4 about Poisson-sampled Gaussians. rdp is of
// dp_accounting at its orders; equal says that its best order is whole and the
// value therefore ours too, otherwise ours must not exceed it. tight is of Opacus or mpmath.
var golden = []struct {
	row                   string
	q, z                  float64
	steps                 int64
	delta, rdp            float64
	equal                 bool
	tight, pld, fine, prv float64
}{
	{"1", .01, 1, 1000, 1e-5, 2.10136653, false, 2.10136527165, 1.82824365, 1.82823668, 1.828240},
	{"2", .01, 1, 10000, 1e-5, 6.71275666, false, 0, 6.18774498, 0, 6.187716},
	{"3", .001, 1, 1e4, 1e-6, 0.97954163, true, 0, 0.55539236, 0, 0.555150},
	{"4", .001, 1, 1e5, 1e-6, 2.00404559, true, 0, 1.86199623, 1.86104898, 1.861052},
	{"6", .01, 4, 1e4, 1e-5, 1.03549007, true, 1.03549006604, 0.94699930, 0, 0.946873},
	{"7", .04, 1.5, 2250, 1e-5, 7.32933470, false, 7.3291111714842, 6.76878738, 6.76878059, 6.768781},
	{"8", .0025, 1.3, 6000, 1e-5, 0.7242234026109595, true, 0, 0.64011093, 0, 0.640012},
	{"9", .001, 1, 30000, 1e-7, 1.4154988495444842, true, 0, 1.09819895, 0, 0},
	{"10", .1, 1, 100, 1e-5, 7.90385022, false, 7.89925500243, 7.04660288, 0, 7.046603},
	{"12", .005, .8, 4000, 1e-5, 3.29748339, false, 0, 2.85294757, 0, 2.852930},
	{"14", .02, 2, 500, 1e-5, 1.01525787, true, 0, 0.92092855, 0, 0.920928},
	{"16", 1e-4, 1, 1e6, 1e-7, 0.91640530, true, 0, 0.62954634, 0.59810437, 0.598129},
	{"19", 120. / 3383, 1.2, 100, 1e-5, 1.98611460, false, 0, 1.70747132, 0, 0},
	{"19b", 119. / 3383, 1.19, 100, 1e-5, 2.00430727, false, 0, 1.72020201, 0, 0},
	{"23", 1, 1, 1, 1e-5, 4.72850707, false, 0, 4.37717810, 4.377178095681224, 0},
	{"24", 1, 10, 100, 1e-5, 4.72850707, false, 0, 4.37717810, 4.377178095681224, 0},
}

func TestRenyiEpsilonOfSampledGaussiansMatchesTheAnchors(t *testing.T) {
	for _, g := range golden {
		c, err := NewCurve([]dp.Event{gaussian(t, g.q, g.z, g.steps)})
		require.NoError(t, err)
		b, err := c.Epsilon(g.delta)
		require.NoError(t, err)
		require.False(t, b.Edge)
		t.Logf("row %s: %.12f (%g)", g.row, b.Epsilon, b.Order)
		require.LessOrEqual(t, b.Epsilon, g.rdp+6e-9, g.row)
		if g.equal {
			require.InDelta(t, g.rdp, b.Epsilon, 6e-9, g.row)
		}
		if g.tight != 0 {
			require.InEpsilon(t, g.tight, b.Epsilon, 1e-9, g.row)
		}
	}
}

// Rows 32 and 33 of the reference: 30-digit quadrature with mpmath.
func TestSingleRenyiOrdersMatchQuadrature(t *testing.T) {
	for _, g := range []struct{ q, z, order, want, rel float64 }{
		{.01, 1, 2, 1.71813422074548e-4, 1e-12},
		{.01, 1, 7.8, 8.47566138562662e-4, 1e-11},
		{.01, 1, 32, 11.2462759370481, 1e-12},
		{.001, .6, 4.4, 6.29340199536805e-5, 1e-11},
		{.04, 1.5, 3.9, 1.83320219958386e-3, 1e-11},
		{.1, 1, 1.5, 0.0117345921966852, 1e-11},
		{.5, 2, 2, 0.0685987243816584, 1e-12},
		{1e-4, 1, 17, 1.46724775018215e-7, 1e-11},
		{.2, .5, 1.1, 0.202580927671302, 1e-11},
		{.01, 2.5, 1.5, 6.50070897e-4 / 50, 1e-8},
		{.01, 2.5, 2.5, 1.08541806e-3 / 50, 1e-8},
		{.01, 2.5, 5, 2.18075656e-3 / 50, 1e-8},
		{.01, 2.5, 50, 2.38460375e-2 / 50, 1e-8},
		{.01, 2.5, 100, 167.416308 / 50, 1e-8},
	} {
		got, err := PoissonGaussianRDP(g.q, g.z, g.order)
		require.NoError(t, err)
		require.InEpsilon(t, g.want, got, g.rel, "%v got %.15g", g, got)
	}
}

// Row 34: the best real order gains 1e-4 at most.
func TestRealOrdersGainLittle(t *testing.T) {
	for _, g := range []struct {
		q, z           float64
		steps          int64
		order, epsilon float64
	}{{.01, 1, 1000, 7.781, 2.10132213}, {.04, 1.5, 2250, 3.941, 7.32834992}, {.01, 4, 1e4, 17.22, 1.03538400}} {
		c, err := NewCurveAt([]float64{g.order}, []dp.Event{gaussian(t, g.q, g.z, g.steps)})
		require.NoError(t, err)
		b, err := c.Epsilon(1e-5)
		require.NoError(t, err)
		require.InDelta(t, g.epsilon, b.Epsilon, 3e-7)
	}
}

// Row 35: dp_accounting, rdp_privacy_accountant_test.
func TestConversionMatchesTheAnchors(t *testing.T) {
	var c Curve
	for a := 2.; a <= 32; a++ {
		c.orders, c.rdp = append(c.orders, a), append(c.rdp, 1.1)
	}
	b, err := c.Epsilon(1e-5)
	require.NoError(t, err)
	require.InDelta(t, 1.32783806176, b.Epsilon, 1e-10)
	require.Equal(t, 32., b.Order)
	require.True(t, b.Edge, "the last order")

	// The anchor takes orders by 0.001: as good as any real order.
	epsilon, err := ZCDPEpsilon(1/(2*4.530877117*4.530877117), 1e-6)
	require.NoError(t, err)
	require.InDelta(t, 1, epsilon, 1e-7)
	d, err := c.Delta(b.Epsilon)
	require.NoError(t, err)
	require.InEpsilon(t, 1e-5, d.Delta, 1e-9, "the inverse")
}

// Row 36: dp_accounting at orders 2 to 128. Noise 2 over the clip 1 is 1 over 2C.
func TestFixedSizeMatchesTheAnchor(t *testing.T) {
	e := event(t, dp.Spec{Mechanism: dp.Gaussian, Relation: dp.ReplaceOne, StdDev: 2, Clip: 1, Dimension: 1, Count: 100,
		Sampling: dp.Sampling{Mode: dp.SamplingFixed, Population: 1000, Size: 10}})
	var orders []float64
	for a := 2.; a <= 128; a++ {
		orders = append(orders, a)
	}
	c, err := NewCurveAt(orders, []dp.Event{e})
	require.NoError(t, err)
	b, err := c.Epsilon(1e-5)
	require.NoError(t, err)
	require.InDelta(t, 1.482525669, b.Epsilon, 1e-9)
	require.Equal(t, 8., b.Order)
}

// Rows 37, 23 and 47: dp_accounting and mpmath.
func TestExactGaussianMatchesTheAnchors(t *testing.T) {
	for _, g := range []struct{ z, delta, epsilon, count float64 }{
		{.5, 1e-5, 9.997256146434, 1}, {1, 1e-5, 4.377178095681, 1}, {2, 1e-5, 1.993091404415, 1},
		{5, 1e-5, 0.725521750858, 1}, {10, 1e-5, 0.340669364684, 1},
		{1, 1e-10, 6.547924066865, 1}, {10, 1e-10, 0.574640307526, 1},
		{1.2, 1e-5, 3.548696681, 1}, {1.2, 1e-5, 69.456978375, 100}, {10, 1e-5, 4.377178095681, 100},
	} {
		mu, err := GDPMu([]dp.Event{gaussian(t, 1, g.z, int64(g.count))})
		require.NoError(t, err)
		got, err := GDPEpsilon(mu, g.delta)
		require.NoError(t, err)
		require.InDelta(t, g.epsilon, got, 1e-9)
		d, err := GDPDelta(mu, got)
		require.NoError(t, err)
		require.InEpsilon(t, g.delta, d, 1e-9)
	}
	for _, g := range []struct{ epsilon, delta, z float64 }{
		{1, 1e-5, 3.730631634816}, {.1, 1e-6, 36.304690426196}, {8, 1e-5, 0.600229072199}, {1, 1e-10, 5.867777749631},
	} {
		z, err := GDPNoise(g.epsilon, g.delta)
		require.NoError(t, err)
		require.InDelta(t, g.z, z, 1e-9)
	}
}

// Row 39: dp_accounting, test_gaussian_zcdp_to_epsilon.
func TestZCDPConversionMatchesTheAnchor(t *testing.T) {
	got, err := ZCDPEpsilon(.81, 1e-10)
	require.NoError(t, err)
	require.InDelta(t, 8.92, got, .01)
	rho, err := ZCDPRho([]dp.Event{gaussian(t, 1, 1.2, 6)})
	require.NoError(t, err)
	require.InDelta(t, 6/(2*1.44), rho, 1e-12)
}

// Row 49: dp_accounting, a Laplace mechanism of epsilon 1 a hundred times is 100 in the
// limit of large orders.
func TestLaplaceReachesItsPureEpsilon(t *testing.T) {
	e := event(t, dp.Spec{Mechanism: dp.Laplace, Relation: dp.ZeroOut, StdDev: math.Sqrt2, Clip: 1, Dimension: 1, Count: 100,
		Sampling: dp.Sampling{Mode: dp.SamplingNone}})
	c, err := NewCurveAt([]float64{1e10}, []dp.Event{e})
	require.NoError(t, err)
	b, err := c.Epsilon(1e-5)
	require.NoError(t, err)
	require.InDelta(t, 100, b.Epsilon, 1e-6)

	// Its losses are bounded, so that no delta costs more but for the grid.
	p, err := NewPLD([]dp.Event{e})
	require.NoError(t, err)
	for _, delta := range []float64{1e-5, 1e-20, 1e-31, 1e-40, 1e-100, 1e-300} {
		b, err := p.EpsilonAt(1e-4, delta)
		require.NoError(t, err)
		require.LessOrEqual(t, b.Epsilon, 100+100*b.Grid+1e-9, "delta %g", delta)
		require.LessOrEqual(t, b.Lower, 100+1e-9)
		if delta < 1e-35 { // the largest loss has 2^-100 of the mass
			require.GreaterOrEqual(t, b.Epsilon, 100-1e-4)
		}
	}
}

// Row 45, at orders 2 to 128 and 256: sums of discrete Gaussian and of Skellam shares in
// d = 2^18 coordinates with s = 2^14, n = 120 and z = 1.2, sampled; with 24 dropouts.
func TestSampledDiscreteSumsMatchTheReference(t *testing.T) {
	const l2, l1, share = 16386.507621, 8389891.901747, 1794.777276
	var orders []float64
	for a := 2.; a <= 128; a++ {
		orders = append(orders, a)
	}
	orders = append(orders, 256)
	for _, r := range []dp.Relation{dp.ZeroOut, dp.AddRemove} {
		for _, g := range []struct {
			mechanism dp.Mechanism
			survivors float64
			epsilon   float64
		}{{dp.DiscreteGaussian, 120, 1.98957895}, {dp.Skellam, 120, 1.98957895}, {dp.DiscreteGaussian, 96, 2.53613106}} {
			s := dp.Spec{Mechanism: g.mechanism, Relation: r, Variance: new(big.Rat).SetFloat64(g.survivors * share * share), Clip: l2,
				Dimension: 1 << 18, Count: 100, Sampling: dp.Sampling{Mode: dp.SamplingPoisson, Rate: 120. / 3383}}
			if g.mechanism == dp.Skellam {
				s.L1 = l1
			}
			c, err := NewCurveAt(orders, []dp.Event{event(t, s)})
			require.NoError(t, err)
			b, err := c.Epsilon(1e-5)
			require.NoError(t, err)
			require.InDelta(t, g.epsilon, b.Epsilon, 2e-8, "%v", g)
			if g.survivors == 120 {
				require.Equal(t, 8., b.Order)
			}
			// Between whole orders there is little to gain, and nothing to lose.
			c, err = NewCurve([]dp.Event{event(t, s)})
			require.NoError(t, err)
			all, err := c.Epsilon(1e-5)
			require.NoError(t, err)
			require.LessOrEqual(t, all.Epsilon, b.Epsilon+1e-12)
			require.Greater(t, all.Epsilon, b.Epsilon-.02)
			if r != dp.ZeroOut {
				continue
			}
			// A cap on the cohort costs nothing when the population is fixed.
			s.Sampling = dp.Sampling{Mode: dp.SamplingTruncatedPoisson, Rate: 120. / 3383, Population: 3383, Size: 150}
			capped, err := NewCurve([]dp.Event{event(t, s)})
			require.NoError(t, err)
			require.Equal(t, c, capped)
		}
	}
}

// Row 45: the small sums, unsampled.
func TestSmallDiscreteSumsMatchTheReference(t *testing.T) {
	// n = 16, d = 64, C = 1, s = 8, z = 1; D2 and D1 by the formulas of section 3.5.
	d2 := math.Sqrt(64 + 64./4 + (8 + 8./2)) // s^2 C^2 + d/4 + sqrt(2 ln(1/beta)) (sC + sqrt(d)/2), beta e^-1/2
	d1 := min(8*d2, d2*d2)
	var orders []float64
	for a := 2.; a <= 128; a++ {
		orders = append(orders, a)
	}
	e := event(t, dp.Spec{Mechanism: dp.Skellam, Relation: dp.ZeroOut, Variance: big.NewRat(64, 1), Clip: d2, L1: d1, Dimension: 64, Count: 1,
		Sampling: dp.Sampling{Mode: dp.SamplingNone}})
	c, err := NewCurveAt(orders, []dp.Event{e})
	require.NoError(t, err)
	b, err := c.Epsilon(1e-5)
	require.NoError(t, err)
	t.Log(b)
	require.InDelta(t, 5.92511602, b.Epsilon, 2e-8)
}

// Rows 38 and 39: exact GDP of trees, dp_accounting's Renyi values being above.
func TestTreesAsGaussiansMatchTheReference(t *testing.T) {
	for _, g := range []struct{ mu2, delta, exact, rdp float64 }{
		{11 / (1.13 * 1.13), 1e-6, 17.666750761, 18.709609894}, {11 / (8.83 * 8.83), 1e-6, 1.648658841, 1.773192450},
		{79. / 49, 1e-10, 8.526093443, 8.90},
	} {
		e, err := GDPEpsilon(math.Sqrt(g.mu2), g.delta)
		require.NoError(t, err)
		require.InDelta(t, g.exact, e, 1e-9)
		z, err := ZCDPEpsilon(g.mu2/2, g.delta)
		require.NoError(t, err)
		t.Log(z, g.rdp)
		require.LessOrEqual(t, z, g.rdp+.005)
		require.InDelta(t, g.rdp, z, .01)
	}
}

// Opacus, accountants_test [test]: its multipliers for epsilon 8 are on the safe side of
// ours, within what its search allows; its PRV estimate at row 7 is an upper bound.
func TestOpacusAssertionsHold(t *testing.T) {
	for _, g := range []struct {
		steps    int64
		rdp, prv float64
	}{{2250, 1.416, 1.34765625}, {2000, 1.3562, 1.2915}} {
		plan := func(z float64) ([]dp.Event, error) { return []dp.Event{gaussian(t, .04, z, g.steps)}, nil }
		z, err := Noise(8, 1e-5, ByRDP, plan)
		require.NoError(t, err)
		require.InDelta(t, g.rdp, z, 2e-3)
		z, err = Noise(8, 1e-5, ByPLD(1e-4), plan)
		require.NoError(t, err)
		require.InDelta(t, g.prv, z, 2e-3)
	}
	e, err := ByPLD(1e-4)([]dp.Event{gaussian(t, .04, 1.5, 2250)}, 1e-5)
	require.NoError(t, err)
	require.Less(t, e, 6.777395712150674)
	require.Greater(t, e, 6.777395712150674-.0203)
}
