package ledger

import (
	"slices"
	"sync"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg"
)

// A Book is the ledger of one population, open for one writer. All jobs of the
// population share it: it is safe for concurrent use.
//
// After an append that failed, every change is ErrBroken until the store and the
// ledger are opened again: the record may be there or not, and the Book does not guess.
type Book struct {
	mu sync.Mutex // owns all below
	chain
	log    Log   // nil: to be read only
	broken error // of an append
}

// Open opens the ledger of a population in a segment of a log (see Segment), and begins
// it if there is none. It begins a new epoch, durable when Open returns.
//
// Errors: ErrGenesis if g cannot be enforced; ErrOtherBudget if the ledger was begun
// with another one; ErrRecord names the first record that is not sound; ErrAccountant if
// a record cost more when it was written; ErrRetired; and those of the log.
func Open(log Log, segment string, g Genesis) (*Book, error) { return open(log, segment, g, renyi()) }

func open(log Log, segment string, g Genesis, a accountant) (*Book, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	segments, err := log.Segments()
	if err != nil {
		return nil, err
	}
	b := &Book{chain: newChain(segment, a), log: log}
	opened := record{kind: kindOpened, version: a.version}
	if !slices.Contains(segments, segment) {
		begin := record{kind: kindGenesis, origin: origin{Genesis: g, accountant: a.name, version: a.version, orders: a.orders}}
		return b.begin(begin, opened)
	}
	if err := b.replay(log); err != nil {
		return nil, err
	}
	if d := b.origin.difference(g); d != "" {
		return nil, ErrOtherBudget.At("%s: another %s", segment, d)
	}
	if b.retired {
		return nil, ErrRetired.At("%s", segment)
	}
	return b.begin(opened)
}

// begin writes the first records of an epoch.
func (b *Book) begin(records ...record) (*Book, error) {
	if err := b.write(records...); err != nil {
		return nil, err
	}
	return b, nil
}

// Load reads a ledger without changing anything, and verifies it whole: every hash,
// number and epoch, each record against those before, and that no budget was passed at
// any point. ErrRecord names the first record that is not sound, ErrAccountant one that
// cost more when it was written. The Book can only be read.
func Load(log Reader, segment string) (*Book, error) {
	b := &Book{chain: newChain(segment, renyi())}
	if err := b.replay(log); err != nil {
		return nil, err
	}
	return b, nil
}

// usable returns why the book cannot be written to.
func (b *Book) usable() error {
	switch {
	case b.log == nil:
		return ErrReadOnly.At("%s", b.segment)
	case b.broken != nil:
		return ErrBroken.At("%s", b.segment).Because(b.broken)
	case b.retired:
		return ErrRetired.At("%s", b.segment)
	}
	return nil
}

// write makes records the next ones: durable, then part of the chain.
func (b *Book) write(records ...record) error {
	if err := b.alone(); err != nil {
		return err
	}
	var bodies [][]byte
	head, epoch := b.head(), b.epoch
	for i, r := range records {
		if r.kind == kindOpened {
			epoch++
		}
		r.sequence, r.epoch, r.previous = uint64(len(b.hashes)+i+1), epoch, head
		body := r.encode()
		if _, err := decodeRecord(body); err != nil { // a record that nobody could read is not written
			return ErrCharge.At("%s: %s", b.segment, r.id).Because(err)
		}
		bodies, head = append(bodies, body), hash(head, body)
	}
	if err := b.log.Append(b.segment, bodies...); err != nil {
		b.broken = err
		return ErrBroken.At("%s", b.segment).Because(err)
	}
	for _, body := range bodies {
		if err := b.admit(body); err != nil {
			b.broken = err
			return ErrBroken.At("%s", b.segment).Because(err)
		}
	}
	return nil
}

// alone returns ErrFenced if anybody else has written to the segment. Two books that
// write at the same instant are not kept apart here, but neither can be opened again.
func (b *Book) alone() error {
	if len(b.hashes) == 0 {
		return nil
	}
	count := 0
	if err := b.log.Read(b.segment, func([]byte) error { count++; return nil }); err != nil {
		return ErrBroken.At("%s", b.segment).Because(err)
	}
	if count != len(b.hashes) {
		return ErrFenced.At("%s: %d records, %d of them known to epoch %d", b.segment, count, len(b.hashes), b.epoch)
	}
	return nil
}

// Room returns nil if a job's reservation of this charge would be accepted now, and
// otherwise why not: ErrBudget, ErrCharge, or as Reserve. To ask for n attempts at once,
// multiply what is in the charge.
func (b *Book) Room(job string, c Charge) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(); err != nil {
		return err
	}
	return b.room(job, c)
}

// Reserve charges the worst case of an attempt, durable when it returns nil. Repeating it
// for an open reservation with the same plan and charge does nothing.
//
// Errors: ErrBudget if any budget, or the slack, would be passed; ErrCharge; ErrConflict if
// the attempt is on record with another plan or charge, or is over; ErrFull; all of these
// change nothing. ErrBroken, ErrFenced, ErrRetired, ErrReadOnly.
func (b *Book) Reserve(id secagg.RoundID, plan secagg.Digest, c Charge) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(); err != nil {
		return err
	}
	if plan == (secagg.Digest{}) {
		return ErrCharge.At("%s: no plan", id)
	}
	if err := c.check(b.origin.Genesis); err != nil {
		return err
	}
	if e := b.entries[id]; e != nil {
		if e.State != Reserved || e.Plan != plan || e.Charge.encoded() != c.encoded() {
			return ErrConflict.At("%s: %s in record %d", id, e.State, e.Record)
		}
		return nil
	}
	if len(b.hashes) >= maxRecords {
		return ErrFull.At("%s: %d records", b.segment, len(b.hashes))
	}
	if err := b.room(id.Job, c); err != nil {
		return err
	}
	worth, err := b.balance.worth(c)
	if err != nil {
		return err
	}
	return b.write(record{kind: kindReserve, id: id, plan: plan, charge: c, worth: worth})
}

// maxRecords is how many records a ledger may have before it takes no more reservations.
const maxRecords = 1 << 20

// room checks a charge and whether the budget allows it beside all others.
func (b *Book) room(job string, c Charge) error {
	if err := c.check(b.origin.Genesis); err != nil {
		return err
	}
	in, err := b.balance.price(job, c)
	if err != nil {
		return err
	}
	return b.balance.fits(in, 0)
}

// reserved returns an attempt that was reserved, whatever became of it, to be changed.
func (b *Book) reserved(id secagg.RoundID) (*Entry, error) {
	if err := b.usable(); err != nil {
		return nil, err
	}
	if e := b.entries[id]; e != nil {
		return e, nil
	}
	return nil, ErrUnknown.At("%s", id)
}

// Commit says what was released under a reservation and what it cost: at most what was
// reserved, for every observer. Repeating it for the same bytes does nothing.
//
// Errors: ErrUnknown without a reservation; ErrConflict if it is void or other bytes were
// released; ErrCharge if actual costs more than is on record; as Reserve otherwise.
func (b *Book) Commit(id secagg.RoundID, actual Charge, released secagg.Digest) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, err := b.reserved(id)
	switch {
	case err != nil:
		return err
	case released == secagg.Digest{}:
		return ErrCharge.At("%s: no digest of what was released", id)
	case e.State == Voided, e.State == Committed && e.Released != released:
		return ErrConflict.At("%s: %s in record %d", id, e.State, e.Record)
	}
	if err := actual.check(b.origin.Genesis); err != nil {
		return err
	}
	if err := b.balance.notAbove(actual, e.Charge, 0); err != nil {
		return err
	}
	if e.State == Committed {
		return nil
	}
	worth, err := b.balance.worth(actual)
	if err != nil {
		return err
	}
	return b.write(record{kind: kindCommit, id: id, charge: actual, worth: worth, released: released})
}

// Void lifts the charge of an attempt that ended before anything could be unmasked: the
// caller vouches for that. Repeating it does nothing.
//
// Errors: ErrUnknown without a reservation; ErrConflict after Commit; as Reserve otherwise.
func (b *Book) Void(id secagg.RoundID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, err := b.reserved(id)
	switch {
	case err != nil:
		return err
	case e.State == Committed:
		return ErrConflict.At("%s: %s in record %d", id, e.State, e.Record)
	case e.State == Voided:
		return nil
	}
	return b.write(record{kind: kindVoid, id: id, proof: proofBeforeUnmasking})
}

// Retire closes the ledger for good: nothing is charged any more, by nobody, and what is
// open stays charged. It releases no resource: a Book holds none.
func (b *Book) Retire() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.retired {
		return nil
	}
	if err := b.usable(); err != nil {
		return err
	}
	return b.write(record{kind: kindClose})
}

// Genesis returns what the ledger was begun with.
func (b *Book) Genesis() Genesis {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.origin.Genesis
}

// Head returns how many records there are and the hash of the last one, to be published:
// whoever has seen it can tell a ledger that was rolled back. All of it is durable.
func (b *Book) Head() (count uint64, digest secagg.Digest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return uint64(len(b.hashes)), b.head()
}

// NotOlder returns ErrRolledBack unless record number count is there and has that digest,
// as somebody saw it. Count 0 with a zero digest is always there.
func (b *Book) NotOlder(count uint64, digest secagg.Digest) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case count > uint64(len(b.hashes)):
		return ErrRolledBack.At("%s: %d records, %d were seen", b.segment, len(b.hashes), count)
	case count == 0 && digest != secagg.Digest{}, count > 0 && b.hashes[count-1] != digest:
		return ErrRolledBack.At("%s: record %d is not the one that was seen", b.segment, count)
	}
	return nil
}

// Spent returns epsilon of all charges against an observer, open reservations included, at
// the Delta of the ledger: an upper bound, the best of all orders. False if there is
// none: no event was stated for some attempt, or it is not finite.
//
// What is enforced is one order, so a budget can be spent although Spent is below it.
func (b *Book) Spent(o dp.Observer) (epsilon float64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.balance.epsilon(o, "", b.origin.orders)
}

// SpentBy is Spent of one job's charges alone. Those of several jobs do not add up: together
// they cost less than the sum.
func (b *Book) SpentBy(job string, o dp.Observer) (epsilon float64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.balance.epsilon(o, job, b.origin.orders)
}

// Left returns the part of an observer's budget that is left at the order that is
// enforced, from 0 to 1; false without a budget.
func (b *Book) Left(o dp.Observer) (part float64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.balance.left(o)
}

// Entries returns all attempts in the order of their reservations.
func (b *Book) Entries() []Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Entry, len(b.order))
	for i, e := range b.order {
		out[i] = *e
	}
	return out
}

// Entry returns an attempt, or false if it was never reserved.
func (b *Book) Entry(id secagg.RoundID) (Entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[id]; e != nil {
		return *e, true
	}
	return Entry{}, false
}

// Retired reports whether the ledger was closed for good.
func (b *Book) Retired() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.retired
}
