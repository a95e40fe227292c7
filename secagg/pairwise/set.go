package pairwise

import (
	"iter"
	"math/bits"
)

// set is a set of roster indices as it travels: bit i%8 of byte i/8, spare bits
// zero. Its length is that of the roster, so each set has one encoding.
type set []byte

func newSet(n int) set { return make(set, (n+7)/8) }

// decodeSet accepts the canonical form of a set over a roster of n members.
func decodeSet(b []byte, n int) (set, bool) {
	if len(b) != (n+7)/8 {
		return nil, false
	}
	if n%8 != 0 && b[len(b)-1]>>(n%8) != 0 {
		return nil, false
	}
	return set(b), true
}

func (s set) has(i int) bool { return s[i/8]>>(i%8)&1 == 1 }
func (s set) add(i int)      { s[i/8] |= 1 << (i % 8) }
func (s set) remove(i int)   { s[i/8] &^= 1 << (i % 8) }

func (s set) count() int {
	n := 0
	for _, b := range s {
		n += bits.OnesCount8(b)
	}
	return n
}

// countBoth returns how many members s and o share.
func (s set) countBoth(o set) int {
	n := 0
	for i, b := range s {
		n += bits.OnesCount8(b & o[i])
	}
	return n
}

// within reports whether every member of s is in o.
func (s set) within(o set) bool {
	for i, b := range s {
		if b&^o[i] != 0 {
			return false
		}
	}
	return true
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

// members lists the set in ascending order.
func (s set) members() []int {
	out := make([]int, 0, s.count())
	for i := range s.all() {
		out = append(out, i)
	}
	return out
}

// before returns how many members of s are below i: the place of i in s.
func (s set) before(i int) int {
	return s[:i/8].count() + bits.OnesCount8(s[i/8]&(1<<(i%8)-1))
}
