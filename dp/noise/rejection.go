package noise

import (
	"io"
	"math/big"
)

// Rejection draws from the same law as a [Gaussian] of the same variance, without
// a table: for the few samples that are not worth one, and as the reference that
// the table is tested against.
//
// It is Canonne, Kamath and Steinke (2020), algorithm 3: a discrete Laplace of
// scale t = floor(sigma)+1, kept with probability
// exp(-(|y| - sigma^2/t)^2 / (2 sigma^2)), and redrawn beyond 12 sigma. A sample
// takes some twenty words of coins, and their number and the time depend on the
// sample; draw before data arrive. A Rejection is immutable and safe for
// concurrent use.
type Rejection struct {
	proposal Laplace
	bound    int64
	// Of sigma^2 = a/b: slope b*t, shift a, so that the exponent is
	// (|y|*slope - shift)^2 / twice with twice = 2*a*b*t^2.
	slope, shift, twice *big.Int
}

// NewRejection makes the sampler of variance parameter sigma^2 = num/den, in the range of [NewGaussian].
func NewRejection(num, den uint64) (Rejection, error) {
	v, err := newVariance(num, den)
	if err != nil {
		return Rejection{}, err
	}
	t := v.sigma().Uint64() + 1
	slope := new(big.Int).Mul(v.den, new(big.Int).SetUint64(t))
	twice := new(big.Int).Mul(slope, new(big.Int).SetUint64(t))
	twice.Mul(twice, v.num).Lsh(twice, 1)
	return Rejection{proposal: Laplace{num: t, den: 1}, bound: v.bound(), slope: slope, shift: v.num, twice: twice}, nil
}

// Sample fills dst with independent samples. After an error ([ErrSampler],
// [ErrCoins]) dst is all zeros.
func (r Rejection) Sample(dst []int64, coins io.Reader) error {
	if r.twice == nil {
		clear(dst)
		return ErrSampler.At("noise: Rejection")
	}
	w := newWords(coins, 6*len(dst))
	for i := 0; i < len(dst) && w.err == nil; i++ {
		dst[i] = r.draw(w)
	}
	return w.finish(dst)
}

// Bound is the largest magnitude of a sample, floor(12 sigma).
func (r Rejection) Bound() int64 { return r.bound }

// TailBits is as [Gaussian.TailBits].
func (r Rejection) TailBits() int { return gaussianTailBits }

func (r Rejection) draw(w *words) int64 {
	var exponent big.Int
	for n := 0; n < maxRejected && w.err == nil; n++ {
		y := r.proposal.draw(w)
		magnitude := max(y, -y)
		if magnitude > r.bound {
			continue // the tail is redrawn
		}
		exponent.Mul(exponent.SetInt64(magnitude), r.slope)
		exponent.Sub(&exponent, r.shift)
		if w.bernoulliExpBig(exponent.Mul(&exponent, &exponent), r.twice) {
			return y
		}
	}
	w.stuck()
	return 0
}
