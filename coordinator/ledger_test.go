package coordinator_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg"
)

// book reads the population's ledger as it is on the disk.
func (w *world) book() *ledger.Book {
	w.t.Helper()
	b, err := ledger.Load(w.purse.Journal, ledger.Segment(w.plan.Genesis().Population))
	require.NoError(w.t, err)
	return b
}

// charges are the ledger's attempts and what became of them.
func (w *world) charges() (out []string) {
	for _, e := range w.book().Entries() {
		out = append(out, fmt.Sprintf("%d/%d %s", e.ID.Round, e.ID.Attempt, e.State))
	}
	return out
}

// requireSpent requires that a report states what so many attempts cost.
func (w *world) requireSpent(r coordinator.Report, attempts int) {
	w.t.Helper()
	g := w.plan.Guarantee()
	require.Equal(w.t, g.Noise().Delta, *r.Spent.Delta)
	for o, got := range map[dp.Observer]*float64{dp.ObserverReleases: r.Spent.Released, dp.ObserverCoordinator: r.Spent.Coordinator} {
		want, ok := g.Epsilon(o, attempts)
		require.Equal(w.t, ok, got != nil, "%s", o)
		if ok {
			require.Equal(w.t, want, *got, "%s", o)
		}
	}
}

// requireCharged requires that the ledger is never below what was released, and is told
// of each release.
func requireCharged(w *world) {
	w.t.Helper()
	entries := w.book().Entries()
	released := 0
	for _, h := range w.history() {
		i := slices.IndexFunc(entries, func(e ledger.Entry) bool { return e.ID.Round == h.Round && e.ID.Attempt == h.Attempt })
		if !h.Released {
			continue
		}
		released++
		require.GreaterOrEqual(w.t, i, 0, "attempt %d/%d was released and never charged", h.Round, h.Attempt)
		require.Equal(w.t, ledger.Committed, entries[i].State)
		require.Equal(w.t, h.Model, entries[i].Released.String())
		require.Equal(w.t, w.plan.Charge().Released.Spec(), entries[i].Charge.Released.Spec())
	}
	require.Equal(w.t, w.plan.Rounds(), released)
}

func TestLedgerIsNeverBelowWhatWasReleasedWhicheverWriteFails(t *testing.T) {
	for _, died := range []bool{true, false} {
		t.Run(fmt.Sprintf("died=%v", died), func(t *testing.T) {
			failAtEveryWrite(t, died, inMemory("plain", 3, 2, noised("central"), func(l *plan.Literal) {
				l.Cohort.Participations, l.Rounds.Attempts = 4, 4
			}), func(w *world) {
				requireCharged(w)
				for _, h := range w.history() {
					require.NotNil(w.t, h.Spent.Released, h.Reason)
				}
			})
		})
	}
}

// A client is asked for nothing, not even its keys, before the charge is durable.
func TestNobodyIsAskedBeforeTheChargeIsDurable(t *testing.T) {
	for _, scheme := range []string{"plain", "pairwise", "oneshot"} {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s kept=%v", scheme, kept), func(t *testing.T) {
				w := noisedWorld(scheme, "distributed", 1, false)(t)
				w.start()
				// Everything that comes before was written when the last client joins.
				w.until("five joins", func() bool { return w.engine.State().Admitted == 5 })
				w.faults.at, w.faults.kept = len(w.faults.names)+2, kept // the join, then the reservation
				id := w.engine.State().ID
				w.until("the failure", func() bool { return w.engine.State().Failed != nil })
				require.Equal(t, "append to ledger/job", w.faults.hit)
				for _, d := range w.devices {
					require.Zero(t, d.after)
					_, ok := w.engine.Envelope(d.name(), id, 0)
					require.False(t, ok)
				}
				w.start()
				require.Equal(t, coordinator.Finished, w.run().Status)
				require.Equal(t, []string{"1/1 committed"}, w.charges())
				requireCharged(w)
			})
		}
	}
}

// The head names a release that the ledger does not know of yet.
func TestReleaseThatTheLedgerMissedIsMadeUpFor(t *testing.T) {
	for name, later := range map[string]func(*plan.Literal){
		"same plan": nil,
		"more noise": func(l *plan.Literal) {
			l.Privacy.NoiseMultiplier = 4 * multiplier
		},
		"less noise": func(l *plan.Literal) { l.Privacy.NoiseMultiplier = multiplier * 0.9 },
	} {
		t.Run(name, func(t *testing.T) {
			w := noisedWorld("pairwise", "distributed", 2, false)(t)
			w.start()
			w.until("the swap", func() bool {
				n := len(w.faults.names)
				if w.faults.at == 0 && w.engine.State().Phase == "opening" {
					w.faults.at = n + 4 // the model, the step, the head, then the ledger
				}
				return w.engine.State().Failed != nil
			})
			require.Equal(t, "append to ledger/job", w.faults.hit)
			require.Equal(t, []string{"1/1 reserved"}, w.charges())
			charged := w.book().Entries()[0].Charge
			if later != nil {
				w.changePlan(later)
				w.change = resuming
			}
			w.start()
			require.Equal(t, "1/1 committed", w.charges()[0])
			e := w.book().Entries()[0]
			require.Equal(t, w.engine.State().Model, e.Released)
			require.Equal(t, charged.Released.Spec(), e.Charge.Released.Spec(), "what was released is what was reserved")
			require.Equal(t, coordinator.Finished, w.run().Status)
		})
	}
}

func TestLedgerThatWasPutBackIsRefused(t *testing.T) {
	w := noisedWorld("plain", "central", 2, false)(t)
	w.start()
	w.until("round 2", func() bool { return w.engine.State().Rounds == 1 })
	w.halt()
	newest := w.budgets
	older := mem.New(0)
	records := [][]byte{}
	require.NoError(t, w.purse.Journal.Read("ledger/job", func(r []byte) error { records = append(records, slices.Clone(r)); return nil }))
	to, err := older.Open()
	require.NoError(t, err)
	require.Equal(t, 4, len(records), "genesis, epoch, reservation, release")
	require.NoError(t, to.Journal.Append("ledger/job", records[:2]...))
	for _, disk := range []*mem.Disk{older, mem.New(0)} {
		w.budgets = disk
		require.ErrorIs(t, w.tryStart(), ledger.ErrRolledBack)
	}
	w.budgets = newest
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	requireCharged(w)
}

// A run that was put back would release another sum under a charge that is there
// already, with the same noise where the coordinator draws it.
func TestRunThatWasPutBackReleasesNothing(t *testing.T) {
	for name, since := range map[string]func(w *world){
		"before a round":       func(w *world) {},
		"while it admits":      func(w *world) { w.until("joins", func() bool { return w.engine.State().Admitted == 3 }) },
		"before its last join": func(w *world) { w.until("joins", func() bool { return w.engine.State().Admitted == 5 }) },
	} {
		t.Run(name, func(t *testing.T) {
			w := noisedWorld("plain", "central", 1, false)(t)
			dir := t.TempDir()
			w.onFiles(dir)
			w.start()
			since(w)
			w.halt()
			old := t.TempDir()
			require.NoError(t, os.CopyFS(old, os.DirFS(dir)))
			w.start()
			failOpening(w)
			require.Equal(t, []string{"1/1 reserved"}, w.charges())
			w.halt()

			w.onFiles(old)
			for _, d := range w.devices {
				d.forget()
				d.size = func(secagg.RoundID) float32 { return -step }
			}
			err := w.tryStart()
			if err == nil {
				w.until("the failure", func() bool { err = w.engine.State().Failed; return err != nil })
				for _, v := range w.values() {
					require.Zero(t, v)
				}
			}
			require.ErrorIs(t, err, coordinator.ErrOlder)
			require.Equal(t, []string{"1/1 reserved"}, w.charges(), "nor is the charge lifted")
		})
	}
}
