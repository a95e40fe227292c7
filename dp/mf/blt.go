package mf

import (
	"math"
	"sort"
)

const (
	// MinBuffers is the least number of buffers of BLT.
	MinBuffers = 2
	// MaxBuffers is the largest: more gain nothing.
	MaxBuffers = 4

	bltTurns   = 300
	bltBarrier = 1e-9
	// leastScale and leastDecay keep buffers apart from nothing, mostDecay from a sum without
	// end: no run is long enough to tell it from 1.
	leastScale, leastDecay, mostDecay = 0x1p-20, 0x1p-20, 1 - 0x1p-32
)

// buffers are the parameters of a buffered linear Toeplitz matrix (Dvijotham, McMahan,
// Pillutla, Steinke and Thakurta 2024): c_0 = 1, c_j = sum_i scale_i decay_i^(j-1). Every
// parameter is in (0,1) and a multiple of 2^-53. sum scale/decay < 1, so the zeros of c lie
// beyond the unit circle, and c does not increase.
type buffers struct{ decay, scale []float64 }

// coefficients are c_0 to c_(n-1).
func (b buffers) coefficients(n int) []float64 {
	c := make([]float64, n)
	state := append([]float64(nil), b.scale...)
	for j := range c {
		if j == 0 {
			c[0] = 1
			continue
		}
		for i, s := range state {
			c[j] += s
			state[i] = float64(s * b.decay[i])
		}
	}
	return c
}

// optimalBuffers minimises sensitivity times error over n buffers; it has none if no start
// leads anywhere. It begins at a quadrature of 1/sqrt(pi j), the optimum without a bound on
// memory, which is the integral of exp(-j l) / (pi sqrt l) over l, at geometric nodes; once
// for the whole run and once for one separation, and takes the better.
func optimalBuffers(n int, p Participation, by Criterion) buffers {
	best, bestLoss := buffers{}, math.Inf(1)
	for i, horizon := range []int{p.Steps, p.Separation} {
		if i > 0 && horizon == p.Steps {
			break
		}
		x := startBuffers(n, float64(horizon))
		work := newBufferLoss(n, p, by)
		minimise(x, bltTurns, work.of)
		loss, b := work.of(x, make([]float64, len(x))), quantised(work.buffers(x))
		if loss < bestLoss && b.sound() {
			best, bestLoss = b, loss
		}
	}
	return best
}

// startBuffers are unknowns: ln(decay/(1-decay)) and ln(scale) of each buffer.
func startBuffers(n int, horizon float64) []float64 {
	x := make([]float64, 2*n)
	width := math.Log(max(horizon, 4)) / float64(n)
	total := 0.0
	for i := range n {
		rate := min(0.5, math.Exp(-width*(float64(i)+0.5)))
		if i > 0 { // no two alike
			rate = min(rate, 0.5*math.Exp(-float64(i)))
		}
		scale := math.Sqrt(rate) * width / math.Pi
		x[i], x[n+i] = math.Log((1-rate)/rate), math.Log(scale)
		total += scale / (1 - rate)
	}
	if total > 0.9 {
		for i := range n {
			x[n+i] += math.Log(0.9 / total)
		}
	}
	return x
}

// quantised rounds the parameters to multiples of 2^-53 and orders buffers by decay,
// slowest first.
func quantised(b buffers) buffers {
	order := make([]int, len(b.decay))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return b.decay[order[i]] > b.decay[order[j]] })
	var q buffers
	for _, i := range order {
		q.decay = append(q.decay, math.RoundToEven(b.decay[i]*0x1p53)/0x1p53)
		q.scale = append(q.scale, math.RoundToEven(b.scale[i]*0x1p53)/0x1p53)
	}
	return q
}

// sound reports whether the parameters are as the type says.
func (b buffers) sound() bool {
	sum := 0.0
	for i, d := range b.decay {
		if !(d >= leastDecay && d <= mostDecay && b.scale[i] >= leastScale) {
			return false
		}
		sum += b.scale[i] / d
	}
	return sum < 1
}

// bufferLoss evaluates ln(sensitivity^2) + ln(error^2) and its gradient in O(steps *
// buffers).
type bufferLoss struct {
	n                 int
	pattern           Participation
	by                Criterion
	now               buffers
	s, q, r, a, e     []float64
	sensGrad, errGrad []float64
}

func newBufferLoss(n int, p Participation, by Criterion) *bufferLoss {
	v := func(n int) []float64 { return make([]float64, n) }
	return &bufferLoss{n, p, by, buffers{v(n), v(n)}, v(n), v(n), v(n), v(n), v(n), v(2 * n), v(2 * n)}
}

func (l *bufferLoss) buffers(x []float64) buffers {
	for i := range l.n {
		l.now.decay[i] = 1 / (1 + math.Exp(-x[i]))
		l.now.scale[i] = math.Exp(x[l.n+i])
	}
	return l.now
}

func (l *bufferLoss) of(x, gradient []float64) float64 {
	b := l.buffers(x)
	room, slow := 1.0, 0.0
	for i, d := range b.decay {
		room -= b.scale[i] / d
		slow += math.Log(1 - d)
	}
	if !(room > 0) || !b.sound() {
		return math.Inf(1)
	}
	sens, errors := l.sensitivity(), l.error()
	for i := range gradient {
		k := i % l.n
		d, s := b.decay[k], b.scale[k]
		g := l.sensGrad[i]/sens + l.errGrad[i]/errors
		if i < l.n {
			gradient[i] = float64((g-bltBarrier/room*s/(d*d))*d*(1-d)) + float64(bltBarrier*d)
		} else {
			gradient[i] = (g + bltBarrier/room/d) * s
		}
	}
	return math.Log(sens) + math.Log(errors) - float64(bltBarrier*(math.Log(room)+slow))
}

// sensitivity is the squared norm of the sum of the first columns, a separation apart: the
// filter c driven by an impulse at each participation. q is the derivative of the state s
// by its decay.
func (l *bufferLoss) sensitivity() float64 {
	clear(l.s)
	clear(l.q)
	clear(l.sensGrad)
	sum, left := 0.0, l.pattern.Participations
	for t := range l.pattern.Steps {
		in := 0.0
		if left > 0 && t%l.pattern.Separation == 0 {
			in, left = 1, left-1
		}
		v := in
		for i, s := range l.s {
			v += float64(l.now.scale[i] * s)
		}
		sum += float64(v * v)
		for i, s := range l.s {
			d, q := l.now.decay[i], l.q[i]
			l.sensGrad[i] += float64(2 * v * l.now.scale[i] * q)
			l.sensGrad[l.n+i] += float64(2 * v * s)
			l.q[i] = float64(d*q) + s
			l.s[i] = float64(d*s) + in
		}
	}
	return sum
}

// error is the sum of w_t v_t^2 for v = 1/((1-x)c): w is 1 for the last prefix sum, the
// share of prefix sums that hold v_t for their mean. The derivative of v is -v/c times that
// of c; h is v/c and a its buffers, e their derivative by the decay.
func (l *bufferLoss) error() float64 {
	clear(l.r)
	clear(l.a)
	clear(l.e)
	clear(l.errGrad)
	sum, steps := 0.0, float64(l.pattern.Steps)
	for t := range l.pattern.Steps {
		v, weight := 1.0, 1.0
		for i, r := range l.r {
			v -= float64(l.now.scale[i] * r)
		}
		if l.by == MeanError {
			weight = (steps - float64(t)) / steps
		}
		h := v
		for i, a := range l.a {
			h -= float64(l.now.scale[i] * a)
		}
		sum += float64(weight * v * v)
		for i, a := range l.a {
			d, e := l.now.decay[i], l.e[i]
			l.errGrad[i] -= float64(2 * weight * v * l.now.scale[i] * e)
			l.errGrad[l.n+i] -= float64(2 * weight * v * a)
			l.e[i] = float64(d*e) + a
			l.a[i] = float64(d*a) + h
			l.r[i] = float64(d*l.r[i]) + v
		}
	}
	return sum
}

// inverse are the first n coefficients of 1/c, and the most that each buffer grows: the sum
// of the absolute values of what one draw leaves in it.
func (b buffers) inverse(n int) (coefficients, gains []float64) {
	coefficients, gains = make([]float64, n), make([]float64, len(b.decay))
	state := make([]float64, len(b.decay))
	for t := range coefficients {
		v := 0.0
		if t == 0 {
			v = 1
		}
		for i, s := range state {
			v -= float64(b.scale[i] * s)
		}
		for i, s := range state {
			state[i] = float64(s*b.decay[i]) + v
			gains[i] += math.Abs(state[i])
		}
		coefficients[t] = v
	}
	return coefficients, gains
}
