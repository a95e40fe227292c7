package noise

import "io"

// maxLaplace bounds both parts of the scale of a Laplace.
const maxLaplace = 1 << 48

// Laplace draws from the discrete Laplace distribution: x with probability
// proportional to exp(-|x|/scale), on all integers. Nothing is cut or redrawn: a
// cut would cost its pure differential privacy.
//
// It is Canonne, Kamath and Steinke (2020), algorithm 2, without floating point.
// A sample takes about eight words of coins, and their number depends on the
// sample; draw before data arrive. A Laplace is immutable and safe for
// concurrent use.
type Laplace struct{ num, den uint64 }

// NewLaplace makes the sampler of scale num/den. Both are at least 1 and at most
// 2^48, and the scale is at least 1/16. The variance is close to 2*scale^2 from
// a scale of 1 on, and below it.
func NewLaplace(num, den uint64) (Laplace, error) {
	if num < 1 || den < 1 || num > maxLaplace || den > maxLaplace || 16*num < den {
		return Laplace{}, ErrParameter.At("noise: Laplace of scale %d/%d, not in [1/16, 2^48]", num, den)
	}
	return Laplace{num: num, den: den}, nil
}

// Sample fills dst with independent samples. After an error ([ErrSampler],
// [ErrCoins]) dst is all zeros.
func (l Laplace) Sample(dst []int64, coins io.Reader) error {
	if l.den == 0 {
		clear(dst)
		return ErrSampler.At("noise: Laplace")
	}
	w := newWords(coins, 4*len(dst))
	for i := 0; i < len(dst) && w.err == nil; i++ {
		dst[i] = l.draw(w)
	}
	return w.finish(dst)
}

func (l Laplace) draw(w *words) int64 {
	for n := 0; n < maxRejected && w.err == nil; n++ {
		u := w.uniform(l.num)
		if !w.bernoulliExp(u, l.num) {
			continue
		}
		v := uint64(0)
		for ; w.bernoulliExp(1, 1); v++ {
			if v == maxGeometric {
				w.stuck()
				return 0
			}
		}
		y := int64((u + l.num*v) / l.den)
		negative := w.next()&1 == 1
		switch {
		case !negative:
			return y
		case y != 0: // 0 has one sign only, else it would be twice as likely
			return -y
		}
	}
	w.stuck()
	return 0
}
