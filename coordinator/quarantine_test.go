package coordinator_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
)

// invitedTo says who was drawn for the latest attempt that began.
func (w *world) invitedTo() []secagg.PartyID { return w.began[len(w.began)-1].invited }

func TestQuarantinedClientIsLeftOutFromTheNextAttemptOn(t *testing.T) {
	for _, selection := range []plan.Selection{plan.SelectUniform, plan.SelectCheckIn} {
		for _, restarts := range []bool{false, true} {
			w := inMemory("plain", 3, 4, func(l *plan.Literal) {
				l.Cohort.Selection, l.Cohort.Minimum = string(selection), 2
			})(t)
			restart := func() {
				if restarts {
					w.start()
				}
			}
			w.start()
			require.NoError(t, w.engine.Quarantine("client-1", "ann", "it sends nonsense"))
			restart()
			require.Equal(t, []secagg.PartyID{"client-1"}, w.engine.State().Quarantined)
			w.until("round 2", func() bool { return w.engine.State().Rounds == 1 })
			require.Equal(t, 3, w.reports[0].Survivors, "the attempt under way is not touched")
			require.Zero(t, w.reports[0].Quarantined)
			restart()
			if selection == plan.SelectUniform {
				require.NotContains(t, w.invitedTo(), secagg.PartyID("client-1"))
			}
			for w.engine.State().Rounds < 2 {
				if !w.pass() {
					require.Equal(t, plan.SelectCheckIn, selection, "nobody waits for a client that is not invited")
					w.tick() // admission waits for a third client
				}
			}
			require.NotContains(t, slices.Concat(w.reports[1].Members...), secagg.PartyID("client-1"))
			require.Equal(t, 2, w.reports[1].Survivors)
			require.Equal(t, 1, w.reports[1].Quarantined)
			if selection == plan.SelectUniform {
				require.Equal(t, 2, w.reports[1].Invited)
			}
			require.NoError(t, w.engine.Release("client-1", "bob", "mended"))
			require.Empty(t, w.engine.State().Quarantined)
			restart()
			for w.engine.State().Rounds < 3 {
				if !w.pass() {
					w.tick()
				}
			}
			require.NotContains(t, slices.Concat(w.reports[2].Members...), secagg.PartyID("client-1"), "nor is that one")
			require.Equal(t, coordinator.Finished, w.run().Status)
			require.Equal(t, 3, w.reports[3].Survivors)
			w.start()
			record := w.engine.Quarantines()
			require.Len(t, record, 2)
			for i := range record {
				require.WithinDuration(t, w.now, record[i].At, 24*time.Hour)
				record[i].At = time.Time{}
			}
			require.Equal(t, []coordinator.QuarantineChange{
				{Client: "client-1", By: "ann", Reason: "it sends nonsense", Round: 1, Attempt: 2},
				{Client: "client-1", Released: true, By: "bob", Reason: "mended", Round: 3, Attempt: 2},
			}, record)
			require.Equal(t, 1, w.history()[2].Quarantined)
		}
	}
}

// A quarantine that was decided while nothing is under way holds for what comes next.
func TestQuarantineOfAPausedRunHoldsAtOnce(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	w.start()
	require.NoError(t, w.engine.Pause())
	require.NoError(t, w.engine.Quarantine("client-2", "ann", "why not"))
	require.NoError(t, w.engine.Resume())
	require.NotContains(t, w.invitedTo(), secagg.PartyID("client-2"))
	require.Len(t, w.invitedTo(), 2)
}

func TestQuarantineThatCannotBeIsRefused(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	w.start()
	require.NoError(t, w.engine.Quarantine("client-0", "ann", "first"))
	for name, c := range map[string]func() error{
		"again":           func() error { return w.engine.Quarantine("client-0", "ann", "again") },
		"nobody":          func() error { return w.engine.Quarantine("client-9", "ann", "who") },
		"no reason":       func() error { return w.engine.Quarantine("client-1", "ann", "") },
		"long reason":     func() error { return w.engine.Quarantine("client-1", "ann", strings.Repeat("x", 501)) },
		"release of none": func() error { return w.engine.Release("client-1", "ann", "good") },
		"without reason":  func() error { return w.engine.Release("client-0", "ann", "") },
	} {
		require.ErrorIs(t, c(), coordinator.ErrQuarantine, name)
	}
	require.Len(t, w.engine.Quarantines(), 1)
	w.faults.at = len(w.faults.names) + 1
	require.ErrorIs(t, w.engine.Quarantine("client-1", "ann", "lost"), errInjected)
	require.ErrorIs(t, w.engine.Quarantine("client-2", "ann", "more"), coordinator.ErrFailed, "nothing goes on")
	require.Len(t, w.engine.Quarantines(), 1, "what is not durable is not decided")
}

// Under coins the absence of a client that was seen when it had been drawn would tell
// that it was.
func TestNobodyIsQuarantinedOnceCoinsWereTossed(t *testing.T) {
	w := drawn(plan.SelectPoisson, 40, 10, 1, 2)(t)
	w.start()
	require.ErrorIs(t, w.engine.Quarantine("client-3", "ann", "seen"), coordinator.ErrCoins)
	w.until("round 2", func() bool { return w.engine.State().Rounds == 1 })
	require.NoError(t, w.engine.Pause())
	require.ErrorIs(t, w.engine.Quarantine("client-3", "ann", "seen"), coordinator.ErrCoins)
	require.Empty(t, w.engine.Quarantines())
}

func FuzzDecodeQuarantine(f *testing.F) {
	f.Add(coordinator.QuarantineRecord(coordinator.QuarantineChange{Client: "a", By: "b", Reason: "c", At: time.Unix(3, 4), Round: 1, Attempt: 2, Released: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if back, err := coordinator.ReadQuarantineRecord(b); err == nil && !bytes.Equal(b, coordinator.QuarantineRecord(back)) {
			t.Fatalf("%x became %x", b, coordinator.QuarantineRecord(back))
		}
	})
}
