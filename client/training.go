package client

import (
	"context"
	"errors"
	"io"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/tensor"
)

// train fetches the model, measures it if the plan asks, and improves it.
func (a *attempt) train(ctx context.Context) (tensor.Model, Update, error) {
	task := a.p.task
	global, err := a.fetch(ctx)
	if err != nil {
		return tensor.Model{}, Update{}, err
	}
	local := global.Clone()
	var evaluation *Evaluation
	if e, ok := a.c.trainer.(Evaluator); ok && task.Terms.Evaluate {
		switch v, err := e.Evaluate(ctx, local, task); {
		case ctx.Err() != nil:
			return tensor.Model{}, Update{}, ctx.Err()
		case err != nil:
			a.c.log.Warn("no evaluation", "round", task.Round, "error", err)
		default:
			evaluation = &v
		}
	}
	update, err := a.c.trainer.Train(ctx, local, task)
	if err != nil {
		return tensor.Model{}, Update{}, ErrTrainer.At("round %s", task.Round).Because(err)
	}
	if update.Evaluation == nil {
		update.Evaluation = evaluation
	}
	if err := update.Model.CheckFinite(); err != nil {
		a.c.log.Error("the update counts for nothing", "round", task.Round, "error", err)
	}
	return global, update, nil
}

// fetch downloads the model and checks it on the way.
func (a *attempt) fetch(ctx context.Context) (tensor.Model, error) {
	ctx, stop := context.WithCancel(ctx)
	r, w := io.Pipe()
	failed := make(chan error, 1)
	go func() {
		err := a.download(ctx, w)
		w.CloseWithError(err)
		failed <- err
	}()
	m, err := a.p.Model(r)
	if err != nil {
		r.CloseWithError(err) // the download must not wait for a reader that gave up
	}
	stop()
	if f := <-failed; f != nil && !errors.Is(f, err) {
		return tensor.Model{}, f // the cause of what the reader saw
	}
	return m, err
}

// download writes the model's bytes to w. It goes on where a call broke off, as
// long as each brings something.
func (a *attempt) download(ctx context.Context, w io.Writer) error {
	task := a.p.task
	out := &limited{to: w, rest: task.ModelSize}
	for {
		before := out.rest
		err := a.c.transport.Fetch(ctx, task.Round, task.Model, task.ModelSize-out.rest, out)
		if err == nil || out.err != nil {
			return errors.Join(out.err, err)
		}
		if c := fault.ClassOf(err); out.rest == before || c != fault.Unavailable && c != fault.Exhausted {
			return err
		}
	}
}

// limited passes at most rest bytes on.
type limited struct {
	to   io.Writer
	rest int64
	err  error
}

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if l.err == nil && int64(len(p)) > l.rest {
		l.err = ErrModel.At("longer than the task says")
	}
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.to.Write(p)
	l.rest -= int64(n)
	l.err = err
	return n, err
}
