package round

import (
	"github.com/choir-fl/choir/secagg"
)

// Instant is a point in time in nanoseconds since the Unix epoch. The machine
// knows no clock: time is a field of its events.
type Instant int64

type kind uint8

const (
	kindTick kind = iota + 1
	kindCheckIn
	kindMessage
	kindUploaded
	kindLeave
	kindTaskDone
	kindCheckpoint
	kindCommitted
	kindAbort
	kindAnnounce
)

var kindNames = map[kind]string{kindTick: "tick", kindCheckIn: "check-in", kindMessage: "message", kindUploaded: "uploaded",
	kindLeave: "leave", kindTaskDone: "task done", kindCheckpoint: "checkpoint", kindCommitted: "committed", kindAbort: "abort",
	kindAnnounce: "announce"}

// Event is what happens to an attempt: one of the types below.
type Event interface{ kind() kind }

// Tick says what time it is.
type Tick struct{ At Instant }

// CheckIn is an invited client that accepted the task. Its credential was
// verified by the caller.
type CheckIn struct {
	At       Instant
	Identity secagg.Identity
}

// Announce is what a committee member says before the context is fixed. From is its
// address.
type Announce struct {
	At   Instant
	From secagg.PartyID
	Body []byte
}

// Message is a party's answer to the instruction of a step.
type Message struct {
	At   Instant
	From secagg.PartyID
	Step uint32
	Body []byte
}

// Uploaded is a complete upload: the caller stored Size bytes whose digest is
// Content, checked every piece, and found them equal to what Frame commits to.
// The bytes themselves never enter an event.
type Uploaded struct {
	At      Instant
	From    secagg.PartyID
	Step    uint32
	Frame   []byte
	Content secagg.Digest
	Size    int64
}

// Leave is a party that said it will not answer any more.
type Leave struct {
	At   Instant
	From secagg.PartyID
}

// TaskDone is the result of a task; Err is nil if it succeeded. That of TaskOpen
// says which buckets were spoiled and which parties' answers were wrong, also if it failed.
type TaskDone struct {
	At      Instant
	Task    TaskID
	Err     error
	Spoiled []int
	Liars   []int
}

// Checkpoint says that a durable blob holds the accumulated uploads of Members.
type Checkpoint struct {
	At      Instant
	Blob    secagg.Digest
	Members []int
}

// Committed says that the new model is durably the head of the run.
type Committed struct{ At Instant }

// Abort ends the attempt on an operator's or the engine's word.
type Abort struct {
	At     Instant
	Reason string
}

func (Tick) kind() kind       { return kindTick }
func (CheckIn) kind() kind    { return kindCheckIn }
func (Announce) kind() kind   { return kindAnnounce }
func (Message) kind() kind    { return kindMessage }
func (Uploaded) kind() kind   { return kindUploaded }
func (Leave) kind() kind      { return kindLeave }
func (TaskDone) kind() kind   { return kindTaskDone }
func (Checkpoint) kind() kind { return kindCheckpoint }
func (Committed) kind() kind  { return kindCommitted }
func (Abort) kind() kind      { return kindAbort }

const recordVersion = 1

// encode returns an event's journal record. It carries the machine's time, not the
// event's own: a replay must not depend on instants that no record holds. Task
// results and commits have no record: after a restart the tasks are run again. (A
// task that fails before unmasking ends the attempt as an Abort does.)
func encode(ev Event, at Instant) []byte {
	var e secagg.Encoder
	e.Uint(1, recordVersion)
	e.Uint(2, uint64(ev.kind()))
	e.Uint(3, uint64(at))
	switch ev := ev.(type) {
	case Tick:
	case CheckIn:
		e.Bytes(4, ev.Identity.Encode())
	case Message:
		e.String(4, string(ev.From))
		e.Uint(5, uint64(ev.Step))
		e.Bytes(6, ev.Body)
	case Uploaded:
		e.String(4, string(ev.From))
		e.Uint(5, uint64(ev.Step))
		e.Bytes(6, ev.Frame)
		e.Digest(7, ev.Content)
		e.Uint(8, uint64(ev.Size))
	case Leave:
		e.String(4, string(ev.From))
	case Announce:
		e.String(4, string(ev.From))
		e.Bytes(5, ev.Body)
	case Checkpoint:
		e.Digest(4, ev.Blob)
		members := make([]byte, 4*len(ev.Members))
		for i, m := range ev.Members {
			members[4*i], members[4*i+1], members[4*i+2], members[4*i+3] = byte(m>>24), byte(m>>16), byte(m>>8), byte(m)
		}
		e.Bytes(5, members)
	case Abort:
		e.String(4, ev.Reason)
	default:
		return nil
	}
	return e.Encoded()
}

// decode parses a journal record.
func decode(record []byte) (Event, error) {
	d := secagg.NewDecoder(record)
	if v := d.Uint(1); v != recordVersion {
		return nil, ErrJournal.At("record of version %d", v)
	}
	k := kind(d.Int(2, 255))
	at := Instant(d.Size(3, 1<<63-1))
	var ev Event
	switch k {
	case kindTick:
		ev = Tick{at}
	case kindCheckIn:
		id, err := secagg.DecodeIdentity(d.Bytes(4))
		if err != nil {
			return nil, ErrJournal.Because(err)
		}
		ev = CheckIn{at, id}
	case kindMessage:
		ev = Message{at, secagg.PartyID(d.String(4)), uint32(d.Size(5, 1<<32-1)), d.Bytes(6)}
	case kindUploaded:
		ev = Uploaded{at, secagg.PartyID(d.String(4)), uint32(d.Size(5, 1<<32-1)), d.Bytes(6), d.Digest(7), d.Size(8, secagg.MaxUpload)}
	case kindAnnounce:
		ev = Announce{at, secagg.PartyID(d.String(4)), d.Bytes(5)}
	case kindLeave:
		ev = Leave{at, secagg.PartyID(d.String(4))}
	case kindCheckpoint:
		c := Checkpoint{At: at, Blob: d.Digest(4)}
		b := d.Bytes(5)
		for ; len(b) >= 4; b = b[4:] {
			c.Members = append(c.Members, int(b[0])<<24|int(b[1])<<16|int(b[2])<<8|int(b[3]))
		}
		if len(b) != 0 {
			return nil, ErrJournal.At("checkpoint")
		}
		ev = c
	case kindAbort:
		ev = Abort{at, d.String(4)}
	default:
		return nil, ErrJournal.At("record of kind %d", k)
	}
	if err := d.Close(); err != nil {
		return nil, ErrJournal.Because(err)
	}
	return ev, nil
}
