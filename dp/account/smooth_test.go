package account

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// partOf is a sampled Gaussian on a grid.
func partOf(t testing.TB, q, z, grid float64, count int64, lower bool) part {
	t.Helper()
	g := newGaussianLaw(q, z)
	lo, hi := span(g, 1e-18)
	c, err := divide(g, grid, lo, hi)
	require.NoError(t, err)
	if lower {
		return part{c.lower(), float64(count)}
	}
	return part{c.upper(), float64(count)}
}

func TestLowFrequenciesAgreeWithTheWholeTransform(t *testing.T) {
	for _, parts := range [][]part{
		{partOf(t, .01, 1, 1e-3, 1000, false)}, {partOf(t, .01, 1, 1e-3, 1000, true)}, {partOf(t, .1, 2, 1e-3, 200, false)},
		{partOf(t, .02, 1, 1e-3, 300, false), partOf(t, .05, 3, 1e-3, 500, false)}, {partOf(t, .3, 4, 5e-4, 5000, false)},
	} {
		for _, tg := range []target{{delta: 1e-5}, {delta: 1e-9}, {delta: .1}, {epsilon: 1}, {epsilon: 4}, {epsilon: 0}} {
			c, err := compose(parts, tg)
			require.NoError(t, err)
			require.IsType(t, &spectrum{}, c, "the fast way must be the usual one")
			s := c.(*spectrum)
			whole := &composed{grid: s.grid, tilt: s.tilt, shift: s.shift, infinite: s.infinite, slack: s.slack}
			one := make([]float64, len(parts))
			for i := range parts {
				one[i] = parts[i].logMGF(s.tilt)
			}
			lo := s.origin + float64(s.first)*s.grid
			require.NoError(t, whole.convolve(parts, one, lo, lo+s.width))
			for _, sign := range []float64{1, -1} {
				if tg.delta > 0 {
					require.InDelta(t, whole.epsilon(tg.delta, sign), s.epsilon(tg.delta, sign), 1e-6, "%v", tg)
				} else {
					require.InEpsilon(t, whole.delta(tg.epsilon, sign), s.delta(tg.epsilon, sign), 1e-5, "%v", tg)
				}
			}
			require.GreaterOrEqual(t, s.epsilon(1e-5, 1), s.epsilon(1e-5, -1))
			require.GreaterOrEqual(t, s.delta(1, 1), s.delta(1, -1))
		}
	}
}

// The reference is plain convolution, where every term is positive.
func TestLowFrequenciesAreWithinTheirErrorOfPlainConvolution(t *testing.T) {
	p := partOf(t, .2, 2, .005, 128, false)
	law := append([]float64(nil), p.mass...)
	for range 7 {
		next := make([]float64, 2*len(law)-1)
		for i, x := range law {
			if x > 1e-40 {
				for j, y := range law {
					next[i+j] += x * y
				}
			}
		}
		law = next
	}
	for _, epsilon := range []float64{0, .5, 2, 6, 12} {
		want := 0.0
		for i, x := range law {
			if s := 128*p.origin + float64(i)*p.grid; s > epsilon {
				want -= x * math.Expm1(epsilon-s)
			}
		}
		c, err := compose([]part{p}, target{epsilon: epsilon})
		require.NoError(t, err)
		s, ok := c.(*spectrum)
		require.True(t, ok)
		got, noise := s.at(epsilon)
		t.Logf("%g: %g, off by %.2g, bound %.2g", epsilon, want, got-want, noise)
		require.InDelta(t, want, got, noise+1e-13*want)
		require.Less(t, noise, 1e-8*want)
	}
}

func TestDecayBoundsTheCharacteristicFunction(t *testing.T) {
	coins := rand.New(rand.NewPCG(1, 2))
	laws := [][]float64{partOf(t, .01, 1, 1e-3, 1, false).mass, partOf(t, .001, 1, 1e-3, 1, false).mass, partOf(t, .001, 1, 1e-4, 1, true).mass,
		{.5, .5}, {1}, {.9, 0, .1}, {.45, .05, .45, .05}}
	for range 20 {
		w := make([]float64, 1+coins.IntN(40))
		for i := range w {
			w[i] = coins.Float64() * coins.Float64()
		}
		laws = append(laws, w)
	}
	for _, w := range laws {
		d := decayOf(w)
		worst := 0.0
		for k := 4000; k > 0; k-- { // from pi down
			angle := math.Pi * float64(k) / 4000
			var phi complex128
			z, step := complex(1, 0), cmplx.Rect(1, angle)
			for _, x := range w {
				phi += complex(x, 0) * z
				z *= step
			}
			worst = max(worst, cmplx.Abs(phi))
			require.GreaterOrEqual(t, d.at(angle), worst*(1-1e-9), "angle %g of %d masses", angle, len(w))
		}
	}
	wide := decayOf(laws[0])
	require.Less(t, wide.at(.5), .5, "a bound that bounds something")
}

func TestInterpolationErrorIsBounded(t *testing.T) {
	for r, w := range lagrangeWeights(64) {
		x := float64(r) / 64
		for _, angle := range []float64{.01, .1, .3, .6, 1} {
			var got complex128
			for i, v := range w {
				got += complex(v, 0) * cmplx.Rect(1, angle*float64(i-lagrange/2+1))
			}
			bound := lagrangeError*math.Pow(angle, lagrange) + 1e-15
			require.LessOrEqual(t, cmplx.Abs(got-cmplx.Rect(1, angle*x)), bound)
		}
	}
}

// Hockey sticks of a law of losses and of the cells of a pair.
func stick(a atoms, epsilon float64) float64 {
	sum := a.infinite
	for i, m := range a.mass {
		if s := a.origin + float64(i)*a.grid; s > epsilon {
			sum -= m * math.Expm1(epsilon-s)
		}
	}
	return sum
}

func TestRoundingGoesTheSafeWay(t *testing.T) {
	laws := map[string]law{
		"gaussian": newGaussianLaw(1, 1), "sampled": newGaussianLaw(.01, 1), "rare": newGaussianLaw(1e-4, 1), "replaced": replaceLaw(.1, 2),
		"laplace": laplaceLaw{.3, 1}, "laplace unsampled": laplaceLaw{1, .5},
		"blend": blend{.3, replaceLaw(.4, 1), newGaussianLaw(.2, 1)},
	}
	d, err := newDiscreteGaussianLaw(.2, 2, 1)
	require.NoError(t, err)
	laws["discrete"] = d
	for name, l := range laws {
		for _, grid := range []float64{.3, .05, 1e-3, 1e-4} {
			for _, swap := range []bool{false, true} {
				lo, hi := span(l, 1e-6)
				if (hi-lo)/grid > 1e5 {
					continue
				}
				c, err := divide(l, grid, lo, hi)
				require.NoError(t, err)
				if swap {
					c = c.swapped()
				}
				up, down := c.upper(), c.lower()
				total := up.infinite
				for _, m := range up.mass {
					total += m
				}
				require.InDelta(t, 1, total, 1e-9, "%s: nothing is lost above", name)
				for i := -20; i <= 40; i++ {
					// At edges, where the pair of cells is known exactly.
					k := int(math.Round(float64(i) * float64(len(c.p)) / 40))
					if k < 0 || k > len(c.p) {
						continue
					}
					e := c.origin + float64(k)*grid
					above, q := c.pOver, c.qOver
					for j := len(c.p) - 1; j >= k; j-- {
						above, q = above+c.p[j], q+c.q[j]
					}
					truth := above - math.Exp(e)*q
					tol := 1e-12 * (1 + math.Exp(e)*q)
					require.GreaterOrEqual(t, stick(up, e), truth-tol, "%s grid %g swapped %v at %g", name, grid, swap, e)
					require.LessOrEqual(t, stick(up, e), truth+1e-9+tol+c.pOver+c.qOver*math.Exp(e), "%s: connect the dots is exact at the dots", name)
					require.LessOrEqual(t, stick(down, e), truth+tol, "%s grid %g swapped %v at %g", name, grid, swap, e)
				}
			}
		}
	}
}

// A step that lies on one or two points of the grid.
func TestLowerBoundSurvivesAStepNarrowerThanTheGrid(t *testing.T) {
	g := newGaussianLaw(1e-4, 1)
	lo, hi := span(g, 1e-18)
	c, err := divide(g, 2.5e-5, lo, hi)
	require.NoError(t, err)
	for range 2 {
		a := c.lower()
		mean, want := 0.0, 0.0
		for i, m := range a.mass {
			mean += m * (a.origin + float64(i)*a.grid)
		}
		for i, p := range c.p {
			if p > 0 && c.q[i] > 0 {
				want += p * math.Log(p/c.q[i])
			}
		}
		require.Less(t, mean, want)
		require.Greater(t, mean, want-1e-9, "a step loses little of its mean loss of %g", want)
		c = c.swapped()
	}
}

func TestErrorsAreAddedAboveAndTakenBelow(t *testing.T) {
	const delta = 1e-5
	for _, grow := range []func(s *spectrum){
		func(s *spectrum) { s.err[0] += .01 }, func(s *spectrum) { s.slack = .01 }, func(s *spectrum) { s.err[1] += .01 },
	} {
		c, err := compose([]part{partOf(t, .02, 1, 1e-3, 500, false)}, target{delta: delta})
		require.NoError(t, err)
		s := c.(*spectrum)
		up, down := s.epsilon(delta, 1), s.epsilon(delta, -1)
		most, least := s.delta(1, 1), s.delta(1, -1)
		grow(s)
		require.Greater(t, s.epsilon(delta, 1), up+1e-5)
		require.Less(t, s.epsilon(delta, -1), down-1e-5)
		require.Greater(t, s.delta(1, 1), most*(1+1e-6))
		require.Less(t, s.delta(1, -1), least*(1-1e-6))
	}
}

func TestInfiniteLossesCountAboveOnly(t *testing.T) {
	for _, steps := range []int64{1, 3, 500} { // as it is, the whole transform, the low frequencies
		for _, tg := range []target{{delta: 1e-5}, {epsilon: 1}} {
			p := partOf(t, .02, 1, 1e-3, steps, false)
			p.infinite = 4e-6 / float64(steps)
			c, err := compose([]part{p}, tg)
			require.NoError(t, err)
			p.infinite = 0
			without, err := compose([]part{p}, tg)
			require.NoError(t, err)
			p.infinite = 1e-5 / float64(steps)
			all, err := compose([]part{p}, tg)
			require.NoError(t, err)
			require.True(t, math.IsInf(all.epsilon(1e-5, 1), 1), "%d steps: no epsilon bounds it", steps)
			require.False(t, math.IsInf(all.epsilon(1e-5, -1), 1))
			if tg.delta > 0 {
				require.InDelta(t, without.epsilon(6e-6, 1), c.epsilon(1e-5, 1), 1e-5)
				require.InDelta(t, without.epsilon(1e-5, -1), c.epsilon(1e-5, -1), 1e-9)
			} else {
				require.InDelta(t, without.delta(1, 1)+4e-6, c.delta(1, 1), 1e-12)
				require.InDelta(t, without.delta(1, -1), c.delta(1, -1), 1e-12)
			}
		}
	}
}

// reversed is the pair (Q, P) of a law.
type reversed struct{ law }

func (r reversed) at(e float64) edge {
	x := r.law.at(-e)
	return edge{x.qAbove, x.qBelow, x.pAbove, x.pBelow}
}

func TestTheWorseDirectionCounts(t *testing.T) {
	for _, steps := range []int64{1, 5, 1000} {
		l := newGaussianLaw(.02, 1)
		forth, back := &PLD{groups: []group{{l, steps}}}, &PLD{groups: []group{{reversed{l}, steps}}}
		a, err := forth.EpsilonAt(1e-3, 1e-5)
		require.NoError(t, err)
		b, err := back.EpsilonAt(1e-3, 1e-5)
		require.NoError(t, err)
		require.InEpsilon(t, a.Epsilon, b.Epsilon, 1e-6)
		require.InEpsilon(t, a.Lower, b.Lower, .05)
	}
}

// Bounds of a coarse grid hold around those of a fine one, whatever the plan.
func TestBoundsNestOnFinerGrids(t *testing.T) {
	coins := rand.New(rand.NewPCG(3, 4))
	uniform := func(lo, hi float64) float64 { return lo + (hi-lo)*coins.Float64() }
	for range 30 {
		var p PLD
		for range 1 + coins.IntN(2) {
			q, z, steps := math.Exp(uniform(-8, -.1)), math.Exp(uniform(-.5, 1.5)), int64(math.Exp(uniform(0, 9)))
			laws := []law{newGaussianLaw(q, z), replaceLaw(q, 2*z), laplaceLaw{q, 1 / z}, reversed{newGaussianLaw(q, z)}}
			p.groups = append(p.groups, group{laws[min(3, coins.IntN(6))], steps})
		}
		delta := math.Exp(uniform(-25, -1))
		coarse, err := p.EpsilonAt(8e-3, delta)
		if isTooLarge(err) {
			continue
		}
		require.NoError(t, err)
		fine, err := p.EpsilonAt(2e-3, delta)
		if isTooLarge(err) {
			continue
		}
		require.NoError(t, err)
		require.GreaterOrEqual(t, coarse.Epsilon, fine.Lower, "%+v at %g", p.groups, delta)
		require.LessOrEqual(t, coarse.Lower, fine.Epsilon, "%+v at %g", p.groups, delta)
		require.GreaterOrEqual(t, fine.Epsilon, fine.Lower)
		if coarse.Grid >= fine.Grid {
			require.LessOrEqual(t, fine.Epsilon, coarse.Epsilon*(1+1e-6)+1e-9, "nested grids only improve: %+v at %g", p.groups, delta)
		}
		back, err := p.at(2e-3, target{epsilon: fine.Epsilon}, true)
		require.NoError(t, err)
		require.LessOrEqual(t, back.Lower, delta*(1+1e-6), "the other way round")
		back, err = p.at(2e-3, target{epsilon: 1.01*fine.Epsilon + 2*fine.Grid}, false)
		require.NoError(t, err)
		if back.Grid == fine.Grid {
			require.LessOrEqual(t, back.Delta, delta, "%+v", p.groups)
		}
	}
}

func isTooLarge(err error) bool { return errorIsOneOf(err, ErrTooLarge) }
