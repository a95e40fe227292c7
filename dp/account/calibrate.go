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
		if err := checkDelta(delta); err != nil {
			return 0, err
		}
		p, err := NewPLD(events)
		if err != nil {
			return 0, err
		}
		b, err := p.at(grid, target{delta: delta}, false)
		return b.Epsilon, err
	}
}

// Noise returns a noise level at which plan(level) is (epsilon, delta) private by a method,
// within 1e-6 of the least such level, relative, and never below it. plan must cost less with more
// noise. Levels from 1e-3 to 1e9 are tried, in whatever units plan takes.
func Noise(epsilon, delta float64, by Method, plan func(level float64) ([]dp.Event, error)) (float64, error) {
	if err := checkBudget(epsilon, delta); err != nil {
		return 0, err
	}
	// The Renyi bound is cheap and not far off, a PLD on a coarse grid is closer: they say
	// where to begin, and no more.
	s := search{epsilon: epsilon, delta: delta, plan: plan, slope: -1}
	from, err := s.solve(ByRDP, 0, 0.3, 1e-3)
	pad := 0.05
	if err == nil && !(math.Abs(s.excess(by, from)) < 5e-3) {
		if coarse, err := s.solve(ByPLD(firstGrid), from, pad, noiseWidth); err == nil {
			from, pad = coarse, noiseWidth/3
		}
	}
	log, err := s.solve(by, from, pad, noiseWidth)
	if err != nil {
		return 0, err
	}
	return math.Exp(log), nil
}

// noiseWidth is how near to each other, in the logarithm, a level that is private and one
// that is not must be.
const noiseWidth = 3e-8

// search looks for the logarithm of a level.
type search struct {
	epsilon, delta float64
	plan           func(level float64) ([]dp.Event, error)
	slope          float64 // about that of ln epsilon
	failed         error
}

// excess is ln of what was bounded over what was asked: at most 0 is private.
func (s *search) excess(by Method, log float64) float64 {
	events, err := s.plan(math.Exp(log))
	if err == nil {
		var e float64
		if e, err = by(events, s.delta); err == nil {
			return math.Log(max(e, 1e-300) / s.epsilon)
		}
	}
	s.failed = err
	return math.Inf(1)
}

// solve returns the logarithm of a level that is private, at most width above one that is
// not. It begins with a Newton step and pad beyond it.
func (s *search) solve(by Method, from, pad, width float64) (float64, error) {
	s.failed = nil
	at := s.excess(by, from)
	if s.failed != nil {
		return 0, s.failed
	}
	step := func(excess float64) float64 {
		pad *= 8
		return min(2, math.Abs(excess/s.slope)) + pad/8
	}
	lo, hi, above, below := from, from, at, at
	for !(below <= 0) {
		if lo, above, hi = hi, below, hi+step(below); hi > math.Log(1e9) {
			return 0, ErrNoSolution.At("noise for epsilon %g at delta %g", s.epsilon, s.delta)
		}
		if below = s.excess(by, hi); s.failed != nil {
			return 0, s.failed
		}
	}
	// Too little noise may be beyond a grid: that is not private, no more.
	for above <= 0 {
		if hi, below, lo = lo, above, lo-step(above); lo < math.Log(1e-3) {
			return 0, ErrNoSolution.At("any noise above 1e-3 reaches epsilon %g at delta %g", s.epsilon, s.delta)
		}
		above = s.excess(by, lo)
	}
	if slope := (above - below) / (lo - hi); slope < -0.1 && slope > -100 {
		s.slope = slope
	}
	return narrow(lo, hi, above, below, width, func(x float64) float64 { return s.excess(by, x) }), nil
}

// narrow shrinks [lo, hi] to width, f being above 0 at lo and at most 0 at hi, and returns
// hi. It goes by secants, aimed a little beyond where f changes sign so that both ends
// move, and by halves where these do not gain.
func narrow(lo, hi, above, below, width float64, f func(float64) float64) float64 {
	for turn := 0; hi-lo > width; turn++ {
		at := lo + (hi-lo)/2
		if above < 10 && turn%4 != 3 {
			at = hi + below*(hi-lo)/(above-below)
			if turn%2 == 1 {
				at += width / 4
			} else {
				at -= width / 4
			}
			at = min(hi-width/4, max(lo+width/4, at))
		}
		if e := f(at); e <= 0 {
			hi, below = at, e
		} else {
			lo, above = at, e
		}
	}
	return hi
}

// Most returns the largest whole number from 1 to limit, which is at most dp.MaxCount, at
// which plan is (epsilon, delta) private: rounds, or the size of a cohort. plan must cost
// more with a larger number. ErrNoSolution if 1 is too many, or limit is out of range.
func Most(limit int64, epsilon, delta float64, by Method, plan func(n int64) ([]dp.Event, error)) (int64, error) {
	if err := checkBudget(epsilon, delta); err != nil {
		return 0, err
	}
	if limit < 1 || limit > dp.MaxCount {
		return 0, ErrNoSolution.At("numbers up to %d, not 1 to 2^40", limit)
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
