package secagg

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/choir-fl/choir/fault"
)

// Digest is a SHA-256 value.
type Digest [32]byte

// String returns the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Hash digests parts under a label, each with its length before it, so that no
// two different lists of parts share an encoding.
func Hash(label string, parts ...[]byte) Digest {
	var e Encoder
	e.String(1, label)
	e.List(2, parts)
	return sha256.Sum256(e.Encoded())
}

// Role is a part that a party plays in a scheme.
type Role uint8

const (
	// RoleClient contributes an update.
	RoleClient Role = 1
	// RoleDecryptor is a member of a committee that opens sums.
	RoleDecryptor Role = 2
)

// PartyID is the name under which a party was enrolled: 1 to 64 characters of
// a-z, 0-9, '.', '_' and '-', beginning with a letter or digit.
type PartyID string

// MaxPartyID is the longest party name in bytes.
const MaxPartyID = 64

// Valid reports whether the name has the form above.
func (id PartyID) Valid() bool {
	if len(id) == 0 || len(id) > MaxPartyID {
		return false
	}
	for i, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && strings.IndexByte("._-", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// Identity is an enrolled party: its name, its Ed25519 key and the enrolment
// authority's signature over both.
type Identity struct {
	ID         PartyID
	Key        [ed25519.PublicKeySize]byte
	Credential [ed25519.SignatureSize]byte
}

var (
	// ErrIdentity refuses an identity whose name or credential is not valid.
	ErrIdentity = fault.New(fault.Unauthenticated, "secagg/identity", "identity is not enrolled by the pinned authority", "enrol the party again")
	// ErrRoster refuses a roster that is empty, unsorted, or names a party or key twice.
	ErrRoster = fault.New(fault.Invalid, "secagg/roster", "roster is empty, unsorted or repeats a party or key", "the coordinator is faulty or dishonest: leave the round")
)

func enrolmentStatement(id PartyID, key []byte) []byte {
	d := Hash("choir enrolment/1", []byte(id), key)
	return d[:]
}

// Enrol signs an identity with the authority's key.
func Enrol(authority ed25519.PrivateKey, id PartyID, key ed25519.PublicKey) Identity {
	out := Identity{ID: id}
	copy(out.Key[:], key)
	copy(out.Credential[:], ed25519.Sign(authority, enrolmentStatement(id, key)))
	return out
}

// Verify checks the name's form and the credential against the authority.
func (i Identity) Verify(authority ed25519.PublicKey) error {
	if !i.ID.Valid() || len(authority) != ed25519.PublicKeySize ||
		!ed25519.Verify(authority, enrolmentStatement(i.ID, i.Key[:]), i.Credential[:]) {
		return ErrIdentity.At("party %q", i.ID)
	}
	return nil
}

func (i Identity) encode() []byte {
	var e Encoder
	e.String(1, string(i.ID))
	e.Bytes(2, i.Key[:])
	e.Bytes(3, i.Credential[:])
	return e.Encoded()
}

// Encode returns the canonical encoding.
func (i Identity) Encode() []byte { return i.encode() }

// DecodeIdentity parses what Encode wrote and checks the name's form.
func DecodeIdentity(b []byte) (Identity, error) {
	d := NewDecoder(b)
	var i Identity
	i.ID = PartyID(d.String(1))
	d.Fixed(2, i.Key[:])
	d.Fixed(3, i.Credential[:])
	if err := d.Close(); err != nil {
		return Identity{}, err
	}
	if !i.ID.Valid() || !bytes.Equal(i.encode(), b) {
		return Identity{}, ErrEncoding.At("identity")
	}
	return i, nil
}

// Roster is the ordered list of the parties admitted to an attempt: sorted by
// name, no name or key twice. A party's index in it is its short name in all
// messages of the attempt. Immutable; safe for concurrent use.
type Roster struct {
	members []Identity
	root    Digest
}

// MaxRoster is the most parties one attempt may admit. A roster of that many
// parties with the longest names fits into a message, with room to spare.
const MaxRoster = 1 << 16

// NewRoster sorts and checks identities.
func NewRoster(members []Identity) (Roster, error) {
	m := slices.Clone(members)
	slices.SortFunc(m, func(a, b Identity) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return sortedRoster(m)
}

func sortedRoster(m []Identity) (Roster, error) {
	if len(m) == 0 || len(m) > MaxRoster {
		return Roster{}, ErrRoster.At("%d members", len(m))
	}
	keys := make(map[[ed25519.PublicKeySize]byte]bool, len(m))
	items := make([][]byte, len(m))
	for i, id := range m {
		if i > 0 && m[i-1].ID >= id.ID || keys[id.Key] {
			return Roster{}, ErrRoster.At("member %q", id.ID)
		}
		keys[id.Key] = true
		items[i] = id.encode()
	}
	return Roster{members: m, root: Hash("choir roster/1", items...)}, nil
}

// Len returns the number of members.
func (r Roster) Len() int { return len(r.members) }

// At returns member i.
func (r Roster) At(i int) Identity { return r.members[i] }

// Root is the digest that the context binds.
func (r Roster) Root() Digest { return r.root }

// Index returns a party's index, or -1.
func (r Roster) Index(id PartyID) int {
	i, ok := slices.BinarySearchFunc(r.members, id, func(m Identity, id PartyID) int { return strings.Compare(string(m.ID), string(id)) })
	if !ok {
		return -1
	}
	return i
}

// Encode returns the canonical encoding.
func (r Roster) Encode() []byte {
	items := make([][]byte, len(r.members))
	for i, m := range r.members {
		items[i] = m.encode()
	}
	var e Encoder
	e.List(1, items)
	return e.Encoded()
}

// DecodeRoster parses what Encode wrote; a roster that is not sorted and unique
// is refused.
func DecodeRoster(b []byte) (Roster, error) {
	d := NewDecoder(b)
	items := d.List(1, MaxRoster)
	if err := d.Close(); err != nil {
		return Roster{}, err
	}
	members := make([]Identity, len(items))
	for i, it := range items {
		id, err := DecodeIdentity(it)
		if err != nil {
			return Roster{}, err
		}
		members[i] = id
	}
	return sortedRoster(members)
}
