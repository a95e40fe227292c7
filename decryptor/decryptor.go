package decryptor

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of the driver.
var (
	ErrRunning  = fault.New(fault.Conflict, "decryptor/running", "the committee member is running already", "run it once")
	ErrJob      = fault.New(fault.Refused, "decryptor/job", "the coordinator offered another job than it was asked for", "the coordinator is faulty or dishonest")
	ErrEnvelope = fault.New(fault.Invalid, "decryptor/envelope", "an envelope came again that was not asked for", "the transport or the coordinator is faulty")
)

// Config is what a committee member is made of. All fields but Log are required.
type Config struct {
	// Policy says who the member is and what it takes part in. Its Keys have no
	// epochs: they are in the state.
	Policy    Policy
	Transport Transport
	State     State
	// Epoch is how long the keys live that clients encrypt to. It must be longer than
	// an attempt lasts: seeds are kept for one epoch more, and then erased.
	Epoch time.Duration
	// Now is the clock that epochs are measured with.
	Now func() time.Time
	// Log gets what the member does: identifiers, sizes and reasons, never payloads or
	// secrets. Nil for nobody.
	Log *slog.Logger
}

// Decryptor serves the jobs of a committee member. One goroutine at a time may run it.
type Decryptor struct {
	cfg     Config
	log     *slog.Logger
	keys    *keyring
	running sync.Mutex
}

// New checks a configuration and opens the epochs in the state. Coins come from
// crypto/rand.
func New(c Config) (*Decryptor, error) {
	switch {
	case c.Transport == nil || c.State == nil || c.Now == nil:
		return nil, ErrPolicy.At("the transport, the state or the clock is nil")
	case c.Epoch <= 0:
		return nil, ErrPolicy.At("epochs of %v", c.Epoch)
	case len(c.Policy.Keys.Epochs) > 0:
		return nil, ErrPolicy.At("epochs are in the state")
	}
	var err error
	if c.Policy, _, err = c.Policy.check(); err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &Decryptor{cfg: c, log: c.Log}
	d.keys, err = openKeyring(c.State, c.Epoch, c.Now)
	return d, err
}

// Run serves all jobs, each one attempt after another, until ctx ends, and returns its
// error then. It returns earlier only for good: the coordinator does not know this
// member (class Unauthenticated) or turned it away (class Denied), or a record cannot
// be read (ErrRecord). All else is logged and tried again. The attempts under way are
// left as after a crash.
func (d *Decryptor) Run(ctx context.Context) error {
	if !d.running.TryLock() {
		return ErrRunning
	}
	defer d.running.Unlock()
	outer := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	failed := make([]error, len(d.cfg.Policy.Limits.Jobs))
	for i, job := range d.cfg.Policy.Limits.Jobs {
		all.Go(func() {
			defer stop()
			failed[i] = d.serve(ctx, job)
		})
	}
	all.Go(func() { d.keepTurning(ctx) })
	all.Wait()
	if outer.Err() != nil {
		return outer.Err()
	}
	return errors.Join(failed...)
}

// Pauses between check-ins for one job.
const (
	minPause     = time.Second
	maxPause     = time.Minute      // admission may last no longer than that
	refusedPause = 10 * time.Minute // after this member refused
)

// serve takes part in the attempts of a job, one after another. It returns nil when
// ctx ends, and otherwise why trying again is useless.
func (d *Decryptor) serve(ctx context.Context, job string) error {
	for failures := 0; ; {
		wait, err := d.once(ctx, job)
		if ctx.Err() != nil {
			return nil
		}
		switch class := fault.ClassOf(err); {
		case err == nil:
			failures = 0
			wait = min(max(wait, minPause), maxPause)
			wait += jitter(wait / 4)
		case class == fault.Unauthenticated || class == fault.Denied || errors.Is(err, ErrRecord):
			return err
		case class == fault.Refused:
			wait = refusedPause - jitter(refusedPause/4)
		default:
			wait = min(minPause<<min(failures, 20), maxPause)
			wait -= jitter(wait / 2)
			failures++
		}
		if err != nil {
			d.log.Warn("job is tried again", "job", job, "error", err, "wait", wait)
		}
		if pause(ctx, wait) != nil {
			return nil
		}
	}
}

// once resumes the attempt that a restart interrupted, or else checks in once and
// takes part in what is offered, until that attempt is over for this member. wait is
// when the coordinator wants it back.
func (d *Decryptor) once(ctx context.Context, job string) (wait time.Duration, err error) {
	latest, err := d.cfg.State.Load(job)
	if err != nil {
		return 0, err
	}
	defer clear(latest)
	policy := d.cfg.Policy
	policy.Keys.Epochs = d.keys.seeds()
	defer clear(policy.Keys.Epochs)
	if latest != nil {
		r, err := decodeRecord(latest)
		switch {
		case err != nil:
			return 0, err
		case r.round.Job != job:
			return 0, ErrRecord.At("job %s under the name of %s", r.round.Job, job)
		case r.task != nil:
			return 0, d.resume(ctx, policy, r.round, latest)
		}
	}
	offer, err := d.cfg.Transport.CheckIn(ctx, job, noConditions)
	if err != nil || offer.Task == nil {
		return offer.Wait, err
	}
	if offer.Task.Round.Job != job {
		return 0, ErrJob.At("job %.70q", offer.Task.Round.Job)
	}
	p, fx, err := Accept(policy, *offer.Task, latest, rand.Reader)
	if err != nil {
		return 0, err
	}
	return 0, newAttempt(d, p).run(ctx, fx)
}

// resume goes on with a recorded attempt. One that cannot be resumed is left for good.
func (d *Decryptor) resume(ctx context.Context, policy Policy, id secagg.RoundID, latest []byte) error {
	p, fx, err := Resume(policy, latest)
	if errors.Is(err, ErrRecord) {
		return err
	}
	if err != nil {
		d.log.Warn("attempt is not resumed", "round", id, "error", err)
		return d.cfg.State.Save(id.Job, record{round: id}.encode())
	}
	d.log.Info("attempt is resumed", "round", id)
	return newAttempt(d, p).run(ctx, fx)
}

// over reports whether an error says that an attempt is over, or past what the member
// was told.
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

// after is the one place where the driver waits on the clock.
func after(d time.Duration) <-chan time.Time {
	return time.After(d) //nolint:forbidigo // the driver paces itself in real time; no result depends on it
}

// jitter draws a duration in [0,d].
func jitter(d time.Duration) time.Duration {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return time.Duration(binary.LittleEndian.Uint64(b[:]) % uint64(d+1))
}
