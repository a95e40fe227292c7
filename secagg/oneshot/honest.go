package oneshot

import (
	"math/big"

	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
)

const (
	// PrivacyBits: over all attempts at a round, some opened bucket holds fewer than
	// two honest clients with probability at most 2^-PrivacyBits.
	PrivacyBits = 40
	// grindingBits: a round has at most 2^grindingBits attempts, each of which
	// draws another partition, and corrupt parties may end those they dislike.
	grindingBits = 3
	// MaxAttempts is the most attempts at one round.
	MaxAttempts = 1 << grindingBits
	// minHonest is the fewest honest clients in an opened sum: the sum of the
	// secrets is published, and hides a secret only among other unknown ones.
	minHonest = 2
)

// bucketSize is the largest of count buckets of n clients.
func bucketSize(n, count int) int { return (n + count - 1) / count }

// corruptInBucket returns c*: the most corrupt clients that are reckoned with in a
// bucket, when n clients of which f are corrupt are dealt into count buckets. It is
// the least c with
//
//	count * 2^grindingBits * P[Hyp(n, f, size) > c] <= 2^-PrivacyBits
//
// where Hyp(n, f, size) is the number of corrupt ones in one bucket of that size: the
// union bound over all buckets and attempts (DESIGN sections 6 and 7). It is not
// enough to look at the bucket of one honest client, as a client does that reckons
// for itself, P[Hyp(n-1, f, size-1) > c]: the nearer a bucket is to being all corrupt,
// the fewer honest clients there are to find themselves in it. The comparison is
// exact, so that all parties agree.
func corruptInBucket(n, f, count int) int {
	drawn, honest := bucketSize(n, count), n-f
	x := min(f, drawn)
	if x <= 0 || honest < 0 {
		return max(x, 0)
	}
	// P[Hyp = x] = term / all, with term = C(f, x) C(honest, drawn-x).
	term := new(big.Int).Binomial(int64(f), int64(x))
	term.Mul(term, new(big.Int).Binomial(int64(honest), int64(drawn-x)))
	all := new(big.Int).Binomial(int64(n), int64(drawn))
	tail, scaled, factor := new(big.Int), new(big.Int), big.NewInt(int64(count))
	for ; x > 0; x-- {
		tail.Add(tail, term)
		scaled.Mul(tail, factor)
		if scaled.Lsh(scaled, PrivacyBits+grindingBits).Cmp(all) > 0 {
			return x
		}
		// The term of x-1, which is an integer again.
		term.Mul(term, product(x, honest-drawn+x))
		term.Quo(term, product(f-x+1, drawn-x+1))
	}
	return 0
}

func product(a, b int) *big.Int { return new(big.Int).Mul(big.NewInt(int64(a)), big.NewInt(int64(b))) }

// Honest implements secagg.HonestScheme: all corrupt clients of a full cohort may be in
// the sum; what is known of a bucket follows from FairPartition.
func (Scheme) Honest(p secagg.Policy) (int, error) {
	minimum := p.Minimum
	if p.View == secagg.ViewBucketMeans {
		minimum = p.Buckets.Minimum
	}
	return max(0, minimum-secagg.ShareOf(p.Clients, p.Corrupt)), nil
}

// FairPartition implements secagg.HonestScheme: nonces that members committed to before
// the roster was fixed draw the partition, and each attempt is another draw.
func (Scheme) FairPartition() (bits int, fair bool) { return grindingBits, true }

// HonestInSum implements secagg.HonestSession. Buckets are drawn after the session is
// fixed: how many corrupt clients are in one is reckoned by the law of the draw.
func (Scheme) HonestInSum(s secagg.Session, releases int, delta float64) (int, error) {
	p, err := DecodeParameters(s.Binding.Parameters)
	if err != nil {
		return 0, err
	}
	n, f := s.Roster.Len(), secagg.ShareOf(s.Roster.Len(), p.Corrupt)
	if s.Buckets == 1 {
		return max(0, s.Minimum-f), nil
	}
	b, err := ddp.BucketView{Cohort: n, Corrupt: min(f, n-1), Size: bucketSize(n, s.Buckets), Minimum: s.BucketMinimum,
		Rounds: releases, Grinding: grindingBits, Delta: delta}.Honest()
	return b.Honest, err
}

// Chance implements secagg.HonestScheme.
func (Scheme) Chance(secagg.Policy) float64 { return 0 }

// Hides implements secagg.HonestScheme.
func (Scheme) Hides() bool { return true }
