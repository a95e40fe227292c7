package dp

import "math"

// maxWholeOrder is the largest order that bounds at whole orders alone are stated for.
const maxWholeOrder = 64

// Epsilon converts rho of concentrated privacy to epsilon at delta, for whoever keeps a
// budget without an accountant: a device adds the rho of its releases and asks this. It
// is the least of [EpsilonAt] over orders a, at which the divergence is a rho. If whole is
// false, rho bounds the Rényi divergence of every real order a > 1 so, and the search is
// over these; if it is true, only that of the whole orders 2 to 64 (Skellam), and no other
// is used.
//
// rho = 0 gives 0. A rho that is negative, infinite or not a number, or a delta
// outside (0, 1), gives +Inf: nothing is promised.
func Epsilon(rho, delta float64, whole bool) float64 {
	switch {
	case !(rho >= 0 && rho <= math.MaxFloat64 && delta > 0 && delta < 1): // NaN fails
		return math.Inf(1)
	case rho == 0:
		return 0
	case whole:
		best := math.Inf(1)
		for a := 2.0; a <= maxWholeOrder; a++ {
			best = min(best, EpsilonAt(a, a*rho, delta))
		}
		return best
	}
	// The bound is unimodal in ln(a - 1); any order is valid, so the search need not be exact.
	at := func(l float64) float64 {
		a := 1 + math.Exp(l)
		return EpsilonAt(a, a*rho, delta)
	}
	lo, hi := -30.0, 30.0
	for hi-lo > 1e-7*(1+math.Abs(lo)) {
		third := (hi - lo) / 3
		if at(lo+third) <= at(hi-third) {
			hi -= third
		} else {
			lo += third
		}
	}
	return at(lo + (hi-lo)/2)
}

// EpsilonAt converts a bound rdp of the Rényi divergence of one order a > 1 to epsilon at
// delta:
//
//	rdp + ln(1 - 1/a) - (ln delta + ln a)/(a - 1)
//
// (Canonne, Kamath and Steinke 2020, proposition 12), rounded up; never below 0, and 0
// where the total variation itself is within delta (Bretagnolle and Huber). An order that
// is not above 1 and finite, a divergence that is negative, or a delta outside (0, 1),
// gives +Inf, as NaN does: nothing is promised.
func EpsilonAt(order, rdp, delta float64) float64 {
	switch {
	case !(order > 1 && order <= math.MaxFloat64 && rdp >= 0 && delta > 0 && delta < 1):
		return math.Inf(1)
	case delta*delta+math.Expm1(-rdp) > 0:
		return 0
	}
	gain, price := math.Log1p(-1/order), (math.Log(delta)+math.Log(order))/(order-1)
	margin := 0x1p-48 * (rdp + math.Abs(gain) + (math.Abs(math.Log(delta))+math.Log(order))/(order-1))
	return max(0, rdp+gain-price+margin)
}
