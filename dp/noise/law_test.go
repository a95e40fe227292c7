package noise

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// refPrec is the precision of the slow reference: far above that of the tables.
const refPrec = 700

func ref(x int64) *big.Float { return new(big.Float).SetPrec(refPrec).SetInt64(x) }

func quo(a, b *big.Float) *big.Float { return ref(0).Quo(a, b) }

// refExp is exp(x) for x of either sign: the series of |x|/2^20, squared 20 times, inverted if x < 0.
func refExp(x *big.Float) *big.Float {
	y := ref(0).Abs(x)
	y.SetMantExp(y, -20)
	sum, term := ref(1), ref(1)
	for i := int64(1); i < 60; i++ {
		term.Mul(term, quo(y, ref(i)))
		sum.Add(sum, term)
	}
	for range 20 {
		sum.Mul(sum, sum)
	}
	if x.Sign() < 0 {
		return quo(ref(1), sum)
	}
	return sum
}

// refGaussian gives exp(-(k*step)^2/(2 num/den)) for k = 0..bound, each by itself.
func refGaussian(num, den, step int64, bound int) []*big.Float {
	p := make([]*big.Float, bound+1)
	for k := range p {
		x := ref(int64(k) * step)
		x.Mul(x, x).Mul(x, ref(den))
		p[k] = refExp(x.Neg(quo(x, ref(2*num))))
	}
	return p
}

// refSkellam gives P[X - Y = k] for X and Y Poisson of mean mu/2, up to a factor:
// the sum over j of the products of P[X = j+k] and P[Y = j].
func refSkellam(num, den int64, bound int) []*big.Float {
	poisson := []*big.Float{ref(1)}
	for j := int64(1); ; j++ {
		next := ref(0).Mul(poisson[j-1], quo(ref(num), ref(2*den*j)))
		if poisson = append(poisson, next); int(j) > 2*bound+20 && next.MantExp(nil) < -400 {
			break
		}
	}
	p := make([]*big.Float, bound+1)
	for k := range p {
		p[k] = ref(0)
		for j := 0; j+k < len(poisson); j++ {
			p[k].Add(p[k], ref(0).Mul(poisson[j+k], poisson[j]))
		}
	}
	return p
}

// requireTable compares every boundary with the reference, digit by digit.
func requireTable(t *testing.T, want []*big.Float, got *table) {
	t.Helper()
	require.Len(t, got.hi, len(want))
	weights := append([]*big.Float(nil), want...)
	if !got.once {
		weights[0] = quo(want[0], ref(2))
	}
	total := ref(0)
	for _, w := range weights {
		total.Add(total, w)
	}
	sum := ref(0)
	for k, w := range weights[:len(weights)-1] {
		sum.Add(sum, w)
		scaled := quo(sum, total)
		digits, _ := scaled.SetMantExp(scaled, 127).Int(nil)
		lo := new(big.Int).And(digits, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
		require.Equal(t, digits.Rsh(digits, 64).Uint64(), got.hi[k], "boundary %d", k)
		require.Equal(t, lo, got.lo[k], "boundary %d, digit 1", k)
	}
	require.Equal(t, uint64(1)<<63, got.hi[len(want)-1])
}

func TestTableIsTheLawEntryByEntry(t *testing.T) {
	for _, v := range [][2]int64{{1, 16}, {1, 4}, {1, 1}, {10, 3}, {2500, 1}, {123457, 7}} {
		g, err := NewGaussian(uint64(v[0]), uint64(v[1]))
		require.NoError(t, err)
		requireTable(t, refGaussian(v[0], v[1], 1, int(g.Bound())), g.table)
	}
	g, err := NewGaussian(1<<40+1, 1)
	require.NoError(t, err)
	require.Equal(t, uint(12), g.shift)
	requireTable(t, refGaussian(1<<40+1, 1, 1<<12, int(g.Bound()>>12)), g.table)
	for _, v := range [][2]int64{{1, 16}, {1, 4}, {4, 1}, {31, 3}, {400, 1}} {
		s, err := NewSkellam(uint64(v[0]), uint64(v[1]))
		require.NoError(t, err)
		requireTable(t, refSkellam(v[0], v[1], int(s.Bound())), s.table)
	}
}

// Computed with mpmath at 60 digits, from exp and besseli.
func TestTableHasTheDigitsOfAnotherLibrary(t *testing.T) {
	g, err := NewGaussian(4, 4)
	require.NoError(t, err)
	require.Equal(t, []uint64{0x33108a6312ee78d0, 0x71025579e9981c67, 0x7ed4af9420144176, 0x7ff721a80379107c}, g.table.hi[:4])
	require.Equal(t, []uint64{0xfe046b3dc0008b1c, 0xd6a70222ebc4058e, 0x6d83de28647cf00c, 0x11e36db709864c40}, g.table.lo[:4])
	s, err := NewSkellam(4, 1)
	require.NoError(t, err)
	require.Equal(t, []uint64{0x1a7f09f8eedf5a14, 0x4841a76aba858b49, 0x665e6ca3b27126d7, 0x760444dc862bbc7e}, s.table.hi[:4])
	require.Equal(t, []uint64{0x76d56b9d23f114e4, 0x7af021c8d0dc5d27, 0xe68d9ded4248e2cf, 0x7f0ad7f47dc7a56a}, s.table.lo[:4])
}

// pmf gives P(k) for k = 0..bound as the table has it, before rounding to float64.
func (t *table) pmf() []float64 {
	p, before := make([]float64, len(t.hi)), new(big.Int)
	for k := range p {
		f := new(big.Int).SetUint64(t.hi[k])
		f.Add(f.Lsh(f, 64), new(big.Int).SetUint64(t.lo[k]))
		x, _ := new(big.Float).SetMantExp(new(big.Float).SetInt(new(big.Int).Sub(f, before)), -127).Float64()
		if p[k] = x / 2; k == 0 {
			p[k] = x
		}
		before = f
	}
	return p
}

// Entry 44 of the reference on differential privacy.
func TestDiscreteGaussianHasTheReferenceNumbers(t *testing.T) {
	for _, c := range []struct {
		num, den       uint64
		variance, zero float64
	}{{1, 4, 0.215012675088139, 0.786570707041948}, {1, 1, 0.999999788767728, 0.398942278266862}} {
		g, err := NewGaussian(c.num, c.den)
		require.NoError(t, err)
		p, variance := g.table.pmf(), 0.0
		for k, x := range p {
			variance += 2 * float64(k*k) * x
		}
		require.InDelta(t, c.variance, variance, 1e-15)
		require.InDelta(t, c.zero, p[0], 1e-15)
	}
	for _, c := range []struct {
		sigma, sensitivity uint64
		eps                float64
	}{{1, 1, 4.430238055279}, {3, 1, 1.267467816012}, {10, 10, 4.377700641249}, {100, 100, 4.377187413241}} {
		g, err := NewGaussian(c.sigma*c.sigma, 1)
		require.NoError(t, err)
		p, bound, s := g.table.pmf(), int(g.Bound()), int(c.sensitivity)
		at := func(x int) float64 {
			if x = max(x, -x); x > bound {
				return 0
			}
			return p[x]
		}
		lo, hi := 0.0, 10.0
		for range 60 {
			eps, delta := (lo+hi)/2, 0.0
			for x := -bound; x <= bound+s; x++ {
				delta += max(0, at(x)-math.Exp(eps)*at(x-s))
			}
			if delta > 1e-5 {
				lo = eps
			} else {
				hi = eps
			}
		}
		require.InDelta(t, c.eps, hi, 1e-11, "sigma %d", c.sigma)
	}
}

// chiSquare is Pearson's statistic over runs of values with at least 25 expected
// samples each, as a normal deviate (Wilson and Hilferty 1931). p is the law of
// the magnitude 0..; signs are symmetric.
func chiSquare(samples []int64, p []float64) float64 {
	bound := len(p) - 1
	counts := make([]int, 2*bound+1)
	for _, x := range samples {
		counts[x+int64(bound)]++
	}
	n, degrees, statistic := float64(len(samples)), -1.0, 0.0
	expected, seen, left := 0.0, 0.0, n
	for i, c := range counts {
		e := n * p[max(i-bound, bound-i)]
		expected, seen, left = expected+e, seen+float64(c), left-e
		if expected >= 25 && left >= 25 || i == len(counts)-1 {
			statistic += (seen - expected) * (seen - expected) / expected
			degrees++
			expected, seen = 0, 0
		}
	}
	v := 2 / (9 * degrees)
	return (math.Cbrt(statistic/degrees) - 1 + v) / math.Sqrt(v)
}

// requireMoments holds the first four moments against those of p, each within five standard errors.
func requireMoments(t *testing.T, samples []int64, p []float64, name string) {
	t.Helper()
	moment := func(r int) float64 {
		sum := 0.0
		for k, x := range p {
			if k > 0 && r%2 == 0 {
				sum += 2 * x * math.Pow(float64(k), float64(r))
			}
		}
		return sum
	}
	for r := 1; r <= 4; r++ {
		got := 0.0
		for _, x := range samples {
			got += math.Pow(float64(x), float64(r))
		}
		got /= float64(len(samples))
		want := moment(r)
		sd := math.Sqrt((moment(2*r) - want*want) / float64(len(samples)))
		require.InDelta(t, want, got, 5*sd, "%s, moment %d", name, r)
	}
}

func floats(p []*big.Float) []float64 {
	total := ref(0)
	for k, x := range p {
		total.Add(total, x)
		if k > 0 {
			total.Add(total, x)
		}
	}
	out := make([]float64, len(p))
	for k, x := range p {
		out[k], _ = quo(x, total).Float64()
	}
	return out
}

func gaussianLawOf(num, den float64, bound int64) []float64 {
	p, total := make([]float64, bound+1), 0.0
	for k := range p {
		p[k] = math.Exp(-float64(k) * float64(k) * den / (2 * num))
		if total += p[k]; k > 0 {
			total += p[k]
		}
	}
	for k := range p {
		p[k] /= total
	}
	return p
}

func made[S any](s S, err error) S {
	if err != nil {
		panic(err)
	}
	return s
}

func TestSamplesFollowTheExactLaw(t *testing.T) {
	laplace := make([]float64, 2000)
	for k := range laplace {
		q := math.Exp(-3.0 / 100)
		laplace[k] = (1 - q) / (1 + q) * math.Pow(q, float64(k))
	}
	steep := make([]float64, 400)
	for k := range steep {
		q := math.Exp(-16)
		steep[k] = (1 - q) / (1 + q) * math.Pow(q, float64(k))
	}
	split := made(newGaussian(made(newVariance(625, 1)), 1)) // fine part much coarser than in use, so that an error shows
	for _, c := range []struct {
		name string
		s    Sampler
		n    int
		p    []float64
	}{
		{"table 1/4", made(NewGaussian(1, 4)), 200_000, gaussianLawOf(1, 4, 6)},
		{"table 1", made(NewGaussian(1, 1)), 200_000, gaussianLawOf(1, 1, 12)},
		{"table 10000/3", made(NewGaussian(10000, 3)), 200_000, gaussianLawOf(10000, 3, 692)},
		{"table 1000^2", made(NewGaussian(1_000_000, 1)), 400_000, gaussianLawOf(1_000_000, 1, 12000)},
		{"split of 25", split, 2_000_000, gaussianLawOf(625, 1, 300)},
		{"split of 3000", made(NewGaussian(9_000_000, 1)), 1_000_000, gaussianLawOf(9_000_000, 1, 36000)},
		{"rejection 1/4", made(NewRejection(1, 4)), 100_000, gaussianLawOf(1, 4, 6)},
		{"rejection 1", made(NewRejection(1, 1)), 100_000, gaussianLawOf(1, 1, 12)},
		{"rejection 10000/3", made(NewRejection(10000, 3)), 200_000, gaussianLawOf(10000, 3, 692)},
		{"skellam 1/4", made(NewSkellam(1, 4)), 200_000, floats(refSkellam(1, 4, 6))},
		{"skellam 100", made(NewSkellam(100, 1)), 200_000, floats(refSkellam(100, 1, 120))},
		{"laplace 100/3", made(NewLaplace(100, 3)), 200_000, laplace},
		{"laplace 1/16", made(NewLaplace(1, 16)), 1_000_000, steep},
	} {
		samples := make([]int64, c.n)
		require.NoError(t, c.s.Sample(samples, coinsOf(3)))
		if c.name != "laplace 1/16" { // two bins
			require.InDelta(t, 0, chiSquare(samples, c.p), 4, c.name)
		}
		requireMoments(t, samples, c.p, c.name)
	}
}

func TestCutIsAtTwelveSigma(t *testing.T) {
	for _, c := range []struct {
		num, den uint64
		bound    int64
	}{{1, 16, 3}, {1, 4, 6}, {1, 1, 12}, {2, 1, 16}, {10, 3, 21}, {1 << 60, 1, 12 << 30}, {3<<60 + 1, 3 << 20, 12 << 20}} {
		require.Equal(t, c.bound, made(NewGaussian(c.num, c.den)).Bound())
		require.Equal(t, c.bound, made(NewRejection(c.num, c.den)).Bound())
	}
	require.Equal(t, int64(16), made(NewSkellam(2, 1)).Bound())
	require.Equal(t, 102, made(NewGaussian(1, 1)).TailBits())
	require.Equal(t, 102, made(NewRejection(1, 1)).TailBits())
	// -log2 of the tail by mpmath: 23.67, 45.90, 63.12, 99.61, 104.17, 106.92.
	for mu, want := range map[uint64]int{1: 23, 16: 45, 64: 63, 1600: 99, 4096: 104, 16384: 106} {
		got := made(NewSkellam(mu, 16)).TailBits()
		require.LessOrEqual(t, got, want)
		require.GreaterOrEqual(t, got, want-1)
	}
	// The sum beyond the cut is below the promise, for the worst fraction of sigma.
	for _, v := range [][2]int64{{1, 16}, {1, 1}, {143, 144}, {100, 1}, {99, 7}} {
		inner := int(made(NewGaussian(uint64(v[0]), uint64(v[1]))).Bound())
		all := refGaussian(v[0], v[1], 1, 2*inner)
		tail, total := ref(0), quo(all[0], ref(2))
		for k, p := range all {
			if k > 0 {
				total.Add(total, p)
			}
			if k > inner {
				tail.Add(tail, p)
			}
		}
		require.Less(t, quo(tail, total).MantExp(nil), 1-102)
	}
}
