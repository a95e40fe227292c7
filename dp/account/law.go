package account

import "math"

// edge is how the two laws of a pair divide at a value of the loss.
type edge struct{ pBelow, pAbove, qBelow, qAbove float64 }

// law is a dominating pair (P, Q) on a line along which the loss ln dP/dQ never
// decreases.
type law interface {
	// at divides the line into losses up to e and above. The smaller side of each law
	// has a small relative error.
	at(e float64) edge
	// scale is a width that the loss varies by, to begin searches with.
	scale() float64
	// symmetric says that (Q, P) has the same loss.
	symmetric() bool
}

// normals is a finite mixture of N(mean, 1).
type normals struct{ mean, weight []float64 }

func (m normals) at(x float64) (below, above float64) {
	for i, w := range m.weight {
		u := x - m.mean[i]
		t := tail(math.Abs(u))
		if u < 0 {
			below, above = below+w*t, above+w*(1-t)
		} else {
			below, above = below+w*(1-t), above+w*t
		}
	}
	return below, above
}

// logDensity returns the logarithm of the density at x but for a constant, and its slope plus x.
func (m normals) logDensity(x float64) (l, slope float64) {
	if len(m.mean) == 1 {
		return math.Log(m.weight[0]) + m.mean[0]*(x-m.mean[0]/2), m.mean[0]
	}
	top := math.Inf(-1)
	for i := range m.mean {
		top = max(top, m.mean[i]*(x-m.mean[i]/2))
	}
	sum := 0.0
	for i, w := range m.weight {
		v := w * math.Exp(m.mean[i]*(x-m.mean[i]/2)-top)
		sum += v
		slope += v * m.mean[i]
	}
	return top + math.Log(sum), slope / sum
}

// gaussianLaw is (1-q)N(0,1) + qN(shift,1) against N(0,1): the sampled Gaussian under
// zero-out and add-remove; its swap is the other direction.
type gaussianLaw struct {
	q, shift float64
	floor    float64 // ln(1-q)
}

func newGaussianLaw(q, z float64) gaussianLaw { return gaussianLaw{q, 1 / z, math.Log1p(-q)} }

func (g gaussianLaw) scale() float64  { return g.shift }
func (g gaussianLaw) symmetric() bool { return g.q == 1 }

func (g gaussianLaw) at(e float64) edge {
	if e <= g.floor {
		return edge{0, 1, 0, 1}
	}
	// (e^e - (1-q))/q, without cancellation near its zero.
	var l float64
	if e > 30 {
		l = e + math.Log1p(-(1-g.q)*math.Exp(-e)) - math.Log(g.q)
	} else if g.q == 1 {
		l = e
	} else {
		l = math.Log1p(math.Expm1(e) / g.q)
	}
	if math.IsInf(l, -1) || math.IsNaN(l) {
		return edge{0, 1, 0, 1}
	}
	x := l/g.shift + g.shift/2
	t0, t1 := tail(math.Abs(x)), tail(math.Abs(x-g.shift))
	b0, a0, b1, a1 := 1-t0, t0, 1-t1, t1
	if x < 0 {
		b0, a0 = a0, b0
	}
	if x < g.shift {
		b1, a1 = a1, b1
	}
	return edge{(1-g.q)*b0 + g.q*b1, (1-g.q)*a0 + g.q*a1, b0, a0}
}

// mixtureLaw is one mixture of normals against another, all means of p being at least
// those of q, so that the loss increases. Each edge is found by Newton's method within a
// bracket.
type mixtureLaw struct {
	p, q  normals
	same  bool // the pair is its own mirror image
	width float64
}

func (m mixtureLaw) scale() float64  { return m.width }
func (m mixtureLaw) symmetric() bool { return m.same }

func (m mixtureLaw) loss(x float64) (l, slope float64) {
	p, ps := m.p.logDensity(x)
	q, qs := m.q.logDensity(x)
	return p - q, ps - qs
}

// sweeper is a law that finds an edge faster from the one before.
type sweeper interface {
	sweep() func(e float64) edge
}

// ascending returns at, for calls one after the other with ascending losses.
func ascending(l law) func(e float64) edge {
	if s, ok := l.(sweeper); ok {
		return s.sweep()
	}
	return l.at
}

func (m mixtureLaw) at(e float64) edge { return m.sweep()(e) }

func (m mixtureLaw) sweep() func(e float64) edge {
	x := 0.0
	return func(e float64) edge { return m.find(e, &x) }
}

// find searches from where x is, and leaves it where the edge was.
func (m mixtureLaw) find(e float64, from *float64) edge {
	const far = 1e4
	lo, hi := -far, far
	if l, _ := m.loss(lo); l >= e {
		return edge{0, 1, 0, 1}
	}
	if l, _ := m.loss(hi); l <= e {
		return edge{1, 0, 1, 0}
	}
	x := *from
	for range 200 {
		l, slope := m.loss(x)
		if l < e {
			lo = x
		} else {
			hi = x
		}
		next := x + (e-l)/slope
		newton := next > lo && next < hi
		if !newton {
			next = lo + (hi-lo)/2
		}
		step := math.Abs(next-x) / (1 + math.Abs(x))
		x = next
		if newton && step <= 1e-9 || step <= 4e-16 { // the error of Newton's step is of second order
			break
		}
	}
	*from = x
	var d edge
	d.pBelow, d.pAbove = m.p.at(x)
	d.qBelow, d.qAbove = m.q.at(x)
	return d
}

// atomLaw is a pair on finitely many points with losses ascending. What lies beyond
// them is in the first below and the last above.
type atomLaw struct {
	loss   []float64
	edges  []edge // edges[i] divides before point i; one more at the end
	width  float64
	mirror bool
}

func (a *atomLaw) scale() float64  { return a.width }
func (a *atomLaw) symmetric() bool { return a.mirror }

func (a *atomLaw) at(e float64) edge {
	lo, hi := 0, len(a.loss) // first point with a loss above e
	for lo < hi {
		if mid := (lo + hi) / 2; a.loss[mid] > e {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return a.edges[lo]
}

// maxAtoms bounds the points of a discrete law.
const maxAtoms = 1 << 22

// newDiscreteGaussianLaw is (1-q)N_Z(0) + qN_Z(shift) against N_Z(0): one coordinate
// with a whole sensitivity. Points further out than reach deviations, with less mass than e^-200,
// belong to the ends.
func newDiscreteGaussianLaw(q, sigma float64, shift int) (*atomLaw, error) {
	const reach = 20
	w := math.Ceil(reach*sigma) + 1
	if !(2*w+float64(shift) < maxAtoms) {
		return nil, ErrTooLarge.At("discrete Gaussian of sigma %g", sigma)
	}
	first, n := -int(w), 2*int(w)+shift+1
	mass := make([]float64, int(w)+shift+1)
	total := 0.0
	for k := len(mass) - 1; k >= 0; k-- {
		u := float64(k) / sigma
		mass[k] = math.Exp(-u * u / 2)
		if k > 0 {
			total += 2 * mass[k]
		}
	}
	total += mass[0]
	at := func(k int) float64 { return mass[max(k, -k)] / total }
	a := &atomLaw{make([]float64, n), make([]edge, n+1), float64(shift) / sigma, q == 1}
	l1 := math.Log1p(-q)
	p := func(i int) (float64, float64) {
		k := first + i
		return (1-q)*at(k) + q*at(k-shift), at(k)
	}
	s2 := sigma * sigma
	for i := range n {
		x := (float64(first+i)*float64(shift) - float64(shift)*float64(shift)/2) / s2
		a.loss[i] = x
		if q < 1 {
			a.loss[i] = logAdd(l1, math.Log(q)+x)
		}
		pi, qi := p(i)
		a.edges[i+1].pBelow, a.edges[i+1].qBelow = a.edges[i].pBelow+pi, a.edges[i].qBelow+qi
	}
	for i := n - 1; i >= 0; i-- {
		pi, qi := p(i)
		a.edges[i].pAbove, a.edges[i].qAbove = a.edges[i+1].pAbove+pi, a.edges[i+1].qAbove+qi
	}
	return a, nil
}

// laplaceLaw is (1-q)Lap(0) + qLap(shift) against Lap(0), of scale 1.
type laplaceLaw struct{ q, shift float64 }

func (l laplaceLaw) scale() float64  { return l.shift }
func (l laplaceLaw) symmetric() bool { return l.q == 1 }

func (l laplaceLaw) at(e float64) edge {
	// ln of the ratio of the two laws goes from -shift, flat below 0, to shift, flat above shift.
	r := e
	if l.q < 1 {
		if e <= math.Log1p(-l.q) {
			return edge{0, 1, 0, 1}
		}
		r = math.Log1p(math.Expm1(e) / l.q)
	}
	switch {
	case !(r >= -l.shift):
		return edge{0, 1, 0, 1}
	case r >= l.shift:
		return edge{1, 0, 1, 0}
	}
	x := (r + l.shift) / 2 // the loss is at most r up to x, which is in [0, shift)
	a0, b1 := math.Exp(-x)/2, math.Exp(x-l.shift)/2
	return edge{(1-l.q)*(1-a0) + l.q*b1, (1-l.q)*a0 + l.q*(1-b1), 1 - a0, a0}
}

// blend is the law that with probability weight is the first, and says which it was.
type blend struct {
	weight        float64
	first, second law
}

func (b blend) scale() float64  { return max(b.first.scale(), b.second.scale()) }
func (b blend) symmetric() bool { return b.first.symmetric() && b.second.symmetric() }

func (b blend) at(e float64) edge { return b.sweep()(e) }

func (b blend) sweep() func(e float64) edge {
	first, second := ascending(b.first), ascending(b.second)
	return func(e float64) edge { return b.mix(first(e), second(e)) }
}

func (b blend) mix(x, y edge) edge {
	w, v := b.weight, 1-b.weight
	return edge{w*x.pBelow + v*y.pBelow, w*x.pAbove + v*y.pAbove, w*x.qBelow + v*y.qBelow, w*x.qAbove + v*y.qAbove}
}
