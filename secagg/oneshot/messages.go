package oneshot

import (
	"crypto/ed25519"
	"encoding/binary"
	"math/bits"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot/share"
)

// Phases of an attempt, in order.
const (
	phaseContext = 1 + iota
	phaseReveal
	phaseSeed
	phaseUpload
	phaseRecords
	phaseAgree
	phaseUnmask
	phaseOpen
)

var phases = [...]secagg.Phase{
	phaseContext: {Name: "context", Kind: secagg.PhaseExchange},
	phaseReveal:  {Name: "reveal", Kind: secagg.PhaseExchange},
	phaseSeed:    {Name: "seed", Kind: secagg.PhaseExchange},
	phaseUpload:  {Name: "upload", Kind: secagg.PhaseUpload},
	phaseRecords: {Name: "records", Kind: secagg.PhaseExchange},
	phaseAgree:   {Name: "agree", Kind: secagg.PhaseExchange},
	phaseUnmask:  {Name: "unmask", Kind: secagg.PhaseUnmask},
	phaseOpen:    {Name: "open", Kind: secagg.PhaseOpen},
}

// Labels of the signed statements.
const (
	labelAnnounce = "oneshot announce"
	labelContext  = "oneshot context"
	labelSeed     = "oneshot seed"
	labelAgree    = "oneshot agree"
)

const (
	signatureSize = ed25519.SignatureSize
	nonceSize     = 32
	valueSize     = share.Blinds * share.ElementBytes // of a verdict
)

// index encodes the number of a client or member for a digest.
func index(i int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(i)) }

// envelope wraps the body of an instruction or message: which attempt and phase it is of.
func envelope(context secagg.Digest, phase int, body []byte) []byte {
	return secagg.WrapPhase(context, phase, body)
}

func openEnvelope(b []byte) (context secagg.Digest, phase int, body []byte, err error) {
	return secagg.OpenPhase(b, phaseUnmask)
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

// quorum is the signatures of committee members on one statement: the instruction
// of phases reveal and unmask, and part of that of phase upload.
type quorum struct {
	signers    uint64 // bit j for member j
	signatures []byte // of the signers, in order
}

func (m *quorum) count() int          { return bits.OnesCount64(m.signers) }
func (m *quorum) has(member int) bool { return m.signers>>member&1 == 1 }

func (m *quorum) add(member int, signature []byte) {
	m.signers |= 1 << member
	m.signatures = append(m.signatures, signature...)
}

func (m *quorum) encode() []byte {
	var e secagg.Encoder
	e.Uint(1, m.signers)
	e.Bytes(2, m.signatures)
	return e.Encoded()
}

// decodeQuorum reads signatures of a committee of the given size.
func decodeQuorum(b []byte, members int) (m quorum, err error) {
	d := secagg.NewDecoder(b)
	m = quorum{d.Uint(1), d.Bytes(2)}
	return m, closed(d, m.signers>>members == 0 && len(m.signatures) == m.count()*signatureSize, "quorum")
}

// start is the instruction of phase upload, the same for clients and members: what
// draws the partition, and the committee's word that it is the only one.
type start struct {
	nonces []byte // those that count, in the order of their owners
	quorum quorum
}

func (m *start) encode() []byte {
	var e secagg.Encoder
	e.Bytes(1, m.nonces)
	e.Bytes(2, m.quorum.encode())
	return e.Encoded()
}

func decodeStart(b []byte, members int) (m start, err error) {
	d := secagg.NewDecoder(b)
	nonces, q := d.Bytes(1), d.Bytes(2)
	if err := d.Close(); err != nil {
		return start{}, err
	}
	m.nonces = nonces
	m.quorum, err = decodeQuorum(q, members)
	return m, err
}

// verdict is what a member found of one client's letter.
type verdict struct {
	ok bool
	// values are what share.Checker gives of the shares; zero if the letter was bad.
	values [share.Blinds]uint32
}

// verdicts is a member's message in phases upload and records: what it found of
// letters from the one numbered first on, in the order of acceptance.
type verdicts struct {
	first int
	list  []verdict
}

func (m *verdicts) encode() []byte {
	flags, values := make([]byte, len(m.list)), make([]byte, 0, valueSize*len(m.list))
	for k := range m.list {
		if v := &m.list[k]; v.ok {
			flags[k] = 1
			values = append(values, make([]byte, valueSize)...)
			// Values are below the prime, as a checker gives them.
			_ = share.Encode(values[len(values)-valueSize:], v.values[:])
		}
	}
	var e secagg.Encoder
	e.Uint(1, uint64(m.first))
	e.Bytes(2, flags)
	e.Bytes(3, values)
	return e.Encoded()
}

// decodeVerdicts reads verdicts on at most limit letters.
func decodeVerdicts(b []byte, limit int) (m verdicts, err error) {
	d := secagg.NewDecoder(b)
	first, flags, values := d.Int(1, limit), d.Bytes(2), d.Bytes(3)
	if err := closed(d, len(flags) > 0 && first+len(flags) <= limit, "verdicts"); err != nil {
		return verdicts{}, err
	}
	m = verdicts{first: first, list: make([]verdict, len(flags))}
	for k, f := range flags {
		v := &m.list[k]
		switch {
		case f == 0:
			continue
		case f != 1 || len(values) < valueSize:
			return verdicts{}, secagg.ErrEncoding.At("verdict %d", first+k)
		}
		if err := share.Decode(v.values[:], values[:valueSize]); err != nil {
			return verdicts{}, secagg.ErrEncoding.At("verdict %d", first+k).Because(err)
		}
		v.ok, values = true, values[valueSize:]
	}
	if len(values) != 0 {
		return verdicts{}, secagg.ErrEncoding.At("verdicts")
	}
	return m, nil
}

// encodeCount and decodeCount are the instruction of phase records: how many
// letters there are in all.
func encodeCount(n int) []byte {
	var e secagg.Encoder
	e.Uint(1, uint64(n))
	return e.Encoded()
}

func decodeCount(b []byte, limit int) (int, error) {
	d := secagg.NewDecoder(b)
	n := d.Int(1, limit)
	return n, closed(d, n > 0, "number of letters")
}

// decodeSurvivors reads the instruction of phase agree, which is a set.
func decodeSurvivors(b []byte, n int) (set, error) {
	u := decodeSet(b, n)
	if u == nil {
		return nil, secagg.ErrEncoding.At("survivors")
	}
	return u, nil
}

// decodeSignature reads a member's answer in phases context, seed and agree.
func decodeSignature(b []byte) ([]byte, error) {
	if len(b) != signatureSize {
		return nil, secagg.ErrEncoding.At("signature")
	}
	return b, nil
}

// decodeSums reads a member's answer in phase unmask: for each opened bucket in
// order, the sum of its shares, each of the given number of elements.
func decodeSums(b []byte, buckets, elements int) ([][]uint32, error) {
	size := elements * share.ElementBytes
	if len(b) != buckets*size {
		return nil, secagg.ErrEncoding.At("sums of %d bytes", len(b))
	}
	out := make([][]uint32, buckets)
	for i := range out {
		out[i] = make([]uint32, elements)
		if err := share.Decode(out[i], b[i*size:(i+1)*size]); err != nil {
			return nil, secagg.ErrEncoding.At("sum %d", i).Because(err)
		}
	}
	return out, nil
}
