package client

import (
	"bytes"
	"math"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// ErrAccount is a record that is no account.
var ErrAccount = fault.New(fault.Usage, "client/account", "the device's account of its contributions cannot be read", "restore the latest state; an empty one forgets what this device has spent")

// countVersion is the version of records that held a count of attempts alone.
const (
	countVersion   = 1
	accountVersion = 2
)

// Encode returns the canonical encoding, of at most MaxAccount bytes.
func (a Account) Encode() []byte {
	var e secagg.Encoder
	e.Uint(1, accountVersion)
	e.Uint(2, uint64(a.attempts))
	if a.last != (secagg.RoundID{}) {
		e.Bytes(3, a.last.Encode())
	}
	e.Uint(4, a.spent.rho)
	e.Bool(5, a.spent.whole)
	e.Float(6, a.spent.tail)
	e.Float(7, a.spent.delta)
	jobs := make([][]byte, len(a.jobs))
	for i, j := range a.jobs {
		var e secagg.Encoder
		e.String(1, j.name)
		e.Uint(2, uint64(j.attempts))
		e.Uint(3, uint64(j.round))
		e.Uint(4, uint64(j.attempt))
		e.Uint(5, j.head.Count)
		e.Digest(6, j.head.Digest)
		jobs[i] = e.Encoded()
	}
	e.List(8, jobs)
	return e.Encoded()
}

// MaxAccount is the length of the longest encoding.
const MaxAccount = 1 << 18

// DecodeAccount parses what Encode wrote, and records of the version before it, which
// held a count of attempts alone. Those attempts had no noise, so no budget covers them:
// where there were any, Epsilon is +Inf. The error is ErrAccount.
func DecodeAccount(b []byte) (Account, error) {
	d := secagg.NewDecoder(b)
	version := d.Uint(1)
	a := Account{attempts: d.Int(2, math.MaxInt32)}
	last := d.Bytes(3)
	var jobs [][]byte
	switch version {
	case countVersion:
		if a.attempts > 0 {
			a.spent.rho = unbounded
		}
	case accountVersion:
		a.spent = Cost{rho: d.Uint(4), whole: d.Bool(5), tail: d.Float(6), delta: d.Float(7)}
		jobs = d.List(8, MaxJobs)
	default:
		return Account{}, ErrAccount.At("version %d", version)
	}
	err := d.Close()
	if err == nil && last != nil {
		a.last, err = secagg.DecodeRoundID(last)
	}
	for _, it := range jobs {
		if err != nil {
			break
		}
		var j jobAccount
		if j, err = decodeJob(it); err == nil && len(a.jobs) > 0 && a.jobs[len(a.jobs)-1].name >= j.name {
			err = secagg.ErrEncoding.At("job %.70q", j.name)
		}
		a.jobs = append(a.jobs, j)
	}
	s := a.spent
	switch {
	case err != nil:
	case (last == nil) != (a.attempts == 0) || s.rho >= 1<<63 && s.rho != unbounded || !(s.tail >= 0 && s.delta >= 0):
		err = secagg.ErrEncoding.At("account")
	case version == accountVersion && !bytes.Equal(a.Encode(), b):
		err = secagg.ErrEncoding.At("account")
	}
	if err != nil {
		return Account{}, ErrAccount.Because(err)
	}
	return a, nil
}

func decodeJob(b []byte) (jobAccount, error) {
	d := secagg.NewDecoder(b)
	j := jobAccount{name: d.String(1), attempts: d.Int(2, math.MaxInt32), round: uint32(d.Size(3, math.MaxUint32)), attempt: uint32(d.Size(4, math.MaxUint32)),
		head: secagg.LedgerHead{Count: d.Uint(5), Digest: d.Digest(6)}}
	if err := d.Close(); err != nil {
		return jobAccount{}, err
	}
	if !secagg.PartyID(j.name).Valid() || (j.attempts == 0) != (j.round == 0) || (j.round == 0) != (j.attempt == 0) {
		return jobAccount{}, secagg.ErrEncoding.At("job")
	}
	return j, nil
}
