package auth

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// ErrJournal is a journal of enrolments that this version cannot read.
var ErrJournal = fault.New(fault.Internal, "auth/journal", "journal of enrolments cannot be read", "restore it from a backup, or use the version that wrote it")

type kind uint8

const (
	kindToken   kind = 1 // a token was made
	kindEnrol   kind = 2 // a token was used and a party admitted
	kindRenew   kind = 3 // a party got its next certificate
	kindRevoke  kind = 4 // a party was refused from then on
	recordNow        = 1 // version of the records
	maxUnixTime      = 1 << 40
)

// record is one event of the journal. Which fields are set depends on the kind.
type record struct {
	kind   kind
	token  [32]byte // SHA-256 of its secret: token, enrol
	caller Caller
	key    [32]byte // enrol, renew
	serial Serial   // enrol, renew
	life   validity // enrol, renew; the end alone: token; the beginning alone: revoke
	reason string   // revoke
}

func (r record) encode() []byte {
	var e secagg.Encoder
	e.Uint(1, recordNow)
	e.Uint(2, uint64(r.kind))
	if r.token != [32]byte{} {
		e.Bytes(3, r.token[:])
	}
	e.Uint(4, uint64(r.caller.Role))
	e.String(5, r.caller.Name)
	if r.key != [32]byte{} {
		e.Bytes(6, r.key[:])
	}
	if r.serial != (Serial{}) {
		e.Bytes(7, r.serial[:])
	}
	e.Uint(8, seconds(r.life.from))
	e.Uint(9, seconds(r.life.to))
	e.String(10, r.reason)
	return e.Encoded()
}

func decodeRecord(b []byte) (record, error) {
	d := secagg.NewDecoder(b)
	if v := d.Uint(1); v != recordNow {
		return record{}, ErrJournal.At("record of version %d", v)
	}
	r := record{kind: kind(d.Int(2, 255)), token: d.Digest(3), caller: Caller{Role: Role(d.Int(4, 255)), Name: d.String(5)}, key: d.Digest(6)}
	d.Fixed(7, r.serial[:])
	r.life = validity{moment(d.Size(8, maxUnixTime)), moment(d.Size(9, maxUnixTime))}
	r.reason = d.String(10)
	if err := d.Close(); err != nil {
		return record{}, ErrJournal.Because(err)
	}
	if !r.caller.Role.named() || r.kind < kindToken || r.kind > kindRevoke {
		return record{}, ErrJournal.Because(fmt.Errorf("record of kind %d for role %d", r.kind, r.caller.Role))
	}
	if !bytes.Equal(r.encode(), b) { // zeros that should have been left out
		return record{}, ErrJournal.Because(errors.New("record has another encoding"))
	}
	return r, nil
}

// seconds encodes an instant, the zero one as 0. Certificates and tokens have a
// resolution of a second.
func seconds(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.Unix())
}

func moment(unix int64) time.Time {
	if unix == 0 {
		return time.Time{}
	}
	return time.Unix(unix, 0).UTC()
}
