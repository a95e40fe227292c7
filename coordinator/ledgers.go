package coordinator

import (
	"slices"
	"sync"

	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// ErrBudget is a population whose budget is not the one that a plan states.
var ErrBudget = fault.New(fault.Refused, "coordinator/budget", "the population has another budget than the plan states", "state the population's budget, or name another population")

// Ledgers holds the privacy ledgers of populations, each shared by the jobs that name
// it. Safe for concurrent use. At most one holds a log.
type Ledgers struct {
	log   ledger.Log
	mu    sync.Mutex
	books map[string]*ledger.Book
}

// NewLedgers keeps ledgers in a log, which a store's Journal is: not that of a run,
// whose engine drops segments that it does not know.
func NewLedgers(log ledger.Log) *Ledgers {
	return &Ledgers{log: log, books: map[string]*ledger.Book{}}
}

// Of returns the ledger that a plan's attempts are charged to, and begins it if the plan
// is the first to name its population; nil for a plan without noise. ErrBudget if the
// population has another budget.
func (l *Ledgers) Of(p plan.Plan) (Ledger, error) {
	if !p.Guarantee().Stated() {
		return nil, nil
	}
	book, err := l.book(p.Genesis())
	if err != nil {
		return nil, err
	}
	return charges{book: book, job: p.Job(), plan: p.Digest(), charge: p.Charge(), guarantee: p.Guarantee()}, nil
}

func (l *Ledgers) book(g ledger.Genesis) (*ledger.Book, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	book, segment := l.books[g.Population], ledger.Segment(g.Population)
	if book == nil {
		// What is enforced follows from the plan that began the ledger.
		segments, err := l.log.Segments()
		if err != nil {
			return nil, err
		}
		first := g
		if slices.Contains(segments, segment) {
			begun, err := ledger.Load(l.log, segment)
			if err != nil {
				return nil, err
			}
			first = begun.Genesis()
		}
		if book, err = ledger.Open(l.log, segment, first); err != nil {
			return nil, err
		}
		l.books[g.Population] = book
	}
	if have := book.Genesis(); have.Relation != g.Relation || have.Delta != g.Delta || have.Releases.Epsilon != g.Releases.Epsilon ||
		have.Rosters.Epsilon != g.Rosters.Epsilon {
		return nil, ErrBudget.At("population %s: epsilon %g and %g at delta %g under %s", g.Population, have.Releases.Epsilon, have.Rosters.Epsilon, have.Delta, have.Relation)
	}
	return book, nil
}

// charges is a population's ledger as one job uses it.
type charges struct {
	book      *ledger.Book
	job       string
	plan      secagg.Digest
	charge    ledger.Charge
	guarantee plan.Guarantee
}

// Reserve implements Charges.
func (c charges) Reserve(id secagg.RoundID) error {
	if e, ok := c.book.Entry(id); !ok || e.State != ledger.Reserved {
		if err := c.bounded(); err != nil {
			return err
		}
	}
	return c.book.Reserve(id, c.plan, c.charge)
}

// bounded refuses an attempt after which no bound within the budget could be stated. The
// ledger adds up divergences; that shares of noise are redrawn, which no longer costs
// nothing at large epsilons, is for the plan's guarantee to know.
func (c charges) bounded() error {
	attempts, _ := c.attempts()
	g := c.book.Genesis()
	for _, x := range []struct {
		who    dp.Observer
		budget float64
	}{{dp.ObserverReleases, g.Releases.Epsilon}, {dp.ObserverCoordinator, g.Rosters.Epsilon}} {
		if epsilon, ok := c.guarantee.Enforced(x.who, attempts+1); x.budget > 0 && !(ok && epsilon <= x.budget) {
			return ledger.ErrBudget.At("population %s: %d attempts of job %s spend epsilon %.4g of %g for observer %s", g.Population, attempts+1, c.job, epsilon, x.budget, x.who)
		}
	}
	return nil
}

// attempts counts those of the job that are charged, and reports whether all of them
// were made under the present plan.
func (c charges) attempts() (n int, alike bool) {
	alike = true
	for _, e := range c.book.Entries() {
		if e.ID.Job == c.job && e.State != ledger.Voided {
			n++
			alike = alike && e.Plan == c.plan
		}
	}
	return n, alike
}

// Settle implements Charges. What was reserved is what was released, also where the run
// goes on under another plan before the ledger hears of it.
func (c charges) Settle(id secagg.RoundID, released secagg.Digest) error {
	e, ok := c.book.Entry(id)
	if !ok {
		return ledger.ErrUnknown.At("%s", id)
	}
	return c.book.Commit(id, e.Charge, released)
}

// Void implements Charges.
func (c charges) Void(id secagg.RoundID) error {
	if !c.Has(id) {
		return nil
	}
	return c.book.Void(id)
}

// Room implements Balance.
func (c charges) Room() error {
	if err := c.bounded(); err != nil {
		return err
	}
	return c.book.Room(c.job, c.charge)
}

// Has implements Balance.
func (c charges) Has(id secagg.RoundID) bool {
	_, ok := c.book.Entry(id)
	return ok
}

// maxMixed is up to which epsilon the ledger's own bound is stated. It knows nothing of
// redrawn noise, which costs nothing only as long as e^epsilon is no large factor
// (plan.Guarantee).
const maxMixed = 16

// Spent implements Balance. Under one plan all attempts cost the same; of a job that
// went on under another plan the ledger knows what each attempt cost.
func (c charges) Spent(o dp.Observer) (float64, bool) {
	attempts, alike := c.attempts()
	if alike {
		return c.guarantee.Epsilon(o, attempts)
	}
	v, ok := c.book.SpentBy(c.job, o)
	return v, ok && v <= maxMixed
}

// Head implements Balance.
func (c charges) Head() secagg.LedgerHead {
	count, digest := c.book.Head()
	return secagg.LedgerHead{Count: count, Digest: digest}
}

// NotOlder implements Balance.
func (c charges) NotOlder(h secagg.LedgerHead) error { return c.book.NotOlder(h.Count, h.Digest) }
