package oneshot

import (
	"slices"
	"sync"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot/rlwe"
	"github.com/choir-fl/choir/secagg/oneshot/share"
)

// opening implements secagg.Opening. Secret.
type opening struct {
	attempt *attempt
	buckets []*openedBucket // by bucket; nil for one that is not opened
	liars   []int
}

// openedBucket is what opens one bucket.
type openedBucket struct {
	members []int
	spoiled error   // why it cannot be opened
	secret  []int32 // the sum of the members' secrets

	mu   sync.Mutex
	free []*rlwe.Opener // not in use by a worker
}

// Liars implements secagg.Opening.
func (o *opening) Liars() []int { return slices.Clone(o.liars) }

// Erase implements secagg.Opening.
func (o *opening) Erase() {
	for _, b := range o.buckets {
		if b == nil {
			continue
		}
		b.mu.Lock()
		clear(b.secret)
		for _, x := range b.free {
			x.Erase()
		}
		b.free = nil
		b.mu.Unlock()
	}
	*o = opening{}
}

// Opening implements secagg.Control: it interpolates the sum of the secrets of each
// bucket from the members' answers, and corrects wrong ones and names them where
// there are enough. A bucket of which too many are wrong, or whose sum so many
// secrets cannot have, is spoiled.
func (c *control) Opening() (secagg.Opening, error) {
	if c.phase != phaseOpen {
		return nil, secagg.ErrPhase.At("phase %s", c.Phase().Name)
	}
	a := c.attempt
	var points, of []int
	for j, sums := range c.answers {
		if sums != nil {
			points, of = append(points, point(j)), append(of, j)
		}
	}
	o := &opening{attempt: a, buckets: make([]*openedBucket, len(c.buckets))}
	lied := make([]bool, a.members())
	answers := make([][]uint32, len(of))
	at := 0
	for b, members := range c.buckets {
		if members == nil {
			continue
		}
		for i, j := range of {
			answers[i] = c.answers[j][at]
		}
		at++
		x := &openedBucket{members: slices.Clone(members), secret: make([]int32, a.ring.N())}
		liars, err := share.Combine(x.secret, points, answers, a.degree())
		for _, i := range liars {
			lied[of[i]] = true
		}
		if err == nil {
			var key *rlwe.Opener
			if key, err = x.take(a); err == nil {
				x.give(key)
			}
		}
		if err != nil {
			x.spoiled = ErrSums.At("bucket %d", b).Because(err)
		}
		o.buckets[b] = x
	}
	for j, is := range lied {
		if is {
			o.liars = append(o.liars, a.clients()+j)
		}
	}
	return o, nil
}

// take returns an opener that nobody else uses; it refuses a sum of secrets that so
// many members cannot have (rlwe.ErrKey).
func (b *openedBucket) take(a *attempt) (*rlwe.Opener, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		x := b.free[n-1]
		b.free = b.free[:n-1]
		return x, nil
	}
	return rlwe.NewOpener(a.ring, a.Context, b.secret, len(b.members))
}

func (b *openedBucket) give(x *rlwe.Opener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, x)
}
