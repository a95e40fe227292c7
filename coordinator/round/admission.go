package round

import (
	"bytes"
	"slices"

	"github.com/choir-fl/choir/secagg"
)

func (m *Machine) checkIn(ev CheckIn) error {
	for _, id := range m.joined {
		if id == ev.Identity {
			return nil
		}
		if id.ID == ev.Identity.ID || id.Key == ev.Identity.Key {
			return ErrMember.At("client %s", ev.Identity.ID)
		}
	}
	if len(m.joined) >= m.set.Plan.Invited() {
		return ErrFull
	}
	m.now(ev.At)
	m.fx.Persist = encode(ev, m.at)
	m.joined = append(m.joined, ev.Identity)
	return m.closeWhenComplete()
}

// withdraw takes back a check-in. The cohort is waited for again.
func (m *Machine) withdraw(ev Leave) error {
	n := len(m.joined)
	m.joined = slices.DeleteFunc(m.joined, func(i secagg.Identity) bool { return i.ID == ev.From })
	if len(m.joined) != n {
		m.fx.Persist = encode(ev, m.at)
		m.deadline = m.admissionEnds()
	}
	return nil
}

func (m *Machine) admissionEnds() Instant {
	return m.set.Began + Instant(m.set.Plan.Deadlines().Admission)
}

// announcer returns the index in the committee of an address, or -1.
func (m *Machine) announcer(address secagg.PartyID) int {
	id, ok := secagg.DecryptorID(address)
	if !ok {
		return -1
	}
	return m.task.Terms.Committee.Index(id)
}

// announce takes what a committee member says before the context is fixed.
func (m *Machine) announce(ev Announce) error {
	j := m.announcer(ev.From)
	scheme, ok := m.set.Plan.Scheme().(secagg.CommitteeServer)
	if j < 0 || !ok {
		return ErrNotMember.At("party %s", ev.From)
	}
	if old := m.heard[j].Body; old != nil {
		if bytes.Equal(old, ev.Body) {
			return nil
		}
		return secagg.ErrRepeated.At("party %s", ev.From)
	}
	if err := scheme.CheckAnnouncement(m.set.ID, m.task.Terms.Committee, j, ev.Body); err != nil {
		return err
	}
	m.now(ev.At)
	m.fx.Persist = encode(ev, m.at)
	m.heard[j] = secagg.Announcement{Body: bytes.Clone(ev.Body), LeftOut: slices.Contains(m.set.LeftOut, ev.From)}
	return m.closeWhenComplete()
}

// quorum reports whether there is a quorum of members that announced themselves and
// whose randomness counts.
func (m *Machine) quorum() bool {
	n := 0
	for _, a := range m.heard {
		if a.Body != nil && !a.LeftOut {
			n++
		}
	}
	return n >= m.task.Terms.Committee.Quorum()
}

// closeWhenComplete closes admission once the cohort is there and the whole
// committee has announced. Members that were absent the last time are given an
// eighth of an exchange's time, once they are all that is missing to a quorum; for
// the others the deadline stands.
func (m *Machine) closeWhenComplete() error {
	wanted := m.set.Plan.Invited()
	if m.set.Expected > 0 {
		wanted = m.set.Expected
	}
	if len(m.joined) < wanted {
		return nil
	}
	missing := false
	for j, a := range m.heard {
		if a.Body == nil {
			missing = true
			if !slices.Contains(m.set.Absent, m.task.Terms.Committee.At(j).Address()) {
				return nil
			}
		}
	}
	if !missing {
		return m.closeAdmission()
	}
	if m.quorum() {
		m.deadline = min(m.deadline, m.at+Instant(m.set.Plan.Deadlines().Exchange/8))
	}
	return nil
}

// closeAdmission fixes the roster and the announcements, and with them the context.
func (m *Machine) closeAdmission() error {
	m.closed = true
	if n, least := len(m.joined), m.set.Plan.Minimum(); n < least {
		return m.fail(secagg.ErrTooFew.At("admission: %d of at least %d", n, least))
	}
	if !m.quorum() {
		return m.fail(secagg.ErrCommittee.At("%d members announced, %d left out, quorum %d", len(m.heard.Present()), len(m.set.LeftOut),
			m.task.Terms.Committee.Quorum()))
	}
	roster, err := secagg.NewRoster(m.joined)
	if err != nil {
		return m.fail(err)
	}
	session, err := m.task.Session(roster, m.heard)
	if err != nil {
		return m.fail(err)
	}
	control, err := m.set.Plan.Scheme().NewControl(session)
	if err != nil {
		return m.fail(err)
	}
	m.roster, m.listed, m.session, m.control, m.joined = roster, roster.Encode(), session, control, nil
	m.fx.Charge = ChargeReserve
	m.audit("admitted %d clients, roster %s, context %s", roster.Len(), roster.Root(), session.Context)
	return m.enterPhase()
}

// absent lists the committee members that the next attempt does not wait for: those
// that had not announced when admission closed. Before that nobody is late yet, but
// who was absent the last time still is.
func (m *Machine) absent() []secagg.PartyID {
	var out []secagg.PartyID
	for j, a := range m.heard {
		address := m.task.Terms.Committee.At(j).Address()
		if a.Body == nil && (m.closed || slices.Contains(m.set.Absent, address)) {
			out = append(out, address)
		}
	}
	return out
}
