package coordinator_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/secagg"
)

// failAtEveryWrite runs a job once for each write that its store is asked for,
// lets that write fail, and gives the finished world to check.
func failAtEveryWrite(t *testing.T, died bool, make func(t *testing.T) *world, check func(w *world)) {
	clean := make(t)
	clean.start()
	end := clean.run().Status
	require.Equal(t, 1, clean.boots)
	writes := clean.faults.names
	check(clean)
	require.NotEmpty(t, writes)
	for i, name := range writes {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %s kept=%v", i+1, name, kept), func(t *testing.T) {
				w := make(t)
				w.faults.at, w.faults.died, w.faults.kept = i+1, died, kept
				w.start()
				s := w.run()
				if w.faults.hit == "" { // an append that failed and happened
					require.False(t, died)
					require.Equal(t, "append to part", name)
				} else {
					require.Equal(t, name, w.faults.hit)
				}
				require.Equal(t, end, s.Status, s.Reason)
				check(w)
			})
		}
	}
}

// requireWhole holds after a run in which nobody was ever absent: every round was
// released at its first attempt, with everybody in it once, and says so.
func requireWhole(w *world) {
	w.t.Helper()
	rounds := w.plan.Rounds()
	w.requireModel(rounds)
	history := w.history()
	require.Len(w.t, history, rounds)
	for i, h := range history {
		require.Equal(w.t, uint32(i+1), h.Round)
		require.Equal(w.t, uint32(1), h.Attempt)
		require.True(w.t, h.Released, h.Reason)
		require.Equal(w.t, len(w.devices), h.Survivors)
		require.False(w.t, h.Ended.IsZero())
	}
	requireClean(w)
}

// requireClean requires that a finished run keeps its head, what that leads to, and its history alone.
func requireClean(w *world) {
	w.t.Helper()
	w.start() // what a failed deletion left behind goes at the next start
	segments, err := w.store.Journal.Segments()
	require.NoError(w.t, err)
	require.Equal(w.t, []string{"history"}, segments)
	parts, err := w.store.Spool.List()
	require.NoError(w.t, err)
	require.Empty(w.t, parts)
	requireKept(w)
}

// requireKept requires that no blob is there that the head does not lead to.
func requireKept(w *world) {
	w.t.Helper()
	blobs, err := w.store.Blobs.List()
	require.NoError(w.t, err)
	kept := w.engine.Kept()
	require.Contains(w.t, kept, w.engine.State().Model)
	require.Len(w.t, blobs, len(kept))
	for i, d := range kept {
		require.Equal(w.t, store.Digest(d), blobs[i])
	}
}

func inMemory(scheme string, clients, rounds int, change ...func(*plan.Literal)) func(t *testing.T) *world {
	return func(t *testing.T) *world {
		l := literal(scheme, clients, rounds)
		for _, c := range change {
			c(&l)
		}
		return newWorld(t, l)
	}
}

func checkpointing(make func(t *testing.T) *world) func(t *testing.T) *world {
	return func(t *testing.T) *world {
		w := make(t)
		w.change = func(c *coordinator.Config) { c.CheckpointBytes = 1 }
		return w
	}
}

func TestRunSurvivesDeathAtEveryWrite(t *testing.T) {
	failAtEveryWrite(t, true, inMemory("plain", 3, 2), requireWhole)
}

func TestRunSurvivesDeathAtEveryWriteWithCheckpoints(t *testing.T) {
	failAtEveryWrite(t, true, checkpointing(inMemory("plain", 3, 1)), requireWhole)
}

func TestPairwiseRunSurvivesDeathAtEveryWrite(t *testing.T) {
	failAtEveryWrite(t, true, checkpointing(inMemory("pairwise", 3, 1)), requireWhole)
}

func TestRunOnFilesSurvivesDeathAtEveryWrite(t *testing.T) {
	failAtEveryWrite(t, true, func(t *testing.T) *world {
		w := newWorld(t, literal("plain", 2, 1))
		w.onFiles(t.TempDir())
		w.change = func(c *coordinator.Config) { c.CheckpointBytes = 1 }
		return w
	}, requireWhole)
}

// A single write fails and the machine lives on. An attempt may be lost to it; then
// the history says so, and nothing of it is in the model.
func TestRunSurvivesEverySingleFailedWrite(t *testing.T) {
	failAtEveryWrite(t, false, checkpointing(inMemory("plain", 3, 2)), func(w *world) {
		w.requireModel(2)
		released := 0
		for _, h := range w.history() {
			if h.Released {
				released++
				require.Equal(w.t, uint32(released), h.Round)
				require.Equal(w.t, 3, h.Survivors)
			} else {
				require.Contains(w.t, h.Reason, errInjected.Error())
			}
		}
		require.Equal(w.t, 2, released)
		requireClean(w)
	})
}

// Attempts that nobody saves end with their reason in the history, once each.
func TestFailingRunSurvivesDeathAtEveryWrite(t *testing.T) {
	failAtEveryWrite(t, true, func(t *testing.T) *world {
		w := inMemory("plain", 3, 1, func(l *plan.Literal) { l.Rounds.Attempts = 2 })(t)
		w.devices[0].gone = func(_ *device, id secagg.RoundID) bool { return id.Attempt == 1 }
		w.devices[2].gone = func(_ *device, id secagg.RoundID) bool { return id.Attempt == 2 }
		w.devices[1].gone = func(*device, secagg.RoundID) bool { return true }
		return w
	}, func(w *world) {
		require.Equal(w.t, coordinator.Stopped, w.engine.State().Status)
		require.Equal(w.t, "round 1 failed in all its attempts", w.engine.State().Reason)
		history := w.history()
		require.Len(w.t, history, 2)
		for i, h := range history {
			require.Equal(w.t, uint32(i+1), h.Attempt)
			require.False(w.t, h.Released)
			require.Contains(w.t, h.Reason, "admission: 1 of at least 2")
		}
		w.requireModel(0)
		requireClean(w)
	})
}

// The record that closes admission is lost: nobody is asked for keys or uploads.
func TestNobodyIsAskedInAPhaseThatIsNotDurable(t *testing.T) {
	for _, scheme := range []string{"plain", "pairwise"} {
		w := inMemory(scheme, 3, 1)(t)
		w.start()
		id := w.engine.State().ID
		w.until("two joins", func() bool { return w.engine.State().Admitted == 2 })
		w.faults.at = len(w.faults.names) + 1
		w.until("the failure", func() bool { return w.engine.State().Failed != nil })
		for _, d := range w.devices {
			_, ok := w.engine.Envelope(d.name(), id, 0)
			require.False(t, ok)
		}
		w.start()
		require.Equal(t, coordinator.Finished, w.run().Status)
		requireWhole(w)
	}
}

// What could not be made durable has no consequence: no client hears of it and
// nothing is acknowledged.
func TestNothingIsSaidOfWhatIsNotDurable(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	w.start()
	w.until("two uploads", func() bool { return w.engine.State().Uploads == 2 })
	w.faults.at = len(w.faults.names) + 5 // begin, two chunks, sync, then the record
	last := w.devices[2]
	w.until("the failure", func() bool { return w.engine.State().Failed != nil })
	require.Equal(t, "append to 1/1", w.faults.hit)
	require.Len(t, w.acked[last.id], 2)
	require.NotNil(t, last.frame, "its upload was not acknowledged")

	_, ok := w.engine.Envelope(last.name(), last.id, 0)
	require.False(t, ok)
	_, err := w.engine.UploadBegin(last.name(), last.id, last.frame.Step, int64(len(last.sealed)))
	require.ErrorIs(t, err, coordinator.ErrFailed)
	w.engine.UploadDone(last.name(), last.id, last.frame.Step, last.frame.Body, func(e error) { err = e })
	require.ErrorIs(t, err, coordinator.ErrFailed)
	_, err = w.engine.CheckIn(last.name(), coordinator.Conditions{})
	require.ErrorIs(t, err, coordinator.ErrFailed)
	require.ErrorIs(t, w.engine.Leave(last.name(), last.id), coordinator.ErrFailed)
	for _, command := range []func() error{w.engine.Pause, w.engine.Abort, w.engine.Resume} {
		require.ErrorIs(t, command(), coordinator.ErrFailed)
	}
	w.engine.Tick()
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	requireWhole(w)
}
