package coordinator_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// holdout measures a model by its values.
type holdout func(values []float32) (coordinator.Measurement, error)

func (h holdout) Evaluate(m tensor.Model) (coordinator.Measurement, error) { return h(m.Values()) }

// byWeight takes each weight, and a half, for the recall of a class.
func byWeight(values []float32) (coordinator.Measurement, error) {
	m := coordinator.Measurement{Loss: 1}
	for _, v := range values {
		r := max(0, min(1, 0.5+float64(v)))
		m.Recall = append(m.Recall, r)
		m.Accuracy += r / float64(len(values))
	}
	return m, nil
}

// screened is a world of three whose coordinator has such a holdout.
func screened(rounds int, s plan.Screening, measure holdout, change ...func(*plan.Literal)) func(t *testing.T) *world {
	return func(t *testing.T) *world {
		w := inMemory("plain", 3, rounds, append(change, func(l *plan.Literal) { l.Screening = s })...)(t)
		w.change = func(c *coordinator.Config) { c.Holdout = measure }
		return w
	}
}

func names(alerts []coordinator.Alert) (out []string) {
	for _, a := range alerts {
		out = append(out, a.Name)
	}
	return out
}

func TestModelThatForgetsAClassIsRefusedAndTheNextAttemptFollows(t *testing.T) {
	w := screened(2, plan.Screening{RecallDrop: 0.2}, byWeight)(t)
	w.devices[0].size = func(id secagg.RoundID) float32 {
		if id.Round == 2 && id.Attempt == 1 {
			return -3
		}
		return step
	}
	w.start()
	w.until("round 2", func() bool { return w.engine.State().Rounds == 1 })
	good := w.engine.State().Model
	w.until("the gate", func() bool { return len(w.reports) == 2 })
	r := w.reports[1]
	require.False(t, r.Released)
	require.Contains(t, r.Reason, "recall of class 0 fell from 0.6667 to 0.0000, by more than 0.2")
	require.Equal(t, good, r.Model)
	require.Equal(t, good, w.engine.State().Model)
	require.InDelta(t, (0+5./6+5./6)/3, r.Holdout.Accuracy, tiny)
	require.Contains(t, names(r.Alerts), coordinator.AlertGate)
	require.Equal(t, r.Alerts, w.engine.State().Alerts)
	require.NotNil(t, r.Figures)
	require.Equal(t, coordinator.Finished, w.run().Status)
	w.requireModel(2)
	h := w.history()
	require.Len(t, h, 3)
	require.Equal(t, names(r.Alerts), names(h[1].Alerts))
	require.Equal(t, r.Holdout, h[1].Holdout)
	require.False(t, h[1].RolledBack)
	requireClean(w)
}

// Exactly the bound passes.
func TestDropOfTheBoundItselfPasses(t *testing.T) {
	for drop, refused := range map[float64]bool{0.25: false, 0.25001: true} {
		asked := 0
		w := screened(1, plan.Screening{RecallDrop: 0.25}, func([]float32) (coordinator.Measurement, error) {
			if asked++; asked == 2 { // the first is the model that the run begins with
				return coordinator.Measurement{Recall: []float64{0.75 - drop, 1, -1}, Accuracy: 0.9}, nil
			}
			return coordinator.Measurement{Recall: []float64{0.75, 1, -1}, Accuracy: 0.9}, nil
		})(t)
		w.start()
		require.Equal(t, coordinator.Finished, w.run().Status)
		require.Equal(t, !refused, w.reports[0].Released, "%v", drop)
	}
}

func TestBackdooredModelIsRefused(t *testing.T) {
	for rate, refused := range map[float64]bool{0.3: false, 0.31: true} {
		asked := 0
		w := screened(1, plan.Screening{BackdoorRate: 0.3}, func([]float32) (coordinator.Measurement, error) {
			asked++
			probe := 0.
			if asked == 2 {
				probe = rate
			}
			return coordinator.Measurement{Recall: []float64{1}, Accuracy: 1, Probe: &probe}, nil
		})(t)
		w.start()
		require.Equal(t, coordinator.Finished, w.run().Status)
		require.Equal(t, !refused, w.reports[0].Released, "%v", rate)
		if refused {
			require.Contains(t, w.reports[0].Reason, "backdoor probe rate 0.3100 is above 0.3")
		}
	}
}

// The holdout's accuracy steps up and down a little, and falls in round 7, after a restart.
func TestFallOutOfTheTrendRaisesAlertsAlsoAfterARestart(t *testing.T) {
	for name, restart := range map[string]bool{"": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			w := screened(8, plan.Screening{Alerts: plan.Alerts{RecallDrop: 1}}, byWeight)(t)
			for _, d := range w.devices {
				d.size = func(id secagg.RoundID) float32 {
					switch {
					case id.Round == 7:
						return -0.4
					case id.Round%2 == 0:
						return -0.01
					}
					return 0.01
				}
			}
			w.start()
			w.until("round 7", func() bool { return w.engine.State().Rounds == 6 })
			if change := w.change; restart {
				w.start()
				w.change = change
			}
			require.Equal(t, coordinator.Finished, w.run().Status)
			for i, h := range w.history() {
				require.EqualValues(t, i+1, h.Trend.Models)
				if i == 6 {
					require.Contains(t, names(h.Alerts), coordinator.AlertHoldout)
				} else {
					require.NotContains(t, names(h.Alerts), coordinator.AlertHoldout, "round %d", i+1)
				}
			}
			require.InDelta(t, 0.502, w.history()[4].Trend.Accuracy, 0.002)
		})
	}
}

// What is refused has no part in what is expected of the next, and what a run went back
// from has none either.
func TestTrendIsThatOfAcceptedModels(t *testing.T) {
	w := turning(2)(t)
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	h := w.history()
	require.Len(t, h, 5)
	require.EqualValues(t, []any{uint32(1), uint32(2), uint32(2), (*coordinator.Trend)(nil), uint32(1)},
		[]any{h[0].Trend.Models, h[1].Trend.Models, h[2].Trend.Models, h[3].Trend, h[4].Trend.Models})
}

// What a gate refused was opened: its cost stays.
func TestRefusedAttemptStaysCharged(t *testing.T) {
	asked := 0
	w := noisedWorld("pairwise", "distributed", 1, false, func(l *plan.Literal) { l.Screening.RecallDrop = 0.1 })(t)
	w.change = func(c *coordinator.Config) {
		c.Holdout = holdout(func([]float32) (coordinator.Measurement, error) {
			asked++
			return coordinator.Measurement{Recall: []float64{map[bool]float64{true: 0, false: 1}[asked == 2]}, Accuracy: 1}, nil
		})
	}
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Equal(t, []string{"1/1 reserved", "1/2 committed"}, w.charges())
	w.requireSpent(w.reports[1], 2)
	require.Equal(t, 3, asked, "the model that stays is measured once")
}

// turning refuses two attempts in round 3, after a round 2 that is worse than round 1.
func turning(rollback int) func(t *testing.T) *world {
	return func(t *testing.T) *world {
		w := screened(3, plan.Screening{RecallDrop: 0.2, Rollback: rollback}, byWeight, func(l *plan.Literal) {
			l.Optimizer = plan.Optimizer{Name: "fedavgm", Momentum: 1e-9} // moments, of no weight
		})(t)
		for i, d := range w.devices {
			d.size = func(id secagg.RoundID) float32 {
				switch {
				case id.Round == 2:
					return -0.3
				case id.Round == 3 && id.Attempt <= 2 && i == 0:
					return -3
				}
				return step
			}
		}
		return w
	}
}

func TestRunGoesBackToItsBestModel(t *testing.T) {
	w := turning(2)(t)
	w.start()
	w.until("round 2", func() bool { return w.engine.State().Rounds == 1 })
	best := w.engine.State().Model
	w.until("a refusal", func() bool { return len(w.reports) == 3 })
	require.NotEqual(t, best, w.engine.State().Model)
	require.False(t, w.reports[2].RolledBack)
	change := w.change
	w.start() // how many were refused survives a restart, and so does the best model
	w.change = change
	w.until("another", func() bool { return len(w.reports) == 4 })
	r := w.reports[3]
	require.True(t, r.RolledBack)
	require.Equal(t, best, r.Model)
	require.Equal(t, best, w.engine.State().Model)
	require.Contains(t, names(w.engine.State().Alerts), coordinator.AlertRollback)
	w.start() // from a head that names an earlier round's release
	require.Contains(t, names(w.engine.State().Alerts), coordinator.AlertRollback, "what to look at survives a restart")
	require.Equal(t, coordinator.Finished, w.run().Status)
	w.requireModel(2)
	h := w.history()
	require.Len(t, h, 5)
	require.True(t, h[3].RolledBack)
	require.Equal(t, best.String(), h[3].Model)
	require.True(t, h[4].Released)
	require.Nil(t, h[4].Figures.Cosine, "the step that led elsewhere is forgotten")
	requireClean(w)
}

func TestRunWithoutRollbackStaysWithItsLastGoodModel(t *testing.T) {
	w := turning(0)(t)
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	for _, h := range w.history() {
		require.False(t, h.RolledBack)
	}
	for _, v := range w.values() {
		require.InDelta(t, (0.5-0.3+0.5)/3, v, tiny)
	}
	requireClean(w)
}

func TestRollbackSurvivesDeathAtEveryWrite(t *testing.T) {
	var want secagg.Digest
	failAtEveryWrite(t, true, turning(2), func(w *world) {
		if want == (secagg.Digest{}) {
			want = w.engine.State().Model
		}
		require.Equal(w.t, want, w.engine.State().Model)
		h := w.history()
		require.Len(w.t, h, 5)
		for i, back := range []bool{false, false, false, true, false} {
			require.Equal(w.t, back, h[i].RolledBack, "%d", i)
			require.Equal(w.t, i != 2 && i != 3, h[i].Released, "%d", i)
		}
		requireClean(w)
	})
}

// The ledger hears of a release again at each restart: also after the run went back.
func TestRunWithNoiseRestartsAfterGoingBack(t *testing.T) {
	asked := 0
	w := noisedWorld("pairwise", "distributed", 3, false, func(l *plan.Literal) { l.Screening = plan.Screening{RecallDrop: 0.1, Rollback: 1} })(t)
	accuracies := []float64{0.1, 0.9, 0.8, 0, 0.8, 0.8} // first model, round 1, round 2, refused in round 3
	w.change = func(c *coordinator.Config) {
		c.Holdout = holdout(func([]float32) (coordinator.Measurement, error) {
			a := accuracies[min(asked, len(accuracies)-1)]
			asked++
			return coordinator.Measurement{Recall: []float64{map[bool]float64{true: 0, false: 1}[a == 0]}, Accuracy: a}, nil
		})
	}
	w.start()
	w.until("going back", func() bool { return len(w.reports) == 3 })
	require.True(t, w.reports[2].RolledBack)
	require.Equal(t, w.reports[0].Model, w.engine.State().Model)
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Equal(t, []string{"1/1 committed", "2/1 committed", "3/1 reserved"}, w.charges()[:3])
}

// A model that a run began with may be its best one.
func TestRunGoesBackToTheModelItBeganWith(t *testing.T) {
	w := screened(2, plan.Screening{RecallDrop: 0.2, Rollback: 1}, byWeight)(t)
	begun := w.plan.Terms().Tensors
	for i, d := range w.devices {
		d.size = func(id secagg.RoundID) float32 {
			switch {
			case id.Round == 1:
				return -0.3
			case id.Attempt == 1 && i == 0:
				return -3
			}
			return step
		}
	}
	w.start()
	w.until("going back", func() bool { return len(w.reports) == 2 })
	require.True(t, w.reports[1].RolledBack)
	require.Equal(t, secagg.Digest(tensor.Zero(begun).Digest()), w.engine.State().Model)
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	w.requireModel(1)
}

func TestPlanWithAGateNeedsAHoldout(t *testing.T) {
	for _, s := range []plan.Screening{{RecallDrop: 0.1}, {BackdoorRate: 0.1}} {
		w := screened(1, s, nil)(t)
		w.change = nil
		require.ErrorIs(t, w.tryStart(), coordinator.ErrConfig)
	}
}

func TestHoldoutThatSaysNothingFailsTheAttempt(t *testing.T) {
	one := func(m coordinator.Measurement) holdout {
		return func(values []float32) (coordinator.Measurement, error) {
			if values[0] == 0 {
				return coordinator.Measurement{Recall: []float64{1, 1}, Accuracy: 1}, nil
			}
			return m, nil
		}
	}
	nan := math.NaN()
	for name, h := range map[string]holdout{
		"recall of nothing": one(coordinator.Measurement{}), "of no share": one(coordinator.Measurement{Recall: []float64{1, 1.5}}),
		"not a number": one(coordinator.Measurement{Recall: []float64{1, nan}}), "accuracy": one(coordinator.Measurement{Recall: []float64{1, 1}, Accuracy: nan}),
		"loss": one(coordinator.Measurement{Recall: []float64{1, 1}, Loss: nan}), "probe": one(coordinator.Measurement{Recall: []float64{1, 1}, Probe: &nan}),
		"other classes":         one(coordinator.Measurement{Recall: []float64{1}, Accuracy: 1}),
		"more than are written": one(coordinator.Measurement{Recall: slices.Repeat([]float64{1}, 1001), Accuracy: 1}),
		"error": func([]float32) (coordinator.Measurement, error) {
			return coordinator.Measurement{}, errors.New("no data")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := screened(1, plan.Screening{Alerts: plan.Alerts{RecallDrop: 0.5}}, h, func(l *plan.Literal) { l.Rounds.Attempts = 1 })(t)
			w.start()
			require.Equal(t, coordinator.Stopped, w.run().Status)
			require.Contains(t, w.history()[0].Reason, "the holdout cannot measure the model")
			require.Empty(t, w.history()[0].Alerts)
		})
	}
	unasked := screened(1, plan.Screening{}, func([]float32) (coordinator.Measurement, error) {
		return coordinator.Measurement{}, errors.New("no data")
	})(t)
	unasked.start()
	require.Equal(t, coordinator.Finished, unasked.run().Status, "a plan without screening is not measured")
	w := screened(1, plan.Screening{BackdoorRate: 1}, byWeight, func(l *plan.Literal) { l.Rounds.Attempts = 1 })(t)
	w.start()
	require.Equal(t, coordinator.Stopped, w.run().Status)
	require.Contains(t, w.history()[0].Reason, "no probes")
	require.Empty(t, w.history()[0].Alerts, "no gate refused it")
}
