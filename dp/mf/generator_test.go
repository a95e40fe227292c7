package mf

import (
	"crypto/sha256"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp/noise"
)

// bigProduct is s*u mod 2^128.
func bigProduct(s int64, u uint64) [2]uint64 {
	x := new(big.Int).Mul(big.NewInt(s), new(big.Int).SetUint64(u))
	x.Mod(x, new(big.Int).Lsh(big.NewInt(1), 128))
	low := new(big.Int).And(x, new(big.Int).SetUint64(math.MaxUint64))
	return [2]uint64{x.Rsh(x, 64).Uint64(), low.Uint64()}
}

func generator(t testing.TB, r Run, seed byte) *Generator {
	g, err := r.Generator([32]byte{seed})
	require.NoError(t, err)
	return g
}

// all is the noise of all steps from Next on.
func all(t testing.TB, g *Generator) [][]int64 {
	var out [][]int64
	for step := g.Next(); step < g.run.m.p.Participation.Steps; step++ {
		w := make([]int64, g.run.dimension)
		require.NoError(t, g.Step(step, w))
		out = append(out, w)
	}
	return out
}

func TestRestoredNoiseIsTheSame(t *testing.T) {
	for name, m := range mechanisms(t, pattern) {
		r := running(t, m, Noise{block + 3, 1 << 14, 1 << 14})
		want := all(t, generator(t, r, 1))
		g := generator(t, r, 1)
		for step := range pattern.Steps {
			snapshot, err := g.Snapshot()
			require.NoError(t, err)
			require.Len(t, snapshot, r.SnapshotSize())
			again, err := r.Restore(snapshot)
			require.NoError(t, err)
			same, err := again.Snapshot()
			require.NoError(t, err)
			require.Equal(t, snapshot, same)
			if step%7 == 0 {
				require.Equal(t, want[step:], all(t, again), "%s from step %d", name, step)
			}
			require.NoError(t, g.Step(step, make([]int64, r.dimension)))
		}
		require.Equal(t, pattern.Steps, g.Next())
		last, err := g.Snapshot()
		require.NoError(t, err)
		done, err := r.Restore(last)
		require.NoError(t, err)
		require.ErrorIs(t, done.Step(pattern.Steps, make([]int64, r.dimension)), ErrStep, "no step after the last")
	}
}

func TestOtherSeedsAndStepsGiveOtherNoise(t *testing.T) {
	m := mechanisms(t, pattern)["1 band"] // its noise is its draws
	r := running(t, m, Noise{8, 1 << 14, 1 << 14})
	seen := map[[8]int64]bool{}
	for seed := range byte(3) {
		for _, w := range all(t, generator(t, r, seed)) {
			require.False(t, seen[[8]int64(w)])
			seen[[8]int64(w)] = true
		}
	}
}

// What a later state holds of earlier draws is what the filter must keep.
func TestSeedIsReplaced(t *testing.T) {
	r := running(t, mechanisms(t, pattern)["1 band"], Noise{8, 1 << 14, 1 << 14})
	g := generator(t, r, 1)
	before := g.seed
	require.NoError(t, g.Step(0, make([]int64, 8)))
	require.NotEqual(t, before, g.seed)
}

func TestStepsAreDrawnOnceAndInOrder(t *testing.T) {
	for _, m := range mechanisms(t, pattern) {
		r := running(t, m, Noise{4, 1 << 14, 1 << 14})
		g := generator(t, r, 1)
		want := all(t, generator(t, r, 1))
		w := []int64{1, 2, 3, 4}
		require.ErrorIs(t, g.Step(1, w), ErrStep)
		require.Equal(t, make([]int64, 4), w)
		require.ErrorIs(t, g.Step(-1, w), ErrStep)
		require.NoError(t, g.Step(0, w))
		require.ErrorIs(t, g.Step(0, w), ErrStep, "the same noise would protect two sums")
		require.ErrorIs(t, g.Step(1, make([]int64, 3)), ErrArgument)
		require.NoError(t, g.Step(1, w), "refusals change nothing")
		require.Equal(t, want[1], w)
	}
	_, err := Run{}.Generator([32]byte{})
	require.ErrorIs(t, err, ErrArgument)
	_, err = Run{}.Restore(nil)
	require.ErrorIs(t, err, ErrArgument)
}

func TestErasedGeneratorsHoldNothing(t *testing.T) {
	for name, m := range mechanisms(t, pattern) {
		r := running(t, m, Noise{4, 1 << 14, 1 << 14})
		g := generator(t, r, 1)
		require.NoError(t, g.Step(0, make([]int64, 4)))
		state := g.filter.state()
		g.Erase()
		require.Zero(t, g.seed)
		for _, v := range state {
			require.Equal(t, make([]int64, 4), v, name)
		}
		require.ErrorIs(t, g.Step(1, make([]int64, 4)), ErrErased)
		_, err := g.Snapshot()
		require.ErrorIs(t, err, ErrErased)
		g.Erase()
	}
}

// failing is a filter whose coins fail after it has written.
type failing struct{ filter }

func (failing) step(_ int, dst []int64, _ func([]int64) error) error {
	dst[0] = 1
	return noise.ErrCoins
}

func TestFailedStepsLeaveNothing(t *testing.T) {
	g := generator(t, running(t, mechanisms(t, pattern)["tree"], Noise{2, 1, 1}), 1)
	g.filter = failing{g.filter}
	w := make([]int64, 2)
	require.ErrorIs(t, g.Step(0, w), noise.ErrCoins)
	require.Equal(t, make([]int64, 2), w)
	require.ErrorIs(t, g.Step(0, w), ErrErased, "half a step would break the correlation")
}

func TestOtherBytesAreNoSnapshot(t *testing.T) {
	ms := mechanisms(t, pattern)
	n := Noise{4, 1 << 14, 1 << 14}
	r := running(t, ms["blt"], n)
	g := generator(t, r, 1)
	require.NoError(t, g.Step(0, make([]int64, 4)))
	good, err := g.Snapshot()
	require.NoError(t, err)
	sealed := func(change func(b []byte)) []byte {
		b := append([]byte(nil), good...)
		change(b[:len(b)-32])
		sum := sha256.Sum256(b[:len(b)-32])
		copy(b[len(b)-32:], sum[:])
		return b
	}
	flipped := append([]byte(nil), good...)
	flipped[len(flipped)/2] ^= 1
	for name, b := range map[string][]byte{
		"empty": nil, "short": good[:len(good)-1], "long": append(append([]byte(nil), good...), 0), "flipped": flipped,
		"version": sealed(func(b []byte) { b[len(snapshotMagic)-2] = '2' }),
		"digest":  sealed(func(b []byte) { b[len(snapshotMagic)] ^= 1 }),
		"step":    sealed(func(b []byte) { b[len(snapshotMagic)+32+3] = 21 }),
	} {
		_, err := r.Restore(b)
		require.ErrorIs(t, err, ErrSnapshot, name)
	}
	_, err = r.Restore(sealed(func([]byte) {}))
	require.NoError(t, err)
	// Other runs: noise, dimension, mechanism, pattern.
	other := n
	other.Sigma++
	_, err = running(t, ms["blt"], other).Restore(good)
	require.ErrorIs(t, err, ErrSnapshot)
	mean := made(t, Parameters{Family: BLT, Participation: pattern, Criterion: MeanError, Buffers: 2})
	_, err = running(t, mean, n).Restore(good)
	require.ErrorIs(t, err, ErrSnapshot, "other coefficients")
}

// Variances of prefix sums are the diagonal of B B^T, and the noise of a step is not independent of the last.
func TestPrefixSumsHaveTheirVariance(t *testing.T) {
	const d, steps = 6000, 16
	for name, m := range mechanisms(t, Participation{steps, 2, 8}) {
		r := running(t, m, Noise{d, 1, 30})
		variance, _ := r.Variance().Float64()
		prefix := make([]float64, d)
		worst, sum := 0.0, 0.0
		for step, w := range all(t, generator(t, r, 5)) {
			squares := 0.0
			for i, x := range w {
				prefix[i] += float64(x)
				squares += prefix[i] * prefix[i]
			}
			want := 0.0
			if m.p.Family == Tree {
				_, v := treeWeights(5)
				for l, x := range v {
					want += x * float64((step+1)>>l&1)
				}
			} else {
				want = errorOf(prefixOf(m.c, step+1), MaxError)
			}
			worst, sum = max(worst, want), sum+want
			// squares/(want variance) is chi-square of d degrees, whose deviation is sqrt(2d).
			require.InDelta(t, 0, (squares/(want*variance)-d)/math.Sqrt(2*d), 5, "%s after step %d", name, step)
		}
		require.InEpsilon(t, m.Error(MaxError), math.Sqrt(worst), 1e-6, name)
		require.InEpsilon(t, m.Error(MeanError), math.Sqrt(sum/steps), 1e-6, name)
	}
}

// The coins, the order of draws and the tree are fixed: a snapshot must mean the same in the next version.
func TestNoiseVector(t *testing.T) {
	r := running(t, made(t, Parameters{Family: Tree, Participation: Participation{5, 1, 1}}), Noise{2, 1, 1})
	require.Equal(t, [][]int64{{1281, -959}, {-777, -176}, {-1529, 1039}, {731, -134}, {863, -625}}, all(t, generator(t, r, 7)))
}

func FuzzRestore(f *testing.F) {
	m, err := Parameters{Family: BLT, Participation: Participation{6, 2, 3}, Criterion: MaxError, Buffers: 2}.Check()
	require.NoError(f, err)
	r := running(f, m, Noise{2, 1 << 14, 1 << 14})
	g := generator(f, r, 1)
	for step := range 3 {
		s, err := g.Snapshot()
		require.NoError(f, err)
		f.Add(s[:len(s)-32])
		require.NoError(f, g.Step(step, make([]int64, 2)))
	}
	f.Add([]byte(snapshotMagic))
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := sha256.Sum256(body) // a fuzzer does not find checksums
		b := append(append([]byte(nil), body...), sum[:]...)
		g, err := r.Restore(b)
		if err != nil {
			require.ErrorIs(t, err, ErrSnapshot)
			return
		}
		again, err := g.Snapshot()
		require.NoError(t, err)
		require.Equal(t, b, again)
		for step := g.Next(); step < 6; step++ {
			require.NoError(t, g.Step(step, make([]int64, 2)))
		}
	})
}

func BenchmarkStep(b *testing.B) {
	p := Participation{2000, 6, 314}
	const d = 1 << 18
	for name, m := range map[string]Parameters{
		"tree":      {Family: Tree, Participation: p},
		"bandmf/32": {Family: BandMF, Participation: p, Criterion: MaxError, Bands: 32},
		"blt/4":     {Family: BLT, Participation: p, Criterion: MaxError, Buffers: 4},
	} {
		b.Run(name, func(b *testing.B) {
			r := running(b, made(b, m), Noise{d, 1 << 14, 1 << 14})
			g, w := generator(b, r, 1), make([]int64, d)
			for b.Loop() {
				if g.Next() == p.Steps {
					g = generator(b, r, 1)
				}
				if err := g.Step(g.Next(), w); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/d, "ns/coordinate")
		})
	}
}
