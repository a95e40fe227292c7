package mf

import (
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
)

// patterns calls f with every set of steps that fits.
func patterns(p Participation, f func(steps []int)) {
	var visit func(steps []int, from int)
	visit = func(steps []int, from int) {
		f(steps)
		if len(steps) == p.Participations {
			return
		}
		for t := from; t < p.Steps; t++ {
			visit(append(steps[:len(steps):len(steps)], t), t+p.Separation)
		}
	}
	visit(nil, 0)
}

// slowTree counts participations in every node.
func slowTree(steps []int, n int) int {
	sum := 0
	for l := 0; 1<<l <= n; l++ {
		for i := 0; (i+1)<<l <= n; i++ {
			count := 0
			for _, t := range steps {
				if t>>l == i {
					count++
				}
			}
			sum += count * count
		}
	}
	return sum
}

func small(t *testing.T, f func(p Participation)) {
	for n := 1; n <= 13; n++ {
		for k := 1; k <= 5; k++ {
			for b := 1; b <= n; b++ {
				f(checked(t, n, k, b))
			}
		}
	}
}

func TestTreeSensitivityIsTheWorstPattern(t *testing.T) {
	small(t, func(p Participation) {
		worst := 0
		patterns(p, func(steps []int) { worst = max(worst, slowTree(steps, p.Steps)) })
		require.Equal(t, worst, treeSensitivity(p), "%+v", p)
	})
	for _, p := range []Participation{{40, 4, 7}, {61, 3, 12}, {77, 5, 13}} {
		worst := 0
		patterns(p, func(steps []int) { worst = max(worst, slowTree(steps, p.Steps)) })
		require.Equal(t, worst, treeSensitivity(p), "%+v", p)
	}
}

// Rows 38 to 40 of the reference. Those of TensorFlow Privacy count the steps between two participations:
// its test_max_tree_sensitivity_square_sum_toy, and the notebook dp_ftrl of google-research/federated.
func TestTreeSensitivityGolden(t *testing.T) {
	for _, c := range []struct{ participations, between, steps, want int }{
		{1, 7, 8, 4}, {3, 3, 9, 11}, {3, 2, 7, 9}, {8, 2, 24, 88}, {6, 313, 2000, 79}, {1, 0, 1600, 11},
	} {
		m := made(t, Parameters{Family: Tree, Participation: Participation{c.steps, c.participations, c.between + 1}})
		require.Equal(t, float64(c.want), m.SensitivitySquared(), "%+v", c)
	}
}

func event(t *testing.T, m Mechanism, sigma float64) dp.Event {
	r, err := m.Run(Noise{Dimension: 1, Clip: 1 << 14, Sigma: sigma * (1 << 14)})
	require.NoError(t, err)
	e, err := r.Event(dp.ZeroOut)
	require.NoError(t, err)
	return e
}

func TestTreePrivacyGolden(t *testing.T) {
	// Row 38: compute_eps_tree of TensorFlow Privacy asserts the bounds; exact GDP at depth 11.
	once := made(t, Parameters{Family: Tree, Participation: Participation{1600, 1, 1}})
	for _, c := range []struct{ sigma, below, gdp float64 }{{1.13, 19.74, 17.666750761}, {8.83, 2.04, 1.648658841}} {
		e := event(t, once, c.sigma)
		rdp, err := account.ByRDP([]dp.Event{e}, 1e-6)
		require.NoError(t, err)
		require.Less(t, rdp, c.below)
		gdp, err := account.GDPEpsilon(1/e.NoiseMultiplier(), 1e-6)
		require.NoError(t, err)
		require.InDelta(t, c.gdp, gdp, 1e-8)
	}
	// Row 39: Gboard Spanish.
	e := event(t, made(t, Parameters{Family: Tree, Participation: Participation{2000, 6, 314}}), 7)
	rho, err := account.ZCDPRho([]dp.Event{e})
	require.NoError(t, err)
	require.InEpsilon(t, 79.0/98, rho, 1e-12)
	require.InDelta(t, .81, rho, .005)
	gdp, err := account.GDPEpsilon(1/e.NoiseMultiplier(), 1e-10)
	require.NoError(t, err)
	require.InDelta(t, 8.526093443, gdp, 1e-8)
}

// Row 41; noise coefficients from the tests of jax_privacy.
func TestOptimalToeplitzGolden(t *testing.T) {
	for n, want := range map[int]float64{10: 1.7913439415860921, 100: 2.531352112635569, 1024: 3.2725541502731317, 2048: 3.4932286006779965} {
		c := optimalToeplitz(n)
		require.InEpsilon(t, want, toeplitzSensitivity(c, checked(t, n, 1, 1)), 1e-13)
		require.InEpsilon(t, want, errorOf(prefixOf(c, n), MaxError), 1e-13)
	}
	c := optimalToeplitz(100000)
	s := toeplitzSensitivity(c, checked(t, 100000, 1, 1))
	require.InEpsilon(t, 22.381916778640267, s*s, 1e-12, "prefixes of the optimum are its columns")
	require.InDeltaSlice(t, []float64{1, -1. / 2, -1. / 8, -1. / 16, -5. / 128}, inverseOf(optimalToeplitz(5), 5), 1e-15)
}

// Row 42; parameters from the tests of jax_privacy.
func TestBLTGolden(t *testing.T) {
	m := made(t, Parameters{Family: BLT, Participation: Participation{100000, 1, 1}, Criterion: MaxError, Buffers: 2})
	for i, want := range []float64{0.9999528892, 0.9857068667} {
		require.InEpsilon(t, want, m.buffers.decay[i], 1e-5)
	}
	for i, want := range []float64{0.0122853238, 0.1878393665} {
		require.InEpsilon(t, want, m.buffers.scale[i], 1e-5)
	}
	require.InEpsilon(t, 4.166791846703, m.SensitivitySquared(), 1e-6)
	require.InEpsilon(t, 6.733124995039, math.Pow(m.Error(MaxError), 2), 1e-6)
	require.InEpsilon(t, 28.055530332161, m.SensitivitySquared()*math.Pow(m.Error(MaxError), 2), 2e-9, "rounded up by 2^-30")
}

// slowToeplitz is the most that ||C x|| is over patterns and over x of one dimension and norm 1, signs free.
func slowToeplitz(c []float64, p Participation) float64 {
	worst := 0.0
	patterns(p, func(steps []int) {
		for signs := range 1 << len(steps) {
			column := make([]float64, p.Steps)
			for i, at := range steps {
				for j := range min(len(c), p.Steps-at) {
					column[at+j] += c[j] * float64(1-2*(signs>>i&1))
				}
			}
			worst = max(worst, dot(column, column))
		}
	})
	return worst
}

func TestToeplitzSensitivityIsTheWorstPattern(t *testing.T) {
	small(t, func(p Participation) {
		decreasing := optimalToeplitz(p.Steps)
		require.InEpsilon(t, slowToeplitz(decreasing, p), toeplitzSensitivity(decreasing, p), 1e-12, "%+v", p)
		band := []float64{1, -.3, .9, .2, -.8}
		band = band[:min(len(band), p.Steps)]
		slow := slowToeplitz(band, p)
		if len(band) <= p.Separation {
			require.InEpsilon(t, slow, toeplitzSensitivity(band, p), 1e-12, "%+v", p)
		} else {
			require.GreaterOrEqual(t, toeplitzSensitivity(band, p)*(1+1e-12), slow, "%+v", p)
		}
	})
}

func TestSensitivityIsThatOfTheWorstPattern(t *testing.T) {
	for _, p := range []Participation{{1, 1, 1}, {12, 3, 4}, {13, 0, 1}, {11, 2, 3}, {14, 0, 5}} {
		form := checked(t, p.Steps, p.Participations, p.Separation)
		for name, m := range mechanisms(t, p) {
			if m.p.Family == Tree {
				continue
			}
			slow := slowToeplitz(m.c, form)
			require.GreaterOrEqual(t, m.SensitivitySquared(), slow, "%s %+v", name, p)
			require.InEpsilon(t, slow, m.SensitivitySquared(), 1e-8, "%s %+v", name, p)
		}
	}
}

// A matrix that is worse than another that anyone can write down is not optimised.
func TestOptimaBeatTheirStart(t *testing.T) {
	p := Participation{2000, 6, 314}
	loss := func(m Mechanism, by Criterion) float64 { return m.Sensitivity() * m.Error(by) }
	for _, by := range []Criterion{MaxError, MeanError} {
		band := made(t, Parameters{Family: BandMF, Participation: p, Criterion: by, Bands: 314})
		cut := optimalToeplitz(314)
		start := math.Sqrt(toeplitzSensitivity(cut, p) * errorOf(prefixOf(cut, 2000), by))
		require.Less(t, loss(band, by), .985*start)
		tree := made(t, Parameters{Family: Tree, Participation: p})
		blt := made(t, Parameters{Family: BLT, Participation: p, Criterion: by, Buffers: 4})
		require.Less(t, loss(blt, by), 1.06*loss(band, by), "%v", by)
		require.Less(t, loss(band, by), .8*loss(tree, by))
	}
	// What is best for one figure is not best for the other.
	worst := made(t, Parameters{Family: BandMF, Participation: p, Criterion: MaxError, Bands: 64})
	mean := made(t, Parameters{Family: BandMF, Participation: p, Criterion: MeanError, Bands: 64})
	require.Less(t, loss(worst, MaxError), loss(mean, MaxError))
	require.Less(t, loss(mean, MeanError), loss(worst, MeanError))
	// One participation: the optimum is known (row 41), and bands of it all are it.
	all := made(t, Parameters{Family: BandMF, Participation: Participation{100, 1, 1}, Criterion: MaxError, Bands: 100})
	require.InEpsilon(t, 2.531352112635569, loss(all, MaxError), 1e-4)
}

// Gradients that are off lead nowhere near an optimum; differences tell.
func TestGradientOfBuffers(t *testing.T) {
	for _, by := range []Criterion{MaxError, MeanError} {
		work := newBufferLoss(3, Participation{60, 3, 15}, by)
		x := startBuffers(3, 60)
		gradient, scratch := make([]float64, 6), make([]float64, 6)
		work.of(x, gradient)
		for i := range x {
			const h = 1e-5
			was := x[i]
			x[i] = was + h
			above := work.of(x, scratch)
			x[i] = was - h
			below := work.of(x, scratch)
			x[i] = was
			require.InDelta(t, (above-below)/(2*h), gradient[i], 1e-8)
		}
	}
}

func TestTreeErrorIsThatOfItsDigits(t *testing.T) {
	weights, variances := treeWeights(3)
	require.Equal(t, int64(1<<16), weights[0])
	require.InDeltaSlice(t, []float64{1, 2. / 3, 4. / 7}, variances, 1e-9)
	p := Participation{6, 1, 6}
	// Steps 1 to 6 have digits 1, 10, 11, 100, 101, 110.
	v := []float64{1, 2. / 3, 5. / 3, 4. / 7, 11. / 7, 26. / 21}
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	require.InDelta(t, 5./3, treeError(p, MaxError), 1e-8)
	require.InDelta(t, sum/6, treeError(p, MeanError), 1e-8)
	require.Equal(t, 3, bits.Len(6))
}

func BenchmarkTreeSensitivity(b *testing.B) {
	for b.Loop() {
		if treeSensitivity(Participation{2000, 6, 314}) != 79 {
			b.Fatal("not 79")
		}
	}
}
