package robust

import (
	"math"
	"slices"
)

// covarianceFilter is CAF (Allouah et al., CafCor, 2024): while more than n-2f of the
// weight is left, look along the direction in which the weighed vectors differ most, and
// take weight from each vector in proportion to its squared projection. The mean that saw
// the least eigenvalue is the result. It returns that mean's weights, the eigenvalue and
// the number of iterations.
//
// The largest projection, by which the others are divided, is that of all vectors, those
// without weight as well. One that has lost its weight and lies far off then holds the
// others' share near nothing, for thousands of steps on ordinary vectors and for ever
// where it is huge. Where a step would take less than a hundredth of the weight, the
// largest projection among those with weight counts instead. Weight is still taken in
// proportion to squared projections, but the result may then differ from that of the
// definition.
//
// With f of 0 there is no step, and the mean of all is the result.
func covarianceFilter(g gram, f int) (best []float64, least float64, iterations int, err error) {
	left := ones(g.n)
	best, least = scaled(ones(g.n)), math.Inf(1)
	for total(left) > float64(g.n-2*f)+1e-9 {
		w := scaled(slices.Clone(left))
		d, err := principal(g, w)
		if err != nil {
			return nil, 0, 0, err
		}
		iterations++
		if d.value < least {
			best, least = w, d.value
		}
		if d.value == 0 {
			break
		}
		next := lessened(left, d.along, slices.Max(d.along))
		if total(next) > 0.99*total(left) {
			most := 0.
			for i, x := range d.along {
				if left[i] > 0 {
					most = max(most, x)
				}
			}
			next = lessened(left, d.along, most)
		}
		left = next
	}
	return best, least, iterations, nil
}

// lessened takes from each weight its share along/most of itself, at most all of it.
func lessened(weights, along []float64, most float64) []float64 {
	out := make([]float64, len(weights))
	for i, w := range weights {
		if w > 0 && most > 0 {
			out[i] = w * (1 - min(1, along[i]/most))
		}
	}
	return out
}

// inlying returns the members that are left once the drop vectors that lie farthest along
// the direction in which all differ most are gone (DnC; Shejwalkar and Houmansadr, NDSS
// 2021, algorithm 2). Of equals the higher index goes first.
func inlying(g gram, drop int) ([]int, error) {
	d, err := principal(g, scaled(ones(g.n)))
	if err != nil {
		return nil, err
	}
	kept := nearest(d.along)[:g.n-drop]
	slices.Sort(kept)
	return kept, nil
}

// ones is n weights of 1.
func ones(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 1
	}
	return out
}
