package coordinator_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
)

func (w *world) uploading(n int) func() bool {
	return func() bool { return w.engine.State().Uploads == n }
}

func TestPauseEndsTheAttemptUntilResume(t *testing.T) {
	w := inMemory("plain", 3, 2)(t)
	w.start()
	w.until("an upload", w.uploading(1))
	id := w.engine.State().ID
	require.NoError(t, w.engine.Pause())
	w.quiet()
	s := w.engine.State()
	require.Equal(t, coordinator.Paused, s.Status)
	require.Zero(t, s.Rounds)
	for _, d := range w.devices {
		require.Nil(t, d.p)
		env, ok := w.engine.Envelope(d.name(), id, 0)
		require.True(t, ok && env.Over)
		require.Equal(t, "paused by an operator", env.Reason)
		require.False(t, env.Completed)
		offer, err := w.engine.CheckIn(d.name(), coordinator.Conditions{})
		require.NoError(t, err)
		require.Nil(t, offer.Task)
	}
	require.ErrorIs(t, w.engine.Pause(), coordinator.ErrStatus)
	w.start()
	w.quiet()
	require.Equal(t, coordinator.Paused, w.engine.State().Status)

	require.NoError(t, w.engine.Resume())
	require.ErrorIs(t, w.engine.Resume(), coordinator.ErrStatus)
	require.Equal(t, coordinator.Finished, w.run().Status)
	w.requireModel(2)
	history := w.history()
	require.Len(t, history, 3)
	require.Equal(t, id.Attempt, history[0].Attempt)
	require.False(t, history[0].Released)
	require.Equal(t, "paused by an operator", history[0].Reason)
	requireClean(w)
}

// The machine dies at each write of a command. The run is then in the status of
// before or of after, and in neither case does an attempt go on in a run that stands.
func TestCommandsSurviveDeathAtEveryWrite(t *testing.T) {
	for name, c := range map[string]struct {
		give   func(*coordinator.Engine) error
		status coordinator.Status
	}{
		"pause": {(*coordinator.Engine).Pause, coordinator.Paused},
		"abort": {(*coordinator.Engine).Abort, coordinator.Stopped},
	} {
		for at := 1; ; at++ {
			var hit bool
			for _, kept := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %d kept=%v", name, at, kept), func(t *testing.T) {
					w := inMemory("plain", 3, 1)(t)
					w.start()
					w.until("an upload", w.uploading(1))
					w.faults.at, w.faults.died, w.faults.kept = len(w.faults.names)+at, true, kept
					_ = c.give(w.engine)
					if hit = w.faults.hit != ""; !hit {
						return
					}
					require.NotNil(t, w.engine.State().Failed)
					w.start()
					if s := w.engine.State(); s.Status != coordinator.Running {
						require.Equal(t, c.status, s.Status)
						require.Empty(t, s.Phase, "the attempt goes on")
						require.Len(t, w.history(), 1)
						require.Contains(t, w.history()[0].Reason, "by an operator")
						w.change = func(c *coordinator.Config) { c.Resume = true }
						w.start()
					}
					require.Equal(t, coordinator.Finished, w.run().Status)
					w.requireModel(1)
				})
			}
			if !hit {
				require.Greater(t, at, 4)
				break
			}
		}
	}
}

func TestAbortedRunStaysAborted(t *testing.T) {
	w := inMemory("plain", 3, 2)(t)
	w.start()
	w.until("an upload", w.uploading(1))
	require.NoError(t, w.engine.Abort())
	for range 2 {
		w.quiet()
		require.Equal(t, coordinator.Stopped, w.engine.State().Status)
		require.Equal(t, "aborted by an operator", w.engine.State().Reason)
		for _, command := range []func() error{w.engine.Pause, w.engine.Resume, w.engine.Abort} {
			require.ErrorIs(t, command(), coordinator.ErrStatus)
		}
		w.start()
	}
	require.Len(t, w.history(), 1)
	w.requireModel(0)
}

func TestPausedRunCanBeAborted(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	w.start()
	require.NoError(t, w.engine.Pause())
	require.NoError(t, w.engine.Abort())
	require.ErrorIs(t, w.engine.Resume(), coordinator.ErrStatus)
	require.Equal(t, coordinator.Stopped, w.engine.State().Status)
}

func TestFinishedRunRefusesCommands(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	for _, command := range []func() error{w.engine.Pause, w.engine.Resume, w.engine.Abort} {
		require.ErrorIs(t, command(), coordinator.ErrStatus)
	}
	require.Equal(t, coordinator.Finished, w.engine.State().Status)
}

// changePlan replaces the plan for the next start.
func (w *world) changePlan(change func(*plan.Literal)) {
	w.t.Helper()
	l := w.plan.Literal()
	change(&l)
	p, err := l.Check(serverSchemes...)
	require.NoError(w.t, err)
	w.plan = p
}

func resuming(c *coordinator.Config) { c.Resume = true }

func TestFinishedRunGoesOnUnderAChangedPlan(t *testing.T) {
	w := inMemory("plain", 3, 1, func(l *plan.Literal) { l.Rounds.Attempts = 1 })(t)
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	w.changePlan(func(l *plan.Literal) { l.Rounds.Count = 3 })
	require.ErrorIs(t, w.tryStart(), coordinator.ErrOtherRun)
	w.change = resuming
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	requireWhole(w)
}

func TestPlanChangedInAnAttemptBeginsAnother(t *testing.T) {
	for _, attempts := range []int{1, 3} {
		w := inMemory("plain", 3, 1, func(l *plan.Literal) { l.Rounds.Attempts = attempts })(t)
		w.start()
		w.until("an upload", w.uploading(2))
		before := w.engine.State().ID
		w.changePlan(func(l *plan.Literal) { l.Training.Epochs = 2 })
		w.change = resuming
		w.start()
		require.NotEqual(t, before, w.engine.State().ID)
		require.Equal(t, coordinator.Finished, w.run().Status)
		w.requireModel(1)
		requireClean(w)
	}
}

func TestPlanOfAnotherModelIsRefused(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	w.changePlan(func(l *plan.Literal) { l.Rounds.Count, l.Model.Tensors[0].Shape = 2, []int{4} })
	w.change = resuming
	require.ErrorIs(t, w.tryStart(), coordinator.ErrConfig)
}

func evaluating(l *plan.Literal) { l.Evaluation.Clients = true }

func TestRunStopsAtTheAccuracyAskedFor(t *testing.T) {
	w := inMemory("plain", 3, 9, evaluating, func(l *plan.Literal) { l.Stop.Accuracy = 0.75 })(t)
	for _, d := range w.devices {
		d.evaled = func(id secagg.RoundID) *client.Evaluation {
			return &client.Evaluation{Examples: 1, Accuracy: float64(id.Round) / 4, Loss: 1}
		}
	}
	w.start()
	s := w.run()
	require.Equal(t, coordinator.Finished, s.Status)
	require.Equal(t, "federated accuracy 0.7500 reached", s.Reason)
	require.Equal(t, 3, s.Rounds)
	require.InDelta(t, 0.5, w.history()[1].Evaluation.Accuracy, 1e-5)
	require.InDelta(t, 1, w.history()[1].Evaluation.Loss, 1e-3)
}

func TestRunStopsWhenPatienceIsSpent(t *testing.T) {
	for name, losses := range map[string][]float64{
		"no better":           {3, 2, 2.5, 2, 1, 1},
		"nothing beats a nil": {2, 0, 1, 2, 3, 4},
	} {
		t.Run(name, func(t *testing.T) {
			w := inMemory("plain", 3, len(losses), evaluating, func(l *plan.Literal) { l.Stop.Patience = 2 })(t)
			for _, d := range w.devices {
				d.evaled = func(id secagg.RoundID) *client.Evaluation {
					return &client.Evaluation{Examples: 1, Loss: losses[id.Round-1]}
				}
			}
			w.start()
			w.until("round 3", func() bool { return w.engine.State().Rounds == 2 })
			w.start() // patience outlasts a restart
			s := w.run()
			require.Equal(t, coordinator.Finished, s.Status)
			require.Equal(t, "no lower federated loss in 2 rounds", s.Reason)
			require.Equal(t, 4, s.Rounds)
			w.requireModel(4)
		})
	}
}

func TestModelThatWouldNotBeFiniteFailsTheAttemptAlone(t *testing.T) {
	w := inMemory("plain", 3, 1, func(l *plan.Literal) { l.Optimizer.LearningRate = 1e40 })(t)
	for _, d := range w.devices {
		d.size = func(id secagg.RoundID) float32 { return map[bool]float32{true: 0.5}[id.Attempt == 1] }
	}
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	history := w.history()
	require.Len(t, history, 2)
	require.False(t, history[0].Released)
	require.Contains(t, history[0].Reason, "new model")
	require.True(t, history[1].Released)
	w.requireModel(0)
	requireClean(w)
}

func TestSumWithoutWeightReleasesNothing(t *testing.T) {
	w := inMemory("plain", 3, 1, func(l *plan.Literal) { l.Training.WeightCap, l.Rounds.Attempts = 1e9, 2 })(t)
	w.start()
	require.Equal(t, coordinator.Stopped, w.run().Status)
	for _, h := range w.history() {
		require.False(t, h.Released)
		require.Contains(t, h.Reason, "weights sum to zero")
	}
	require.Len(t, w.history(), 2)
	w.requireModel(0)
}
