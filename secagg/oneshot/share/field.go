package share

// Prime is p, the order of the field: the Mersenne prime 2^31 - 1. Elements are
// uint32 below p.
const Prime = 1<<31 - 1

// reduce returns x mod p for any x, without a branch: 2^31 = 1 mod p, so bits
// from 31 on are added at the bottom, twice, which leaves less than 2p.
func reduce(x uint64) uint32 {
	x = fold(fold(x))
	x -= Prime
	return uint32(x + Prime&-(x>>63)) // below p the subtraction wrapped
}

// fold returns a number that is x mod p; it is below 2^31 + x/2^31.
func fold(x uint64) uint64 { return x&Prime + x>>31 }

// lift returns s mod p as a number below 3*2^31, without a branch.
func lift(s int32) uint64 { return uint64(int64(s) + 2*Prime) }

func mul(a, b uint32) uint32 { return reduce(uint64(a) * uint64(b)) }

func add(a, b uint32) uint32 { return reduce(uint64(a) + uint64(b)) }

func sub(a, b uint32) uint32 { return reduce(uint64(a) + Prime - uint64(b)) }

// invert returns a^(p-2): the inverse of a, or 0 for 0 (Fermat). a is public.
func invert(a uint32) uint32 {
	result := uint32(1)
	for exponent := Prime - 2; exponent > 0; exponent >>= 1 {
		if exponent&1 == 1 {
			result = mul(result, a)
		}
		a = mul(a, a)
	}
	return result
}

// canonical tells whether all elements are below p, in time that depends on
// their number only.
func canonical(v []uint32) bool {
	excess := uint32(0)
	for _, x := range v {
		excess |= (x + 1) & (1 << 31) // x+1 has this bit from x = p on...
		excess |= x & (1 << 31)       // ...but for x = 2^32 - 1, where it wraps
	}
	return excess == 0
}

// Accumulate adds shares to sum, element by element, mod p. Both must have
// elements below p, as [Split] and [Decode] give them. Pass only the first N
// elements of a client's vector: a sum of blinds must not exist. It panics if
// the lengths differ: both are vectors of one plan, and whoever takes shares
// from outside has checked their number in [Decode].
func Accumulate(sum, shares []uint32) {
	if len(sum) != len(shares) {
		panic("share: Accumulate of vectors of different lengths") //nolint:forbidigo // both are vectors of one plan: a programmer's error
	}
	for k, x := range shares {
		total := uint64(sum[k]) + uint64(x) - Prime
		sum[k] = uint32(total + Prime&-(total>>63))
	}
}
