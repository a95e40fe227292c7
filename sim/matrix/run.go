package matrix

import (
	"context"
	"errors"
	"fmt"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/sim"
)

// ErrInterrupted ends a run that was interrupted. What had finished is in the results.
var ErrInterrupted = fault.New(fault.Aborted, "matrix/interrupted", "interrupted", "run it again to go on; cells that had finished are kept")

// Running says how cells are run.
type Running struct {
	Journal  *Journal
	Parallel int    // cells at a time, at least 1; results do not depend on it
	Build    string // of this program, for the report
	// Simulate is sim.Run. It is called concurrently.
	Simulate func(sim.Config) (sim.Result, error)
	// Progress is called after each cell that ran, from one goroutine, with the numbers of
	// cells that ran and that are to run in all; those found in the results are neither.
	// May be nil.
	Progress func(o Outcome, ran, of int)
}

// Run runs every cell that can run and has no outcome yet, each digest once, and writes
// each outcome to the journal as it comes. When ctx ends it returns ErrInterrupted at once
// and leaves the simulations under way to themselves: what comes of them is not written.
// A broken invariant of the simulator ends it, too.
func (m *Matrix) Run(ctx context.Context, r Running) error {
	todo := m.todo(r.Journal)
	jobs := make(chan Cell)
	type finished struct {
		outcome Outcome
		err     error
	}
	out := make(chan finished, max(r.Parallel, 1)) // with room for all that are under way when nobody listens any more
	stop := make(chan struct{})
	defer close(stop)
	for range max(r.Parallel, 1) {
		go func() {
			for c := range jobs {
				o, err := m.one(c, r)
				out <- finished{o, err}
			}
		}()
	}
	go func() {
		defer close(jobs)
		for _, c := range todo {
			select {
			case jobs <- c:
			case <-stop:
				return
			}
		}
	}()
	for ran := 1; ran <= len(todo); ran++ {
		if ctx.Err() != nil {
			return ErrInterrupted
		}
		select {
		case <-ctx.Done():
			return ErrInterrupted
		case f := <-out:
			if f.err != nil {
				return f.err
			}
			if err := r.Journal.Append(f.outcome); err != nil {
				return err
			}
			if r.Progress != nil {
				r.Progress(f.outcome, ran, len(todo))
			}
		}
	}
	return nil
}

// todo lists the cells that are to run.
func (m *Matrix) todo(j *Journal) (out []Cell) {
	seen := map[string]bool{}
	for _, c := range m.cells {
		if _, known := j.Of(c.digest); !known && !seen[c.digest] && c.Refusal == nil {
			seen[c.digest] = true
			out = append(out, c)
		}
	}
	return out
}

// one simulates a cell.
func (m *Matrix) one(c Cell, r Running) (Outcome, error) {
	res, err := r.Simulate(m.config(c))
	if errors.Is(err, sim.ErrInvariant) {
		return Outcome{}, fmt.Errorf("%s: %w", c, err)
	}
	o := Outcome{Digest: c.digest, Build: r.Build, Cell: c.String(), Status: Done, RoundsFailed: res.Final.RoundsFailed}
	if err == nil {
		err = o.measure(res, m.literal.Last)
	}
	if err == nil {
		return o, nil
	}
	o.Accuracy, o.Best, o.Final, o.AttackSuccess = nil, nil, nil, nil
	o.Reason, o.Status = err.Error(), Failed
	switch fault.ClassOf(err) {
	case fault.Refused, fault.Usage, fault.Invalid:
		o.Status = Refused
	}
	return o, nil
}

// measure reads the numbers off a result.
func (o *Outcome) measure(res sim.Result, last int) error {
	var all []float64
	for _, r := range res.Rounds {
		if r.Outcome == sim.Released && r.TestAccuracy != nil {
			all = append(all, *r.TestAccuracy)
		}
	}
	if len(all) < last {
		return fmt.Errorf("%d evaluations; the last %d were to be averaged", len(all), last)
	}
	sum, best := 0.0, 0.0
	for _, v := range all[len(all)-last:] {
		sum += v
	}
	for _, v := range all {
		best = max(best, v)
	}
	mean, final := sum/float64(last), all[len(all)-1]
	o.Accuracy, o.Best, o.Final, o.AttackSuccess = &mean, &best, &final, res.Final.AttackSuccess
	o.EpsilonReleased, o.EpsilonCoordinator = res.Final.EpsilonReleased, res.Final.EpsilonCoordinator
	return nil
}
