package rpc

import (
	"context"
	"sync"
	"time"

	"github.com/choir-fl/choir/coordinator/auth"
)

// caller is who is charged for a call: a party, or the address of somebody who
// has shown no certificate.
type caller struct {
	auth.Caller
	address string // of an anonymous caller
}

// parties counts calls under way and meters their rate. Safe for concurrent use.
type parties struct {
	limits Limits

	mu     sync.Mutex // owns the fields below
	all    int
	active map[caller]map[*call]struct{}
	meters map[caller]*meter
}

// meter is a bucket of calls that a party has saved up.
type meter struct {
	calls float64
	at    time.Time
}

// maxMeters is how many meters are kept before the full ones are dropped.
const maxMeters = 1 << 16

func newParties(l Limits) *parties {
	return &parties{limits: l, active: map[caller]map[*call]struct{}{}, meters: map[caller]*meter{}}
}

// enter admits a call, or says which limit it meets. Each nil ends with leave.
func (p *parties) enter(who caller, c *call, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.charge(who, now) {
		return ErrRate
	}
	if p.all >= p.limits.Streams {
		return ErrBusy
	}
	most := p.limits.StreamsPerParty
	if who.Role == auth.RoleDecryptor {
		most *= 4
	}
	if len(p.active[who]) >= most {
		return ErrParty
	}
	if p.active[who] == nil {
		p.active[who] = map[*call]struct{}{}
	}
	p.active[who][c] = struct{}{}
	p.all++
	return nil
}

func (p *parties) leave(who caller, c *call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	delete(p.active[who], c)
	if len(p.active[who]) == 0 {
		delete(p.active, who)
	}
}

// allow meters a call that will not be entered.
func (p *parties) allow(who caller, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.charge(who, now)
}

// charge takes one call from the party's meter.
func (p *parties) charge(who caller, now time.Time) bool {
	full := float64(p.limits.CallBurst)
	fill := func(m *meter) {
		if d := now.Sub(m.at); d > 0 {
			m.calls = min(full, m.calls+d.Seconds()*p.limits.CallsPerSecond)
			m.at = now
		}
	}
	m := p.meters[who]
	if m == nil {
		if len(p.meters) >= maxMeters {
			for w, other := range p.meters {
				if fill(other); other.calls >= full {
					delete(p.meters, w)
				}
			}
		}
		if len(p.meters) >= maxMeters {
			return false // a flood from many addresses
		}
		m = &meter{calls: full, at: now}
		p.meters[who] = m
	}
	fill(m)
	if m.calls < 1 {
		return false
	}
	m.calls--
	return true
}

// end ends all calls of a party that are under way.
func (p *parties) end(who auth.Caller, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.active[caller{Caller: who}] {
		c.end(why)
	}
}

// pace delays a transfer so that it does not exceed bytes per second. The zero
// value of rate is no limit.
type pace struct {
	rate  int64
	began time.Time
	moved int64
}

func (p *pace) wait(ctx context.Context, n int, now time.Time) error {
	if p.rate == 0 {
		return nil
	}
	p.moved += int64(n)
	due := p.began.Add(time.Duration(float64(p.moved) / float64(p.rate) * float64(time.Second)))
	if !due.After(now) {
		return nil
	}
	t := time.NewTimer(due.Sub(now))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
