package robust

import "slices"

// weiszfeld is the smoothed geometric median: the point that minimises the sum of its
// distances to the vectors, found by w_i = 1 / max(nu, |x_i - v|), v = sum w_i x_i / sum
// w_i, over and over (Pillutla et al., Robust Aggregation for Federated Learning, 2019,
// algorithm 2).
//
// The sum is convex, so that every start leads to the same point, and no step raises it.
// The start is the mean weighed by one over each vector's median distance to the others,
// which no minority can move far and which costs no pass over the columns as a
// coordinate-wise median would. Where it runs out of iterations the result is that of the
// last, whose sum of distances is below that of the start.
type weiszfeld struct {
	nu         float64 // a multiple of the data's scale: the least of those median distances
	iterations int     // at most
	tolerance  float64 // ends once a step is shorter than this times the scale
	byzfl      bool    // from the zero vector, and nu is a length
}

func (r weiszfeld) weights(g gram) []float64 {
	typical := make([]float64, g.n)
	distances := make([]float64, 0, g.n)
	scale := 0.
	for i := range typical {
		distances = distances[:0]
		for j := range g.n {
			if j != i {
				distances = append(distances, g.distance(i, j))
			}
		}
		slices.Sort(distances)
		if len(distances) > 0 {
			typical[i] = norm(distances[(len(distances)-1)/2])
		}
		if typical[i] > 0 && (scale == 0 || typical[i] < scale) {
			scale = typical[i]
		}
	}
	nu, steps := r.nu*scale, r.iterations
	var w []float64
	switch {
	case r.byzfl:
		nu = r.nu
		w = inverse(g.norms(), nu) // the first step, from zero
		steps--
	case scale == 0: // all vectors are one
		return meanOf(g.n, nearest(typical))
	default:
		w = inverse(typical, scale)
	}
	for range steps {
		lengths := g.from(w)
		for i, x := range lengths {
			lengths[i] = norm(x)
		}
		next := inverse(lengths, nu)
		for i := range w {
			w[i] -= next[i]
		}
		moved := norm(double.dot(w, g.times(w)))
		w = next
		if moved < r.tolerance*scale {
			break
		}
	}
	return w
}

// inverse weighs by one over the lengths, none of them counted below least; weights add
// up to 1.
func inverse(lengths []float64, least float64) []float64 {
	w := make([]float64, len(lengths))
	for i, x := range lengths {
		w[i] = 1 / max(least, x)
	}
	return scaled(w)
}
