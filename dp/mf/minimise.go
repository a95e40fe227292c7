package mf

import "math"

const (
	// remembered is the number of pairs that L-BFGS keeps; for eight unknowns, the most that
	// BLT has, it is as good as the full method.
	remembered = 24
	halvings   = 20
	// steep is the least promise of a further step, relative to f: below, rounding decides.
	steep = 1e-14
)

// pair is one step and the change of the gradient over it.
type pair struct {
	step, turn []float64
	curvature  float64 // step . turn > 0
}

// minimise lowers f from x, in place, by L-BFGS with halved steps (Nocedal and Wright,
// Numerical Optimization, algorithms 7.4 and 3.1), at most turns times. f fills the
// gradient and returns the value: +Inf or NaN where x is not allowed; at the start it is
// finite. It ends when no step lowers f or promises to. The same input gives the same bits:
// all sums run in order.
func minimise(x []float64, turns int, f func(x, gradient []float64) float64) {
	n := len(x)
	gradient, next, direction, nextGradient := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	var pairs []pair
	value := f(x, gradient)
	for range turns {
		descend(direction, gradient, pairs)
		slope := dot(direction, gradient)
		if !(slope < -steep) {
			return
		}
		length, moved := 1.0, false
		if len(pairs) == 0 {
			length = min(1, 0.1/math.Sqrt(-slope))
		}
		for range halvings {
			for i := range x {
				next[i] = x[i] + float64(length*direction[i])
			}
			if v := f(next, nextGradient); v < value && v <= value+float64(1e-4*length*slope) {
				value, moved = v, true
				break
			}
			length /= 2
		}
		if !moved {
			if len(pairs) == 0 {
				return
			}
			pairs = nil // once more along the gradient
			continue
		}
		p := pair{make([]float64, n), make([]float64, n), 0}
		for i := range x {
			p.step[i], p.turn[i] = next[i]-x[i], nextGradient[i]-gradient[i]
		}
		if p.curvature = dot(p.step, p.turn); p.curvature > 0 {
			pairs = append(pairs, p)
			pairs = pairs[max(0, len(pairs)-remembered):]
		}
		copy(x, next)
		copy(gradient, nextGradient)
	}
}

// descend is minus the approximate inverse Hessian times the gradient.
func descend(direction, gradient []float64, pairs []pair) {
	for i, g := range gradient {
		direction[i] = -g
	}
	weights := make([]float64, len(pairs))
	for k := len(pairs) - 1; k >= 0; k-- {
		weights[k] = dot(pairs[k].step, direction) / pairs[k].curvature
		addTimes(direction, -weights[k], pairs[k].turn)
	}
	if k := len(pairs) - 1; k >= 0 {
		scale := pairs[k].curvature / dot(pairs[k].turn, pairs[k].turn)
		for i := range direction {
			direction[i] *= scale
		}
	}
	for k, p := range pairs {
		addTimes(direction, weights[k]-dot(p.turn, direction)/p.curvature, p.step)
	}
}

func addTimes(dst []float64, factor float64, src []float64) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] += float64(factor * src[i])
	}
}

// dot is the inner product, in order.
func dot(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		sum += float64(x * b[i])
	}
	return sum
}
