package oneshot

import (
	"iter"
	"math/bits"
)

// set is a set of roster indices as it travels: bit i%8 of byte i/8, spare bits
// zero. Its length is that of the roster, so each set has one encoding.
type set []byte

func newSet(n int) set { return make(set, (n+7)/8) }

// decodeSet returns the set over a roster of n members that b encodes, or nil.
func decodeSet(b []byte, n int) set {
	if len(b) != (n+7)/8 || n%8 != 0 && b[len(b)-1]>>(n%8) != 0 {
		return nil
	}
	return set(b)
}

func (s set) has(i int) bool { return s[i/8]>>(i%8)&1 == 1 }
func (s set) add(i int)      { s[i/8] |= 1 << (i % 8) }

func (s set) count() int {
	n := 0
	for _, b := range s {
		n += bits.OnesCount8(b)
	}
	return n
}

// all yields the members in ascending order.
func (s set) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, b := range s {
			for ; b != 0; b &= b - 1 {
				if !yield(8*i + bits.TrailingZeros8(b)) {
					return
				}
			}
		}
	}
}
