package audit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"
)

func TestChiSquareIsTheExactLowerTail(t *testing.T) {
	// With two degrees of freedom the law is exponential: 1 - exp(-x/2).
	for _, x := range []float64{.01, 1, 7} {
		p, err := NoiseChiSquare([]float64{3 * math.Sqrt(x), 0}, 3)
		require.NoError(t, err)
		require.InDelta(t, 1-math.Exp(-x/2), p, 1e-14)
	}
	// Wilson and Hilferty 1931: (X/n)^(1/3) is nearly normal, the better the larger n.
	for _, n := range []int{1000, 1 << 20} {
		k := float64(n)
		for _, z := range []float64{-6, -2, 0, 1.5} {
			x := math.Pow(1-2/(9*k)+z*math.Sqrt(2/(9*k)), 3)
			residuals := make([]float64, n)
			for i := range residuals {
				residuals[i] = math.Sqrt(x)
			}
			p, err := NoiseChiSquare(residuals, 1)
			require.NoError(t, err)
			require.InEpsilon(t, distuv.UnitNormal.CDF(z), p, .05, "n %d, z %g", n, z)
		}
	}
}

func TestNoiseSomePerCentTooSmallIsSeen(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	residuals := make([]float64, 1<<14)
	for i := range residuals {
		residuals[i] = 7 * r.NormFloat64()
	}
	for _, c := range []struct {
		claimed  float64
		low, top float64
	}{{7, .001, .999}, {7.5, 0, 1e-12}, {14, 0, 1e-100}, {6.5, .9999, 1}} {
		p, err := NoiseChiSquare(residuals, c.claimed)
		require.NoError(t, err)
		require.GreaterOrEqual(t, p, c.low, "claimed %g", c.claimed)
		require.LessOrEqual(t, p, c.top, "claimed %g", c.claimed)
	}
}

func TestResidualsThatAreNoNoiseAreRefused(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		residuals []float64
		sigma     float64
	}{{nil, 1}, {[]float64{nan}, 1}, {[]float64{1, inf}, 1}, {[]float64{1}, 0}, {[]float64{1}, -1}, {[]float64{1}, nan}, {[]float64{1}, inf}} {
		_, err := NoiseChiSquare(c.residuals, c.sigma)
		require.ErrorIs(t, err, ErrNoise, "%v", c)
	}
	p, err := NoiseChiSquare([]float64{1e300, -1e300}, 1e-300)
	require.NoError(t, err)
	require.Equal(t, 1.0, p, "noise beyond all measure is not too small")
}
