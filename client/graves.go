package client

import (
	"context"
	"sync"

	"github.com/choir-fl/choir/secagg"
)

// graves waits beside everything else for the end of attempts that nobody
// resumes, and forgets each once it is over: until then the attempt must not be
// begun again.
type graves struct {
	c       *Client
	ctx     context.Context // of the call that the watching belongs to
	stop    context.CancelFunc
	watches sync.WaitGroup

	mu    sync.Mutex
	under map[secagg.RoundID]bool // being watched
}

func newGraves(ctx context.Context, c *Client) *graves {
	ctx, stop := context.WithCancel(ctx)
	return &graves{c: c, ctx: ctx, stop: stop, under: map[secagg.RoundID]bool{}}
}

// close ends all watching.
func (g *graves) close() {
	g.stop()
	g.watches.Wait()
}

// bury begins to watch an attempt, unless it is being watched.
func (g *graves) bury(id secagg.RoundID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.under[id] {
		return
	}
	g.under[id] = true
	g.watches.Go(func() {
		err := g.watch(id)
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.under, id) // after an error, to be tried again
		if err != nil && g.ctx.Err() == nil {
			g.c.log.Warn("tombstone stays", "round", id, "error", err)
		}
	})
}

func (g *graves) watch(id secagg.RoundID) error {
	if err := g.c.state.Remove(id); err != nil { // a ciphertext, if there is one
		return err
	}
	for after := uint32(0); ; {
		env, err := g.c.transport.Receive(g.ctx, id, after)
		switch {
		case g.ctx.Err() != nil:
			return g.ctx.Err()
		case over(err) || err == nil && env.Round == id && env.Over:
			return g.c.state.Put(id, nil)
		case err != nil:
			return err
		case env.Round != id || env.Step <= after:
			return ErrEnvelope.At("round %s, step %d after %d", env.Round, env.Step, after)
		}
		after = env.Step
	}
}
