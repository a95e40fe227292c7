package audit

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// NoiseChiSquare is the probability that Gaussian noise of standard deviation sigma is
// as small as the residuals by chance: the lower tail at sum (x/sigma)^2 of the
// chi-square law with as many degrees of freedom as there are residuals. A residual is
// an opened sum's value less the sum of what clients put in, in the units of sigma. A
// tiny result means less noise than was promised. Noise that is too large, like that of
// shares beyond the fewest survivors or of rounding, never looks suspicious.
//
// ErrNoise refuses no residuals, any that is not finite, and a sigma that is not
// positive and finite.
func NoiseChiSquare(residuals []float64, sigma float64) (float64, error) {
	if len(residuals) == 0 || !(sigma > 0) || math.IsInf(sigma, 1) {
		return 0, ErrNoise.At("%d residuals, sigma %g", len(residuals), sigma)
	}
	var sum float64
	for i, x := range residuals {
		if !finite(x) {
			return 0, ErrNoise.At("residual %d", i)
		}
		y := x / sigma
		sum += float64(y * y)
	}
	if math.IsInf(sum, 1) {
		return 1, nil
	}
	return mathext.GammaIncReg(float64(len(residuals))/2, sum/2), nil
}
