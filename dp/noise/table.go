package noise

import (
	"encoding/binary"
	"math/big"
)

const (
	// guideBits is the logarithm of the length of the guide.
	guideBits = 12
	// stored is the number of words of each boundary that a table keeps.
	stored = 2
	// maxPrecision bounds the fixed point in which a table is built. The
	// first attempt settles all digits in practice.
	maxPrecision = 1 << 14
)

// A law is a distribution on the integers that is symmetric about 0 and
// log-concave, by the ratios r_k = p(k+1)/p(k) for k = 0..n-1, which do not
// increase with k. Each interval holds its ratio at any precision asked for, and
// narrows as the precision grows.
type law func(prec uint, n int) []interval

// table draws magnitudes 0..bound from a law cut at bound, by inversion.
//
// Boundary F_k is the probability of a magnitude of at most k, a real number. A
// uniform real U in [0, 1) is drawn digit by digit, and the magnitude is the
// first k with U < F_k. Digit 0 has 63 bits and the others 64; hi and lo are
// digits 0 and 1 of each F_k, rounded down, that is: the true digits of F_k and
// not of an approximation. So "digit of U differs from digit of F_k" decides the
// comparison, and on a tie the next digits are drawn and computed. The law is
// therefore exactly that of the boundaries.
type table struct {
	hi, lo []uint64
	guide  [1 << guideBits]uint16 // first k whose hi is at least cell << (63 - guideBits); bounds are below 2^16
	tail   int                    // -log2 of the probability beyond bound, rounded down

	law  law
	once bool // 0 has full weight among the magnitudes; otherwise half, for its two signs
}

// newTable builds the table of the magnitudes 0..bound of l.
func newTable(l law, bound int, once bool) (*table, error) {
	t := &table{hi: make([]uint64, bound+1), lo: make([]uint64, bound+1), law: l, once: once}
	if err := t.settle(stored, func(sums []interval, whole interval, prec uint) bool {
		for k := range bound {
			d, ok := digits(sums[k], whole, prec, stored)
			if !ok {
				return false
			}
			t.hi[k], t.lo[k] = d[0], d[1]
		}
		return true
	}); err != nil {
		return nil, err
	}
	t.hi[bound] = 1 << 63 // F is 1: above any U
	k := 0
	for cell := range t.guide {
		for t.hi[k] < uint64(cell)<<(63-guideBits) {
			k++
		}
		t.guide[cell] = uint16(k)
	}
	return t, nil
}

// settle computes the cumulative sums of the law's weights and one over their
// total, at growing precision, until use accepts them.
func (t *table) settle(digits uint, use func(sums []interval, whole interval, prec uint) bool) error {
	for prec := 64*digits + 128; prec <= maxPrecision; prec *= 2 {
		sums, rest := t.cumulate(prec)
		whole := sums[len(sums)-1].inverse(prec)
		t.tail = int(prec) - rest.mul(whole, prec).hi.BitLen()
		if use(sums, whole, prec) {
			return nil
		}
	}
	return ErrPrecision.At("noise: table of %d entries", len(t.hi))
}

// cumulate gives the sums of the weights of the magnitudes 0..k for each k up to
// the bound, and a number not below the weight of all magnitudes beyond it: that
// of the first, times the geometric series of the ratio there.
func (t *table) cumulate(prec uint) (sums []interval, rest interval) {
	n := len(t.hi)
	ratios := t.law(prec, n+1)
	weight := exactly(1, prec)
	sum := weight
	if !t.once {
		sum = weight.half()
	}
	sums = ratios[:n]
	for k := range sums {
		ratio := ratios[k]
		sums[k] = sum
		weight = weight.mul(ratio, prec)
		sum = sum.add(weight)
	}
	last := ratios[n].hi // below 1: only the upper end of the rest matters
	geometric := ceilQuo(new(big.Int).Lsh(big.NewInt(1), 2*prec), new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), prec), last))
	return sums, weight.mul(interval{geometric, geometric}, prec)
}

// digits gives the first n digits of sum*whole, and whether both ends of the
// interval have the same ones: then they are those of the number inside.
func digits(sum, whole interval, prec, n uint) ([]uint64, bool) {
	product := sum.mul(whole, prec)
	lo := product.lo.Rsh(product.lo, prec-(64*n-1))
	hi := product.hi.Rsh(product.hi, prec-(64*n-1))
	if lo.Cmp(hi) != 0 {
		return nil, false
	}
	raw := lo.FillBytes(make([]byte, 8*n))
	d := make([]uint64, n)
	for i := range d {
		d[i] = binary.BigEndian.Uint64(raw[8*i:])
	}
	return d, true
}

// magnitude draws from the law, given digit 0 of U.
func (t *table) magnitude(u uint64, w *words) int64 {
	k := uint(t.guide[u>>(63-guideBits)])
	for k < uint(len(t.hi)) && t.hi[k] < u {
		k++
	}
	if k < uint(len(t.hi)) && t.hi[k] == u {
		return t.resolve(k, u, w)
	}
	return int64(k)
}

// resolve goes on from the first boundary k whose digit 0 is that of U, with as
// many more digits of U as it takes.
func (t *table) resolve(k uint, u uint64, w *words) int64 {
	drawn := []uint64{u}
	for t.hi[k] == u {
		if t.below(&drawn, k, w) {
			break
		}
		k++ // F_k <= U; the last hi is no digit 0
	}
	clear(drawn)
	return int64(k)
}

// below says whether U < F_k, where drawn are the digits of U drawn so far.
func (t *table) below(drawn *[]uint64, k uint, w *words) bool {
	boundary := []uint64{t.hi[k], t.lo[k]}
	for i := range maxTies {
		if i == len(*drawn) {
			*drawn = append(*drawn, w.next())
		}
		if i == len(boundary) {
			var err error
			if boundary, err = t.boundary(k, uint(i)+1); err != nil {
				w.err = err
				return true
			}
		}
		if u := (*drawn)[i]; u != boundary[i] {
			return u < boundary[i]
		}
	}
	w.stuck()
	return true
}

// boundary computes n digits of F_k anew.
func (t *table) boundary(k, n uint) (d []uint64, err error) {
	fresh := &table{hi: t.hi, law: t.law, once: t.once} // settle writes to its receiver, and t is shared
	err = fresh.settle(n, func(sums []interval, whole interval, prec uint) (ok bool) {
		d, ok = digits(sums[k], whole, prec, n)
		return ok
	})
	return d, err
}

// signed gives magnitude the sign of the low bit: set is negative.
func signed(magnitude int64, bit uint64) int64 {
	s := -int64(bit & 1)
	return (magnitude ^ s) - s
}
