package mf

import "math"

// optimalToeplitz are the first n coefficients of the lower-triangular Toeplitz matrix C
// that is optimal for one participation, without a bound on memory: those of (1-x)^(-1/2),
// C(2j,j)/4^j (Fichtenberger, Henzinger and Upadhyay 2023).
func optimalToeplitz(n int) []float64 {
	c := make([]float64, n)
	for j := range c {
		if j == 0 {
			c[0] = 1
			continue
		}
		c[j] = c[j-1] * (2*float64(j) - 1) / (2 * float64(j))
	}
	return c
}

// divide is the power series in/c to n coefficients; c[0] is 1. in is overwritten.
func divide(in, c []float64) []float64 {
	for t := range in {
		rest := in[t+1:]
		rest = rest[:min(len(rest), len(c)-1)]
		addTimes(rest, -in[t], c[1:])
	}
	return in
}

// inverseOf are the first n coefficients of 1/c, the noise that one draw leaves in each
// round from its own on.
func inverseOf(c []float64, n int) []float64 {
	in := make([]float64, n)
	in[0] = 1
	return divide(in, c)
}

// prefixOf are the first n coefficients of 1/((1-x)c): the rows of A/C, what one draw
// leaves in each prefix sum from its own on.
func prefixOf(c []float64, n int) []float64 {
	in := make([]float64, n)
	for t := range in {
		in[t] = 1
	}
	return divide(in, c)
}

// weights are how often the square of coefficient t of prefixOf counts: once in the last
// prefix sum, which has the largest error, and in the share (n-t)/n of all.
func (by Criterion) weights(n int) []float64 {
	w := make([]float64, n)
	for t := range w {
		w[t] = 1
		if by == MeanError {
			w[t] = float64(n-t) / float64(n)
		}
	}
	return w
}

// errorOf is the variance of prefix sums with noise of variance 1: worst or mean.
func errorOf(prefix []float64, by Criterion) float64 {
	sum := 0.0
	for t, w := range by.weights(len(prefix)) {
		sum += float64(w * prefix[t] * prefix[t])
	}
	return sum
}

// toeplitzSensitivity is the square of the most that ||C x|| can be when x holds vectors of
// norm at most 1 in steps that fit the pattern and zeros elsewhere. c are the coefficients
// of C, as many as there are steps or fewer (a band). It is exact, up to rounding,
//
//   - for a band no wider than the separation: columns of one client do not overlap, so
//     their squares add up whatever the signs, and early columns are cut least;
//   - for coefficients that are not negative and do not increase: then no pattern gives
//     more than the first columns a separation apart, all along one direction (Kalinin and
//     Lampert 2024, theorem 2).
//
// For any other c it is the bound of the least sequence of that kind above |c|: entry by
// entry ||C x|| is at most that of absolute values.
func toeplitzSensitivity(c []float64, p Participation) float64 {
	if len(c) > p.Separation {
		c = majorant(c)
	}
	column := make([]float64, p.Steps)
	sum := 0.0
	if len(c) <= p.Separation {
		for i := range p.Participations {
			part := c[:min(len(c), p.Steps-i*p.Separation)]
			sum += dot(part, part)
		}
		return sum
	}
	for i := range p.Participations {
		at := column[i*p.Separation:]
		addTimes(at[:min(len(at), len(c))], 1, c)
	}
	return dot(column, column)
}

// majorant is the least sequence that does not increase and is nowhere below |c|.
func majorant(c []float64) []float64 {
	m := make([]float64, len(c))
	top := 0.0
	for j := len(c) - 1; j >= 0; j-- {
		top = max(top, math.Abs(c[j]))
		m[j] = top
	}
	return m
}
