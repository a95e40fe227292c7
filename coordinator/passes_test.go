package coordinator_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/optimizer"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/secagg"
)

// weighed lets clients weigh their updates, in so many passes.
func weighed(passes int) func(*plan.Literal) {
	return func(l *plan.Literal) {
		l.Aggregation.Rule, l.Aggregation.Parameters = "rfa", map[string]string{"passes": fmt.Sprint(passes)}
		l.Encoding.Bits, l.Cohort.Minimum = 24, l.Cohort.Size
	}
}

// far is what client i adds to its weight: the last is beyond the clip norm of 10.
func far(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 1 + float64(i)/2
	}
	out[n-1] = 25
	return out
}

// adding makes the clients add that, in every round.
func adding(w *world, sizes []float64) {
	for i, d := range w.devices {
		d.size = func(secagg.RoundID) float32 { return float32(sizes[i]) }
	}
}

// weiszfeld is one pass, slowly: client i has the update sizes[i] at coordinate i, clipped to
// the clip norm.
func weiszfeld(sizes, v []float64, nu, clip float64) []float64 {
	out, total := make([]float64, len(v)), 0.0
	for i, size := range sizes {
		size = math.Min(size, clip)
		squares := 0.0
		for j := range v {
			x := 0.0
			if j == i {
				x = size
			}
			squares += (x - v[j]) * (x - v[j])
		}
		beta := 1 / math.Max(nu*clip, math.Sqrt(squares))
		out[i] += beta * size
		total += beta
	}
	for j := range out {
		out[j] /= total
	}
	return out
}

func TestWeightedSumsAreWeiszfeldStepsAndTheLastMovesTheModel(t *testing.T) {
	for _, scheme := range []string{"plain", "pairwise"} {
		const n, passes = 5, 3
		w := inMemory(scheme, n, 2*passes, weighed(passes))(t)
		sizes := far(n)
		adding(w, sizes)
		w.start()
		model, v := make([]float64, n), make([]float64, n)
		for round := 1; round <= 2*passes; round++ {
			require.Contains(t, w.engine.State().Meaning, fmt.Sprintf("pass %d of 3: ", (round-1)%passes+1))
			w.untilOr("the next round", func() bool { return w.engine.State().Rounds == round })
			v = weiszfeld(sizes, v, 0.1, 10)
			if round%passes == 0 {
				for i := range model {
					model[i] += v[i]
				}
			}
			for i, x := range w.values() {
				require.InDelta(t, model[i], x, 2e-3, "%s, round %d", scheme, round)
			}
		}
		require.Equal(t, coordinator.Finished, w.run().Status)
		for i, h := range w.history() {
			require.Equal(t, i%passes+1, h.Pass)
			require.Equal(t, "rfa", h.Figures.Rule)
		}
		require.Less(t, model[n-1], 3.0, "the mean would have moved it by 4")
		requireClean(w)
	}
}

// With many passes the result is the geometric median of the clipped updates.
func TestManyPassesLeadToTheGeometricMedian(t *testing.T) {
	const n = 5
	w := inMemory("plain", n, 16, weighed(16))(t)
	sizes := far(n)
	adding(w, sizes)
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	rows := make([][]float64, n)
	for i := range rows {
		rows[i] = make([]float64, n)
		rows[i][i] = math.Min(sizes[i], 10)
	}
	rule, err := robust.Spec{Rule: "geometric-median", F: 1}.Check()
	require.NoError(t, err)
	in, want := robust.Input{}, make([]float64, n)
	in.Vectors, err = robust.Float64(rows)
	require.NoError(t, err)
	_, err = rule.Combine(want, in)
	require.NoError(t, err)
	for i, x := range w.values() {
		require.InDelta(t, want[i], x, 0.02)
	}
}

func TestRunInPassesSurvivesDeathAtEveryWrite(t *testing.T) {
	var want secagg.Digest
	failAtEveryWrite(t, true, checkpointing(func(t *testing.T) *world {
		w := inMemory("plain", 3, 3, weighed(3), func(l *plan.Literal) { l.Optimizer.Name = "fedavgm" })(t)
		adding(w, far(3))
		return w
	}), func(w *world) {
		if want == (secagg.Digest{}) {
			want = w.engine.State().Model
		}
		require.Equal(w.t, want, w.engine.State().Model)
		for i, h := range w.history() {
			require.True(w.t, h.Released, h.Reason)
			require.Equal(w.t, i+1, h.Pass)
		}
		requireClean(w)
	})
}

// An attempt that failed repeats its pass, from the same centre.
func TestFailedAttemptRepeatsItsPass(t *testing.T) {
	make := func(gone func(*device, secagg.RoundID) bool) *world {
		w := inMemory("plain", 3, 3, weighed(3))(t)
		adding(w, far(3))
		w.devices[0].gone = gone
		w.start()
		require.Equal(t, coordinator.Finished, w.run().Status)
		return w
	}
	whole := make(nil)
	broken := make(func(_ *device, id secagg.RoundID) bool { return id.Round == 2 && id.Attempt == 1 })
	require.Equal(t, whole.engine.State().Model, broken.engine.State().Model)
	var passes []int
	for _, h := range broken.history() {
		passes = append(passes, h.Pass)
	}
	require.Equal(t, []int{1, 2, 2, 3}, passes)
}

// Moments move once a step, and a plan's stop rules count steps: between passes the clients
// measure the same model.
func TestNothingButTheCentreMovesBetweenPasses(t *testing.T) {
	const n, passes = 3, 2
	w := inMemory("plain", n, 4*passes, weighed(passes), evaluating, func(l *plan.Literal) {
		l.Optimizer = plan.Optimizer{Name: "fedavgm", Momentum: 0.5}
		l.Stop.Patience = 2
	})(t)
	sizes := far(n)
	adding(w, sizes)
	for _, d := range w.devices {
		d.evaled = func(secagg.RoundID) *client.Evaluation { return &client.Evaluation{Examples: 1, Loss: 1} }
	}
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Equal(t, "no lower federated loss in 2 rounds", w.engine.State().Reason)
	require.Equal(t, 3*passes, w.engine.State().Rounds, "the first step is the lowest loss, and two follow")
	opt, want, v := optimizer.New(w.plan.Optimizer(), n), make([]float32, n), make([]float64, n)
	for range 3 {
		for range passes {
			v = weiszfeld(sizes, v, 0.1, 10)
		}
		opt.Apply(want, v)
	}
	for i, x := range w.values() {
		require.InDelta(t, want[i], x, 5e-3)
	}
}

func TestHoldoutMeasuresStepsAndNotPasses(t *testing.T) {
	asked := 0
	w := screened(4, plan.Screening{RecallDrop: 0.9, Rollback: 2}, func(values []float32) (coordinator.Measurement, error) {
		asked++
		return byWeight(values)
	}, weighed(2))(t)
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Equal(t, 3, asked, "the first model and two steps")
	require.Nil(t, w.history()[2].Holdout)
	require.NotNil(t, w.history()[3].Holdout)
}

// The best model is remembered through passes, in which nothing is measured.
func TestBestModelOutlastsPasses(t *testing.T) {
	w := screened(6, plan.Screening{RecallDrop: 0.2, Rollback: 1}, byWeight, weighed(2))(t)
	centres := map[secagg.RoundID]secagg.Digest{}
	for _, d := range w.devices {
		d.size = func(id secagg.RoundID) float32 {
			centres[id] = w.engine.State().Centre
			switch {
			case id.Round <= 2:
				return 0.9
			case id.Round <= 4: // a little worse, and accepted
				return -0.3
			case id.Round <= 6 && id.Attempt == 1:
				return -9
			}
			return 0.3
		}
	}
	w.start()
	w.until("the first step", func() bool { return w.engine.State().Rounds == 2 })
	best := w.engine.State().Model
	require.Equal(t, coordinator.Finished, w.run().Status)
	h := w.history()
	require.Len(t, h, 8)
	require.False(t, h[5].Released)
	require.True(t, h[5].RolledBack)
	require.Equal(t, best.String(), h[5].Model)
	// The step is begun anew from the best model, with all its passes and from a centre of zero.
	require.Equal(t, []int{2, 1, 2}, []int{h[5].Pass, h[6].Pass, h[7].Pass})
	require.Equal(t, best.String(), h[6].Model)
	require.NotEqual(t, best.String(), h[7].Model)
	require.NotZero(t, centres[secagg.RoundID{Job: "job", Round: 6, Attempt: 1}])
	require.Zero(t, centres[secagg.RoundID{Job: "job", Round: 6, Attempt: 2}])
	require.Equal(t, 6, w.engine.State().Rounds)
	requireClean(w)
}

// A changed plan begins a step anew: its first pass is weighed by zero, and not by what an
// earlier rule or another clip norm made, which devices may refuse as too long.
func TestChangedPlanBeginsAStepAnew(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*plan.Literal)
		passes []int
	}{
		"from the mean":        {func(l *plan.Literal) { l.Training.WeightCap = 8 }, []int{0, 1, 2, 3, 1, 2, 3}},
		"from other passes":    {weighed(2), []int{1, 1, 2, 3, 1, 2, 3}},
		"from the same passes": {weighed(3), []int{1, 1, 2, 3, 1, 2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			w := inMemory("plain", 3, 6, c.before)(t)
			adding(w, far(3))
			w.start()
			w.until("round 2", func() bool { return w.engine.State().Rounds == 1 })
			w.changePlan(func(l *plan.Literal) {
				weighed(3)(l)
				l.Training.WeightCap, l.Encoding.ClipNorm = 0, 1
			})
			w.change = resuming
			w.start()
			require.Zero(t, w.engine.State().Rounds)
			require.Zero(t, w.engine.State().Centre)
			require.Equal(t, coordinator.Finished, w.run().Status)
			var passes []int
			for _, h := range w.history() {
				if h.Released {
					passes = append(passes, h.Pass)
				}
			}
			require.Equal(t, c.passes, passes)
			requireClean(w)
		})
	}
}

// Aggregates turn from step to step. Between the passes of one they are of the same updates.
func TestStepsThatTurnTwiceRaiseAnAlert(t *testing.T) {
	w := inMemory("plain", 3, 8, weighed(2))(t)
	for _, d := range w.devices {
		d.size = func(id secagg.RoundID) float32 { // turns in rounds 3 and 5
			return []float32{1, -1, 1, 1}[(id.Round-1)/2]
		}
	}
	w.start()
	w.until("pass 2 of step 2", func() bool { return w.engine.State().Rounds == 3 })
	w.start() // the count survives a restart
	require.Equal(t, coordinator.Finished, w.run().Status)
	for i, h := range w.history() {
		if i == 4 {
			require.Equal(t, []string{coordinator.AlertCosine}, names(h.Alerts))
		} else {
			require.Empty(t, h.Alerts, "round %d", i+1)
		}
	}
}
