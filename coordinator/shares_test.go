package coordinator_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
)

// wide is the number of weights of a model in which the size of noise can be measured.
const wide = 64 * 64

// coined draws about half of 40 clients in each attempt, each with a share of the noise.
func coined(mode string, rounds int, change ...func(*plan.Literal)) func(t *testing.T) *world {
	return drawn(plan.SelectPoisson, 40, 20, 4, rounds, append([]func(*plan.Literal){func(l *plan.Literal) {
		l.Model.Tensors[0].Shape = []int{wide}
		l.Privacy.Mode = mode
	}}, change...)...)
}

// noises are what each released model adds to the one before, in units of the sum, at the
// weights that no client moves.
func (w *world) noises() [][]float64 {
	var out [][]float64
	before := make([]float32, wide)
	for i, m := range w.models {
		if !w.reports[i].Released {
			continue
		}
		after := m.Values()
		noise := make([]float64, 0, wide)
		for j := len(w.devices); j < wide; j++ {
			noise = append(noise, (float64(after[j])-float64(before[j]))*float64(w.plan.CohortSize()))
		}
		out, before = append(out, noise), after
	}
	return out
}

// share is the variance of one client's share, in units of the update.
func (w *world) share() float64 {
	g := w.plan.Guarantee()
	width := g.Mechanism().Shares().Width() / g.Mechanism().Parameters().Scale
	return width * width
}

// counted is the attack: it counts the shares in a model from the size of its noise alone,
// to within some hundredths.
func counted(noise []float64, share float64) float64 {
	squares := 0.0
	for _, x := range noise {
		squares += x * x
	}
	return squares / float64(len(noise)) / share
}

// Each client that is drawn brings a share of noise with it. Whoever sees released models
// and measures their noise must not learn how many there were: that tells something about
// each coin, and nothing would be left of what coins are to hide.
func TestSizeOfTheNoiseDoesNotTellHowManyTookPart(t *testing.T) {
	const rounds, sure = 4, 5.0
	deviation := math.Sqrt(2.0 / wide) // of the attack, relative
	for _, mode := range []string{"distributed", "local"} {
		t.Run(mode, func(t *testing.T) {
			w := coined(mode, rounds)(t)
			w.start()
			require.Equal(t, coordinator.Finished, w.run().Status)
			all := w.plan.Guarantee().Shares()
			require.Equal(t, w.plan.Invited(), all)
			require.Len(t, w.reports, rounds)
			least, most := all, 0
			for i, noise := range w.noises() {
				took := w.reports[i].Survivors
				least, most = min(least, took), max(most, took)
				require.InEpsilon(t, all, counted(noise, w.share()), sure*deviation, "%d took part in round %d", took, i+1)
			}
			require.Less(t, float64(least)*(1+sure*deviation), float64(most)*(1-sure*deviation), "with their own noise alone they would be told apart")
			require.Less(t, float64(most)*(1+sure*deviation), float64(all)*(1-sure*deviation))
		})
	}
}

// Those that were drawn and drop out leave their share to the coordinator.
func TestSharesOfThoseThatDropOutAreMadeUpFor(t *testing.T) {
	w := coined("distributed", 1)(t)
	for _, d := range w.devices[:20] {
		d.gone = func(*device, secagg.RoundID) bool { return true }
	}
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Less(t, w.reports[0].Survivors, w.reports[0].Invited-3)
	require.InEpsilon(t, w.plan.Guarantee().Shares(), counted(w.noises()[0], w.share()), 5*math.Sqrt(2.0/wide))
}

// Where the coordinator draws all of the noise itself, and where no coins are tossed,
// nothing is filled up.
func TestNothingIsFilledUpWhereNothingIsClaimedFromIt(t *testing.T) {
	w := coined("central", 1)(t)
	require.Zero(t, w.plan.Guarantee().Shares())
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.InEpsilon(t, 1, counted(w.noises()[0], w.share()), 5*math.Sqrt(2.0/wide))

	w = drawn(plan.SelectUniform, 12, 8, 4, 1, func(l *plan.Literal) {
		l.Model.Tensors[0].Shape, l.Privacy.Mode = []int{wide}, "distributed"
	})(t)
	require.Zero(t, w.plan.Guarantee().Shares())
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Equal(t, 8, w.reports[0].Survivors)
	require.InEpsilon(t, 8, counted(w.noises()[0], w.share()), 5*math.Sqrt(2.0/wide))
}

// What draws and noise followed from is gone with the last release: whoever reads the store
// of a run that has ended learns from no seed who was drawn, and takes no noise off.
func TestNothingOfADrawIsKeptWhenTheRunHasEnded(t *testing.T) {
	for _, mode := range []string{"distributed", "local", "central"} {
		t.Run(mode, func(t *testing.T) {
			w := coined(mode, 2)(t)
			w.start()
			w.untilOr("round 2", func() bool { return w.engine.State().Rounds == 1 })
			seed := w.engine.Seed()
			require.NotZero(t, seed)
			require.Equal(t, coordinator.Finished, w.run().Status)
			require.NotEqual(t, seed, w.engine.Seed())
		})
	}
}

// The same attempt that is opened again after a crash releases the same sum, so that two of
// them do not let the noise be averaged away. Another attempt at the same round has other
// noise, so that the difference of the two is not free of it.
func TestSharesThatAreFilledUpBelongToTheirAttempt(t *testing.T) {
	clean := coined("distributed", 2)(t)
	clean.start()
	require.Equal(t, coordinator.Finished, clean.run().Status)

	w := coined("distributed", 2)(t)
	w.start()
	diesOpening(w)
	requireSameModels(clean, w)

	again := coined("distributed", 2)(t) // of the same terms, so that its rounds are rotated alike
	again.start()
	failOpening(again)
	require.Equal(t, coordinator.Finished, again.run().Status)
	require.Len(t, again.reports, 3)
	require.Equal(t, uint32(2), again.reports[1].ID.Attempt)
	first, second := clean.noises()[0], again.noises()[0]
	product := 0.0
	for i := range first {
		product += first[i] * second[i]
	}
	correlation := product / float64(len(first)) / (float64(clean.plan.Guarantee().Shares()) * clean.share())
	require.InDelta(t, 0, correlation, 5/math.Sqrt(wide), "about half of the noise is the coordinator's")
}
