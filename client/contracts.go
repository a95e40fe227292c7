package client

import (
	"context"
	"io"
	"time"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// Trainer is the app's part: it improves a model on local data.
type Trainer interface {
	// Train starts from model, which it may change, and returns the trained model
	// with the number of examples used. task tells what the plan asks of training.
	// An error ends the attempt for this client; ctx is cancelled when the attempt
	// is over.
	Train(ctx context.Context, model tensor.Model, task secagg.Task) (Update, error)
}

// Evaluator is what a Trainer may also be: it measures a model on local data
// before training. It is asked only under plans that evaluate.
type Evaluator interface {
	// It must not change the model. An evaluation of no examples says nothing, and
	// an error costs the evaluation only: the client trains all the same.
	Evaluate(ctx context.Context, model tensor.Model, task secagg.Task) (Evaluation, error)
}

// Consent is the device's own policy. The coordinator is not trusted for it.
type Consent interface {
	// Allow returns nil to take part, or why not. It is called before any byte of
	// an update leaves the device, with the terms that the attempt's context will bind.
	Allow(task secagg.Task) error
}

// Budget is what a Consent may also be: it bounds what the device spends of its privacy.
type Budget interface {
	// Afford returns nil to contribute, or why not, given the account that the device
	// will have afterwards. It is called after Allow, as often, and on the account only.
	Afford(task secagg.Task, after Account) error
}

// Conditions is the state of a device at check-in.
type Conditions struct {
	Charging  bool
	Unmetered bool
	Idle      bool
}

// Offer answers a check-in: a task, or when to come back.
type Offer struct {
	Task *secagg.Task
	Wait time.Duration
}

// Mailbox exchanges small messages with the coordinator. Calls may be repeated:
// the coordinator recognises what it has already taken. Safe for concurrent use.
type Mailbox interface {
	// CheckIn asks for work. job may be empty for any job.
	CheckIn(ctx context.Context, job string, c Conditions) (Offer, error)
	// Send delivers a message; nil means that it was taken, or that the attempt has
	// gone beyond its step, so that it does not matter any more: Receive says what does.
	Send(ctx context.Context, m Message) error
	// Receive waits for an envelope of a step later than after.
	Receive(ctx context.Context, round secagg.RoundID, after uint32) (secagg.Envelope, error)
}

// Bulk moves large byte streams, resuming where an earlier call stopped. Safe for
// concurrent use.
type Bulk interface {
	// Fetch writes the bytes of the attempt's model, or of its centre, from offset on to w.
	Fetch(ctx context.Context, round secagg.RoundID, model secagg.Digest, offset int64, w io.Writer) error
	// Upload sends size sealed bytes, continuing at the coordinator's offset, and
	// completes them with the commit frame m. Nil means that the upload was
	// verified and is durable at the coordinator. An error of class Conflict means
	// that none is expected now: it was committed by an earlier call, or comes too late.
	Upload(ctx context.Context, m Message, sealed io.ReadSeeker, size int64) error
}

// Transport connects a client with its coordinator. The client dials out; nothing
// ever connects to it.
type Transport interface {
	Mailbox
	Bulk
}

// Records keeps an attempt's record. Put is durable when it returns; the record
// may hold secrets, so an implementation encrypts it or keeps it where only the
// app can read.
type Records interface {
	// Put replaces the record of a round; nil erases it.
	Put(round secagg.RoundID, record []byte) error
	// All returns the records there are, and something that is no record for one
	// that cannot be read any more: the attempt was begun, and is not begun again.
	All() (map[secagg.RoundID][]byte, error)
}

// Sealed keeps an attempt's ciphertext until the attempt is over. One whose attempt
// has no record is of no use, and may be dropped after a restart.
type Sealed interface {
	// Create starts the ciphertext of a round; Close makes it durable.
	Create(round secagg.RoundID) (io.WriteCloser, error)
	// Open reads it; size is its length in bytes. One that is not there is an error.
	Open(round secagg.RoundID) (r io.ReadSeekCloser, size int64, err error)
	// Remove deletes it if it is there.
	Remove(round secagg.RoundID) error
}

// Tally keeps the device's account of what it contributed in its life. The client
// charges an attempt before the first byte of the upload leaves, whatever becomes of it.
type Tally interface {
	// Account returns the account that was kept last; the zero Account if there is none.
	Account() (Account, error)
	// Keep replaces the account. It is durable when it returns. See Account.Encode.
	Keep(Account) error
}

// State is what a client keeps across restarts. At most one client uses it at a
// time: two that answer for the same attempt could together answer twice. After an
// error a change may have been made or not. Safe for concurrent use.
type State interface {
	Records
	Sealed
	Tally
}
