package decryptor

import (
	"context"
	"io"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
)

// Transport connects a member with a coordinator. The member dials out; nothing ever
// connects to it. Safe for concurrent use.
type Transport interface {
	client.Mailbox
	// Letters waits until there are letters to the member from the one numbered first
	// on, or for a while, and writes those there are to w, as a stream for
	// secagg.ReadLetter. Nil means that the stream is whole; it may hold none. After
	// an error w may have got a part of it.
	Letters(ctx context.Context, round secagg.RoundID, first int, w io.Writer) error
}

// State keeps what a member must not forget, and what nobody else may know: an
// implementation encrypts it. At most one process uses it at a time. It is never
// replaced by an empty one and never put back to an earlier one: a member that forgot
// what it promised could answer an attempt twice. Safe for concurrent use.
type State interface {
	// Load returns the record of a name: a job's, or [Epochs]. Nil if there is none.
	// A record that is there and cannot be read is an error.
	Load(name string) ([]byte, error)
	// Save replaces it. It is durable when it returns, and the old one erased; after
	// an error it may have been replaced or not.
	Save(name string, record []byte) error
}

// Epochs is the name under which a State keeps the seeds of the member's epochs. It is
// no job's name.
const Epochs = "@epochs"
