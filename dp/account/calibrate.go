package account

import (
	"math"

	"github.com/choir-fl/choir/dp"
)

// Method turns events into an upper bound of epsilon at delta.
type Method func(events []dp.Event, delta float64) (float64, error)

// ByRDP bounds by a Curve.
func ByRDP(events []dp.Event, delta float64) (float64, error) {
	c, err := NewCurve(events)
	if err != nil {
		return 0, err
	}
	b, err := c.Epsilon(delta)
	return b.Epsilon, err
}

// ByGDP is exact, for Gaussian noise without sampling.
func ByGDP(events []dp.Event, delta float64) (float64, error) {
	mu, err := GDPMu(events)
	if err != nil {
		return 0, err
	}
	return GDPEpsilon(mu, delta)
}

// ByPLD bounds by a PLD on a grid.
func ByPLD(grid float64) Method {
	return func(events []dp.Event, delta float64) (float64, error) {
		p, err := NewPLD(events)
		if err != nil {
			return 0, err
		}
		b, err := p.at(grid, target{delta: delta}, false)
		if err == nil {
			err = checkDelta(delta)
		}
		return b.Epsilon, err
	}
}

// Noise returns a noise level at which plan(level) is (epsilon, delta) private by a method,
// within 1e-6 of the least such level and never below it. plan must cost less with more
// noise. Levels from 1e-3 to 1e9 are tried, in whatever units plan takes.
func Noise(epsilon, delta float64, by Method, plan func(level float64) ([]dp.Event, error)) (float64, error) {
	if err := checkBudget(epsilon, delta); err != nil {
		return 0, err
	}
	var failed error
	private := func(log float64) bool {
		events, err := plan(math.Exp(log))
		if err == nil {
			var e float64
			if e, err = by(events, delta); err == nil {
				return e <= epsilon
			}
		}
		failed = err
		return false
	}
	// From a level of 1, doubled or halved until the target is between.
	lo, hi := 0., 0.
	for !private(hi) {
		if failed != nil {
			return 0, failed
		}
		if lo, hi = hi, hi+math.Ln2; hi > math.Log(1e9) {
			return 0, ErrNoSolution.At("noise for epsilon %g at delta %g", epsilon, delta)
		}
	}
	for lo == hi || private(lo) {
		if lo -= math.Ln2; lo < math.Log(1e-3) {
			return 0, ErrNoSolution.At("any noise above 1e-3 reaches epsilon %g at delta %g", epsilon, delta)
		}
	}
	failed = nil // too little noise may be beyond a grid: that is not private, no more
	for hi-lo > 1e-6 {
		if mid := lo + (hi-lo)/2; private(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return math.Exp(hi), nil
}

// Most returns the largest whole number from 1 to limit at which plan is (epsilon, delta)
// private: rounds, or the size of a cohort. plan must cost more with a larger
// number. ErrNoSolution if 1 is too many.
func Most(limit int64, epsilon, delta float64, by Method, plan func(n int64) ([]dp.Event, error)) (int64, error) {
	if err := checkBudget(epsilon, delta); err != nil {
		return 0, err
	}
	private := func(n int64) (bool, error) {
		events, err := plan(n)
		if err != nil {
			return false, err
		}
		e, err := by(events, delta)
		return err == nil && e <= epsilon, err
	}
	lo, hi := int64(0), int64(1)
	for hi <= limit {
		ok, err := private(hi)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		lo, hi = hi, 2*hi
	}
	for hi = min(hi, limit+1); hi-lo > 1; {
		mid := lo + (hi-lo)/2
		ok, err := private(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			lo = mid
		} else {
			hi = mid
		}
	}
	if lo < 1 {
		return 0, ErrNoSolution.At("one is too many for epsilon %g at delta %g", epsilon, delta)
	}
	return lo, nil
}
