// Package round is the state machine of one attempt at a round: who is admitted,
// what is asked of them, what is waited for and until when, and how it ends.
//
// It is pure. Step takes an event and returns effects as values; it reads no
// clock, starts no goroutine and touches no file. The same events give the same
// effects byte for byte, so the journal of an attempt is the list of its events:
// Restore replays them. Vector work is a task whose result returns as an event,
// and uploads are seen as digests only.
package round

import (
	"errors"
	"fmt"
	"slices"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of events. A refused event changes nothing.
var (
	ErrState     = fault.New(fault.Conflict, "round/state", "the attempt is not in a state that takes this", "ask for the present instruction")
	ErrStep      = fault.New(fault.Conflict, "round/step", "answer to another step", "ask for the present instruction")
	ErrNotMember = fault.New(fault.Denied, "round/not-member", "client was not admitted to this attempt", "check in for the next round")
	ErrFull      = fault.New(fault.Exhausted, "round/full", "the cohort is complete", "check in for the next round")
	ErrMember    = fault.New(fault.Conflict, "round/member", "another client of this name or key was admitted", "enrol under another name")
	ErrTask      = fault.New(fault.Internal, "round/task", "result of an unknown task", "")
	ErrJournal   = fault.New(fault.Internal, "round/journal", "journal record cannot be replayed", "restore the store from a backup")
	ErrMove      = fault.New(fault.Internal, "round/move", "move is not in the table", "")
)

// Settings is what an attempt starts from.
type Settings struct {
	Plan plan.Plan
	ID   secagg.RoundID
	// Model is the digest of the model that clients start from, and ModelSize its bytes.
	Model     secagg.Digest
	ModelSize int64
	// Began is when the attempt began.
	Began Instant
	// Authority is the digest of the enrolment authority's key.
	Authority secagg.Digest
	// Fallback opens buckets, because the sum of an earlier attempt was spoiled.
	Fallback bool
	// LeftOut are the addresses of committee members whose randomness does not count
	// in this attempt, and Absent of those whose announcement is not waited for: they
	// failed an earlier one.
	LeftOut, Absent []secagg.PartyID
	// Expected is how many clients were invited, if they were drawn by coins or fewer than
	// wanted could be; zero for as many as the plan admits.
	Expected int
	// ClipNorm, Ledger and Centre are those of secagg.Task.
	ClipNorm float64
	Ledger   secagg.LedgerHead
	Centre   secagg.Digest
}

// Machine is one attempt. Not safe for concurrent use.
type Machine struct {
	set      Settings
	task     secagg.Task
	state    State
	deadline Instant
	joined   []secagg.Identity    // while admitting, in order of arrival
	heard    secagg.Announcements // of the committee; empty without one
	closed   bool                 // admission closed
	roster   secagg.Roster
	listed   []byte // the roster as it is sent
	session  secagg.Session
	control  secagg.Control
	step     uint32
	left     map[int]bool   // parties that said they will not answer any more
	greeted  map[int]uint32 // step of the first envelope of each party
	uploads  map[int]upload
	order    []int // members that uploaded, in the order of acceptance
	tasks    map[TaskID]Task
	nextTask TaskID
	unmasked bool // the unmask phase was entered: reservations stay charged
	saved    Checkpoint
	renew    bool  // after a restart: unmasking begins anew at the next instant
	spoiled  []int // buckets that were not opened for what was in them
	liars    []secagg.PartyID
	outcome  *Outcome
	at       Instant // latest instant seen
	fx       Effects // effects of the event in hand
}

type upload struct {
	content secagg.Digest
	frame   []byte
	ready   bool // may be added to its bucket
	added   bool
}

// New begins an attempt.
func New(s Settings) (*Machine, Effects) {
	m := &Machine{set: s, state: Admitting, left: map[int]bool{}, greeted: map[int]uint32{}, uploads: map[int]upload{}, tasks: map[TaskID]Task{}, at: s.Began}
	m.task = secagg.Task{Round: s.ID, Terms: s.Plan.Terms(), Rest: s.Plan.Rest(), Model: s.Model, ModelSize: s.ModelSize, Fallback: s.Fallback,
		ClipNorm: s.ClipNorm, Ledger: s.Ledger, Centre: s.Centre}
	if m.task.Terms.Committee.Len() > 0 {
		m.task.Authority = s.Authority
	}
	if n := m.task.Terms.Committee.Len(); n > 0 {
		m.heard = make(secagg.Announcements, n)
	}
	m.deadline = m.admissionEnds()
	m.fx = Effects{Wake: m.deadline}
	m.audit("attempt %s begins from model %s", s.ID, s.Model)
	return m, m.take()
}

// Task is what is offered to clients while the machine admits.
func (m *Machine) Task() secagg.Task { return m.task }

// State returns where the attempt stands.
func (m *Machine) State() State { return m.state }

// Phase names what is going on: the state, or the scheme's phase within it.
func (m *Machine) Phase() string {
	if m.control == nil || m.state > Unmasking {
		return m.state.String()
	}
	return m.control.Phase().Name
}

// Session returns the attempt's session; valid once admission closed.
func (m *Machine) Session() (secagg.Session, bool) { return m.session, m.control != nil }

// Admitted returns the number of clients admitted so far.
func (m *Machine) Admitted() int {
	if m.control == nil {
		return len(m.joined)
	}
	return m.roster.Len()
}

// Uploads returns the number of complete uploads.
func (m *Machine) Uploads() int { return len(m.uploads) }

// Uploaded returns the digest of a client's accepted upload, if there is one.
func (m *Machine) Uploaded(id secagg.PartyID) (secagg.Digest, bool) {
	u, ok := m.uploads[m.roster.Index(id)]
	return u.content, ok
}

// Posted returns the members whose letters may be delivered to a party, from the
// one numbered first on, in the order of acceptance; nothing to a party that is not
// asked for anything.
func (m *Machine) Posted(to secagg.PartyID, first int) []int {
	if m.control == nil || m.state.Over() || first < 0 || first > len(m.order) {
		return nil
	}
	i := m.session.Number(to)
	if i < m.roster.Len() {
		return nil
	}
	if _, asked := m.control.Instruction(i); !asked {
		return nil
	}
	return m.order[first:]
}

// Frame returns the commit frame of a member's accepted upload.
func (m *Machine) Frame(member int) []byte { return m.uploads[member].frame }

// Heard reports whether a committee member has announced.
func (m *Machine) Heard(address secagg.PartyID) bool {
	j := m.announcer(address)
	return j >= 0 && m.heard[j].Body != nil
}

// Checkpointed returns the latest checkpoint's blob and the members in it.
func (m *Machine) Checkpointed() (secagg.Digest, []int) { return m.saved.Blob, m.saved.Members }

// Step applies one event. A refused event returns an error and changes nothing.
func (m *Machine) Step(ev Event) (Effects, error) {
	if !slices.Contains(moves[m.state].events, ev.kind()) {
		return Effects{}, ErrState.At("%s in state %s", kindNames[ev.kind()], m.state)
	}
	m.fx = Effects{}
	before := m.at
	err := m.apply(ev)
	if err != nil {
		m.at = before
		m.fx = Effects{}
		return Effects{}, err
	}
	if !m.state.Over() {
		m.fx.Wake = m.deadline
	}
	return m.take(), nil
}

func (m *Machine) apply(ev Event) error {
	switch ev := ev.(type) {
	case Tick:
		m.now(ev.At)
		if m.deadline == 0 || m.at < m.deadline || m.state >= Adding {
			return nil
		}
		return m.timeout(ev)
	case CheckIn:
		return m.checkIn(ev)
	case Announce:
		return m.announce(ev)
	case Message:
		party, err := m.party(ev.From, ev.Step)
		if err != nil {
			return err
		}
		if m.state == Uploading && party < m.roster.Len() {
			return ErrState.At("client %s answers without an upload", ev.From)
		}
		fresh, err := m.control.Receive(party, ev.Body)
		if err != nil || !fresh {
			return err
		}
		m.now(ev.At)
		if m.control.Phase().Kind != secagg.PhaseUnmask {
			m.fx.Persist = encode(ev, m.at)
		}
		m.addReady()
		return m.advanceWhenComplete()
	case Uploaded:
		return m.uploaded(ev)
	case Leave:
		return m.leave(ev)
	case TaskDone:
		return m.taskDone(ev)
	case Checkpoint:
		return m.checkpoint(ev)
	case Committed:
		m.now(ev.At)
		m.fx.Charge = ChargeSettle
		m.over(&Outcome{Released: true})
		return m.enter(Released)
	case Abort:
		m.now(ev.At)
		m.fx.Persist = encode(ev, m.at)
		return m.fail(errors.New(ev.Reason))
	}
	return ErrState
}

// now advances the machine's time, which never runs backwards.
func (m *Machine) now(at Instant) {
	m.at = max(m.at, at)
	if m.renew {
		m.renew, m.deadline = false, m.at+Instant(m.set.Plan.Deadlines().Exchange)
	}
}

// timeout closes what has lasted too long.
func (m *Machine) timeout(ev Tick) error {
	m.fx.Persist = encode(ev, m.at)
	if m.state == Admitting {
		return m.closeAdmission()
	}
	unmasking := m.state == Unmasking
	err := m.advance("deadline")
	if unmasking && m.state != Failed {
		m.fx.Persist = nil // the answers that were enough are in no journal
	}
	return err
}

// party finds who speaks and checks that it answers the present step.
func (m *Machine) party(address secagg.PartyID, step uint32) (int, error) {
	i := m.session.Number(address)
	if i < 0 {
		return 0, ErrNotMember.At("party %s", address)
	}
	if step != m.step {
		return 0, ErrStep.At("party %s, step %d of %d", address, step, m.step)
	}
	return i, nil
}

func (m *Machine) leave(ev Leave) error {
	if m.state.Over() {
		return nil
	}
	m.now(ev.At)
	if m.state == Admitting {
		return m.withdraw(ev)
	}
	i := m.session.Number(ev.From)
	if i < 0 || m.left[i] {
		return nil
	}
	m.fx.Persist = encode(ev, m.at)
	m.left[i] = true
	return m.advanceWhenComplete()
}

func (m *Machine) taskDone(ev TaskDone) error {
	t, ok := m.tasks[ev.Task]
	if !ok {
		if m.state.Over() {
			return nil
		}
		return ErrTask.At("task %d", ev.Task)
	}
	m.now(ev.At)
	delete(m.tasks, ev.Task)
	if m.state.Over() {
		return nil
	}
	if t.Kind == TaskOpen {
		m.opened(ev)
	}
	if ev.Err != nil {
		if !m.unmasked { // the reservation is voided: a restart must not resume what it paid for
			m.fx.Persist = encode(Abort{Reason: ev.Err.Error()}, m.at)
		}
		return m.fail(ev.Err)
	}
	switch t.Kind {
	case TaskAdd:
		u := m.uploads[t.Member]
		u.added = true
		m.uploads[t.Member] = u
		return m.openWhenAdded()
	case TaskMerge:
		return m.openWhenAdded()
	default:
		m.fx.Commit = true
		return m.enter(Releasing)
	}
}

// opened notes what opening the sums showed, whether or not there is a result.
func (m *Machine) opened(ev TaskDone) {
	m.spoiled, m.liars = ev.Spoiled, m.addresses(ev.Liars)
	for _, b := range ev.Spoiled {
		m.audit("bucket %d is spoiled", b)
	}
	for _, id := range m.liars {
		m.audit("answer of %s was wrong", id)
	}
}

// run hands a task to the caller.
func (m *Machine) run(t Task) {
	m.nextTask++
	t.ID = m.nextTask
	m.tasks[t.ID] = t
	m.fx.Tasks = append(m.fx.Tasks, t)
}

func (m *Machine) audit(format string, args ...any) {
	m.fx.Audit = append(m.fx.Audit, fmt.Sprintf(format, args...))
}

func (m *Machine) take() Effects {
	fx := m.fx
	m.fx = Effects{}
	return fx
}
