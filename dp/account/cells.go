package account

import "math"

// cells are the masses of a pair between edges of loss origin + i*grid, i from 0 to
// len(p); what lies beyond is in the four ends. Swapping P and Q and the order of the
// cells gives the other direction.
type cells struct {
	grid, origin   float64
	p, q           []float64
	pUnder, qUnder float64 // below the first edge
	pOver, qOver   float64 // above the last
}

// maxCells bounds a grid; 16 bytes each, and as much again while composing.
const maxCells = 1 << 22

// span returns losses lo < hi with at most cut of P above hi and of Q below lo.
func span(l law, cut float64) (lo, hi float64) {
	up := l.scale()
	for l.at(up).pAbove > cut && up < 1e9 {
		up *= 2
	}
	_, hi = bisect(0, up, 1e-3, func(e float64) bool { return l.at(e).pAbove <= cut })
	down := l.scale()
	for l.at(-down).qBelow > cut && down < 1e9 {
		down *= 2
	}
	_, lo = bisect(0, down, 1e-3, func(e float64) bool { return l.at(-e).qBelow <= cut })
	return -lo, hi
}

// divide puts a law on a grid; edges are whole multiples of it.
func divide(l law, grid, lo, hi float64) (cells, error) {
	first, last := math.Floor(lo/grid), math.Ceil(hi/grid)
	if last <= first {
		last = first + 1
	}
	if !(last-first <= maxCells) {
		return cells{}, ErrTooLarge.At("losses from %g to %g on a grid of %g", lo, hi, grid)
	}
	n := int(last - first)
	c := cells{grid: grid, origin: first * grid, p: make([]float64, n), q: make([]float64, n)}
	at := ascending(l)
	before := at(first * grid)
	c.pUnder, c.qUnder = before.pBelow, before.qBelow
	for i := range n {
		after := at((first + float64(i) + 1) * grid)
		c.p[i] = between(before.pBelow, before.pAbove, after.pBelow, after.pAbove)
		c.q[i] = between(before.qBelow, before.qAbove, after.qBelow, after.qAbove)
		before = after
	}
	c.pOver, c.qOver = before.pAbove, before.qAbove
	return c, nil
}

// between takes the difference on the side where less is lost.
func between(b0, a0, b1, a1 float64) float64 {
	if a0 < b1 {
		return max(0, a0-a1)
	}
	return max(0, b1-b0)
}

// swapped is the pair (Q, P).
func (c cells) swapped() cells {
	n := len(c.p)
	d := cells{grid: c.grid, origin: -(c.origin + float64(n)*c.grid), p: make([]float64, n), q: make([]float64, n),
		pUnder: c.qOver, qUnder: c.pOver, pOver: c.qUnder, qOver: c.pUnder}
	for i := range n {
		d.p[i], d.q[i] = c.q[n-1-i], c.p[n-1-i]
	}
	return d
}

// atoms is a law of losses origin + i*grid with masses, and an infinite loss.
type atoms struct {
	grid, origin float64
	mass         []float64
	infinite     float64
}

// upper is connect-the-dots (Doroshenko et al. 2022): each cell is divided between its
// two edges so that both its masses stay what they are. The result dominates the pair.
func (c cells) upper() atoms {
	n := len(c.p)
	a := atoms{c.grid, c.origin, make([]float64, n+1), c.pOver}
	a.mass[0] = c.pUnder
	growth := math.Expm1(c.grid)
	e := newPowers(c.origin, c.grid)
	for i := range n {
		// p - low = high and low*exp(-e_i) + high*exp(-e_(i+1)) = q.
		right := e.at(i + 1)
		low := min(max((c.q[i]*right-c.p[i])/growth, 0), c.p[i])
		if !(right < math.MaxFloat64) {
			low = 0
		}
		a.mass[i] += low
		a.mass[i+1] += c.p[i] - low
	}
	return a
}

// lower is dominated by the pair. Each cell becomes one outcome, as if nobody could tell its
// points apart, with the loss ln(p/q) near its middle; these are brought to the
// middles exactly by pooling a little with a neighbour: of higher loss if short, of
// lower if over. Where that does not go, the loss is lowered. What is beyond the ends is
// dropped. Pooling loses in the second order of the grid only, as connect-the-dots adds.
//
// A cell with much mass at an end of all losses has no neighbour to pool with. Then all
// places are moved to have this one right.
func (c cells) lower() atoms {
	a, lost, worst := c.pooled(0)
	if lost > 0.01*c.grid*c.grid {
		// A little to the left, that rounding does not make it fall short.
		move := math.Log(c.p[worst-1]/c.q[worst-1]) - (a.origin + float64(worst)*c.grid) - 1e-9*c.grid
		if b, less, _ := c.pooled(move); less < lost {
			return b
		}
	}
	return a
}

// pooled is lower with all places moved by less than a grid. lost is the mean by which
// losses were lowered, worst the cell that lost most.
func (c cells) pooled(move float64) (a atoms, lost float64, worst int) {
	// One empty cell before the first, for what is lowered below it.
	n, most := len(c.p)+1, 0.0
	a = atoms{c.grid, c.origin - c.grid/2 + move, make([]float64, n), 0}
	q := make([]float64, n)
	copy(a.mass[1:], c.p)
	copy(q[1:], c.q)
	lose := func(i int, x float64) {
		lost += x
		if x > most {
			most, worst = x, i
		}
	}
	e := newPowers(a.origin, c.grid)
	growth := math.Expm1(c.grid)
	for i := range n {
		ratio := e.at(i)
		p := a.mass[i]
		if p == 0 {
			continue
		}
		if !(ratio < math.MaxFloat64) {
			a.mass[i] = 0
			continue
		}
		switch over := p - ratio*q[i]; {
		case over > 0: // pool with the finished atom below; if it is too small, p alone is lowered
			if m := over / growth; i > 0 && m <= a.mass[i-1]/2 {
				a.mass[i-1] -= m
				a.mass[i] += m
			} else {
				lose(i, over)
			}
		case over < 0 && i+1 < n && a.mass[i+1] > 0:
			above := a.mass[i+1] / q[i+1]
			m := -over / (1 - ratio/above)
			if ratio < above && m <= a.mass[i+1]/2 {
				q[i+1] *= 1 - m/a.mass[i+1]
				a.mass[i+1] -= m
				a.mass[i] += m
				break
			}
			fallthrough
		case over < 0:
			lose(i, a.lowered(i, p, q[i]))
		}
	}
	return a, lost, worst
}

// lowered moves the mass at i to the nearest place at or below its true loss, and returns
// mass times distance.
func (a *atoms) lowered(i int, p, q float64) float64 {
	a.mass[i] = 0
	x := (math.Log(p/q) - a.origin) / a.grid
	if j := int(math.Floor(x - 1e-9)); j >= 0 && j < i {
		a.mass[j] += p
		return p * (x - float64(j)) * a.grid
	}
	return p * a.grid
}

// powers gives exp(origin + i*grid) for ascending i, one multiplication each, begun anew
// every 64 so that errors do not grow.
type powers struct {
	origin, grid, step, value float64
	next                      int
}

func newPowers(origin, grid float64) *powers {
	return &powers{origin: origin, grid: grid, step: math.Exp(grid), next: -1}
}

func (w *powers) at(i int) float64 {
	if i != w.next || i%64 == 0 {
		w.value = math.Exp(w.origin + float64(i)*w.grid)
	} else {
		w.value *= w.step
	}
	w.next = i + 1
	return w.value
}
