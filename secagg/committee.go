package secagg

import (
	"crypto/ed25519"
	"slices"
	"strings"

	"github.com/choir-fl/choir/fault"
)

// Sizes of a committee (DESIGN section 6).
const (
	MinCommittee = 4
	MaxCommittee = 16
)

// ErrCommittee refuses a committee, or what its members announced, that an attempt
// cannot use.
var ErrCommittee = fault.New(fault.Refused, "secagg/committee", "committee is not acceptable", "correct the committee file, or wait for its members")

// Decryptor is a member of a committee: an organisation, its long-lived key, and
// its own signature over both under the committee's name.
type Decryptor struct {
	ID        PartyID
	Key       [ed25519.PublicKeySize]byte
	Signature [ed25519.SignatureSize]byte
}

const committeeLabel = "choir committee member/1"

func (d Decryptor) statement(committee string) []byte {
	h := Hash(committeeLabel, []byte(committee), []byte(d.ID), d.Key[:])
	return h[:]
}

// Join signs a member's entry in the committee of the given name.
func Join(key ed25519.PrivateKey, committee string, id PartyID) Decryptor {
	d := Decryptor{ID: id, Key: [ed25519.PublicKeySize]byte(key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])}
	copy(d.Signature[:], ed25519.Sign(key, d.statement(committee)))
	return d
}

// Verify checks the member's signature on its entry.
func (d Decryptor) Verify(committee string) error {
	if !d.ID.Valid() || !ed25519.Verify(d.Key[:], d.statement(committee), d.Signature[:]) {
		return ErrCommittee.At("member %q", d.ID)
	}
	return nil
}

// VerifyStatement checks what Sign made against the member's key.
func (d Decryptor) VerifyStatement(sig []byte, label string, context Digest, parts ...[]byte) error {
	return Identity{ID: d.ID, Key: d.Key}.VerifyStatement(sig, label, context, parts...)
}

// decryptorPrefix is no part of any PartyID, so that a committee member is never
// taken for a client of the same name.
const decryptorPrefix = "decryptor:"

// Address is the name under which the round machine knows a committee member.
func (d Decryptor) Address() PartyID { return DecryptorAddress(d.ID) }

// DecryptorAddress is the address of the committee member of that name.
func DecryptorAddress(id PartyID) PartyID { return decryptorPrefix + id }

// DecryptorID returns the name of the committee member with an address. ok is false
// for a client's name.
func DecryptorID(address PartyID) (id PartyID, ok bool) {
	name, ok := strings.CutPrefix(string(address), decryptorPrefix)
	return PartyID(name), ok
}

// Committee is the ordered list of the decryptors that open a job's sums: 4 to 16,
// sorted by name, no name or key twice, each entry signed by its member. Up to
// Corrupt of them may collude with the coordinator. The zero Committee has no
// members. Immutable; safe for concurrent use.
type Committee struct {
	name    string
	corrupt int
	members []Decryptor
	root    Digest
}

// NewCommittee sorts and checks a committee. corrupt is at least 1, and at most
// (len(members)-1)/3, so that as many may be absent or lie and sums still open.
func NewCommittee(name string, members []Decryptor, corrupt int) (Committee, error) {
	m := slices.Clone(members)
	slices.SortFunc(m, func(a, b Decryptor) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return sortedCommittee(name, m, corrupt)
}

func sortedCommittee(name string, m []Decryptor, corrupt int) (Committee, error) {
	switch {
	case !PartyID(name).Valid():
		return Committee{}, ErrCommittee.At("name %.70q", name)
	case len(m) < MinCommittee || len(m) > MaxCommittee:
		return Committee{}, ErrCommittee.At("committee %s: %d members, not %d to %d", name, len(m), MinCommittee, MaxCommittee)
	case corrupt < 1 || corrupt > (len(m)-1)/3:
		return Committee{}, ErrCommittee.At("committee %s: %d of %d members corrupt, not 1 to %d", name, corrupt, len(m), (len(m)-1)/3)
	}
	c := Committee{name: name, corrupt: corrupt, members: m}
	keys := map[[ed25519.PublicKeySize]byte]bool{}
	for i, d := range m {
		if i > 0 && m[i-1].ID >= d.ID || keys[d.Key] {
			return Committee{}, ErrCommittee.At("committee %s: member %q is out of order or there twice", name, d.ID)
		}
		if err := d.Verify(name); err != nil {
			return Committee{}, err
		}
		keys[d.Key] = true
	}
	c.root = Hash("choir committee/1", c.Encode())
	return c, nil
}

// Name is the committee's name.
func (c Committee) Name() string { return c.name }

// Len returns the number of members; zero for the zero Committee.
func (c Committee) Len() int { return len(c.members) }

// At returns member j.
func (c Committee) At(j int) Decryptor { return c.members[j] }

// Corrupt is c, the most members that may collude with the coordinator.
func (c Committee) Corrupt() int { return c.corrupt }

// Quorum is q, the fewest members whose word counts: the least integer above
// (m+c)/2, so that two quorums share an honest member; zero for the zero Committee.
func (c Committee) Quorum() int {
	if len(c.members) == 0 {
		return 0
	}
	return (len(c.members)+c.corrupt)/2 + 1
}

// Root is the digest that clients pin.
func (c Committee) Root() Digest { return c.root }

// Index returns the index of the member of that name, or -1.
func (c Committee) Index(id PartyID) int {
	return slices.IndexFunc(c.members, func(d Decryptor) bool { return d.ID == id })
}

// Encode returns the canonical encoding; nil for the zero Committee.
func (c Committee) Encode() []byte {
	items := make([][]byte, len(c.members))
	for i, d := range c.members {
		items[i] = Identity{ID: d.ID, Key: d.Key, Credential: d.Signature}.encode()
	}
	var e Encoder
	e.String(1, c.name)
	e.Uint(2, uint64(c.corrupt))
	e.List(3, items)
	return e.Encoded()
}

// DecodeCommittee parses what Encode wrote and checks all signatures. Empty bytes
// are the zero Committee.
func DecodeCommittee(b []byte) (Committee, error) {
	if len(b) == 0 {
		return Committee{}, nil
	}
	d := NewDecoder(b)
	name, corrupt, items := d.String(1), d.Int(2, MaxCommittee), d.List(3, MaxCommittee)
	if err := d.Close(); err != nil {
		return Committee{}, err
	}
	members := make([]Decryptor, len(items))
	for i, it := range items {
		id, err := DecodeIdentity(it)
		if err != nil {
			return Committee{}, err
		}
		members[i] = Decryptor{ID: id.ID, Key: id.Key, Signature: id.Credential}
	}
	return sortedCommittee(name, members, corrupt)
}

// maxAnnouncement bounds what one committee member announces, in bytes.
const maxAnnouncement = 4096

// Announcement is what a committee member said before the context of an attempt was
// fixed. The zero Announcement is that of a member that said nothing.
type Announcement struct {
	// Body is the scheme's; empty if the member is not there.
	Body []byte
	// LeftOut says that the member's randomness does not count in this attempt,
	// because it held it back in an earlier one.
	LeftOut bool
}

// Announcements are those of a whole committee, by index.
type Announcements []Announcement

// Present lists the members that announced.
func (a Announcements) Present() []int {
	var out []int
	for j, x := range a {
		if len(x.Body) > 0 {
			out = append(out, j)
		}
	}
	return out
}

// Encode returns the canonical encoding; nil if there is no committee.
func (a Announcements) Encode() []byte {
	items := make([][]byte, len(a))
	for j, x := range a {
		var e Encoder
		e.Bytes(1, x.Body)
		e.Bool(2, x.LeftOut)
		items[j] = e.Encoded()
	}
	var e Encoder
	e.List(1, items)
	return e.Encoded()
}

// DecodeAnnouncements parses what Encode wrote. Empty bytes are no announcements.
func DecodeAnnouncements(b []byte) (Announcements, error) {
	if len(b) == 0 {
		return nil, nil
	}
	d := NewDecoder(b)
	items := d.List(1, MaxCommittee)
	if err := d.Close(); err != nil {
		return nil, err
	}
	a := make(Announcements, len(items))
	for j, it := range items {
		d := NewDecoder(it)
		a[j] = Announcement{Body: d.Bytes(1), LeftOut: d.Bool(2)}
		if err := d.Close(); err != nil {
			return nil, err
		}
		if len(a[j].Body) > maxAnnouncement {
			return nil, ErrEncoding.At("announcement of %d bytes", len(a[j].Body))
		}
	}
	return a, nil
}

// Root is what the context binds of a committee and its announcements
// (Binding.Committee): zero without one.
func (a Announcements) Root(c Committee) Digest {
	if c.Len() == 0 {
		return Digest{}
	}
	return Hash("choir announcements/1", c.root[:], a.Encode())
}
