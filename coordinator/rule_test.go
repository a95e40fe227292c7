package coordinator_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
)

// ruled gives each client's own vector to a rule.
func ruled(rule string, f int, parameters map[string]string, pre ...string) func(*plan.Literal) {
	return func(l *plan.Literal) {
		l.Aggregation.View, l.Aggregation.Rule, l.Aggregation.F = "vectors", rule, f
		l.Aggregation.Parameters, l.Aggregation.Pre = parameters, pre
		l.Cohort.Minimum = l.Cohort.Size
	}
}

func TestRuleOfThePlanCombinesMeansOfBuckets(t *testing.T) {
	for rule, want := range map[string]float64{"mean": step / 9, "median": 0} { // each weight is in one bucket alone
		w := inMemory("plain", 9, 1, inBuckets(3, 3, 9), func(l *plan.Literal) {
			if l.Aggregation.Rule = rule; rule != "mean" {
				l.Aggregation.F = 1
			}
		})(t)
		w.start()
		require.Equal(t, coordinator.Finished, w.run().Status)
		for _, v := range w.values() {
			require.InDelta(t, want, v, tiny, rule)
		}
		f := w.history()[0].Figures
		require.Equal(t, []any{"bucket_means", rule, 3}, []any{f.View, f.Rule, f.Vectors})
		require.Len(t, f.Each, 3)
		for b, line := range f.Each {
			require.Equal(t, b, line.Bucket)
			require.Empty(t, line.Client, "a bucket names nobody")
			require.Equal(t, 3, line.Clients)
			require.InDelta(t, 1, *line.NormRatio, tiny)
		}
	}
}

// A client that weighs nothing says nothing, and may leave fewer vectors than the rule
// admits: then nothing is learned, and no other rule steps in.
func TestTooFewVectorsForTheRuleFailTheAttempt(t *testing.T) {
	w := inMemory("plain", 3, 1, ruled("median", 1, nil), func(l *plan.Literal) { l.Training.WeightCap, l.Rounds.Attempts = 1e9, 1 })(t)
	for _, d := range w.devices[1:] {
		d.examples = 1e9
	}
	w.start()
	require.Equal(t, coordinator.Stopped, w.run().Status)
	require.False(t, w.reports[0].Released)
	require.Contains(t, w.reports[0].Reason, "median of 2 vectors with f = 1")
	w.requireValues([]float64{0, 0, 0})

	w = inMemory("plain", 3, 1, ruled("mean", 0, nil), func(l *plan.Literal) { l.Training.WeightCap = 1e9 })(t)
	for _, d := range w.devices[1:] {
		d.examples = 1e9
	}
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	w.requireValues([]float64{0, step / 2, step / 2})
	last := w.reports[0].Figures.Each[2]
	require.Equal(t, coordinator.Figure{Bucket: last.Bucket, Client: "client-0", Clients: 1, Weightless: true}, last)
	known, err := w.engine.Reputations()
	require.NoError(t, err)
	require.Len(t, known, 2, "nothing is known of a client that said nothing")
}

// clipped is centred clipping with one iteration, slowly: v + mean(min(1, tau/|x-v|) (x-v)).
func clipped(xs [][]float64, v []float64, tau float64) []float64 {
	out := slices.Clone(v)
	for _, x := range xs {
		var squares float64
		for j := range x {
			squares += (x[j] - v[j]) * (x[j] - v[j])
		}
		for j := range x {
			out[j] += min(1, tau/math.Sqrt(squares)) * (x[j] - v[j]) / float64(len(xs))
		}
	}
	return out
}

// What centred clipping carries lasts from round to round and over restarts.
func TestRuleIsGivenWhatItMadeInTheLastRound(t *testing.T) {
	const n, tau = 3, 0.1
	w := inMemory("plain", n, 3, ruled("centered-clipping", 1, map[string]string{"tau": "0.1", "iterations": "1"}))(t)
	w.start()
	w.until("round 2", func() bool { return w.engine.State().Rounds == 1 })
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	xs := make([][]float64, n)
	for i := range xs {
		xs[i] = make([]float64, n)
		xs[i][i] = step
	}
	want, v := make([]float64, n), make([]float64, n)
	for range 3 {
		v = clipped(xs, v, tau)
		for i := range want {
			want[i] += v[i]
		}
	}
	w.requireValues(want)
	require.Greater(t, want[0], 3.5*tau/n, "otherwise nothing was carried")
	h := w.history()
	require.Nil(t, h[0].Figures.Cosine)
	require.InDelta(t, 1, *h[1].Figures.Cosine, tiny)
	requireClean(w)
}

func TestDamagedStepIsNotCarried(t *testing.T) {
	w := inMemory("plain", 3, 2, ruled("centered-clipping", 1, nil), func(l *plan.Literal) { l.Optimizer.LearningRate = 0.5 })(t)
	w.start()
	w.until("round 2", func() bool { return w.engine.State().Rounds == 1 })
	require.NotEqual(t, w.engine.Step(), w.engine.State().Model)
	w.damage(w.engine.Step())
	w.start()
	require.Equal(t, coordinator.Stopped, w.run().Status)
	require.Contains(t, w.history()[1].Reason, "last step")
}

// drawing picks one of three pairs of clients, by coins: all are as far from each other.
func drawing(rounds int) func(t *testing.T) *world {
	return inMemory("plain", 6, rounds, ruled("krum", 0, nil, "bucketing:2"))
}

func TestRunWithARuleSurvivesDeathAtEveryWrite(t *testing.T) {
	var want secagg.Digest
	failAtEveryWrite(t, true, checkpointing(drawing(2)), func(w *world) {
		if want == (secagg.Digest{}) {
			want = w.engine.State().Model
		}
		require.Equal(w.t, want, w.engine.State().Model)
		for _, h := range w.history() {
			require.True(w.t, h.Released, h.Reason)
			require.Len(w.t, h.Figures.Each, 6)
		}
		reputations, err := w.engine.Reputations()
		require.NoError(w.t, err)
		require.Len(w.t, reputations, 6)
		for _, r := range reputations {
			require.EqualValues(w.t, 2, r.Rounds, "no round counts twice")
		}
		requireClean(w)
	})
}

func TestVectorOutOfRangeNamesItsClientAndNeverReachesTheRule(t *testing.T) {
	w := inMemory("plain", 5, 1, ruled("median", 1, nil), func(l *plan.Literal) { l.Cohort.Minimum = 3 })(t)
	w.devices[3].policy.Schemes = []secagg.ClientScheme{outOfRange{when: func(secagg.RoundID) bool { return true }},
		overflowing{when: func(secagg.RoundID) bool { return true }}}
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	r := w.reports[0]
	require.True(t, r.Released, r.Reason)
	require.Equal(t, []secagg.PartyID{"client-3"}, r.Culprits)
	require.Equal(t, 4, r.Figures.Vectors)
	require.Len(t, r.Figures.Each, 5)
	last := r.Figures.Each[4]
	require.Equal(t, coordinator.Figure{Bucket: last.Bucket, Client: "client-3", Clients: 1, Spoiled: true}, last)
	for _, line := range r.Figures.Each[:4] {
		require.NotEqual(t, secagg.PartyID("client-3"), line.Client)
		require.True(t, line.Client.Valid())
	}
	known, err := w.engine.Reputations()
	require.NoError(t, err)
	require.Equal(t, coordinator.Reputation{Client: "client-3", Inclusion: 0, Rounds: 1}, known[0])
	require.Equal(t, 1., known[1].Inclusion)
}

// A lone client's vector is its update, whatever it weighs, and whoever else came.
func TestVectorIsNotDividedByTheCohort(t *testing.T) {
	for _, denominator := range []string{"weights", "fixed"} {
		w := inMemory("plain", 4, 1, ruled("mean", 0, nil), func(l *plan.Literal) { l.Aggregation.Denominator, l.Cohort.Minimum = denominator, 3 })(t)
		w.devices[2].gone = func(*device, secagg.RoundID) bool { return true }
		w.start()
		require.Equal(t, coordinator.Finished, w.run().Status)
		w.requireValues([]float64{step / 3, step / 3, 0, step / 3})
	}
}

func TestReputationFollowsWhatTheRuleLeavesOut(t *testing.T) {
	w := inMemory("plain", 5, 3, ruled("multi-krum", 1, nil))(t)
	w.devices[4].size = func(id secagg.RoundID) float32 { return map[bool]float32{true: 9, false: step}[id.Round < 3] }
	w.devices[0].size = func(id secagg.RoundID) float32 { return map[bool]float32{true: 9, false: step}[id.Round == 3] }
	w.start()
	w.until("round 3", func() bool { return w.engine.State().Rounds == 2 })
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	known, err := w.engine.Reputations()
	require.NoError(t, err)
	require.Len(t, known, 5)
	require.Equal(t, secagg.PartyID("client-4"), known[0].Client)
	require.InDelta(t, 0.2, known[0].Inclusion, 1e-12)
	require.Equal(t, secagg.PartyID("client-0"), known[1].Client)
	require.InDelta(t, 0.8, known[1].Inclusion, 1e-12)
	for _, r := range w.reports {
		require.Equal(t, 5, r.Survivors, "nobody is left out of a cohort for it")
		require.InDelta(t, 0.2, r.Figures.Excluded, 1e-12)
		require.Equal(t, 1, r.Figures.F)
		require.Nil(t, r.Clipped, "nobody tells")
		at := slices.IndexFunc(r.Figures.Each, func(v coordinator.Figure) bool { return v.Excluded })
		odd := r.Figures.Each[at]
		require.Equal(t, map[bool]secagg.PartyID{true: "client-4", false: "client-0"}[r.ID.Round < 3], odd.Client)
		require.Equal(t, 5, odd.Rank)
		length := r.Figures.Norms[2]
		require.InDeltaSlice(t, []float64{length, length, length, length, 18 * length}, r.Figures.Norms, 0.01)
		for i, v := range r.Figures.Each {
			require.True(t, i == at || *v.Score < *odd.Score/10, "client %s", v.Client)
		}
		require.Equal(t, []string{coordinator.AlertNormRatio}, names(r.Alerts), "f of n is expected")
		require.InDelta(t, 18, r.Alerts[0].Value, 0.01)
	}
	require.Equal(t, secagg.PartyID("client-4"), w.reports[0].Alerts[0].Client)
}

func TestAggregateThatTurnsTwiceRaisesAnAlert(t *testing.T) {
	w := inMemory("plain", 3, 6)(t)
	for _, d := range w.devices {
		d.size = func(id secagg.RoundID) float32 { // turns in rounds 2, 4 and 5
			return []float32{0, 1, -1, -1, 1, -1, -1}[id.Round]
		}
	}
	w.start()
	w.until("round 5", func() bool { return w.engine.State().Rounds == 4 })
	w.start() // the count survives a restart
	require.Equal(t, coordinator.Finished, w.run().Status)
	for i, h := range w.history() {
		if i == 4 {
			require.Equal(t, []string{coordinator.AlertCosine}, names(h.Alerts))
			require.InDelta(t, -1, h.Alerts[0].Value, tiny)
		} else {
			require.Empty(t, h.Alerts, "round %d", i+1)
		}
	}
	require.Empty(t, w.engine.State().Alerts, "they are those of the latest attempt")
}
