package coordinator_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/optimizer"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/secagg"
)

// The moments of an optimiser last from round to round and over restarts; under a
// plan with another optimiser, whose moments mean something else, they are left behind.
func TestMomentsBelongToTheirOptimiser(t *testing.T) {
	const n = 3
	for name, c := range map[string]struct {
		change func(*plan.Optimizer)
		kept   bool
	}{
		"same optimiser":         {func(*plan.Optimizer) {}, true},
		"same, at another rate":  {func(o *plan.Optimizer) { o.LearningRate = 0.3 }, true},
		"other, of same size":    {func(o *plan.Optimizer) { o.Name = "fedyogi" }, false},
		"other, of another size": {func(o *plan.Optimizer) { *o = plan.Optimizer{Name: "fedavgm"} }, false},
		"none":                   {func(o *plan.Optimizer) { *o = plan.Optimizer{Name: "fedavg"} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := inMemory("plain", n, 1, func(l *plan.Literal) {
				l.Optimizer = plan.Optimizer{Name: "fedadam", LearningRate: 0.1, Tau: 0.01}
			})(t)
			w.start()
			require.Equal(t, coordinator.Finished, w.run().Status)
			first := w.plan.Optimizer()
			w.changePlan(func(l *plan.Literal) {
				l.Rounds.Count = 2
				c.change(&l.Optimizer)
			})
			w.change = resuming
			w.start()
			require.Equal(t, coordinator.Finished, w.run().Status)

			mean := make([]float64, n) // what the clients add in each round, as the encoding rounds it
			for i := range mean {
				mean[i] = step / float64(n)
			}
			model := make([]float32, n)
			s := optimizer.New(first, n)
			s.Apply(model, mean)
			var moments bytes.Buffer
			require.NoError(t, s.Write(&moments))
			next := optimizer.New(w.plan.Optimizer(), n)
			if c.kept {
				require.NoError(t, next.Read(&moments))
			}
			next.Apply(model, mean)
			for i, v := range w.values() {
				require.InDelta(t, model[i], v, tiny)
			}
		})
	}
}

// damaged gives other bytes for one blob than were stored.
type damaged struct {
	store.Blobs
	blob store.Digest
}

type damagedReader struct{ store.Reader }

func (b damaged) Open(d store.Digest) (store.Reader, error) {
	r, err := b.Blobs.Open(d)
	if err == nil && d == b.blob {
		return damagedReader{r}, nil
	}
	return r, err
}

func (r damagedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		p[n-1] ^= 1
	}
	return n, err
}

// damage lets the medium spoil a blob from the next start on.
func (w *world) damage(blob secagg.Digest) {
	w.change = func(c *coordinator.Config) {
		bad := *c.Store
		bad.Blobs = damaged{c.Store.Blobs, store.Digest(blob)}
		c.Store = &bad
	}
}

func TestDamagedMomentsAreNotTakenForMoments(t *testing.T) {
	w := inMemory("plain", 3, 2, func(l *plan.Literal) { l.Optimizer = plan.Optimizer{Name: "fedadam", LearningRate: 0.1, Tau: 0.01} })(t)
	w.start()
	w.until("round 2", func() bool { return w.engine.State().Rounds == 1 })
	before := w.values()
	blobs, err := w.store.Blobs.List()
	require.NoError(t, err)
	require.Len(t, blobs, 3, "the model, the moments and the step")
	for _, b := range blobs {
		if d := secagg.Digest(b); d != w.engine.State().Model && d != w.engine.Step() {
			w.damage(secagg.Digest(b))
		}
	}
	w.start()
	s := w.run()
	require.Equal(t, coordinator.Stopped, s.Status)
	require.Contains(t, w.history()[1].Reason, "moments of the optimiser")
	require.Equal(t, before, w.values())
}

func TestDamagedModelIsNeitherExportedNorTrainedOn(t *testing.T) {
	w := inMemory("plain", 3, 2)(t)
	w.start()
	w.until("round 2", func() bool { return w.engine.State().Rounds == 1 })
	w.damage(w.engine.State().Model)
	w.start()
	file, _, err := w.engine.Export()
	require.ErrorIs(t, err, store.ErrCorrupt)
	require.Nil(t, file, "nothing is given out")
}

// A crash between a checkpoint and the deletion of the uploads in it must not leave
// the spool without room.
func TestRestartFreesTheUploadsThatACheckpointHolds(t *testing.T) {
	w := checkpointing(inMemory("plain", 3, 1))(t)
	w.faults.at, w.faults.died = indexOf(t, "delete part"), true
	w.start()
	w.until("the deletion", func() bool { return w.faults.hit != "" })
	require.Equal(t, "delete part", w.faults.hit)
	w.start()
	parts, err := w.store.Spool.List()
	require.NoError(t, err)
	require.Empty(t, parts)
	require.Equal(t, 1, w.engine.State().Uploads)
	require.Equal(t, coordinator.Finished, w.run().Status)
	requireWhole(w)
}

// indexOf runs the same job to find which of its writes is the first of that name.
func indexOf(t *testing.T, name string) int {
	w := checkpointing(inMemory("plain", 3, 1))(t)
	w.start()
	w.run()
	require.Contains(t, w.faults.names, name)
	return slices.Index(w.faults.names, name) + 1
}
