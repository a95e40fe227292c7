package ledger

import (
	"errors"

	"github.com/choir-fl/choir/secagg"
)

// chain is what follows from the records read so far. Records change it by admit only,
// whether they were just written or are read again.
type chain struct {
	segment    string
	accountant accountant
	hashes     []secagg.Digest // of each record
	epoch      uint64
	writer     uint64 // version of the accountant in this epoch
	retired    bool
	origin     origin
	balance    *balance
	entries    map[secagg.RoundID]*Entry
	order      []*Entry // the same, as they were reserved
}

func newChain(segment string, a accountant) chain {
	return chain{segment: segment, accountant: a, entries: map[secagg.RoundID]*Entry{}}
}

// head is the hash of the last record.
func (c *chain) head() (d secagg.Digest) {
	if n := len(c.hashes); n > 0 {
		d = c.hashes[n-1]
	}
	return d
}

// replay admits all records of a log.
func (c *chain) replay(log Reader) error {
	err := log.Read(c.segment, c.admit)
	if err == nil && len(c.hashes) == 0 {
		err = errors.New("there is none")
	}
	switch {
	case errors.Is(err, ErrAccountant):
		return err
	case err != nil:
		return ErrRecord.At("%s: record %d", c.segment, len(c.hashes)+1).Because(err)
	}
	return nil
}

// rounding is by how much prices may differ between machines, relatively: compilers fuse
// multiplications and additions on some.
const rounding = 1e-9

var (
	errChain     = errors.New("number, epoch or hash do not continue the chain")
	errOrder     = errors.New("such a record cannot stand here")
	errTwice     = errors.New("the attempt was reserved before")
	errNotOpen   = errors.New("there is no open reservation of the attempt")
	errNoMethod  = errors.New("this program does not have the accountant it was begun under")
	errNotPriced = errors.New("prices are not stated for the events that are")
)

// admit appends a record to the chain, or returns what is wrong with it and changes nothing.
func (c *chain) admit(body []byte) error {
	r, err := decodeRecord(body)
	if err != nil {
		return err
	}
	epoch := c.epoch
	if r.kind == kindOpened {
		epoch++
	}
	if r.sequence != uint64(len(c.hashes)+1) || r.epoch != epoch || r.previous != c.head() {
		return errChain
	}
	first := len(c.hashes) == 0
	if c.retired || first != (r.kind == kindGenesis) || epoch == 0 && !first {
		return errOrder
	}
	if err := c.take(r); err != nil {
		return err
	}
	c.epoch = epoch
	c.hashes = append(c.hashes, hash(c.head(), body))
	return nil
}

// take makes the change that a record in its place stands for.
func (c *chain) take(r record) error {
	switch r.kind {
	case kindGenesis:
		if r.origin.accountant != c.accountant.name {
			return errNoMethod
		}
		c.origin = r.origin
		c.balance = newBalance(r.origin.Genesis, newTariff(c.accountant, r.origin.Genesis))
	case kindOpened:
		c.writer = r.version
	case kindReserve:
		return c.takeReserve(r)
	case kindCommit:
		return c.takeCommit(r)
	case kindVoid:
		e := c.entries[r.id]
		if e == nil || e.State != Reserved {
			return errNotOpen
		}
		return c.end(e, nil)
	case kindClose:
		c.retired = true
	}
	return nil
}

func (c *chain) takeReserve(r record) error {
	if c.entries[r.id] != nil {
		return errTwice
	}
	if err := c.believable(r); err != nil {
		return err
	}
	in, err := c.balance.price(r.id.Job, r.charge)
	if err != nil {
		return err
	}
	// Under another accountant what was within the budget need not be so now: then
	// it is not the record that is wrong, and nothing more is reserved.
	if c.writer == c.accountant.version {
		if err := c.balance.fits(in, rounding); err != nil {
			return err
		}
	}
	c.balance.count(in, 1)
	e := &Entry{ID: r.id, Record: r.sequence, Plan: r.plan, State: Reserved, Charge: r.charge}
	c.entries[r.id], c.order = e, append(c.order, e)
	return nil
}

func (c *chain) takeCommit(r record) error {
	e := c.entries[r.id]
	if e == nil || e.State != Reserved {
		return errNotOpen
	}
	if err := c.believable(r); err != nil {
		return err
	}
	if c.writer == c.accountant.version {
		if err := c.balance.notAbove(r.charge, e.Charge, rounding); err != nil {
			return err
		}
	}
	return c.end(e, &r)
}

// end ends a reservation with its release, or voids it if there was none.
func (c *chain) end(e *Entry, release *record) error {
	reserved, err := c.balance.price(e.ID.Job, e.Charge)
	if err != nil {
		return err
	}
	if release == nil {
		e.State = Voided
	} else {
		actual, err := c.balance.price(e.ID.Job, release.charge)
		if err != nil {
			return err
		}
		c.balance.count(actual, 1)
		e.State, e.Charge, e.Released = Committed, release.charge, release.released
	}
	c.balance.count(reserved, -1)
	return nil
}

// believable checks the charge of a record by itself, and that it costs no less now than
// when it was written.
func (c *chain) believable(r record) error {
	if err := r.charge.check(c.origin.Genesis); err != nil {
		return err
	}
	now, err := c.balance.worth(r.charge)
	if err != nil {
		return err
	}
	for i, o := range observers {
		if (now[i] == 0) != (r.worth[i] == 0) {
			return errNotPriced
		}
		if now[i] < r.worth[i]*(1-rounding) {
			return ErrAccountant.At("%s: record %d, observer %s: %g now, %g then, by version %d", c.segment, r.sequence, o, now[i], r.worth[i], c.writer)
		}
	}
	return nil
}
