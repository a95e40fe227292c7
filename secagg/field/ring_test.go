package field

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// testWords gives n reproducible words.
func testWords(n int, seed byte) []uint32 {
	raw := make([]byte, 4*n)
	_, _ = NewStream([32]byte{seed}).Read(raw)
	words := make([]uint32, n)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return words
}

func TestAddAndSubActOnEveryWord(t *testing.T) {
	for n := range 40 {
		a, b := testWords(n, 1), testWords(n, 2)
		sum, difference := testWords(n, 1), testWords(n, 1)
		Add(sum, b)
		Sub(difference, b)
		for i := range a {
			require.Equal(t, a[i]+b[i], sum[i], "n = %d, word %d", n, i)
			require.Equal(t, a[i]-b[i], difference[i], "n = %d, word %d", n, i)
		}
		Sub(sum, b)
		require.Equal(t, a, sum, "Sub undoes Add")
	}
}

func TestAddAndSubRefuseDifferentLengths(t *testing.T) {
	for _, lengths := range [][2]int{{3, 4}, {4, 3}, {0, 1}} {
		dst, src := make([]uint32, lengths[0]), make([]uint32, lengths[1])
		require.Panics(t, func() { Add(dst, src) })
		require.Panics(t, func() { Sub(dst, src) })
	}
}

func TestAddWrapsAsEverySmallerRingDoes(t *testing.T) {
	a, b := testWords(100, 3), testWords(100, 4)
	sum := append([]uint32(nil), a...)
	Add(sum, b)
	for w := MinWordBits; w <= MaxWordBits; w++ {
		mod := uint64(1) << w
		for i := range a {
			want := (uint64(a[i])%mod + uint64(b[i])%mod) % mod
			require.Equal(t, want, uint64(sum[i])%mod, "w = %d", w)
		}
	}
}
