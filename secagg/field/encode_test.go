package field

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// hashCoins is the stream SHA-256(name || counter), the counter 8 bytes
// little-endian from zero: easy to write again in another language.
type hashCoins struct {
	name    string
	counter uint64
	left    []byte
}

func (c *hashCoins) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		if len(c.left) == 0 {
			block := sha256.Sum256(binary.LittleEndian.AppendUint64([]byte(c.name), c.counter))
			c.counter++
			c.left = block[:]
		}
		k := copy(p[n:], c.left)
		n, c.left = n+k, c.left[k:]
	}
	return len(p), nil
}

// noiseFunc is noise whose share of coordinate i is f(i).
type noiseFunc struct {
	f    func(i int) int32
	next int
}

func (s *noiseFunc) Add(values []int32) error {
	for i := range values {
		values[i] += s.f(s.next)
		s.next++
	}
	return nil
}

// constantCoins gives the same u for every coordinate.
func constantCoins(u uint32, n int) io.Reader {
	return bytes.NewReader(bytes.Repeat(binary.LittleEndian.AppendUint32(nil, u), n))
}

// Computed by an independent Python script from the text of Encode's doc
// comment: struct for float32, hashlib for the coins, integers for the rest.
func TestEncodeGoldenVector(t *testing.T) {
	q := mustCheck(t, Spec{Dimension: 9, Clients: 100, ClipNorm: 1, Bits: 16,
		Extras: []Extra{{"weight", 1000}, {"count", 1000}}})
	dst := make([]uint32, 11)
	counted, err := q.Encode(dst, []float32{0.5, -0.25, 0.1, -0.7, 1e-6, 0, -1e-3, 0.3, 0.9}, 0.75,
		[]uint64{3, 700}, &hashCoins{name: "small"}, nil)
	require.NoError(t, err)
	require.True(t, counted)
	require.Equal(t, []uint32{45055, 26624, 35226, 15566, 32768, 32768, 32744, 40140, 54885, 3, 700}, dst)
}

// As above, over several blocks, with a clip that binds (norm 28.235), 297
// clamped coordinates and noise; the digest is of the words packed at w = 20.
func TestEncodeGoldenDigest(t *testing.T) {
	q := mustCheck(t, Spec{Dimension: 2500, Clients: 64, ClipNorm: 8, Bits: 14, Range: 1000, Scale: 4096,
		NoiseTail: 500, Extras: []Extra{{"count", 16383}}})
	require.Equal(t, 20, q.WordBits())
	update := make([]float32, 2500)
	for i := range update {
		update[i] = float32(i*7919%2001-1000) / 1024
	}
	dst := make([]uint32, q.Layout().Len())
	noise := &noiseFunc{f: func(i int) int32 { return int32(i*31%1001 - 500) }}
	_, err := q.Encode(dst, update, 1, []uint64{41}, &hashCoins{name: "long"}, noise)
	require.NoError(t, err)
	packed := make([]byte, PackedLen(len(dst), 20))
	require.NoError(t, Pack(packed, dst, 20))
	digest := sha256.Sum256(packed)
	require.Equal(t, "c702dd8ff92d8580a46b237845a65623a3bf1bdac02335b79835a75a6dc7518e", hex.EncodeToString(digest[:]))
}

// unitSpec has scale 1 and no binding clip, so that Encode only rounds.
func unitSpec(dimension int) Spec {
	return Spec{Dimension: dimension, Clients: 1, ClipNorm: 1 << 28, Bits: 30, Scale: 1}
}

// The law is exact: of the 2^32 coins, those from 2^32 - F on round up, where
// F is the fraction of Y = trunc(y * 2^32). Both sides of that edge are tried.
func TestStochasticRoundingFollowsItsLawExactly(t *testing.T) {
	q := mustCheck(t, unitSpec(1))
	offset := int64(1) << 29
	source := rand.New(rand.NewPCG(5, 6))
	xs := []float32{0, 1, -1, 0.5, -0.5, 2.25, -2.25, 0.1, -0.1, 1e-9, -1e-9, 1e-12, -1e-12, 1e-30, -1e-30,
		math.SmallestNonzeroFloat32, 0.99999994, -0.99999994, 12345.678, -12345.678, 1 << 27, -(1 << 27)}
	for range 500 {
		xs = append(xs, float32((source.Float64()-0.5)*math.Exp2(source.Float64()*60-40)))
	}
	for _, x := range xs {
		exact, _ := new(big.Float).SetFloat64(float64(x) * 0x1p32).Int(nil) // towards zero
		whole, fraction := new(big.Int).DivMod(exact, big.NewInt(1<<32), new(big.Int))
		floor, f := whole.Int64(), fraction.Uint64()
		up := uint64(1)<<32 - f // coins from here on round up
		for _, u := range []uint64{0, up - 1, up, 1<<32 - 1, uint64(source.Uint32())} {
			if u > math.MaxUint32 {
				continue
			}
			want := floor
			if u >= up {
				want++
			}
			dst := make([]uint32, 1)
			_, err := q.Encode(dst, []float32{x}, 1, nil, constantCoins(uint32(u), 1), nil)
			require.NoError(t, err)
			require.Equal(t, want, int64(dst[0])-offset, "x = %g, u = %d", x, u)
		}
	}
}

// The mean of d roundings lies within 5 standard deviations, at most
// 5 * 0.5 / sqrt(d) = 0.0055; a biased rounding, to nearest or towards zero,
// would be off by 0.1 or more. The coins are fixed, so this never flickers.
func TestStochasticRoundingIsUnbiased(t *testing.T) {
	const d = 200_000
	q := mustCheck(t, unitSpec(d))
	for seed, x := range []float32{0.1, 0.5, 0.9, -0.1, -0.5, -0.9, 7.3, -7.3, 3} {
		update := make([]float32, d)
		for i := range update {
			update[i] = x
		}
		dst := make([]uint32, d)
		_, err := q.Encode(dst, update, 1, nil, NewStream([32]byte{byte(seed)}), nil)
		require.NoError(t, err)
		var sum int64
		for _, v := range dst {
			sum += int64(v) - 1<<29
		}
		fraction := float64(x) - math.Floor(float64(x))
		tolerance := 5 * math.Sqrt(fraction*(1-fraction)/d)
		require.InDelta(t, float64(x), float64(sum)/d, tolerance+1e-12, "x = %g", x)
	}
}

// slowContribution is the clipped and weighted update in plain float64.
func slowContribution(update []float32, weight, clip float64) []float64 {
	var squares float64
	for _, x := range update {
		squares += float64(x) * float64(x)
	}
	factor := weight
	if norm := math.Sqrt(squares); weight*norm > clip {
		factor = clip / norm
	}
	out := make([]float64, len(update))
	for i, x := range update {
		out[i] = float64(x) * factor
	}
	return out
}

func TestSumsOfEncodedUpdatesDecodeToTheFloatSum(t *testing.T) {
	source := rand.New(rand.NewPCG(7, 8))
	for trial := range 60 {
		n, d := 1+source.IntN(20), 1+source.IntN(3000)
		q := mustCheck(t, Spec{Dimension: d, Clients: n, ClipNorm: math.Exp(source.Float64()*10 - 5), Bits: 8 + source.IntN(16),
			Extras: []Extra{{"weight", 100}, {"count", 9}}})
		s := q.Spec()
		want, wantExtras := make([]float64, d), make([]uint64, 2)
		sum := make([]uint32, q.Layout().Len())
		for client := range n {
			update := make([]float32, d)
			for i := range update {
				update[i] = float32(source.NormFloat64() * s.ClipNorm / math.Sqrt(float64(d)) * 2 * source.Float64())
			}
			weight := source.Float64()
			extras := []uint64{source.Uint64N(101), source.Uint64N(10)}
			dst := make([]uint32, len(sum))
			counted, err := q.Encode(dst, update, weight, extras, NewStream([32]byte{byte(trial), byte(client)}), nil)
			require.NoError(t, err)
			require.True(t, counted)
			for i, v := range slowContribution(update, weight, s.ClipNorm) {
				want[i] += v
			}
			for i, v := range extras {
				wantExtras[i] += v
			}
			packed := make([]byte, PackedLen(len(dst), s.WordBits))
			require.NoError(t, Pack(packed, dst, s.WordBits))
			require.NoError(t, AddPacked(sum, packed, s.WordBits))
		}
		got := make([]float64, d)
		extras, err := q.Decode(got, sum, n)
		require.NoError(t, err)
		require.Equal(t, wantExtras, extras)
		tolerance := float64(n) / s.Scale * (1 + 1e-9)
		for i := range want {
			if math.Abs(want[i]-got[i]) > tolerance {
				require.InDelta(t, want[i], got[i], tolerance, "trial %d, coordinate %d", trial, i)
			}
		}
	}
}

func TestClipBindsExactlyAboveTheNorm(t *testing.T) {
	encode := func(clip, weight float64, update ...float32) []float64 {
		q := mustCheck(t, Spec{Dimension: len(update), Clients: 1, ClipNorm: clip, Bits: 30, Scale: 1 << 20})
		dst, values := make([]uint32, len(update)), make([]float64, len(update))
		_, err := q.Encode(dst, update, weight, nil, constantCoins(0, len(update)), nil) // rounds down
		require.NoError(t, err)
		_, err = q.Decode(values, dst, 1)
		require.NoError(t, err)
		return values
	}
	const step = 0x1p-20
	require.Equal(t, []float64{3, -4}, encode(5, 1, 3, -4), "a norm equal to the bound is not touched")
	require.Equal(t, []float64{0.375, 0.5}, encode(5, 1, 0.375, 0.5), "a smaller norm is not touched")
	require.InDeltaSlice(t, []float64{0.6, 0.8}, encode(1, 1, 3, 4), step)
	require.InDeltaSlice(t, []float64{0.6, 0.8}, encode(1, 1, 3e30, 4e30), step, "squares beyond float32")
	require.Equal(t, []float64{1.5, 2}, encode(2.5, 0.5, 3, 4), "the weight comes before the clip")
	require.InDeltaSlice(t, []float64{0.6, 0.8}, encode(1, 0.5, 3, 4), step, "and is not applied again after it")
	require.Equal(t, []float64{0, 0}, encode(1, 0, 3, 4), "no weight, no contribution")
}

// With the default scale a clipped update is never clamped, even with all its
// energy in one coordinate: it reaches Range, and only there.
func TestDefaultScaleNeverClamps(t *testing.T) {
	source := rand.New(rand.NewPCG(9, 10))
	for range 1000 {
		x := float32(math.Exp(source.Float64()*40 - 20))
		q := mustCheck(t, Spec{Dimension: 3, Clients: 1, ClipNorm: math.Exp(source.Float64()*20 - 10), Bits: 4 + source.IntN(27)})
		s := q.Spec()
		dst := make([]uint32, 3)
		_, err := q.Encode(dst, []float32{0, -x, 0}, 1, nil, constantCoins(1<<31, 3), nil) // to nearest
		require.NoError(t, err)
		want := min(float64(x), s.ClipNorm) * s.Scale
		require.InDelta(t, -want, float64(int64(dst[1])-1<<(s.Bits-1)), 0.5+1e-6)
	}
}

func TestIntegersAreClampedToRange(t *testing.T) {
	q := mustCheck(t, Spec{Dimension: 8, Clients: 1, ClipNorm: 2700, Bits: 20, Range: 1000, Scale: 1})
	for _, u := range []uint32{0, 1, 1 << 30, 3 << 30, math.MaxUint32} {
		dst := make([]uint32, 8)
		_, err := q.Encode(dst, []float32{1200, -1200, 1000.4, -1000.4, 999.5, -999.5, 0, 0}, 1, nil, constantCoins(u, 8), nil)
		require.NoError(t, err)
		want := []int64{1000, -1000, 1000, -1000, 999, -1000, 0, 0}
		if u >= 1<<31 {
			want[4], want[5] = 1000, -999
		}
		for i, v := range dst {
			require.Equal(t, want[i], int64(v)-1<<19, "coordinate %d, u = %d", i, u)
		}
	}
}

func TestNonFiniteUpdateCountsForNothing(t *testing.T) {
	const d = 2500
	for _, noisy := range []bool{false, true} {
		s := Spec{Dimension: d, Clients: 4, ClipNorm: 1, Bits: 12, Extras: []Extra{{"weight", 10}, {"count", 10}}}
		newNoise := func() Noise { return nil }
		if noisy {
			s.NoiseTail = 7
			newNoise = func() Noise { return &noiseFunc{f: func(i int) int32 { return int32(i%15 - 7) }} }
		}
		q := mustCheck(t, s)
		want := make([]uint32, d+2)
		counted, err := q.Encode(want, make([]float32, d), 1, []uint64{0, 0}, NewStream([32]byte{}), newNoise())
		require.NoError(t, err)
		require.True(t, counted)
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			for _, at := range []int{0, 1, 1023, 1024, 2047, d - 1} {
				update := make([]float32, d)
				for i := range update {
					update[i] = 0.01
				}
				update[at] = float32(bad)
				got, coins := make([]uint32, d+2), NewStream([32]byte{})
				counted, err := q.Encode(got, update, 1, []uint64{3, 4}, coins, newNoise())
				require.NoError(t, err)
				require.False(t, counted)
				require.Equal(t, want, got, "%g at %d", bad, at)
			}
		}
	}
}

func TestNormTellsWhetherAllIsFinite(t *testing.T) {
	require.Equal(t, 5.0, Norm([]float32{3, 0, 0, 0, 4}))
	require.Equal(t, 0.0, Norm(nil))
	largest := make([]float32, 5000)
	for i := range largest {
		largest[i] = -math.MaxFloat32
	}
	require.InEpsilon(t, math.MaxFloat32*math.Sqrt(5000), Norm(largest), 1e-12)
	largest[4999] = float32(math.Inf(-1))
	require.Equal(t, math.Inf(1), Norm(largest))
	largest[0] = float32(math.NaN())
	require.True(t, math.IsNaN(Norm(largest)))
}

// Against exact arithmetic: the sum of squares of 24-bit floats fits 500 bits.
func TestNormIsAccurate(t *testing.T) {
	source := rand.New(rand.NewPCG(11, 12))
	for n := 1; n < 5000; n = n*3/2 + 1 {
		update, exact := make([]float32, n), new(big.Float).SetPrec(500)
		for i := range update {
			update[i] = float32(source.NormFloat64())
			x := new(big.Float).SetPrec(500).SetFloat64(float64(update[i]))
			exact.Add(exact, x.Mul(x, x))
		}
		want, _ := exact.Sqrt(exact).Float64()
		require.InEpsilon(t, want, Norm(update), 1e-14, "n = %d", n)
	}
}

func TestEncodeTakesFourBytesOfCoinsPerCoordinate(t *testing.T) {
	for _, d := range []int{1, 5, 1023, 1024, 1025, 3000} {
		q := mustCheck(t, Spec{Dimension: d, Clients: 4, ClipNorm: 1, Bits: 12, Extras: []Extra{{"weight", 10}}})
		dst := make([]uint32, d+1)
		for _, x := range []float32{0, 0.25, 1e30, float32(math.NaN())} {
			coins := bytes.NewReader(make([]byte, 4*d+100))
			update := make([]float32, d)
			update[d/2] = x
			_, err := q.Encode(dst, update, 1, []uint64{1}, coins, nil)
			require.NoError(t, err)
			require.Equal(t, 100, coins.Len())
		}
		_, err := q.Encode(dst, make([]float32, d), 1, []uint64{1}, bytes.NewReader(make([]byte, 4*d-1)), nil)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, make([]uint32, d+1), dst, "nothing half done is left")
	}
}

func TestNoiseComesAfterTheClampAndBeforeTheOffset(t *testing.T) {
	const d = 2500
	s := Spec{Dimension: d, Clients: 1, ClipNorm: 1, Bits: 12, Range: 100, Scale: 2000, NoiseTail: 1900, Extras: []Extra{{"weight", 10}}}
	q := mustCheck(t, s)
	update := make([]float32, d)
	update[0], update[1024], update[d-1] = 1, -1, 0.5 // all three clamped
	dst := make([]uint32, d+1)
	share := func(i int) int32 { return int32(i*1237%3801 - 1900) }
	_, err := q.Encode(dst, update, 1, []uint64{7}, NewStream([32]byte{}), &noiseFunc{f: share})
	require.NoError(t, err)
	for i := range d {
		want := int64(share(i))
		switch i {
		case 0, d - 1:
			want += 100
		case 1024:
			want -= 100
		}
		require.Equal(t, want, int64(dst[i])-1<<11, "coordinate %d", i)
	}
	require.Equal(t, uint32(7), dst[d], "extras carry no noise of Encode's")
}

func TestNoiseBeyondTheTailIsRefused(t *testing.T) {
	const d = 1500
	q := mustCheck(t, Spec{Dimension: d, Clients: 1, ClipNorm: 1, Bits: 12, NoiseTail: 50, Extras: []Extra{{"weight", 10}}})
	encode := func(share int32) error {
		dst, update := make([]uint32, d+1), make([]float32, d)
		update[d-1] = -1 // a share that leads back inside is refused as well
		_, err := q.Encode(dst, update, 1, []uint64{1}, NewStream([32]byte{}), &noiseFunc{f: func(i int) int32 {
			if i == d-1 {
				return share
			}
			return 0
		}})
		if err != nil {
			require.Equal(t, make([]uint32, d+1), dst, "nothing half noised is left")
		}
		return err
	}
	for _, share := range []int32{50, -50, 0} {
		require.NoError(t, encode(share))
	}
	for _, share := range []int32{51, -51, 1000, math.MaxInt32, math.MinInt32} { // the last one wraps
		require.ErrorIs(t, encode(share), ErrNoise, "share %d", share)
	}
}

type failingNoise struct{ err error }

func (f failingNoise) Add([]int32) error { return f.err }

func TestNoiseIsNeitherForgottenNorUnforeseen(t *testing.T) {
	noisy := mustCheck(t, Spec{Dimension: 2, Clients: 1, ClipNorm: 1, Bits: 12, NoiseTail: 50})
	plain := mustCheck(t, Spec{Dimension: 2, Clients: 1, ClipNorm: 1, Bits: 12})
	dst := []uint32{1, 2}
	_, err := noisy.Encode(dst, []float32{1, 1}, 1, nil, NewStream([32]byte{}), nil)
	require.ErrorIs(t, err, ErrNoise)
	require.Equal(t, []uint32{0, 0}, dst)
	_, err = plain.Encode(dst, []float32{1, 1}, 1, nil, NewStream([32]byte{}), &noiseFunc{f: func(int) int32 { return 0 }})
	require.ErrorIs(t, err, ErrNoise)

	broken := errors.New("sampler out of coins")
	_, err = noisy.Encode(dst, []float32{1, 1}, 1, nil, NewStream([32]byte{}), failingNoise{broken})
	require.ErrorIs(t, err, broken)
	require.Equal(t, []uint32{0, 0}, dst)
}

func TestEncodeRefusesWhatBreaksItsContract(t *testing.T) {
	q := mustCheck(t, goodSpec())
	for _, c := range []struct {
		name        string
		dst, update int
		weight      float64
		extras      []uint64
	}{
		{"short dst", 11, 10, 1, []uint64{1, 1}},
		{"long dst", 13, 10, 1, []uint64{1, 1}},
		{"short update", 12, 9, 1, []uint64{1, 1}},
		{"long update", 12, 11, 1, []uint64{1, 1}},
		{"missing extra", 12, 10, 1, []uint64{1}},
		{"one extra too many", 12, 10, 1, []uint64{1, 1, 1}},
		{"negative weight", 12, 10, -0.001, []uint64{1, 1}},
		{"weight above one", 12, 10, 1.001, []uint64{1, 1}},
		{"weight NaN", 12, 10, math.NaN(), []uint64{1, 1}},
		{"weight infinite", 12, 10, math.Inf(1), []uint64{1, 1}},
		{"extra above its bound", 12, 10, 1, []uint64{1001, 1}},
		{"extra above every bound", 12, 10, 1, []uint64{1, math.MaxUint64}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst, coins := testWords(c.dst, 1), bytes.NewReader(make([]byte, 100))
			_, err := q.Encode(dst, make([]float32, c.update), c.weight, c.extras, coins, nil)
			require.ErrorIs(t, err, ErrArgument)
			require.Equal(t, make([]uint32, c.dst), dst)
			require.Equal(t, 100, coins.Len(), "no coins are spent")
		})
	}
	_, err := Quantizer{}.Encode(nil, nil, 1, nil, NewStream([32]byte{}), nil)
	require.ErrorIs(t, err, ErrSpec)
}

func TestErrorsDoNotShowSecrets(t *testing.T) {
	q := mustCheck(t, goodSpec())
	dst := make([]uint32, 12)
	_, err := q.Encode(dst, make([]float32, 10), 1, []uint64{987654, 1}, NewStream([32]byte{}), nil)
	require.NotContains(t, err.Error(), "987654")
	_, err = q.Encode(dst, make([]float32, 10), 9.87654, []uint64{1, 1}, NewStream([32]byte{}), nil)
	require.NotContains(t, err.Error(), "9.87654")
}

func TestEncodeNeedsMemoryThatDoesNotGrow(t *testing.T) {
	const d = 1 << 20
	q := mustCheck(t, Spec{Dimension: d, Clients: 1, ClipNorm: 1, Bits: 12})
	dst, update, coins := make([]uint32, d), make([]float32, d), NewStream([32]byte{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := q.Encode(dst, update, 1, nil, coins, nil)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<10))
}
