package mf

import "github.com/choir-fl/choir/secagg/field"

const (
	labelDraw = "choir/mf/1/draw"
	labelNext = "choir/mf/1/next"
)

// filter turns independent draws into correlated noise. It keeps vectors between steps.
type filter interface {
	// step writes the noise of step t to dst. draw fills a vector with fresh draws.
	step(t int, dst []int64, draw func([]int64) error) error
	// state is the vectors, in a fixed order. They are the filter's own.
	state() [][]int64
}

// newFilter is the filter of the run's family before its first step.
func (r Run) newFilter() filter {
	vectors := make([][]int64, r.m.Vectors())
	for i := range vectors {
		vectors[i] = make([]int64, r.dimension)
	}
	switch r.m.p.Family {
	case Tree:
		weights, _ := treeWeights(len(vectors))
		return &treeFilter{weights: weights, open: vectors, drawn: make([]int64, r.dimension)}
	case BandMF:
		return &bandFilter{band: r.m.band, past: vectors}
	}
	return &bltFilter{decay: r.decay, scale: r.scale, fraction: r.fraction, buffers: vectors}
}

// Generator makes the noise of a run, step by step. Everything in it is secret: who knows
// it can take the noise off the releases. It serves one goroutine at a time.
type Generator struct {
	run    Run
	seed   [32]byte // of the step that is due
	next   int
	filter filter // nil once erased
}

// Generator begins the noise of a run. The seed is 32 uniform secret bytes that serve no
// other run; the caller erases its copy. Each step has coins of its own, derived from the
// seed, and then the seed is replaced by another derived from it, so that what is known
// later does not give back the draws of earlier steps. ErrArgument for the zero Run.
func (r Run) Generator(seed [32]byte) (*Generator, error) {
	if r.dimension == 0 {
		return nil, ErrArgument.At("generator of no run")
	}
	return &Generator{run: r, seed: seed, filter: r.newFilter()}, nil
}

// Next is the step that is due: 0 at first, Steps when none is left.
func (g *Generator) Next() int { return g.next }

// Step writes the noise of step t, in lattice steps, to dst, whose length is the run's
// dimension. t must be Next. Draw it before the sum is known, so that no release tells the
// time it took, and after a snapshot is durable: a crash then loses nothing, because the
// restored generator gives the same noise again. Noise whose sum was never released is not
// used for another sum; see the package comment.
//
// On an error dst is zero. After ErrStep and ErrArgument nothing has changed; any other
// error erases the generator.
func (g *Generator) Step(t int, dst []int64) error {
	clear(dst)
	switch {
	case g.filter == nil:
		return ErrErased.At("step %d", t)
	case len(dst) != g.run.dimension:
		return ErrArgument.At("%d values for %d coordinates", len(dst), g.run.dimension)
	case t != g.next || t >= g.run.m.p.Participation.Steps:
		return ErrStep.At("step %d, step %d of %d is due", t, g.next, g.run.m.p.Participation.Steps)
	}
	key := field.Derive(g.seed, labelDraw)
	coins := field.NewStream(key)
	clear(key[:])
	err := g.filter.step(t, dst, func(v []int64) error { return g.run.sampler.Sample(v, coins) })
	if err != nil {
		clear(dst)
		g.Erase()
		return err
	}
	g.seed = field.Derive(g.seed, labelNext)
	g.next++
	return nil
}

// Erase overwrites all secrets. The generator is of no use afterwards.
func (g *Generator) Erase() {
	clear(g.seed[:])
	if g.filter == nil {
		return
	}
	for _, v := range g.filter.state() {
		clear(v)
	}
	g.filter = nil
}
