package ddp

import (
	"math"
	"testing"

	"github.com/choir-fl/choir/dp"
	"github.com/stretchr/testify/require"
)

// epsilon converts as section 3.6 of the reference says, over its orders of entry 45.
func epsilon(r RDP, delta float64) (best float64, order int) {
	best = math.Inf(1)
	for a := 2; a <= 256; a++ {
		if a > 128 && a < 256 {
			continue
		}
		f := float64(a)
		if e := r(a) + math.Log1p(-1/f) - (math.Log(delta)+math.Log(f))/(f-1); e < best {
			best, order = e, a
		}
	}
	return best, order
}

// sampled is the binomial sum for Poisson sampling at rate q, T times.
func sampled(r RDP, q float64, rounds int) RDP {
	return func(alpha int) float64 {
		a := float64(alpha)
		logs := []float64{(a-1)*math.Log1p(-q) + math.Log1p((a-1)*q)}
		for k := 2; k <= alpha; k++ {
			c, _ := math.Lgamma(a + 1)
			l, _ := math.Lgamma(float64(k) + 1)
			m, _ := math.Lgamma(a - float64(k) + 1)
			logs = append(logs, c-l-m+(a-float64(k))*math.Log1p(-q)+float64(k)*math.Log(q)+float64(k-1)*r(k))
		}
		top, sum := math.Inf(-1), 0.0
		for _, l := range logs {
			top = max(top, l)
		}
		for _, l := range logs {
			sum += math.Exp(l - top)
		}
		return float64(rounds) * (top + math.Log(sum)) / (a - 1)
	}
}

// TestEpsilonsAgreeWithTheReference: entry 45.
func TestEpsilonsAgreeWithTheReference(t *testing.T) {
	s := mustSensitivity(t, 64, 8)
	shares, err := NewShares(8, 16, 0)
	require.NoError(t, err)
	e, _ := epsilon(shares.RDP(dp.DiscreteGaussian, s), 1e-5)
	require.InDelta(t, 5.84647834, e, 1e-8)
	e, _ = epsilon(shares.RDP(dp.Skellam, s), 1e-5)
	require.InDelta(t, 5.92511602, e, 1e-8)

	t.Run("the cliff of narrow shares", func(t *testing.T) {
		s := mustSensitivity(t, 64, 4)
		require.InDelta(t, 2.97, tau(16, 0.5), 0.005)
		e, _ := epsilon(discreteGaussianRDP(s, 16, 0.5), 1e-5)
		require.InDelta(t, 209.99, e, 0.005)
		e, _ = epsilon(skellamRDP(s, 4), 1e-5)
		require.InDelta(t, 25.75, e, 0.005)
		_, err := NewShares(2, 16, 0)
		require.ErrorIs(t, err, ErrNarrow)
	})
	t.Run("a hundred sampled rounds", func(t *testing.T) {
		s := mustSensitivity(t, 1<<18, 1<<14)
		shares, err := NewShares(1.2*(1<<14), 120, 0)
		require.NoError(t, err)
		require.InDelta(t, 1794.777276, shares.Width(), 1e-6)
		for _, law := range []dp.Mechanism{dp.DiscreteGaussian, dp.Skellam} {
			e, order := epsilon(sampled(shares.RDP(law, s), 120.0/3383, 100), 1e-5)
			require.InDelta(t, 1.98957895, e, 1e-8)
			require.Equal(t, 8, order)
			fewer := Shares{count: 96, variance: shares.Variance()} // 24 dropped out
			e, _ = epsilon(sampled(fewer.RDP(law, s), 120.0/3383, 100), 1e-5)
			require.InDelta(t, 2.53613106, e, 1e-8)
		}
		continuous := func(alpha int) float64 { return float64(alpha) / (2 * 1.2 * 1.2) }
		e, _ := epsilon(sampled(continuous, 120.0/3383, 100), 1e-5)
		require.InDelta(t, 1.98887731, e, 1e-8)
	})
}

// TestDiscreteGaussianTakesTheLeastOfThreeBounds computes each by hand.
func TestDiscreteGaussianTakesTheLeastOfThreeBounds(t *testing.T) {
	least := map[int]bool{}
	for _, c := range []struct {
		s     Sensitivity
		n     int
		width float64
	}{
		{Sensitivity{1 << 18, 1e6, 1e4}, 100, 3}, {Sensitivity{64, 8, 8}, 16, 0.8}, {Sensitivity{1, 1, 1}, 16, 0.7}, {Sensitivity{64, 64, 64}, 4, 0.5},
		{Sensitivity{1 << 20, 1, 1}, 50, 0.6}, {Sensitivity{64, 1e3, 1}, 16, 0.8}, {Sensitivity{64, 1e3, 64}, 16, 0.6}, {Sensitivity{1 << 20, 5000, 5}, 50, 1},
	} {
		sum := 0.0
		for k := 1; k < c.n; k++ {
			sum += math.Exp(-2 * math.Pi * math.Pi * c.width * c.width * float64(k) / float64(k+1))
		}
		x, sigma, d := 10*sum, math.Sqrt(float64(c.n))*c.width, float64(c.s.Dimension)
		for _, alpha := range []int{2, 3, 17, 100} {
			h := float64(alpha) / 2
			bounds := []float64{
				h*math.Pow(c.s.L2/sigma, 2) + x*d,
				h * (math.Pow(c.s.L2/sigma, 2) + 2*c.s.L1/sigma*x + x*x*d),
				h * math.Pow(c.s.L2/sigma+x*math.Sqrt(d), 2),
			}
			want := min(bounds[0], bounds[1], bounds[2])
			for i, b := range bounds {
				least[i] = least[i] || b == want && bounds[(i+1)%3] > b*(1+1e-9) && bounds[(i+2)%3] > b*(1+1e-9)
			}
			got := discreteGaussianRDP(c.s, c.n, c.width)(alpha)
			require.InEpsilon(t, want, got, 1e-11)
			require.GreaterOrEqual(t, got, want)
		}
	}
	require.True(t, least[0] && least[1] && least[2], "each bound is the least somewhere: %v", least)
}

func TestSkellamTakesTheLesserOfTwoCorrections(t *testing.T) {
	for _, mu := range []float64{0.5, 4, 1e3} {
		for _, alpha := range []int{2, 5, 400} {
			s, a := Sensitivity{64, 20, 5}, float64(alpha)
			want := a*25/(2*mu) + min(((2*a-1)*25+120)/(4*mu*mu), 60/(2*mu))
			require.InEpsilon(t, want, skellamRDP(s, mu)(alpha), 1e-11)
		}
	}
}

func TestBoundsAreMonotone(t *testing.T) {
	s := mustSensitivity(t, 1024, 300)
	for _, law := range []dp.Mechanism{dp.DiscreteGaussian, dp.Skellam} {
		for sigma := 100.0; sigma < 1e6; sigma *= 3 {
			shares, err := NewShares(sigma, 40, 4)
			require.NoError(t, err)
			more := Shares{count: shares.count + 1, variance: shares.variance}
			r := shares.RDP(law, s)
			for a := 2; a < 300; a++ {
				require.Greater(t, r(a+1), r(a), "in the order")
				require.Greater(t, r(a), more.RDP(law, s)(a), "in the number of shares")
				require.Greater(t, r(a), float64(a)/2*math.Pow(s.L2/sigma, 2)*(1-1e-9), "at least the continuous Gaussian")
				require.Greater(t, shares.RDP(law, s.ReplaceOne())(a), 3*r(a), "in the sensitivity")
			}
		}
	}
}

func TestTauOfManySharesIsBoundedFromAbove(t *testing.T) {
	slow := func(n int, w float64) (sum float64) {
		for k := 1; k < n; k++ {
			sum += 10 * math.Exp(-2*math.Pi*math.Pi*w*w*float64(k)/float64(k+1))
		}
		return sum
	}
	for _, n := range []int{2, 3, 4096, 4097, 4098, 4099, 50_000} {
		require.GreaterOrEqual(t, tau(n, 0.5), slow(n, 0.5), n)
		require.InEpsilon(t, slow(n, 0.5), tau(n, 0.5), 0.002, n)
	}
	require.Zero(t, tau(1, 0.5), "one share is one discrete Gaussian")
	require.Positive(t, tau(2, 1e6), "an underflow is not zero")
	require.Less(t, tau(1000, 2), 1000*1e-16)
}

func TestNothingIsPromisedWithoutNoise(t *testing.T) {
	s := mustSensitivity(t, 64, 8)
	good, err := NewShares(8, 16, 0)
	require.NoError(t, err)
	for name, r := range map[string]RDP{
		"no shares":       Shares{}.RDP(dp.DiscreteGaussian, s),
		"no shares of it": Shares{}.RDP(dp.Skellam, s),
		"another law":     good.RDP(dp.Gaussian, s),
		"no sensitivity":  good.RDP(dp.DiscreteGaussian, Sensitivity{}),
		"no norm":         good.RDP(dp.Skellam, Sensitivity{64, 1, math.NaN()}),
		"an infinite one": good.RDP(dp.Skellam, Sensitivity{64, math.Inf(1), 1}),
		"one of two":      good.RDP(dp.Skellam, s).Add(nothing),
	} {
		require.Equal(t, math.Inf(1), r(2), name)
	}
	for _, law := range []dp.Mechanism{dp.DiscreteGaussian, dp.Skellam} {
		require.Equal(t, math.Inf(1), good.RDP(law, s)(1), "order 1")
		require.Equal(t, math.Inf(1), good.RDP(law, s)(-3))
	}
}

// TestZCDPDominatesWhereSharesAreNarrow: where tau counts, in each of the three bounds.
func TestZCDPDominatesWhereSharesAreNarrow(t *testing.T) {
	for _, c := range []struct {
		s     Sensitivity
		n     int
		width float64
	}{
		{Sensitivity{64, 40, 5}, 16, 0.5}, {Sensitivity{64, 40, 5}, 16, 0.7}, {Sensitivity{1 << 14, 500, 5}, 16, 0.6},
		{Sensitivity{1, 1, 1}, 16, 0.6}, {Sensitivity{1 << 20, 5000, 5}, 50, 1}, {Sensitivity{1 << 28, 1e6, 100}, 1 << 20, 2},
	} {
		r, rho := discreteGaussianRDP(c.s, c.n, c.width), discreteGaussianZCDP(c.s, c.n, c.width)
		closest := math.Inf(1)
		for a := 2; a <= 1024; a++ {
			require.GreaterOrEqual(t, float64(a)*rho, r(a), "%v at order %d", c, a)
			closest = min(closest, float64(a)*rho/r(a))
		}
		require.Less(t, closest, 2.0, "the first bound, of a term without the order, may lose up to half")
		sigma, x, d := math.Sqrt(float64(c.n))*c.width, tau(c.n, c.width), float64(c.s.Dimension)
		want := min(math.Pow(c.s.L2/sigma, 2)/2+x*d, math.Pow(c.s.L2/sigma, 2)/2+c.s.L1/sigma*x+x*x*d/2, math.Pow(c.s.L2/sigma+x*math.Sqrt(d), 2)/2)
		require.InEpsilon(t, want, rho, 1e-11)
		require.Greater(t, rho, math.Pow(c.s.L2/sigma, 2)/2, "more than one discrete Gaussian of that width has")
	}
	for _, bad := range []float64{discreteGaussianZCDP(Sensitivity{}, 2, 2), discreteGaussianZCDP(Sensitivity{1, 1, 1}, 0, 2), discreteGaussianZCDP(Sensitivity{1, 1, 1}, 2, math.NaN())} {
		require.Equal(t, math.Inf(1), bad)
	}
}
