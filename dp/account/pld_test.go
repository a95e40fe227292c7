package account

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
)

// within says that bounds hold around the finest value known, and are no looser than the
// anchor's at grid 1e-4.
func within(t *testing.T, row string, b PLDBound, fine, pld float64) {
	t.Helper()
	if fine == 0 {
		require.LessOrEqual(t, b.Lower, pld+1e-6, row)
		require.LessOrEqual(t, b.Epsilon, pld+1e-6, row)
		return
	}
	require.LessOrEqual(t, b.Lower, fine+1e-8, row)
	require.GreaterOrEqual(t, b.Epsilon, fine-2e-5, row)
	require.LessOrEqual(t, b.Epsilon, pld+1e-6, row)
}

func TestPLDOfSampledGaussiansMatchesTheAnchors(t *testing.T) {
	for _, g := range golden {
		p, err := NewPLD([]dp.Event{gaussian(t, g.q, g.z, g.steps)})
		require.NoError(t, err)
		b, err := p.EpsilonAt(1e-4, g.delta)
		require.NoError(t, err)
		t.Logf("row %s: %.8f to %.8f; anchor %.8f, fine %.8f %.6f", g.row, b.Lower, b.Epsilon, g.pld, g.fine, g.prv)
		within(t, g.row, b, g.fine, g.pld)
		if g.prv != 0 { // an estimate to 0.0101 at delta within a thousandth
			require.InDelta(t, g.prv, b.Epsilon, .0102, g.row)
		}
		require.LessOrEqual(t, b.Lower, b.Epsilon)
	}
}

func TestPLDOfOtherMechanismsMatchesTheAnchors(t *testing.T) {
	poisson := func(q float64) dp.Sampling { return dp.Sampling{Mode: dp.SamplingPoisson, Rate: q} }
	t.Run("row 25", func(t *testing.T) {
		p, err := NewPLD([]dp.Event{gaussian(t, .2, .5, 3)})
		require.NoError(t, err)
		b, err := p.Delta(1, 0)
		require.NoError(t, err)
		t.Log(b)
		require.InDelta(t, .15594, b.Delta, 1e-3)
	})
	t.Run("row 26", func(t *testing.T) {
		p, err := NewPLD([]dp.Event{gaussian(t, 1, math.Sqrt(3), 3)})
		require.NoError(t, err)
		b, err := p.Delta(1, 0)
		require.NoError(t, err)
		require.InDelta(t, .126936, b.Delta, 1e-6)
		rate, err := p.TruePositiveRate(.1)
		require.NoError(t, err)
		require.InDelta(t, 0.3891430, rate, 1e-6) // 1 - Phi(Phi^-1(.9) - 1)
	})
	t.Run("row 28", func(t *testing.T) {
		var events []dp.Event
		for n, count := range map[int]int64{4: 3, 3: 2} {
			events = append(events, event(t, dp.Spec{Mechanism: dp.Gaussian, Relation: dp.AddRemove, StdDev: 1, Clip: 1, Dimension: 1, Count: count,
				Sampling: dp.Sampling{Mode: dp.SamplingTruncatedPoisson, Rate: .5, Population: n, Size: 2}}))
		}
		p, err := NewPLD(events)
		require.NoError(t, err)
		b, err := p.EpsilonAt(5e-4, 1e-6)
		require.NoError(t, err)
		t.Log(b)
		require.InDelta(t, 17.904330, b.Epsilon, 1e-6)
	})
	t.Run("row 30", func(t *testing.T) {
		p, err := NewMixturePLD(1, []float64{0, 1, 2}, []float64{.2, .6, .2}, 3)
		require.NoError(t, err)
		q, err := NewMixturePLD(2, []float64{0, 2, 3}, []float64{.33, .34, .33}, 2)
		require.NoError(t, err)
		b, err := p.Plus(q).EpsilonAt(5e-4, 1e-6)
		require.NoError(t, err)
		t.Log(b)
		require.InDelta(t, 17.193115, b.Epsilon, 1e-6)
	})
	t.Run("row 31", func(t *testing.T) {
		for r, want := range map[dp.Relation]float64{dp.AddRemove: 1.82824365, dp.ZeroOut: 1.82824365, dp.ReplaceOne: 2.84344581} {
			p, err := NewPLD([]dp.Event{event(t, dp.Spec{Mechanism: dp.Gaussian, Relation: r, StdDev: 1, Clip: 1, Dimension: 1, Count: 1000, Sampling: poisson(.01)})})
			require.NoError(t, err)
			b, err := p.EpsilonAt(1e-4, 1e-5)
			require.NoError(t, err)
			t.Log(r, b)
			within(t, r.String(), b, 0, want)
			require.InDelta(t, want, b.Epsilon, 2e-4)
		}
	})
	t.Run("row 44", func(t *testing.T) {
		for _, g := range []struct {
			sigma         int64
			clip, epsilon float64
		}{{1, 1, 4.430238055279}, {3, 1, 1.267467816012}, {10, 10, 4.377700641249}, {100, 100, 4.377187413241}} {
			p, err := NewPLD([]dp.Event{event(t, dp.Spec{Mechanism: dp.DiscreteGaussian, Relation: dp.ZeroOut, Variance: big.NewRat(g.sigma*g.sigma, 1),
				Clip: g.clip, Dimension: 1, Count: 1, Sampling: dp.Sampling{Mode: dp.SamplingNone}})})
			require.NoError(t, err)
			b, err := p.EpsilonAt(1e-4, 1e-5)
			require.NoError(t, err)
			t.Log(g, b)
			require.GreaterOrEqual(t, b.Epsilon, g.epsilon-1e-11)
			require.LessOrEqual(t, b.Lower, g.epsilon+1e-11)
			require.InDelta(t, g.epsilon, b.Epsilon, 1e-7)
		}
	})
}

// One step of a sampled Gaussian: the best test looks at which side of a point the sum is.
func TestTruePositiveRateIsThatOfTheBestTest(t *testing.T) {
	p, err := NewPLD([]dp.Event{gaussian(t, .5, 1, 1)})
	require.NoError(t, err)
	for alpha, point := range map[float64]float64{.1: 1.2815515655446004, .01: 2.3263478740408408} {
		rate, err := p.TruePositiveRate(alpha)
		require.NoError(t, err)
		best := .5*alpha + .5*tail(point-1)
		t.Log(alpha, rate, best)
		require.GreaterOrEqual(t, rate, best)
		require.InDelta(t, best, rate, 1e-5)
	}
}

func TestGridIsRefinedToTheTolerance(t *testing.T) {
	for _, g := range golden {
		p, err := NewPLD([]dp.Event{gaussian(t, g.q, g.z, g.steps)})
		require.NoError(t, err)
		b, err := p.Epsilon(g.delta, 0)
		require.NoError(t, err)
		t.Logf("row %s: %.8f to %.8f on %g; anchor %.8f, fine %.8f %.6f", g.row, b.Lower, b.Epsilon, b.Grid, g.pld, g.fine, g.prv)
		require.LessOrEqual(t, b.Epsilon-b.Lower, DefaultTolerance*b.Epsilon)
	}
}

func TestWhatIsNotCoveredIsRefused(t *testing.T) {
	none := dp.Sampling{Mode: dp.SamplingNone}
	poisson := dp.Sampling{Mode: dp.SamplingPoisson, Rate: .1}
	many := event(t, dp.Spec{Mechanism: dp.DiscreteGaussian, Relation: dp.ZeroOut, Variance: big.NewRat(4, 1), Clip: 1, Dimension: 2, Count: 1, Sampling: none})
	_, err := NewPLD([]dp.Event{many})
	require.ErrorIs(t, err, ErrUnsupported, "a discrete Gaussian on many coordinates")
	replace := event(t, dp.Spec{Mechanism: dp.Gaussian, Relation: dp.ReplaceOne, StdDev: 1, Clip: 1, Dimension: 1, Count: 1, Sampling: poisson})
	_, err = NewCurve([]dp.Event{replace})
	require.ErrorIs(t, err, ErrUnsupported)
	_, err = NewCurve([]dp.Event{replace, many})
	require.ErrorIs(t, err, dp.ErrMixed)
	_, err = GDPMu([]dp.Event{gaussian(t, .1, 1, 1)})
	require.ErrorIs(t, err, ErrUnsupported, "sampled")
	_, err = ZCDPRho([]dp.Event{gaussian(t, .1, 1, 1)})
	require.ErrorIs(t, err, ErrUnsupported, "sampled")
	c, err := NewCurve([]dp.Event{gaussian(t, .1, 1, 1)})
	require.NoError(t, err)
	p, err := NewPLD([]dp.Event{gaussian(t, .1, 1, 1)})
	require.NoError(t, err)
	for _, bad := range []float64{0, 1, -1, math.NaN(), math.Inf(1)} {
		_, err = c.Epsilon(bad)
		require.ErrorIs(t, err, ErrTarget)
		_, err = p.Epsilon(bad, 0)
		require.ErrorIs(t, err, ErrTarget)
		_, err = GDPEpsilon(1, bad)
		require.ErrorIs(t, err, ErrTarget)
	}
	for _, bad := range []float64{0, 1, -1, math.NaN()} {
		_, err = PoissonGaussianRDP(.1, 1, bad)
		require.ErrorIs(t, err, ErrOrder)
	}
}

func TestRenyiDivergenceIsFiniteAndGrowsWithTheOrder(t *testing.T) {
	for _, q := range []float64{1e-7, 1e-4, .01, .5, .999} {
		for _, z := range []float64{.02, .1, .3, 1, 30} {
			last := 0.0
			for _, a := range Orders() {
				r, err := PoissonGaussianRDP(q, z, a)
				require.NoError(t, err)
				require.Greater(t, r, last*(1-1e-9), "q %g z %g order %g", q, z, a)
				require.LessOrEqual(t, r, a/(2*z*z)*(1+1e-9), "no more than without sampling")
				last = r
			}
		}
	}
}

func BenchmarkPLD(b *testing.B) {
	for _, g := range golden {
		if g.q == 1 {
			continue
		}
		for _, grid := range []float64{1e-4, 1e-5} {
			b.Run(fmt.Sprintf("row=%s/grid=%g", g.row, grid), func(b *testing.B) {
				p, err := NewPLD([]dp.Event{gaussian(b, g.q, g.z, g.steps)})
				require.NoError(b, err)
				for b.Loop() {
					if _, err := p.EpsilonAt(grid, g.delta); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkCurve(b *testing.B) {
	for _, e := range []dp.Event{gaussian(b, .01, 1, 1000), gaussian(b, .1, 1, 100)} {
		b.Run(fmt.Sprint(e.Spec().Sampling.Rate), func(b *testing.B) {
			for b.Loop() {
				if _, err := NewCurve([]dp.Event{e}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("fixed", func(b *testing.B) {
		e := event(b, dp.Spec{Mechanism: dp.Gaussian, Relation: dp.ReplaceOne, StdDev: 2, Clip: 1, Dimension: 1, Count: 100,
			Sampling: dp.Sampling{Mode: dp.SamplingFixed, Population: 1000, Size: 10}})
		for b.Loop() {
			if _, err := NewCurve([]dp.Event{e}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
