package rlwe

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// With a modulus of 2^52 half of the words are rejected, and the second half of a
// row comes from later parts of the keystream.
func TestExpansionRejectsWordsThatAreNotBelowThePrime(t *testing.T) {
	const n = 2048
	x, err := newExpander(aContext)
	require.NoError(t, err)
	for _, q := range []uint64{1 << 52, 1<<52 + 12345, 1 << 49, 1<<53 - 1} {
		got := make([]uint64, n)
		x.expand(got, q, 5, 1)
		require.Equal(t, slowExpand(t, aContext, n, q, 5, 1), got)
		for _, v := range got {
			require.Less(t, v, q)
		}
	}
}

func TestExpansionsOfDifferentPlacesDiffer(t *testing.T) {
	const n = 2048
	seen := make(map[uint64]bool)
	for _, context := range [][32]byte{{}, {1}} {
		x, err := newExpander(context)
		require.NoError(t, err)
		for _, chunk := range []int{0, 1, 1 << 20} {
			for limb := range 2 {
				row := make([]uint64, n)
				x.expand(row, setM.primes[0].q, chunk, limb)
				require.False(t, seen[row[0]])
				seen[row[0]] = true
			}
		}
	}
}
