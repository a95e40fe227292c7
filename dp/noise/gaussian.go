package noise

import (
	"io"
	"math/big"
	"math/bits"
)

const (
	// cut is the number of sigmas beyond which a draw is redrawn.
	cut = 12
	// gaussianTailBits: P[|X| > 12 sigma] < 2*exp(-72) < 2^-102, because the
	// discrete Gaussian is sub-Gaussian of parameter sigma^2 (Canonne, Kamath
	// and Steinke 2020, section 3).
	gaussianTailBits = 102
	// tableLog: below sigma = 2^tableLog a sample is one look into a table of 12
	// sigma entries; from there on it is split, with a table of a sigma below 2^splitLog.
	tableLog = 11
	splitLog = 9
	// maxVarianceLog: sigma^2 is at most 2^maxVarianceLog.
	maxVarianceLog = 60
)

// Gaussian draws from the discrete Gaussian distribution N_Z(0, sigma^2): x with
// probability proportional to exp(-x^2/(2 sigma^2)), on the integers up to
// 12 sigma in magnitude; a draw beyond is redrawn, and its probability is below
// 2^-[Gaussian.TailBits]. The variance is never above sigma^2.
//
// Coins: below sigma = 2048 a sample is one word; from there on it is three words
// for each attempt, and an attempt fails with a probability below 1/500. A tie of
// a word with a digit of the table takes more words (below 2^-46 a sample).
//
// A Gaussian is immutable and safe for concurrent use. It holds 8 KiB and 192
// bytes for each unit of sigma below 2048, about 100 KiB from there on.
type Gaussian struct {
	table    *table
	bound    int64
	shift    uint   // a magnitude is q*2^shift + r
	den      uint64 // of sigma^2
	twiceNum uint64 // twice the numerator of sigma^2
}

// NewGaussian makes the sampler of variance parameter sigma^2 = num/den. The
// fraction need not be in lowest terms. sigma^2 is at least 1/16 (below, the
// sampler would give hardly anything but zeros) and at most 2^60, and num is at
// most 2^62 in lowest terms; otherwise [ErrParameter]. It takes a few
// milliseconds, up to some 50 just below sigma = 2048.
func NewGaussian(num, den uint64) (Gaussian, error) {
	v, err := newVariance(num, den)
	if err != nil {
		return Gaussian{}, err
	}
	sigma, shift := v.sigma().Uint64(), uint(0)
	if sigma >= 1<<tableLog {
		shift = uint(bits.Len64(sigma)) - splitLog
	}
	return newGaussian(v, shift)
}

// newGaussian splits at m = 2^shift, or uses the table alone if shift is 0.
func newGaussian(v variance, shift uint) (Gaussian, error) {
	bound := v.bound()
	scale := new(big.Int).Lsh(v.den, 2*shift) // sigma^2 of the table is num/scale
	t, err := newTable(gaussianLaw(v.num, scale), int(bound>>shift), shift > 0)
	if err != nil {
		return Gaussian{}, err
	}
	return Gaussian{table: t, bound: bound, shift: shift, den: v.den.Uint64(), twiceNum: 2 * v.num.Uint64()}, nil
}

// Sample fills dst with independent samples. After an error ([ErrSampler],
// [ErrCoins]) dst is all zeros.
func (g Gaussian) Sample(dst []int64, coins io.Reader) error {
	switch {
	case g.table == nil:
		clear(dst)
		return ErrSampler.At("noise: Gaussian")
	case g.shift == 0:
		return g.table.sample(dst, coins)
	}
	w := newWords(coins, 3*len(dst))
	for i := 0; i < len(dst) && w.err == nil; i++ {
		dst[i] = g.split(w)
	}
	return w.finish(dst)
}

// Bound is the largest magnitude of a sample, floor(12 sigma).
func (g Gaussian) Bound() int64 { return g.bound }

// TailBits is a number t such that a draw is redrawn with a probability of at
// most 2^-t. A privacy statement about the uncut law is off by that much, which
// adds to delta, for each sample of each client.
func (g Gaussian) TailBits() int { return gaussianTailBits }

// split draws a magnitude q*m + r with m = 2^shift: q from the table, with
// weight exp(-(q*m)^2/(2 sigma^2)), r uniform below m, both kept with
// probability exp(-(2*q*m*r + r^2)/(2 sigma^2)). So q*m + r has weight
// exp(-(q*m+r)^2/(2 sigma^2)). A negative zero and the tail are redrawn.
//
// The exponent is at most 24*sigma*m/(2 sigma^2) < 1/10, because sigma >= 256*m; its
// numerator is below 24*sigma*m*den < num, so nothing overflows.
func (g Gaussian) split(w *words) int64 {
	for n := 0; n < maxRejected && w.err == nil; n++ {
		u := w.next()
		q := g.table.magnitude(u>>1, w)
		r := int64(w.next() & (1<<g.shift - 1))
		base := q << g.shift
		keep := w.bernoulliExp(uint64((2*base+r)*r)*g.den, g.twiceNum)
		if x := base + r; keep && x <= g.bound && (x > 0 || u&1 == 0) {
			return signed(x, u)
		}
	}
	w.stuck()
	return 0
}

// sample draws one word for each sample: its low bit is the sign and the others digit 0.
func (t *table) sample(dst []int64, coins io.Reader) error {
	w := newWords(coins, len(dst))
	for i := range dst {
		u := w.next()
		dst[i] = signed(t.magnitude(u>>1, w), u)
	}
	return w.finish(dst)
}

// gaussianLaw is that of variance num/den: r_k = exp(-(2k+1)/(2 sigma^2)), so
// r_0 = exp(-den/(2 num)) and r_{k+1} = r_k * exp(-den/num).
func gaussianLaw(num, den *big.Int) law {
	return func(prec uint, n int) []interval {
		ratios := make([]interval, n)
		step := expMinus(den, num, prec)
		ratio := expMinus(den, new(big.Int).Lsh(num, 1), prec)
		for k := range ratios {
			ratios[k] = ratio
			ratio = ratio.mul(step, prec)
		}
		return ratios
	}
}

// variance is a checked sigma^2 = num/den in lowest terms.
type variance struct{ num, den *big.Int }

func newVariance(num, den uint64) (variance, error) {
	refused := ErrParameter.At("noise: Gaussian of variance %d/%d, not in [1/16, 2^60]", num, den)
	if num == 0 || den == 0 {
		return variance{}, refused
	}
	r := new(big.Rat).SetFrac(new(big.Int).SetUint64(num), new(big.Int).SetUint64(den))
	if r.Cmp(big.NewRat(1, 16)) < 0 || r.Cmp(big.NewRat(1<<maxVarianceLog, 1)) > 0 || r.Num().BitLen() > 62 {
		return variance{}, refused
	}
	return variance{num: r.Num(), den: r.Denom()}, nil
}

// sigma is floor(sqrt(num/den)).
func (v variance) sigma() *big.Int { return v.root(1) }

// bound is floor(12 sigma).
func (v variance) bound() int64 { return v.root(cut).Int64() }

// root is floor(times*sqrt(num/den)): that of the floor of its square.
func (v variance) root(times int64) *big.Int {
	x := new(big.Int).Mul(v.num, big.NewInt(times*times))
	x.Quo(x, v.den)
	return x.Sqrt(x)
}
