package account

import "math"

// TruePositiveRate bounds the power of any test that tells the neighbours apart with at
// most the given rate of false alarms in (0,1): the trade-off function of the composition
// (Dong, Roth and Su 2022, proposition 6). Every epsilon gives a bound, so that the
// search for the best one need not be exact.
func (p *PLD) TruePositiveRate(falsePositiveRate float64) (float64, error) {
	if !(falsePositiveRate > 0 && falsePositiveRate < 1) {
		return 0, ErrTarget.At("false positive rate %g", falsePositiveRate)
	}
	var failed error
	grid := p.firstGrid(target{delta: falsePositiveRate})
	power := func(of func(epsilon, delta float64) float64) float64 {
		f := func(epsilon float64) float64 {
			b, err := p.at(grid, target{epsilon: epsilon}, false)
			if err != nil {
				failed = err
			}
			return of(epsilon, b.Delta)
		}
		top := 1.0
		for top < 512 && f(2*top) < f(top) {
			top *= 2
		}
		return f(minimise(0, 2*top, 1e-4, f))
	}
	// A test errs with f(rate) >= 1 - delta - e^epsilon*rate, and also >= e^-epsilon (1 - delta - rate).
	least := power(func(epsilon, delta float64) float64 { return delta + math.Exp(epsilon)*falsePositiveRate })
	other := power(func(epsilon, delta float64) float64 {
		return 1 - math.Exp(-epsilon)*max(0, 1-delta-falsePositiveRate)
	})
	if failed != nil {
		return 0, failed
	}
	return min(1, least, other), nil
}
