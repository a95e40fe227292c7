package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg"
)

var budget = ledger.Genesis{Population: "fleet", Unit: dp.UnitClient, Relation: dp.ZeroOut, Clients: 3000, Delta: 1e-5, Slack: 1e-6,
	Releases: ledger.Budget{Epsilon: 8, Order: 8}, Rosters: ledger.Budget{Epsilon: 40, Order: 4}}

var segment = ledger.Segment("fleet")

func noise(t testing.TB, sigma float64) ledger.Charge {
	s := dp.Spec{Mechanism: dp.Gaussian, Relation: dp.ZeroOut, Sampling: dp.Sampling{Mode: dp.SamplingNone}, StdDev: sigma, Clip: 1, Dimension: 10, Count: 1}
	e, err := dp.NewEvent(s)
	require.NoError(t, err)
	return ledger.Charge{Released: e, Rosters: e, Delta: 1e-9}
}

var errFault = errors.New("injected fault")

// faulty is a log whose append number at fails: lost, or persisted all the same.
type faulty struct {
	store.Journal
	at        int
	persisted bool
}

func (f *faulty) Append(segment string, records ...[]byte) error {
	if f.at--; f.at != 0 {
		return f.Journal.Append(segment, records...)
	}
	if f.persisted {
		if err := f.Journal.Append(segment, records...); err != nil {
			return err
		}
	}
	return errFault
}

// engine does what a coordinator does, at random, and remembers what it has let out.
type engine struct {
	*testing.T
	coins    *rand.Rand
	disk     *mem.Disk
	fault    *faulty
	book     *ledger.Book
	round    uint32
	open     map[secagg.RoundID]ledger.Charge // reserved, nothing released
	released map[secagg.RoundID]ledger.Charge // what it really cost
	heads    []func() (uint64, secagg.Digest) // published
}

// start opens store and ledger, as often as it takes.
func (e *engine) start() {
	for {
		e.disk.Crash()
		s, err := e.disk.Open()
		require.NoError(e, err)
		e.fault.Journal = s.Journal
		if e.book, err = ledger.Open(e.fault, segment, budget); err == nil {
			break
		}
		require.ErrorIs(e, err, errFault)
	}
	e.publish()
}

func (e *engine) publish() {
	count, digest := e.book.Head()
	e.heads = append(e.heads, func() (uint64, secagg.Digest) { return count, digest })
}

// bytesOf is what is released of an attempt.
func bytesOf(id secagg.RoundID) secagg.Digest { return secagg.Hash("bytes", id.Encode()) }

// step does one thing and returns the error of the ledger.
func (e *engine) step() error {
	pick := func(of map[secagg.RoundID]ledger.Charge) (secagg.RoundID, bool) {
		for n := range e.round { // the order of a map would not repeat
			for _, job := range []string{"a", "b"} {
				id := secagg.RoundID{Job: job, Round: n + 1, Attempt: 1}
				if _, ok := of[id]; ok && e.coins.IntN(2) == 0 {
					return id, true
				}
			}
		}
		return secagg.RoundID{}, false
	}
	switch e.coins.IntN(5) {
	case 0, 1:
		e.round++
		id := secagg.RoundID{Job: []string{"a", "b"}[e.coins.IntN(2)], Round: e.round, Attempt: 1}
		c := noise(e.T, 2+2*e.coins.Float64())
		err := e.book.Reserve(id, secagg.Hash("plan"), c)
		if err == nil {
			e.open[id] = c
		}
		return err
	case 2, 3:
		id, ok := pick(e.open)
		if !ok {
			return nil
		}
		actual := e.open[id]
		if e.coins.IntN(2) == 0 {
			actual = noise(e.T, 5)
		}
		delete(e.open, id)
		e.released[id] = actual // the moment it is unmasked
		return e.book.Commit(id, actual, bytesOf(id))
	default:
		if id, ok := pick(e.open); ok {
			delete(e.open, id) // it is over, whatever the ledger says
			return e.book.Void(id)
		}
		if id, ok := pick(e.released); ok { // as after a restart
			return e.book.Commit(id, e.released[id], bytesOf(id))
		}
		return nil
	}
}

// check compares the ledger with the truth.
func (e *engine) check() {
	_, err := ledger.Load(e.fault, segment)
	require.NoError(e, err)
	for _, head := range e.heads {
		require.NoError(e, e.book.NotOlder(head()))
	}
	requireCharged(e.T, e.book, e.released)
}

// requireCharged requires a ledger that charges at least what was released.
func requireCharged(t *testing.T, b *ledger.Book, released map[secagg.RoundID]ledger.Charge) {
	states := map[secagg.RoundID]ledger.State{}
	for _, entry := range b.Entries() {
		states[entry.ID] = entry.State
	}
	free, err := mem.New(0).Open()
	require.NoError(t, err)
	g := budget
	g.Releases.Epsilon, g.Rosters.Epsilon, g.Delta, g.Slack = 1e6, 1e6, 1e-3+9e-6, 1e-3
	truth, err := ledger.Open(free.Journal, segment, g)
	require.NoError(t, err)
	for id, c := range released {
		require.Contains(t, []ledger.State{ledger.Reserved, ledger.Committed}, states[id], id.String())
		require.NoError(t, truth.Reserve(id, secagg.Hash("plan"), c))
	}
	for _, o := range []dp.Observer{dp.ObserverReleases, dp.ObserverCoordinator} {
		want, ok := truth.Spent(o)
		require.True(t, ok)
		got, ok := b.Spent(o)
		require.True(t, ok)
		require.GreaterOrEqual(t, got, want*(1-1e-9))
		left, ok := b.Left(o)
		require.True(t, ok)
		require.True(t, left > 0)
	}
}

func TestLedgerIsNeverBelowWhatWasReleasedWhateverAppendFails(t *testing.T) {
	faults := 0
	for seed := range uint64(3) {
		for at := 1; at <= 20; at++ {
			for _, persisted := range []bool{false, true} {
				e := &engine{T: t, coins: rand.New(rand.NewPCG(seed, 7)), disk: mem.New(0), fault: &faulty{at: at, persisted: persisted},
					open: map[secagg.RoundID]ledger.Charge{}, released: map[secagg.RoundID]ledger.Charge{}}
				e.start()
				for range 40 {
					err := e.step()
					switch {
					case errors.Is(err, ledger.ErrBroken):
						faults++
						require.ErrorIs(t, e.book.Room("a", noise(t, 9)), ledger.ErrBroken)
						require.ErrorIs(t, e.book.Reserve(secagg.RoundID{Job: "c", Round: 1, Attempt: 1}, bytesOf(secagg.RoundID{}), noise(t, 9)), ledger.ErrBroken, "until it is reopened")
						clear(e.open) // the engine gives up attempts that a crash interrupted
						e.start()
					case err != nil: // a release that was persisted as void cannot happen, nor anything else
						require.ErrorIs(t, err, ledger.ErrBudget)
					default:
						e.publish()
					}
					if err != nil {
						e.check()
					}
				}
				e.disk.Crash()
				e.start()
				e.check()
				for id, actual := range e.released {
					require.NoError(t, e.book.Commit(id, actual, bytesOf(id)), "a release that was on its way can be finished")
					require.NoError(t, e.book.Commit(id, actual, bytesOf(id)))
				}
				e.check()
			}
		}
	}
	require.Greater(t, faults, 80)
}

// Each append of one attempt's life, failed and failed but persisted: what the caller was
// told, and what the ledger says when it is opened again.
func TestFaultAtEachWriteOfAnAttempt(t *testing.T) {
	c, lighter := noise(t, 3), noise(t, 5)
	id := secagg.RoundID{Job: "a", Round: 1, Attempt: 1}
	for name, test := range map[string]struct {
		at         int
		do         func(b *ledger.Book) error
		lost, kept ledger.State // 0: no entry
	}{
		"reserve": {2, func(b *ledger.Book) error { return b.Reserve(id, bytesOf(id), c) }, 0, ledger.Reserved},
		"commit": {3, func(b *ledger.Book) error {
			return errors.Join(b.Reserve(id, bytesOf(id), c), b.Commit(id, lighter, bytesOf(id)))
		}, ledger.Reserved, ledger.Committed},
		"void": {3, func(b *ledger.Book) error { return errors.Join(b.Reserve(id, bytesOf(id), c), b.Void(id)) }, ledger.Reserved, ledger.Voided},
	} {
		for _, persisted := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " persisted ", persisted), func(t *testing.T) {
				disk := mem.New(0)
				s, err := disk.Open()
				require.NoError(t, err)
				b, err := ledger.Open(&faulty{s.Journal, test.at, persisted}, segment, budget)
				require.NoError(t, err)
				require.ErrorIs(t, test.do(b), ledger.ErrBroken)
				disk.Crash()
				s, err = disk.Open()
				require.NoError(t, err)
				b, err = ledger.Open(s.Journal, segment, budget)
				require.NoError(t, err)
				want := test.lost
				if persisted {
					want = test.kept
				}
				var got ledger.State
				for _, e := range b.Entries() {
					got = e.State
				}
				require.Equal(t, want, got)
				spent, ok := b.Spent(dp.ObserverReleases)
				require.True(t, ok)
				require.Equal(t, want == ledger.Reserved || want == ledger.Committed, spent > 0)
			})
		}
	}
}
