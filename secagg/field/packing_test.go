package field

import (
	"bytes"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// slowPack follows the documented bit order, one bit at a time.
func slowPack(words []uint32, w int) []byte {
	out := make([]byte, (len(words)*w+7)/8)
	for i, v := range words {
		for k := range w {
			out[(i*w+k)/8] |= byte(v>>k&1) << ((i*w + k) % 8)
		}
	}
	return out
}

func TestPackedLenIsBitsRoundedUpToBytes(t *testing.T) {
	for w := MinWordBits; w <= MaxWordBits; w++ {
		for _, n := range []int{0, 1, 2, 7, 8, 9, 1000, 1<<20 + 3, MaxWords - 1, MaxWords} {
			bits := new(big.Int).Mul(big.NewInt(int64(n)), big.NewInt(int64(w)))
			want := bits.Add(bits, big.NewInt(7)).Rsh(bits, 3).Int64()
			require.Equal(t, want, int64(PackedLen(n, w)), "n = %d, w = %d", n, w)
		}
	}
}

func TestPackedLenRefusesWhatHasNoLength(t *testing.T) {
	for _, c := range []struct{ n, w int }{
		{-1, 8}, {math.MinInt, 32}, {MaxWords + 1, 8}, {math.MaxInt, 32}, {1 << 30, 32},
		{1, 7}, {1, 33}, {1, 0}, {1, -8}, {1, math.MaxInt},
	} {
		require.Equal(t, -1, PackedLen(c.n, c.w), "n = %d, w = %d", c.n, c.w)
	}
}

func TestPackingAgreesWithBitByBitReference(t *testing.T) {
	for w := MinWordBits; w <= MaxWordBits; w++ {
		for _, n := range []int{0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 23, 31, 64, 65, 100, 1023, 1024, 1025, 2050} {
			words := testWords(n, byte(w))
			want := slowPack(words, w)
			packed := bytes.Repeat([]byte{0xa5}, PackedLen(n, w)) // must be overwritten
			require.NoError(t, Pack(packed, words, w))
			require.Equal(t, want, packed, "n = %d, w = %d", n, w)

			reduced := make([]uint32, n)
			for i, v := range words {
				reduced[i] = uint32(uint64(v) % (1 << w))
			}
			got := testWords(n, 77) // must be overwritten
			require.NoError(t, Unpack(got, packed, w))
			require.Equal(t, reduced, got, "n = %d, w = %d", n, w)

			base := testWords(n, 78)
			want32 := testWords(n, 78)
			Add(want32, reduced)
			require.NoError(t, AddPacked(base, packed, w))
			require.Equal(t, want32, base, "n = %d, w = %d", n, w)
		}
	}
}

// Worked by hand from the documented order: 0x1ff occupies bits 0-8, 0x001
// bits 9-17, 0x155 bits 18-26, and five spare bits are zero.
func TestPackByHand(t *testing.T) {
	packed := make([]byte, 4)
	require.NoError(t, Pack(packed, []uint32{0x1ff, 0x001, 0x155}, 9))
	require.Equal(t, []byte{0xff, 0x03, 0x54, 0x05}, packed)
}

func TestUnpackDemandsExactLength(t *testing.T) {
	for w := MinWordBits; w <= MaxWordBits; w++ {
		for _, n := range []int{1, 8, 13, 100} {
			right := PackedLen(n, w)
			for _, size := range []int{0, right - 1, right + 1, right + 8, 2 * right} {
				words := testWords(n, 5)
				before := append([]uint32(nil), words...)
				src := make([]byte, size)
				require.ErrorIs(t, Unpack(words, src, w), ErrPacking)
				require.ErrorIs(t, AddPacked(words, src, w), ErrPacking)
				require.Equal(t, before, words, "a refusal changes nothing")
				require.ErrorIs(t, Pack(src, words, w), ErrArgument)
			}
		}
	}
}

func TestUnpackRefusesSpareBits(t *testing.T) {
	for w := MinWordBits; w <= MaxWordBits; w++ {
		for n := 1; n <= 16; n++ {
			used := n * w % 8
			if used == 0 {
				continue
			}
			for bit := used; bit < 8; bit++ {
				src := make([]byte, PackedLen(n, w))
				src[len(src)-1] = 1 << bit
				words := testWords(n, 6)
				before := append([]uint32(nil), words...)
				require.ErrorIs(t, Unpack(words, src, w), ErrPacking, "n = %d, w = %d, bit %d", n, w, bit)
				require.ErrorIs(t, AddPacked(words, src, w), ErrPacking)
				require.Equal(t, before, words)
			}
		}
	}
}

func TestPackingRefusesOtherWidths(t *testing.T) {
	for _, w := range []int{math.MinInt, -8, 0, 7, 33, 64, math.MaxInt} {
		require.ErrorIs(t, Pack(nil, nil, w), ErrArgument)
		require.ErrorIs(t, Unpack(nil, nil, w), ErrArgument)
		require.ErrorIs(t, AddPacked(nil, nil, w), ErrArgument)
	}
}

func TestChunksCoverTheVectorAndPackAlone(t *testing.T) {
	for _, w := range []int{8, 11, 16, 20, 31, 32} {
		for _, n := range []int{1, 7, ChunkWords - 1, ChunkWords, ChunkWords + 1, 2*ChunkWords + 13} {
			words := testWords(n, 9)
			whole := make([]byte, PackedLen(n, w))
			require.NoError(t, Pack(whole, words, w))
			word, at := 0, 0
			for i := range ChunkCount(n) {
				c, err := ChunkAt(n, w, i)
				require.NoError(t, err)
				require.Equal(t, word, c.FirstWord)
				require.Equal(t, at, c.FirstByte)
				require.Equal(t, i*ChunkWords*w/8, c.FirstByte)
				alone := make([]byte, c.EndByte-c.FirstByte)
				require.NoError(t, Pack(alone, words[c.FirstWord:c.EndWord], w))
				require.True(t, bytes.Equal(whole[c.FirstByte:c.EndByte], alone), "chunk %d of n = %d, w = %d", i, n, w)
				word, at = c.EndWord, c.EndByte
			}
			require.Equal(t, n, word)
			require.Equal(t, len(whole), at)
		}
	}
}

func TestChunkAtRefusesWhatIsNotThere(t *testing.T) {
	for _, c := range []struct{ n, w, i int }{
		{0, 8, 0}, {10, 8, 1}, {10, 8, -1}, {ChunkWords, 8, 1}, {10, 7, 0}, {10, 33, 0},
		{MaxWords + 1, 8, 0}, {-1, 8, 0}, {10, 8, math.MaxInt}, {10, 8, math.MinInt},
	} {
		_, err := ChunkAt(c.n, c.w, c.i)
		require.ErrorIs(t, err, ErrArgument, "%+v", c)
	}
	require.Equal(t, 0, ChunkCount(math.MinInt))
	require.Equal(t, math.MaxInt/ChunkWords+1, ChunkCount(math.MaxInt), "no overflow")
}

func FuzzUnpack(f *testing.F) {
	f.Add(uint16(3), uint8(9), []byte{0xff, 0x03, 0x54, 0x05})
	f.Add(uint16(3), uint8(9), []byte{0xff, 0x03, 0x54, 0x0d}) // a spare bit
	f.Add(uint16(1), uint8(32), []byte{1, 2, 3, 4})
	f.Add(uint16(1), uint8(32), []byte{1, 2, 3})
	f.Add(uint16(20), uint8(31), make([]byte, 78))
	f.Add(uint16(0), uint8(8), []byte{})
	f.Add(uint16(5), uint8(200), []byte{1})
	f.Fuzz(func(t *testing.T, n uint16, w uint8, src []byte) {
		words := testWords(int(n), 1)
		sum := testWords(int(n), 1)
		before := testWords(int(n), 1)
		err := Unpack(words, src, int(w))
		errAdd := AddPacked(sum, src, int(w))
		if err != nil {
			require.Equal(t, err, errAdd)
			require.Equal(t, before, words)
			require.Equal(t, before, sum)
			return
		}
		require.NoError(t, errAdd)
		again := make([]byte, len(src))
		require.NoError(t, Pack(again, words, int(w)))
		require.True(t, bytes.Equal(src, again), "parse then encode gives the same bytes")
		Sub(sum, words)
		require.Equal(t, before, sum)
	})
}
