package secagg

import (
	"crypto/aes"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPartitionIsThatOfRunningDeployments(t *testing.T) {
	// Source: testdata/golden.py, with the key stream of openssl.
	seed := Hash("choir partition/1", unhex(t, "12db470e01dbf8fe198785ed856ec48d56569288c01a3fb196546f2181cf7ad8"))
	require.Equal(t, []int{1, 2, 0, 0, 2, 0, 0, 0, 2, 1, 1, 0, 1, 1, 1, 2, 2}, Partition(seed, 17, 3))
}

// slowPartition draws a random order one place after the other, from the last, each
// from those members that are left, with one block of AES for four words.
func slowPartition(seed Digest, n, count int) []int {
	block, err := aes.NewCipher(seed[:])
	if err != nil {
		panic(err)
	}
	word := func(i int) uint32 {
		var b [aes.BlockSize]byte
		binary.BigEndian.PutUint64(b[8:], uint64(i/4))
		block.Encrypt(b[:], b[:])
		return binary.BigEndian.Uint32(b[i%4*4:])
	}
	left := make([]int, n)
	for i := range left {
		left[i] = i
	}
	out := make([]int, n)
	next := 0
	for len(left) > 1 {
		for math.MaxUint32-word(next) < uint32((1<<32)%uint64(len(left))) { // above the largest multiple
			next++
		}
		j := int(word(next) % uint32(len(left)))
		next++
		last := len(left) - 1
		out[left[j]] = last % count
		left[j] = left[last]
		left = left[:last]
	}
	if n > 0 {
		out[left[0]] = 0
	}
	return out
}

func TestPartitionEqualsTheSlowReference(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 16, 100, 1001} {
		for _, count := range []int{1, 2, 7} {
			for i := range byte(5) {
				seed := Hash("partition", []byte{i})
				require.Equal(t, slowPartition(seed, n, count), Partition(seed, n, count), "%d in %d", n, count)
			}
		}
	}
	// Only in large rosters does it happen that a value is rejected: once in four.
	for i := range byte(12) {
		seed := Hash("large partition", []byte{i})
		require.Equal(t, slowPartition(seed, MaxRoster, 9), Partition(seed, MaxRoster, 9))
	}
}

func TestBucketsHoldEverybodyOnceAndDifferByOneAtMost(t *testing.T) {
	for n := 1; n <= 60; n++ {
		for size := 1; size <= 20; size++ {
			b := Buckets{Size: size, Minimum: 1}
			count := b.Count(n)
			require.Equal(t, max(1, n/size), count)
			members := Members(Partition(Hash("x", []byte{byte(n), byte(size)}), n, count), count)
			seen := map[int]bool{}
			for _, m := range members {
				require.GreaterOrEqual(t, len(m), n/count)
				require.LessOrEqual(t, len(m), (n+count-1)/count)
				require.True(t, slices.IsSorted(m))
				if n >= size {
					require.GreaterOrEqual(t, len(m), size, "a bucket of %d clients may be opened when none vanishes", size)
				}
				for _, i := range m {
					require.False(t, seen[i])
					seen[i] = true
				}
			}
			require.Len(t, seen, n)
		}
	}
	require.Equal(t, 1, Buckets{}.Count(1000), "no buckets are one")
}

// TestPartitionIsUniform counts how often two members share a bucket, and how often
// one is in each: at five standard deviations for the worst of 60 counts.
func TestPartitionIsUniform(t *testing.T) {
	const n, count, trials = 12, 3, 6000
	var where [n][count]int
	together := 0
	for i := range uint32(trials) {
		p := Partition(Hash("uniform", binary.BigEndian.AppendUint32(nil, i)), n, count)
		for member, b := range p {
			where[member][b]++
		}
		if p[0] == p[n-1] {
			together++
		}
	}
	near := func(got int, p float64) {
		require.InDelta(t, trials*p, got, 5*math.Sqrt(trials*p*(1-p)))
	}
	for member := range n {
		for b := range count {
			near(where[member][b], 1.0/count)
		}
	}
	near(together, float64(n/count-1)/(n-1))
}

func TestBucketsThatContradictThemselvesAreRefused(t *testing.T) {
	for _, good := range []Buckets{{}, {1, 1}, {16, 12}, {12, 12}, {MaxRoster, 1}} {
		require.NoError(t, good.Check(), "%v", good)
	}
	for _, bad := range []Buckets{{16, 0}, {0, 1}, {16, 17}, {16, -1}, {-1, -2}, {-1, -1}, {MaxRoster + 1, 5}} {
		require.ErrorIs(t, bad.Check(), ErrBuckets, "%v", bad)
	}
}
