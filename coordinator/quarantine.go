package coordinator

import (
	"errors"
	"slices"
	"time"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of quarantine.
var (
	ErrQuarantine = fault.New(fault.Conflict, "coordinator/quarantine", "the quarantine cannot be changed so", "see which clients are enrolled and which are quarantined: choir run list --json")
	// ErrCoins protects what sampling saves in privacy. Who was drawn is secret from those
	// who see released models alone. An operator's decision follows from what was seen of
	// the drawn: from then on a client's absence would tell that it had been drawn before.
	ErrCoins = fault.New(fault.Refused, "coordinator/coins", "under selection poisson with noise nobody is quarantined once coins were tossed", "revoke the client if there is a reason beside this run; else plan another selection")
)

// QuarantineChange is an operator's decision about a client, as it is kept for auditors.
type QuarantineChange struct {
	Client secagg.PartyID `json:"client"`
	// Released ends the quarantine; else it begins.
	Released bool      `json:"released,omitempty"`
	By       string    `json:"by"` // operator
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
	// Round and Attempt are the first that it holds for.
	Round   uint32 `json:"round"`
	Attempt uint32 `json:"attempt"`
}

// quarantineSegment is the journal of such decisions. Nothing is ever taken out of it.
const quarantineSegment = "quarantine"

// maxReason is the longest reason, in bytes.
const maxReason = 500

func (c QuarantineChange) encode() []byte {
	var e secagg.Encoder
	e.Uint(1, 1)
	e.String(2, string(c.Client))
	e.Bool(3, c.Released)
	e.String(4, c.By)
	e.String(5, c.Reason)
	e.Uint(6, uint64(c.At.UnixNano()))
	e.Uint(7, uint64(c.Round))
	e.Uint(8, uint64(c.Attempt))
	return e.Encoded()
}

func decodeQuarantineChange(b []byte) (QuarantineChange, error) {
	d := secagg.NewDecoder(b)
	version := d.Uint(1)
	c := QuarantineChange{Client: secagg.PartyID(d.String(2)), Released: d.Bool(3), By: d.String(4), Reason: d.String(5), At: time.Unix(0, d.Size(6, 1<<63-1)),
		Round: uint32(d.Size(7, 1<<31)), Attempt: uint32(d.Size(8, 1<<31))}
	if err := d.Close(); err != nil {
		return c, err
	}
	if version != 1 {
		return c, ErrCarried.At("quarantine of version %d", version)
	}
	return c, nil
}

// Quarantine leaves a client out from the next attempt on, until Release: it is neither
// drawn nor let in. An attempt under way is not touched, and what the client has sent to
// it counts. ErrQuarantine for a client that is not enrolled or is quarantined; ErrCoins
// where the client's absence would tell who was drawn.
func (e *Engine) Quarantine(client secagg.PartyID, by, reason string) error {
	return e.changeQuarantine(QuarantineChange{Client: client, By: by, Reason: reason})
}

// Release ends a client's quarantine from the next attempt on.
func (e *Engine) Release(client secagg.PartyID, by, reason string) error {
	return e.changeQuarantine(QuarantineChange{Client: client, By: by, Reason: reason, Released: true})
}

func (e *Engine) changeQuarantine(c QuarantineChange) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed != nil {
		return ErrFailed.Because(e.failed)
	}
	switch now, latest := e.decided(c.Client); {
	case len(c.Reason) == 0 || len(c.Reason) > maxReason || len(c.By) > maxReason:
		return ErrQuarantine.At("client %.64q: a reason of 1 to %d bytes is needed", c.Client, maxReason)
	case c.Released && (!now || latest.Released):
		return ErrQuarantine.At("client %.64q is not quarantined", c.Client)
	case !c.Released && now && !latest.Released:
		return ErrQuarantine.At("client %.64q is quarantined", c.Client)
	case !c.Released && !slices.Contains(e.cfg.Registry.Clients(), c.Client):
		return ErrQuarantine.At("client %.64q is not enrolled", c.Client)
	}
	begun, err := e.begun()
	if err != nil {
		return err
	}
	first := e.head.rounds == 0 && e.head.round == 1 && e.head.attempt == 1
	if e.cfg.Plan.Guarantee().Noise().Rate > 0 && (begun || !first) {
		return ErrCoins.At("client %s", c.Client)
	}
	c.At, c.Round, c.Attempt = e.cfg.Host.Now(), e.head.round, e.head.attempt
	if begun {
		c.Attempt++
	}
	if err := e.cfg.Store.Journal.Append(quarantineSegment, c.encode()); e.fail(err) {
		return err
	}
	e.quarantines = append(e.quarantines, c)
	return nil
}

// begun reports whether the attempt that the head names has begun.
func (e *Engine) begun() (bool, error) {
	if e.machine != nil {
		return true, nil
	}
	segments, err := e.cfg.Store.Journal.Segments()
	return slices.Contains(segments, e.segment()), err
}

// decided returns the latest decision about a client, if there is one.
func (e *Engine) decided(client secagg.PartyID) (ok bool, latest QuarantineChange) {
	for _, c := range e.quarantines {
		if c.Client == client {
			ok, latest = true, c
		}
	}
	return ok, latest
}

// quarantined lists the clients that are left out of the attempt that the head names.
func (e *Engine) quarantined() map[secagg.PartyID]bool {
	out := map[secagg.PartyID]bool{}
	for _, c := range e.quarantines {
		if c.Round > e.head.round || c.Round == e.head.round && c.Attempt > e.head.attempt {
			continue
		}
		if c.Released {
			delete(out, c.Client)
		} else {
			out[c.Client] = true
		}
	}
	return out
}

// enrolled lists the clients that may be drawn: those on the registry that are not
// quarantined.
func (e *Engine) enrolled() []secagg.PartyID {
	out := e.quarantined()
	return slices.DeleteFunc(slices.Clone(e.cfg.Registry.Clients()), func(id secagg.PartyID) bool { return out[id] })
}

// Quarantines returns all decisions, oldest first.
func (e *Engine) Quarantines() []QuarantineChange {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.quarantines)
}

// loadQuarantines reads them.
func (e *Engine) loadQuarantines() error {
	e.quarantines = nil
	err := e.cfg.Store.Journal.Read(quarantineSegment, func(record []byte) error {
		c, err := decodeQuarantineChange(record)
		e.quarantines = append(e.quarantines, c)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
