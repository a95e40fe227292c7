package noise

import (
	"io"
	"math"
)

// Sampler fills dst with independent samples of one law, from coins.
// [Gaussian], [Rejection], [Laplace] and [Skellam] are samplers.
type Sampler interface {
	Sample(dst []int64, coins io.Reader) error
}

var (
	_ Sampler = Gaussian{}
	_ Sampler = Rejection{}
	_ Sampler = Laplace{}
	_ Sampler = Skellam{}
)

// Pool holds samples that were drawn before the data they protect arrived, so
// that the time the drawing takes tells nothing about a release. Each sample is
// given out once and erased here.
//
// The zero value is an empty pool. A Pool must not be copied after its first
// use, or two copies would give out the same noise. It serves one goroutine at
// a time.
type Pool struct {
	samples []int32
	next    int
}

// maxPool is the largest number of samples in a pool: 1 GiB.
const maxPool = 1 << 28

// Fill adds n samples to what the pool holds, at most 2^28 in all. It refuses
// samples that no int32 holds ([ErrPool]); after that and after an error of the
// sampler the pool is as it was before. Coins are consumed all the same.
func (p *Pool) Fill(s Sampler, coins io.Reader, n int) error {
	if n < 0 || n > maxPool-p.Left() || s == nil {
		return ErrPool.At("noise: Fill of %d samples", n)
	}
	grown := make([]int32, p.Left()+n)
	fresh := grown[copy(grown, p.samples[p.next:]):]
	if err := fill(fresh, s, coins); err != nil {
		clear(grown)
		return err
	}
	p.Erase()
	p.samples = grown
	return nil
}

// fill draws by blocks, which the samplers do not notice: they read no coin too many.
func fill(dst []int32, s Sampler, coins io.Reader) error {
	drawn := make([]int64, min(len(dst), 8192))
	defer clear(drawn)
	for len(dst) > 0 {
		part := drawn[:min(len(dst), len(drawn))]
		if err := s.Sample(part, coins); err != nil {
			return err
		}
		for i, v := range part {
			if v < math.MinInt32 || v > math.MaxInt32 {
				return ErrPool.At("noise: Fill with samples wider than 32 bits")
			}
			dst[i] = int32(v)
		}
		dst = dst[len(part):]
	}
	return nil
}

// Left is the number of samples that the pool holds.
func (p *Pool) Left() int { return len(p.samples) - p.next }

// Take fills dst with samples in the order they were drawn. It refuses, with
// [ErrPool] and without taking any, if the pool holds fewer.
func (p *Pool) Take(dst []int32) error {
	taken, err := p.take(len(dst))
	if err != nil {
		clear(dst)
		return err
	}
	copy(dst, taken)
	clear(taken)
	return nil
}

// Add adds a sample to each value in place, which is how the quantiser takes its
// noise. It refuses as Take does. A sum that no int32 holds is an [ErrOverflow],
// and leaves values as they were; the samples are gone.
func (p *Pool) Add(values []int32) error {
	taken, err := p.take(len(values))
	if err != nil {
		return err
	}
	defer clear(taken)
	for i, v := range values {
		if sum := int64(v) + int64(taken[i]); sum < math.MinInt32 || sum > math.MaxInt32 {
			return ErrOverflow.At("noise: value %d of %d", i, len(values))
		}
	}
	for i := range values {
		values[i] += taken[i]
	}
	return nil
}

// take moves on by n samples.
func (p *Pool) take(n int) ([]int32, error) {
	if n > p.Left() {
		return nil, ErrPool.At("noise: %d samples asked, %d left", n, p.Left())
	}
	taken := p.samples[p.next : p.next+n]
	p.next += n
	return taken, nil
}

// Erase overwrites the samples and empties the pool.
func (p *Pool) Erase() {
	clear(p.samples)
	p.samples, p.next = nil, 0
}
