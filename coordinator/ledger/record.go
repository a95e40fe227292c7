package ledger

import (
	"bytes"
	"math"

	"github.com/choir-fl/choir/secagg"
)

// version is that of records; others are refused.
const version = 1

// maxRecord bounds a record, in bytes.
const maxRecord = 64 << 10

type kind uint8

const (
	kindGenesis kind = 1
	kindOpened  kind = 2 // a new epoch begins
	kindReserve kind = 3
	kindCommit  kind = 4
	kindVoid    kind = 5
	kindClose   kind = 6 // the ledger ends
)

// proofBeforeUnmasking says that the attempt never reached the state in which
// something could be unmasked. There is no other proof.
const proofBeforeUnmasking = 1

// record is one link of the chain. Fields that a kind does not use are zero.
type record struct {
	sequence uint64 // from 1
	epoch    uint64 // of the writer; 0 for the first record
	previous secagg.Digest
	kind     kind

	origin   origin         // Genesis
	version  uint64         // Opened: of the accountant
	id       secagg.RoundID // Reserve, Commit, Void
	plan     secagg.Digest  // Reserve
	charge   Charge         // Reserve, Commit
	worth    [2]float64     // Reserve, Commit: what the events cost each observer; 0 where none is stated
	released secagg.Digest  // Commit
	proof    uint64         // Void
}

func (r record) encode() []byte {
	var e secagg.Encoder
	e.Uint(1, version)
	e.Uint(2, r.sequence)
	e.Uint(3, r.epoch)
	e.Digest(4, r.previous)
	e.Uint(5, uint64(r.kind))
	e.Message(6, r.encodePayload)
	return e.Encoded()
}

func (r record) encodePayload(e *secagg.Encoder) {
	switch r.kind {
	case kindGenesis:
		r.origin.encode(e)
	case kindOpened:
		e.Uint(1, r.version)
	case kindReserve, kindCommit:
		e.Bytes(1, r.id.Encode())
		e.Digest(2, r.plan)
		e.Message(3, r.charge.encode)
		e.Float(4, r.worth[0])
		e.Float(5, r.worth[1])
		e.Digest(6, r.released)
	case kindVoid:
		e.Bytes(1, r.id.Encode())
		e.Uint(2, r.proof)
	}
}

// hash is the name of a record in the chain.
func hash(previous secagg.Digest, body []byte) secagg.Digest {
	return secagg.Hash("choir ledger/1", previous[:], body)
}

// decodeRecord parses what encode wrote and nothing else.
func decodeRecord(b []byte) (record, error) {
	if len(b) > maxRecord {
		return record{}, secagg.ErrEncoding.At("record of %d bytes, at most %d", len(b), maxRecord)
	}
	d := secagg.NewDecoder(b)
	if v := d.Uint(1); v != version {
		return record{}, secagg.ErrEncoding.At("record of version %d, this program reads %d", v, version)
	}
	r := record{sequence: d.Uint(2), epoch: d.Uint(3), previous: d.Digest(4), kind: kind(d.Int(5, math.MaxUint8))}
	payload := d.Bytes(6)
	if err := d.Close(); err != nil {
		return record{}, err
	}
	if err := r.decodePayload(payload); err != nil {
		return record{}, err
	}
	if !bytes.Equal(r.encode(), b) {
		return record{}, secagg.ErrEncoding.At("record")
	}
	return r, nil
}

func (r *record) decodePayload(b []byte) (err error) {
	if r.kind == kindGenesis {
		r.origin, err = decodeOrigin(b)
		return err
	}
	d := secagg.NewDecoder(b)
	var id, charge []byte
	switch r.kind {
	case kindOpened:
		r.version = d.Uint(1)
	case kindReserve, kindCommit:
		id, r.plan, charge = d.Bytes(1), d.Digest(2), d.Bytes(3)
		r.worth = [2]float64{d.Float(4), d.Float(5)}
		r.released = d.Digest(6)
	case kindVoid:
		id, r.proof = d.Bytes(1), d.Uint(2)
	case kindClose:
	default:
		return secagg.ErrEncoding.At("record of kind %d", r.kind)
	}
	if err := d.Close(); err != nil {
		return err
	}
	if r.kind == kindReserve || r.kind == kindCommit {
		if r.charge, err = decodeCharge(charge); err != nil {
			return err
		}
		if (r.kind == kindReserve) == (r.plan == secagg.Digest{}) || (r.kind == kindCommit) == (r.released == secagg.Digest{}) {
			return secagg.ErrEncoding.At("digests of a record")
		}
		if !(r.worth[0] > 0 && r.worth[1] >= 0) {
			return secagg.ErrEncoding.At("prices of a record")
		}
	}
	if r.kind == kindVoid && r.proof != proofBeforeUnmasking {
		return secagg.ErrEncoding.At("proof %d of a void", r.proof)
	}
	if id != nil || r.kind != kindOpened && r.kind != kindClose {
		r.id, err = secagg.DecodeRoundID(id)
	}
	return err
}
