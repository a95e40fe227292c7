package account

import (
	"math"
	"sync"
)

// quadrature holds ln(1 + q(w-1)) and q(w-1) at the points of a trapezoidal rule for
// expectations under N(0,1), w being the likelihood ratio of N(1/z,1). All fractional
// orders share it.
type quadrature struct {
	logDensity, logRatio, excess []float64
}

// The rule converges exponentially in 1/step as long as the step is small against
// both the width of the density and the distance pi*z of the branch points of
// (1 + q(w-1))^order from the real line.
const (
	reach     = 9.5  // deviations beyond the outermost peak: 1e-21 of the mass
	quadWidth = 0.45 // largest step
	quadSlope = 0.5  // largest step over z
	quadLeast = 0.05 // below this z chords between whole orders serve, at no loss that matters
)

func newQuadrature(q, z, top float64) quadrature {
	step := min(quadWidth, quadSlope*z)
	n := int((top/z+2*reach)/step) + 1
	var r quadrature
	r.logDensity, r.logRatio, r.excess = make([]float64, n), make([]float64, n), make([]float64, n)
	scale := math.Log(step / math.Sqrt(2*math.Pi))
	for i := range n {
		u := -reach + float64(i)*step
		loss := u/z - 1/(2*z*z)
		r.logDensity[i] = scale - u*u/2
		if loss > 500 {
			r.excess[i] = math.Inf(1)
			r.logRatio[i] = math.Log(q) + loss
			continue
		}
		r.excess[i] = q * math.Expm1(loss)
		r.logRatio[i] = math.Log1p(r.excess[i])
	}
	return r
}

// logMoment returns ln E[(1+x)^a] for x = q(w-1) as ln(1 + E[(1+x)^a - 1 - ax]): the
// mean of x is 0 and, by Bernoulli's inequality, nothing under the expectation is
// negative. So there is no cancellation between points, however small q.
func (r quadrature) logMoment(a float64) float64 {
	top := math.Inf(-1)
	for i, l := range r.logRatio {
		top = max(top, r.logDensity[i]+a*l)
	}
	var sum float64
	if top > 300 {
		for i, l := range r.logRatio {
			sum += math.Exp(r.logDensity[i] + a*l - top)
		}
		return top + math.Log(sum)
	}
	for i, l := range r.logRatio {
		d, x := r.logDensity[i], r.excess[i]
		switch ax := a * x; {
		case math.Abs(ax) < 1e-2 && math.Abs(x) < 1e-2:
			// Six terms of the binomial series, the seventh being below 1e-14 of the first.
			s := 1 + x*(a-6)/7
			for k := 6.0; k >= 3; k-- {
				s = 1 + x*(a-k+1)/k*s
			}
			sum += math.Exp(d) * a * (a - 1) / 2 * x * x * s
		case l*a > 30:
			sum += math.Exp(d+a*l) - a*math.Exp(d+l) // 1+x is e^l
		default:
			sum += math.Exp(d) * (math.Expm1(a*l) - ax)
		}
	}
	return math.Log1p(sum)
}

// logFactorials is filled once; it is read only.
var logFactorials = sync.OnceValue(func() []float64 {
	t := make([]float64, 4097)
	for i := range t {
		t[i], _ = math.Lgamma(float64(i + 1))
	}
	return t
})

func logChoose(n, k int) float64 {
	if t := logFactorials(); n < len(t) {
		return t[n] - t[k] - t[n-k]
	}
	return logBinomial(n, k)
}

// amplified returns ln of the sum over k of C(a,k)(1-q)^(a-k) q^k e^cgf(k), the order-a
// moment of a mechanism sampled at rate q, where cgf(k) = (k-1) D_k. The terms 0 and 1
// have cgf 0; taking away the binomial sum of 1 leaves positive terms only.
func amplified(q float64, a int, cgf func(k int) float64) float64 {
	if q == 1 {
		return cgf(a)
	}
	lq, lp := math.Log(q), math.Log1p(-q)
	sum, big := 0.0, math.Inf(-1)
	for k := 2; k <= a; k++ {
		c, b := cgf(k), logChoose(a, k)+float64(k)*lq+float64(a-k)*lp
		switch {
		case c+b > 300:
			big = logAdd(big, c+b)
		case c < 1:
			sum += math.Exp(b) * math.Expm1(c)
		case c+b > -80:
			sum += math.Exp(c+b) - math.Exp(b)
		default: // the sum may hold nothing else: never drop a term
			sum += math.Exp(c + b)
		}
	}
	return logAdd(math.Log1p(sum), big)
}

// gaussianPoisson returns (a-1) times the Renyi divergence of order a of the
// Poisson-sampled Gaussian, adding or removing a client.
func gaussianPoisson(q, z, a float64, shared *quadrature) float64 {
	if whole := math.Floor(a); whole == a {
		return amplified(q, int(a), func(k int) float64 { return float64(k) * float64(k-1) / (2 * z * z) })
	}
	if q == 1 {
		return a * (a - 1) / (2 * z * z)
	}
	if z < quadLeast {
		return min(a*(a-1)/(2*z*z), chord(a, func(k int) float64 { return gaussianPoisson(q, z, float64(k), nil) }))
	}
	if shared == nil {
		r := newQuadrature(q, z, a)
		shared = &r
	}
	return shared.logMoment(a)
}

// chord bounds a cumulant generating function at a real order by those at the whole
// orders around it: (a-1) D_a is convex in a and 0 at 1.
func chord(a float64, cgf func(k int) float64) float64 {
	lo := math.Floor(a)
	below := 0.0
	if lo > 1 {
		below = cgf(int(lo))
	}
	if a == lo {
		return below
	}
	return (lo+1-a)*below + (a-lo)*cgf(int(lo)+1)
}

// PoissonGaussianRDP returns the Renyi divergence of order > 1 of a Gaussian sum with
// noise multiplier z > 0 (over the sensitivity C) under Poisson sampling at rate q in
// (0,1], for zero-out and add-remove. Accurate to about 1e-11 relative; finite whenever
// the truth is below 1e300. ErrOrder outside these ranges and above order 100,000.
func PoissonGaussianRDP(q, z, order float64) (float64, error) {
	if err := checkOrder(order); err != nil {
		return 0, err
	}
	if !(q > 0 && q <= 1) || !(z > 0) || math.IsInf(z, 1) {
		return 0, ErrUnsupported.At("rate %g, noise multiplier %g", q, z)
	}
	if q == 1 {
		return order / (2 * z * z), nil
	}
	if order > maxOrder {
		return 0, ErrOrder.At("order %g", order)
	}
	return gaussianPoisson(q, z, order, nil) / (order - 1), nil
}

const maxOrder = 100_000

func checkOrder(order float64) error {
	if !(order > 1) || math.IsInf(order, 1) {
		return ErrOrder.At("order %g", order)
	}
	return nil
}
