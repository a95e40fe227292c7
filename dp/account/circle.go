package account

import (
	"math"
	"math/bits"

	"gonum.org/v1/gonum/dsp/fourier"
)

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
	w, center := p.tilted(tilt, norm)
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

// transformLength returns a product of powers of 2, 3 and 5 that is at least n, and less
// than an eighth more.
func transformLength(n int) int {
	p := 1 << max(0, bits.Len(uint(n-1))-5)
	for _, k := range []int{16, 18, 20, 24, 25, 27, 30} {
		if k*p >= n {
			return k * p
		}
	}
	return 32 * p
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
		x := behind
		if c.y[i] > 0 { // the weight may be out of range where there is nothing
			x += c.y[i] * w
		}
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
		if sign > 0 { // not met down to here; below the window nothing is known
			result = s
		}
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
