package ddp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/choir-fl/choir/secagg/field"
	"github.com/stretchr/testify/require"
)

// slowRotation is the textbook transform, one stride at a time.
func slowRotation(x []float32, seed [32]byte) []float32 {
	out := append([]float32(nil), x...)
	signs := make([]byte, len(x)/8)
	_, _ = field.NewStream(field.Derive(seed, "ddp/signs")).Read(signs)
	for first := 0; first < len(out); first += 1 << 14 {
		block := out[first:min(len(out), first+1<<14)]
		norm := float32(1 / math.Sqrt(float64(len(block))))
		for i := range block {
			block[i] *= norm
			if signs[(first+i)/8]>>((first+i)%8)&1 == 1 {
				block[i] = -block[i]
			}
		}
		for h := 1; h < len(block); h *= 2 {
			for i := range block {
				if i&h == 0 {
					block[i], block[i+h] = block[i]+block[i+h], block[i]-block[i+h]
				}
			}
		}
	}
	return out
}

func randomVector(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func testRotation(t testing.TB, dimension int) Rotation {
	r, err := NewRotation(dimension, [32]byte{7})
	require.NoError(t, err)
	return r
}

func TestDimensionsArePaddedByBlocks(t *testing.T) {
	for d, want := range map[int]int{1: 64, 64: 64, 65: 128, 8193: 16384, 16384: 16384, 16385: 16448, 199210: 12*16384 + 4096,
		1 << 20: 1 << 20, field.MaxWords: field.MaxWords, 0: 0, -1: 0, field.MaxWords + 1: 0} {
		require.Equal(t, want, PaddedDimension(d), d)
	}
	require.Equal(t, 1<<18, PaddedDimension(1<<18-1))
}

func TestRotationEqualsTheTextbookTransformBitForBit(t *testing.T) {
	for _, d := range []int{64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 16384 + 64, 2*16384 + 8192} {
		x := randomVector(uint64(d), d)
		want := slowRotation(x, [32]byte{7})
		require.NoError(t, testRotation(t, d).Forward(x))
		for i := range x {
			require.Equal(t, math.Float32bits(want[i]), math.Float32bits(x[i]), "dimension %d, coordinate %d", d, i)
		}
	}
}

// TestRotationGivesTheSameBytesEverywhere holds a digest. It has no outside source: it
// was recorded on amd64, and 386 gave the same.
func TestRotationGivesTheSameBytesEverywhere(t *testing.T) {
	x := make([]float32, 16384+4096)
	for i := range x {
		x[i] = float32(int32(uint32(i)*2654435761)) / 3
	}
	require.NoError(t, testRotation(t, len(x)).Forward(x))
	h := sha256.New()
	require.NoError(t, binary.Write(h, binary.LittleEndian, x))
	require.Equal(t, "e947acd08a576f67366d1d95accd7156", hex.EncodeToString(h.Sum(nil)[:16]))
}

func TestRotationKeepsNormsAndIsUndone(t *testing.T) {
	for _, d := range []int{64, 128, 16384, 3*16384 + 512} {
		r, x := testRotation(t, d), randomVector(3, d)
		y := append([]float32(nil), x...)
		require.NoError(t, r.Forward(y))
		require.InEpsilon(t, field.Norm(x), field.Norm(y), 1e-6)
		require.NoError(t, r.Inverse(y))
		for i := range x {
			require.InDelta(t, x[i], y[i], 1e-5)
		}
	}
}

func TestRotationIsLinear(t *testing.T) {
	const d = 16384 + 128
	r, x, y := testRotation(t, d), randomVector(4, d), randomVector(5, d)
	sum := make([]float32, d)
	for i := range sum {
		sum[i] = x[i] - 3*y[i]
	}
	for _, v := range [][]float32{x, y, sum} {
		require.NoError(t, r.Forward(v))
	}
	for i := range sum {
		require.InDelta(t, x[i]-3*y[i], sum[i], 1e-4)
	}
}

func TestRotationSpreadsTheEnergyOfOneCoordinate(t *testing.T) {
	x := make([]float32, 16384)
	x[77] = 128
	require.NoError(t, testRotation(t, len(x)).Forward(x))
	plus := 0
	for _, v := range x {
		require.Equal(t, float32(1), float32(math.Abs(float64(v))))
		if v > 0 {
			plus++
		}
	}
	require.Equal(t, 8192, plus)
}

func TestSeedsGiveOtherRotations(t *testing.T) {
	x, y := randomVector(6, 64), randomVector(6, 64)
	other, err := NewRotation(64, [32]byte{8})
	require.NoError(t, err)
	require.NoError(t, testRotation(t, 64).Forward(x))
	require.NoError(t, other.Forward(y))
	require.NotEqual(t, x, y)
}

func TestRotationRefusesOtherLengths(t *testing.T) {
	r := testRotation(t, 100)
	require.Equal(t, 128, r.Padded())
	require.ErrorIs(t, r.Forward(make([]float32, 100)), ErrArgument)
	require.ErrorIs(t, r.Inverse(make([]float32, 256)), ErrArgument)
	require.ErrorIs(t, Rotation{}.Forward(nil), ErrArgument, "the zero rotation")
	_, err := NewRotation(0, [32]byte{})
	require.ErrorIs(t, err, ErrParameters)
}
