package ledger

import (
	"math"
	"math/big"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
)

// accountant says what one use of an event costs.
type accountant struct {
	name string
	// version grows whenever the same event gets another price.
	version uint64
	// orders are those whose best a reported epsilon is.
	orders []float64
	// price returns the Renyi divergence of one use at each of the orders.
	price func(orders []float64, one dp.Event) ([]float64, error)
}

// renyi is the accountant of this program.
func renyi() accountant {
	return accountant{name: "rdp", version: 1, orders: account.Orders(), price: func(orders []float64, one dp.Event) (prices []float64, err error) {
		curve, err := account.NewCurveAt(orders, []dp.Event{one})
		curve.Each(func(_, rdp float64) { prices = append(prices, rdp) })
		return prices, err
	}}
}

// price is that of one use of an event, rounded up so that it is never zero.
type price struct {
	one   dp.Event
	at    [2]float64 // where the charges of each observer are compared
	curve []float64  // at the orders of the accountant; nil until somebody asks
}

// tariff holds the price of each event that was asked for.
type tariff struct {
	accountant
	compared [2]float64        // the order at which each observer's charges are compared
	prices   map[string]*price // by the key of the event
}

func newTariff(a accountant, g Genesis) *tariff {
	t := &tariff{accountant: a, prices: map[string]*price{}}
	for i, o := range observers {
		t.compared[i] = g.order(o)
	}
	return t
}

// at prices one use of an event at each of the orders, rounded up.
func (t *tariff) at(orders []float64, one dp.Event) ([]float64, error) {
	prices, err := t.price(orders, one)
	if err != nil {
		return nil, err
	}
	for i, p := range prices {
		if !(p >= 0) {
			return nil, account.ErrOrder.At("divergence %g at order %g", p, orders[i])
		}
		prices[i] = math.Nextafter(p, math.Inf(1))
	}
	return prices, nil
}

// enter puts the price of an event into the tariff and returns its key. It is ErrCharge if
// there is none, or no finite one where it would be compared.
func (t *tariff) enter(o dp.Observer, event dp.Event) (string, error) {
	one, key, err := single(event)
	if err != nil {
		return "", ErrCharge.At("%s", o).Because(err)
	}
	if t.prices[key] != nil {
		return key, nil
	}
	prices, err := t.at(t.compared[:], one)
	if err != nil {
		return "", ErrCharge.At("%s", o).Because(err)
	}
	for i, p := range prices {
		if math.IsInf(p, 1) {
			return "", ErrCharge.At("%s: no finite divergence at order %g", o, t.compared[i])
		}
	}
	t.prices[key] = &price{one: one, at: [2]float64(prices)}
	return key, nil
}

// complete fills in the curve of an event that was entered.
func (t *tariff) complete(key string) (err error) {
	if p := t.prices[key]; p.curve == nil {
		p.curve, err = t.at(t.orders, p.one)
	}
	return err
}

// exactly is the precision, in bits, at which sums and products here are exact: of
// float64 values from 2^-1074 to 2^1024, counted up to 2^63 each, fewer than 2^64 of them.
const exactly = 1074 + 1024 + 63 + 64

func zero() *big.Float { return new(big.Float).SetPrec(exactly) }

// cost is price times uses, exact. The price may be infinite, the uses positive.
func cost(price float64, uses int64) *big.Float {
	return zero().Mul(new(big.Float).SetFloat64(price), new(big.Float).SetInt64(uses))
}

// upward is the least float64 not below x.
func upward(x *big.Float) float64 {
	f, accuracy := x.Float64()
	if accuracy == big.Below {
		f = math.Nextafter(f, math.Inf(1))
	}
	return f
}
