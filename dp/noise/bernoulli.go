package noise

import (
	"math/big"
	"math/bits"
)

// bernoulli is true with probability num/den exactly, for num <= den and den > 0.
//
// The coins are the digits, base 2^64, of a uniform U in [0, 1), and the answer
// is U < num/den. One word u decides unless num/den falls inside
// (u/2^64, (u+1)/2^64), which has a probability of at most 2^-64; then the same
// question is asked of the next digit and of the remainder.
func (w *words) bernoulli(num, den uint64) bool {
	for range maxTies {
		hi, lo := bits.Mul64(w.next(), den)
		if hi >= num {
			return false // u*den >= num*2^64
		}
		lo, borrow := bits.Sub64(0, lo, 0)
		if hi = num - hi - borrow; hi > 0 || lo >= den {
			return true // num*2^64 - u*den >= den
		}
		num = lo
	}
	w.stuck()
	return false
}

// bernoulliBig is bernoulli for numbers of any size.
func (w *words) bernoulliBig(num, den *big.Int) bool {
	var quotient, digit big.Int
	rest := new(big.Int).Set(num)
	for range maxTies {
		quotient.QuoRem(rest.Lsh(rest, 64), den, rest)
		switch digit.SetUint64(w.next()).Cmp(&quotient) {
		case -1:
			return true
		case 1:
			return false
		}
	}
	w.stuck()
	return false
}

// series is true with probability exp(-x) for a coin that is true with
// probability x, 0 <= x <= 1: Canonne, Kamath and Steinke (2020), algorithm 1.
// With A_k a coin of x/k, the first k whose A_k is false is odd with
// probability exp(-x). A_k is drawn as a coin of x and a coin of 1/k. It begins
// with A_first, those before having been true.
func (w *words) series(first uint64, coin func() bool) bool {
	for k := first; k < maxSeries; k++ {
		if !coin() || k > 1 && !w.bernoulli(1, k) {
			return k%2 == 1
		}
	}
	w.stuck()
	return false
}

// bernoulliExp is true with probability exp(-num/den) exactly, for num <= den and den > 0.
func (w *words) bernoulliExp(num, den uint64) bool {
	if !w.bernoulli(num, den) {
		return true // A_1: most often, where x is small
	}
	return w.series(2, func() bool { return w.bernoulli(num, den) })
}

// bernoulliExpBig is true with probability exp(-num/den) exactly, for num >= 0 and den > 0:
// one coin of exp(-1) for each whole unit, and one for the rest.
func (w *words) bernoulliExpBig(num, den *big.Int) bool {
	rest := new(big.Int)
	whole, _ := new(big.Int).QuoRem(num, den, rest)
	for one := big.NewInt(1); whole.Sign() > 0; whole.Sub(whole, one) {
		if !w.bernoulliExp(1, 1) {
			return false
		}
	}
	return w.series(1, func() bool { return w.bernoulliBig(rest, den) })
}

// uniform is uniform in [0, n) exactly, for n > 0: the high half of word*n, with
// the 2^64 mod n words redrawn that would make some values likelier (Lemire 2019).
func (w *words) uniform(n uint64) uint64 {
	for range maxRejected {
		hi, lo := bits.Mul64(w.next(), n)
		if lo >= n || lo >= -n%n {
			return hi
		}
	}
	w.stuck()
	return 0
}
