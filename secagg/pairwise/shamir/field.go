package shamir

import (
	"encoding/binary"
	"math/bits"
)

// element is an integer below p = 2^256 - 189, least significant limb first.
// Every operation returns a reduced value and runs in constant time.
type element [4]uint64

// excess is 2^256 - p: a carry out of the top limb is worth excess at the bottom.
const excess = 189

// modulus is p.
var modulus = element{^uint64(0) - excess + 1, ^uint64(0), ^uint64(0), ^uint64(0)}

// decode reads 32 big-endian bytes; canonical is 1 if the value is below p and
// 0 if not, in which case the element must not be used.
func decode(b *[32]byte) (e element, canonical uint64) {
	for i := range e {
		e[i] = binary.BigEndian.Uint64(b[24-8*i:])
	}
	_, borrow := e.minusModulus()
	return e, borrow
}

// encode writes e as 32 big-endian bytes.
func (e *element) encode(b *[32]byte) {
	for i, limb := range e {
		binary.BigEndian.PutUint64(b[24-8*i:], limb)
	}
}

// minusModulus returns e - p mod 2^256 and the borrow, which is 1 if e < p.
func (e *element) minusModulus() (d element, borrow uint64) {
	for i := range e {
		d[i], borrow = bits.Sub64(e[i], modulus[i], borrow)
	}
	return d, borrow
}

// reduce subtracts p once if carry*2^256 + e is p or more. The value must be
// below 2p.
func (e *element) reduce(carry uint64) {
	d, borrow := e.minusModulus()
	// Keep e only if the subtraction borrowed and there was no carry to pay for it.
	keep := -(borrow &^ carry)
	for i := range e {
		e[i] = e[i]&keep | d[i]&^keep
	}
}

// add returns a + b mod p.
func add(a, b *element) (sum element) {
	var carry uint64
	for i := range sum {
		sum[i], carry = bits.Add64(a[i], b[i], carry)
	}
	sum.reduce(carry)
	return sum
}

// negate returns -a mod p.
func negate(a *element) (n element) {
	var borrow uint64
	for i := range n {
		n[i], borrow = bits.Sub64(modulus[i], a[i], borrow)
	}
	n.reduce(0) // a = 0 gives p
	return n
}

// mulWord returns a * w mod p. It is the inner loop of Split and NewBasis, hence
// written out.
func mulWord(a *element, w uint64) (product element) {
	hi0, lo0 := bits.Mul64(a[0], w)
	hi1, lo1 := bits.Mul64(a[1], w)
	hi2, lo2 := bits.Mul64(a[2], w)
	hi3, lo3 := bits.Mul64(a[3], w)
	var carry uint64
	product[0] = lo0
	product[1], carry = bits.Add64(lo1, hi0, 0)
	product[2], carry = bits.Add64(lo2, hi1, carry)
	product[3], carry = bits.Add64(lo3, hi2, carry)
	product.fold(hi3 + carry) // no overflow: a*w < 2^320
	return product
}

// mul returns a * b mod p.
func mul(a, b *element) element {
	var wide [8]uint64
	for i := range a {
		var high uint64
		for j := range b {
			hi, lo := bits.Mul64(a[i], b[j])
			var carry uint64
			lo, carry = bits.Add64(lo, high, 0)
			hi += carry
			wide[i+j], carry = bits.Add64(wide[i+j], lo, 0)
			high = hi + carry // a[i]*b[j] + two words < 2^128
		}
		wide[i+4] = high
	}
	// 2^256 = excess mod p: the high half comes down times excess.
	product := element(wide[:4])
	var high uint64
	for i := range product {
		hi, lo := bits.Mul64(wide[i+4], excess)
		var carry uint64
		lo, carry = bits.Add64(lo, high, 0)
		hi += carry
		product[i], carry = bits.Add64(product[i], lo, 0)
		high = hi + carry
	}
	product.fold(high)
	return product
}

// fold adds high*2^256 to e, modulo p.
func (e *element) fold(high uint64) {
	hi, lo := bits.Mul64(high, excess)
	var carry uint64
	e[0], carry = bits.Add64(e[0], lo, 0)
	e[1], carry = bits.Add64(e[1], hi, carry)
	e[2], carry = bits.Add64(e[2], 0, carry)
	e[3], carry = bits.Add64(e[3], 0, carry)
	e.reduce(carry)
}

// invert returns a^(p-2) mod p: the inverse of a, or 0 for 0 (Fermat).
func invert(a *element) element {
	exponent := modulus
	exponent[0] -= 2
	result := element{1}
	for i := 255; i >= 0; i-- {
		result = mul(&result, &result)
		if exponent[i/64]>>(i%64)&1 == 1 { // the exponent is public
			result = mul(&result, a)
		}
	}
	return result
}
