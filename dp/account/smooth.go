package account

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// The characteristic function of a sum of many losses dies out at a frequency that is low
// against that of the grid. It is then enough to know the single step below this
// frequency, and for that its masses may be laid on a coarser circle by Lagrange
// interpolation. Delta is an inner product of the spectrum with that of the hockey
// stick, a geometric sum; there is no transform as long as the window.

const (
	lagrange = 16 // points of interpolation
	// lagrangeError is the largest product of the distances to 16 equidistant points,
	// between the two in the middle, over 16 factorial.
	lagrangeError = 3.0e-6
	// smoothCut is minus the logarithm of the modulus that is left out.
	smoothCut = 50
	// perPeriod is how many points of the circle the highest frequency has to a period, at
	// least. The error there is large but so is its distance from what matters: it is
	// bounded term by term.
	perPeriod   = 10
	leastCircle = 512
	mostBlock   = 1 << 12 // points of the grid to one of the circle
)

// decay bounds the modulus of a characteristic function by what sums of masses say.
type decay struct {
	sum, variation float64
	pairs          []pairs
}

// pairs are disjoint pairs of masses p and q at a distance; weight is the sum of pq/(p+q).
type pairs struct {
	distance       int
	weight, beyond float64 // beyond bounds the modulus from angle 3/2 pi over distance up
}

func decayOf(w []float64) (d decay) {
	before, most := 0.0, 0.0
	for _, x := range w {
		d.sum += x
		d.variation += math.Abs(x - before)
		before, most = x, max(most, x)
	}
	d.variation += before
	from, to := 0, len(w) // any part of the pairs gives a bound
	for from < to && w[from] < 1e-4*most {
		from++
	}
	for from < to && w[to-1] < 1e-4*most {
		to--
	}
	for n := 1; n < to-from; n *= 2 {
		p := pairs{distance: n}
		if n > 1 {
			p.beyond = d.at(1.5 * math.Pi / float64(n))
		}
		for i := from; i+n < to; i += 2 * n {
			for j := i; j < i+n && j+n < to; j++ {
				if x, y := w[j], w[j+n]; x > 0 && y > 0 {
					p.weight += x * y / (x + y)
				}
			}
		}
		if p.weight < d.sum/16 {
			break
		}
		d.pairs = append(d.pairs, p)
	}
	return d
}

// at bounds the modulus from angle up to pi. (1-z) times the sum of w_i z^i has the
// differences of w for coefficients; and |p + q z^n| <= p + q - 2pq/(p+q) sin^2(n*angle/2)
// for each of disjoint pairs.
func (d decay) at(angle float64) float64 {
	if !(angle < math.Pi) {
		angle = math.Pi
	}
	least := min(d.sum, d.variation/(2*math.Sin(angle/2)))
	for _, p := range d.pairs {
		if x := angle * float64(p.distance) / 2; x < 0.75*math.Pi {
			s := math.Sin(x)
			least = min(least, max(p.beyond, d.sum-2*p.weight*min(0.5, s*s)))
		}
	}
	return least * (1 + 1e-12)
}

// spectrum is a composition by the low frequencies of its tilted law.
type spectrum struct {
	grid, origin float64 // loss at index 0
	first, n     int     // the window
	shift, tilt  float64
	infinite     float64
	slack, width float64
	y            []complex128
	err          []float64 // of each y, as a bound
	ratio, over  []complex128
	edge         []complex128 // phase at first
}

// smooth returns nil if the spectrum is not known to die out early.
func smooth(parts []part, f *frame) *spectrum {
	points := (f.hi - f.lo) / f.grid
	if !(points > 4*leastCircle && points < 1<<40) || math.IsNaN(f.shift) || math.IsInf(f.shift, 0) || !(f.tilt > 0) {
		return nil
	}
	weights, centers, decays := make([][]float64, len(parts)), make([]int, len(parts)), make([]decay, len(parts))
	for i := range parts {
		weights[i], centers[i] = parts[i].tilted(f.tilt, f.one[i])
		decays[i] = decayOf(weights[i])
	}
	gone := func(angle float64) bool {
		sum := 0.0
		for i, d := range decays {
			sum += parts[i].count * math.Log(d.at(angle))
		}
		return sum <= -smoothCut
	}
	if !gone(math.Pi) {
		return nil
	}
	_, angle := bisect(0, math.Pi, 1e-2, gone)
	circle := transformLength(int(max(leastCircle, points/mostBlock, perPeriod*(angle*points/(2*math.Pi)+2))))
	if float64(circle) > points/4 {
		return nil
	}
	block := int(points+4)/circle + 1
	s := &spectrum{grid: f.grid, n: block * circle, shift: f.shift, tilt: f.tilt, infinite: f.infinite, slack: f.slack, width: f.hi - f.lo}
	s.transform(parts, weights, centers, circle, block, int(math.Ceil(angle*float64(s.n)/(2*math.Pi))))
	s.first = int(math.Floor((f.lo - s.origin) / s.grid))
	s.prepare()
	return s
}

// transform fills y and err up to the highest frequency.
func (s *spectrum) transform(parts []part, weights [][]float64, centers []int, circle, block, highest int) {
	at := lagrangeWeights(block)
	fft := fourier.NewFFT(circle)
	folded, x := make([]float64, circle), make([]complex128, circle/2+1)
	logs, upper := make([]float64, highest+1), make([]float64, highest+1)
	s.y, s.err = make([]complex128, highest+1), make([]float64, highest+1)
	for k := range s.y {
		s.y[k] = 1
	}
	for i := range parts {
		p := &parts[i]
		clear(folded)
		place(folded, weights[i], centers[i], block, at)
		s.origin += p.count * (p.origin + float64(centers[i])*p.grid)
		size := 0.0
		for _, v := range folded {
			size += math.Abs(v)
		}
		fft.Coefficients(x, folded)
		// Each coefficient is a sum of terms that passed through log2 of the length
		// products; the masses themselves and a power of count n lose a few ulp each, n times.
		rounding := ulp * (4*math.Log2(float64(circle))*size + 128)
		for k := range s.y {
			m := modulus(x[k])
			e := rounding + lagrangeError*math.Pow(2*math.Pi*float64(k)/float64(circle), lagrange)
			logs[k] += p.count * math.Log(m)
			upper[k] += p.count * math.Log(m+e)
			s.y[k] *= whole(x[k], uint64(p.count))
		}
	}
	for k := range s.y {
		if math.IsInf(logs[k], -1) {
			s.err[k] = math.Exp(upper[k])
		} else {
			s.err[k] = math.Exp(logs[k]) * math.Expm1(upper[k]-logs[k])
		}
	}
}

// lagrangeWeights returns for each place in a block the weights of the 16 points of the
// circle around it, from 7 before the block's own.
func lagrangeWeights(block int) [][lagrange]float64 {
	at := make([][lagrange]float64, block)
	for r := range at {
		x := float64(r)/float64(block) + lagrange/2 - 1
		for t := range lagrange {
			l := 1.0
			for u := range lagrange {
				if u != t {
					l *= (x - float64(u)) / float64(t-u)
				}
			}
			at[r][t] = l
		}
	}
	return at
}

// place lays masses on the circle, that at center at 0.
func place(circle, w []float64, center, block int, at [][lagrange]float64) {
	n := len(circle)
	var near [lagrange]float64
	flush := func(b int) {
		b = ((b-lagrange/2+1)%n + n) % n
		for t, v := range near {
			circle[b] += v
			near[t] = 0
			if b++; b == n {
				b = 0
			}
		}
	}
	b, r := floorDiv(-center, block)
	for _, x := range w {
		if x != 0 {
			l := &at[r]
			for t := range near {
				near[t] += x * l[t]
			}
		}
		if r++; r == block {
			flush(b)
			b, r = b+1, 0
		}
	}
	flush(b)
}

func floorDiv(a, b int) (quotient, rest int) {
	quotient, rest = a/b, a%b
	if rest < 0 {
		quotient, rest = quotient-1, rest+b
	}
	return quotient, rest
}

// whole returns v to the n.
func whole(v complex128, n uint64) complex128 {
	r := complex(1, 0)
	for ; ; v *= v {
		if n&1 == 1 {
			r *= v
		}
		if n >>= 1; n == 0 {
			return r
		}
	}
}

// modulus is for numbers far from the ends of the range of floats.
func modulus(v complex128) float64 { return math.Sqrt(real(v)*real(v) + imag(v)*imag(v)) }

// prepare fills what does not depend on epsilon: a_k = exp(i angle_k - tilt*grid), and one
// over (1 - a_k)(1 - a_k exp(-grid)), without cancellation.
func (s *spectrum) prepare() {
	s.ratio, s.over, s.edge = make([]complex128, len(s.y)), make([]complex128, len(s.y)), make([]complex128, len(s.y))
	oneMinus := func(fall, angle float64) complex128 {
		half := math.Sin(angle / 2)
		return complex(-math.Expm1(-fall)*math.Cos(angle)+2*half*half, -math.Exp(-fall)*math.Sin(angle))
	}
	for k := range s.y {
		angle := 2 * math.Pi * float64(k) / float64(s.n)
		a := oneMinus(s.tilt*s.grid, angle)
		s.over[k] = 1 / (a * oneMinus((s.tilt+1)*s.grid, angle))
		s.ratio[k] = 1 - a
		s.edge[k] = s.phase(k, s.first)
	}
}

// phase is exp(2 pi i k j/n), the product reduced exactly.
func (s *spectrum) phase(k, j int) complex128 {
	_, r := floorDiv(j, s.n)
	sin, cos := math.Sincos(2 * math.Pi * (float64(k) * float64(r) / float64(s.n)))
	return complex(cos, sin)
}

// at returns delta at epsilon and a bound of its error, leaving out infinite losses.
func (s *spectrum) at(epsilon float64) (delta, noise float64) {
	j := math.Ceil((epsilon - s.origin) / s.grid)
	from := s.first + s.n
	if j < float64(from) {
		from = max(s.first, int(j))
	}
	// Losses from index from on count 1 - exp(epsilon - loss). The sum over k of
	// y_k times the geometric sums of exp(-tilt*loss) times this has one term at each end.
	low := s.origin + float64(from)*s.grid
	high := s.origin + float64(s.first+s.n)*s.grid
	rise := -math.Expm1(-s.grid)
	begin, end := -math.Expm1(min(0, epsilon-low)), -math.Expm1(min(0, epsilon-high))
	fall := math.Exp(-s.tilt * (high - low))
	var sum, all, err float64
	for k, y := range s.y {
		a := s.ratio[k]
		first := s.over[k] * s.phase(k, from) * (complex(begin, 0) + a*complex(rise-begin, 0))
		last := s.over[k] * s.edge[k] * (complex(fall*end, 0) + a*complex(fall*(rise-end), 0))
		g := first - last
		size, twice := modulus(g), 2.0
		if k == 0 {
			all, twice = size, 1
		}
		sum += twice * (real(y)*real(g) - imag(y)*imag(g))
		err += twice * (size*s.err[k] + 64*ulp*modulus(y)*(modulus(first)+modulus(last)))
	}
	scale := math.Exp(s.shift - s.tilt*low)
	n := float64(s.n)
	// Frequencies left out; and what the window misses on both sides, of losses above epsilon.
	missed := 2 * math.Exp(s.shift-s.tilt*epsilon-outside)
	return scale * sum / n, scale*(err/n+all*math.Exp(-smoothCut)) + missed
}

func (s *spectrum) epsilon(delta, sign float64) float64 {
	if sign > 0 && s.infinite >= delta {
		return math.Inf(1)
	}
	if sign > 0 {
		delta -= s.infinite
	}
	least, most := -sign*s.slack, s.origin+float64(s.first+s.n)*s.grid
	bound := func(x float64) float64 {
		d, noise := s.at(x)
		return d + sign*noise
	}
	if sign > 0 && bound(least) <= delta {
		return 0
	}
	// Chernoff's bound is near, and its slope is about that of ln delta: then secants.
	x := min(most, (s.shift-math.Log(delta))/s.tilt)
	excess := func(x float64) float64 { return math.Log(max(bound(x), 1e-320)) - math.Log(delta) }
	e := excess(x)
	next := x + e/s.tilt
	for range 30 {
		next = min(most, max(least, next))
		if !(math.Abs(next-x) > 1e-12*(1+x)) {
			break
		}
		f := excess(next)
		step := f / s.tilt
		if slope := (f - e) / (next - x); slope < 0 {
			step = -f / slope
		}
		x, e, next = next, f, next+step
	}
	// Whatever the search did, what is returned is checked.
	for step := 1e-12 * (1 + math.Abs(x)); ; step *= 2 {
		switch b := bound(x); {
		case sign > 0 && b <= delta, sign < 0 && b >= delta:
			return max(0, x+sign*s.slack)
		case sign > 0 && !(x < most):
			return math.Inf(1)
		case sign < 0 && !(x > least):
			return 0
		}
		x += sign * step
	}
}

func (s *spectrum) delta(epsilon, sign float64) float64 {
	d, noise := s.at(epsilon - sign*s.slack)
	d += sign * noise
	if math.IsNaN(d) {
		d = sign
	}
	if sign > 0 {
		d += s.infinite
	}
	return min(1, max(0, d))
}
