package plan

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
)

// binomialTail is P[Binomial(n, p) > k] to 300 bits, and binomialPoint P[= k].
func binomialTail(n, k int, p float64) *big.Float {
	sum := new(big.Float).SetPrec(300)
	for x := k + 1; x <= n; x++ {
		sum.Add(sum, binomialPoint(n, x, p))
	}
	return sum
}

func binomialPoint(n, k int, p float64) *big.Float {
	out := new(big.Float).SetPrec(300).SetInt(new(big.Int).Binomial(int64(n), int64(k)))
	yes := new(big.Float).SetPrec(300).SetFloat64(p)
	no := new(big.Float).SetPrec(300).Sub(big.NewFloat(1), yes)
	for range k {
		out.Mul(out, yes)
	}
	for range n - k {
		out.Mul(out, no)
	}
	return out
}

func TestCapacityIsExceededWithProbabilityOfTwoToTheMinus80(t *testing.T) {
	limit := new(big.Float).SetMantExp(big.NewFloat(1), -80)
	for _, c := range []struct {
		population int
		rate       float64
	}{{10, 0.5}, {100, 0.01}, {100, 0.3}, {400, 0.1}, {400, 0.9}, {1000, 0.002}, {600, 120.0 / 3383}} {
		k := capacity(c.population, c.rate, 80)
		require.LessOrEqual(t, binomialTail(c.population, k, c.rate).Cmp(limit), 0, "%+v", c)
		if k < c.population {
			require.Positive(t, binomialTail(c.population, k-2, c.rate).Cmp(limit), "%+v: no more room than that", c)
		}
		require.GreaterOrEqual(t, k, int(float64(c.population)*c.rate))
	}
	require.Equal(t, 245, capacity(3383, 120.0/3383, 80))
	require.Equal(t, 50, capacity(50, 1, 80), "everybody")
	require.Equal(t, 50, capacity(50, math.NaN(), 80))
	require.Equal(t, 10, capacity(10, 0.5, 80), "2^-10 is no small probability")
}

func TestTheDecidingCoinIsReckonedForTheWorstNumberOfClients(t *testing.T) {
	for _, c := range []struct {
		population, minimum int
		rate, dropout       float64
	}{{100, 5, 0.2, 0}, {100, 15, 0.2, 0.5}, {100, 30, 0.2, 0.5}, {60, 1, 0.1, 0.1}, {60, 60, 0.5, 0}, {80, 10, 0.125, 0.9}, {300, 20, 0.1, 0.3}} {
		worst := new(big.Float)
		least := int(math.Floor(float64(c.population) * (1 - c.dropout) * (1 - c.dropout))) // enrolled, and then answering
		for answer := max(least, 1); answer <= c.population; answer++ {                     // with the client itself
			if p := binomialPoint(answer-1, c.minimum-1, c.rate); c.minimum <= answer && p.Cmp(worst) > 0 {
				worst = p
			}
		}
		want, _ := new(big.Float).Mul(worst, big.NewFloat(c.rate*7)).Float64()
		got := decisive(c.population, c.minimum, c.rate, c.dropout, 7)
		require.GreaterOrEqual(t, got, want, "%+v", c)
		require.InEpsilon(t, want, got, 3e-6, "%+v", c)
	}
	require.Zero(t, decisive(100, 10, 0, 0, 1))
	require.Zero(t, decisive(100, 10, math.NaN(), 0, 1))
	require.Positive(t, decisive(maxPopulation, 1000, 1e-4, 0.3, 1))
}

// law is a probability for each outcome; "" is that there is no release.
type law map[string]float64

// exceeds is the least delta at which p is (epsilon, delta) close to q.
func exceeds(p, q law, epsilon float64) float64 {
	delta := 0.0
	for o, x := range p {
		delta += max(0, x-math.Exp(epsilon)*q[o])
	}
	return delta
}

func product(p, q law) law {
	out := law{}
	for a, x := range p {
		for b, y := range q {
			out[a+"/"+b] += x * y
		}
	}
	return out
}

// TestTheArgumentOfTheDecidingCoin enumerates all coins of a small population, with
// integer noise that is cut nowhere near: the release with a minimum is (epsilon, delta +
// P[B]) private where the release by coins without one is (epsilon, delta) private, of one
// attempt and of two. Without P[B] it is not.
func TestTheArgumentOfTheDecidingCoin(t *testing.T) {
	const rate, others = 0.2, 4
	data := []int{1, -1, 2, 0} // of the others; the client's own is 2, or 0
	noisy := func(sum int, weight float64, out law) {
		total := 0.0
		for x := -40; x <= 40; x++ {
			total += math.Exp(-float64(x*x) / 8)
		}
		for x := -40; x <= 40; x++ {
			out[fmt.Sprint(sum+x)] += weight * math.Exp(-float64(x*x)/8) / total
		}
	}
	needed := false
	for minimum := 1; minimum <= others+1; minimum++ {
		release := func(own, minimum int) law {
			out := law{}
			for s := range 1 << others {
				weight, sum, count := 1.0, 0, 0
				for j := range others {
					if s>>j&1 == 1 {
						weight, sum, count = weight*rate, sum+data[j], count+1
					} else {
						weight *= 1 - rate
					}
				}
				for _, in := range []struct{ p, own, count int }{{0, own, 1}, {1, 0, 0}} {
					w := weight * []float64{rate, 1 - rate}[in.p]
					if count+in.count >= minimum {
						noisy(sum+in.own, w, out)
					} else {
						out[""] += w
					}
				}
			}
			return out
		}
		// What amplification says of one set of others, the worst: noise alone.
		with, without := law{}, law{}
		noisy(0, 1-rate, with)
		noisy(2, rate, with)
		noisy(0, 1, without)
		real, realWithout := release(2, minimum), release(0, minimum)
		charge := decisive(others+1, minimum, rate, 0, 1)
		exact, _ := binomialPoint(others, minimum-1, rate).Float64()
		require.InEpsilon(t, rate*exact, charge, 3e-6)
		for _, epsilon := range []float64{0, 0.1, 0.3, 0.7, 1.2, 2} {
			for _, way := range [][4]law{{real, realWithout, with, without}, {realWithout, real, without, with}} {
				ideal, got := exceeds(way[2], way[3], epsilon), exceeds(way[0], way[1], epsilon)
				require.LessOrEqual(t, got, ideal+charge+1e-15, "minimum %d, epsilon %g", minimum, epsilon)
				needed = needed || got > ideal+1e-9
			}
		}
		if minimum == 3 {
			twice, twiceWithout := product(real, real), product(realWithout, realWithout)
			ideal, idealWithout := product(with, with), product(without, without)
			for _, epsilon := range []float64{0, 0.5, 1} {
				require.LessOrEqual(t, exceeds(twice, twiceWithout, epsilon), exceeds(ideal, idealWithout, epsilon)+2*charge+1e-15)
				require.LessOrEqual(t, exceeds(twiceWithout, twice, epsilon), exceeds(idealWithout, ideal, epsilon)+2*charge+1e-15)
			}
		}
	}
	require.True(t, needed, "it is not covered by amplification")
}

// shareSums are, by convolution, the laws of the sum of n discrete Gaussian shares of
// deviation s: ideal, and the part of it in which some share is beyond the tail. All terms
// are positive, so that the smallest are as exact as the largest. Sums are from -reach on.
func shareSums(n int, s float64, tail int) (ideal, beyond []float64, reach int) {
	const most = 90
	one, in, out := make([]float64, 2*most+1), make([]float64, 2*most+1), make([]float64, 2*most+1)
	total := 0.0
	for x := -most; x <= most; x++ {
		total += math.Exp(-float64(x*x) / (2 * s * s))
	}
	for x := -most; x <= most; x++ {
		p := math.Exp(-float64(x*x)/(2*s*s)) / total
		one[x+most] = p
		if x < -tail || x > tail {
			out[x+most] = p
		} else {
			in[x+most] = p
		}
	}
	convolve := func(a, b []float64) []float64 {
		c := make([]float64, len(a)+len(b)-1)
		for i, x := range a {
			for j, y := range b {
				c[i+j] += x * y
			}
		}
		return c
	}
	power := func(a []float64, k int) []float64 {
		p := []float64{1}
		for range k {
			p = convolve(p, a)
		}
		return p
	}
	ideal, beyond = power(one, n), make([]float64, 2*most*n+1)
	for j := range n { // all^n - in^n, term by term
		for i, x := range convolve(convolve(power(one, j), out), power(in, n-1-j)) {
			beyond[i] += x
		}
	}
	return ideal, beyond, most * n
}

// TestTheArgumentOfTheTails holds what tails says of one coordinate against exact laws.
func TestTheArgumentOfTheTails(t *testing.T) {
	for _, c := range []struct {
		n int
		s float64
	}{{1, 2}, {1, 5}, {2, 2}, {3, 2.0001}, {4, 2}, {2, 3}, {4, 2.5}, {5, 2.0001}} {
		total := c.s * math.Sqrt(float64(c.n))
		m, err := ddp.Parameters{Dimension: 64, Clients: c.n, Survivors: c.n, ClipNorm: 1, Scale: 1, Sigma: total, Noise: dp.DiscreteGaussian}.Check()
		require.NoError(t, err)
		noise := secagg.Noise{Law: dp.DiscreteGaussian, Relation: dp.ZeroOut, Sigma: total, Survivors: c.n, Releases: 1, Delta: 1e-5}
		all := tailsOf(noise, m, 1, 80)
		cut, spread := all.cut/64, all.spread/64
		require.Less(t, cut, 1e-7, "it says something")
		require.Less(t, spread, 1e-3)
		ideal, beyond, reach := shareSums(c.n, c.s, int(m.Shares().Tail()))
		kept := 0.0
		for i := range ideal {
			kept += ideal[i] - beyond[i]
		}
		real := make([]float64, len(ideal))
		for i := range ideal {
			real[i] = (ideal[i] - beyond[i]) / kept
		}
		// The factor and the mass that the argument is made of.
		root := math.Sqrt(float64(c.n))
		step := m.Sensitivity().L2
		near := ddp.TailWidths * root / (1 + root) * total
		if c.n == 1 {
			near = ddp.TailWidths*total - step
		}
		outside, worst := 0.0, 0.0
		for i := range ideal {
			y := math.Abs(float64(i - reach))
			if y > near {
				outside += ideal[i] / kept
			}
			if y <= near+step {
				r := beyond[i] / ideal[i]
				worst = max(worst, r)
				if c.n > 1 {
					far := ddp.TailWidths - y/(float64(c.n)*c.s)
					require.LessOrEqual(t, r, 4*float64(c.n)*math.Exp(-far*far/2), "%+v at %g", c, y)
				}
			}
		}
		require.LessOrEqual(t, outside, cut, "%+v", c)
		require.LessOrEqual(t, -math.Log1p(-worst), spread, "%+v", c)

		// And what it is for: the real laws are as private, but for spread and cut.
		shifted := func(p []float64, i, by int) float64 {
			if i < by {
				return 0
			}
			return p[i-by]
		}
		for by := 1; by <= int(step); by++ {
			for epsilon := 0.0; epsilon <= 40; epsilon += 0.5 {
				idealDelta, realDelta := 0.0, 0.0
				for i := range ideal {
					idealDelta += max(0, ideal[i]-math.Exp(epsilon)*shifted(ideal, i, by))
					realDelta += max(0, real[i]-math.Exp(epsilon+spread)*shifted(real, i, by))
				}
				require.LessOrEqual(t, realDelta, idealDelta*(1+1e-12)+cut, "%+v by %d at %g", c, by, epsilon)
			}
		}
	}
}

func TestTailsAreChargedByTheWayThatHolds(t *testing.T) {
	x := tails{redrawn: 1e-20, overflow: 1e-22, cut: 1e-12, spread: 1e-9}
	require.Equal(t, 10.0, x.unsampled(10, 1e-8))
	require.Equal(t, 70+1e-9, x.unsampled(70, 1e-8), "e^70 is too much for the first way")
	require.True(t, math.IsInf(x.unsampled(70, 1e-13), 1), "cut does not fit either")
	require.True(t, math.IsInf(x.unsampled(math.Inf(1), 1e-8), 1))
	x.spread = 2e-3
	require.True(t, math.IsInf(x.unsampled(70, 1e-8), 1))
	require.Equal(t, 10.0, x.sampled(10, 1e-8))
	require.True(t, math.IsInf(x.sampled(70, 1e-8), 1), "a mixture has the first way only")
	x.overflow = 1e-5
	require.True(t, math.IsInf(x.sampled(10, 1e-8), 1))
	require.Equal(t, 10.0, x.unsampled(10, 1e-8), "nobody is drawn")
}

func TestTailsCountEachCoordinateOfEachAttempt(t *testing.T) {
	p := ddp.Parameters{Dimension: 1000, Clients: 20, Survivors: 10, ClipNorm: 1, Scale: 1000, Sigma: 1, Noise: dp.DiscreteGaussian}
	m, err := p.Check()
	require.NoError(t, err)
	n := secagg.Noise{Law: dp.DiscreteGaussian, Relation: dp.ZeroOut, Sigma: 1, Survivors: 10, Releases: 1, Delta: 1e-5}
	one, many := tailsOf(n, m, 1, 80), tailsOf(n, m, 50, 80)
	require.InEpsilon(t, 50*one.cut, many.cut, 1e-12)
	require.InEpsilon(t, 50*one.spread, many.spread, 1e-12)
	require.InEpsilon(t, 50*one.redrawn, many.redrawn, 1e-12)
	require.InEpsilon(t, 50*math.Ldexp(1, -80), many.overflow, 1e-12)
	n.Relation = dp.ReplaceOne
	require.Greater(t, tailsOf(n, m, 1, 80).spread, one.spread, "a neighbour is further away")
	n.Relation = dp.ZeroOut
	p.Extras = []ddp.Extra{ddp.BitExtra(10, 10)}
	with, err := p.Check()
	require.NoError(t, err)
	require.InEpsilon(t, one.cut*1025/1024, tailsOf(n, with, 1, 80).cut, 1e-12, "the clip bit is a coordinate")
	p.Noise, p.Extras, p.Scale = dp.Skellam, nil, 100
	skellam, err := p.Check()
	require.NoError(t, err)
	n.Law = dp.Skellam
	require.True(t, math.IsInf(tailsOf(n, skellam, 1, 80).cut, 1), "the argument is not about Skellam")
}

func TestSlackIsReservedForOtherJobsToo(t *testing.T) {
	s := Slack{Buckets: 1e-9, Sampling: 2e-9, Tails: 1e-8}
	require.InEpsilon(t, 1.3e-8, s.Total(), 1e-12)
	require.GreaterOrEqual(t, s.Total(), 1e-9+2e-9+1e-8)
	require.InEpsilon(t, 1.3e-7, s.reserve(1e-5), 1e-12)
	require.Equal(t, 0.25e-7, s.reserve(1e-7), "no more than a quarter")
}

// TestTheArgumentOfTheLikeness holds the two inequalities about one coordinate against the
// laws themselves.
func TestTheArgumentOfTheLikeness(t *testing.T) {
	for _, sigma := range []float64{2, 3.7, 20} {
		total := 0.0
		for y := -40 * sigma; y <= 40*sigma; y++ {
			x := math.Round(y)
			total += math.Exp(-x * x / (2 * sigma * sigma))
		}
		normal := 4 * math.Exp(-2*math.Pi*math.Pi*sigma*sigma)
		for y := 0.0; y <= 10*sigma; y++ {
			p := math.Exp(-y*y/(2*sigma*sigma)) / total
			r := (math.Erfc((y-0.5)/(sigma*math.Sqrt2)) - math.Erfc((y+0.5)/(sigma*math.Sqrt2))) / 2
			ratio := math.Log(p / r)
			require.LessOrEqual(t, ratio, 1/(24*sigma*sigma)+normal+1e-9, "sigma %g at %g", sigma, y)
			require.GreaterOrEqual(t, ratio, -y*y/(24*math.Pow(sigma, 4))-normal-1e-9, "sigma %g at %g", sigma, y)
		}
	}
}

// TestLikenessSaysNothingWhereItsSlackIsNotSmall: far noise has probability exp(-200), times
// every factor of the argument.
func TestLikenessSaysNothingWhereItsSlackIsNotSmall(t *testing.T) {
	m, err := ddp.Parameters{Dimension: 1 << 12, Clients: 20, Survivors: 10, ClipNorm: 1, Scale: 40, Sigma: 1, Noise: dp.DiscreteGaussian}.Check()
	require.NoError(t, err)
	noise := secagg.Noise{Law: dp.DiscreteGaussian, Relation: dp.ZeroOut, Sigma: 1, Survivors: 10, Releases: 1, Delta: 1e-5}
	k := likenessOf(noise, m)
	one, err := m.Event(dp.ZeroOut, dp.Sampling{Mode: dp.SamplingNone}, 1)
	require.NoError(t, err)
	require.Less(t, k.spread, 1.0)
	require.Greater(t, k.epsilon(one, 1, 1e-5), k.spread)
	require.True(t, math.IsInf(k.epsilon(one, 600, 1e-5), 1))
	require.True(t, math.IsInf(likeness{2}.epsilon(one, 1, 1e-5), 1))
	noise.Law = dp.Skellam
	require.True(t, math.IsInf(likenessOf(noise, m).spread, 1))
}
