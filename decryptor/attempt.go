package decryptor

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// noConditions is what a committee member says of its device: nothing.
var noConditions client.Conditions

// attempt performs the effects of one participant. Envelopes and letters come from
// goroutines of their own over channels; everything else, the participant and the
// state among it, belongs to the one that runs it.
type attempt struct {
	d     *Decryptor
	p     *Participant
	round secagg.RoundID
	over  bool

	goroutines sync.WaitGroup
	received   chan received
	post       chan batch
	fetching   int                // number of the fetch under way, or of the last one
	stopFetch  context.CancelFunc // nil if none is under way
	next       int                // number of the next letter in its stream

	sent   *client.Message  // the latest answer, until the next envelope
	repeat <-chan time.Time // when to send it again
	pause  time.Duration    // before that
}

type received struct {
	envelope secagg.Envelope
	err      error
}

func newAttempt(d *Decryptor, p *Participant) *attempt {
	return &attempt{d: d, p: p, round: p.task.Round, received: make(chan received), post: make(chan batch)}
}

// run performs fx and everything that follows from it until the attempt is over for
// this member. All goroutines have ended when it returns.
func (a *attempt) run(ctx context.Context, fx Effects) error {
	defer a.goroutines.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer a.p.Erase()

	err := a.perform(ctx, fx)
	if err == nil && fx.Send != nil {
		a.d.log.Info("announced", "round", a.round, "scheme", a.p.task.Terms.Scheme)
	}
	if err == nil && !a.over {
		a.goroutines.Go(func() { a.receive(ctx) })
	}
	_, turned := a.d.keys.watch(nil)
	for err == nil && !a.over {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-turned:
			// Whoever keeps an attempt going must not keep the keys of its epoch alive.
			var kept bool
			if kept, turned = a.d.keys.watch(a.p.policy.Keys.Epochs); !kept {
				err = a.perform(ctx, a.p.Close("its epoch is over"))
			}
		case r := <-a.received:
			err = a.envelope(ctx, r)
		case b := <-a.post:
			err = a.letters(ctx, b)
		case <-a.repeat:
			err = a.send(ctx, *a.sent)
		}
	}
	return err
}

// receive passes on envelopes as they come.
func (a *attempt) receive(ctx context.Context) {
	for after := uint32(0); ; {
		env, err := a.d.cfg.Transport.Receive(ctx, a.round, after)
		if err == nil && env.Step <= after {
			err = ErrEnvelope.At("round %s, step %d after %d", a.round, env.Step, after)
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
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if over(r.err) {
		return a.perform(ctx, a.p.Close(r.err.Error()))
	}
	if r.err != nil {
		return r.err
	}
	a.endFetch()
	a.sent, a.repeat, a.pause = nil, nil, 0
	fx, err := a.p.Envelope(r.envelope)
	if err != nil {
		a.d.log.Error("instruction is refused", "round", a.round, "step", r.envelope.Step, "error", err)
	}
	return a.perform(ctx, fx)
}

// letters takes a part of the letters that were asked for.
func (a *attempt) letters(ctx context.Context, b batch) error {
	if b.fetch != a.fetching || a.stopFetch == nil {
		return nil // asked for by an earlier envelope
	}
	if b.content == nil {
		a.fetched(ctx, b)
		return nil
	}
	fx, err := a.p.Letters(bytes.NewReader(b.content))
	if err != nil {
		a.d.log.Error("letters are refused", "round", a.round, "error", err)
		a.endFetch()
		return nil // the next instruction may ask for them again
	}
	a.next = b.next
	return a.perform(ctx, fx)
}

// perform carries out effects in their order.
func (a *attempt) perform(ctx context.Context, fx Effects) error {
	if fx.Record != nil {
		err := a.d.cfg.State.Save(a.round.Job, fx.Record)
		clear(fx.Record)
		if err != nil {
			return err
		}
	}
	if fx.Over {
		a.over = true
		a.d.log.Info("attempt is over", "round", a.round, "reason", fx.Reason)
		return nil
	}
	switch {
	case !fx.Letters:
		a.endFetch()
	case a.stopFetch == nil || fx.From != a.next: // else the stream goes on with them
		a.fetch(ctx, fx.From, 0)
	}
	if fx.Send != nil {
		return a.send(ctx, *fx.Send)
	}
	return nil
}

// repeatAfter is when an answer is sent again if nothing followed: a coordinator that
// restarted asks again for answers that it keeps in memory only. The interval doubles
// each time.
const repeatAfter = 15 * time.Second

// send delivers an answer. One that is refused is not repeated; the member waits for
// what it is asked next.
func (a *attempt) send(ctx context.Context, m client.Message) error {
	err := a.d.cfg.Transport.Send(ctx, m)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		a.d.log.Debug("answered", "round", a.round, "step", m.Step, "bytes", len(m.Body))
		a.sent, a.pause = &m, max(repeatAfter, 2*a.pause)
		a.repeat = after(a.pause)
		return nil
	}
	a.sent, a.repeat = nil, nil
	if over(err) {
		return nil // the coordinator is past the step; the next envelope says where
	}
	switch fault.ClassOf(err) {
	case fault.Invalid, fault.Refused, fault.Denied, fault.Exhausted:
		a.d.log.Error("answer was not taken", "round", a.round, "step", m.Step, "error", err)
		return nil
	}
	return err
}
