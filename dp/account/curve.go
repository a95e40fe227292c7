package account

import (
	"math"
	"slices"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/fault"
)

// Orders returns the Renyi orders that every Curve is kept at: 1.05, 1.1 to 10.9 by 0.1,
// 11 to 63, and eight up to 1024. A finer grid gains 1e-4 of epsilon.
func Orders() []float64 {
	o := []float64{1.05}
	for i := 11; i < 110; i++ {
		o = append(o, float64(i)/10)
	}
	for i := 11; i < 64; i++ {
		o = append(o, float64(i))
	}
	return append(o, 72, 80, 96, 128, 192, 256, 512, 1024)
}

// Curve is Renyi divergence at each of a set of orders. It is immutable; Times makes
// another. The zero value is of no use.
type Curve struct{ orders, rdp []float64 }

// NewCurve returns the sum over events at Orders(): an upper bound for each neighbour
// and in both directions. ErrUnsupported names an event for which no bound is known.
func NewCurve(events []dp.Event) (Curve, error) { return NewCurveAt(Orders(), events) }

// NewCurveAt is NewCurve at orders of the caller's choice, each above 1. ErrOrder if there is
// none, and above order 100,000 for sampled events and Skellam noise, whose bounds are sums.
func NewCurveAt(orders []float64, events []dp.Event) (Curve, error) {
	if _, err := dp.CommonRelation(events); err != nil {
		return Curve{}, err
	}
	if len(orders) == 0 {
		return Curve{}, ErrOrder.At("a curve without orders")
	}
	c := Curve{slices.Clone(orders), make([]float64, len(orders))}
	for _, a := range orders {
		if err := checkOrder(a); err != nil {
			return Curve{}, err
		}
	}
	for i, e := range events {
		one, err := eventCGF(e, orders)
		if err != nil {
			return Curve{}, err.At("rdp: event %d, %s with %s sampling under %s", i, e.Spec().Mechanism, e.Spec().Sampling.Mode, e.Spec().Relation)
		}
		n := float64(e.Spec().Count)
		for j, a := range orders {
			c.rdp[j] += n * one(a) / (a - 1)
		}
	}
	return c, nil
}

// CurveOf returns the curve of a divergence that the caller vouches for, at Orders(). rdp
// must bound each order; NaN and negative values are ErrOrder.
func CurveOf(rdp func(order float64) float64) (Curve, error) {
	c := Curve{Orders(), nil}
	for _, a := range c.orders {
		r := rdp(a)
		if !(r >= 0) {
			return Curve{}, ErrOrder.At("divergence %g at order %g", r, a)
		}
		c.rdp = append(c.rdp, r)
	}
	return c, nil
}

// Times returns the curve of n uses; n must be positive.
func (c Curve) Times(n int64) (Curve, error) {
	if n < 1 || n > dp.MaxCount {
		return Curve{}, dp.ErrEvent.At("count %d", n)
	}
	m := Curve{c.orders, slices.Clone(c.rdp)}
	for i := range m.rdp {
		m.rdp[i] *= float64(n)
	}
	return m, nil
}

// Each calls f with every order and its divergence, orders ascending as given.
func (c Curve) Each(f func(order, rdp float64)) {
	for i, a := range c.orders {
		f(a, c.rdp[i])
	}
}

// eventCGF returns a bound of (a-1) D_a of one use of an event.
func eventCGF(e dp.Event, orders []float64) (func(a float64) float64, *fault.Error) {
	s, z := e.Spec(), e.NoiseMultiplier()
	base := mechanismCGF(e)
	if s.Sampling.Mode == dp.SamplingNone && s.Mechanism != dp.Skellam {
		return base, nil
	}
	if slices.Max(orders) > maxOrder {
		return nil, ErrOrder
	}
	switch s.Sampling.Mode {
	case dp.SamplingNone:
		return func(a float64) float64 { return chord(a, func(k int) float64 { return base(float64(k)) }) }, nil
	case dp.SamplingFixed:
		if s.Mechanism != dp.Gaussian {
			return nil, ErrUnsupported
		}
		t, q := newFixedTable(z), float64(s.Sampling.Size)/float64(s.Sampling.Population)
		return func(a float64) float64 { return chord(a, func(k int) float64 { return t.cgf(q, z, k) }) }, nil
	case dp.SamplingTruncatedPoisson:
		// Under zero-out the others are drawn as if nothing had changed, so a cap only
		// makes it less likely that a client is drawn.
		if s.Relation != dp.ZeroOut {
			return nil, ErrUnsupported
		}
	case dp.SamplingPoisson:
		if s.Relation == dp.ReplaceOne {
			return nil, ErrUnsupported
		}
	}
	q := s.Sampling.Rate
	if s.Mechanism != dp.Gaussian {
		return func(a float64) float64 {
			return chord(a, func(k int) float64 { return amplified(q, k, func(j int) float64 { return base(float64(j)) }) })
		}, nil
	}
	top := 0.0
	for _, a := range orders {
		if a != math.Floor(a) {
			top = max(top, a)
		}
	}
	var shared *quadrature
	if top > 0 && z >= quadLeast {
		r := newQuadrature(q, z, top)
		shared = &r
	}
	return func(a float64) float64 { return gaussianPoisson(q, z, a, shared) }, nil
}

// mechanismCGF is (a-1) D_a without sampling; of Skellam at whole orders only.
func mechanismCGF(e dp.Event) func(a float64) float64 {
	z := e.NoiseMultiplier()
	switch e.Spec().Mechanism {
	case dp.Laplace:
		scale := e.StdDev() / math.Sqrt2 / e.Sensitivity()
		return func(a float64) float64 { return laplaceCGF(scale, a) }
	case dp.Skellam:
		v := e.StdDev() * e.StdDev()
		l2, l1 := e.Sensitivity(), e.L1Sensitivity()
		return func(a float64) float64 {
			// Agarwal, Kairouz and Liu 2021, theorem 3.5.
			return (a - 1) * (a*l2*l2/(2*v) + min(((2*a-1)*l2*l2+6*l1)/(4*v*v), 3*l1/(2*v)))
		}
	default: // continuous and discrete Gaussian alike
		return func(a float64) float64 { return a * (a - 1) / (2 * z * z) }
	}
}

// laplaceCGF is exact (Mironov 2017, proposition 6); scale is over the L1 sensitivity.
func laplaceCGF(scale, a float64) float64 {
	first := math.Log(a/(2*a-1)) + (a-1)/scale
	second := math.Log((a-1)/(2*a-1)) - a/scale
	return max(0, logAdd(first, second))
}

// RDPBound is what a curve says at one target.
type RDPBound struct {
	Epsilon, Delta float64
	// Order is the one that gave the bound.
	Order float64
	// Edge says that it was the first or the last: the bound may be far from the best.
	Edge bool
}

// Epsilon returns the least epsilon over all orders at delta; +Inf only if the
// divergence itself exceeds the range of float64 at every order.
func (c Curve) Epsilon(delta float64) (RDPBound, error) {
	if err := checkDelta(delta); err != nil {
		return RDPBound{}, err
	}
	return c.best(RDPBound{Epsilon: math.Inf(1), Delta: delta}, func(b *RDPBound, a, r float64) bool {
		e := dp.EpsilonAt(a, r, delta)
		if e < b.Epsilon {
			b.Epsilon, b.Order = e, a
			return true
		}
		return false
	})
}

// Delta returns the least delta over all orders at epsilon >= 0; at most 1.
func (c Curve) Delta(epsilon float64) (RDPBound, error) {
	if err := checkEpsilon(epsilon); err != nil {
		return RDPBound{}, err
	}
	return c.best(RDPBound{Epsilon: epsilon, Delta: 1}, func(b *RDPBound, a, r float64) bool {
		d := math.Exp((a-1)*(r-epsilon+math.Log1p(-1/a)) - math.Log(a))
		d = min(d, math.Sqrt(-math.Expm1(-r)))
		if d < b.Delta {
			b.Delta, b.Order = d, a
			return true
		}
		return false
	})
}

func (c Curve) best(b RDPBound, better func(b *RDPBound, a, r float64) bool) (RDPBound, error) {
	if len(c.orders) == 0 {
		return RDPBound{}, ErrOrder.At("a curve without orders")
	}
	at := -1
	for i, a := range c.orders {
		if better(&b, a, c.rdp[i]) {
			at = i
		}
	}
	b.Edge = at <= 0 || at == len(c.orders)-1
	return b, nil
}
