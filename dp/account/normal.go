package account

import "math"

// ulp is the distance from 1 to the next float64.
const ulp = 0x1p-52

// tail returns P[N(0,1) > x] with a small relative error for any x.
func tail(x float64) float64 { return 0.5 * math.Erfc(x/math.Sqrt2) }

// mills returns tail(x) over the density at x. Above 8 it is a continued fraction,
// where erfc would underflow before the quotient does.
func mills(x float64) float64 {
	if x < 8 {
		return tail(x) * math.Sqrt(2*math.Pi) * math.Exp(x*x/2)
	}
	f := x
	for k := 60; k >= 1; k-- {
		f = x + float64(k)/f
	}
	return 1 / f
}

// logAdd returns ln(e^a + e^b).
func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// logBinomial returns ln of n over k.
func logBinomial(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// bisect narrows [lo, hi] to width tol, relative to hi, and returns both ends: ok fails
// at lo and holds at hi.
func bisect(lo, hi, tol float64, ok func(float64) bool) (below, above float64) {
	for i := 0; i < 200 && hi-lo > tol*math.Abs(hi); i++ {
		mid := lo + (hi-lo)/2
		if mid <= lo || mid >= hi {
			break
		}
		if ok(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return lo, hi
}
