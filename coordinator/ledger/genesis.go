package ledger

import (
	"math"
	"slices"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/secagg"
)

// Genesis is what a ledger is begun with. It never changes afterwards.
type Genesis struct {
	// Population names whose budget it is, in the form of a secagg.PartyID.
	Population string
	// Unit is dp.UnitClient, the only one that a coordinator can enforce.
	Unit dp.Unit
	// Relation is that of all events.
	Relation dp.Relation
	// Clients is the number of units in the population.
	Clients int
	// Delta is that of both budgets, in (0,1).
	Delta float64
	// Slack is the part of Delta that charges may draw on by addition; less than
	// Delta. Sums are exact: leave room for the rounding of the parts.
	Slack float64
	// Releases is the budget of those who see released models.
	Releases Budget
	// Rosters is the budget of those who see rosters too. The zero value: none.
	Rosters Budget
}

// Budget bounds what one observer may learn.
type Budget struct {
	// Epsilon is positive and finite.
	Epsilon float64
	// Order is the Renyi order of the filter, one of account.Orders: best the one at which
	// the budget lasts longest for the charges that are planned.
	Order float64
}

// stated reports whether there is a budget at all.
func (b Budget) stated() bool { return b != Budget{} }

// limit is the Renyi divergence at Order that (Epsilon, delta) allows: proposition 12
// of Canonne, Kamath and Steinke 2020.
func (b Budget) limit(delta float64) float64 {
	a := b.Order
	return b.Epsilon + (math.Log(delta)+math.Log(a))/(a-1) - math.Log1p(-1/a)
}

// budget returns that of an observer.
func (g Genesis) budget(o dp.Observer) Budget {
	if o == dp.ObserverReleases {
		return g.Releases
	}
	return g.Rosters
}

// order is the order at which the charges of an observer are compared.
func (g Genesis) order(o dp.Observer) float64 {
	if b := g.budget(o); b.stated() {
		return b.Order
	}
	return g.Releases.Order
}

// composed is the part of delta that filters work at, rounded down.
func (g Genesis) composed() float64 {
	if g.Slack == 0 {
		return g.Delta
	}
	return math.Nextafter(g.Delta-g.Slack, 0)
}

// Check returns ErrGenesis unless the budget can be enforced: it says why.
func (g Genesis) Check() error {
	switch {
	case !secagg.PartyID(g.Population).Valid():
		return ErrGenesis.At("population %.70q", g.Population)
	case g.Unit != dp.UnitClient:
		return ErrGenesis.At("unit %d", g.Unit)
	case g.Relation.String() == "":
		return ErrGenesis.At("relation %d", g.Relation)
	case g.Clients < 1 || g.Clients > math.MaxInt32:
		return ErrGenesis.At("%d clients", g.Clients)
	case !(g.Delta > 0 && g.Delta < 1):
		return ErrGenesis.At("delta %g", g.Delta)
	case !(g.Slack >= 0 && g.Slack < g.Delta):
		return ErrGenesis.At("slack %g of delta %g", g.Slack, g.Delta)
	}
	for _, o := range observers {
		if b := g.budget(o); b.stated() || o == dp.ObserverReleases {
			if err := g.checkBudget(o, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g Genesis) checkBudget(o dp.Observer, b Budget) error {
	switch {
	case !slices.Contains(account.Orders(), b.Order):
		return ErrGenesis.At("%s: order %g", o, b.Order)
	case !(b.Epsilon > 0 && b.Epsilon <= math.MaxFloat64):
		return ErrGenesis.At("%s: epsilon %g", o, b.Epsilon)
	case !(b.limit(g.composed()) > 0):
		return ErrGenesis.At("%s: epsilon %g at delta %g allows nothing at order %g", o, b.Epsilon, g.composed(), b.Order)
	}
	return nil
}

// observers are all of them, in the order of their numbers.
var observers = [...]dp.Observer{dp.ObserverReleases, dp.ObserverCoordinator}

// origin is a Genesis with the accountant that a ledger was begun under.
type origin struct {
	Genesis
	accountant string
	version    uint64
	orders     []float64 // that reported epsilons are the best of
}

// maxOrders bounds the orders on record.
const maxOrders = 4096

func (b Budget) encode(e *secagg.Encoder) {
	e.Float(1, b.Epsilon)
	e.Float(2, b.Order)
}

func decodeBudget(b []byte) (Budget, error) {
	d := secagg.NewDecoder(b)
	out := Budget{Epsilon: d.Float(1), Order: d.Float(2)}
	return out, d.Close()
}

func (o origin) encode(e *secagg.Encoder) {
	e.String(1, o.Population)
	e.Uint(2, uint64(o.Unit))
	e.Uint(3, uint64(o.Relation))
	e.Uint(4, uint64(o.Clients)) // checked to be positive
	e.Float(5, o.Delta)
	e.Float(6, o.Slack+0) // never -0
	e.Message(7, o.Releases.encode)
	e.Message(8, o.Rosters.encode)
	e.String(9, o.accountant)
	e.Uint(10, o.version)
	var orders [][]byte
	for _, a := range o.orders {
		var one secagg.Encoder
		one.Float(1, a)
		orders = append(orders, one.Encoded())
	}
	e.List(11, orders)
}

func decodeOrigin(b []byte) (origin, error) {
	d := secagg.NewDecoder(b)
	o := origin{Genesis: Genesis{Population: d.String(1), Unit: dp.Unit(d.Int(2, math.MaxUint8)), Relation: dp.Relation(d.Int(3, math.MaxUint8)),
		Clients: d.Int(4, math.MaxInt32), Delta: d.Float(5), Slack: d.Float(6)}}
	releases, rosters := d.Bytes(7), d.Bytes(8)
	o.accountant, o.version = d.String(9), d.Uint(10)
	orders := d.List(11, maxOrders)
	if err := d.Close(); err != nil {
		return o, err
	}
	var err error
	if o.Releases, err = decodeBudget(releases); err != nil {
		return o, err
	}
	if o.Rosters, err = decodeBudget(rosters); err != nil {
		return o, err
	}
	for _, item := range orders {
		one := secagg.NewDecoder(item)
		o.orders = append(o.orders, one.Float(1))
		if err := one.Close(); err != nil {
			return o, err
		}
	}
	if !slices.IsSorted(o.orders) || len(o.orders) == 0 || !(o.orders[0] > 1) {
		return o, secagg.ErrEncoding.At("orders of the accountant")
	}
	return o, o.Check()
}

// difference names the first thing in which two budgets differ.
func (g Genesis) difference(other Genesis) string {
	for _, part := range []struct {
		name string
		same bool
	}{
		{"population", g.Population == other.Population}, {"unit", g.Unit == other.Unit}, {"relation", g.Relation == other.Relation},
		{"number of clients", g.Clients == other.Clients}, {"delta", g.Delta == other.Delta}, {"slack", g.Slack == other.Slack},
		{"budget of releases", g.Releases == other.Releases}, {"budget of rosters", g.Rosters == other.Rosters},
	} {
		if !part.same {
			return part.name
		}
	}
	return ""
}
