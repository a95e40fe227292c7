package account

import (
	"math"

	"github.com/choir-fl/choir/dp"
)

// GDPMu returns mu of all events together: mu^2 is the sum of count over squared noise
// multiplier (Dong, Roth and Su 2022, corollary 2). Exact. ErrUnsupported for anything
// but continuous Gaussian noise without sampling.
func GDPMu(events []dp.Event) (float64, error) {
	if _, err := dp.CommonRelation(events); err != nil {
		return 0, err
	}
	var sum float64
	for i, e := range events {
		s := e.Spec()
		if s.Mechanism != dp.Gaussian || s.Sampling.Mode != dp.SamplingNone {
			return 0, ErrUnsupported.At("gdp: event %d, %s with %s sampling", i, s.Mechanism, s.Sampling.Mode)
		}
		z := e.NoiseMultiplier()
		sum += float64(s.Count) / (z * z)
	}
	return math.Sqrt(sum), nil
}

// GDPDelta returns the delta of a mu-GDP mechanism at epsilon >= 0, exact to about
// twelve digits, in the far tail too.
func GDPDelta(mu, epsilon float64) (float64, error) {
	if err := checkEpsilon(epsilon); err != nil {
		return 0, err
	}
	if !(mu > 0) || math.IsInf(mu, 1) {
		return 0, ErrTarget.At("mu %g", mu)
	}
	return gdpDelta(mu, epsilon), nil
}

// gdpDelta is Phi(mu/2 - e/mu) - exp(e) Phi(-mu/2 - e/mu), written with Mills ratios
// since the density at the first point is exp(e) times that at the second.
func gdpDelta(mu, epsilon float64) float64 {
	x := epsilon/mu - mu/2
	if x < -5 {
		return tail(x) - mills(x+mu)*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	}
	return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) * (mills(x) - mills(x+mu))
}

// GDPEpsilon returns the least epsilon of a mu-GDP mechanism at delta, to 1e-13 and
// from above.
func GDPEpsilon(mu, delta float64) (float64, error) {
	if err := checkDelta(delta); err != nil {
		return 0, err
	}
	at0, err := GDPDelta(mu, 0)
	if err != nil {
		return 0, err
	}
	if at0 <= delta {
		return 0, nil
	}
	hi := 1.0
	for ; gdpDelta(mu, hi) > delta; hi *= 2 {
		if hi > 1e300 {
			return 0, ErrTarget.At("mu %g", mu)
		}
	}
	_, epsilon := bisect(0, hi, 1e-14, func(e float64) bool { return gdpDelta(mu, e) <= delta })
	return epsilon, nil
}

// GDPNoise returns the least noise multiplier at which one Gaussian release is
// (epsilon, delta) private, to 1e-13 and from above; ErrNoSolution beyond 1e12.
func GDPNoise(epsilon, delta float64) (float64, error) {
	if err := checkDelta(delta); err != nil {
		return 0, err
	}
	if err := checkEpsilon(epsilon); err != nil {
		return 0, err
	}
	lo, hi := 1e-6, 1e12
	if gdpDelta(1/hi, epsilon) > delta || gdpDelta(1/lo, epsilon) <= delta {
		return 0, ErrNoSolution.At("noise for epsilon %g at delta %g", epsilon, delta)
	}
	_, z := bisect(math.Log(lo), math.Log(hi), 1e-15, func(l float64) bool { return gdpDelta(math.Exp(-l), epsilon) <= delta })
	return math.Exp(z), nil
}

// ZCDPRho returns rho of all events together: the sum of count over twice the squared
// noise multiplier. It holds for continuous and discrete Gaussian noise in any
// dimension (Canonne, Kamath and Steinke 2020, theorem 14); others, and sampled events,
// are ErrUnsupported.
func ZCDPRho(events []dp.Event) (float64, error) {
	if _, err := dp.CommonRelation(events); err != nil {
		return 0, err
	}
	var sum float64
	for i, e := range events {
		s := e.Spec()
		if (s.Mechanism != dp.Gaussian && s.Mechanism != dp.DiscreteGaussian) || s.Sampling.Mode != dp.SamplingNone {
			return 0, ErrUnsupported.At("zcdp: event %d, %s with %s sampling", i, s.Mechanism, s.Sampling.Mode)
		}
		z := e.NoiseMultiplier()
		sum += float64(s.Count) / (2 * z * z)
	}
	return sum, nil
}

// ZCDPEpsilon converts rho to epsilon at delta, at the best real order.
func ZCDPEpsilon(rho, delta float64) (float64, error) {
	if err := checkDelta(delta); err != nil {
		return 0, err
	}
	if !(rho > 0) || math.IsInf(rho, 1) {
		return 0, ErrTarget.At("rho %g", rho)
	}
	return dp.Epsilon(rho, delta, false), nil
}
