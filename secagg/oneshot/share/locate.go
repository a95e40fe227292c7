package share

// polynomial has the coefficients of 1, x, x^2, ...; the last is not 0. The zero
// polynomial is empty.
type polynomial []uint32

func (f polynomial) degree() int { return len(f) - 1 }

func (f polynomial) trim() polynomial {
	for len(f) > 0 && f[len(f)-1] == 0 {
		f = f[:len(f)-1]
	}
	return f
}

func (f polynomial) at(x uint32) uint32 {
	value := uint32(0)
	for d := f.degree(); d >= 0; d-- {
		value = add(mul(value, x), f[d])
	}
	return value
}

// plus returns f + factor * x^shift * g.
func (f polynomial) plus(factor uint32, shift int, g polynomial) polynomial {
	sum := make(polynomial, max(len(f), shift+len(g)))
	copy(sum, f)
	for d, c := range g {
		sum[shift+d] = add(sum[shift+d], mul(factor, c))
	}
	return sum.trim()
}

// minusProduct returns f - g*h.
func (f polynomial) minusProduct(g, h polynomial) polynomial {
	for d, c := range g {
		f = f.plus(sub(0, c), d, h)
	}
	return f
}

// divide returns quotient and rest of f by g, which is not 0.
func (f polynomial) divide(g polynomial) (quotient, rest polynomial) {
	inverse := invert(g[g.degree()])
	for f.degree() >= g.degree() {
		shift, factor := f.degree()-g.degree(), mul(f[f.degree()], inverse)
		quotient = quotient.plus(factor, shift, polynomial{1})
		f = f.plus(sub(0, factor), shift, g)
	}
	return quotient, f
}

// interpolate returns the product of (x - points[i]), and the polynomial of
// degree below len(points) that has the given values there (Newton).
func interpolate(points []int, values []uint32) (product, through polynomial) {
	product = polynomial{1}
	for i, point := range points {
		x := uint32(point)
		gap := mul(sub(values[i], through.at(x)), invert(product.at(x)))
		through = through.plus(gap, 0, product)
		product = polynomial{}.plus(1, 1, product).plus(sub(0, x), 0, product)
	}
	return product, through
}

// locate returns the indices at which word differs from a polynomial of the
// given degree at points, ok if there is one that differs in at least 1 and at
// most limit of them. With limit at most (len(points)-degree-1)/2 it is unique.
//
// It is the decoder of Gao (A new algorithm for decoding Reed-Solomon codes, in
// Communications, Information and Network Security, 2003, algorithm 1): the
// extended Euclidean algorithm on the two polynomials of interpolate, stopped at
// the first rest below half of points plus dimension, gives the product of the
// polynomial and the locator of the errors, and the locator.
func locate(points []int, word []uint32, degree, limit int) (wrong []int, ok bool) {
	before, rest := interpolate(points, word)
	var locatorBefore polynomial
	locator := polynomial{1}
	for 2*rest.degree() >= len(points)+degree+1 {
		quotient, next := before.divide(rest)
		before, rest = rest, next
		locatorBefore, locator = locator, locatorBefore.minusProduct(quotient, locator)
	}
	f, remainder := rest.divide(locator)
	if len(remainder) > 0 || f.degree() > degree {
		return nil, false
	}
	for i, x := range points {
		if f.at(uint32(x)) != word[i] {
			wrong = append(wrong, i)
		}
	}
	return wrong, len(wrong) >= 1 && len(wrong) <= limit
}
