package coordinator_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/secagg"
)

// drawn is a world of so many clients, of whom some are drawn in each round.
func drawn(selection plan.Selection, clients, size, minimum, rounds int, change ...func(*plan.Literal)) func(t *testing.T) *world {
	return func(t *testing.T) *world {
		l := literal("plain", clients, rounds)
		noised("central")(&l)
		l.Cohort.Size, l.Cohort.Minimum, l.Cohort.Selection = size, minimum, string(selection)
		l.Rounds.Attempts = 8
		if selection == plan.SelectPoisson {
			l.Cohort.Population, l.Privacy.Delta = clients, 0.1
		}
		for _, c := range change {
			c(&l)
		}
		w := newWorld(t, l)
		for i := len(w.devices); i < clients; i++ {
			w.devices = append(w.devices, newDevice(w, i))
		}
		w.devices = w.devices[:clients]
		return w
	}
}

// took lists in which charged attempts each client's update was, by the reports.
func (w *world) took() map[secagg.PartyID][]uint32 {
	out := map[secagg.PartyID][]uint32{}
	for _, r := range w.reports {
		for _, id := range slices.Concat(r.Members...) {
			out[id] = append(out[id], r.ID.Round)
		}
	}
	return out
}

func TestNobodyTakesPartMoreOftenOrSoonerThanThePlanAllows(t *testing.T) {
	for _, selection := range []plan.Selection{plan.SelectUniform, plan.SelectCheckIn} { // coins know no caps
		for _, restarts := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s restarts=%v", selection, restarts), func(t *testing.T) {
				const most, apart = 2, 3
				w := drawn(selection, 12, 4, 1, 8, func(l *plan.Literal) {
					l.Cohort.Participations, l.Cohort.Separation = most, apart
				})(t)
				w.start()
				for restarts && w.engine.State().Status == coordinator.Running {
					before := len(w.reports)
					w.untilOr("a round more", func() bool { return len(w.reports) > before+1 })
					w.start()
					w.start()
				}
				w.run()
				took := w.took()
				require.NotEmpty(t, took)
				often := 0
				for id, rounds := range took {
					require.LessOrEqual(t, len(rounds), most, "%s", id)
					often = max(often, len(rounds))
					for i := 1; i < len(rounds); i++ {
						require.GreaterOrEqual(t, rounds[i]-rounds[i-1], uint32(apart), "%s", id)
					}
				}
				require.Equal(t, most, often, "the cap is reached")
				for _, b := range w.began {
					for _, id := range b.invited {
						before := slices.DeleteFunc(slices.Clone(took[id]), func(r uint32) bool { return r >= b.id.Round })
						require.Less(t, len(before), most, "%s is invited to %s", id, b.id)
						require.False(t, len(before) > 0 && b.id.Round-slices.Max(before) < apart, "%s is invited to %s", id, b.id)
					}
				}
			})
		}
	}
}

// untilOr goes on until done, or the run is over.
func (w *world) untilOr(what string, done func() bool) {
	w.t.Helper()
	for range 200 {
		if done() || w.engine.State().Status != coordinator.Running {
			return
		}
		if !w.pass() {
			w.tick()
		}
	}
	require.FailNow(w.t, "never came: "+what)
}

func TestClientBeyondItsCapIsNotAdmitted(t *testing.T) {
	w := drawn(plan.SelectCheckIn, 3, 3, 2, 3, func(l *plan.Literal) { l.Cohort.Participations, l.Cohort.Separation = 1, 1 })(t)
	w.devices[2].gone = func(_ *device, id secagg.RoundID) bool { return id.Round == 1 }
	w.start()
	w.untilOr("round 2", func() bool { return w.engine.State().Rounds == 1 })
	for range 2 {
		for i, d := range w.devices {
			offer, err := w.engine.CheckIn(d.name(), coordinator.Conditions{})
			require.NoError(t, err)
			require.Equal(t, i == 2, offer.Task != nil, "%s", d.name())
			err = w.engine.Message(d.name(), w.engine.State().ID, 0, d.policy.Identity.Encode())
			if i == 2 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, round.ErrNotMember)
			}
		}
		w.start()
	}
}

// Those whose updates are in a charged attempt took part in it, whatever becomes of it;
// in one that costs nothing, nobody did.
func TestOnlyChargedAttemptsCountAsParticipation(t *testing.T) {
	capped := func(l *plan.Literal) { l.Cohort.Participations = 1 }
	w := noisedWorld("plain", "central", 1, false, capped)(t)
	w.start()
	w.until("an upload", w.uploading(1))
	require.NoError(t, w.engine.Pause())
	w.quiet()
	w.start()
	require.NoError(t, w.engine.Resume())
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status, "the first attempt was void")

	w = noisedWorld("plain", "central", 1, false, capped)(t)
	w.start()
	failOpening(w)
	w.start()
	w.start()
	require.Equal(t, coordinator.Stopped, w.run().Status)
	require.Equal(t, []string{"1/1 reserved"}, w.charges())
	for _, b := range w.began[1:] {
		require.Empty(t, b.invited)
	}
}

// The crash comes between the note of who took part and the head that says it is over:
// they are noted again, and count once.
func TestParticipationCountsOnceWhicheverWriteFails(t *testing.T) {
	failAtEveryWrite(t, true, drawn(plan.SelectUniform, 3, 3, 3, 3, func(l *plan.Literal) { l.Cohort.Participations = 3 }), func(w *world) {
		requireCharged(w)
		require.Len(w.t, w.history(), 3)
		w.start()
		for _, d := range w.devices {
			require.Len(w.t, w.took()[d.name()], len(w.reports))
		}
	})
}

// An attempt that a change of plan cuts short stays charged, so those admitted to it
// count as having been in it.
func TestAttemptCutShortByAnotherPlanCountsForAllThatWereAdmitted(t *testing.T) {
	w := noisedWorld("plain", "central", 2, false, func(l *plan.Literal) { l.Cohort.Participations = 1 })(t)
	w.start()
	w.until("the upload of one", w.uploading(1))
	w.changePlan(func(l *plan.Literal) { l.Training.LearningRate = 0.2 })
	w.change = resuming
	w.start()
	require.Equal(t, []string{"1/1 reserved"}, w.charges())
	for _, d := range w.devices {
		offer, err := w.engine.CheckIn(d.name(), coordinator.Conditions{})
		require.NoError(t, err)
		require.Nil(t, offer.Task, "%s", d.name())
	}
}

func TestCoinsDecideWhoComesAndWhenAllHaveComeAdmissionCloses(t *testing.T) {
	w := drawn(plan.SelectPoisson, 40, 10, 1, 6)(t)
	began := w.now
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Equal(t, began, w.now, "no deadline was waited for")
	sizes := map[int]bool{}
	for i, r := range w.reports {
		sizes[r.Survivors] = true
		require.ElementsMatch(t, w.began[i].invited, slices.Concat(r.Members...))
		require.Equal(t, len(w.began[i].invited), r.Invited)
	}
	require.Greater(t, len(sizes), 2, "cohorts of a fixed size")
	rate := w.plan.Guarantee().Noise().Rate
	require.Equal(t, 0.25, rate)
	mean := 0.0
	for _, r := range w.reports {
		mean += float64(r.Survivors) / 6
	}
	require.InDelta(t, 10, mean, 5*2.74/2.45)
	// The denominator is the expected cohort, whoever came.
	first := w.models[0].Values()
	for i := range w.devices {
		in := slices.Contains(slices.Concat(w.reports[0].Members...), w.devices[i].name())
		want := 0.0
		if in {
			want = step / 10
		}
		require.InDelta(t, want, first[i], 6*multiplier/10)
	}
}

// Whoever is enrolled or revoked in the middle of an attempt, those that were drawn for
// it stay drawn: another draw would be another chance, and its journal another story.
func TestDrawLastsThoughOthersAreEnrolled(t *testing.T) {
	for _, selection := range []plan.Selection{plan.SelectPoisson, plan.SelectUniform} {
		t.Run(string(selection), func(t *testing.T) {
			w := drawn(selection, 30, 10, 1, 1, func(l *plan.Literal) {
				if l.Cohort.Population > 0 {
					l.Cohort.Population, l.Scheme.Dropout = 40, 0.25
				}
			})(t)
			w.start()
			invited := w.began[0].invited
			require.Greater(t, len(invited), 2)
			w.until("half of the cohort", func() bool { return w.engine.State().Admitted == len(invited)/2 })
			before := w.devices
			for i := range 10 { // names before, between and behind the others
				w.devices = append(w.devices, newDevice(w, 30+i))
			}
			w.devices = w.devices[5:]
			w.start()
			w.devices = append(w.devices, before[:5]...)
			require.Equal(t, coordinator.Finished, w.run().Status)
			require.Len(t, w.reports, 1)
			require.ElementsMatch(t, invited, slices.Concat(w.reports[0].Members...))
		})
	}
}

func TestRegistryThatThePlanWasNotComputedForStopsTheRun(t *testing.T) {
	for name, c := range map[string]struct {
		clients int
		says    string
	}{
		"too many": {41, "41 are enrolled, of at most 40"},
		"too few":  {35, "35 are enrolled, of at least 36"},
	} {
		t.Run(name, func(t *testing.T) {
			w := drawn(plan.SelectPoisson, c.clients, 10, 1, 2, func(l *plan.Literal) { l.Cohort.Population, l.Scheme.Dropout = 40, 0.1 })(t)
			w.start()
			s := w.engine.State()
			require.Equal(t, coordinator.Stopped, s.Status)
			require.Contains(t, s.Reason, c.says)
			require.Contains(t, s.Reason, "cohort.population")
			require.Empty(t, w.charges())
			require.Empty(t, w.began)
		})
	}
	w := drawn(plan.SelectPoisson, 40, 10, 1, 3, func(l *plan.Literal) { l.Scheme.Dropout = 0.1 })(t)
	w.start()
	w.untilOr("round 2", func() bool { return w.engine.State().Rounds == 1 })
	w.devices = append(w.devices, newDevice(w, 40))
	s := w.run()
	require.Equal(t, coordinator.Stopped, s.Status, "also in the middle of a run")
	require.Contains(t, s.Reason, "41 are enrolled")
}
