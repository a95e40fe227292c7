package ddp

import (
	"math"
	"testing"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/stretchr/testify/require"
)

func TestAdvisedScaleIsTheLeastPowerOfTwo(t *testing.T) {
	for _, d := range []int{64, 16384, 1 << 18, 1 << 20, 1 << 28} {
		for _, c := range []float64{1e-30, 0.01, 0.1, 1, 3, 64, 1e20} {
			s := AdvisedScale(d, c)
			f, _ := math.Frexp(s)
			require.Equal(t, 0.5, f, "a power of two")
			require.LessOrEqual(t, RoundingEnergy(d, s*c), AdvisedRounding)
			require.Greater(t, RoundingEnergy(d, s*c/2), AdvisedRounding)
		}
	}
	require.EqualValues(t, 1<<14, AdvisedScale(1<<20, 1), "section 3.5: 2^14 at d = 2^20 costs 0.05 %")
	for _, c := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		require.Zero(t, AdvisedScale(64, c))
	}
	require.Zero(t, AdvisedScale(0, 1))
}

// TestModulusBitsAgreeWithTheReference: section 3.5, n = 1000, s = 2^14, z = 1: 26 bits.
func TestModulusBitsAgreeWithTheReference(t *testing.T) {
	require.Equal(t, 26, ModulusBits(1000, 1<<14, (1<<14)/math.Sqrt(1000)))
}

func TestModulusBitsAreTheLeastThatCannotWrap(t *testing.T) {
	for n := 1; n < 5000; n = n*2 + 1 {
		for reach := 1.0; reach < 1e6; reach *= 3.1 {
			for _, width := range []float64{0, 2, 55, 1e4} {
				sum, w := float64(n)*(reach+1+12*width), ModulusBits(n, reach, width)
				require.Less(t, sum, math.Exp2(float64(w-1)))
				require.GreaterOrEqual(t, sum*(1+1e-9), math.Exp2(float64(w-2)))
			}
		}
	}
	require.Equal(t, 4, ModulusBits(1, 3, 0), "4 is not below 4, and 2^3 is")
	for _, c := range []struct {
		n            int
		reach, width float64
	}{{0, 1, 1}, {1, 0, 1}, {1, math.NaN(), 1}, {1, 1, -1}, {1, 1, math.NaN()}, {1, math.Inf(1), 1}} {
		require.Zero(t, ModulusBits(c.n, c.reach, c.width), "%v", c)
	}
}

// TestFieldSpecMeetsTheHardBound: what package field accepts can never wrap, and costs
// at most two bits more.
func TestFieldSpecMeetsTheHardBound(t *testing.T) {
	for _, n := range []int{4, 100, 1000} {
		for _, scale := range []float64{64, 1000, 1 << 14} {
			m, err := Parameters{Dimension: 1000, Clients: n, Survivors: n, ClipNorm: 1, Scale: scale, Sigma: 1, Noise: dp.DiscreteGaussian}.Check()
			require.NoError(t, err)
			spec, hard := m.Quantizer().Spec(), ModulusBits(n, scale, m.Shares().Width())
			require.GreaterOrEqual(t, spec.WordBits, hard)
			require.LessOrEqual(t, spec.WordBits, max(hard+2, field.MinWordBits))
		}
	}
}
