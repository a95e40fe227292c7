package graph

import "math"

// wide is a non-negative number mantissa * 2^exponent whose exponent does not
// underflow: probabilities such as 2^-40000 occur in the sums of this package.
// The mantissa is in [0.5, 1), or 0 for the number 0.
//
// Only multiplication, division, addition and exact scaling of float64 are used,
// each rounded on its own, so that every platform gets the same digits and with
// them the same degree and threshold. (math.Lgamma, Log and Exp differ between
// platforms in the last bits.)
type wide struct {
	mantissa float64
	exponent int64
}

// one is the number 1.
var one = wide{0.5, 1}

// newWide returns x, which must be finite and not negative.
func newWide(x float64) wide {
	mantissa, exponent := math.Frexp(x)
	return wide{mantissa, int64(exponent)}
}

// powerOfTwo returns 2^exponent.
func powerOfTwo(exponent int) wide {
	return wide{0.5, int64(exponent) + 1}
}

// mul returns a * b.
func (a wide) mul(b wide) wide {
	mantissa := float64(a.mantissa * b.mantissa)
	switch {
	case mantissa == 0:
		return wide{}
	case mantissa < 0.5:
		return wide{mantissa * 2, a.exponent + b.exponent - 1}
	}
	return wide{mantissa, a.exponent + b.exponent}
}

// scale returns a * numerator / denominator; the denominator is positive.
func (a wide) scale(numerator, denominator float64) wide {
	if numerator <= 0 {
		return wide{}
	}
	return a.mul(newWide(float64(numerator / denominator)))
}

// add returns a + b.
func (a wide) add(b wide) wide {
	if a.less(b) {
		a, b = b, a
	}
	if b.mantissa == 0 || b.exponent < a.exponent-64 {
		return a
	}
	mantissa := a.mantissa + math.Ldexp(b.mantissa, int(b.exponent-a.exponent))
	if mantissa >= 1 {
		return wide{mantissa / 2, a.exponent + 1}
	}
	return wide{mantissa, a.exponent}
}

// pow returns a^n for n >= 0.
func (a wide) pow(n int) wide {
	result := one
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			result = result.mul(a)
		}
		a = a.mul(a)
	}
	return result
}

// less reports a < b.
func (a wide) less(b wide) bool {
	switch {
	case a.mantissa == 0 || b.mantissa == 0:
		return a.mantissa < b.mantissa
	case a.exponent != b.exponent:
		return a.exponent < b.exponent
	}
	return a.mantissa < b.mantissa
}

// float64 returns the nearest float64, 0 on underflow.
func (a wide) float64() float64 {
	return math.Ldexp(a.mantissa, int(max(a.exponent, -2000)))
}
