package audit

import (
	"math"
	"testing"

	"github.com/choir-fl/choir/dp/account"
	"github.com/stretchr/testify/require"
)

func TestAllGuessesRightGiveTheEpsilonAtWhichThatIsSignificant(t *testing.T) {
	// Own: q^n = .05 at q = e^eps/(1+e^eps).
	for _, g := range []struct {
		n       int
		epsilon float64
	}{{100, 3.492965431}, {1000, 5.809068339}} {
		e, err := Count{g.n, g.n, g.n}.EpsilonOneRun(.05, 0)
		require.NoError(t, err)
		require.InDelta(t, g.epsilon, e, 1e-9)
	}
}

// naive is the formula read off the page, on probabilities of single outcomes.
func naive(c Count, epsilon, delta float64) float64 {
	q := 1 / (1 + math.Exp(-epsilon))
	mass := func(k int) float64 {
		b := 1.0
		for i := 1; i <= k; i++ {
			b *= float64(c.Guesses-k+i) / float64(i) * q
		}
		return b * math.Pow(1-q, float64(c.Guesses-k))
	}
	var tail, steepest, sum float64
	for k := c.Correct; k <= c.Guesses; k++ {
		tail += mass(k)
	}
	for i := 1; i <= c.Correct; i++ {
		sum += mass(c.Correct - i)
		steepest = max(steepest, sum/float64(i))
	}
	return min(1, tail+2*float64(c.Canaries)*delta*steepest)
}

func TestPValueIsTheFormula(t *testing.T) {
	for _, m := range []int{1, 7, 60, 300} {
		for _, r := range []int{0, 1, 5, 60, 250} {
			for v := 0; v <= min(r, m); v += 1 + r/7 {
				for _, epsilon := range []float64{0, .3, 1, 2.5, 7} {
					for _, delta := range []float64{0, 1e-6, 1e-3, .2} {
						c := Count{m, min(r, m), v}
						p, err := c.PValue(epsilon, delta)
						require.NoError(t, err)
						require.InEpsilon(t, naive(c, epsilon, delta), p, 1e-9, "%v at %g, %g", c, epsilon, delta)
					}
				}
			}
		}
	}
	p, err := Count{10, 10, 10}.PValue(100, .1)
	require.NoError(t, err)
	require.InDelta(t, 1, p, 1e-12, "nothing refutes epsilon 100")
}

func TestTheBoundIsWhereThePValueCrossesTheSignificance(t *testing.T) {
	for _, c := range []Count{{20000, 3376, 2807}, {1000, 1000, 620}, {500, 40, 40}} {
		for _, delta := range []float64{0, 1e-6, 1e-5} {
			e, err := c.EpsilonOneRun(.01, delta)
			require.NoError(t, err)
			below, err := c.PValue(e-1e-9, delta)
			require.NoError(t, err)
			above, err := c.PValue(e+1e-9, delta)
			require.NoError(t, err)
			require.LessOrEqual(t, below, .01)
			require.Greater(t, above, .01)
		}
	}
}

func TestBoundsRiseWithRightGuessesAndSignificanceAndFallWithDelta(t *testing.T) {
	one := func(v int, alpha, delta float64) float64 {
		e, err := Count{1000, 200, v}.EpsilonOneRun(alpha, delta)
		require.NoError(t, err)
		return e
	}
	fdp := func(v int, alpha, delta float64) float64 {
		e, err := Count{1000, 200, v}.EpsilonFDP(alpha, delta)
		require.NoError(t, err)
		return e
	}
	for _, f := range []func(v int, alpha, delta float64) float64{one, fdp} {
		last := -1.0
		for v := 120; v <= 200; v += 10 {
			e := f(v, .05, 1e-6)
			require.Greater(t, e, last)
			last = e
		}
		require.Greater(t, f(150, .05, 1e-6), f(150, .01, 1e-6))
		require.Greater(t, f(150, .05, 1e-6), f(150, .05, 1e-3))
		require.Zero(t, f(100, .05, 1e-6), "half right is chance")
		require.Zero(t, f(0, .05, 1e-6))
	}
	require.Greater(t, fdp(150, .05, 1e-6), one(150, .05, 1e-6), "the stronger hypothesis is refuted further up")
}

// The law of right guesses when all m coins are guessed for m separate Gaussian
// releases is binomial at Phi(mu/2), so the recursion may refute mu only where that
// binomial is rarely so large.
func TestFDPDoesNotRefuteWhatSeparateGaussiansReach(t *testing.T) {
	const m, alpha = 500, .05
	for _, mu := range []float64{.2, .5, 1} {
		q := normal(mu / 2)
		epsilon := math.Log(q / (1 - q)) // a binomial at q is what this epsilon gives
		for v := 250; v <= m; v++ {
			c := Count{m, m, v}
			if c.refutes(mu, alpha) {
				require.LessOrEqual(t, c.binomialTail(epsilon), alpha, "%d right at mu %g", v, mu)
			}
		}
		require.True(t, Count{m, m, m}.refutes(mu, alpha))
		mean := int(math.Round(m * q))
		require.False(t, Count{m, m, mean}.refutes(mu, alpha), "what is expected is not refuted")
	}
}

func TestFDPBoundIsTheEpsilonOfTheLargestMuThatIsRefuted(t *testing.T) {
	c := Count{2000, 300, 260}
	e, err := c.EpsilonFDP(.05, 1e-5)
	require.NoError(t, err)
	mu := c.mu(0, .05)
	require.True(t, c.refutes(mu, .05))
	require.False(t, c.refutes(mu+1e-9, .05))
	want, err := account.GDPEpsilon(mu, 1e-5)
	require.NoError(t, err)
	require.InDelta(t, want, e, 1e-12)
}

func TestCountsThatCannotBeAreRefused(t *testing.T) {
	for _, c := range []Count{{}, {-1, 0, 0}, {10, 11, 5}, {10, 5, 6}, {10, 5, -1}, {10, -1, -1}, {MaxCanaries + 1, 1, 1}} {
		_, err := c.EpsilonOneRun(.05, 0)
		require.ErrorIs(t, err, ErrCount, "%v", c)
		_, err = c.EpsilonFDP(.05, 1e-5)
		require.ErrorIs(t, err, ErrCount, "%v", c)
		_, err = c.PValue(1, 0)
		require.ErrorIs(t, err, ErrCount, "%v", c)
	}
}

func TestLevelsOutOfRangeAreRefused(t *testing.T) {
	nan, c, s := math.NaN(), Count{100, 50, 40}, shifted(t, 50, 1)
	for _, l := range []struct{ alpha, delta float64 }{
		{0, .1}, {1, .1}, {-.1, .1}, {nan, .1}, {1e-200, .1}, {.05, -1e-9}, {.05, 1}, {.05, nan}, {.05, 2},
	} {
		_, err := c.EpsilonOneRun(l.alpha, l.delta)
		require.ErrorIs(t, err, ErrLevel, "%v", l)
		_, err = c.EpsilonFDP(l.alpha, l.delta)
		require.ErrorIs(t, err, ErrLevel, "%v", l)
		_, err = s.EpsilonOneRun(Grid(100), l.alpha, l.delta)
		require.ErrorIs(t, err, ErrLevel, "%v", l)
		_, err = s.EpsilonFDP(Grid(100), l.alpha, l.delta)
		require.ErrorIs(t, err, ErrLevel, "%v", l)
	}
	_, err := c.EpsilonFDP(.05, 0)
	require.ErrorIs(t, err, ErrLevel, "Gaussian noise has no epsilon at delta 0")
	_, err = Count{100, 50, 25}.EpsilonFDP(.05, 0)
	require.ErrorIs(t, err, ErrLevel, "whatever was found")
	_, err = s.EpsilonFDP(Grid(100), .05, 0)
	require.ErrorIs(t, err, ErrLevel)
	for _, e := range []float64{-1, nan, math.Inf(1)} {
		_, err := c.PValue(e, 0)
		require.ErrorIs(t, err, ErrLevel)
	}
	for _, d := range []float64{-1, nan, 1} {
		_, err := c.PValue(1, d)
		require.ErrorIs(t, err, ErrLevel)
	}
}
