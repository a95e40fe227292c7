package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// attempt performs the effects of one participant. Envelopes, training and the
// upload come from goroutines of their own over channels; everything else,
// the participant and the state among it, belongs to the one that runs it.
type attempt struct {
	c      *Client
	p      *Participant
	after  uint32 // the latest step received
	result Result

	recorded  bool // the state may hold a record
	uploading bool
	over      bool

	goroutines sync.WaitGroup
	received   chan received
	trained    chan training
	uploaded   chan error

	sent   *Message         // the latest answer, until the next envelope
	repeat <-chan time.Time // when to send it again
	pause  time.Duration    // before that
}

type received struct {
	envelope secagg.Envelope
	err      error
}

type training struct {
	global tensor.Model
	update Update
	err    error
}

func newAttempt(c *Client, p *Participant) *attempt {
	c.latest = p.task.Round
	return &attempt{c: c, p: p, result: Result{Round: p.task.Round, Joined: true},
		received: make(chan received), trained: make(chan training, 1), uploaded: make(chan error, 1)}
}

// run performs fx and everything that follows from it until the attempt is over
// for this client. All goroutines have ended when it returns.
func (a *attempt) run(ctx context.Context, fx Effects) (Result, error) {
	defer a.goroutines.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer a.p.Erase()

	a.goroutines.Go(func() { a.receive(ctx, a.after) })
	err := a.perform(ctx, fx)
	for err == nil && !a.over {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case r := <-a.received:
			err = a.envelope(ctx, r)
		case t := <-a.trained:
			err = a.finish(ctx, t)
		case failed := <-a.uploaded:
			a.uploading = false
			err = a.answered(ctx, failed)
		case <-a.repeat:
			err = a.send(ctx, *a.sent)
		}
	}
	return a.result, err
}

// receive passes on envelopes as they come. What the transport says once ctx has
// ended is dropped: nobody waits for it any more.
func (a *attempt) receive(ctx context.Context, after uint32) {
	for {
		env, err := a.c.transport.Receive(ctx, a.result.Round, after)
		if err == nil && env.Step <= after {
			err = ErrEnvelope.At("round %s, step %d after %d", a.result.Round, env.Step, after)
		}
		select {
		case a.received <- received{env, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
		after = env.Step
	}
}

// envelope takes what the coordinator says.
func (a *attempt) envelope(ctx context.Context, r received) error {
	if over(r.err) {
		return a.forget(r.err.Error())
	}
	if r.err != nil {
		return r.err
	}
	a.sent, a.repeat, a.pause = nil, nil, 0
	fx, err := a.p.Envelope(r.envelope)
	if err != nil {
		return a.leave(err)
	}
	return a.perform(ctx, fx)
}

// perform carries out effects in their order.
func (a *attempt) perform(ctx context.Context, fx Effects) error {
	if fx.Record != nil {
		a.recorded = true
		if err := a.c.state.Put(a.result.Round, fx.Record); err != nil {
			return err
		}
	}
	if fx.Over {
		a.result.Completed = fx.Completed
		return a.forget(fx.Reason)
	}
	if fx.Send != nil && !fx.Upload {
		if err := a.send(ctx, *fx.Send); err != nil {
			return err
		}
	}
	if fx.Train {
		a.goroutines.Go(func() {
			global, update, err := a.train(ctx)
			a.trained <- training{global, update, err}
		})
	}
	if fx.Seal {
		return a.seal(ctx)
	}
	if fx.Upload && !a.uploading {
		return a.upload(ctx, *fx.Send)
	}
	return nil
}

// repeatAfter is when an answer is sent again if nothing followed: a coordinator
// that restarted asks again for answers that it keeps in memory only. The
// interval doubles each time.
const repeatAfter = 15 * time.Second

// send delivers an answer.
func (a *attempt) send(ctx context.Context, m Message) error {
	if err := a.c.transport.Send(ctx, m); err != nil {
		return a.answered(ctx, err)
	}
	a.sent, a.pause = &m, max(repeatAfter, 2*a.pause)
	a.repeat = after(a.pause)
	return nil
}

// finish takes the result of training.
func (a *attempt) finish(ctx context.Context, t training) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if over(t.err) {
		return nil // the next envelope says so
	}
	if t.err != nil {
		return a.leave(t.err)
	}
	fx, err := a.p.Trained(t.global, t.update)
	if err != nil {
		return a.leave(err)
	}
	return a.perform(ctx, fx)
}

// seal makes the ciphertext durable before anything that depends on it.
func (a *attempt) seal(ctx context.Context) error {
	w, err := a.c.state.Create(a.result.Round)
	if err != nil {
		return err
	}
	fx, err := a.p.Seal(w)
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	return a.perform(ctx, fx)
}

// upload counts the contribution and sends it.
func (a *attempt) upload(ctx context.Context, m Message) error {
	commit, err := secagg.PeekCommit(m.Body)
	if err != nil {
		return a.leave(err)
	}
	r, size, err := a.c.state.Open(a.result.Round)
	if err == nil && size != commit.Size {
		err = errors.Join(ErrSealed.At("round %s: %d bytes of %d", a.result.Round, size, commit.Size), r.Close())
	}
	if fault.ClassOf(err) == fault.NotFound {
		return a.leave(err) // nothing can bring it back
	}
	if err != nil {
		return err
	}
	account, err := a.c.state.Account()
	if err != nil {
		return errors.Join(err, r.Close())
	}
	charged, err := a.p.Charge(account)
	if err != nil {
		return a.leave(errors.Join(err, r.Close()))
	}
	if err := a.c.keep(account, charged); err != nil {
		return errors.Join(err, r.Close())
	}
	a.c.log.Info("uploading", "round", a.result.Round, "bytes", size)
	a.uploading = true
	a.goroutines.Go(func() {
		err := a.c.transport.Upload(ctx, m, r, size)
		_ = r.Close() // only read from
		a.uploaded <- err
	})
	return nil
}

// answered decides on what became of an answer. An error that comes with the end
// of ctx says nothing about the attempt, whatever its class.
func (a *attempt) answered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if over(err) {
		// The coordinator is past the step: it took the answer before, or does
		// without it. The next envelope says which.
		return nil
	}
	switch fault.ClassOf(err) {
	case fault.Invalid, fault.Refused, fault.Denied:
		return a.leave(err) // it will not be taken another time
	}
	return err
}

// forget ends an attempt that is over for everybody.
func (a *attempt) forget(reason string) error {
	a.over, a.result.Reason = true, reason
	a.c.log.Info("attempt is over", "round", a.result.Round, "completed", a.result.Completed, "reason", reason)
	if !a.recorded {
		return nil
	}
	if err := a.c.state.Put(a.result.Round, nil); err != nil {
		return err // the ciphertext stays with its record
	}
	return a.c.state.Remove(a.result.Round)
}

// leave ends an attempt that may go on without this client, for good.
func (a *attempt) leave(err error) error {
	a.p.Erase()
	if !a.recorded {
		return err
	}
	return errors.Join(err, a.c.state.Put(a.result.Round, a.p.Tombstone()), a.c.state.Remove(a.result.Round))
}
