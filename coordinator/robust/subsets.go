package robust

import "math"

// Most steps over subsets, of size^2 each for a diameter and size^3 for an eigenvalue:
// what 25 vectors make with 12 Byzantine or with 5, which takes seconds.
const (
	mostDiameters = 5_200_300 * 13 * 13
	mostSpectra   = 53_130 * 20 * 20 * 20
)

// choices is n over f, or something above every limit.
func choices(n, f int) float64 {
	c := 1.
	for i := range min(f, n-f) {
		c = c * float64(n-i) / float64(i+1)
	}
	return math.Round(c)
}

// leastDiameter returns the subset of the given size whose two farthest members are
// nearest each other; of equals the first in lexicographic order (MDA; El Mhamdi et al.,
// PODC 2020).
func leastDiameter(g gram, size int) []int {
	best, least := make([]int, 0, size), math.Inf(1)
	subset := make([]int, 0, size)
	var grow func(from int, diameter float64)
	grow = func(from int, diameter float64) {
		if len(subset) == size {
			best, least = append(best[:0], subset...), diameter
			return
		}
		for i := from; i <= g.n-(size-len(subset)); i++ {
			wider := diameter
			for _, j := range subset {
				wider = max(wider, g.distance(i, j))
			}
			if wider < least {
				subset = append(subset, i)
				grow(i+1, wider)
				subset = subset[:len(subset)-1]
			}
		}
	}
	grow(0, 0)
	return best
}

// leastSpread returns the subset of the given size whose covariance has the least largest
// eigenvalue, and that (SMEA; Allouah et al., ICML 2023). Of values that differ by less
// than rounding the first subset in lexicographic order counts.
func leastSpread(g gram, size int) ([]int, float64, error) {
	subset := make([]int, size)
	for i := range subset {
		subset[i] = i
	}
	best, least := make([]int, 0, size), math.Inf(1)
	weights := make([]float64, size)
	for i := range weights {
		weights[i] = 1 / float64(size)
	}
	for {
		part := newGram(size)
		for a, i := range subset {
			for b, j := range subset {
				part.at[a*size+b] = g.dot(i, j)
			}
		}
		s, err := principal(part, weights)
		if err != nil {
			return nil, 0, err
		}
		if s.value < float64(least*(1-1e-12)) {
			best, least = append(best[:0], subset...), s.value
		}
		at := size - 1
		for at >= 0 && subset[at] == g.n-size+at {
			at--
		}
		if at < 0 {
			return best, least, nil
		}
		subset[at]++
		for i := at + 1; i < size; i++ {
			subset[i] = subset[i-1] + 1
		}
	}
}
