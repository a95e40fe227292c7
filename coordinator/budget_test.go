package coordinator_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/fault"
)

// affords bounds the budget to what so many rounds cost.
func affords(t *testing.T, rounds int, l *plan.Literal) {
	t.Helper()
	p, err := l.Check(serverSchemes...)
	require.NoError(t, err)
	enough, _ := p.Guarantee().Epsilon(dp.ObserverReleases, rounds)
	more, _ := p.Guarantee().Epsilon(dp.ObserverReleases, rounds+1)
	l.Privacy.Epsilon = enough + (more-enough)*0.9 // the ledger compares at one order, which may not be the best
}

func TestRunEndsBeforeItsBudgetIsOverspent(t *testing.T) {
	w := noisedWorld("pairwise", "distributed", 5, false, func(l *plan.Literal) { affords(t, 3, l) })(t)
	w.start()
	seed := w.engine.Seed()
	s := w.run()
	require.Equal(t, coordinator.BudgetExhausted, s.Status)
	require.NotEqual(t, seed, w.engine.Seed(), "no release needs it any more")
	require.Contains(t, s.Reason, ledger.ErrBudget.Error())
	require.Equal(t, 3, s.Rounds)
	require.Equal(t, []string{"1/1 committed", "2/1 committed", "3/1 committed"}, w.charges())
	require.Len(t, w.began, 3, "nobody was asked to come for nothing")
	for i, r := range w.reports {
		w.requireSpent(r, i+1)
		require.LessOrEqual(t, *r.Spent.Released, w.plan.Literal().Privacy.Epsilon)
		h := w.history()[i]
		require.Equal(t, r.Spent, h.Spent)
	}
	head, _ := w.book().Head()
	for range 2 {
		w.start()
		w.quiet()
		require.Equal(t, s.Status, w.engine.State().Status)
		for _, d := range w.devices {
			offer, err := w.engine.CheckIn(d.name(), coordinator.Conditions{})
			require.NoError(t, err)
			require.Nil(t, offer.Task)
		}
		for _, command := range []func() error{w.engine.Pause, w.engine.Resume, w.engine.Abort} {
			require.ErrorIs(t, command(), coordinator.ErrStatus)
		}
	}
	w.change = resuming
	w.start()
	require.Equal(t, s.Status, w.engine.State().Status, "nor does it go on by resuming it")
	after, _ := w.book().Head()
	require.Equal(t, head+3, after, "three new epochs and no charge")
}

// twins are two jobs over one population, of which each alone could pay for all its
// rounds.
func twins(t *testing.T, afford int) (a, b *world) {
	make := func(job string) *world {
		return noisedWorld("plain", "central", 3, false, func(l *plan.Literal) {
			l.Job, l.Privacy.Population = job, "fleet"
			affords(t, afford, l)
		})(t)
	}
	a, b = make("one"), make("two")
	a.open = a.ledgers()
	b.budgets, b.purse, b.open = a.budgets, a.purse, a.open
	return a, b
}

func TestJobsOfOnePopulationShareItsBudget(t *testing.T) {
	a, b := twins(t, 4)
	a.start()
	b.start()
	require.Equal(t, coordinator.Finished, a.run().Status)
	require.Equal(t, coordinator.BudgetExhausted, b.run().Status)
	require.Len(t, a.reports, 3)
	require.Len(t, b.reports, 1)
	require.Len(t, a.charges(), 4)
	b.requireSpent(b.reports[0], 1)
}

// The other job takes what is left while this one admits clients.
func TestBudgetThatIsTakenMeanwhileEndsTheRun(t *testing.T) {
	a, b := twins(t, 3)
	b.start()
	b.until("joins", func() bool { return b.engine.State().Admitted == 4 })
	seed := b.engine.Seed()
	a.start()
	require.Equal(t, coordinator.Finished, a.run().Status)
	s := b.run()
	require.Equal(t, coordinator.BudgetExhausted, s.Status)
	require.Nil(t, s.Failed)
	require.NotEqual(t, seed, b.engine.Seed(), "no release needs it any more")
	require.Len(t, b.reports, 1)
	require.False(t, b.reports[0].Released)
	require.Len(t, b.charges(), 3)
	for _, d := range b.devices {
		require.Nil(t, d.p, "it was told that nothing comes of it")
	}
	b.start()
	require.Equal(t, s.Status, b.engine.State().Status)
}

func TestPopulationHasOneBudget(t *testing.T) {
	w := noisedWorld("pairwise", "distributed", 2, false, func(l *plan.Literal) { l.Privacy.EpsilonCoordinator = 600 })(t)
	ledgers := w.ledgers()
	_, err := ledgers.Of(w.plan)
	require.NoError(t, err)
	for name, change := range map[string]func(*plan.Literal){
		"epsilon":            func(l *plan.Literal) { l.Privacy.Epsilon++ },
		"epsilon of rosters": func(l *plan.Literal) { l.Privacy.EpsilonCoordinator++ },
		"no such budget":     func(l *plan.Literal) { l.Privacy.EpsilonCoordinator = 0 },
		"delta":              func(l *plan.Literal) { l.Privacy.Delta /= 2 },
		"relation":           func(l *plan.Literal) { l.Privacy.Relation = "replace-one" },
	} {
		l := w.plan.Literal()
		l.Job, l.Privacy.Population = "other", "job"
		change(&l)
		p, err := l.Check(serverSchemes...)
		require.NoError(t, err, name)
		_, err = ledgers.Of(p)
		require.ErrorIs(t, err, coordinator.ErrBudget, name)
		_, err = w.ledgers().Of(p)
		require.ErrorIs(t, err, coordinator.ErrBudget, "%s, after a restart", name)
		require.Equal(t, fault.Refused, fault.ClassOf(err))
	}
	l := w.plan.Literal()
	l.Job, l.Privacy.Population, l.Rounds.Count, l.Privacy.NoiseMultiplier = "other", "job", 9, 3
	p, err := l.Check(serverSchemes...)
	require.NoError(t, err)
	_, err = w.ledgers().Of(p)
	require.NoError(t, err, "how it is spent is each job's own affair")
}

func TestLedgerBelongsToNoiseAndNothingElse(t *testing.T) {
	w := noisedWorld("plain", "central", 1, false)(t)
	w.change = func(c *coordinator.Config) { c.Ledger = nil }
	require.ErrorIs(t, w.tryStart(), coordinator.ErrConfig)
	requireUntouched(w)

	w = inMemory("plain", 3, 1)(t)
	other := noisedWorld("plain", "central", 1, false)(t)
	w.change = func(c *coordinator.Config) {
		var err error
		c.Ledger, err = other.ledgers().Of(other.plan)
		require.NoError(t, err)
	}
	require.ErrorIs(t, w.tryStart(), coordinator.ErrConfig)
	requireUntouched(w)
	none, err := other.ledgers().Of(w.plan)
	require.NoError(t, err)
	require.Nil(t, none)
}

// What was released without noise is in the model for good, so nothing could be stated
// of what comes after; and what was promised would end without a word.
func TestRunDoesNotGoOnWithNoiseAddedOrTakenAway(t *testing.T) {
	exact := func(l *plan.Literal) {
		l.Privacy = plan.Privacy{Mode: "none", TrustCoordinator: true}
		l.Encoding = plan.Encoding{ClipNorm: 1, Bits: 18}
	}
	for name, c := range map[string]struct{ first, then func(*plan.Literal) }{
		"added":      {exact, noised("central")},
		"taken away": {func(*plan.Literal) {}, exact},
	} {
		t.Run(name, func(t *testing.T) {
			w := noisedWorld("plain", "central", 2, false)(t)
			w.changePlan(c.first)
			w.start()
			w.until("a round", func() bool { return w.engine.State().Rounds == 1 })
			model, before := w.engine.State().Model, w.plan
			w.changePlan(c.then)
			w.change = resuming
			err := w.tryStart()
			require.ErrorIs(t, err, coordinator.ErrConfig)
			require.ErrorContains(t, err, "noise")
			w.plan = before
			w.start()
			require.Equal(t, model, w.engine.State().Model)
		})
	}
}

// Attempts under a plan with less noise cost more than those under the present one.
func TestWhatAnEarlierPlanCostIsNotForgotten(t *testing.T) {
	w := noisedWorld("pairwise", "distributed", 1, false, func(l *plan.Literal) { l.Privacy.NoiseMultiplier = 1 })(t)
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	first := *w.reports[0].Spent.Released
	w.changePlan(func(l *plan.Literal) { l.Rounds.Count, l.Privacy.NoiseMultiplier = 2, 8 })
	w.change = resuming
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	cheap, _ := w.plan.Guarantee().Epsilon(dp.ObserverReleases, 2)
	require.Less(t, cheap, first)
	for o, got := range map[dp.Observer]*float64{dp.ObserverReleases: w.reports[1].Spent.Released, dp.ObserverCoordinator: w.reports[1].Spent.Coordinator} {
		want, ok := w.book().SpentBy("job", o)
		require.True(t, ok)
		require.Equal(t, want, *got)
		require.Greater(t, *got, first)
		require.Less(t, *got, 2*first)
	}
}

func TestHistoryOfARunWithoutNoiseSaysNothingOfIt(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	w.start()
	w.run()
	line, err := json.Marshal(w.history()[0])
	require.NoError(t, err)
	require.NotContains(t, string(line), "epsilon")
	require.NotContains(t, string(line), "clip")
	var old coordinator.Ended
	require.NoError(t, json.Unmarshal([]byte(`{"round":1,"attempt":1,"released":true,"update_norm":2}`), &old), "as it was before there was noise")
	require.Equal(t, coordinator.Ended{Round: 1, Attempt: 1, Released: true, UpdateNorm: 2}, old)
}
