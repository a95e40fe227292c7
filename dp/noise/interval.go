package noise

import "math/big"

// An interval holds a real number between two fixed-point numbers with prec
// fractional bits: lo*2^-prec <= x <= hi*2^-prec. All numbers here are
// non-negative, so each operation rounds lo down and hi up and the result holds
// the true result: rounding is outward.
type interval struct{ lo, hi *big.Int }

// exactly is the number n.
func exactly(n int64, prec uint) interval {
	x := big.NewInt(n)
	x.Lsh(x, prec)
	return interval{x, x}
}

// fraction is num/den.
func fraction(num, den *big.Int, prec uint) interval {
	n := new(big.Int).Lsh(num, prec)
	return interval{new(big.Int).Quo(n, den), ceilQuo(n, den)}
}

func (x interval) add(y interval) interval {
	return interval{new(big.Int).Add(x.lo, y.lo), new(big.Int).Add(x.hi, y.hi)}
}

func (x interval) mul(y interval, prec uint) interval {
	lo := new(big.Int).Mul(x.lo, y.lo)
	hi := new(big.Int).Mul(x.hi, y.hi)
	return interval{lo.Rsh(lo, prec), ceilRsh(hi, prec)}
}

// inverse is 1/x, for lo > 0.
func (x interval) inverse(prec uint) interval {
	n := new(big.Int).Lsh(big.NewInt(1), 2*prec)
	return interval{new(big.Int).Quo(n, x.hi), ceilQuo(n, x.lo)}
}

// half is x/2.
func (x interval) half() interval {
	return interval{new(big.Int).Rsh(x.lo, 1), ceilRsh(new(big.Int).Set(x.hi), 1)}
}

// expMinus is exp(-num/den): the inverse of the series of exp(num/den), whose
// terms are all positive. From the i-th term on, with i >= 2*num/den, each is at
// most half the one before, so the remainder is at most the last term taken.
func expMinus(num, den *big.Int, prec uint) interval {
	sum, term := exactly(1, prec), exactly(1, prec)
	one := big.NewInt(1)
	twice := new(big.Int).Lsh(num, 1)
	for i := int64(1); ; i++ {
		divisor := new(big.Int).Mul(den, big.NewInt(i))
		lo := new(big.Int).Mul(term.lo, num)
		hi := new(big.Int).Mul(term.hi, num)
		term = interval{lo.Quo(lo, divisor), ceilQuo(hi, divisor)}
		sum = sum.add(term)
		if divisor.Cmp(twice) >= 0 && term.hi.Cmp(one) <= 0 {
			sum.hi.Add(sum.hi, term.hi)
			return sum.inverse(prec)
		}
	}
}

// ceilQuo is the least integer not below n/d.
func ceilQuo(n, d *big.Int) *big.Int {
	rest := new(big.Int)
	q, _ := new(big.Int).QuoRem(n, d, rest)
	if rest.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q
}

// ceilRsh is the least integer not below x/2^n. It reuses x.
func ceilRsh(x *big.Int, n uint) *big.Int {
	exact := x.Sign() == 0 || x.TrailingZeroBits() >= n
	if x.Rsh(x, n); !exact {
		x.Add(x, big.NewInt(1))
	}
	return x
}
