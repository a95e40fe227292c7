package mf

import "math/bits"

// block is how many coordinates a filter works on at a time, so that they stay in the
// cache.
const block = 1 << 12

// blocks calls f with the ranges that n coordinates divide into.
func blocks(n int, f func(from, to int)) {
	for from := 0; from < n; from += block {
		f(from, min(n, from+block))
	}
}

// treeFilter keeps the noise of the estimates of those nodes whose right sibling is not
// complete, by level: the next step completes the nodes of all levels below its lowest zero
// bit. An estimate of a node is a mean of its own noisy sum and the sum of its halves'
// estimates, with weights that add up to 1 exactly; the true sum is in it once, whole, and
// rounding concerns the noise alone. What a step adds to the prefix sum is its own
// contributions and the noise of the new node less that of the nodes it takes the place of.
type treeFilter struct {
	weights []int64
	open    [][]int64
	drawn   []int64
}

func (f *treeFilter) state() [][]int64 { return f.open }

func (f *treeFilter) step(t int, dst []int64, draw func([]int64) error) error {
	level := bits.TrailingZeros(^uint(t))
	defer clear(f.drawn)
	carry := f.open[level] // the place of the new node, which is empty
	if err := draw(carry); err != nil {
		return err
	}
	clear(dst)
	for l := range level {
		if err := draw(f.drawn); err != nil {
			return err
		}
		half, w := f.open[l], f.weights[l+1]
		for i, own := range f.drawn {
			sum := half[i] + carry[i]
			dst[i] -= half[i]
			carry[i] = (w*own + (1<<weightBits-w)*sum + 1<<(weightBits-1)) >> weightBits
		}
		clear(half)
	}
	for i, c := range carry {
		dst[i] += c
	}
	return nil
}

// bandFilter keeps the noise of the last steps: w_t = z_t - round(sum_j c_j w_(t-j)).
type bandFilter struct {
	band []int64   // c_0 = 1 and so on, in units of 2^-bandFraction
	past [][]int64 // w_t is at t mod their number
}

func (f *bandFilter) state() [][]int64 { return f.past }

func (f *bandFilter) step(t int, dst []int64, draw func([]int64) error) error {
	if err := draw(dst); err != nil {
		return err
	}
	if len(f.past) == 0 {
		return nil
	}
	n := len(f.past)
	var sums [block]int64
	blocks(len(dst), func(from, to int) {
		acc := sums[:to-from]
		for i := range acc {
			acc[i] = 1 << (bandFraction - 1)
		}
		for j := 1; j <= min(t, n); j++ {
			c, past := f.band[j], f.past[(t-j)%n][from:to]
			for i, w := range past {
				acc[i] += c * w
			}
		}
		now, out := f.past[t%n][from:to], dst[from:to]
		for i, s := range acc {
			out[i] -= s >> bandFraction
			now[i] = out[i]
		}
	})
	clear(sums[:])
	return nil
}

// bltFilter keeps s_i = sum_j decay_i^(j-1) w_(t-j) with fraction bits below the lattice
// step: w_t = z_t - round(sum_i scale_i s_i), s_i <- round(decay_i s_i) + w_t.
type bltFilter struct {
	decay, scale []uint64 // in units of 2^-64
	fraction     uint
	buffers      [][]int64
}

func (f *bltFilter) state() [][]int64 { return f.buffers }

func (f *bltFilter) step(_ int, dst []int64, draw func([]int64) error) error {
	if err := draw(dst); err != nil {
		return err
	}
	var highs, lows [block]uint64
	half := int64(1) << (f.fraction - 1)
	blocks(len(dst), func(from, to int) {
		high, low, out := highs[:to-from], lows[:to-from], dst[from:to]
		clear(high)
		clear(low)
		for b, buffer := range f.buffers {
			scale := f.scale[b]
			for i, s := range buffer[from:to] {
				h, l := times(s, scale)
				var carry uint64
				low[i], carry = bits.Add64(low[i], l, 0)
				high[i], _ = bits.Add64(high[i], h, carry)
			}
		}
		for i, h := range high {
			out[i] -= (int64(h) + half) >> f.fraction
		}
		for b, buffer := range f.buffers {
			decay := f.decay[b]
			for i, s := range buffer[from:to] {
				h, l := times(s, decay)
				buffer[from+i] = int64(h+l>>63) + out[i]<<f.fraction
			}
		}
	})
	clear(highs[:])
	clear(lows[:])
	return nil
}

// times is the product of a signed and an unsigned number, as two's complement of 128 bits.
func times(s int64, u uint64) (high, low uint64) {
	high, low = bits.Mul64(uint64(s), u)
	return high - u&uint64(s>>63), low
}
