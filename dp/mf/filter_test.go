package mf

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg/field"
)

// drawn are draws of a run for so many vectors.
func drawn(t testing.TB, r Run, seed byte, vectors int) [][]int64 {
	coins := field.NewStream([32]byte{seed})
	out := make([][]int64, vectors)
	for i := range out {
		out[i] = make([]int64, r.dimension)
		require.NoError(t, r.sampler.Sample(out[i], coins))
	}
	return out
}

// script gives vectors in order.
func script(vectors ...[]int64) func([]int64) error {
	next := 0
	return func(dst []int64) error {
		copy(dst, vectors[next])
		next++
		return nil
	}
}

func TestToeplitzNoiseIsTheDenseInverse(t *testing.T) {
	for _, p := range []Participation{{1, 1, 1}, {64, 3, 16}, {40, 0, 5}} {
		for name, m := range mechanisms(t, p) {
			if m.p.Family == Tree {
				continue
			}
			r := running(t, m, Noise{5, 1 << 14, 1 << 14})
			z, f, inverse := drawn(t, r, 1, p.Steps), r.newFilter(), inverseOf(m.c, p.Steps)
			w := make([][]int64, p.Steps)
			for step := range w {
				w[step] = make([]int64, r.dimension)
				require.NoError(t, f.step(step, w[step], script(z[step])))
				for i, x := range w[step] {
					forward, dense := 0.0, 0.0
					for j := range step + 1 {
						if j < len(m.c) {
							forward += m.c[j] * float64(w[step-j][i])
						}
						dense += inverse[j] * float64(z[step-j][i])
					}
					// C w = z but for one rounding to the nearest, of BLT those of the buffers too.
					require.InDelta(t, float64(z[step][i]), forward, .5+1./32, name)
					require.InDelta(t, dense, float64(x), m.gain*(.5+1./32), name)
					require.LessOrEqual(t, max(x, -x), r.Bound())
				}
			}
		}
	}
}

// node is what the estimate of a node of the tree is, in floats, from draws by step in the order they are made.
func node(z [][][]int64, level, index, i int) float64 {
	last := (index+1)<<level - 1
	own := float64(z[last][level][i])
	if level == 0 {
		return own
	}
	weights, _ := treeWeights(level + 1)
	w := float64(weights[level]) / (1 << weightBits)
	return w*own + (1-w)*(node(z, level-1, 2*index, i)+node(z, level-1, 2*index+1, i))
}

// treeDraws are the draws of every step: its leaf, and the nodes above that it completes.
func treeDraws(t testing.TB, r Run, steps int) [][][]int64 {
	z := make([][][]int64, steps)
	for step := range z {
		levels := 1
		for l := step; l&1 == 1; l >>= 1 {
			levels++
		}
		z[step] = drawn(t, r, byte(step), levels)
	}
	return z
}

func TestTreeNoiseIsThatOfItsNodes(t *testing.T) {
	const steps = 37
	r := running(t, made(t, Parameters{Family: Tree, Participation: Participation{steps, 1, 1}}), Noise{3, 1, 100})
	z, f := treeDraws(t, r, steps), r.newFilter()
	prefix, w := make([]float64, 3), make([]int64, 3)
	for step := range steps {
		require.NoError(t, f.step(step, w, script(z[step]...)))
		for i := range prefix {
			prefix[i] += float64(w[i])
			want, at := 0.0, 0
			for l := 10; l >= 0; l-- {
				if (step+1)>>l&1 == 1 {
					want += node(z, l, at>>l, i)
					at += 1 << l
				}
			}
			require.InDelta(t, want, prefix[i], 8, "step %d", step)
			require.LessOrEqual(t, max(w[i], -w[i]), r.Bound())
		}
	}
}

// copied is a filter in the same state.
func copied(r Run, f filter) filter {
	c := r.newFilter()
	for i, v := range f.state() {
		copy(c.state()[i], v)
	}
	return c
}

// contributions puts vectors of norm at most clip into steps that fit: along one
// coordinate, spread over all, or of changing sign.
func contributions(r Run, clip float64, steps []int, shape int) map[int][]int64 {
	x := map[int][]int64{}
	for k, at := range steps {
		v := make([]int64, r.dimension)
		switch shape {
		case 0:
			v[0] = int64(clip)
		case 1:
			for i := range v {
				v[i] = int64(clip / math.Sqrt(float64(r.dimension)))
			}
		case 2:
			v[k%r.dimension] = int64(clip) * int64(1-2*(k&1))
		}
		x[at] = v
	}
	return x
}

// attack runs the mechanism with a client and finds the draws that give the very same
// releases without it: those are what an observer weighs against each other. It returns
// the sum of squares of their differences.
func attack(t *testing.T, r Run, x map[int][]int64, largestDrift *float64) float64 {
	steps := r.m.p.Participation.Steps
	z, sums := drawn(t, r, 2, steps), drawn(t, r, 3, steps)
	with, without := r.newFilter(), r.newFilter()
	w, v, total := make([]int64, r.dimension), make([]int64, r.dimension), 0.0
	shifts := make([][]float64, steps)
	for step := range steps {
		require.NoError(t, with.step(step, w, script(z[step])))
		release := append([]int64(nil), sums[step]...)
		less := append([]int64(nil), sums[step]...)
		for i, a := range x[step] {
			less[i] -= a
		}
		require.NoError(t, r.Add(release, w))
		require.NoError(t, copied(r, without).step(step, v, script(z[step])))
		require.NoError(t, r.Add(less, v))
		other := append([]int64(nil), z[step]...)
		shifts[step] = make([]float64, r.dimension)
		for i := range other {
			other[i] += release[i] - less[i]
			shifts[step][i] = float64(release[i] - less[i])
			total += shifts[step][i] * shifts[step][i]
		}
		require.NoError(t, without.step(step, v, script(other)))
		for i := range v {
			want := 0.0
			for j := 0; j <= step && j < len(r.m.c); j++ {
				if a := x[step-j]; a != nil {
					want += r.m.c[j] * math.Ldexp(float64(a[i]), int(r.shift))
				}
			}
			*largestDrift = max(*largestDrift, math.Abs(shifts[step][i]-want))
		}
	}
	return total
}

func TestShiftsOfNeighboursAddUpToTheSensitivity(t *testing.T) {
	p := Participation{20, 3, 6}
	for name, m := range mechanisms(t, p) {
		if m.p.Family == Tree {
			continue
		}
		const clip = 1 << 13
		r := running(t, m, Noise{9, clip, 1 << 13})
		worst, largestDrift := 0.0, 0.0
		for _, steps := range [][]int{{0, 6, 12}, {0}, {1, 8, 19}, {5, 11, 17}, {0, 6, 13}} {
			for shape := range 3 {
				total := attack(t, r, contributions(r, clip, steps, shape), &largestDrift)
				require.LessOrEqual(t, total, r.norm*r.norm, "%s %v %d", name, steps, shape)
				worst = max(worst, total)
			}
		}
		if m.p.Family == BandMF {
			require.Zero(t, largestDrift, "%s: the shift is C x exactly", name)
			require.InEpsilon(t, r.norm*r.norm, worst, 1e-8, "%s: and the first columns reach the sensitivity", name)
		} else {
			require.LessOrEqual(t, largestDrift, drift, name)
			require.Positive(t, largestDrift, name)
			require.InEpsilon(t, math.Pow(clip*m.Sensitivity()*float64(int(1)<<r.shift), 2), worst, 1e-4, name)
		}
	}
}

// The slowest buffers lose the most by rounding: one that never forgets, over a long run.
func TestRoundingsOfSlowBuffersStayBelowTheDrift(t *testing.T) {
	p := Participation{2000, 6, 314}
	m := made(t, Parameters{Family: BLT, Participation: p, Criterion: MaxError, Buffers: 4})
	require.Greater(t, m.buffers.decay[0], .9999)
	r := running(t, m, Noise{2, 1 << 14, 1 << 14})
	require.GreaterOrEqual(t, r.fraction, uint(15))
	largestDrift := 0.0
	total := attack(t, r, contributions(r, 1<<14, []int{0, 314, 628, 942, 1256, 1570}, 0), &largestDrift)
	require.LessOrEqual(t, largestDrift, drift)
	require.LessOrEqual(t, total, r.norm*r.norm)
	require.InEpsilon(t, r.norm*r.norm, total, 2e-3)
}

func TestTreeReleasesAreThoseOfItsNoisyNodes(t *testing.T) {
	p := Participation{20, 3, 6}
	m := made(t, Parameters{Family: Tree, Participation: p})
	const clip = 1000
	r := running(t, m, Noise{4, clip, 100})
	z, sums := treeDraws(t, r, p.Steps), drawn(t, r, 9, p.Steps)
	worst := 0.0
	patterns(checked(t, 20, 3, 6), func(steps []int) {
		if len(steps) < 3 {
			return
		}
		x := contributions(r, clip, steps, 0)
		with, without := r.newFilter(), r.newFilter()
		w, v, total := make([]int64, 4), make([]int64, 4), 0.0
		for step := range p.Steps {
			others := make([][]int64, len(z[step]))
			for l := range others { // a node without the client is less by what it holds of it
				others[l] = append([]int64(nil), z[step][l]...)
				for at, a := range x {
					if at>>l == step>>l {
						others[l][0] += a[0] << r.shift
					}
				}
				total += math.Pow(float64(others[l][0]-z[step][l][0]), 2)
			}
			release, less := append([]int64(nil), sums[step]...), append([]int64(nil), sums[step]...)
			for i, a := range x[step] {
				less[i] -= a
			}
			require.NoError(t, with.step(step, w, script(z[step]...)))
			require.NoError(t, without.step(step, v, script(others...)))
			require.NoError(t, r.Add(release, w))
			require.NoError(t, r.Add(less, v))
			require.Equal(t, release, less, "%v, step %d", steps, step)
		}
		worst = max(worst, total)
	})
	require.LessOrEqual(t, worst, r.norm*r.norm)
	require.InEpsilon(t, r.norm*r.norm, worst, 1e-12)
}

func TestSignedProducts(t *testing.T) {
	for _, s := range []int64{0, 1, -1, 5, -5, 1 << 61, -1 << 61, math.MaxInt64, math.MinInt64} {
		for _, u := range []uint64{0, 1, 3, 1 << 63, math.MaxUint64} {
			high, low := times(s, u)
			want := bigProduct(s, u)
			require.Equal(t, want, [2]uint64{high, low}, "%d * %d", s, u)
		}
	}
}
