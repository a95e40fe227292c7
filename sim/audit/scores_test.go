package audit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/choir-fl/choir/dp/account"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mathext"
)

// shifted are the scores of jax_privacy's test_epsilon_one_run_close: quantiles of the
// normal law at the middles of n equal parts, those that were in shifted upwards.
func shifted(t testing.TB, n int, shift float64) Scores {
	var scores []float64
	var in []bool
	for k := range n {
		x := mathext.NormalQuantile((float64(k) + .5) / float64(n))
		scores = append(scores, x, x+shift)
		in = append(in, false, true)
	}
	s, err := NewScores(scores, in)
	require.NoError(t, err)
	return s
}

// Golden: google-deepmind/jax_privacy, jax_privacy/auditing_test.py,
// test_epsilon_one_run_close (10,000 scores of either kind, significance .05, delta
// 1e-6, rtol 1e-5).
func TestSearchOverCornersFindsTheBoundsOfJaxPrivacy(t *testing.T) {
	for _, g := range []struct{ shift, oneRun, fdp float64 }{
		{0, 0, 0}, {1, 1.13346, 2.164749}, {2, 2.311945, 4.7218075}, {4, 4.395568, 9.133752},
	} {
		s := shifted(t, 10_000, g.shift)
		corners := s.Corners()
		one, err := s.EpsilonOneRun(corners, .05, 1e-6)
		require.NoError(t, err)
		require.InDelta(t, g.oneRun, one.Epsilon, 1e-5*g.oneRun, "shift %g", g.shift)
		f, err := s.EpsilonFDP(corners, .05, 1e-6)
		require.NoError(t, err)
		require.InDelta(t, g.fdp, f.Epsilon, 1e-5*g.fdp, "shift %g", g.shift)
	}
}

// Google's corners of the same scores, as numbers of guesses: auditing_test.py,
// test_get_tn_fn_counts and the three after it, whose points are true and false
// negatives at each threshold.
func TestCornersAreThoseOfTheHull(t *testing.T) {
	for _, g := range []struct {
		in, out []float64
		want    []int
	}{
		{[]float64{1.5, 2.5, .5, 3.5}, []float64{0, 3, 2, 1}, []int{0, 1, 7, 8}},
		{[]float64{0, 1, 1, 2}, []float64{0, 0, 1, 1}, []int{0, 1, 5, 8}},
		{[]float64{0, 0, 1, 2}, []float64{0, 1, 1, 1}, []int{0, 1, 8}},
		{make([]float64, 4), make([]float64, 4), []int{0, 8}},
	} {
		s, err := NewScores(append(g.in, g.out...), []bool{true, true, true, true, false, false, false, false})
		require.NoError(t, err)
		var got []int
		for _, guess := range s.Corners() {
			require.Zero(t, guess.Bottom)
			got = append(got, guess.Top)
		}
		require.Equal(t, g.want, got)
	}
}

func TestSearchFindsTheBestGuessOfTheListAtItsShareOfTheSignificance(t *testing.T) {
	s := shifted(t, 1000, 1.3)
	guesses := Grid(2000)
	var one, fdp float64
	for _, g := range guesses {
		c, err := s.Count(g)
		require.NoError(t, err)
		e, err := c.EpsilonOneRun(.05/float64(len(guesses)), 1e-6)
		require.NoError(t, err)
		one = max(one, e)
		e, err = c.EpsilonFDP(.05/float64(len(guesses)), 1e-6)
		require.NoError(t, err)
		fdp = max(fdp, e)
	}
	require.Positive(t, one)
	f, err := s.EpsilonOneRun(guesses, .05, 1e-6)
	require.NoError(t, err)
	require.InDelta(t, one, f.Epsilon, 1e-9)
	again, err := f.Count.EpsilonOneRun(.05/float64(len(guesses)), 1e-6)
	require.NoError(t, err)
	require.InDelta(t, f.Epsilon, again, 1e-9, "the outcome is that of the bound")
	f, err = s.EpsilonFDP(guesses, .05, 1e-6)
	require.NoError(t, err)
	require.InDelta(t, fdp, f.Epsilon, 1e-9)
}

// Each canary is one release of a Gaussian mechanism of its own: the claim is exact.
func TestBoundsStayBelowTheTruthAsOftenAsTheyPromise(t *testing.T) {
	const runs, m, mu, alpha, delta = 200, 1000, 1.5, .2, 1e-5
	truth, err := account.GDPEpsilon(mu, delta)
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(4, 4))
	var above, aboveFDP int
	var sum, sumFDP float64
	for range runs {
		scores, in := make([]float64, m), make([]bool, m)
		for i := range scores {
			in[i] = r.Uint64()&1 == 1
			scores[i] = r.NormFloat64() + mu*float64(bit(in[i]))
		}
		s, err := NewScores(scores, in)
		require.NoError(t, err)
		one, err := s.EpsilonOneRun(Grid(m), alpha, delta)
		require.NoError(t, err)
		f, err := s.EpsilonFDP(Grid(m), alpha, delta)
		require.NoError(t, err)
		above += bit(one.Epsilon > truth)
		aboveFDP += bit(f.Epsilon > truth)
		sum += one.Epsilon
		sumFDP += f.Epsilon
	}
	require.Less(t, above, runs/4, "of %d runs", runs)
	require.Less(t, aboveFDP, runs/4, "of %d runs", runs)
	require.Greater(t, sum/runs, .2*truth)
	require.Greater(t, sumFDP/runs, .5*truth)
	t.Logf("true %.3f, one run %.3f (%d above), f-DP %.3f (%d above)", truth, sum/runs, above, sumFDP/runs, aboveFDP)
}

func TestGuessesCountBothEnds(t *testing.T) {
	s, err := NewScores([]float64{5, 1, 3, 2, 4}, []bool{true, false, false, true, false})
	require.NoError(t, err)
	for _, g := range []struct {
		guess   Guess
		correct int
	}{{Guess{}, 0}, {Guess{Top: 1}, 1}, {Guess{Top: 2}, 1}, {Guess{Bottom: 1}, 1}, {Guess{Bottom: 2}, 1}, {Guess{Top: 2, Bottom: 3}, 3}} {
		c, err := s.Count(g.guess)
		require.NoError(t, err)
		require.Equal(t, Count{5, g.guess.Top + g.guess.Bottom, g.correct}, c, "%v", g.guess)
	}
	for _, g := range []Guess{{-1, 0}, {0, -1}, {6, 0}, {0, 6}, {3, 3}, {math.MaxInt, math.MaxInt}} {
		_, err := s.Count(g)
		require.ErrorIs(t, err, ErrCount, "%v", g)
		_, err = s.EpsilonOneRun([]Guess{g}, .05, 0)
		require.ErrorIs(t, err, ErrCount, "%v", g)
	}
}

func TestEqualScoresTellNothing(t *testing.T) {
	const m = 64
	for first := range 2 { // whichever come first in the arguments
		in := make([]bool, m)
		for i := range in {
			in[i] = i%2 == first
		}
		s, err := NewScores(make([]float64, m), in)
		require.NoError(t, err)
		c, err := s.Count(Guess{Top: 10, Bottom: 10})
		require.NoError(t, err)
		require.Zero(t, c.Correct)
	}
}

func TestGridIsFixedByTheNumberOfCanaries(t *testing.T) {
	require.Equal(t, []Guess{{50, 50}, {25, 25}, {13, 12}}, Grid(100)[:3])
	require.Empty(t, Grid(15))
	require.Empty(t, Grid(-1))
	for m := 16; m < 3000; m += 7 {
		s := Scores{values: make([]float64, m), in: make([]int, m+1)}
		for _, g := range Grid(m) {
			_, err := s.Count(g)
			require.NoError(t, err)
			require.GreaterOrEqual(t, g.Top+g.Bottom, 16)
		}
	}
}

func TestScoresThatCannotBeAreRefused(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		_, err := NewScores([]float64{1, x}, []bool{true, false})
		require.ErrorIs(t, err, ErrScores)
	}
	_, err := NewScores(nil, nil)
	require.ErrorIs(t, err, ErrScores)
	_, err = NewScores([]float64{1, 2}, []bool{true})
	require.ErrorIs(t, err, ErrScores)
	_, err = shifted(t, 10, 1).EpsilonOneRun(nil, .05, 0)
	require.ErrorIs(t, err, ErrCount)
	_, err = Scores{}.EpsilonFDP([]Guess{{}}, .05, .1)
	require.ErrorIs(t, err, ErrCount)
}
