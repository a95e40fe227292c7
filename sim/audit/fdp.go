package audit

import (
	"math"

	"github.com/choir-fl/choir/dp/account"
	"gonum.org/v1/gonum/mathext"
)

// EpsilonFDP is the epsilon at delta of the least private Gaussian mechanism that the
// outcome refutes at significance alpha: if the run is mu-GDP for a mu whose epsilon at
// delta is e, the result is above e with probability at most alpha. It is 0 if nothing
// is refuted. See the package comment for what it does not say. ErrCount and ErrLevel
// refuse what is out of range, and delta 0, at which Gaussian noise has no epsilon.
func (c Count) EpsilonFDP(alpha, delta float64) (float64, error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	if err := checkLevels(alpha, delta); err != nil {
		return 0, err
	}
	return gaussianEpsilon(c.mu(0, alpha), delta)
}

// gaussianEpsilon is the epsilon of a mu-GDP mechanism.
func gaussianEpsilon(mu, delta float64) (float64, error) {
	if !(delta > 0) {
		return 0, ErrLevel.At("delta %g for f-DP", delta)
	}
	if mu == 0 {
		return 0, nil
	}
	epsilon, err := account.GDPEpsilon(mu, delta)
	if err != nil {
		return 0, ErrLevel.At("mu %g at delta %g", mu, delta).Because(err)
	}
	return epsilon, nil
}

// mu is the largest mu that is refuted, or least if that is not.
func (c Count) mu(least, alpha float64) float64 {
	return largest(least, func(mu float64) bool { return c.refutes(mu, alpha) })
}

// refutes says whether a mu-GDP mechanism lets as many guesses be right with
// probability at most alpha (Mahloujifar, Melis and Chaudhuri 2025, the recursion of
// their audit, for coins of two sides). h and r stand for the probabilities, over the run and a coin
// picked at random, that some number of guesses or more is right and the picked one is
// among the wrong, or the right. Assuming that v or more are right with probability
// alpha, f-DP says how much h must at least be for r, and that feeds the next smaller
// number. All cases together have at most the probability r/m that a coin is guessed;
// if they come to more, the assumption was wrong.
//
// The inverse of the blow-up function 1-f of mu-GDP is x -> Phi(Phi^-1(x) - mu).
func (c Count) refutes(mu, alpha float64) bool {
	m, guesses := float64(c.Canaries), float64(c.Guesses)
	r := alpha * float64(c.Correct) / m
	h := alpha * float64(c.Guesses-c.Correct) / m
	for i := float64(c.Correct - 1); i >= 0; i-- {
		next := normal(mathext.NormalQuantile(r) - mu)
		if next <= h { // neither can change any more
			break
		}
		r = min(1, r+float64(i/(guesses-i)*(next-h)))
		h = next
	}
	return r+h > guesses/m
}

// normal is the distribution function of the standard normal law.
func normal(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
