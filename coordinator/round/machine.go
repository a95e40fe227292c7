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
}

// Machine is one attempt. Not safe for concurrent use.
type Machine struct {
	set      Settings
	task     secagg.Task
	state    State
	deadline Instant
	joined   []secagg.Identity // while admitting, in order of arrival
	roster   secagg.Roster
	session  secagg.Session
	control  secagg.Control
	step     uint32
	left     map[int]bool
	uploads  map[int]upload
	tasks    map[TaskID]Task
	nextTask TaskID
	unmasked bool // the unmask phase was entered: reservations stay charged
	saved    Checkpoint
	renew    bool // after a restart: unmasking begins anew at the next instant
	outcome  *Outcome
	at       Instant // latest instant seen
	fx       Effects // effects of the event in hand
}

type upload struct {
	content secagg.Digest
	added   bool
}

// New begins an attempt.
func New(s Settings) (*Machine, Effects) {
	m := &Machine{set: s, state: Admitting, left: map[int]bool{}, uploads: map[int]upload{}, tasks: map[TaskID]Task{}, at: s.Began}
	m.task = secagg.Task{Round: s.ID, Terms: s.Plan.Terms(), Rest: s.Plan.Rest(), Model: s.Model, ModelSize: s.ModelSize}
	m.deadline = s.Began + Instant(s.Plan.Deadlines().Admission)
	m.fx = Effects{Wake: m.deadline}
	m.audit("attempt %s begins from model %s", s.ID, s.Model)
	return m, m.take()
}

// Restore rebuilds an attempt from its journal records and returns what is to be
// done now: envelopes to repeat, uploads to add that no checkpoint holds, and the
// charge, which may not have reached the ledger before the restart. The caller
// steps with a Tick next: an unmasking that is asked for again has its time again.
func Restore(s Settings, records [][]byte) (*Machine, Effects, error) {
	m, _ := New(s)
	for i, r := range records {
		ev, err := decode(r)
		if err != nil {
			return nil, Effects{}, fmt.Errorf("record %d: %w", i, err)
		}
		if _, err := m.Step(ev); err != nil {
			return nil, Effects{}, ErrJournal.At("record %d", i).Because(err)
		}
	}
	m.fx = Effects{Wake: m.deadline, Notify: m.asked(), Outcome: m.outcome}
	switch {
	case m.control == nil:
	case !m.state.Over():
		m.fx.Charge = ChargeReserve
	case !m.unmasked:
		m.fx.Charge = ChargeVoid
	}
	if m.state.Over() {
		return m, m.take(), nil
	}
	m.tasks = map[TaskID]Task{}
	if len(m.saved.Members) > 0 {
		m.run(Task{Kind: TaskMerge, Blob: m.saved.Blob})
	}
	for i := range m.roster.Len() {
		if u, ok := m.uploads[i]; ok && !u.added {
			m.run(Task{Kind: TaskAdd, Member: i, Bucket: m.bucket(i), Blob: u.content})
		}
	}
	if m.state == Unmasking { // what members released is lost with the last process
		m.renew, m.deadline, m.fx.Wake = true, 0, 0
	}
	if err := m.openWhenAdded(); err != nil {
		return nil, Effects{}, err
	}
	m.audit("attempt %s resumes in state %s", s.ID, m.state)
	return m, m.take(), nil
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
	case Message:
		member, err := m.member(ev.From, ev.Step)
		if err != nil {
			return err
		}
		again := !slices.Contains(m.control.Waiting(), member)
		if err := m.control.Receive(member, ev.Body); err != nil || again {
			return err
		}
		m.now(ev.At)
		if m.control.Phase().Kind != secagg.PhaseUnmask {
			m.fx.Persist = encode(ev, m.at)
		}
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
		m.over(&Outcome{Released: true, Survivors: m.survivors()})
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
	if len(m.joined) == m.set.Plan.Invited() {
		return m.closeAdmission()
	}
	return nil
}

// member finds who speaks and checks that it answers the present step.
func (m *Machine) member(id secagg.PartyID, step uint32) (int, error) {
	i := m.roster.Index(id)
	if i < 0 {
		return 0, ErrNotMember.At("client %s", id)
	}
	if step != m.step {
		return 0, ErrStep.At("client %s, step %d of %d", id, step, m.step)
	}
	return i, nil
}

func (m *Machine) uploaded(ev Uploaded) error {
	member, err := m.member(ev.From, ev.Step)
	if err != nil {
		return err
	}
	c, err := secagg.PeekCommit(ev.Frame)
	if err != nil {
		return err
	}
	if c.Content != ev.Content || c.Size != ev.Size {
		return secagg.ErrUpload.At("client %s", ev.From)
	}
	if err := m.control.Receive(member, ev.Frame); err != nil {
		return err
	}
	m.now(ev.At)
	if _, again := m.uploads[member]; again {
		return nil
	}
	m.fx.Persist = encode(ev, m.at)
	m.uploads[member] = upload{content: ev.Content}
	m.run(Task{Kind: TaskAdd, Member: member, Bucket: m.bucket(member), Blob: ev.Content})
	if m.set.Plan.CloseEarly() && len(m.uploads) >= m.set.Plan.CohortSize() {
		return m.advance("cohort complete")
	}
	return m.advanceWhenComplete()
}

// checkpoint takes a new checkpoint in place of the last one. One that lacks a
// member of the last would leave that member out of the sum after a restart.
func (m *Machine) checkpoint(ev Checkpoint) error {
	in := make(map[int]bool, len(ev.Members))
	for _, i := range ev.Members {
		if _, ok := m.uploads[i]; !ok || in[i] {
			return ErrTask.At("checkpoint with member %d", i)
		}
		in[i] = true
	}
	for _, i := range m.saved.Members {
		if !in[i] {
			return ErrTask.At("checkpoint without member %d", i)
		}
	}
	for _, i := range ev.Members {
		u := m.uploads[i]
		u.added = true
		m.uploads[i] = u
	}
	m.now(ev.At)
	m.saved = ev
	m.fx.Persist = encode(ev, m.at)
	return nil
}

// bucket is the sum a member belongs to; there is one while the view is a sum.
func (m *Machine) bucket(int) int { return 0 }

func (m *Machine) leave(ev Leave) error {
	if m.state.Over() {
		return nil
	}
	m.now(ev.At)
	if m.state == Admitting {
		n := len(m.joined)
		m.joined = slices.DeleteFunc(m.joined, func(i secagg.Identity) bool { return i.ID == ev.From })
		if len(m.joined) != n {
			m.fx.Persist = encode(ev, m.at)
		}
		return nil
	}
	i := m.roster.Index(ev.From)
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
