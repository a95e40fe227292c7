package secaggtest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// Vectors draws one vector a member, each word below 2^w, the first member's
// words all at the top of the range so that sums wrap.
func Vectors(s secagg.Session, seed uint64) [][]uint32 {
	coins := rand.New(rand.NewPCG(seed, 7))
	out := make([][]uint32, s.Roster.Len())
	mask := uint32(1<<s.WordBits - 1)
	for i := range out {
		out[i] = make([]uint32, s.Words)
		for j := range out[i] {
			out[i][j] = coins.Uint32() & mask
			if i == 0 {
				out[i][j] = mask
			}
		}
	}
	return out
}

// PlainSum is the modular sum of the members' vectors.
func PlainSum(s secagg.Session, vectors [][]uint32, members []int) []uint32 {
	out := make([]uint32, s.Words)
	for _, i := range members {
		for j, v := range vectors[i] {
			out[j] = (out[j] + v) & uint32(1<<s.WordBits-1)
		}
	}
	return out
}

// RequireSum checks that the sums are those of exactly the given members: in each
// bucket that has its minimum of them, the plain sum, and no other bucket is opened.
func (a *Attempt) RequireSum(t testing.TB, sums []secagg.Sum, members []int) {
	t.Helper()
	a.RequireSums(t, sums)
	var want [][]int
	for _, bucket := range a.divide(members) {
		if len(bucket) >= a.Session.BucketMinimum {
			want = append(want, bucket)
		}
	}
	var got [][]int
	for _, s := range sums {
		require.NoError(t, s.Spoiled)
		got = append(got, s.Members)
	}
	require.Equal(t, want, got)
}

// RequireSums checks what holds of the sums of every attempt: a bucket is opened
// once, in order, not below its minimum, with the members that Control says, who all
// belong to it; its words are their plain sum, or it is spoiled and has none; and all
// opened buckets together have the session's minimum.
func (a *Attempt) RequireSums(t testing.TB, sums []secagg.Sum) {
	t.Helper()
	survivors := a.Control.Survivors()
	require.Len(t, survivors, a.Session.Buckets)
	total, last := 0, -1
	for _, s := range sums {
		require.Greater(t, s.Bucket, last)
		last = s.Bucket
		require.Equal(t, survivors[s.Bucket], s.Members)
		require.True(t, slices.IsSorted(s.Members))
		require.GreaterOrEqual(t, len(s.Members), a.Session.BucketMinimum)
		for _, i := range s.Members {
			require.Equal(t, s.Bucket, a.Control.Bucket(i))
			require.True(t, a.Added[i], "member %d is in a sum and was never added", i)
		}
		total += len(s.Members)
		if s.Spoiled != nil {
			require.Empty(t, s.Words)
			continue
		}
		require.Equal(t, PlainSum(a.Session, a.Vectors, s.Members), s.Words, "bucket %d", s.Bucket)
	}
	require.GreaterOrEqual(t, total, a.Session.Minimum)
	opened := 0
	for _, members := range survivors {
		if members != nil {
			opened++
		}
	}
	require.Len(t, sums, opened)
}

// divide groups members by bucket.
func (a *Attempt) divide(members []int) [][]int {
	out := make([][]int, a.Session.Buckets)
	for _, i := range members {
		b := a.Control.Bucket(i)
		out[b] = append(out[b], i)
	}
	return out
}

// survivors lists the members in all sums, in order.
func (a *Attempt) survivors() []int {
	var out []int
	for _, members := range a.Control.Survivors() {
		out = append(out, members...)
	}
	slices.Sort(out)
	return out
}
