package pairwise

import (
	"math"
	"slices"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise/graph"
)

// sizesTried bounds how many sizes of a cohort Honest looks at. A client looks at the
// one that it is in.
const sizesTried = 64

// allTried: Chance looks at every size of a cohort below it.
const allTried = 512

// Honest implements secagg.HonestScheme: the least over the sizes of cohort that the
// policy admits, or of bucket, each with all corrupt clients in it. Of many sizes a
// part is tried.
func (Scheme) Honest(p secagg.Policy) (int, error) {
	divided := p.View == secagg.ViewBucketMeans
	one, minimum := Parameters{Corrupt: p.Corrupt, Dropout: p.Dropout, CrossSilo: p.CrossSilo, Attempts: p.Attempts}, p.Minimum
	if divided {
		one.Corrupt, minimum = corruptInBucket(p), p.Buckets.Minimum
	}
	var sizes []int
	stride := max(1, (p.Clients-p.Minimum)/sizesTried)
	for n := p.Clients; n >= p.Minimum; n -= stride {
		count := 1
		if divided {
			count = p.Buckets.Count(n)
		}
		sizes = append(sizes, n/count, (n+count-1)/count)
	}
	slices.Sort(sizes)
	least := p.Clients
	for _, n := range slices.Compact(sizes) {
		found, err := one.Find(n)
		if err != nil {
			continue // every party refuses such a cohort
		}
		least = min(least, honestInSum(found, minimum))
	}
	return least, nil
}

// FairPartition implements secagg.HonestScheme: the coordinator has a say in the
// context, from which the partition follows.
func (Scheme) FairPartition() (bits int, fair bool) { return 0, false }

// HonestInSum implements secagg.HonestSession.
func (Scheme) HonestInSum(s secagg.Session, _ int, _ float64) (int, error) {
	p, err := DecodeParameters(s.Binding.Parameters)
	if err != nil {
		return 0, err
	}
	n, least := s.Roster.Len(), s.Roster.Len()
	for _, size := range []int{n / s.Buckets, (n + s.Buckets - 1) / s.Buckets} {
		found, err := p.Find(size)
		if err != nil {
			return 0, err
		}
		least = min(least, honestInSum(found, s.BucketMinimum))
	}
	return least, nil
}

// honestInSum is the fewest honest clients in a sum that can be opened.
func honestInSum(found graph.Parameters, minimum int) int {
	return found.HonestInSum(max(minimum, found.Quorum, found.MaxCorrupt+graph.MinHonest, found.HonestFloor))
}

// Chance implements secagg.HonestScheme: in a sparse graph some client may be left with
// too few holders; and a cohort of a size for which there is no graph always fails.
func (Scheme) Chance(p secagg.Policy) float64 {
	one := Parameters{Corrupt: p.Corrupt, Dropout: p.Dropout, CrossSilo: p.CrossSilo, Attempts: p.Attempts}
	for n := p.Minimum; n <= p.Clients; n += 1 + n/allTried { // of many sizes a part
		if _, err := one.Find(n); err != nil {
			return 1
		}
	}
	if p.Clients < graph.CompleteBelow {
		return 0
	}
	return math.Ldexp(1, -FailureBits)
}

// Hides implements secagg.HonestScheme.
func (Scheme) Hides() bool { return true }
