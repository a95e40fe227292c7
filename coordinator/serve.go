package coordinator

import (
	"fmt"
	"slices"
	"time"

	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/secagg"
)

// Conditions is the state of a device at check-in.
type Conditions struct {
	Charging, Unmetered, Idle bool
}

// Offer answers a check-in: a task, or when to come back.
type Offer struct {
	Task *secagg.Task
	Wait time.Duration
}

// Tick lets time pass; the host calls it when Wake asked for.
func (e *Engine) Tick() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.machine != nil {
		e.fail(e.step(round.Tick{At: e.now()}))
	}
}

// pace bounds how long a client is told to stay away.
const (
	minPace = time.Second
	maxPace = 10 * time.Minute
)

// CheckIn offers a task to a party, or says when to come back. Parties are clients
// by their names, and committee members by their addresses (secagg.DecryptorAddress),
// whose conditions do not matter.
func (e *Engine) CheckIn(id secagg.PartyID, c Conditions) (Offer, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed != nil {
		return Offer{}, ErrFailed
	}
	if _, decryptor := secagg.DecryptorID(id); decryptor {
		return e.offerDecryptor(id)
	}
	d := e.cfg.Plan.Devices()
	eligible := (c.Charging || !d.Charging) && (c.Unmetered || !d.Unmetered) && (c.Idle || !d.Idle)
	if e.machine == nil || !eligible {
		return Offer{Wait: maxPace}, nil
	}
	if e.machine.State() == round.Admitting && e.awaits(id) {
		task := e.machine.Task()
		return Offer{Task: &task}, nil
	}
	wait := e.cfg.Plan.Deadlines().Exchange / 4
	return Offer{Wait: min(max(wait, minPace), maxPace)}, nil
}

// decryptorPace is when a committee member asks again: before clients have joined.
const decryptorPace = time.Second

// offerDecryptor offers the task to a committee member that has not announced.
func (e *Engine) offerDecryptor(address secagg.PartyID) (Offer, error) {
	name, _ := secagg.DecryptorID(address)
	if e.cfg.Plan.Terms().Committee.Index(name) < 0 {
		return Offer{}, round.ErrNotMember.At("party %s", address)
	}
	if e.machine == nil || e.machine.State() != round.Admitting || e.machine.Heard(address) {
		return Offer{Wait: decryptorPace}, nil
	}
	task := e.machine.Task()
	return Offer{Task: &task}, nil
}

// Message takes a party's message. Step 0 accepts the task: its body is a client's
// identity, or a committee member's announcement.
func (e *Engine) Message(from secagg.PartyID, id secagg.RoundID, step uint32, body []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.machine == nil || id != e.set.ID {
		return ErrNoRound.At("attempt %s", id)
	}
	if len(body) > maxBody {
		return secagg.ErrEncoding.At("message of %d bytes", len(body))
	}
	if step > 0 {
		return e.step(round.Message{At: e.now(), From: from, Step: step, Body: body})
	}
	if _, decryptor := secagg.DecryptorID(from); decryptor {
		return e.step(round.Announce{At: e.now(), From: from, Body: body})
	}
	identity, err := secagg.DecodeIdentity(body)
	if err != nil {
		return err
	}
	if identity.ID != from || !e.awaits(from) {
		return round.ErrNotMember.At("client %s", from)
	}
	if err := identity.Verify(e.cfg.Authority); err != nil {
		return err
	}
	return e.step(round.CheckIn{At: e.now(), Identity: identity})
}

// maxBody keeps a message and what the journal puts around it within one append.
const maxBody = store.MaxAppend - 4096

// Leave says that a client will not answer any more in an attempt.
func (e *Engine) Leave(from secagg.PartyID, id secagg.RoundID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.machine == nil || id != e.set.ID {
		return nil
	}
	return e.step(round.Leave{At: e.now(), From: from})
}

// Envelope returns what there is to say to a client beyond step after. ok is
// false if there is nothing yet.
func (e *Engine) Envelope(to secagg.PartyID, id secagg.RoundID, after uint32) (env secagg.Envelope, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed != nil {
		return secagg.Envelope{}, false // the machine may be ahead of what is durable
	}
	if e.machine == nil || id != e.set.ID {
		env = secagg.Envelope{Round: id, Step: after + 1, Over: true, Reason: "the attempt is over"}
		if id == e.last.id {
			env.Completed = e.last.survivors[to]
			if e.last.reason != "" {
				env.Reason = e.last.reason
			}
		}
		return env, true
	}
	if s, admitted := e.machine.Session(); admitted && s.Number(to) < 0 {
		// A client whose join came too late must not wait for the attempt's end.
		return secagg.Envelope{Round: id, Step: after + 1, Over: true, Reason: "not admitted to this attempt"}, true
	}
	env, ok = e.machine.Envelope(to)
	return env, ok && env.Step > after
}

// Model opens the model that clients of an attempt start from, or their centre.
func (e *Engine) Model(digest secagg.Digest) (store.Reader, error) {
	return e.cfg.Store.Blobs.Open(store.Digest(digest))
}

// State is a snapshot of a run for operators.
type State struct {
	Status  Status
	Reason  string
	Rounds  int // completed
	ID      secagg.RoundID
	Phase   string
	Meaning string
	// Admitted and Uploads count clients of the attempt under way.
	Admitted, Uploads int
	Model             secagg.Digest
	ModelSize         int64
	// Centre is what clients of the attempt weigh their updates by; zero but under rule rfa.
	Centre secagg.Digest
	Failed error
	// View is what an attempt opens, and Unseen what it keeps from the coordinator.
	View, Unseen string
	// Alerts are those of the latest attempt that ended.
	Alerts []Alert
	// Quarantined are the clients that operators left out, from the next attempt on at the
	// latest, in order.
	Quarantined []secagg.PartyID
}

// State returns where the run stands.
func (e *Engine) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := State{Status: e.head.status, Reason: e.head.reason, Rounds: int(e.head.rounds), Model: e.head.model, ModelSize: e.head.modelSize, Centre: e.centre(e.head), Failed: e.failed}
	view := e.cfg.Plan.Terms().View
	s.View, s.Unseen, s.Alerts = view.String(), Unseen(view), slices.Clone(e.alerted)
	for _, c := range e.quarantines {
		if _, latest := e.decided(c.Client); !latest.Released && !slices.Contains(s.Quarantined, c.Client) {
			s.Quarantined = append(s.Quarantined, c.Client)
		}
	}
	slices.Sort(s.Quarantined)
	if e.machine != nil {
		s.ID, s.Phase, s.Meaning = e.set.ID, e.machine.Phase(), e.machine.State().Meaning()
		if pass, of := e.pass(e.head); of > 1 {
			s.Meaning = fmt.Sprintf("pass %d of %d: %s", pass, of, s.Meaning)
		}
		s.Admitted, s.Uploads = e.machine.Admitted(), e.machine.Uploads()
	}
	return s
}

// Pause ends the attempt under way and begins no other until Resume.
func (e *Engine) Pause() error { return e.stop(Paused, "paused by an operator") }

// Abort ends the run.
func (e *Engine) Abort() error { return e.stop(Stopped, "aborted by an operator") }

func (e *Engine) stop(s Status, reason string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed != nil {
		return ErrFailed.Because(e.failed)
	}
	if e.head.status != Running && (e.head.status != Paused || s == Paused) {
		return ErrStatus.At("run is %s", e.head.status)
	}
	if err := e.finish(s, reason); e.fail(err) {
		return err
	}
	if e.machine != nil && !e.machine.State().Over() && e.machine.State() != round.Releasing {
		return e.step(round.Abort{At: e.now(), Reason: reason})
	}
	return nil
}

// Resume continues a paused run.
func (e *Engine) Resume() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed != nil {
		return ErrFailed.Because(e.failed)
	}
	if e.head.status != Paused {
		return ErrStatus.At("run is %s", e.head.status)
	}
	if err := e.swap(e.resumed()); e.fail(err) {
		return err
	}
	err := e.attempt()
	e.fail(err)
	return err
}
