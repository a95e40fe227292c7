package coordinator_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
)

// correlated is a world whose noise is that of a matrix mechanism.
func correlated(t *testing.T, mechanism string, rounds int) *world {
	return drawn(plan.SelectUniform, 16, 4, 4, rounds, func(l *plan.Literal) {
		l.Privacy.Mechanism, l.Cohort.Participations, l.Cohort.Separation = mechanism, 2, 3
		switch mechanism {
		case "bandmf":
			l.Privacy.Bands = 3
		case "blt":
			l.Privacy.Buffers = 2
		}
	})(t)
}

// Noise of a later round is made of that of earlier ones: with other draws after a crash,
// neither would cancel what it must, and one step would be added to two sums.
func TestCorrelatedNoiseIsTheSameAfterACrash(t *testing.T) {
	const rounds = 4
	for _, mechanism := range []string{"tree", "bandmf", "blt"} {
		t.Run(mechanism, func(t *testing.T) {
			clean, w := correlated(t, mechanism, rounds), correlated(t, mechanism, rounds)
			clean.start()
			require.Equal(t, coordinator.Finished, clean.run().Status)
			w.start()
			for round := range rounds {
				w.until("its turn", func() bool { return w.engine.State().Rounds == round })
				diesOpening(w)
			}
			requireSameModels(clean, w)
			for i, r := range clean.reports {
				require.Positive(t, *r.Spent.Released)
				require.Equal(t, *clean.reports[0].Spent.Released, *r.Spent.Released, "round %d: the whole run is charged at once", i+1)
			}
			requireCharged(w)

			// There is noise in the weight that nobody moves, and not the same in each round.
			last := len(clean.values()) - 1
			before, seen := float32(0), map[float32]bool{}
			for _, m := range clean.models {
				v := m.Values()[last]
				seen[v-before] = true
				before = v
			}
			require.Greater(t, len(seen), rounds/2)
		})
	}
}

// An attempt that was opened and released nothing has no step of its own: its noise is
// that of the attempt that follows at the same round, whose sum alone is ever released.
func TestCorrelatedNoiseBelongsToItsRound(t *testing.T) {
	clean, w := correlated(t, "tree", 3), correlated(t, "tree", 3)
	clean.start()
	require.Equal(t, coordinator.Finished, clean.run().Status)
	w.start()
	failOpening(w)
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Equal(t, []string{"1/1 reserved", "1/2 committed", "2/1 committed", "3/1 committed"}, w.charges())
	require.False(t, w.reports[0].Released)
	for i, m := range clean.models {
		moved := 0.0
		for j, v := range m.Values()[16:] { // weights that nobody moves
			moved = max(moved, math.Abs(float64(v)))
			require.InDelta(t, v, w.models[i+1].Values()[16+j], 1e-3, "but for the rounding of contributions")
		}
		require.Greater(t, moved, 0.1)
	}
}

// What a run under correlated noise promises was computed for all of its rounds together.
func TestRunDoesNotGoOnWithCorrelatedNoiseOfAnotherPlan(t *testing.T) {
	for name, first := range map[string]func(*plan.Literal){
		"correlated otherwise": func(l *plan.Literal) { l.Privacy.NoiseMultiplier *= 2 },
		"drawn afresh":         func(l *plan.Literal) { l.Privacy.Mechanism = "" },
	} {
		t.Run(name, func(t *testing.T) {
			w := correlated(t, "tree", 3)
			then := w.plan
			w.changePlan(first)
			w.start()
			w.until("a round", func() bool { return w.engine.State().Rounds == 1 })
			w.plan, w.change = then, resuming
			err := w.tryStart()
			require.ErrorIs(t, err, coordinator.ErrConfig)
			require.ErrorContains(t, err, "correlated between rounds")
		})
	}
}
