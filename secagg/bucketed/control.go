package bucketed

import (
	"errors"
	"slices"

	"github.com/choir-fl/choir/secagg"
)

// control implements secagg.Control over one control for each bucket.
type control struct {
	minimum  int
	bucketOf []int            // by member
	place    []int            // by member, in its bucket
	members  [][]int          // by bucket
	parts    []secagg.Control // by bucket; nil for one that was left out
	last     secagg.Control   // whose phase is everybody's
	failed   []error          // why a bucket was left out
}

// NewControl makes the coordinator's half.
func NewControl(inner secagg.ServerScheme, s secagg.Session, bucketOf []int) (secagg.Control, error) {
	if err := check(s, bucketOf); err != nil {
		return nil, err
	}
	c := &control{minimum: s.Minimum, bucketOf: bucketOf, place: make([]int, len(bucketOf)), members: secagg.Members(bucketOf, s.Buckets),
		parts: make([]secagg.Control, s.Buckets), failed: make([]error, s.Buckets)}
	for b, members := range c.members {
		for place, m := range members {
			c.place[m] = place
		}
		p, err := part(s, members)
		if err != nil {
			return nil, err
		}
		if c.parts[b], err = inner.NewControl(p); err != nil {
			return nil, err
		}
	}
	c.last = c.parts[0]
	return c, nil
}

func (c *control) Phase() secagg.Phase { return c.last.Phase() }

// of returns the part that a member belongs to, if its bucket is still there.
func (c *control) of(member int) (secagg.Control, int, bool) {
	if member < 0 || member >= len(c.bucketOf) || c.parts[c.bucketOf[member]] == nil {
		return nil, 0, false
	}
	return c.parts[c.bucketOf[member]], c.place[member], true
}

func (c *control) Instruction(member int) ([]byte, bool) {
	p, place, ok := c.of(member)
	if !ok {
		return nil, false
	}
	return p.Instruction(place)
}

func (c *control) Receive(member int, body []byte) (bool, error) {
	p, place, ok := c.of(member)
	if !ok {
		return false, secagg.ErrNotAsked.At("member %d", member)
	}
	return p.Receive(place, body)
}

// gather collects members of all buckets, in order.
func (c *control) gather(list func(secagg.Control) []int) []int {
	var out []int
	for b, p := range c.parts {
		if p != nil {
			out = append(out, c.numbered(b, list(p))...)
		}
	}
	slices.Sort(out)
	return out
}

func (c *control) Waiting() []int { return c.gather(secagg.Control.Waiting) }

func (c *control) Ready() []int { return c.gather(secagg.Control.Ready) }

func (c *control) Bucket(member int) int { return c.bucketOf[member] }

// Advance closes the phase in every bucket.
func (c *control) Advance() error {
	if c.Phase().Kind == secagg.PhaseOpen {
		return secagg.ErrPhase.At("phase open")
	}
	var last secagg.Control
	for b, p := range c.parts {
		if p == nil {
			continue
		}
		if err := p.Advance(); err != nil {
			c.parts[b], c.failed[b] = nil, c.blame(b, err)
			continue
		}
		last = p
	}
	if last == nil {
		return c.failure()
	}
	c.last = last
	return c.enough()
}

// enough refuses buckets that together hold fewer clients than the minimum, once
// these are known.
func (c *control) enough() error {
	n, survivors := 0, c.Survivors()
	for _, members := range survivors {
		n += len(members)
	}
	if survivors != nil && n < c.minimum {
		return secagg.ErrTooFew.At("%d in all buckets, of at least %d", n, c.minimum)
	}
	return nil
}

// blame numbers culprits as the whole attempt does.
func (c *control) blame(bucket int, err error) error {
	var blame *secagg.Blame
	if !errors.As(err, &blame) {
		return err
	}
	return &secagg.Blame{Members: c.numbered(bucket, blame.Members), Err: err}
}

// numbered gives members of a bucket, by their places in it, the attempt's numbers.
func (c *control) numbered(bucket int, places []int) []int {
	var out []int
	for _, place := range places {
		out = append(out, c.members[bucket][place])
	}
	return out
}

// failure is why no bucket is left, with all culprits.
func (c *control) failure() error {
	out := &secagg.Blame{}
	for _, err := range c.failed {
		var blame *secagg.Blame
		if errors.As(err, &blame) {
			out.Members = append(out.Members, blame.Members...)
		}
		if err != nil {
			out.Err = err
		}
	}
	if len(out.Members) == 0 {
		return out.Err
	}
	return out
}

func (c *control) Survivors() [][]int {
	out := make([][]int, len(c.parts))
	for b, p := range c.parts {
		if p == nil {
			continue
		}
		inner := p.Survivors()
		if inner == nil {
			return nil
		}
		out[b] = c.numbered(b, inner[0])
	}
	return out
}

// opening is that of each bucket; nil for one that is not opened.
type opening struct {
	members [][]int
	parts   []secagg.Opening
	spoiled []error
	liars   []int
}

func (c *control) Opening() (secagg.Opening, error) {
	if c.Phase().Kind != secagg.PhaseOpen {
		return nil, secagg.ErrPhase.At("opening")
	}
	if err := c.enough(); err != nil { // the Advance into this phase said so
		return nil, err
	}
	o := &opening{members: c.Survivors(), parts: make([]secagg.Opening, len(c.parts)), spoiled: make([]error, len(c.parts))}
	for b, p := range c.parts {
		if p == nil {
			continue
		}
		var err error
		if o.parts[b], err = p.Opening(); err != nil {
			o.parts[b], o.spoiled[b] = nil, c.blame(b, err)
			continue
		}
		o.liars = append(o.liars, c.numbered(b, o.parts[b].Liars())...)
	}
	slices.Sort(o.liars)
	return o, nil
}

func (o *opening) Liars() []int { return o.liars }

func (o *opening) Erase() {
	for _, p := range o.parts {
		if p != nil {
			p.Erase()
		}
	}
}
