package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of the driver.
var (
	ErrLifetime = fault.New(fault.Refused, "client/lifetime", "this device has contributed as often as it ever will", "raise the lifetime of the device on purpose, or retire it")
	ErrRunning  = fault.New(fault.Conflict, "client/running", "the client is running already", "use one goroutine for each client")
	ErrJob      = fault.New(fault.Refused, "client/job", "the coordinator offered another job", "correct the job of this client or of the coordinator")
	ErrTrainer  = fault.New(fault.Internal, "client/trainer", "the trainer failed", "look at its own messages")
	ErrEnvelope = fault.New(fault.Invalid, "client/envelope", "an envelope came again that was not asked for", "the transport or the coordinator is faulty")
)

// Client takes part in rounds. One goroutine at a time may run it.
type Client struct {
	options
	transport Transport
	trainer   Trainer
	running   sync.Mutex
	latest    secagg.RoundID // the attempt in which this process took part last
	kept      kept
}

// New checks what a client is made of. Nothing happens until Run or RunOnce. The
// error is ErrOptions. Coins come from crypto/rand.
func New(transport Transport, trainer Trainer, opts ...Option) (*Client, error) {
	c := &Client{transport: transport, trainer: trainer}
	for _, o := range opts {
		o(&c.options)
	}
	if transport == nil || trainer == nil {
		return nil, ErrOptions.At("the transport or the trainer is nil")
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// Result is what became of one check-in.
type Result struct {
	// Round is the attempt that was offered or resumed; zero if there was none.
	Round secagg.RoundID
	// Joined says that the coordinator was told that this client takes part.
	Joined bool
	// Completed says that the contribution was used, in the coordinator's words.
	Completed bool
	// Reason says why not, for a log.
	Reason string
	// Wait is when the coordinator wants this client back; zero if it did not say.
	Wait time.Duration
}

// Run takes part in attempt after attempt until ctx ends, and returns its error
// then. It returns earlier only for good: the coordinator does not know this
// client (class Unauthenticated) or turned it away (class Denied), or the device's
// lifetime is used up (ErrLifetime). All else is logged and tried again: at once
// after a completed attempt, when the coordinator said, in about ten minutes if
// this device refused, and otherwise after a pause that doubles up to five minutes.
// Pauses are drawn at random around these times so that clients do not come all
// together.
func (c *Client) Run(ctx context.Context) error {
	if !c.running.TryLock() {
		return ErrRunning
	}
	defer c.running.Unlock()
	defer c.kept.erase()
	g := newGraves(ctx, c)
	defer g.close()
	failures := 0
	for {
		r, err := c.once(ctx, g)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if permanent(r, err) {
			return err
		}
		wait := time.Duration(0)
		switch {
		case err == nil && r.Completed:
			failures = 0
			continue
		case err == nil && r.Round == (secagg.RoundID{}):
			failures = 0
			wait = min(max(r.Wait, minPause), maxPause)
			wait += jitter(wait / 4)
		case fault.ClassOf(err) == fault.Refused:
			wait = refusedPause - jitter(refusedPause/4)
		default:
			wait = min(minPause<<min(failures, 20), maxBackoff)
			wait -= jitter(wait / 2)
			failures++
		}
		if err != nil {
			c.log.Warn("attempt failed", "round", r.Round, "error", err, "wait", wait)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// Pauses of Run.
const (
	minPause     = time.Second
	maxPause     = time.Hour        // the longest that a coordinator may ask for
	maxBackoff   = 5 * time.Minute  // after repeated failures
	refusedPause = 10 * time.Minute // after this device refused
)

// permanent reports whether trying again is useless. A client that is denied in
// an attempt, and not at check-in, was only not admitted to that one.
func permanent(r Result, err error) bool {
	switch fault.ClassOf(err) {
	case fault.Unauthenticated:
		return true
	case fault.Denied:
		return r.Round == (secagg.RoundID{})
	}
	return errors.Is(err, ErrLifetime)
}

// RunOnce resumes the attempt that a restart interrupted, or else checks in once
// and takes part in what is offered, until that attempt is over. The error says
// why this client did not see it through; the attempt may go on without it. An
// attempt that the coordinator ended is no error: see Result. If ctx ends the
// attempt is left as after a crash, and its error returned.
func (c *Client) RunOnce(ctx context.Context) (Result, error) {
	if !c.running.TryLock() {
		return Result{}, ErrRunning
	}
	defer c.running.Unlock()
	g := newGraves(ctx, c)
	defer g.close()
	return c.once(ctx, g)
}

func (c *Client) once(ctx context.Context, g *graves) (Result, error) {
	records, err := c.state.All()
	if err != nil {
		return Result{}, err
	}
	if _, ok := records[c.latest]; !ok && c.latest != (secagg.RoundID{}) {
		// A ciphertext without a record is of no use.
		if err := c.state.Remove(c.latest); err != nil {
			return Result{}, err
		}
		c.latest = secagg.RoundID{}
	}
	for _, id := range slices.SortedFunc(maps.Keys(records), func(a, b secagg.RoundID) int { return strings.Compare(a.String(), b.String()) }) {
		account, err := c.state.Account()
		if err != nil {
			return Result{}, err
		}
		p, fx, err := c.resume(id, records[id], account)
		if err != nil {
			c.log.Info("attempt is not resumed", "round", id, "reason", err)
			g.bury(id)
			continue
		}
		c.log.Info("attempt is resumed", "round", id)
		a := newAttempt(c, p)
		a.after, a.recorded = p.step, true
		return a.run(ctx, fx)
	}
	return c.checkIn(ctx, records)
}

// checkIn asks for work and does it.
func (c *Client) checkIn(ctx context.Context, records map[secagg.RoundID][]byte) (Result, error) {
	account, err := c.state.Account()
	if err != nil {
		return Result{}, err
	}
	if n := account.Attempts(); c.lifetime > 0 && n >= c.lifetime {
		return Result{}, ErrLifetime.At("%d attempts", n)
	}
	offer, err := c.transport.CheckIn(ctx, c.job, c.conditions())
	if err != nil {
		return Result{}, err
	}
	if offer.Task == nil {
		return Result{Wait: offer.Wait}, nil
	}
	r := Result{Round: offer.Task.Round}
	if _, begun := records[r.Round]; begun {
		return r, secagg.ErrTombstone.At("round %s", r.Round)
	}
	if c.job != "" && r.Round.Job != c.job {
		return r, ErrJob.At("%q", r.Round.Job)
	}
	p, err := Accept(c.policy(account), *offer.Task, rand.Reader)
	if err != nil {
		return r, err
	}
	seen, err := account.See(*offer.Task)
	if err = errors.Join(err, c.keep(account, seen)); err != nil {
		p.Erase()
		return r, err
	}
	if err := c.transport.Send(ctx, p.Join()); err != nil {
		p.Erase()
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		if over(err) || fault.ClassOf(err) == fault.Exhausted {
			r.Reason, err = err.Error(), nil // too late, or the cohort is complete
		}
		return r, err
	}
	c.log.Info("joined", "round", r.Round, "scheme", offer.Task.Terms.Scheme)
	return newAttempt(c, p).run(ctx, Effects{})
}

// keep makes a changed account durable.
func (c *Client) keep(before, after Account) error {
	if bytes.Equal(before.Encode(), after.Encode()) {
		return nil
	}
	return c.state.Keep(after)
}

// resume rebuilds an attempt from its record. Any error makes it a tombstone.
func (c *Client) resume(id secagg.RoundID, record []byte, account Account) (*Participant, Effects, error) {
	p, fx, err := Resume(c.policy(account), record)
	if err != nil {
		return nil, Effects{}, err
	}
	if p.task.Round != id {
		err = secagg.ErrEncoding.At("record of %s", p.task.Round)
	} else if fx.Upload {
		// Nothing may have left yet, and the device may have changed its mind.
		err = p.allowed(account)
	}
	if err != nil {
		p.Erase()
	}
	return p, fx, err
}

// over reports whether an error says that an attempt is over for this client, or
// past what it was told.
func over(err error) bool {
	switch fault.ClassOf(err) {
	case fault.Aborted, fault.Conflict, fault.NotFound:
		return true
	}
	return false
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-after(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// after is the one place where the driver meets the clock.
func after(d time.Duration) <-chan time.Time {
	return time.After(d) //nolint:forbidigo // the driver paces itself in real time; no result depends on it
}

// jitter draws a duration in [0,d].
func jitter(d time.Duration) time.Duration {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return time.Duration(binary.LittleEndian.Uint64(b[:]) % uint64(d+1))
}
