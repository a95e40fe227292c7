package ddp

import (
	"math"
	"math/big"
	"testing"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/noise"
	"github.com/stretchr/testify/require"
)

func TestSharesReachTheTargetWithoutTheCorrupt(t *testing.T) {
	for _, sigma := range []float64{17, 100.1, 19660.8, 1e7} {
		for _, n := range []int{3, 12, 50} {
			s, err := NewShares(sigma, n, 2)
			require.NoError(t, err)
			require.Equal(t, n-2, s.Count())
			target := new(big.Rat).SetFloat64(sigma)
			target.Mul(target, target)
			sum := new(big.Rat).Mul(s.Variance(), big.NewRat(int64(n-2), 1))
			require.GreaterOrEqual(t, sum.Cmp(target), 0, "the sum has at least the target's variance")
			limit := new(big.Rat).Mul(target, big.NewRat(1<<58+1, 1<<58))
			require.Negative(t, sum.Cmp(limit), "and hardly more")
			require.InEpsilon(t, sigma, s.Sigma(), 1e-14)
			require.InEpsilon(t, sigma/math.Sqrt(float64(n-2)), s.Width(), 1e-14)
			width := new(big.Rat).SetFloat64(s.Width())
			require.Negative(t, width.Mul(width, width).Cmp(s.Variance()), "rounded down")
			all := new(big.Rat).SetFloat64(s.Sigma())
			require.Negative(t, all.Mul(all, all).Cmp(sum), "rounded down")
			require.GreaterOrEqual(t, float64(s.Tail()), 12*s.Width())
			require.LessOrEqual(t, float64(s.Tail()), 12*s.Width()+1.001)
			v := s.Variance()
			require.LessOrEqual(t, v.Num().BitLen(), 62)
			require.LessOrEqual(t, v.Denom().BitLen(), 62)
			v.SetInt64(0)
			require.Positive(t, s.Variance().Sign(), "a copy")
		}
	}
}

func TestSharesFitTheSamplers(t *testing.T) {
	s, err := NewShares(1000.7, 40, 3)
	require.NoError(t, err)
	g, err := noise.NewGaussian(s.Variance().Num().Uint64(), s.Variance().Denom().Uint64())
	require.NoError(t, err)
	require.LessOrEqual(t, g.Bound(), s.Tail())
	require.GreaterOrEqual(t, g.Bound()+1, s.Tail())
	k, err := noise.NewSkellam(s.Variance().Num().Uint64(), s.Variance().Denom().Uint64())
	require.NoError(t, err)
	require.LessOrEqual(t, k.Bound(), s.Tail())
	require.GreaterOrEqual(t, math.Exp2(-float64(k.TailBits()))*100*64*2, s.TailDelta(dp.Skellam, 100, 64)/1e3)
}

func TestSharesThatWouldNotProtectAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		sigma              float64
		survivors, corrupt int
		want               error
	}{
		"narrow":                       {7.99, 16, 0, ErrNarrow},
		"narrow for more survivors":    {8, 17, 0, ErrNarrow},
		"nobody honest":                {8, 16, 16, ErrHonest},
		"more corrupt than there are":  {8, 16, 17, ErrHonest},
		"no noise":                     {0, 16, 0, ErrParameters},
		"not a number":                 {math.NaN(), 16, 0, ErrParameters},
		"infinite":                     {math.Inf(1), 16, 0, ErrParameters},
		"wider than a field":           {1 << 40, 16, 0, ErrParameters},
		"nobody":                       {8, 0, 0, ErrParameters},
		"fewer than no corrupt":        {8, 16, -1, ErrParameters},
		"more survivors than can be":   {1e9, 1<<24 + 1, 0, ErrParameters},
		"narrow whatever the survivor": {1.999, 1, 0, ErrNarrow},
	} {
		_, err := NewShares(c.sigma, c.survivors, c.corrupt)
		require.ErrorIs(t, err, c.want, name)
	}
	s, err := NewShares(8, 16, 0)
	require.NoError(t, err, "2 exactly is allowed")
	require.Equal(t, big.NewRat(4, 1), s.Variance())
	require.EqualValues(t, 25, s.Tail(), "24, and a step for the rounding")
	require.Zero(t, Shares{}.Width())
	require.Zero(t, Shares{}.Sigma())
	require.Zero(t, Shares{}.Count())
}

// TestTailsAreBounded: 2 e^-72 = 2^-102.9 for each discrete Gaussian share; the Skellam
// tail is summed term by term.
func TestTailsAreBounded(t *testing.T) {
	for _, sigma := range []float64{2, 5, 20} {
		s, err := NewShares(sigma, 1, 0)
		require.NoError(t, err)
		require.InDelta(t, -102.9, math.Log2(s.TailDelta(dp.DiscreteGaussian, 1, 1)), 0.05)
		require.InEpsilon(t, 1e6*s.TailDelta(dp.DiscreteGaussian, 1, 1), s.TailDelta(dp.DiscreteGaussian, 100, 10_000), 1e-9)
		mu := sigma * sigma
		// P[X = k] = sum_j Poisson(j + k) Poisson(j), means mu/2, in log space.
		tail := 0.0
		for k := int(12*sigma) + 1; k < int(20*sigma)+20; k++ {
			for j := range int(mu) + 40 {
				a, _ := math.Lgamma(float64(j+k) + 1)
				b, _ := math.Lgamma(float64(j) + 1)
				tail += 2 * math.Exp(-mu+float64(2*j+k)*math.Log(mu/2)-a-b)
			}
		}
		bound := s.TailDelta(dp.Skellam, 1, 1)
		require.Less(t, tail, bound)
		require.Less(t, bound, 300*tail)
		require.Greater(t, bound, s.TailDelta(dp.DiscreteGaussian, 1, 1))
	}
}
