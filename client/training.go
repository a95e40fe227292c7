package client

import (
	"context"
	"errors"
	"io"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// train fetches the model, and the centre if there is one, measures the model if the plan
// asks, and improves it.
func (a *attempt) train(ctx context.Context) (tensor.Model, Update, error) {
	task := a.p.task
	if size := a.p.centreSize(); size > 0 {
		if _, err := a.fetch(ctx, task.Centre, size, func(r io.Reader) (tensor.Model, error) { return tensor.Model{}, a.p.Centre(r) }); err != nil {
			return tensor.Model{}, Update{}, err
		}
	}
	if global, update, ok := a.c.kept.of(task); ok {
		return global, update, nil
	}
	global, err := a.fetch(ctx, task.Model, task.ModelSize, a.p.Model)
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
	} else {
		a.c.kept.keep(task, global, update)
	}
	return global, update, nil
}

// fetch downloads a blob of the task's and lets read check it on the way.
func (a *attempt) fetch(ctx context.Context, digest secagg.Digest, size int64, read func(io.Reader) (tensor.Model, error)) (tensor.Model, error) {
	ctx, stop := context.WithCancel(ctx)
	r, w := io.Pipe()
	failed := make(chan error, 1)
	go func() {
		err := a.download(ctx, digest, size, w)
		w.CloseWithError(err)
		failed <- err
	}()
	m, err := read(r)
	if err != nil {
		r.CloseWithError(err) // the download must not wait for a reader that gave up
	}
	stop()
	if f := <-failed; f != nil && !errors.Is(f, err) {
		return tensor.Model{}, f // the cause of what the reader saw
	}
	return m, err
}

// download writes a blob's bytes to w. It goes on where a call broke off, as
// long as each brings something.
func (a *attempt) download(ctx context.Context, digest secagg.Digest, size int64, w io.Writer) error {
	out := &limited{to: w, rest: size}
	for {
		before := out.rest
		err := a.c.transport.Fetch(ctx, a.p.task.Round, digest, size-out.rest, out)
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
