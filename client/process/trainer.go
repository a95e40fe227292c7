package process

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// Config says what to run.
type Config struct {
	// Command is the program and its arguments; no shell is involved. Words makes
	// it of a string.
	Command []string
	// WorkDir is where the program runs; empty for where the client does.
	WorkDir string
	// TempDir is where a private directory for model files is made; empty for the
	// system's. Updates lie there in clear while a request is under way, and
	// longer if the client is killed.
	TempDir string
	// Stderr gets what the program writes to its standard error. Nil discards it.
	Stderr io.Writer
}

// Trainer is a client.Trainer and client.Evaluator that a program does the work
// of. The program is started when it is first needed, and again after it ended or
// was killed because a request's context did. Safe for concurrent use; requests
// wait for each other.
type Trainer struct {
	config Config
	mu     sync.Mutex
	run    *program
	closed bool
}

var (
	_ client.Trainer   = (*Trainer)(nil)
	_ client.Evaluator = (*Trainer)(nil)
)

// New checks the configuration. Nothing is started.
func New(c Config) (*Trainer, error) {
	if len(c.Command) == 0 || c.Command[0] == "" {
		return nil, ErrCommand.At("the command is empty")
	}
	return &Trainer{config: c}, nil
}

// Train implements client.Trainer.
func (t *Trainer) Train(ctx context.Context, model tensor.Model, job secagg.Task) (client.Update, error) {
	if b := job.Terms.Training.WorkerMomentum; b != 0 {
		// A program that had not heard of it would send what the plan does not ask for.
		return client.Update{}, ErrMomentum.At("job %s: worker_momentum %v", job.Round.Job, b)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.program(ctx)
	if err != nil {
		return client.Update{}, err
	}
	output := p.file("update.safetensors")
	defer os.Remove(output)
	a, err := t.ask(ctx, model, request{Command: "train", Output: output, Task: newTask(job)})
	if err != nil {
		return client.Update{}, err
	}
	u := client.Update{}
	if u.Examples, err = a.examples(); err != nil {
		return client.Update{}, err
	}
	u.Model, err = readModel(output, model.Schema())
	return u, err
}

// Evaluate implements client.Evaluator. A program that does not evaluate gives an
// evaluation of no examples, which says nothing.
func (t *Trainer) Evaluate(ctx context.Context, model tensor.Model, job secagg.Task) (client.Evaluation, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.program(ctx)
	if err != nil || !p.evaluates {
		return client.Evaluation{}, err
	}
	a, err := t.ask(ctx, model, request{Command: "evaluate", Task: newTask(job)})
	if err != nil {
		return client.Evaluation{}, err
	}
	return a.evaluation()
}

// Close asks the program to end and waits for it until ctx ends; then it is
// killed. The trainer must not be used afterwards.
func (t *Trainer) Close(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.run == nil || t.run.ended {
		return nil
	}
	return t.run.leave(ctx)
}

// program returns the running program, and starts it if there is none.
func (t *Trainer) program(ctx context.Context) (*program, error) {
	if t.closed {
		return nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if t.run == nil || t.run.ended {
		var err error
		if t.run, err = start(ctx, t.config); err != nil {
			t.run = nil
			return nil, err
		}
	}
	return t.run, nil
}

// ask hands the model to the program with a request.
func (t *Trainer) ask(ctx context.Context, model tensor.Model, r request) (answer, error) {
	r.Model = t.run.file("model.safetensors")
	defer os.Remove(r.Model)
	if err := writeModel(r.Model, model); err != nil {
		return answer{}, err
	}
	return t.run.ask(ctx, r)
}

func writeModel(name string, m tensor.Model) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(tensor.WriteSafetensors(f, m), f.Close())
}
