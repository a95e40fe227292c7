package secagg

import (
	"crypto/ed25519"
	"fmt"

	"github.com/choir-fl/choir/fault"
)

// RoundID names one attempt at one round of a job. A failed attempt is never
// retried in place: the next one has another number, other keys, another context.
type RoundID struct {
	Job     string
	Round   uint32 // from 1
	Attempt uint32 // from 1
}

// String renders job/round/attempt.
func (r RoundID) String() string { return fmt.Sprintf("%s/%d/%d", r.Job, r.Round, r.Attempt) }

func (r RoundID) encode(e *Encoder) {
	e.String(1, r.Job)
	e.Uint(2, uint64(r.Round))
	e.Uint(3, uint64(r.Attempt))
}

// Encode returns the canonical encoding.
func (r RoundID) Encode() []byte {
	var e Encoder
	r.encode(&e)
	return e.Encoded()
}

// DecodeRoundID parses what Encode wrote and refuses a zero round or attempt and
// a job without the form of a PartyID.
func DecodeRoundID(b []byte) (RoundID, error) {
	d := NewDecoder(b)
	r := RoundID{Job: d.String(1), Round: uint32(d.Int(2, 1<<31-1)), Attempt: uint32(d.Int(3, 1<<31-1))}
	if err := d.Close(); err != nil {
		return RoundID{}, err
	}
	if r.Round == 0 || r.Attempt == 0 || !PartyID(r.Job).Valid() {
		return RoundID{}, ErrEncoding.At("round id")
	}
	return r, nil
}

// Binding holds everything an attempt's context binds. The survivor set is not in
// it, because it is not known when the context is fixed; it is agreed separately
// against the context.
type Binding struct {
	Round     RoundID
	Plan      Digest // of the whole plan
	Model     Digest // of the model that clients start from
	Roster    Digest // root of the admitted clients
	Committee Digest // root of the committee and its nonce commitments; zero without one
	Scheme    string
	// Parameters are the scheme's own, in its canonical encoding.
	Parameters []byte
	// Within is the context of the whole attempt, in the binding of a part of it
	// that is one bucket; zero otherwise.
	Within Digest
	// Fallback is set in an attempt that opens buckets because the sum was spoiled.
	Fallback bool
	// Authority is that of Task; zero without a committee.
	Authority Digest
	// ClipNorm and Ledger are those of Task; zero without noise.
	ClipNorm float64
	Ledger   LedgerHead
	// Centre is that of Task; zero where nothing is weighed by it.
	Centre Digest
}

// Context digests a binding (DESIGN section 4). Every signature, associated data,
// KDF info and public expansion of an attempt includes it, so parties that were
// shown different models, rosters or parameters cannot complete an attempt together.
func (b Binding) Context() Digest {
	var e Encoder
	e.Message(1, b.Round.encode)
	e.Digest(2, b.Plan)
	e.Digest(3, b.Model)
	e.Digest(4, b.Roster)
	e.Digest(5, b.Committee)
	e.String(6, b.Scheme)
	e.Bytes(7, b.Parameters)
	e.Digest(8, b.Within)
	e.Bool(9, b.Fallback)
	e.Digest(10, b.Authority)
	e.Float(11, b.ClipNorm)
	e.Uint(12, b.Ledger.Count)
	e.Digest(13, b.Ledger.Digest)
	e.Digest(14, b.Centre)
	return Hash("choir context/1", e.Encoded())
}

// ErrSignature refuses a statement whose signature does not verify.
var ErrSignature = fault.New(fault.Invalid, "secagg/signature", "signature does not verify", "the sender is faulty or an impostor")

// Sign signs H(label, context, parts...).
func Sign(key ed25519.PrivateKey, label string, context Digest, parts ...[]byte) []byte {
	return ed25519.Sign(key, statement(label, context, parts))
}

// VerifyStatement checks what Sign made against a member's key.
func (i Identity) VerifyStatement(sig []byte, label string, context Digest, parts ...[]byte) error {
	if !ed25519.Verify(i.Key[:], statement(label, context, parts), sig) {
		return ErrSignature.At("%s by %s", label, i.ID)
	}
	return nil
}

func statement(label string, context Digest, parts [][]byte) []byte {
	d := Hash("choir statement/1 "+label, append([][]byte{context[:]}, parts...)...)
	return d[:]
}
