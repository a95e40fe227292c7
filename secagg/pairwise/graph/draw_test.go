package graph

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// coinsOf is a stream of the given 32-bit values.
func coinsOf(values ...uint32) io.Reader {
	var stream []byte
	for _, value := range values {
		stream = binary.BigEndian.AppendUint32(stream, value)
	}
	return bytes.NewReader(stream)
}

// Every way the coins can fall is gone through; each set comes up equally often.
func TestDrawIsUniformOverAllSets(t *testing.T) {
	for _, p := range [][3]int{{5, 2, 0}, {5, 2, 3}, {6, 3, 5}, {5, 4, 2}, {4, 1, 1}} {
		n, k, self := p[0], p[1], p[2]
		counts := map[string]int{}
		total := 0
		var fall func(coins []uint32)
		fall = func(coins []uint32) {
			if len(coins) == k {
				total++
				neighbours, err := Draw(self, n, k, coinsOf(coins...))
				require.NoError(t, err)
				require.Len(t, neighbours, k)
				require.True(t, slices.IsSorted(neighbours))
				key := make([]byte, n)
				for _, v := range neighbours {
					require.NotEqual(t, self, v)
					require.Zero(t, key[v], "twice the same")
					key[v] = 1
				}
				counts[string(key)]++
				return
			}
			for value := range uint32(n - k + len(coins)) { // the i-th draw is below n-k+i
				fall(append(slices.Clone(coins), value))
			}
		}
		fall(nil)
		require.Len(t, counts, binomial(n-1, k))
		for key, count := range counts {
			require.Equal(t, total/binomial(n-1, k), count, "%v %v", p, []byte(key))
		}
	}
}

func TestUniformRejectsTheIncompleteLastRun(t *testing.T) {
	// 2^32 = 3 * 1431655765 + 1: only the top value is rejected.
	index, err := uniform(3, coinsOf(1<<32-1, 1<<32-2))
	require.NoError(t, err)
	require.Equal(t, 2, index)
	index, err = uniform(1<<16, coinsOf(1<<32-1)) // nothing to reject
	require.NoError(t, err)
	require.Equal(t, 1<<16-1, index)
}

func TestDrawGolden(t *testing.T) {
	// Source: Floyd's algorithm by hand. Others 0..8 without self 4: ends 6, 7, 8
	// (of 9 others) draw 6, then 6 again (taken: 7), then 0; indices from 4 on
	// move up by one.
	neighbours, err := Draw(4, 10, 3, coinsOf(6, 6, 0))
	require.NoError(t, err)
	require.Equal(t, []int{0, 7, 8}, neighbours)
}

func TestDrawRefuses(t *testing.T) {
	for _, p := range [][3]int{{-1, 5, 2}, {5, 5, 2}, {0, 5, 0}, {0, 5, 5}, {0, 1, 1}, {0, MaxClients + 1, 2}} {
		_, err := Draw(p[0], p[1], p[2], rand.NewChaCha8([32]byte{}))
		require.ErrorIs(t, err, ErrDraw, "%v", p)
	}
	_, err := Draw(0, 5, 2, coinsOf(1))
	require.ErrorIs(t, err, ErrCoins)
	require.ErrorIs(t, err, io.EOF)
	_, err = Draw(0, 4, 1, stuck{})
	require.ErrorIs(t, err, ErrCoins)
	require.False(t, errors.Is(err, io.EOF))
}

// stuck yields ones for ever.
type stuck struct{}

func (stuck) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 0xff
	}
	return len(b), nil
}

func BenchmarkDraw122of10000(b *testing.B) {
	coins := rand.NewChaCha8([32]byte{1})
	for b.Loop() {
		if _, err := Draw(77, 10_000, 122, coins); err != nil {
			b.Fatal(err)
		}
	}
}
