package account

import "math"

// composition answers a target; sign is +1 for an upper bound, to which errors and
// infinite losses are added, -1 for a lower one.
type composition interface {
	epsilon(delta, sign float64) float64
	delta(epsilon, sign float64) float64
}

// target is what a composition is made to answer: epsilon at delta, or delta at epsilon
// (then delta is 0). Any choice of tilt and window is valid; a good one has its weight
// where the answer lies, so that the error of the transform is relative to delta.
type target struct{ epsilon, delta float64 }

// leastTilt is there because sums of exp(-tilt*loss) lose digits to a tilt of nothing.
const leastTilt = 0.05

// mostStep is how much of a tilt there may be from one point of the grid to the next, lest
// floats overflow.
const mostStep = 30

// outside is minus the logarithm of the tilted mass that the window may miss on each side.
// The circular convolution brings it back somewhere else.
const outside = 32

// frame is what is known of a composition before it is made: its tilt, the logarithm of
// its moment generating function there, and a window of losses.
type frame struct {
	grid, bottom, top float64
	infinite, slack   float64
	rough             []lumps
	tilt, shift       float64
	one               []float64 // by parts
	lo, hi            float64
}

func compose(parts []part, t target) (composition, error) {
	f := frame{grid: parts[0].grid, rough: make([]lumps, len(parts)), one: make([]float64, len(parts))}
	total := 0.0
	for i := range parts {
		p := &parts[i]
		f.rough[i] = p.lumps()
		f.bottom += p.count * p.origin
		f.top += p.count * (p.origin + float64(len(p.mass)-1)*f.grid)
		f.infinite += p.count * p.infinite
		f.slack += 8 * ulp * p.count * math.Sqrt(float64(len(p.mass)))
		total += p.count
	}
	c := &composed{grid: f.grid, infinite: f.infinite, slack: f.slack}
	if total == 1 {
		c.origin, c.y = parts[0].origin, parts[0].mass
		return c, nil
	}
	if t.delta == 0 && t.epsilon >= f.top+f.slack {
		return c, nil
	}
	guess := func(l float64) (sum float64) {
		for i := range f.rough {
			sum += parts[i].count * f.rough[i].logMGF(l)
		}
		return sum
	}
	full, partial := tilts(t, total, mostStep/f.grid, guess)
	f.place(parts, t, full, guess)
	if s := smooth(parts, &f); s != nil {
		return s, nil
	}
	f.place(parts, t, partial, guess)
	c.tilt, c.shift = f.tilt, f.shift
	return c, c.convolve(parts, f.one, f.lo, f.hi)
}

// place finds the window at a tilt: Chernoff's bound of the tilted law, on both sides.
func (f *frame) place(parts []part, t target, tilt float64, guess func(l float64) float64) {
	exact := func(l float64) (sum float64) {
		for i := range parts {
			sum += parts[i].count * parts[i].logMGF(l)
		}
		return sum
	}
	f.tilt, f.shift = tilt, 0
	for i := range parts {
		f.one[i] = parts[i].logMGF(tilt)
		f.shift += parts[i].count * f.one[i]
	}
	near := guess(tilt)
	up := best(func(x float64) float64 { return (guess(tilt+x) - near + outside) / x })
	down := best(func(x float64) float64 { return (guess(tilt-x) - near + outside) / x })
	f.hi = min(f.top, (exact(tilt+up)-f.shift+outside)/up)
	f.lo = max(f.bottom, -(exact(tilt-down)-f.shift+outside)/down)
	if t.delta == 0 {
		f.lo, f.hi = min(f.lo, t.epsilon-f.slack-2*f.grid), max(f.hi, t.epsilon+f.slack+2*f.grid)
	}
}

// best returns about where f, quasi-convex for positive arguments, is least.
func best(f func(l float64) float64) float64 {
	return math.Exp(minimise(math.Log(1e-5), math.Log(1e6), 0.1, func(x float64) float64 { return f(math.Exp(x)) }))
}

// minimise returns about where f, quasi-convex on [lo, hi], is least. NaN counts as large.
func minimise(lo, hi, tol float64, f func(float64) float64) float64 {
	const golden = 0.6180339887498949
	a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fa, fb := f(a), f(b)
	for hi-lo > tol {
		if fa <= fb || math.IsNaN(fb) {
			hi, b, fb = b, a, fa
			a = hi - golden*(hi-lo)
			fa = f(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + golden*(hi-lo)
			fb = f(b)
		}
	}
	return lo + (hi-lo)/2
}

// tilts returns the tilt that has the answer in the middle of the tilted law; and the
// least of a few parts of it at which the error of a transform of the whole window is
// small against delta, for the full one makes rare large losses likely and the window wide.
func tilts(t target, count, most float64, k func(l float64) float64) (full, partial float64) {
	l, at := -math.Log(t.delta), t.epsilon
	// Where losses are bounded the best tilt may be without end: half of it must be worse.
	begin := func(f func(x float64) float64, worse func(half, whole float64) bool) float64 {
		x := best(f)
		for x > leastTilt && !worse(f(x/2), f(x)) {
			x /= 2
		}
		return min(most, max(leastTilt, x))
	}
	if t.delta == 0 {
		full = begin(func(x float64) float64 { return k(x) - x*at }, func(half, whole float64) bool { return half > whole+0.5 })
		l = max(0, full*at-k(full))
	} else {
		full = begin(func(x float64) float64 { return (k(x) + l) / x }, func(half, whole float64) bool { return half > 1.05*whole })
		at = 0.8 * (k(full) + l) / full
	}
	need := -l + math.Log(1e-7) - math.Log(1e3*ulp*count)
	for f := 1. / 64; f < 1; f *= 2 {
		if x := f * full; k(x)-x*at <= need {
			return full, x
		}
	}
	return full, full
}
