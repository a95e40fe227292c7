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
	// Committee opens the sums, where the scheme has one; Announcements are what its
	// members said before the context was fixed, by index.
	Committee     Committee
	Announcements Announcements
	// Minimum is the fewest clients in all opened sums together; at least 1.
	Minimum int
	// Buckets is the number of sums, at least 1, and BucketMinimum the fewest
	// clients in each that is opened. A smaller bucket is left out.
	Buckets, BucketMinimum int
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

// Parties is the number of those that an attempt asks: the clients, by roster
// index, then the members of the committee, from Roster.Len() on.
func (s Session) Parties() int { return s.Roster.Len() + s.Committee.Len() }

// Party returns the address of a party by its number.
func (s Session) Party(i int) PartyID {
	if n := s.Roster.Len(); i >= n {
		return s.Committee.At(i - n).Address()
	}
	return s.Roster.At(i).ID
}

// Number returns the number of the party with an address, or -1.
func (s Session) Number(address PartyID) int {
	id, decryptor := DecryptorID(address)
	if !decryptor {
		return s.Roster.Index(address)
	}
	if j := s.Committee.Index(id); j >= 0 {
		return s.Roster.Len() + j
	}
	return -1
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
	// View is what is opened. Buckets divides the cohort under ViewBucketMeans, and
	// under ViewSum in attempts that fall back on it; zero if there are none.
	View    View
	Buckets Buckets
	// Committee opens the sums; zero if the plan names none.
	Committee Committee
	// Words and WordBits are those of the session.
	Words, WordBits int
}

// ShareOf is how many of n clients a share in parts per million is: ceil(n * share). n is
// at most MaxRoster, and the share below a million.
func ShareOf(n, share int) int { return (n*share + 999_999) / 1_000_000 }

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
	// Letters asks a committee member's driver for letters, from the one numbered
	// From on: the next call is CommitteeParty.Letters.
	Letters bool
	From    int
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

// CommitteeScheme makes a committee member's half of a scheme that has a committee.
// Implementations are stateless and safe for concurrent use.
type CommitteeScheme interface {
	// Name is the scheme's name in plans.
	Name() string
	// Announce begins an attempt for the member at index self: the reply's Message
	// is its announcement. coins must be cryptographically secure and is read now.
	Announce(round RoundID, c Committee, self int, keys DecryptorKeys, coins io.Reader) (Reply, error)
	// NewCommitteeParty goes on once the session is known, from the attempt's latest
	// Reply.Record: after a restart as well as without one.
	NewCommitteeParty(s Session, self int, keys DecryptorKeys, record []byte) (CommitteeParty, error)
}

// DecryptorKeys are a committee member's secrets. Epochs are the seeds of the keys
// that clients encrypt to, newest last; a member keeps an old one as long as
// attempts that began under it may go on, and then erases it.
type DecryptorKeys struct {
	Sign   ed25519.PrivateKey
	Epochs []EpochSeed
}

// EpochSeed is the secret of one epoch of a committee member.
type EpochSeed struct {
	Number uint64 // from 1, rising
	Seed   [32]byte
}

// CommitteeParty is a committee member's half of one attempt. Not safe for
// concurrent use. It gives one answer to an attempt, whatever it is asked: what it
// signed is in its records, which must be durable before its messages leave.
type CommitteeParty interface {
	// Step answers one instruction, as Party.Step does. After an error of another
	// class than Conflict the instruction was not obeyed and never will be; the
	// member may still obey another one.
	Step(instruction []byte) (Reply, error)
	// Letters reads letters from the number on that the latest Reply.From named, to
	// the end of r, and returns the answer to them, if there is one yet. It may be
	// called again with those that follow, which Reply.From then numbers. An error
	// of r itself changes nothing.
	Letters(r io.Reader) (Reply, error)
	// Erase destroys all secrets.
	Erase()
}

// CommitteeServer is what a ServerScheme with a committee also is.
type CommitteeServer interface {
	// CheckAnnouncement refuses an announcement that an attempt cannot use.
	CheckAnnouncement(round RoundID, c Committee, member int, body []byte) error
}

// Control is the coordinator's half of one attempt: a deterministic state machine
// over small canonical messages. Parties are numbered as Session.Party does; those
// numbered below Roster.Len() are the members, who upload. Not safe for concurrent
// use. It holds no clock: who drives it decides when to Advance.
type Control interface {
	// Phase returns the present phase.
	Phase() Phase
	// Instruction returns what a party is asked in the present phase. asked is
	// false for a party that is not part of it (any more).
	Instruction(party int) (body []byte, asked bool)
	// Receive takes a party's answer in the present phase. A refused answer
	// changes nothing. One that was accepted before is accepted again; fresh says
	// that it was not.
	Receive(party int, body []byte) (fresh bool, err error)
	// Waiting lists the parties without whose answers the phase is not complete, in
	// order.
	Waiting() []int
	// Advance closes the phase with the answers there are and enters the next. An
	// error ends the attempt; if it is a *Blame it names the culprits.
	Advance() error
	// Ready returns the members whose uploads may be added to their buckets' sums
	// now, and that no earlier call returned.
	Ready() []int
	// Bucket returns the bucket of a member, known from the upload phase on.
	Bucket(member int) int
	// Survivors returns the members in each bucket's sum: nil until they are known,
	// and a nil entry for a bucket that is not opened.
	Survivors() [][]int
	// Opening returns what the accumulator needs, in PhaseOpen. It is secret, and
	// may be heavy to rebuild. It changes nothing, and may run concurrently with
	// Phase and Survivors.
	Opening() (Opening, error)
}

// Opening is a scheme's secret for unmasking the accumulated sums of one attempt.
type Opening interface {
	// Liars lists the parties whose answers were found wrong, and corrected.
	Liars() []int
	// Erase destroys it.
	Erase()
}

// Sum is one opened bucket.
type Sum struct {
	Bucket  int
	Members []int
	// Words are the summed vectors in Z_{2^w}, reduced: Session.Words of them.
	Words []uint32
	// Spoiled says why there are no words: somebody's contribution was no vector,
	// and nobody can tell whose.
	Spoiled error
}

// Pieces is how an upload is cut: Count pieces of Size bytes, the last one shorter,
// Body bytes in all, which are added to a sum; then Letters letters of LetterSize
// bytes, which are for the members of the committee that announced, in their order.
type Pieces struct {
	Count, Size         int
	Body                int64
	Letters, LetterSize int
}

// Len returns the exact length of piece i, which must be in 0..Count-1.
func (p Pieces) Len(i int) int {
	if i == p.Count-1 {
		return int(p.Body - int64(i)*int64(p.Size))
	}
	return p.Size
}

// Post is the length of all letters.
func (p Pieces) Post() int { return p.Letters * p.LetterSize }

// Total is the length of the whole upload.
func (p Pieces) Total() int64 { return p.Body + int64(p.Post()) }

// Accumulator adds uploads and opens their sums. Check may be called at any time;
// other calls on different pieces may be concurrent, those on one piece may not.
// Memory is O(words * buckets), whatever the number of clients.
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
	// Sums checks and returns the sums of the buckets that are opened, in their
	// order, after all pieces were unmasked. The accumulator must not be used
	// afterwards.
	Sums(o Opening) ([]Sum, error)
}

// Blame is an attempt's failure that the named parties caused.
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
	ErrSpoiled    = fault.New(fault.Aborted, "secagg/spoiled", "sum holds what is no client's vector", "the attempt is abandoned; bucket means lose only the bucket")
	ErrSession    = fault.New(fault.Refused, "secagg/session", "session parameters are not acceptable", "correct the plan")
)
