package secagg

import (
	"encoding/binary"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg/field"
)

// ErrBuckets refuses a division of the cohort.
var ErrBuckets = fault.New(fault.Invalid, "secagg/buckets", "buckets are not acceptable", "correct the plan")

// Buckets divides an attempt's clients, each bucket with a sum of its own. The zero
// value is one bucket that holds everybody.
type Buckets struct {
	Size    int // s: clients wanted in a bucket
	Minimum int // s_min: fewest in an opened bucket
}

// Each is a bucket for each client: what is opened under ViewVectors.
func Each() Buckets { return Buckets{Size: 1, Minimum: 1} }

// Count is the number of buckets among n clients: floor(n/Size), and at least one.
// The sizes of the buckets differ by at most one.
func (b Buckets) Count(n int) int {
	if b.Size == 0 {
		return 1
	}
	return max(1, n/b.Size)
}

// Check refuses sizes that contradict each other.
func (b Buckets) Check() error {
	if b == (Buckets{}) {
		return nil
	}
	if b.Minimum < 1 || b.Minimum > b.Size || b.Size > MaxRoster {
		return ErrBuckets.At("at least %d of %d clients", b.Minimum, b.Size)
	}
	return nil
}

// Partition deals the members 0..n-1 into count buckets and returns the bucket of
// each. A member's place is that in a uniformly random permutation (Fisher-Yates),
// dealt round robin. The permutation is drawn from the AES-256-CTR stream of
// [field.NewStream] under seed: for i from n-1 down to 1 an index below i+1 from
// four bytes, big-endian, of which values at or above the largest multiple of i+1
// are rejected.
func Partition(seed Digest, n, count int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	coins := field.NewStream(seed)
	var b [4]byte
	for i := n - 1; i > 0; i-- {
		limit := uint64(i + 1)
		for {
			_, _ = coins.Read(b[:]) // never fails
			v := uint64(binary.BigEndian.Uint32(b[:]))
			if v < (1<<32)/limit*limit {
				j := int(v % limit)
				order[i], order[j] = order[j], order[i]
				break
			}
		}
	}
	out := make([]int, n)
	for place, member := range order {
		out[member] = place % count
	}
	return out
}

// Members turns what Partition returned around: the members of each bucket, in order.
func Members(bucketOf []int, count int) [][]int {
	out := make([][]int, count)
	for member, b := range bucketOf {
		out[b] = append(out[b], member)
	}
	return out
}
