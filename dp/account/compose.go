package account

import (
	"math"
	"math/bits"

	"gonum.org/v1/gonum/dsp/fourier"
)

// part is a law of one step and how often it is composed.
type part struct {
	atoms
	count float64
}

// logMGF returns ln of the sum of mass times e^(l*loss), in blocks so that nothing
// overflows or vanishes.
func (a *atoms) logMGF(l float64) float64 {
	const block = 64
	step := math.Exp(l * a.grid)
	if !(step < 1e4 && step > 1e-4) { // few atoms on a coarse grid
		total := math.Inf(-1)
		for i, m := range a.mass {
			if m > 0 {
				total = logAdd(total, math.Log(m)+l*(a.origin+float64(i)*a.grid))
			}
		}
		return total
	}
	top, sum := math.Inf(-1), 0.0
	for b := 0; b < len(a.mass); b += block {
		s, w := 0.0, 1.0
		for _, m := range a.mass[b:min(b+block, len(a.mass))] {
			s += m * w
			w *= step
		}
		if s == 0 {
			continue
		}
		x := l * (a.origin + float64(b)*a.grid)
		if v := math.Log(s) + x; v > top+600 {
			sum, top = sum*math.Exp(top-v)+1, v
		} else {
			sum += s * math.Exp(x-top)
		}
	}
	return top + math.Log(sum)
}

// lumps are a law in at most some five hundred pieces, for searches that need no exact
// value: their masses, means and variances.
type lumps struct{ mass, mean, variance []float64 }

func (a *atoms) lumps() (r lumps) {
	width := len(a.mass)/256 + 1
	var m, first, second, begin float64
	cells := 0
	for i, p := range a.mass {
		if cells == 0 {
			begin = a.origin + float64(i)*a.grid
		}
		x := float64(cells) * a.grid
		m, first, second, cells = m+p, first+p*x, second+p*x*x, cells+1
		if m > 0 && (cells >= width || m > 4e-3 || i == len(a.mass)-1) {
			mean := first / m
			r.mass, r.mean, r.variance = append(r.mass, m), append(r.mean, begin+mean), append(r.variance, max(0, second/m-mean*mean))
			m, first, second, cells = 0, 0, 0, 0
		}
	}
	return r
}

func (r lumps) logMGF(l float64) float64 {
	top, sum := math.Inf(-1), 0.0
	for i, m := range r.mass {
		if x := l*r.mean[i] + l*l*r.variance[i]/2; x > top+30 {
			sum, top = sum*math.Exp(top-x)+m, x
		} else {
			sum += m * math.Exp(x-top)
		}
	}
	return top + math.Log(sum)
}

// composed is the law of the sum of all losses within a window, tilted: mass at
// s(i) = origin + i*grid is y[i]*exp(shift - tilt*s(i)).
type composed struct {
	grid, origin float64
	y            []float64
	shift, tilt  float64
	infinite     float64 // mass of infinite loss, and of losses above the window
	// noise bounds, before tilting back, what floating point may have added to or
	// taken from all of y, and what the circular convolution brought in from below.
	noise float64
	slack float64 // bound of what rounding did to the losses
}

// target is what a composition is made to answer: epsilon at delta, or delta at epsilon
// (then delta is 0). Any choice of tilt and window is valid; a good one has its weight
// where the answer lies, so that the error of the transform is relative to delta.
type target struct{ epsilon, delta float64 }

// outside is minus the logarithm of the tilted mass that the window may miss on each side.
// The circular convolution brings it back somewhere else.
const outside = 32

func compose(parts []part, t target) (composed, error) {
	rough := make([]lumps, len(parts))
	c := composed{grid: parts[0].grid}
	total, bottom, top := 0.0, 0.0, 0.0
	for i := range parts {
		p := &parts[i]
		rough[i] = p.lumps()
		bottom += p.count * p.origin
		top += p.count * (p.origin + float64(len(p.mass)-1)*c.grid)
		c.infinite += p.count * p.infinite
		c.slack += 8 * ulp * p.count * math.Sqrt(float64(len(p.mass)))
		total += p.count
	}
	if total == 1 {
		c.origin, c.y = parts[0].origin, parts[0].mass
		return c, nil
	}
	if t.delta == 0 && t.epsilon >= top+c.slack {
		return c, nil
	}
	guess := func(l float64) (sum float64) {
		for i := range rough {
			sum += parts[i].count * rough[i].logMGF(l)
		}
		return sum
	}
	exact := func(l float64) (sum float64) {
		for i := range parts {
			sum += parts[i].count * parts[i].logMGF(l)
		}
		return sum
	}
	c.tilt = tilt(t, total, guess)
	one := make([]float64, len(parts))
	for i := range parts {
		one[i] = parts[i].logMGF(c.tilt)
		c.shift += parts[i].count * one[i]
	}
	// Chernoff's bound of the tilted law, on both sides.
	near := guess(c.tilt)
	up := best(func(x float64) float64 { return (guess(c.tilt+x) - near + outside) / x })
	down := best(func(x float64) float64 { return (guess(c.tilt-x) - near + outside) / x })
	hi := min(top, (exact(c.tilt+up)-c.shift+outside)/up)
	lo := max(bottom, -(exact(c.tilt-down)-c.shift+outside)/down)
	if t.delta == 0 {
		lo, hi = min(lo, t.epsilon-2*c.grid), max(hi, t.epsilon+2*c.grid)
	}
	return c, c.convolve(parts, one, lo, hi)
}

// best returns about where f, quasi-convex for positive arguments, is least.
func best(f func(l float64) float64) float64 {
	lo, hi := math.Log(1e-5), math.Log(1e6)
	const golden = 0.6180339887498949
	a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fa, fb := f(math.Exp(a)), f(math.Exp(b))
	for hi-lo > 0.1 {
		if fa <= fb || math.IsNaN(fb) {
			hi, b, fb = b, a, fa
			a = hi - golden*(hi-lo)
			fa = f(math.Exp(a))
		} else {
			lo, a, fa = a, b, fb
			b = lo + golden*(hi-lo)
			fb = f(math.Exp(b))
		}
	}
	return math.Exp(lo + (hi-lo)/2)
}

// tilt returns the least of a few tilts at which the error of the transform is small
// against delta: the full one has the answer in the middle of the tilted law, but makes
// rare large losses likely, and the window wide.
func tilt(t target, count float64, k func(l float64) float64) float64 {
	l, at := -math.Log(t.delta), t.epsilon
	var full float64
	if t.delta == 0 {
		full = best(func(x float64) float64 { return k(x) - x*at })
		l = max(0, full*at-k(full))
	} else {
		full = best(func(x float64) float64 { return (k(x) + l) / x })
		at = 0.8 * (k(full) + l) / full
	}
	need := -l + math.Log(1e-7) - math.Log(1e3*ulp*count)
	for f := 1. / 64; f < 1; f *= 2 {
		if x := f * full; k(x)-x*at <= need {
			return x
		}
	}
	return full
}

// convolve fills y on the window by one real transform for each part.
func (c *composed) convolve(parts []part, one []float64, lo, hi float64) error {
	if !((hi-lo)/c.grid < 2*maxCells) || math.IsInf(c.shift, 0) || math.IsNaN(c.shift) {
		return ErrTooLarge.At("composed losses from %g to %g on a grid of %g", lo, hi, c.grid)
	}
	n := transformLength(int((hi-lo)/c.grid) + 4)
	fft := fourier.NewFFT(n)
	folded, spectrum := make([]float64, n), make([]complex128, n/2+1)
	var product []complex128
	counts := 1.0
	for j := range parts {
		p := &parts[j]
		clear(folded)
		p.fold(folded, c.tilt, one[j], &c.origin)
		fft.Coefficients(spectrum, folded)
		power(spectrum, p.count)
		counts += p.count
		if product == nil {
			product, spectrum = spectrum, make([]complex128, n/2+1)
			continue
		}
		for i, v := range spectrum {
			product[i] *= v
		}
	}
	fft.Sequence(folded, product)
	c.y = make([]float64, n)
	first := int(math.Floor((lo - c.origin) / c.grid))
	square := 0.0
	at := ((first % n) + n) % n
	for i := range c.y {
		v := folded[at] / float64(n)
		c.y[i] = max(0, v)
		square += v * v
		if at++; at == n {
			at = 0
		}
	}
	c.origin += float64(first) * c.grid
	// A transform of length n errs by about ulp*ln n in the 2-norm; powers multiply
	// what the first one did. The 1-norm over the window is at most sqrt n times that.
	root := math.Sqrt(float64(n))
	c.noise = 4*ulp*float64(bits.Len(uint(n)))*counts*root*math.Sqrt(square) + root*math.Exp(-powerCut/2) + 2*math.Exp(-outside)
	return nil
}

// fold puts the tilted law, moved to have its mean near index 0, onto a circle, and adds
// the loss at index 0, count times, to origin.
func (p *part) fold(circle []float64, tilt, norm float64, origin *float64) {
	w := make([]float64, len(p.mass))
	mean, sum := 0.0, 0.0
	step := math.Exp(tilt * p.grid)
	v := 0.0
	for i, m := range p.mass {
		x := 0.0
		if i%64 == 0 || step > 1e4 {
			v = math.Exp(tilt*(p.origin+float64(i)*p.grid) - norm)
		}
		if m > 0 {
			if x = m * v; math.IsInf(v, 1) || v < 1e-280 {
				x = math.Exp(math.Log(m) + tilt*(p.origin+float64(i)*p.grid) - norm)
			}
		}
		v *= step
		w[i] = x
		mean += x * float64(i)
		sum += x
	}
	center := int(math.Round(mean / sum))
	n := len(circle)
	at := ((-center % n) + n) % n
	for _, x := range w {
		circle[at] += x
		if at++; at == n {
			at = 0
		}
	}
	*origin += p.count * (p.origin + float64(center)*p.grid)
}

// powerCut is the logarithm of the squared modulus below which a power counts as zero.
const powerCut = 90

func power(spectrum []complex128, count float64) {
	if count == 1 {
		return
	}
	least, n := math.Exp(-powerCut/count), uint64(count)
	for i, v := range spectrum {
		if real(v)*real(v)+imag(v)*imag(v) < least {
			spectrum[i] = 0
			continue
		}
		r := complex(1, 0)
		for e := n; ; v *= v {
			if e&1 == 1 {
				r *= v
			}
			if e >>= 1; e == 0 {
				break
			}
		}
		spectrum[i] = r
	}
}

// transformLength returns the least of 4, 5 and 6 times a power of two that is at least n.
func transformLength(n int) int {
	p := 1 << max(0, bits.Len(uint(n-1))-3)
	for _, k := range []int{4, 5, 6, 8} {
		if k*p >= n {
			return k * p
		}
	}
	return 8 * p
}

// scan walks down from the top of the window. At each place it calls visit with the
// loss s below, delta at the loss above, the slope mass x there (so that delta at s+u is above +
// x*(1-exp(-(grid-u)))), and the bound of errors at s, until visit returns true.
func (c *composed) scan(visit func(s, above, x, noise float64) bool) {
	fall, rise := math.Exp(-c.grid), -math.Expm1(-c.grid)
	tilt := math.Exp(c.tilt * c.grid)
	above, behind, w := 0.0, 0.0, 0.0
	for i := len(c.y) - 1; i >= 0; i-- {
		s := c.origin + float64(i)*c.grid
		if w *= tilt; (len(c.y)-1-i)%64 == 0 {
			w = math.Exp(c.shift - c.tilt*s)
		}
		x := behind + c.y[i]*w
		if visit(s-c.grid, above, x, c.noise*w*tilt) {
			return
		}
		above += x * rise
		behind = x * fall
	}
}

// epsilon returns the loss at which delta is met. sign is +1 for an upper bound, to
// which errors and infinite losses are added, -1 for a lower one.
func (c *composed) epsilon(delta, sign float64) float64 {
	if sign > 0 && c.infinite >= delta {
		return math.Inf(1)
	}
	if sign > 0 {
		delta -= c.infinite
	}
	result := math.NaN()
	c.scan(func(s, above, x, noise float64) bool {
		left := delta - sign*noise - above
		if math.IsNaN(left + x) { // out of the range of floats: nothing is known
			result = math.Inf(int(sign))
			return true
		}
		if left <= 0 { // the errors alone
			result = s + c.grid
			return true
		}
		if left < x*-math.Expm1(-c.grid) {
			result = s + c.grid + math.Log1p(-left/x)
			return true
		}
		result = s
		return s < 0
	})
	if math.IsNaN(result) {
		return 0
	}
	return max(0, result+sign*c.slack)
}

// delta returns delta at epsilon, sign as in epsilon.
func (c *composed) delta(epsilon, sign float64) float64 {
	epsilon -= sign * c.slack
	result := 0.0
	c.scan(func(s, above, x, noise float64) bool {
		if s+c.grid <= epsilon {
			return true
		}
		result = above - x*math.Expm1(-(s+c.grid-max(epsilon, s))) + sign*noise
		if math.IsNaN(result) {
			result = sign
			return true
		}
		return s <= epsilon
	})
	if sign > 0 {
		result += c.infinite
	}
	return min(1, max(0, result))
}
