package audit

import (
	"math"
	"testing"

	"github.com/choir-fl/choir/secagg/field"
	"github.com/stretchr/testify/require"
)

func plan(t testing.TB, seed byte, count, dimension int) *Canaries {
	c, err := NewCanaries([32]byte{seed}, count, dimension)
	require.NoError(t, err)
	return c
}

// directions are those of all canaries, whatever their coins are.
func directions(t testing.TB, c *Canaries) [][]float32 {
	everyone := *c
	everyone.in = make([]bool, len(c.in))
	out := make([][]float32, len(c.in))
	for i := range out {
		everyone.in[i] = true
		out[i] = make([]float32, c.dimension)
		require.NoError(t, everyone.Update(i, out[i], 1))
	}
	return out
}

func dot(a, b []float32) float64 {
	var sum float64
	for i, x := range a {
		sum += float64(x) * float64(b[i])
	}
	return sum
}

func TestCoinsAreFairAndFollowFromTheSeed(t *testing.T) {
	const m = 40_000
	a, b, other := plan(t, 1, m, 10), plan(t, 1, m, 10), plan(t, 2, m, 10)
	var in, same int
	for i := range m {
		require.Equal(t, a.In(i), b.In(i))
		in += bit(a.In(i))
		same += bit(a.In(i) == other.In(i))
	}
	require.Equal(t, m, a.Count())
	require.InDelta(t, m/2, in, 5*math.Sqrt(m)/2)
	require.InDelta(t, m/2, same, 5*math.Sqrt(m)/2)
	require.False(t, a.In(-1))
	require.False(t, a.In(m))
}

func TestDirectionsAreUnitVectorsOrthogonalWithinARun(t *testing.T) {
	for _, dimension := range []int{1, 2, 3, 64, 100} {
		c := plan(t, 3, 3*dimension, dimension)
		all := directions(t, c)
		for i, u := range all {
			require.InDelta(t, 1, dot(u, u), 1e-6)
			for k := range i {
				if i/c.width == k/c.width {
					require.InDelta(t, 0, dot(u, all[k]), 1e-6, "%d and %d of dimension %d", i, k, dimension)
				}
			}
		}
	}
}

func TestDirectionsOfDifferentRunsAndSeedsAreAsRandomOnes(t *testing.T) {
	a, b := directions(t, plan(t, 4, 512, 256)), directions(t, plan(t, 5, 256, 256))
	var runs, seeds float64
	for i := range 256 {
		for k := range 256 {
			runs += math.Pow(dot(a[i], a[256+k]), 4)
			seeds += math.Pow(dot(a[i], b[k]), 4)
		}
	}
	// The fourth moment of the product of random directions is 3/d^2; that of equal
	// sets of orthogonal ones would be 1/d, and second moments are 1/d always.
	require.InDelta(t, 3, runs, 1)
	require.InDelta(t, 3, seeds, 1)
}

func TestDirectionsReachEveryPartOfAnUpdate(t *testing.T) {
	const dimension = 1000
	u := directions(t, plan(t, 6, 1, dimension))[0]
	var set int
	for i, x := range u {
		set += bit(x != 0)
		if i >= 2 {
			require.False(t, u[i] == 0 && u[i-1] == 0 && u[i-2] == 0, "a gap at %d", i)
		}
	}
	require.Equal(t, 512, set)
}

func TestAnOutCanarySendsZeroAndAnInCanaryItsDirectionAtTheClipNorm(t *testing.T) {
	c := plan(t, 7, 50, 300)
	all, update := directions(t, c), make([]float32, 300)
	for i := range 50 {
		update[0] = 9
		require.NoError(t, c.Update(i, update, 2.5))
		if c.In(i) {
			require.InDelta(t, 2.5, field.Norm(update), 1e-6)
			require.InDelta(t, 2.5, dot(update, all[i]), 1e-6)
		} else {
			require.Zero(t, field.Norm(update))
		}
	}
}

func TestScoresAreInnerProductsSummedOverReleases(t *testing.T) {
	const m, dimension = 150, 70 // D is 64: three runs
	c := plan(t, 8, m, dimension)
	all := directions(t, c)
	want := make([]float64, m)
	for k, roster := range [][]int{nil, {3, 140, 64}, {}, nil} {
		released := make([]float32, dimension)
		for i := range released {
			released[i] = float32(math.Sin(float64(100*k + i)))
		}
		before := *c
		require.NoError(t, c.Score(released, roster))
		require.Equal(t, before.in, c.in)
		for i := range m {
			asked := roster == nil
			for _, j := range roster {
				asked = asked || i == j
			}
			if asked {
				want[i] += dot(released, all[i])
			}
		}
	}
	for i := range m {
		require.InDelta(t, want[i], c.scores[i], 1e-6)
	}
	s, err := c.Scores()
	require.NoError(t, err)
	require.Len(t, s.values, m)
}

func TestReleasesThatDoNotFitChangeNothing(t *testing.T) {
	c := plan(t, 9, 10, 4)
	require.NoError(t, c.Score([]float32{1, 2, 3, 4}, nil))
	before := append([]float64{}, c.scores...)
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, released := range [][]float32{nil, {1, 2, 3}, {1, 2, 3, nan}, {inf, 2, 3, 4}} {
		require.ErrorIs(t, c.Score(released, nil), ErrRelease)
	}
	for _, roster := range [][]int{{-1}, {10}, {3, 3}} {
		require.ErrorIs(t, c.Score([]float32{1, 2, 3, 4}, roster), ErrRelease)
	}
	require.Equal(t, before, c.scores)
}

func TestPlansThatCannotBeAreRefused(t *testing.T) {
	for _, p := range [][2]int{{0, 5}, {-1, 5}, {MaxCanaries + 1, 5}, {5, 0}, {5, -1}, {5, field.MaxWords + 1}} {
		_, err := NewCanaries([32]byte{}, p[0], p[1])
		require.ErrorIs(t, err, ErrCanaries, "%v", p)
	}
	c := plan(t, 1, 5, 8)
	dst := make([]float32, 8)
	require.ErrorIs(t, c.Update(-1, dst, 1), ErrCanaries)
	require.ErrorIs(t, c.Update(5, dst, 1), ErrCanaries)
	require.ErrorIs(t, c.Update(0, dst[:7], 1), ErrCanaries)
	for _, clip := range []float64{0, -1, math.NaN(), math.Inf(1), 1e-60, 1e60} {
		require.ErrorIs(t, c.Update(0, dst, clip), ErrCanaries, "clip %g", clip)
	}
}
