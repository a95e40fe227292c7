package ddp

import (
	"math"
	"math/big"

	"github.com/choir-fl/choir/dp"
)

const (
	// MinShareWidth is the least standard deviation of one client's share, in grid
	// steps. Above it the sum of discrete Gaussian shares differs from one discrete
	// Gaussian by tau < 1e-16 for each share; a little below, the bound is worthless.
	// Central noise is one draw, to which this does not apply.
	MinShareWidth = 2
	// TailWidths: a share beyond so many standard deviations is redrawn.
	TailWidths = 12
	// maxSkellam is the widest Skellam share that package noise draws.
	maxSkellam = 1 << 12
	// maxShares keeps sums over shares short; it is far above any roster.
	maxShares = 1 << 24
	// maxWidth: twelve times it is about the widest field.
	maxWidth = 1 << 27
	// variancePrecision is the number of bits to which variances are rounded up.
	variancePrecision = 60
)

// Shares is how the noise of a sum is divided among clients: each of the released
// sum's members adds a share of standard deviation sigma_L, and Count of them, the
// fewest survivors less the corrupt, reach the target together. More shares than that
// only add noise. It is immutable; the zero value has no shares and promises nothing.
type Shares struct {
	count    int
	variance *big.Rat
}

// NewShares divides a target standard deviation sigma of the sum, in grid units,
// among survivors - corrupt shares. In BucketMeans view that number is
// [HonestBucket.Honest]. It refuses sigma_L < MinShareWidth ([ErrNarrow]) and less than
// one honest share ([ErrHonest]).
func NewShares(sigma float64, survivors, corrupt int) (Shares, error) {
	return newShares(sigma, survivors, corrupt, big.NewRat(MinShareWidth*MinShareWidth, 1))
}

// newShares refuses a variance of one share below least.
func newShares(sigma float64, survivors, corrupt int, least *big.Rat) (Shares, error) {
	if !(sigma > 0 && sigma <= maxReach) { // NaN fails
		return Shares{}, ErrParameters.At("noise of %g grid steps, want above 0 and at most 2^45", sigma)
	}
	if corrupt < 0 || survivors < 1 || survivors > maxShares {
		return Shares{}, ErrParameters.At("%d survivors with %d corrupt", survivors, corrupt)
	}
	if corrupt >= survivors {
		return Shares{}, ErrHonest.At("%d survivors with %d corrupt", survivors, corrupt)
	}
	count := survivors - corrupt
	variance := new(big.Rat).SetFloat64(sigma)
	variance.Mul(variance, variance)
	variance.Quo(variance, new(big.Rat).SetInt64(int64(count)))
	roundUp(variance)
	if variance.Cmp(least) < 0 {
		return Shares{}, ErrNarrow.At("noise of %g grid steps in %d shares", sigma, count)
	}
	if variance.Cmp(big.NewRat(maxWidth*maxWidth, 1)) > 0 {
		return Shares{}, ErrParameters.At("noise of %g grid steps in %d shares is wider than any sampler: lower the scale", sigma, count)
	}
	return Shares{count: count, variance: variance}, nil
}

// roundUp takes v to the next multiple of 2^-k, with k such that the numerator has
// about variancePrecision bits: what samplers take.
func roundUp(v *big.Rat) {
	k := uint(max(0, variancePrecision-v.Num().BitLen()+v.Denom().BitLen()))
	num := new(big.Int).Lsh(v.Num(), k)
	num.Add(num, v.Denom())
	num.Sub(num, big.NewInt(1))
	num.Quo(num, v.Denom())
	v.SetFrac(num, new(big.Int).Lsh(big.NewInt(1), k))
}

// Count is the number of shares that are reckoned with.
func (s Shares) Count() int { return s.count }

// Variance is sigma_L^2, which a sampler draws with: exactly sigma^2/Count, rounded up
// by less than 2^-58 of itself so that numerator and denominator fit 62 bits. It is a
// copy.
func (s Shares) Variance() *big.Rat {
	if s.variance == nil {
		return new(big.Rat)
	}
	return new(big.Rat).Set(s.variance)
}

// Width is sigma_L, rounded down.
func (s Shares) Width() float64 {
	v, _ := s.Variance().Float64()
	return max(0, down(math.Sqrt(max(0, down(v)))))
}

// Sigma is the standard deviation of the sum of Count shares, rounded down.
func (s Shares) Sigma() float64 { return max(0, down(math.Sqrt(max(0, s.sumVariance())))) }

// sumVariance is Count * sigma_L^2, rounded down.
func (s Shares) sumVariance() float64 {
	v := s.Variance()
	f, _ := v.Mul(v, new(big.Rat).SetInt64(int64(s.count))).Float64()
	return down(f)
}

// Tail is ceil(12 sigma_L), the largest magnitude of a share: a share beyond it is
// redrawn by its client, whatever the data. See [TailDelta] for the price.
func (s Shares) Tail() int64 {
	v, _ := s.Variance().Float64()
	return int64(math.Ceil(up(TailWidths * up(math.Sqrt(up(v))))))
}

// TailDelta bounds the distance in total variation between count*dimension shares and
// as many that are redrawn beyond Tail: the delta that redrawing adds to one release.
// (With an (epsilon, delta) statement it counts up to 1 + e^epsilon times.) For the
// discrete Gaussian, which is sub-Gaussian (Canonne, Kamath and Steinke 2020), a share
// is beyond with probability at most 2 e^-72 = 2^-102.9. A Skellam share has a heavier
// tail: Chernoff's bound with its moment generating function exp(mu(cosh t - 1)) gives
// 2 exp(-(x asinh(x/mu) - sqrt(x^2 + mu^2) + mu)).
func (s Shares) TailDelta(law dp.Mechanism, clients, dimension int) float64 {
	exponent := float64(TailWidths*TailWidths) / 2
	if law != dp.DiscreteGaussian {
		mu, _ := s.Variance().Float64()
		x := TailWidths * math.Sqrt(mu)
		// sqrt(x^2 + mu^2) - mu without cancellation; the margin covers rounding.
		exponent = x*math.Asinh(x/mu) - x*x/(math.Sqrt(x*x+mu*mu)+mu)
		exponent *= 1 - 0x1p-40
	}
	return safe(2 * math.Exp(-exponent) * float64(clients) * float64(dimension))
}
