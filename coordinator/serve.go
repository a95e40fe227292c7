package coordinator

import (
	"errors"
	"fmt"
	"io"
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

// CheckIn offers a task to a client, or says when to come back.
func (e *Engine) CheckIn(id secagg.PartyID, c Conditions) (Offer, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed != nil {
		return Offer{}, ErrFailed
	}
	d := e.cfg.Plan.Devices()
	eligible := (c.Charging || !d.Charging) && (c.Unmetered || !d.Unmetered) && (c.Idle || !d.Idle)
	if e.machine == nil || !eligible {
		return Offer{Wait: maxPace}, nil
	}
	if e.machine.State() == round.Admitting && (e.invited == nil || e.invited[id]) {
		task := e.machine.Task()
		return Offer{Task: &task}, nil
	}
	wait := e.cfg.Plan.Deadlines().Exchange / 4
	return Offer{Wait: min(max(wait, minPace), maxPace)}, nil
}

// Message takes a client's message. Step 0 accepts the task: its body is the
// client's identity.
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
	identity, err := secagg.DecodeIdentity(body)
	if err != nil {
		return err
	}
	if identity.ID != from || (e.invited != nil && !e.invited[from]) {
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
	if s, admitted := e.machine.Session(); admitted && s.Roster.Index(to) < 0 {
		// A client whose join came too late must not wait for the attempt's end.
		return secagg.Envelope{Round: id, Step: after + 1, Over: true, Reason: "not admitted to this attempt"}, true
	}
	env, ok = e.machine.Envelope(to)
	return env, ok && env.Step > after
}

// partID names a client's upload in the spool.
func partID(id secagg.RoundID, client secagg.PartyID) string {
	return fmt.Sprintf("%d-%d/%s", id.Round, id.Attempt, client)
}

// UploadBegin prepares for a client's upload and returns the offset to continue at.
func (e *Engine) UploadBegin(from secagg.PartyID, id secagg.RoundID, step uint32, size int64) (int64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed != nil {
		return 0, ErrFailed // as in Envelope: what was accepted may not be durable
	}
	if e.machine == nil || id != e.set.ID {
		return 0, ErrNoRound.At("attempt %s", id)
	}
	if _, accepted := e.machine.Uploaded(from); accepted {
		return size, nil // its acknowledgement was lost: nothing is left to send
	}
	env, ok := e.machine.Envelope(from)
	if !ok || e.acc == nil || env.Step != step || e.machine.State() != round.Uploading {
		return 0, ErrNotOpen.At("client %s", from)
	}
	if size != e.acc.Pieces().Total {
		return 0, secagg.ErrUpload.At("client %s declares %d bytes of %d", from, size, e.acc.Pieces().Total)
	}
	part := partID(id, from)
	if err := e.cfg.Store.Spool.Begin(part, size); err != nil {
		if errors.Is(err, store.ErrFull) {
			return 0, ErrBusy
		}
		return 0, err
	}
	return e.cfg.Store.Spool.Offset(part)
}

// UploadChunk appends to a client's upload. The bytes go to the spool without
// the engine's lock; a part that was not begun is refused there.
func (e *Engine) UploadChunk(from secagg.PartyID, id secagg.RoundID, offset int64, p []byte) error {
	return e.cfg.Store.Spool.Append(partID(id, from), offset, p)
}

// UploadDone completes an upload with its commit frame. done is called once, with
// nil when the upload was verified and is durable: it will be in the sum if the
// attempt succeeds.
func (e *Engine) UploadDone(from secagg.PartyID, id secagg.RoundID, step uint32, frame []byte, done func(error)) {
	e.mu.Lock()
	if e.failed != nil {
		e.mu.Unlock()
		done(ErrFailed)
		return
	}
	if e.machine == nil || id != e.set.ID || e.acc == nil {
		e.mu.Unlock()
		done(ErrNoRound.At("attempt %s", id))
		return
	}
	machine, acc, part := e.machine, e.acc, partID(id, from)
	accepted, again := machine.Uploaded(from)
	c, err := secagg.PeekCommit(frame)
	switch {
	case err != nil:
	case again && c.Content != accepted:
		err = secagg.ErrRepeated
	case again:
	case e.checks[from]: // what is verified must not change or vanish meanwhile
		err = ErrVerifying.At("client %s", from)
	default:
		e.checks[from] = true
	}
	e.mu.Unlock()
	if err != nil || again {
		done(err)
		return
	}
	e.cfg.Host.Work(Work{Name: "verify", Bytes: c.Size}, func() func() {
		err := e.cfg.Store.Spool.Sync(part)
		if err == nil {
			err = e.verify(acc, part, c)
		}
		return func() {
			e.mu.Lock()
			if e.machine == machine {
				delete(e.checks, from)
			}
			if err == nil && e.machine != machine {
				err = ErrNoRound.At("attempt %s", id)
			}
			if err == nil {
				err = e.step(round.Uploaded{At: e.now(), From: from, Step: step, Frame: frame, Content: c.Content, Size: c.Size})
			} else if e.machine == machine && (errors.Is(err, secagg.ErrUpload) || errors.Is(err, secagg.ErrPiece)) {
				// A corrupt upload starts again from nothing.
				e.fail(e.cfg.Store.Spool.Delete(part))
			}
			e.mu.Unlock()
			done(err)
		}
	})
}

// Model opens the model that clients of an attempt start from.
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
	Failed            error
}

// State returns where the run stands.
func (e *Engine) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := State{Status: e.head.status, Reason: e.head.reason, Rounds: int(e.head.rounds), Model: e.head.model, ModelSize: e.head.modelSize, Failed: e.failed}
	if e.machine != nil {
		s.ID, s.Phase, s.Meaning = e.set.ID, e.machine.Phase(), e.machine.State().Meaning()
		s.Admitted, s.Uploads = e.machine.Admitted(), e.machine.Uploads()
	}
	return s
}

// Export writes the run's latest model as a safetensors file.
func (e *Engine) Export(w io.Writer) error {
	e.mu.Lock()
	h := e.head
	e.mu.Unlock()
	return e.readBlob(h.model, func(r io.Reader) error {
		_, err := io.Copy(w, r)
		return err
	})
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
