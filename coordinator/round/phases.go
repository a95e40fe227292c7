package round

import (
	"errors"
	"slices"
	"strings"

	"github.com/choir-fl/choir/secagg"
)

// enter makes a move that the table allows.
func (m *Machine) enter(s State) error {
	if !slices.Contains(moves[m.state].next, s) {
		return ErrMove.At("%s to %s", m.state, s)
	}
	m.state = s
	return nil
}

// closeAdmission fixes the roster and with it the context.
func (m *Machine) closeAdmission() error {
	if n, least := len(m.joined), m.set.Plan.Minimum(); n < least {
		return m.fail(secagg.ErrTooFew.At("admission: %d of at least %d", n, least))
	}
	roster, err := secagg.NewRoster(m.joined)
	if err != nil {
		return m.fail(err)
	}
	session, err := m.task.Session(roster)
	if err != nil {
		return m.fail(err)
	}
	control, err := m.set.Plan.Scheme().NewControl(session)
	if err != nil {
		return m.fail(err)
	}
	m.roster, m.session, m.control, m.joined = roster, session, control, nil
	m.fx.Charge = ChargeReserve
	m.audit("admitted %d clients, roster %s, context %s", roster.Len(), roster.Root(), session.Context)
	return m.enterPhase()
}

// advanceWhenComplete closes the phase once nobody is waited for.
func (m *Machine) advanceWhenComplete() error {
	if m.control == nil || m.state >= Adding {
		return nil
	}
	for _, i := range m.control.Waiting() {
		if !m.left[i] {
			return nil
		}
	}
	return m.advance("complete")
}

// advance closes the scheme's phase and enters the next.
func (m *Machine) advance(why string) error {
	name := m.control.Phase().Name
	missing := len(m.control.Waiting())
	if err := m.control.Advance(); err != nil {
		return m.fail(err)
	}
	m.audit("phase %s closed (%s), %d missing", name, why, missing)
	return m.enterPhase()
}

// enterPhase follows the scheme into its present phase.
func (m *Machine) enterPhase() error {
	m.step++
	d := m.set.Plan.Deadlines()
	m.deadline = m.at + Instant(d.Exchange)
	next := Exchanging
	switch m.control.Phase().Kind {
	case secagg.PhaseUpload:
		next = Uploading
		m.deadline = m.at + Instant(d.Upload)
	case secagg.PhaseUnmask:
		next = Unmasking
		m.unmasked = true
	case secagg.PhaseOpen:
		m.deadline = 0
		m.unmasked = true
		if err := m.enter(Adding); err != nil {
			return err
		}
		return m.openWhenAdded()
	}
	if err := m.enter(next); err != nil {
		return err
	}
	m.fx.Notify = m.asked()
	return nil
}

// asked lists the members that have an instruction to answer.
func (m *Machine) asked() []int {
	if m.control == nil || m.state >= Adding {
		return nil
	}
	return slices.DeleteFunc(m.control.Waiting(), func(i int) bool { return m.left[i] })
}

// openWhenAdded opens the sum once every upload in it was added.
func (m *Machine) openWhenAdded() error {
	if m.state != Adding || len(m.tasks) > 0 {
		return nil
	}
	m.run(Task{Kind: TaskOpen, Open: m.control.Opening})
	return m.enter(Opening)
}

// fail ends the attempt. Its reason is recorded, its culprits are named.
func (m *Machine) fail(err error) error {
	out := &Outcome{Reason: err.Error(), Survivors: m.survivors()}
	var blame *secagg.Blame
	if errors.As(err, &blame) {
		for _, i := range blame.Members {
			out.Culprits = append(out.Culprits, m.roster.At(i).ID)
		}
	}
	if m.control != nil && !m.unmasked {
		m.fx.Charge = ChargeVoid
	}
	m.fx.Tasks = nil
	m.over(out)
	return m.enter(Failed)
}

func (m *Machine) over(out *Outcome) {
	m.outcome = out
	m.deadline = 0
	m.step++
	m.fx.Outcome = out
	for i := range m.roster.Len() {
		m.fx.Notify = append(m.fx.Notify, i)
	}
	if out.Released {
		m.audit("attempt %s released", m.set.ID)
	} else {
		m.audit("attempt %s failed: %s", m.set.ID, out.Reason)
	}
}

func (m *Machine) survivors() [][]secagg.PartyID {
	if m.control == nil {
		return nil
	}
	var out [][]secagg.PartyID
	for _, bucket := range m.control.Survivors() {
		ids := make([]secagg.PartyID, len(bucket))
		for j, i := range bucket {
			ids[j] = m.roster.At(i).ID
		}
		out = append(out, ids)
	}
	return out
}

// Envelope returns what there is to say to a client now, if anything: the same
// until the next step, however often it is asked for.
func (m *Machine) Envelope(id secagg.PartyID) (secagg.Envelope, bool) {
	i := m.roster.Index(id)
	if i < 0 {
		if m.state.Over() { // failed before admission closed
			return secagg.Envelope{Round: m.set.ID, Step: 1, Over: true, Reason: m.reason()}, true
		}
		return secagg.Envelope{}, false
	}
	env := secagg.Envelope{Round: m.set.ID, Step: m.step}
	if m.state.Over() {
		env.Over, env.Reason = true, m.reason()
		env.Completed = m.outcome.Released && m.uploads[i] != upload{}
		return env, true
	}
	if m.state >= Adding {
		return secagg.Envelope{}, false
	}
	body, asked := m.control.Instruction(i)
	if !asked {
		return secagg.Envelope{}, false
	}
	env.Body = body
	if m.step == 1 {
		env.Roster = m.roster.Encode()
	}
	return env, true
}

func (m *Machine) reason() string {
	r := m.outcome.Reason
	if len(r) > 500 {
		r = strings.ToValidUTF8(r[:500], "")
	}
	return r
}
