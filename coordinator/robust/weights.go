package robust

import (
	"cmp"
	"math"
	"slices"
)

// norm is the length that belongs to a square, which rounding may have left below zero.
func norm(square float64) float64 { return math.Sqrt(max(0, square)) }

// cosine is the cosine of two vectors with this inner product and these norms, 0 where
// one is zero.
func cosine(dot, a, b float64) float64 {
	if a == 0 || b == 0 {
		return 0
	}
	return min(1, max(-1, dot/a/b))
}

// nearest returns the indices in ascending order of key; equals in ascending order of
// index.
func nearest(key []float64) []int {
	order := make([]int, len(key))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(key[a], key[b]), cmp.Compare(a, b))
	})
	return order
}

// meanOf weighs the members alike and no others.
func meanOf(n int, members []int) []float64 {
	weights := make([]float64, n)
	for _, i := range members {
		weights[i] = 1 / float64(len(members))
	}
	return weights
}

// total is the sum of x in the order given.
func total(x []float64) float64 {
	sum := 0.
	for _, y := range x {
		sum += y
	}
	return sum
}

// scaled divides x by its sum, in place.
func scaled(x []float64) []float64 {
	sum := total(x)
	for i := range x {
		x[i] /= sum
	}
	return x
}

// median is the middle one; of an even number, the mean of the middle two.
func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return s[n/2-1]/2 + s[n/2]/2
}

// excluded lists what has no weight.
func excluded(weights []float64) []int {
	var out []int
	for i, w := range weights {
		if w == 0 {
			out = append(out, i)
		}
	}
	return out
}
