package ledger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg"
)

// story is a ledger with a record of each kind but the last: Genesis, Opened, Reserve 1,
// Commit 1, Reserve 2, Void 2, Opened, Reserve 3.
func story(t testing.TB) *memory {
	log := newMemory()
	b := mustOpen(t, log, fleet)
	c := discrete(t, big.NewRat(64e6+1, 3))
	require.NoError(t, b.Reserve(attempt(1), thePlan, c))
	require.NoError(t, b.Commit(attempt(1), discrete(t, big.NewRat(25e6, 1)), bytesA))
	require.NoError(t, b.Reserve(attempt(2), thePlan, c))
	require.NoError(t, b.Void(attempt(2)))
	b = mustOpen(t, log, fleet)
	c.Participations = 6
	require.NoError(t, b.Reserve(attempt(3), thePlan, c))
	return log
}

// forge rewrites a ledger record by record, chaining anew what it is given: what somebody
// does who knows the format.
func forge(t *testing.T, log *memory, change func(i int, r *record) (keep bool)) *memory {
	out := newMemory()
	var head secagg.Digest
	n := uint64(0)
	for i, body := range log.records[segment] {
		r, err := decodeRecord(body)
		require.NoError(t, err)
		r.sequence = n + 1
		r.previous = head
		if !change(i, &r) {
			continue
		}
		n++
		body = r.encode()
		head = hash(head, body)
		require.NoError(t, out.Append(segment, body))
	}
	return out
}

func TestForgedChainsThatCannotBeAreRefusedAtTheirFirstBadRecord(t *testing.T) {
	log := story(t)
	same, err := Load(forge(t, log, func(int, *record) bool { return true }), segment)
	require.NoError(t, err)
	original, err := Load(log, segment)
	require.NoError(t, err)
	require.Equal(t, state(original), state(same), "forge itself changes nothing")

	weak := gaussian(t, 0.9, 1)
	var worth [2]float64
	{
		b := mustOpen(t, newMemory(), fleet)
		worth, err = b.balance.worth(weak)
		require.NoError(t, err)
	}
	for name, test := range map[string]struct {
		bad    int // record
		change func(i int, r *record) bool
	}{
		"no genesis": {1, func(i int, _ *record) bool { return i != 0 }},
		"not opened": {2, func(i int, _ *record) bool { return i != 1 }},
		"genesis twice": {7, func(i int, r *record) bool {
			return i != 6 || turn(r, record{kind: kindGenesis, origin: original.origin})
		}},
		"genesis of an epoch": {1, func(i int, r *record) bool { r.epoch++; return true }},
		"another accountant":  {1, func(i int, r *record) bool { r.origin.accountant = "gdp"; return true }},
		"an epoch left out":   {7, func(i int, r *record) bool { r.epoch += b2u(i == 6); return true }},
		"an epoch twice":      {7, func(i int, r *record) bool { r.epoch -= b2u(i == 6); return true }},
		"an older writer":     {8, func(i int, r *record) bool { r.epoch -= b2u(i == 7); return true }},
		"a writer not opened": {6, func(i int, r *record) bool { r.epoch += b2u(i == 5); return true }},
		"a number left out":   {5, func(i int, r *record) bool { r.sequence += b2u(i >= 4); return true }},
		"a number twice":      {5, func(i int, r *record) bool { r.sequence -= b2u(i == 4); return true }},
		"another past":        {5, func(i int, r *record) bool { r.previous[7] ^= byte(b2u(i == 4)); return true }},
		"reserved twice":      {5, func(i int, r *record) bool { return i != 4 || id(r, 1) }},
		"released unreserved": {4, func(i int, r *record) bool { return i != 3 || id(r, 9) }},
		"released twice": {5, func(i int, r *record) bool {
			return i != 4 || turn(r, record{kind: kindCommit, id: attempt(1), charge: weak, worth: worth, released: bytesA})
		}},
		"voided unreserved":    {6, func(i int, r *record) bool { return i != 5 || id(r, 9) }},
		"voided after release": {6, func(i int, r *record) bool { return i != 5 || id(r, 1) }},
		"reserved over budget": {5, func(i int, r *record) bool {
			return i != 4 || turn(r, over(t, record{kind: kindReserve, id: attempt(5), plan: thePlan}))
		}},
		"released over reserved": {4, func(i int, r *record) bool {
			return i != 3 || turn(r, record{kind: kindCommit, id: attempt(1), charge: weak, worth: worth, released: bytesA})
		}},
		"after the end":       {6, func(i int, r *record) bool { return i != 4 || turn(r, record{kind: kindClose}) }},
		"relation of another": {3, func(i int, r *record) bool { r.origin.Relation = dp.AddRemove; return true }},
		"a price left out":    {3, func(i int, r *record) bool { r.worth[1] *= float64(1 - b2u(i == 2)); return true }},
	} {
		t.Run(name, func(t *testing.T) {
			forged := forge(t, log, test.change)
			for _, err := range []error{loadError(forged), openError(forged)} {
				require.ErrorIs(t, err, ErrRecord)
				require.ErrorContains(t, err, fmt.Sprintf("%s: record %d:", segment, test.bad))
			}
		})
	}
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// turn makes a record another one in its place.
func turn(r *record, into record) bool {
	into.sequence, into.epoch, into.previous = r.sequence, r.epoch, r.previous
	*r = into
	return true
}

func id(r *record, round int) bool { r.id = attempt(round); return true }

// over gives a record a charge that no budget allows.
func over(t *testing.T, r record) record {
	r.charge = gaussian(t, 0.1, 1)
	worth, err := mustOpen(t, newMemory(), fleet).balance.worth(r.charge)
	require.NoError(t, err)
	r.worth = worth
	return r
}

func loadError(log Log) error { _, err := Load(log, segment); return err }

func openError(log Log) error { _, err := Open(log, segment, fleet); return err }

func TestEachBitOfALedgerIsUnderItsHash(t *testing.T) {
	log := story(t)
	original, err := Load(log, segment)
	require.NoError(t, err)
	count, digest := original.Head()
	for i, body := range log.records[segment] {
		for at := range body {
			bad := bytes.Clone(body)
			bad[at] ^= 1
			log.records[segment][i] = bad
			b, err := Load(log, segment)
			if err == nil { // only the last record has nothing after it, and the head names it
				require.Equal(t, len(log.records[segment])-1, i)
				err = b.NotOlder(count, digest)
				require.ErrorIs(t, err, ErrRolledBack)
			} else if !errors.Is(err, ErrAccountant) {
				require.ErrorIs(t, err, ErrRecord)
			}
		}
		log.records[segment][i] = body
	}
}

func TestRecordsLeftOutOrExchangedAreNoticed(t *testing.T) {
	log := story(t)
	all := log.records[segment]
	for i := range all[:len(all)-1] {
		log.records[segment] = append(append([][]byte{}, all[:i]...), all[i+1:]...)
		require.ErrorIs(t, loadError(log), ErrRecord, "without record %d", i+1)
		swapped := append([][]byte{}, all...)
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		log.records[segment] = swapped
		require.ErrorContains(t, loadError(log), fmt.Sprintf("record %d:", i+1))
	}
	log.records[segment] = [][]byte{}
	require.ErrorIs(t, loadError(log), ErrRecord)
	require.ErrorIs(t, openError(log), ErrRecord, "a ledger that is gone is not begun anew")
	require.ErrorIs(t, loadError(newMemory()), ErrRecord)
}

// A later accountant with other prices, in the three ways there are.
func TestAccountantOfAnotherVersion(t *testing.T) {
	priced := func(version uint64, factor float64) accountant {
		a := renyi()
		price := a.price
		a.version = version
		a.price = func(orders []float64, one dp.Event) ([]float64, error) {
			p, err := price(orders, one)
			for i := range p {
				p[i] *= factor
			}
			return p, err
		}
		return a
	}
	t.Run("that prices the same goes on", func(t *testing.T) {
		log := story(t)
		b, err := open(log, segment, fleet, priced(2, 1))
		require.NoError(t, err)
		require.NoError(t, b.Void(attempt(3)))
	})
	t.Run("that prices lower is refused, and writes nothing", func(t *testing.T) {
		for _, version := range []uint64{1, 2} {
			log := story(t)
			records := len(log.records[segment])
			_, err := open(log, segment, fleet, priced(version, 1-1e-6))
			require.ErrorIs(t, err, ErrAccountant)
			require.ErrorContains(t, err, "record 3")
			require.Len(t, log.records[segment], records)
		}
	})
	t.Run("that differs in the last digits, as machines do, goes on", func(t *testing.T) {
		_, err := open(story(t), segment, fleet, priced(1, 1-1e-12))
		require.NoError(t, err)
	})
	t.Run("that prices higher charges more, and may leave no room", func(t *testing.T) {
		log := newMemory()
		b := mustOpen(t, log, fleet)
		c := gaussian(t, 8, 1)
		for round := 1; round <= 100; round++ { // 108 fit
			require.NoError(t, b.Reserve(attempt(round), thePlan, c))
		}
		spent, _ := b.Spent(dp.ObserverReleases)
		dear, err := open(log, segment, fleet, priced(2, 1.5))
		require.NoError(t, err)
		more, ok := dear.Spent(dp.ObserverReleases)
		require.True(t, ok)
		require.Greater(t, more, spent)
		require.ErrorIs(t, dear.Room("job", c), ErrBudget)
		require.NoError(t, dear.Commit(attempt(1), c, bytesA), "what was reserved can still be released: it is charged")
		left, ok := dear.Left(dp.ObserverReleases)
		require.True(t, ok)
		require.Zero(t, left)
		_, err = open(log, segment, fleet, priced(2, 1.5))
		require.NoError(t, err)
	})
}

// The file was written by this package. Another hash means that ledgers in the field
// would no longer be read as they were written.
func TestLedgerOnRecordKeepsItsHead(t *testing.T) {
	text, err := os.ReadFile("testdata/story.hex")
	require.NoError(t, err)
	log := newMemory()
	for _, line := range strings.Fields(string(text)) {
		body, err := hex.DecodeString(line)
		require.NoError(t, err)
		require.NoError(t, log.Append(segment, body))
	}
	b, err := Load(log, segment)
	require.NoError(t, err)
	count, digest := b.Head()
	require.Equal(t, uint64(8), count)
	require.Equal(t, storyHead, digest.String())
	require.Equal(t, log.records, story(t).records, "and the same calls write the same bytes")
	require.Equal(t, fleet, b.Genesis())
	var states []State
	for _, e := range b.Entries() {
		states = append(states, e.State)
	}
	require.Equal(t, []State{Committed, Voided, Reserved}, states)
}

const storyHead = "f341214450835f1f13c3fb4c45389821004c7622e59e923d2ea89604d2629088"

func FuzzDecodeRecord(f *testing.F) {
	for _, body := range story(f).records[segment] {
		f.Add(body)
	}
	f.Add(record{sequence: 3, epoch: 1, previous: bytesA, kind: kindClose}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		require.Equal(t, b, r.encode())
	})
}

func TestRecordsOfOtherFormsAreRefused(t *testing.T) {
	body := story(t).records[segment][2]
	r, err := decodeRecord(body)
	require.NoError(t, err)
	_, err = decodeRecord(append(bytes.Clone(body), make([]byte, maxRecord)...))
	require.ErrorIs(t, err, secagg.ErrEncoding)
	later := bytes.Clone(body)
	require.Equal(t, byte(version), later[2])
	later[2]++
	_, err = decodeRecord(later)
	require.ErrorContains(t, err, "version 2")
	for name, change := range map[string]func(r *record){
		"unknown kind":          func(r *record) { *r = record{sequence: 3, epoch: 1, kind: 7} },
		"no plan":               func(r *record) { r.plan = secagg.Digest{} },
		"reservation of bytes":  func(r *record) { r.released = bytesA },
		"release of no bytes":   func(r *record) { r.kind, r.plan = kindCommit, secagg.Digest{} },
		"no price":              func(r *record) { r.worth[0] = 0 },
		"a price below zero":    func(r *record) { r.worth[1] = -1 },
		"no attempt":            func(r *record) { r.id = secagg.RoundID{} },
		"no event":              func(r *record) { r.charge.Released = dp.Event{} },
		"void without proof":    func(r *record) { *r = record{sequence: 3, epoch: 1, kind: kindVoid, id: attempt(1)} },
		"void by another proof": func(r *record) { *r = record{sequence: 3, epoch: 1, kind: kindVoid, id: attempt(1), proof: 2} },
		"genesis without orders": func(r *record) {
			*r = record{sequence: 1, kind: kindGenesis, origin: origin{Genesis: fleet, accountant: "rdp", version: 1}}
		},
		"genesis without epsilon": func(r *record) {
			*r = record{sequence: 1, kind: kindGenesis, origin: origin{Genesis: Genesis{Population: "p"}, orders: []float64{2}}}
		},
	} {
		bad := r
		change(&bad)
		_, err := decodeRecord(bad.encode())
		require.Error(t, err, name)
	}
}
