package graph

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// a run of this many rejected draws, each less likely than 1/2, means that the
// coins are broken.
const maxRejections = 128

// Draw chooses client self's k out-neighbours: k of the n-1 other clients,
// numbered 0 to n-1, each set of k equally likely. The list is sorted. The
// client draws it once, from its own coins, after the roster is fixed; nobody
// else can steer it.
//
// Coins are read four bytes at a time, big-endian. Errors: ErrDraw unless
// 0 <= self < n <= MaxClients and 1 <= k < n; ErrCoins if coins fails or keeps
// yielding values out of range.
func Draw(self, n, k int, coins io.Reader) ([]int, error) {
	if n > MaxClients || self < 0 || self >= n || k < 1 || k >= n {
		return nil, fmt.Errorf("%w: %d neighbours of client %d among %d", ErrDraw, k, self, n)
	}
	// Floyd's sampling (Bentley and Floyd, CACM 30(9), 1987) of k among the n-1
	// others: for each upper end in turn take a uniform index up to it, or the end
	// itself if that index is taken.
	taken := make(map[int]bool, k)
	neighbours := make([]int, 0, k)
	for end := n - 1 - k; end < n-1; end++ {
		index, err := uniform(uint32(end+1), coins)
		if err != nil {
			return nil, err
		}
		if taken[index] {
			index = end
		}
		taken[index] = true
		if index >= self { // indices skip self
			neighbours = append(neighbours, index+1)
		} else {
			neighbours = append(neighbours, index)
		}
	}
	slices.Sort(neighbours)
	return neighbours, nil
}

// uniform returns an integer in [0, m) by rejection: 32-bit values from the
// largest multiple of m upwards are thrown away.
func uniform(m uint32, coins io.Reader) (int, error) {
	limit := 1 << 32 / uint64(m) * uint64(m)
	var word [4]byte
	for range maxRejections {
		if _, err := io.ReadFull(coins, word[:]); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrCoins, err)
		}
		if value := uint64(binary.BigEndian.Uint32(word[:])); value < limit {
			return int(value % uint64(m)), nil
		}
	}
	return 0, fmt.Errorf("%w: %d draws in a row out of range", ErrCoins, maxRejections)
}
