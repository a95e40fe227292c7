// Package plain is the scheme without protection: clients upload their encoded
// vectors as they are and the coordinator adds them. It is the reference that
// every other scheme must equal bit for bit, and is for simulation, for tests and
// for coordinators that are trusted with every single update.
//
// Its phases are upload and open. It demands nothing of the session, has no
// parameters, and no secrets.
package plain

import (
	"crypto/ed25519"
	"io"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/bucketed"
	"github.com/choir-fl/choir/secagg/field"
)

// Name is the scheme's name in plans.
const Name = "plain"

// Scheme implements secagg.ClientScheme and secagg.ServerScheme.
type Scheme struct {
	// Partition is the bucket of each member of a session with several; nil for the
	// partition of package bucketed. It lets the reference open the very buckets of
	// the scheme that it is compared with.
	Partition func(secagg.Session) []int
}

func (p Scheme) partition(s secagg.Session) []int {
	if p.Partition != nil {
		return p.Partition(s)
	}
	return bucketed.Partition(s)
}

// Name returns "plain".
func (Scheme) Name() string { return Name }

// Roles returns the client alone.
func (Scheme) Roles() []secagg.Role { return []secagg.Role{secagg.RoleClient} }

// Views returns all: the sum, the means of buckets, and single vectors, which are the
// sums of buckets of one client each.
func (Scheme) Views() []secagg.View {
	return []secagg.View{secagg.ViewSum, secagg.ViewBucketMeans, secagg.ViewVectors}
}

// Configure implements secagg.ServerScheme: it has no parameters, and refuses only
// what it does not know.
func (Scheme) Configure(p secagg.Policy) ([]byte, error) {
	if p.Committee.Len() != 0 || p.View == secagg.ViewSum && p.Buckets != (secagg.Buckets{}) {
		return nil, errParameters.At("a committee or a fallback")
	}
	if p.View == secagg.ViewVectors && p.Buckets != secagg.Each() {
		return nil, errParameters.At("view vectors with buckets of %d", p.Buckets.Size)
	}
	return nil, nil
}

// Honest implements secagg.HonestScheme: the fewest clients in a sum, less all that are
// corrupt. It holds against those who see sums; the coordinator sees each vector.
func (Scheme) Honest(p secagg.Policy) (int, error) {
	minimum := p.Minimum
	if p.View == secagg.ViewBucketMeans || p.View == secagg.ViewVectors {
		minimum = p.Buckets.Minimum
	}
	return max(0, minimum-secagg.ShareOf(p.Clients, p.Corrupt)), nil
}

// HonestInSum implements secagg.HonestSession, likewise.
func (Scheme) HonestInSum(s secagg.Session, _ int, _ float64) (int, error) {
	return s.BucketMinimum, nil
}

// FairPartition implements secagg.HonestScheme: the coordinator, which has a say in it,
// is trusted; an attempt is another draw, and there are at most 8.
func (Scheme) FairPartition() (bits int, fair bool) { return 3, true }

// Chance implements secagg.HonestScheme.
func (Scheme) Chance(secagg.Policy) float64 { return 0 }

// Hides implements secagg.HonestScheme: it hides nothing.
func (Scheme) Hides() bool { return false }

var errParameters = fault.New(fault.Refused, "plain/parameters", "scheme plain takes no parameters", "remove them from the plan")

func check(s secagg.Session) error {
	if len(s.Binding.Parameters) != 0 {
		return errParameters
	}
	if s.Words < 1 || field.PackedLen(s.Words, s.WordBits) < 0 || s.Minimum < 1 || s.Minimum > s.Roster.Len() {
		return secagg.ErrSession.At("%d words, minimum %d of %d", s.Words, s.Minimum, s.Roster.Len())
	}
	return nil
}

// instruction is the only one a plain client gets.
var instruction = []byte("upload")

type party struct {
	session secagg.Session
	self    int
	key     ed25519.PrivateKey
	commit  []byte // set once sealed
	dead    bool
}

// NewParty implements secagg.ClientScheme. coins are not used.
func (p Scheme) NewParty(s secagg.Session, self int, key ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	if s.Buckets > 1 {
		return bucketed.NewParty(p, s, self, p.partition(s), key, coins)
	}
	if err := check(s); err != nil {
		return nil, err
	}
	return &party{session: s, self: self, key: key}, nil
}

// ResumeParty implements secagg.ClientScheme: the record is the commit frame.
func (p Scheme) ResumeParty(s secagg.Session, self int, key ed25519.PrivateKey, record []byte) (secagg.Party, error) {
	if s.Buckets > 1 {
		return bucketed.ResumeParty(p, s, self, p.partition(s), key, record)
	}
	if err := check(s); err != nil {
		return nil, err
	}
	if _, err := secagg.OpenCommit(s.Roster.At(self), s.Context, record); err != nil {
		return nil, secagg.ErrTombstone
	}
	return &party{session: s, self: self, key: key, commit: record}, nil
}

func (p *party) Step(body []byte) (secagg.Reply, error) {
	if p.dead {
		return secagg.Reply{}, secagg.ErrDead
	}
	if string(body) != string(instruction) {
		return secagg.Reply{}, secagg.ErrPhase
	}
	if p.commit != nil {
		return secagg.Reply{Message: p.commit, Record: p.commit}, nil
	}
	return secagg.Reply{Seal: true}, nil
}

func (p *party) Seal(vector []uint32, out io.Writer) (secagg.Reply, error) {
	if p.dead {
		return secagg.Reply{}, secagg.ErrDead
	}
	if p.commit != nil {
		return secagg.Reply{}, secagg.ErrRepeated
	}
	defer clear(vector)
	if err := p.checkVector(vector); err != nil {
		p.dead = true
		return secagg.Reply{}, err
	}
	w := secagg.NewCommitWriter(out)
	pieces := piecesOf(p.session)
	buf := make([]byte, pieces.Size)
	for i := range pieces.Count {
		b := buf[:pieces.Len(i)]
		err := field.Pack(b, words(vector, i), p.session.WordBits)
		if err == nil {
			_, err = w.Write(b)
		}
		if err != nil {
			p.dead = true
			return secagg.Reply{}, err
		}
	}
	p.commit = secagg.SignCommit(p.key, p.session.Context, w.Commit())
	return secagg.Reply{Message: p.commit, Record: p.commit}, nil
}

func (p *party) checkVector(vector []uint32) error {
	if len(vector) != p.session.Words {
		return secagg.ErrVector.At("%d words for %d", len(vector), p.session.Words)
	}
	var all uint32
	for _, v := range vector {
		all |= v
	}
	if uint64(all)>>p.session.WordBits != 0 {
		return secagg.ErrVector.At("a word of more than %d bits", p.session.WordBits)
	}
	return nil
}

func (p *party) Erase() { p.dead = true }

// words returns the part of a vector that piece i carries.
func words(vector []uint32, i int) []uint32 {
	return vector[i*field.ChunkWords : min((i+1)*field.ChunkWords, len(vector))]
}

func piecesOf(s secagg.Session) secagg.Pieces {
	total := field.PackedLen(s.Words, s.WordBits)
	return secagg.Pieces{Count: field.ChunkCount(s.Words), Size: min(field.PackedLen(field.ChunkWords, s.WordBits), total), Body: int64(total)}
}

type control struct {
	session secagg.Session
	phase   secagg.Phase
	commits [][]byte // accepted commit frames by member
	ready   []int
}

var (
	phaseUpload = secagg.Phase{Name: "upload", Kind: secagg.PhaseUpload}
	phaseOpen   = secagg.Phase{Name: "open", Kind: secagg.PhaseOpen}
)

// NewControl implements secagg.ServerScheme.
func (p Scheme) NewControl(s secagg.Session) (secagg.Control, error) {
	if s.Buckets > 1 {
		return bucketed.NewControl(p, s, p.partition(s))
	}
	if err := check(s); err != nil {
		return nil, err
	}
	return &control{session: s, phase: phaseUpload, commits: make([][]byte, s.Roster.Len())}, nil
}

func (c *control) Phase() secagg.Phase { return c.phase }

func (c *control) Instruction(member int) ([]byte, bool) {
	if c.phase != phaseUpload || member < 0 || member >= len(c.commits) {
		return nil, false
	}
	return instruction, true
}

func (c *control) Receive(member int, frame []byte) (bool, error) {
	if member < 0 || member >= len(c.commits) {
		return false, secagg.ErrNotAsked
	}
	if old := c.commits[member]; old != nil {
		if string(old) == string(frame) {
			return false, nil
		}
		return false, secagg.ErrRepeated
	}
	if c.phase != phaseUpload {
		return false, secagg.ErrPhase
	}
	commit, err := secagg.OpenCommit(c.session.Roster.At(member), c.session.Context, frame)
	if err != nil {
		return false, err
	}
	if commit.Size != piecesOf(c.session).Total() {
		return false, secagg.ErrUpload.At("%d bytes", commit.Size)
	}
	c.commits[member] = frame
	c.ready = append(c.ready, member)
	return true, nil
}

func (c *control) Ready() []int {
	out := c.ready
	c.ready = nil
	return out
}

func (c *control) Bucket(int) int { return 0 }

func (c *control) Waiting() []int {
	var out []int
	if c.phase == phaseUpload {
		for i, f := range c.commits {
			if f == nil {
				out = append(out, i)
			}
		}
	}
	return out
}

func (c *control) Survivors() [][]int {
	var u []int
	for i, f := range c.commits {
		if f != nil {
			u = append(u, i)
		}
	}
	return [][]int{u}
}

func (c *control) Advance() error {
	if c.phase != phaseUpload {
		return secagg.ErrPhase
	}
	if n := len(c.Survivors()[0]); n < c.session.Minimum {
		return secagg.ErrTooFew.At("phase upload: %d of at least %d", n, c.session.Minimum)
	}
	c.phase = phaseOpen
	return nil
}

type opening struct{ survivors []int }

func (opening) Liars() []int { return nil }

func (opening) Erase() {}

func (c *control) Opening() (secagg.Opening, error) {
	if c.phase != phaseOpen {
		return nil, secagg.ErrPhase
	}
	return opening{c.Survivors()[0]}, nil
}
