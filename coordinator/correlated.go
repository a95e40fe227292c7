package coordinator

import (
	"io"
	"sync"

	"github.com/choir-fl/choir/dp/mf"
	"github.com/choir-fl/choir/secagg/field"
)

// correlated is the noise of a run under a matrix mechanism. It follows from the run's
// secret seed, so nothing of it is stored: after a restart the steps so far are made
// again. Safe for concurrent use: an attempt that was given up may still be at work.
type correlated struct {
	mu        sync.Mutex // owns the generator
	generator *mf.Generator
}

// step returns the noise of one step, in lattice steps: the same whenever it is asked
// for. Steps that released nothing are passed over.
func (c *correlated) step(run mf.Run, seed [32]byte, step int) ([]int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	noise := make([]int64, run.Dimension())
	if c.generator == nil || c.generator.Next() > step {
		key := field.Derive(seed, "noise of the run")
		defer clear(key[:])
		var err error
		if c.generator, err = run.Generator(key); err != nil {
			return nil, err
		}
	}
	for c.generator.Next() <= step {
		if err := c.generator.Step(c.generator.Next(), noise); err != nil {
			c.generator = nil
			return nil, err
		}
	}
	return noise, nil
}

// erase destroys the noise that later steps would be made of.
func (c *correlated) erase() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generator != nil {
		c.generator.Erase()
	}
	c.generator = nil
}

// forgetNoise replaces the seed that the coordinator's own noise followed from, once no
// release needs it any more: whoever reads the head afterwards cannot take the noise off.
func (e *Engine) forgetNoise(h *head) error {
	if !e.cfg.Plan.Guarantee().Stated() || h.status != Finished && h.status != BudgetExhausted {
		return nil
	}
	e.correlated.erase()
	_, err := io.ReadFull(e.cfg.Coins, h.seed[:])
	return err
}
