package coordinator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

func TestDevicesAreOfferedWorkUnderThePlansConditions(t *testing.T) {
	type c = coordinator.Conditions
	for _, demand := range []plan.Devices{{}, {Charging: true}, {Unmetered: true}, {Idle: true}, {Charging: true, Unmetered: true, Idle: true}} {
		w := inMemory("plain", 3, 1, func(l *plan.Literal) { l.Devices = demand })(t)
		w.start()
		for i := range 8 {
			have := c{Charging: i&1 != 0, Unmetered: i&2 != 0, Idle: i&4 != 0}
			fit := (have.Charging || !demand.Charging) && (have.Unmetered || !demand.Unmetered) && (have.Idle || !demand.Idle)
			offer, err := w.engine.CheckIn(w.devices[0].name(), have)
			require.NoError(t, err)
			require.Equal(t, fit, offer.Task != nil, "%+v under %+v", have, demand)
			if !fit {
				require.Equal(t, 10*time.Minute, offer.Wait)
			}
		}
	}
}

func TestClientsWithoutATaskAreToldWhenToComeBack(t *testing.T) {
	for exchange, wait := range map[time.Duration]time.Duration{
		time.Millisecond: time.Second,
		time.Minute:      15 * time.Second,
		24 * time.Hour:   10 * time.Minute,
	} {
		w := inMemory("plain", 3, 1, func(l *plan.Literal) { l.Deadlines.Exchange = exchange })(t)
		w.start()
		offer, err := w.engine.CheckIn("stranger", coordinator.Conditions{})
		require.NoError(t, err)
		require.Equal(t, coordinator.Offer{Wait: wait}, offer, "it was not drawn")
		w.until("an upload", w.uploading(1))
		offer, err = w.engine.CheckIn(w.devices[0].name(), coordinator.Conditions{})
		require.NoError(t, err)
		require.Equal(t, coordinator.Offer{Wait: wait}, offer, "admission is closed")
		w.run()
		offer, err = w.engine.CheckIn(w.devices[0].name(), coordinator.Conditions{})
		require.NoError(t, err)
		require.Equal(t, coordinator.Offer{Wait: 10 * time.Minute}, offer, "the run is over")
	}
}

func TestJoinsAreRefusedWithTheirReason(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	w.start()
	id := w.engine.State().ID
	d, other := w.devices[0], w.devices[1]
	stranger := newDevice(w, 7)
	forged := secagg.Enrol(keyOf("another authority"), d.name(), d.policy.Identity.Key[:])
	elsewhere := id
	elsewhere.Attempt++
	for name, c := range map[string]struct {
		from secagg.PartyID
		id   secagg.RoundID
		body []byte
		want error
	}{
		"name of another":         {d.name(), id, other.policy.Identity.Encode(), round.ErrNotMember},
		"not drawn":               {stranger.name(), id, stranger.policy.Identity.Encode(), round.ErrNotMember},
		"of another authority":    {d.name(), id, forged.Encode(), secagg.ErrIdentity},
		"another attempt":         {d.name(), elsewhere, d.policy.Identity.Encode(), coordinator.ErrNoRound},
		"not an identity":         {d.name(), id, []byte("me"), secagg.ErrEncoding},
		"longer than the journal": {d.name(), id, make([]byte, 16<<20), secagg.ErrEncoding},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, w.engine.Message(c.from, c.id, 0, c.body), c.want)
			require.Zero(t, w.engine.State().Admitted)
		})
	}
	require.NoError(t, w.engine.Message(d.name(), id, 0, d.policy.Identity.Encode()))
	require.NoError(t, w.engine.Message(d.name(), id, 0, d.policy.Identity.Encode()), "repeated")
	require.Equal(t, 1, w.engine.State().Admitted)
}

func TestLateClientsLearnHowItEnded(t *testing.T) {
	w := inMemory("plain", 3, 1, func(l *plan.Literal) { l.Cohort.Selection = string(plan.SelectCheckIn) })(t)
	late := newDevice(w, 3)
	w.devices[2].gone = func(d *device, _ secagg.RoundID) bool { return w.engine.State().Phase == "admitting" }
	w.start()
	id := w.engine.State().ID
	_, ok := w.engine.Envelope(late.name(), id, 0)
	require.False(t, ok, "it may still join")
	w.quiet()
	w.hold["open"] = true
	w.tick() // admission closes with two
	require.Equal(t, fault.Conflict, fault.ClassOf(w.engine.Message(late.name(), id, 0, late.policy.Identity.Encode())))
	env, ok := w.engine.Envelope(late.name(), id, 0)
	require.True(t, ok && env.Over)
	require.False(t, env.Completed)
	require.Equal(t, "not admitted to this attempt", env.Reason)
	require.Greater(t, env.Step, uint32(0))

	w.hold["open"] = false
	require.Equal(t, coordinator.Finished, w.run().Status)
	for i, d := range append(w.devices, late) {
		env, ok := w.engine.Envelope(d.name(), id, 41)
		require.True(t, ok && env.Over)
		require.Equal(t, uint32(42), env.Step)
		require.Equal(t, i < 2, env.Completed, "client %d", i)
	}
	id.Round++
	env, ok = w.engine.Envelope(w.devices[0].name(), id, 0)
	require.True(t, ok && env.Over)
	require.False(t, env.Completed, "nobody took part in it")
}

func TestLeaversAreNotWaitedFor(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	w.start()
	d := w.devices[2]
	began := w.now
	w.ready(d)
	require.NoError(t, w.engine.Leave(d.name(), d.id))
	d.forget()
	d.gone = func(*device, secagg.RoundID) bool { return true }
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Equal(t, 2, w.history()[0].Survivors)
	require.Equal(t, began, w.now, "no deadline was waited for")
	require.NoError(t, w.engine.Leave(d.name(), secagg.RoundID{Job: "job", Round: 1, Attempt: 1}), "after its end")
}

// asked writes down what a ledger is asked, and refuses the reservations of an attempt.
type asked struct {
	coordinator.Ledger
	asked  []string
	refuse uint32
	w      *world
}

func (l *asked) Reserve(id secagg.RoundID) error {
	l.asked = append(l.asked, "reserve "+id.String())
	for _, d := range l.w.devices {
		if d.id == id && d.after > 0 {
			l.w.t.Errorf("client %s was asked for something before the reservation", d.name())
		}
	}
	if id.Attempt == l.refuse {
		return ledger.ErrBudget
	}
	return l.Ledger.Reserve(id)
}

func (l *asked) Settle(id secagg.RoundID, released secagg.Digest) error {
	l.asked = append(l.asked, "settle "+id.String()+" "+released.String())
	return l.Ledger.Settle(id, released)
}

func (l *asked) Void(id secagg.RoundID) error {
	l.asked = append(l.asked, "void "+id.String())
	return l.Ledger.Void(id)
}

func TestLedgerIsAskedBeforeKeysAreAndToldOfTheEnd(t *testing.T) {
	w := inMemory("plain", 3, 2, noised("central"))(t)
	l := &asked{w: w, refuse: 3}
	w.change = func(c *coordinator.Config) { c.Ledger, l.Ledger = l, c.Ledger }
	// The first attempts of each round lose their clients before the release.
	w.start()
	for _, d := range w.devices[:2] {
		d.gone = func(d *device, id secagg.RoundID) bool {
			return id.Round == 1 && id.Attempt == 1 && d.after > 0 || id.Round == 2 && id.Attempt < 3
		}
		w.ready(d)
		require.NoError(t, w.engine.Leave(d.name(), d.id))
		d.forget()
	}
	s := w.run()
	require.Equal(t, coordinator.BudgetExhausted, s.Status)
	require.Contains(t, s.Reason, ledger.ErrBudget.Error())
	id := func(round, attempt uint32) string {
		return secagg.RoundID{Job: "job", Round: round, Attempt: attempt}.String()
	}
	history := w.history()
	require.Len(t, history, 5)
	require.Contains(t, history[0].Reason, "fewer clients are left")
	require.True(t, history[1].Released)
	require.Contains(t, history[2].Reason, "admission")
	require.Equal(t, ledger.ErrBudget.Error(), history[4].Reason)
	require.Equal(t, []string{"reserve " + id(1, 1), "void " + id(1, 1), "reserve " + id(1, 2), "settle " + id(1, 2) + " " + history[1].Model,
		"reserve " + id(2, 3), "void " + id(2, 3)}, l.asked)
	w.start()
	require.Equal(t, s.Status, w.engine.State().Status, "after a restart too")
}
