package mf

import "math"

const (
	// bandFraction is the number of fraction bits of a coefficient of BandMF. The lattice of
	// its noise is at least as fine, which is what makes its sensitivity exact.
	bandFraction = 10
	// bandWork bounds the multiplications of an optimisation, and so its time; bandTurns its
	// turns.
	bandWork  = 1 << 29
	bandTurns = 100
)

// optimalBand minimises sensitivity times error over Toeplitz matrices of so many bands,
// from the optimum without bands cut to them. With bands no wider than the separation the
// squared sensitivity is participations times ||c||^2 but for columns that the last step
// cuts; the loss leaves these out.
func optimalBand(bands int, p Participation, by Criterion) []float64 {
	c := optimalToeplitz(bands)
	if bands == 1 {
		return c
	}
	weights := by.weights(p.Steps)
	adjoint, reversed := make([]float64, p.Steps), make([]float64, bands)
	turns := min(bandTurns, bandWork/(3*p.Steps*bands))
	minimise(c[1:], turns, func(x, gradient []float64) float64 {
		all := make([]float64, bands)
		all[0] = 1
		copy(all[1:], x)
		v := prefixOf(all, p.Steps)
		norm, loss := dot(all, all), 0.0
		for t, w := range weights {
			loss += float64(w * v[t] * v[t])
			adjoint[t] = float64(2 * w * v[t])
		}
		if !(loss < math.MaxFloat64) {
			return math.Inf(1)
		}
		backward(adjoint, all, reversed)
		// d loss/d c_j is -sum_t adjoint_t v_(t-j); gathered from the last coefficient to the
		// first.
		clear(reversed)
		for t, l := range adjoint {
			first := max(0, t-bands+1)
			addTimes(reversed[bands-1-(t-first):], -l, v[first:t+1])
		}
		for j := range gradient {
			gradient[j] = float64(2*x[j]/norm) + reversed[bands-2-j]/loss
		}
		return math.Log(norm) + math.Log(loss)
	})
	return c
}

// backward solves in place for y with y_t + sum_j c_j y_(t+j) = given_t; scratch has the
// length of c.
func backward(y, c, scratch []float64) {
	n := len(c)
	for j, x := range c {
		scratch[n-1-j] = x
	}
	for t := len(y) - 1; t > 0; t-- {
		first := max(0, t-n+1)
		addTimes(y[first:t], -y[t], scratch[n-1-(t-first):n-1])
	}
}

// fixedBand rounds coefficients to multiples of 2^-bandFraction.
func fixedBand(c []float64) (fixed []int64, rounded []float64) {
	fixed, rounded = make([]int64, len(c)), make([]float64, len(c))
	for j, x := range c {
		fixed[j] = int64(math.RoundToEven(x * (1 << bandFraction)))
		rounded[j] = float64(fixed[j]) / (1 << bandFraction)
	}
	return fixed, rounded
}
