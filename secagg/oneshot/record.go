package oneshot

import (
	"bytes"

	"github.com/choir-fl/choir/secagg"
)

// recordVersion is that of the records of clients and committee members.
const recordVersion = 1

// record is what a committee member keeps of an attempt across a restart: what it
// announced, and what it signed once and so can never sign otherwise. It names the
// epoch of its key and never holds the key's seed. The nonce is secret until it is
// revealed.
type record struct {
	round   secagg.RoundID
	self    int
	epoch   uint64
	nonce   []byte
	context secagg.Digest // signed; zero before
	seed    secagg.Digest // signed; zero before
	u       set           // the survivors signed; nil before
	uploads secagg.Digest // of their commit frames
}

func (r *record) encode() []byte {
	var e secagg.Encoder
	e.Uint(1, recordVersion)
	e.Bytes(2, r.round.Encode())
	e.Uint(3, uint64(r.self)+1)
	e.Uint(4, r.epoch)
	e.Bytes(5, r.nonce)
	e.Digest(6, r.context)
	e.Digest(7, r.seed)
	e.Bytes(8, r.u)
	e.Digest(9, r.uploads)
	return e.Encoded()
}

// decodeRecord reads a member's record; the survivors' length is not checked.
func decodeRecord(b []byte) (r record, err error) {
	d := secagg.NewDecoder(bytes.Clone(b))
	version, round := d.Int(1, recordVersion), d.Bytes(2)
	r = record{self: d.Int(3, secagg.MaxCommittee) - 1, epoch: d.Uint(4), nonce: d.Bytes(5), context: d.Digest(6), seed: d.Digest(7), u: set(d.Bytes(8)), uploads: d.Digest(9)}
	err = closed(d, version == recordVersion && r.self >= 0 && r.epoch > 0 && len(r.nonce) == nonceSize &&
		(r.seed == secagg.Digest{} || r.context != secagg.Digest{}) && (r.u == nil || r.seed != secagg.Digest{}) &&
		(r.u == nil) == (r.uploads == secagg.Digest{}), "record")
	if err != nil {
		return record{}, err
	}
	r.round, err = secagg.DecodeRoundID(round)
	return r, err
}
