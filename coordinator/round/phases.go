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
	m.addReady()
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
	for i := range m.session.Parties() {
		if _, known := m.greeted[i]; known {
			continue
		}
		if _, asked := m.control.Instruction(i); asked {
			m.greeted[i] = m.step
		}
	}
	m.fx.Notify = m.asked()
	// A phase may wait for nobody: what it asks for was said before, or all have left.
	return m.advanceWhenComplete()
}

// asked lists the parties that have an instruction to obey.
func (m *Machine) asked() []int {
	if m.control == nil || m.state >= Adding {
		return nil
	}
	var out []int
	for i := range m.session.Parties() {
		if m.asks(i) {
			out = append(out, i)
		}
	}
	return out
}

// asks reports whether a party has an instruction to obey.
func (m *Machine) asks(party int) bool {
	_, asked := m.control.Instruction(party)
	return asked && !m.left[party]
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
	out := &Outcome{Reason: err.Error(), SumSpoiled: errors.Is(err, secagg.ErrSpoiled)}
	var blame *secagg.Blame
	if errors.As(err, &blame) {
		out.Culprits = m.addresses(blame.Members)
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
	out.Survivors, out.Spoiled, out.Liars, out.Absent = m.survivors(), m.spoiled, m.liars, m.absent()
	m.fx.Notify = nil
	if m.control != nil {
		for i := range m.session.Parties() {
			m.fx.Notify = append(m.fx.Notify, i)
		}
	} else {
		m.fx.Dismiss = m.came()
	}
	if out.Released {
		m.audit("attempt %s released", m.set.ID)
	} else {
		m.audit("attempt %s failed: %s", m.set.ID, out.Reason)
	}
}

// came lists who joined or announced.
func (m *Machine) came() []secagg.PartyID {
	var out []secagg.PartyID
	for _, id := range m.joined {
		out = append(out, id.ID)
	}
	for _, j := range m.heard.Present() {
		out = append(out, m.task.Terms.Committee.At(j).Address())
	}
	return out
}

// survivors names the members of each bucket: none in one that was left out.
func (m *Machine) survivors() [][]secagg.PartyID {
	if m.control == nil {
		return nil
	}
	var out [][]secagg.PartyID
	for _, bucket := range m.control.Survivors() {
		out = append(out, m.addresses(bucket))
	}
	return out
}

func (m *Machine) addresses(parties []int) []secagg.PartyID {
	var out []secagg.PartyID
	for _, i := range parties {
		out = append(out, m.session.Party(i))
	}
	return out
}

// counted reports whether a member's contribution is in the released model.
func (m *Machine) counted(member int) bool {
	for b, members := range m.control.Survivors() {
		if slices.Contains(members, member) {
			return !slices.Contains(m.spoiled, b)
		}
	}
	return false
}

// Envelope returns what there is to say to a party now, if anything: the same
// until the next step, however often it is asked for.
func (m *Machine) Envelope(to secagg.PartyID) (secagg.Envelope, bool) {
	if m.control == nil {
		if m.state.Over() { // failed before admission closed
			return secagg.Envelope{Round: m.set.ID, Step: 1, Over: true, Reason: m.reason()}, true
		}
		return secagg.Envelope{}, false
	}
	i := m.session.Number(to)
	if i < 0 {
		return secagg.Envelope{}, false
	}
	env := secagg.Envelope{Round: m.set.ID, Step: m.step}
	if m.state.Over() {
		env.Over, env.Reason = true, m.reason()
		env.Completed = m.outcome.Released && i < m.roster.Len() && m.counted(i)
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
	if m.greeted[i] == m.step {
		env.Roster, env.Committee = m.listed, m.session.Announcements.Encode()
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
