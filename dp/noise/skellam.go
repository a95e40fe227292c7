package noise

import (
	"io"
	"math/big"
)

// maxSkellamLog: the variance of a Skellam is at most 2^maxSkellamLog.
const maxSkellamLog = 24

// Skellam draws from the symmetric Skellam distribution of variance mu, that of
// the difference of two independent Poisson variables of mean mu/2: x with
// probability exp(-mu) I_|x|(mu), with I the modified Bessel function, on the
// integers up to 12 sqrt(mu) in magnitude; a draw beyond is redrawn.
//
// Coins: a sample is one word of a cumulative table; a tie takes more words (below
// 2^-46 a sample). A Skellam is immutable and safe for concurrent use. It holds
// up to 0.8 MiB.
type Skellam struct {
	table *table
	bound int64
}

// NewSkellam makes the sampler of variance mu = num/den. mu is at least 1/16 and
// at most 2^24 (sigma 4096), otherwise [ErrParameter]: there is no exact sampler
// of a larger mean here, and no approximate one; use a [Gaussian]. It takes up
// to some 300 milliseconds.
func NewSkellam(num, den uint64) (Skellam, error) {
	v, err := newVariance(num, den)
	if err != nil || v.num.Cmp(new(big.Int).Lsh(v.den, maxSkellamLog)) > 0 {
		return Skellam{}, ErrParameter.At("noise: Skellam of variance %d/%d, not in [1/16, 2^%d]", num, den, maxSkellamLog)
	}
	s := Skellam{bound: v.bound()}
	if s.table, err = newTable(skellamLaw(v.num, v.den), int(s.bound), false); err != nil {
		return Skellam{}, err
	}
	return s, nil
}

// Sample fills dst with independent samples. After an error ([ErrSampler],
// [ErrCoins]) dst is all zeros.
func (s Skellam) Sample(dst []int64, coins io.Reader) error {
	if s.table == nil {
		clear(dst)
		return ErrSampler.At("noise: Skellam")
	}
	return s.table.sample(dst, coins)
}

// Bound is the largest magnitude of a sample, floor(12 sqrt(mu)).
func (s Skellam) Bound() int64 { return s.bound }

// TailBits is a number t such that a draw is redrawn with a probability of at
// most 2^-t, computed for this mu; it adds to delta, for each sample of each
// client. The tail of a Skellam of small mu is much heavier than a Gaussian's:
// 102 bits only from about mu = 2^8 on.
func (s Skellam) TailBits() int {
	if s.table == nil {
		return 0
	}
	return s.table.tail
}

// skellamLaw is that of mu = num/den: r_k = I_{k+1}(mu)/I_k(mu). The recurrence
// I_{k-1} - I_{k+1} = (2k/mu) I_k (DLMF 10.29.1) gives r_{k-1} = 1/(2k/mu + r_k).
// Downwards it contracts, so it may start far above n from all that is known
// there, 0 < r < 1 (DLMF 10.37), and arrives with certain digits. The ratios
// decrease with k, because a sum of log-concave variables is log-concave.
func skellamLaw(num, den *big.Int) law {
	return func(prec uint, n int) []interval {
		ratios := make([]interval, n)
		ratio := interval{new(big.Int), exactly(1, prec).hi}
		slope := new(big.Int).Lsh(den, 1)
		for k := (n + 16) * (1 + int(prec/256)); k > 0; k-- {
			ratio = fraction(new(big.Int).Mul(slope, big.NewInt(int64(k))), num, prec).add(ratio).inverse(prec)
			if k <= n {
				ratios[k-1] = ratio
			}
		}
		return ratios
	}
}
