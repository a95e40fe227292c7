package ddp

import "math"

// AdvisedRounding is the advice on how much energy rounding may add to a clipped
// update: d/(4 s^2 C^2) <= 1e-3, some 0.05 % of sensitivity.
const AdvisedRounding = 1e-3

// RoundingEnergy is d/(4 s^2 C^2), the energy that rounding adds at most in
// expectation, relative to that of a clipped update; reach is s*C and dimension the
// padded one.
func RoundingEnergy(dimension int, reach float64) float64 {
	return float64(dimension) / (4 * reach * reach)
}

// AdvisedScale is the least power of two s with RoundingEnergy(dimension, s*C) <=
// AdvisedRounding. A clip norm that is not positive and finite gives 0.
func AdvisedScale(dimension int, clipNorm float64) float64 {
	if !(clipNorm > 0 && clipNorm <= math.MaxFloat64) || dimension < 1 {
		return 0
	}
	_, exponent := math.Frexp(math.Sqrt(float64(dimension)/(4*AdvisedRounding)) / clipNorm)
	s := math.Ldexp(1, exponent)
	for RoundingEnergy(dimension, s*clipNorm) <= AdvisedRounding && s > 0 {
		s /= 2
	}
	return 2 * s
}

// SensitivityCost is what the scale costs: D2/(sC) - 1, so 0.12 means that rounding
// makes the sum 12 % more sensitive, and its noise multiplier as much smaller.
func SensitivityCost(s Sensitivity, reach float64) float64 { return s.L2/reach - 1 }

// ModulusBits is the least w such that a sum of that many contributions cannot wrap
// modulo M = 2^w, whatever the updates are:
//
//	n (sC + 1 + 12 sigma_L) < M/2
//
// No coordinate of a rounded vector of norm sC is above sC + 1, and no share above its
// tail. It is 0 where an argument is not positive and finite.
//
// package field holds a stricter rule, with offsets of b bits: 2^(b-1) > R + NoiseTail
// + 1 and n 2^b <= 2^w. With R = ceil(sC) + 1 and NoiseTail = ceil(12 sigma_L) a
// field.Spec that is accepted meets this bound; it may take two bits more, for
// rounding n and 2^b up to powers of two, and R well below sC saves more than that.
func ModulusBits(clients int, reach, width float64) int {
	most := safe(float64(clients) * (reach + 1 + TailWidths*width))
	if clients < 1 || !(reach > 0) || !(width >= 0) || most > math.MaxFloat64 {
		return 0
	}
	_, exponent := math.Frexp(most) // most < 2^exponent
	return exponent + 1
}
