package oneshot

import (
	"slices"

	"github.com/choir-fl/choir/secagg"
)

// Advance implements secagg.Control.
func (c *control) Advance() error {
	switch c.phase {
	case phaseContext:
		return c.afterContext()
	case phaseReveal:
		return c.afterReveal()
	case phaseSeed:
		return c.afterSeed()
	case phaseUpload:
		return c.afterUpload()
	case phaseRecords:
		return c.afterRecords()
	case phaseAgree:
		return c.afterAgree()
	case phaseUnmask:
		return c.afterUnmask()
	}
	return secagg.ErrPhase.At("phase open")
}

// enough refuses to go on with fewer than so many members.
func (c *control) enough(members, least int) error {
	if members < least {
		return ErrAbsent.At("phase %s: %d committee members, of at least %d", c.Phase().Name, members, least)
	}
	return nil
}

// gather returns the signatures of a quorum; more would only cost bytes and time.
func (c *control) gather(signers []int) *quorum {
	q := new(quorum)
	for _, j := range signers[:c.attempt.Committee.Quorum()] {
		q.add(j, c.signatures[j])
	}
	return q
}

// withheld blames the members whose nonces count and cannot come any more.
func (c *control) withheld(here []int) error {
	blame := &secagg.Blame{}
	var names []secagg.PartyID
	for _, j := range c.attempt.nonced {
		if !slices.Contains(here, j) {
			blame.Members = append(blame.Members, c.attempt.clients()+j)
			names = append(names, c.attempt.Committee.At(j).ID)
		}
	}
	if blame.Members == nil {
		return nil
	}
	blame.Err = ErrWithheld.At("phase %s: members %s", c.Phase().Name, names)
	return blame
}

func (c *control) afterContext() error {
	here := c.answered()
	// Who did not sign is asked no more: its nonce would be missed for certain. As a
	// quorum's nonces count, a quorum has signed if none is missed.
	if err := c.withheld(here); err != nil {
		return err
	}
	c.enter(phaseReveal, here, c.gather(here).encode())
	return nil
}

func (c *control) afterReveal() error {
	here := c.answered()
	if err := c.withheld(here); err != nil {
		return err
	}
	nonces := c.allNonces()
	seed, err := c.attempt.seed(nonces)
	if err != nil {
		return err
	}
	c.seed = seed
	c.enter(phaseSeed, here, nonces)
	return nil
}

// allNonces returns those that count, in the order of their owners.
func (c *control) allNonces() []byte {
	var out []byte
	for _, j := range c.attempt.nonced {
		out = append(out, c.nonces[j]...)
	}
	return out
}

func (c *control) afterSeed() error {
	here := c.answered()
	if err := c.enough(len(here), c.attempt.Committee.Quorum()); err != nil {
		return err
	}
	m := start{nonces: c.allNonces(), quorum: *c.gather(here)}
	c.bucketOf = c.attempt.partition(c.seed)
	for _, j := range here {
		c.jury.active[j] = true
	}
	c.enter(phaseUpload, here, m.encode())
	for i := range c.attempt.clients() {
		c.asked[i] = true
	}
	return nil
}

func (c *control) afterUpload() error {
	if n := len(c.order); n < c.attempt.Minimum {
		return secagg.ErrTooFew.At("phase upload: %d of at least %d", n, c.attempt.Minimum)
	}
	here := c.jury.members()
	if err := c.enough(len(here), c.attempt.Committee.Quorum()); err != nil {
		return err
	}
	c.enter(phaseRecords, here, encodeCount(len(c.order)))
	return nil
}

func (c *control) afterRecords() error {
	c.jury.leaveOut(func(j int) bool { return len(c.jury.verdicts[j]) < len(c.order) })
	c.decide()
	here := c.jury.members()
	if err := c.enough(len(here), c.attempt.Committee.Quorum()); err != nil {
		return err
	}
	if err := c.survive(); err != nil {
		return err
	}
	c.enter(phaseAgree, here, c.u)
	return nil
}

// survive fixes the survivors: the good clients in buckets that are large enough.
func (c *control) survive() error {
	buckets := make([][]int, c.attempt.Buckets)
	for i := range c.jury.cleared.all() {
		buckets[c.bucketOf[i]] = append(buckets[c.bucketOf[i]], i)
	}
	u := newSet(c.attempt.clients())
	for b, members := range buckets {
		if len(members) < c.attempt.BucketMinimum {
			buckets[b] = nil
			continue
		}
		for _, i := range members {
			u.add(i)
		}
	}
	if n := u.count(); n < c.attempt.Minimum {
		return secagg.ErrTooFew.At("phase records: %d in all buckets, of at least %d", n, c.attempt.Minimum)
	}
	c.u, c.buckets = u, buckets
	c.uploads = uploadsDigest(u, func(i int) secagg.Digest { return c.frames[i] })
	return nil
}

func (c *control) afterAgree() error {
	here := c.answered()
	if err := c.enough(len(here), c.attempt.Committee.Quorum()); err != nil {
		return err
	}
	c.enter(phaseUnmask, here, c.gather(here).encode())
	return nil
}

func (c *control) afterUnmask() error {
	// From fewer answers c liars could make any sum (package share).
	if err := c.enough(len(c.answered()), 2*c.attempt.degree()+1); err != nil {
		return err
	}
	c.enter(phaseOpen, nil, nil)
	return nil
}
