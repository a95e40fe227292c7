package decryptor

import (
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// ErrRecord is a job's record that cannot be read. What the member promised is then
// unknown, and it must not take part in the job.
var ErrRecord = fault.New(fault.Usage, "decryptor/record", "record of a job cannot be read", "restore the latest state, or leave the committee and join it with a new key")

const recordVersion = 1

// record is the latest attempt at any round of a job that a member announced itself
// for, and what it needs to go on with it. Of an attempt that is over for the member
// only the name is left.
type record struct {
	round         secagg.RoundID
	task          []byte // secagg.Task.Encode; nil once the attempt is over
	announcement  []byte // the member's own, as it was sent
	roster        []byte // from the first envelope on
	announcements []byte // the same
	scheme        []byte // the scheme's latest Reply.Record
}

func (r record) encode() []byte {
	var e secagg.Encoder
	e.Uint(1, recordVersion)
	e.Bytes(2, r.round.Encode())
	e.Bytes(3, r.task)
	e.Bytes(4, r.announcement)
	e.Bytes(5, r.roster)
	e.Bytes(6, r.announcements)
	e.Bytes(7, r.scheme)
	return e.Encoded()
}

func decodeRecord(b []byte) (record, error) {
	d := secagg.NewDecoder(b)
	if v := d.Uint(1); v != recordVersion {
		return record{}, ErrRecord.At("version %d", v)
	}
	id := d.Bytes(2)
	r := record{task: d.Bytes(3), announcement: d.Bytes(4), roster: d.Bytes(5), announcements: d.Bytes(6), scheme: d.Bytes(7)}
	err := d.Close()
	if err == nil {
		r.round, err = secagg.DecodeRoundID(id)
	}
	if err == nil && r.task == nil && (r.announcement != nil || r.roster != nil || r.announcements != nil || r.scheme != nil) {
		err = secagg.ErrEncoding.At("attempt without a task")
	}
	if err != nil {
		return record{}, ErrRecord.Because(err)
	}
	return r, nil
}

// later reports whether an attempt comes after another of the same job.
func later(a, b secagg.RoundID) bool {
	return a.Round > b.Round || a.Round == b.Round && a.Attempt > b.Attempt
}
