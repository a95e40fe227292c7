package secagg

import (
	"crypto/ed25519"
	"io"

	"github.com/choir-fl/choir/fault"
)

// View is what a scheme lets the coordinator see of a round.
type View uint8

const (
	// ViewSum is one sum over all survivors: one bucket.
	ViewSum View = 1
	// ViewBucketMeans is one sum for each bucket of survivors.
	ViewBucketMeans View = 2
	// ViewVectors is every single vector (a trusted coordinator only).
	ViewVectors View = 3
)

var viewNames = [...]string{"", "sum", "bucket_means", "vectors"}

// String returns the name used in plans.
func (v View) String() string {
	if int(v) < len(viewNames) {
		return viewNames[v]
	}
	return ""
}

// Session is what all parties of an attempt know once its context is fixed.
// It is read, never changed, by those who get it.
type Session struct {
	Binding Binding
	Context Digest // Binding.Context()
	Roster  Roster
	// Minimum is the fewest clients whose sum may be opened; at least 1.
	Minimum int
	// Words is the length of a client's vector, its extras included; WordBits is w.
	Words, WordBits int
}

// ClientScheme makes the client's half of a scheme. Implementations are stateless
// and safe for concurrent use.
type ClientScheme interface {
	// Name is the scheme's name in plans.
	Name() string
	// NewParty begins an attempt for the member at index self of the session's
	// roster. It refuses parameters below what the scheme itself demands. coins
	// must be cryptographically secure and is used until the party is done.
	NewParty(s Session, self int, key ed25519.PrivateKey, coins io.Reader) (Party, error)
	// ResumeParty continues from the last Reply.Record that followed Seal. Any
	// other record is a tombstone and is refused with ErrTombstone.
	ResumeParty(s Session, self int, key ed25519.PrivateKey, record []byte) (Party, error)
}

// Policy is what a plan states about its cohorts, from which a scheme derives its
// parameters. Shares are in parts per million of the admitted clients.
type Policy struct {
	Clients   int // most clients one attempt admits
	Minimum   int // fewest clients in an opened sum
	CloseAt   int // uploads close once so many are complete; 0 waits for all
	Corrupt   int // share of clients that may collude with the coordinator
	Dropout   int // share of clients that may vanish in mid-round
	CrossSilo bool
	Attempts  int // most attempts at one round
}

// ServerScheme makes the coordinator's half of a scheme. Implementations are
// stateless and safe for concurrent use.
type ServerScheme interface {
	// Name is the scheme's name in plans.
	Name() string
	// Roles lists who takes part besides the coordinator.
	Roles() []Role
	// Views lists what the scheme can yield.
	Views() []View
	// Configure checks what a plan demands of the scheme and returns the scheme's
	// parameters in their canonical encoding, for Binding.Parameters.
	Configure(p Policy) ([]byte, error)
	// NewControl begins an attempt.
	NewControl(s Session) (Control, error)
	// NewAccumulator makes an empty accumulator for the attempt's sums.
	NewAccumulator(s Session) (Accumulator, error)
}

// Reply is what a party does about an instruction.
type Reply struct {
	// Message goes to the coordinator. Nil means nothing to say.
	Message []byte
	// Record must be durable before Message leaves the device, and replaces any
	// earlier record of the attempt. Nil means nothing to store. It may hold
	// secrets and is stored as such.
	Record []byte
	// Seal asks for the client's vector: the next call is Party.Seal.
	Seal bool
}

// Party is the client's half of one attempt. Not safe for concurrent use. After
// an error other than one of class Conflict the party is dead: it erased its
// secrets and refuses everything.
type Party interface {
	// Step answers one instruction. An instruction that repeats the last one byte
	// for byte gets the same reply; one that is for an earlier phase, or a
	// different one for a phase already answered, is refused.
	Step(instruction []byte) (Reply, error)
	// Seal encrypts the client's vector (Session.Words words, each below
	// 2^WordBits) and writes exactly the bytes of the upload to out, in order. It
	// returns the reply that completes the upload: its Message is the commit
	// frame. It works once: a second vector under the same keys would leak the
	// difference. The vector is erased.
	Seal(vector []uint32, out io.Writer) (Reply, error)
	// Erase destroys all secrets; the party is dead afterwards.
	Erase()
}

// PhaseKind says what happens in a phase of Control.
type PhaseKind uint8

const (
	// PhaseExchange waits for one message from each member asked.
	PhaseExchange PhaseKind = 1
	// PhaseUpload waits for one upload from each member asked; the message is its
	// commit frame, given to Receive after the upload itself was verified.
	PhaseUpload PhaseKind = 2
	// PhaseUnmask is an exchange whose messages are secret: they are never
	// written to a journal, and after a restart they are asked for again.
	PhaseUnmask PhaseKind = 3
	// PhaseOpen waits for nobody: Opening returns what the accumulator needs.
	PhaseOpen PhaseKind = 4
)

// Phase is a named stage of an attempt.
type Phase struct {
	Name string
	Kind PhaseKind
}

// Control is the coordinator's half of one attempt: a deterministic state machine
// over small canonical messages. Members are roster indices. Not safe for
// concurrent use. It holds no clock: who drives it decides when to Advance.
type Control interface {
	// Phase returns the present phase.
	Phase() Phase
	// Instruction returns what a member is asked in the present phase. asked is
	// false for a member that is not part of it (any more).
	Instruction(member int) (body []byte, asked bool)
	// Receive takes a member's answer in the present phase. A refused answer
	// changes nothing. One that repeats the accepted one is accepted again.
	Receive(member int, body []byte) error
	// Waiting lists the members asked that have not answered, in order.
	Waiting() []int
	// Advance closes the phase with the answers there are and enters the next. An
	// error ends the attempt; if it is a *Blame it names the culprits.
	Advance() error
	// Survivors returns the members in each bucket's sum, known after the upload phase.
	Survivors() [][]int
	// Opening returns what the accumulator needs, in PhaseOpen. It is secret, and
	// may be heavy to rebuild. It changes nothing, and may run concurrently with
	// Phase and Survivors.
	Opening() (Opening, error)
}

// Opening is a scheme's secret for unmasking the accumulated sums of one attempt.
type Opening interface {
	// Erase destroys it.
	Erase()
}

// Sum is one opened bucket.
type Sum struct {
	Members []int
	// Words are the summed vectors in Z_{2^w}, reduced: Session.Words of them.
	Words []uint32
}

// Pieces is how an upload is cut: Count pieces of Size bytes, the last one
// shorter, Total bytes in all.
type Pieces struct {
	Count int
	Size  int
	Total int64
}

// Len returns the exact length of piece i, which must be in 0..Count-1.
func (p Pieces) Len(i int) int {
	if i == p.Count-1 {
		return int(p.Total - int64(i)*int64(p.Size))
	}
	return p.Size
}

// Accumulator adds uploads and opens their sums. Calls on different pieces may be
// concurrent; calls on one piece may not. Memory is O(words * buckets), whatever
// the number of clients.
type Accumulator interface {
	// Pieces returns how uploads of this attempt are cut.
	Pieces() Pieces
	// Check reports whether p is a well-formed piece of an upload. A whole upload
	// is checked before any piece of it is added.
	Check(piece int, p []byte) error
	// Add adds a checked piece to a bucket's sum.
	Add(bucket, piece int, p []byte) error
	// Snapshot writes the sums so far; Merge adds what Snapshot wrote.
	Snapshot(w io.Writer) error
	Merge(r io.Reader) error
	// Unmask removes the masks from one piece of all buckets; once for each piece.
	Unmask(o Opening, piece int) error
	// Sums checks and returns the opened sums after all pieces were unmasked. The
	// accumulator must not be used afterwards.
	Sums(o Opening) ([]Sum, error)
}

// Blame is an attempt's failure that the named members caused.
type Blame struct {
	Members []int
	Err     error
}

// Error renders the cause.
func (b *Blame) Error() string { return b.Err.Error() }

// Unwrap returns the cause.
func (b *Blame) Unwrap() error { return b.Err }

// Refusals that schemes share.
var (
	ErrTombstone  = fault.New(fault.Conflict, "secagg/tombstone", "this attempt was begun before a restart and cannot be resumed", "wait for the next round")
	ErrDead       = fault.New(fault.Aborted, "secagg/dead", "this party left the attempt", "wait for the next round")
	ErrPhase      = fault.New(fault.Conflict, "secagg/phase", "message belongs to another phase", "repeat only the latest answer")
	ErrRepeated   = fault.New(fault.Conflict, "secagg/repeated", "a different answer was already given in this phase", "repeat the first answer or leave")
	ErrNotAsked   = fault.New(fault.Conflict, "secagg/not-asked", "this member is not part of the phase", "wait for the next round")
	ErrTooFew     = fault.New(fault.Aborted, "secagg/too-few", "fewer clients are left than a sum may hold", "the attempt is abandoned; invite more or allow more time")
	ErrMembership = fault.New(fault.Refused, "secagg/membership", "this client is not in the set it is asked to agree to", "the coordinator is faulty or dishonest: leave the round")
	ErrVector     = fault.New(fault.Invalid, "secagg/vector", "vector has another length or word width than the session", "encode it with the session's parameters")
	ErrPiece      = fault.New(fault.Invalid, "secagg/piece", "upload piece has the wrong length or content", "upload the sealed bytes unchanged")
	ErrUpload     = fault.New(fault.Invalid, "secagg/upload", "upload does not match its commit frame", "upload the sealed bytes unchanged")
	ErrSession    = fault.New(fault.Refused, "secagg/session", "session parameters are not acceptable", "correct the plan")
)
