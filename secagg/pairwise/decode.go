package pairwise

import (
	"math/big"

	"github.com/choir-fl/choir/secagg/pairwise/shamir"
)

// Shares with errors in them are a Reed-Solomon word. The decoder is Gao's (A new
// algorithm for decoding Reed-Solomon codes, 2003): r shares of a polynomial of
// degree below t determine it if at most (r-t)/2 of them are wrong. It runs only
// after a rebuilt secret missed its commitment, on values that the coordinator is
// about to learn anyway, so it may use math/big.

// prime is p = 2^256 - 189, the field of package shamir.
var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(189))

// polynomial holds coefficients from the constant term up, the last not zero.
type polynomial []*big.Int

// correct returns the constant term of the polynomial of degree below t that all
// but at most (len(shares)-t)/2 of the shares lie on, and the points of those that
// do not. ok is false if there is none. The shares' points must be distinct.
func correct(shares []shamir.Share, t int) (secret shamir.Scalar, wrong []shamir.Point, ok bool) {
	if len(shares) < t {
		return secret, nil, false
	}
	all, through := interpolate(shares)
	// Extended Euclid on (all, through), keeping the cofactor of through, down to
	// the first remainder of degree below (r+t)/2.
	r0, r1 := all, through
	v0, v1 := polynomial{}, polynomial{big.NewInt(1)}
	for 2*(len(r1)-1) >= len(shares)+t {
		q, rest := r0.divide(r1)
		r0, r1 = r1, rest
		v0, v1 = v1, v0.minus(q.times(v1))
	}
	f, rest := r1.divide(v1)
	if len(rest) != 0 || len(f) > t {
		return secret, nil, false
	}
	for _, s := range shares {
		if f.at(s.Point).Cmp(new(big.Int).SetBytes(s.Value[:])) != 0 {
			wrong = append(wrong, s.Point)
		}
	}
	f.at(0).FillBytes(secret[:])
	return secret, wrong, 2*len(wrong) <= len(shares)-t
}

// interpolate returns the product of (x - point) over the shares, and the
// polynomial of least degree through all of them.
func interpolate(shares []shamir.Share) (all, through polynomial) {
	all = polynomial{big.NewInt(1)}
	for _, s := range shares {
		all = all.times(linear(s.Point))
	}
	for _, s := range shares {
		others, _ := all.divide(linear(s.Point))
		weight := new(big.Int).ModInverse(others.at(s.Point), prime)
		weight.Mul(weight, new(big.Int).SetBytes(s.Value[:])).Mod(weight, prime)
		through = through.minus(others.times(polynomial{weight.Sub(prime, weight)}))
	}
	return all, through
}

// linear returns x - point.
func linear(x shamir.Point) polynomial {
	return polynomial{new(big.Int).Sub(prime, big.NewInt(int64(x))), big.NewInt(1)}
}

// at evaluates f.
func (f polynomial) at(x shamir.Point) *big.Int {
	sum, point := new(big.Int), big.NewInt(int64(x))
	for i := len(f) - 1; i >= 0; i-- {
		sum.Mul(sum, point).Add(sum, f[i]).Mod(sum, prime)
	}
	return sum
}

func (f polynomial) trim() polynomial {
	for len(f) > 0 && f[len(f)-1].Sign() == 0 {
		f = f[:len(f)-1]
	}
	return f
}

func (f polynomial) minus(g polynomial) polynomial {
	out := make(polynomial, max(len(f), len(g)))
	for i := range out {
		out[i] = new(big.Int)
		if i < len(f) {
			out[i].Set(f[i])
		}
		if i < len(g) {
			out[i].Sub(out[i], g[i]).Mod(out[i], prime)
		}
	}
	return out.trim()
}

func (f polynomial) times(g polynomial) polynomial {
	if len(f) == 0 || len(g) == 0 {
		return nil
	}
	out := make(polynomial, len(f)+len(g)-1)
	for i := range out {
		out[i] = new(big.Int)
	}
	var term big.Int
	for i := range f {
		for j := range g {
			out[i+j].Add(out[i+j], term.Mul(f[i], g[j]))
		}
	}
	for i := range out {
		out[i].Mod(out[i], prime)
	}
	return out.trim()
}

// divide returns quotient and remainder; g is not zero.
func (f polynomial) divide(g polynomial) (quotient, rest polynomial) {
	rest = f.minus(nil) // a copy
	if len(f) < len(g) {
		return nil, rest
	}
	quotient = make(polynomial, len(f)-len(g)+1)
	lead := new(big.Int).ModInverse(g[len(g)-1], prime)
	var term big.Int
	for i := len(quotient) - 1; i >= 0; i-- {
		q := new(big.Int).Mul(rest[i+len(g)-1], lead)
		quotient[i] = q.Mod(q, prime)
		for j := range g {
			c := rest[i+j]
			c.Sub(c, term.Mul(q, g[j])).Mod(c, prime)
		}
	}
	return quotient.trim(), rest.trim()
}
