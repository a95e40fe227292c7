package pairwise

import (
	"crypto/ed25519"
	"slices"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise/shamir"
)

// Phases of an attempt, in order.
const (
	phaseAdvertise = 1 + iota
	phaseChoose
	phaseShare
	phaseUpload
	phaseAgree
	phaseUnmask
	phaseOpen
)

var phases = [...]secagg.Phase{
	phaseAdvertise: {Name: "advertise", Kind: secagg.PhaseExchange},
	phaseChoose:    {Name: "choose", Kind: secagg.PhaseExchange},
	phaseShare:     {Name: "share", Kind: secagg.PhaseExchange},
	phaseUpload:    {Name: "upload", Kind: secagg.PhaseUpload},
	phaseAgree:     {Name: "agree", Kind: secagg.PhaseExchange},
	phaseUnmask:    {Name: "unmask", Kind: secagg.PhaseUnmask},
	phaseOpen:      {Name: "open", Kind: secagg.PhaseOpen},
}

// Labels of the signed statements.
const (
	labelAdvertise = "pairwise advertise"
	labelChoose    = "pairwise choose"
	labelShare     = "pairwise share"
	labelAgree     = "pairwise agree"
)

const signatureSize = ed25519.SignatureSize

// envelope wraps the body of an instruction or message: which attempt and phase it is of.
func envelope(context secagg.Digest, phase int, body []byte) []byte {
	return secagg.WrapPhase(context, phase, body)
}

func openEnvelope(b []byte) (context secagg.Digest, phase int, body []byte, err error) {
	return secagg.OpenPhase(b, phaseUnmask)
}

// advertisement is a member's answer in phase advertise.
type advertisement struct {
	mask, channel []byte // packed X-Wing public keys
	commitment    []byte // H(b)
	signature     []byte
}

func (m *advertisement) signed() [][]byte { return [][]byte{m.mask, m.channel, m.commitment} }

func (m *advertisement) encode() []byte {
	var e secagg.Encoder
	e.Bytes(1, m.mask)
	e.Bytes(2, m.channel)
	e.Bytes(3, m.commitment)
	e.Bytes(4, m.signature)
	return e.Encoded()
}

func decodeAdvertisement(b []byte) (m advertisement, err error) {
	d := secagg.NewDecoder(b)
	m = advertisement{d.Bytes(1), d.Bytes(2), d.Bytes(3), d.Bytes(4)}
	return m, closed(d, len(m.mask) == publicKeySize && len(m.channel) == publicKeySize &&
		len(m.commitment) == len(secagg.Digest{}) && len(m.signature) == signatureSize, "advertisement")
}

// digestAdvertisement is H(advertisement), which the list of phase choose holds.
func digestAdvertisement(body []byte) secagg.Digest {
	return secagg.Hash("pairwise/1 advertisement", body)
}

// listing is the instruction of phase choose: who advertised what.
type listing struct {
	members set
	digests []byte // of the members' advertisements, in order
}

func (m *listing) encode() []byte {
	var e secagg.Encoder
	e.Bytes(1, m.members)
	e.Bytes(2, m.digests)
	return e.Encoded()
}

func decodeListing(b []byte, n int) (m listing, err error) {
	d := secagg.NewDecoder(b)
	members, digests := d.Bytes(1), d.Bytes(2)
	m.members, m.digests = membersOf(members, n), digests
	return m, closed(d, m.members != nil && len(digests) == m.members.count()*len(secagg.Digest{}), "list of advertisements")
}

// root is A, the digest of the list that every later statement names.
func (m *listing) root() secagg.Digest {
	return secagg.Hash("pairwise/1 advertisements", m.members, m.digests)
}

// of returns the listed digest of a member; ok is false if it is not listed.
func (m *listing) of(member int) (digest secagg.Digest, ok bool) {
	if !m.members.has(member) {
		return digest, false
	}
	at := m.members.before(member) * len(digest)
	return secagg.Digest(m.digests[at : at+len(digest)]), true
}

// choice is a member's answer in phase choose: its out-neighbours, over the
// whole roster, and the list it was shown.
type choice struct {
	list       []byte // A
	neighbours set
	signature  []byte
}

func (m *choice) signed() [][]byte { return [][]byte{m.list, m.neighbours} }

func (m *choice) encode() []byte {
	var e secagg.Encoder
	e.Bytes(1, m.list)
	e.Bytes(2, m.neighbours)
	e.Bytes(3, m.signature)
	return e.Encoded()
}

func decodeChoice(b []byte, n int) (m choice, err error) {
	d := secagg.NewDecoder(b)
	m = choice{d.Bytes(1), membersOf(d.Bytes(2), n), d.Bytes(3)}
	return m, closed(d, len(m.list) == len(secagg.Digest{}) && m.neighbours != nil && len(m.signature) == signatureSize, "choice")
}

// introduction is the instruction of phase share: what the member's neighbours
// advertised and chose.
type introduction struct {
	members                set
	advertisements, choice [][]byte // of the members, in order
}

func (m *introduction) encode() []byte {
	var e secagg.Encoder
	e.Bytes(1, m.members)
	e.List(2, m.advertisements)
	e.List(3, m.choice)
	return e.Encoded()
}

func decodeIntroduction(b []byte, n int) (m introduction, err error) {
	d := secagg.NewDecoder(b)
	m = introduction{membersOf(d.Bytes(1), n), d.List(2, n), d.List(3, n)}
	return m, closed(d, m.members != nil && len(m.advertisements) == m.members.count() && len(m.choice) == len(m.advertisements), "introduction")
}

// part is what a member sends to one mask neighbour.
type part struct {
	to      int    // the neighbour
	channel []byte // encapsulation to the neighbour's channel key, if it holds shares
	box     []byte // the sealed shares, likewise
	mask    []byte // encapsulation to its mask key, if the sender has the lower index
}

func (m *part) encode() []byte {
	var e secagg.Encoder
	e.Uint(1, uint64(m.to)+1)
	e.Bytes(2, m.channel)
	e.Bytes(3, m.box)
	e.Bytes(4, m.mask)
	return e.Encoded()
}

func decodePart(b []byte, n int) (m part, err error) {
	d := secagg.NewDecoder(b)
	m = part{d.Int(1, n) - 1, d.Bytes(2), d.Bytes(3), d.Bytes(4)}
	return m, closed(d, m.to >= 0 && (len(m.channel) == 0) == (len(m.box) == 0) &&
		(len(m.channel) == 0 || len(m.channel) == kemSize && len(m.box) == sealedSize) &&
		(len(m.mask) == 0 || len(m.mask) == kemSize), "part")
}

// fits reports whether the part is the one that from owes to: shares exactly if
// from chose to, a mask encapsulation exactly if from has the lower index.
func (m *part) fits(from, to int, holder bool) bool {
	return m.to == to && (len(m.box) != 0) == holder && (len(m.mask) != 0) == (from < to)
}

// sharing is a member's answer in phase share: one part for each mask neighbour,
// in order.
type sharing struct {
	parts     [][]byte
	signature []byte // over A and the root of the tree of parts
}

func (m *sharing) encode() []byte {
	var e secagg.Encoder
	e.List(1, m.parts)
	e.Bytes(2, m.signature)
	return e.Encoded()
}

func decodeSharing(b []byte, n int) (m sharing, err error) {
	d := secagg.NewDecoder(b)
	m = sharing{d.List(1, n), d.Bytes(2)}
	return m, closed(d, len(m.signature) == signatureSize, "sharing")
}

// parcel is one part on its way to its receiver.
type parcel struct {
	part      []byte
	place     int    // of the part in its sender's tree
	path      []byte // from there to the root
	signature []byte
}

func (m *parcel) encode() []byte {
	var e secagg.Encoder
	e.Bytes(1, m.part)
	e.Uint(2, uint64(m.place))
	e.Bytes(3, m.path)
	e.Bytes(4, m.signature)
	return e.Encoded()
}

func decodeParcel(b []byte) (m parcel, err error) {
	d := secagg.NewDecoder(b)
	m = parcel{d.Bytes(1), d.Int(2, 1<<maxPath), d.Bytes(3), d.Bytes(4)}
	return m, closed(d, len(m.part) > 0 && len(m.signature) == signatureSize, "parcel")
}

// delivery is the instruction of phase upload: who shared, and what the
// member's mask neighbours among them sent it.
type delivery struct {
	sharers set // U2
	parcels [][]byte
}

func (m *delivery) encode() []byte {
	var e secagg.Encoder
	e.Bytes(1, m.sharers)
	e.List(2, m.parcels)
	return e.Encoded()
}

func decodeDelivery(b []byte, n int) (m delivery, err error) {
	d := secagg.NewDecoder(b)
	m = delivery{membersOf(d.Bytes(1), n), d.List(2, n)}
	return m, closed(d, m.sharers != nil, "delivery")
}

// survivors is the instruction of phase agree: U3.
func encodeSurvivors(s set) []byte {
	var e secagg.Encoder
	e.Bytes(1, s)
	return e.Encoded()
}

func decodeSurvivors(b []byte, n int) (set, error) {
	d := secagg.NewDecoder(b)
	s := membersOf(d.Bytes(1), n)
	return s, closed(d, s != nil, "survivors")
}

// agreement is a member's answer in phase agree.
func encodeAgreement(signature []byte) []byte {
	var e secagg.Encoder
	e.Bytes(1, signature)
	return e.Encoded()
}

func decodeAgreement(b []byte) (signature []byte, err error) {
	d := secagg.NewDecoder(b)
	signature = d.Bytes(1)
	return signature, closed(d, len(signature) == signatureSize, "agreement")
}

// quorum is the instruction of phase unmask.
type quorum struct {
	signers    set
	signatures []byte // of the signers, in order
	// owners are the survivors whose shares the member holds, and frames their
	// commit frames, in order.
	owners set
	frames [][]byte
}

func (m *quorum) encode() []byte {
	var e secagg.Encoder
	e.Bytes(1, m.signers)
	e.Bytes(2, m.signatures)
	e.Bytes(3, m.owners)
	e.List(4, m.frames)
	return e.Encoded()
}

func decodeQuorum(b []byte, n int) (m quorum, err error) {
	d := secagg.NewDecoder(b)
	m = quorum{membersOf(d.Bytes(1), n), d.Bytes(2), membersOf(d.Bytes(3), n), d.List(4, n)}
	return m, closed(d, m.signers != nil && len(m.signatures) == m.signers.count()*signatureSize &&
		m.owners != nil && len(m.frames) == m.owners.count(), "quorum")
}

// answer is a member's answer in phase unmask: one share for each owner whose
// shares it holds, of b if the owner survived and of z if not. Owners whose
// shares came unreadable are left out. Secret.
type answer struct {
	owners set
	shares []byte // of the owners, in order
}

func (m *answer) encode() []byte {
	var e secagg.Encoder
	e.Bytes(1, m.owners)
	e.Bytes(2, m.shares)
	return e.Encoded()
}

func decodeAnswer(b []byte, n int) (m answer, err error) {
	d := secagg.NewDecoder(b)
	m = answer{membersOf(d.Bytes(1), n), d.Bytes(2)}
	if err := closed(d, m.owners != nil && len(m.shares) == m.owners.count()*keySize, "answer"); err != nil {
		return answer{}, err
	}
	for s := range slices.Chunk(m.shares, keySize) {
		if _, err := shamir.Parse(s); err != nil {
			return answer{}, secagg.ErrEncoding.At("share in an answer")
		}
	}
	return m, nil
}

// membersOf returns the set that b encodes, or nil.
func membersOf(b []byte, n int) set {
	s, ok := decodeSet(b, n)
	if !ok {
		return nil
	}
	return s
}

// closed ends a decoder; fits says whether the fields have the sizes they must.
func closed(d *secagg.Decoder, fits bool, what string) error {
	if err := d.Close(); err != nil {
		return err
	}
	if !fits {
		return secagg.ErrEncoding.At("%s", what)
	}
	return nil
}
