package graph

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// exactTail is P[Hyp(population, marked, drawn) >= x] in rational arithmetic.
func exactTail(population, marked, drawn, x int) *big.Rat {
	sum := new(big.Int)
	for y := max(x, 0); y <= drawn; y++ {
		if drawn-y > population-marked || y > marked {
			continue
		}
		term := new(big.Int).Binomial(int64(marked), int64(y))
		sum.Add(sum, term.Mul(term, new(big.Int).Binomial(int64(population-marked), int64(drawn-y))))
	}
	return new(big.Rat).SetFrac(sum, new(big.Int).Binomial(int64(population), int64(drawn)))
}

// exactBinomialTail is P[Bin(trials, p) >= x] in rational arithmetic.
func exactBinomialTail(trials int, p *big.Rat, x int) *big.Rat {
	sum := new(big.Rat)
	q := new(big.Rat).Sub(big.NewRat(1, 1), p)
	for y := max(x, 0); y <= trials; y++ {
		term := new(big.Rat).SetInt(new(big.Int).Binomial(int64(trials), int64(y)))
		for range y {
			term.Mul(term, p)
		}
		for range trials - y {
			term.Mul(term, q)
		}
		sum.Add(sum, term)
	}
	return sum
}

// requireClose compares to one part in 10^12.
func requireClose(t *testing.T, want *big.Rat, got wide, message ...any) {
	t.Helper()
	if want.Sign() == 0 {
		require.Zero(t, got.mantissa, message...)
		return
	}
	value := new(big.Float).SetMantExp(big.NewFloat(got.mantissa), int(got.exponent))
	ratio := new(big.Float).Quo(value, new(big.Float).SetRat(want))
	quotient, _ := ratio.Float64()
	require.InDelta(t, 1, quotient, 1e-12, message...)
}

func TestHypergeometricTailEqualsRationalArithmetic(t *testing.T) {
	for _, population := range []int{1, 2, 5, 11, 60} {
		for marked := 0; marked <= population; marked += 1 + population/12 {
			for drawn := 0; drawn <= population; drawn += 1 + population/12 {
				for x := -1; x <= drawn+1; x++ {
					requireClose(t, exactTail(population, marked, drawn, x),
						hypergeometricTail(population, marked, drawn, x), population, marked, drawn, x)
				}
			}
		}
	}
	requireClose(t, exactTail(9999, 1000, 122, 60), hypergeometricTail(9999, 1000, 122, 60))
	requireClose(t, exactTail(3000, 2999, 1500, 1500), hypergeometricTail(3000, 2999, 1500, 1500))
	requireClose(t, exactTail(2000, 1500, 1400, 1300), hypergeometricTail(2000, 1500, 1400, 1300))
}

func TestQuantileIsTheLeastCountWithinTheBound(t *testing.T) {
	for _, bound := range []float64{1e-30, 1e-6, 0.01, 0.5, 0.9} {
		for _, p := range [][3]int{{20, 5, 7}, {20, 0, 7}, {20, 20, 7}, {99, 10, 40}, {999, 100, 97}} {
			x := hypergeometricQuantile(p[0], p[1], p[2], newWide(bound))
			limit := new(big.Rat).SetFloat64(bound)
			require.LessOrEqual(t, exactTail(p[0], p[1], p[2], x).Cmp(limit), 0, "%v %v", p, bound)
			if x > 0 {
				require.Positive(t, exactTail(p[0], p[1], p[2], x-1).Cmp(limit), "%v %v", p, bound)
			}
		}
	}
}

func TestBinomialTailEqualsRationalArithmetic(t *testing.T) {
	for _, p := range []float64{0.0625, 0.5, 0.875} { // exact in float64
		for _, trials := range []int{0, 1, 7, 40} {
			for x := -1; x <= trials+1; x++ {
				requireClose(t, exactBinomialTail(trials, new(big.Rat).SetFloat64(p), x),
					binomialTail(trials, p, x), trials, p, x)
			}
		}
	}
}

// The bound on closed sets, pool by pool: for the worst number of corrupt
// clients c up to f, C(n-c, a-c) P[Hyp(n-1, a-1, k) >= t]^(a-c).
func TestOpenPoolsEqualTheWorstNumberOfCorruptClients(t *testing.T) {
	for _, p := range [][4]int{ // n, f, k, t
		{12, 4, 7, 6}, {12, 0, 5, 4}, {20, 5, 8, 7}, {30, 6, 10, 8}, {30, 6, 12, 4}, {40, 2, 13, 9}, {16, 4, 15, 10}, {25, 20, 9, 9}, {30, 3, 8, 8},
	} {
		n, f, k, threshold := p[0], p[1], p[2], p[3]
		next := threshold + 1
		for a, bound := range openPools(n, f, k, threshold) {
			require.Equal(t, next, a)
			next++
			worst := new(big.Rat)
			for c := 0; c <= min(f, a-1); c++ {
				term := new(big.Rat).SetInt(new(big.Int).Binomial(int64(n-c), int64(a-c)))
				for range a - c {
					term.Mul(term, exactTail(n-1, a-1, k, threshold))
				}
				if term.Cmp(worst) > 0 {
					worst = term
				}
			}
			if bound == one {
				require.Positive(t, worst.Cmp(big.NewRat(1, int64(n+1))), "%v pool %d: a bound was possible", p, a)
			} else {
				requireClose(t, worst, bound, p, a)
			}
		}
		require.Equal(t, n+1, next)
	}
}

func TestWideNumbersKeepTinyProbabilities(t *testing.T) {
	tiny := newWide(0.3).pow(100_000) // about 2^-173697
	require.InEpsilon(t, 100_000*math.Log2(0.3), math.Log2(tiny.mantissa)+float64(tiny.exponent), 1e-9)
	require.True(t, tiny.less(powerOfTwo(-1000)))
	require.False(t, powerOfTwo(-1000).less(tiny))
	require.True(t, wide{}.less(tiny))
	require.False(t, tiny.less(wide{}))
	require.Equal(t, powerOfTwo(-1000), powerOfTwo(-1000).add(tiny))
	require.Equal(t, powerOfTwo(-999), powerOfTwo(-1000).add(powerOfTwo(-1000)))
	require.Equal(t, 0.75, newWide(0.25).add(newWide(0.5)).float64())
	require.Equal(t, 12.0, newWide(3).scale(8, 2).float64())
	require.Zero(t, tiny.float64())
	require.Equal(t, wide{}, tiny.scale(0, 3))
	require.Equal(t, wide{}, tiny.mul(wide{}))
}
