package account

import (
	"math"

	"github.com/choir-fl/choir/dp"
)

// Filter admits events one by one as long as all of them together stay within a
// budget (epsilon, delta). Noise, clip and cohort of an event may depend on everything
// released before: the spend of one Renyi order, of zCDP or of GDP adds up under adaptive
// choice (Feldman and Zrnic 2021; Koskela, Tobaben and Honkela 2023 for GDP). The order is
// therefore fixed when the filter is made and not chosen afterwards.
//
// A Filter is not safe for concurrent use. What is durable is the ledger's matter.
type Filter struct {
	cost         func(e dp.Event) (float64, error)
	limit, spent float64
	relation     dp.Relation
}

// NewRDPFilter returns a filter at one Renyi order > 1; BestOrder finds a good one from a
// plan. ErrTarget if the budget is not positive at that order.
func NewRDPFilter(relation dp.Relation, order, epsilon, delta float64) (*Filter, error) {
	if err := checkOrder(order); err != nil {
		return nil, err
	}
	limit := epsilon - math.Log1p(-1/order) + (math.Log(delta)+math.Log(order))/(order-1)
	return newFilter(relation, epsilon, delta, limit, func(e dp.Event) (float64, error) {
		c, err := NewCurveAt([]float64{order}, []dp.Event{e})
		if err != nil {
			return 0, err
		}
		return c.rdp[0], nil
	})
}

// NewZCDPFilter returns a filter on rho, for Gaussian and discrete Gaussian noise without sampling.
func NewZCDPFilter(relation dp.Relation, epsilon, delta float64) (*Filter, error) {
	if err := checkBudget(epsilon, delta); err != nil {
		return nil, err
	}
	rho, _ := bisect(0, epsilon+1, 1e-12, func(r float64) bool {
		e, err := ZCDPEpsilon(r, delta)
		return err != nil || e > epsilon
	})
	return newFilter(relation, epsilon, delta, rho, func(e dp.Event) (float64, error) { return ZCDPRho([]dp.Event{e}) })
}

// NewGDPFilter returns a filter on mu squared, for Gaussian noise without sampling.
func NewGDPFilter(relation dp.Relation, epsilon, delta float64) (*Filter, error) {
	if err := checkBudget(epsilon, delta); err != nil {
		return nil, err
	}
	z, err := GDPNoise(epsilon, delta)
	if err != nil {
		return nil, err
	}
	return newFilter(relation, epsilon, delta, 1/(z*z), func(e dp.Event) (float64, error) {
		mu, err := GDPMu([]dp.Event{e})
		return mu * mu, err
	})
}

func checkBudget(epsilon, delta float64) error {
	if !(epsilon > 0) || math.IsInf(epsilon, 1) {
		return ErrTarget.At("budget of epsilon %g", epsilon)
	}
	return checkDelta(delta)
}

func newFilter(relation dp.Relation, epsilon, delta, limit float64, cost func(dp.Event) (float64, error)) (*Filter, error) {
	if err := checkBudget(epsilon, delta); err != nil {
		return nil, err
	}
	if relation.String() == "" {
		return nil, dp.ErrEvent.At("filter: relation %d", relation)
	}
	if !(limit > 0) {
		return nil, ErrTarget.At("filter: epsilon %g at delta %g allows nothing at all", epsilon, delta)
	}
	return &Filter{cost: cost, limit: limit, relation: relation}, nil
}

// Charge adds an event to what was spent, or returns ErrBudget and spends nothing. An
// event of another relation, or one that cannot be priced, is refused too.
func (f *Filter) Charge(e dp.Event) error {
	if !e.Valid() {
		return dp.ErrEvent.At("filter: the event was not made by NewEvent")
	}
	if r := e.Spec().Relation; r != f.relation {
		return dp.ErrMixed.At("filter: %s after %s", r, f.relation)
	}
	cost, err := f.cost(e)
	if err != nil {
		return err
	}
	// Rounded up, so that spends too small for a sum of floats are never lost.
	sum := math.Nextafter(f.spent+math.Nextafter(cost, math.Inf(1)), math.Inf(1))
	if !(sum <= f.limit) {
		return ErrBudget.At("%g of %g spent, %g asked", f.spent, f.limit, cost)
	}
	f.spent = sum
	return nil
}

// Left returns the part of the budget that is left, from 0 to 1.
func (f *Filter) Left() float64 { return 1 - f.spent/f.limit }

// BestOrder returns the Renyi order at which planned events cost least at delta.
func BestOrder(planned []dp.Event, delta float64) (float64, error) {
	c, err := NewCurve(planned)
	if err != nil {
		return 0, err
	}
	b, err := c.Epsilon(delta)
	if err == nil && b.Order == 0 {
		return 0, ErrTarget.At("no order gives a finite epsilon")
	}
	return b.Order, err
}
