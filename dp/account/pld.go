package account

import (
	"math"

	"github.com/choir-fl/choir/dp"
)

// DefaultTolerance is the gap between the bounds of a PLD, relative to epsilon, at
// which the grid is fine enough.
const DefaultTolerance = 1e-3

// Grids from firstGrid are halved down to lastGrid.
const (
	firstGrid = 1e-3
	lastGrid  = 1e-7
)

// PLD is the privacy loss distribution of a fixed schedule of events. It is immutable and
// does its work when asked. Safe for concurrent use.
type PLD struct {
	groups []group
	mu2    float64 // of all unsampled Gaussians together, which compose exactly
}

type group struct {
	law   law
	count int64
}

// PLDBound is what a PLD says at one target.
type PLDBound struct {
	// Epsilon and Delta hold; one of them was given.
	Epsilon, Delta float64
	// Lower is below the best that can be said about the dominating pairs: of the
	// quantity that was asked for.
	Lower float64
	// Grid is the spacing of losses that gave this; 0 if it needed none.
	Grid float64
}

// NewPLD prepares the composition of events. It covers Gaussian (all samplings but
// fixed size), Laplace without sampling or with Poisson sampling, and discrete Gaussian noise on one
// coordinate with a whole sensitivity, not under Poisson sampling with ReplaceOne for the last two;
// others are ErrUnsupported. A discrete Gaussian on many coordinates has no known worst
// pair: use a Curve.
//
// The lower bound for truncated Poisson sampling under AddRemove is about the pair of the
// upper one, which is not attained.
func NewPLD(events []dp.Event) (*PLD, error) {
	if _, err := dp.CommonRelation(events); err != nil {
		return nil, err
	}
	p := &PLD{}
	for i, e := range events {
		s := e.Spec()
		if s.Mechanism == dp.Gaussian && (s.Sampling.Mode == dp.SamplingNone || s.Sampling.Rate == 1 && s.Sampling.Mode == dp.SamplingPoisson) {
			z := e.NoiseMultiplier()
			p.mu2 += float64(s.Count) / (z * z)
			continue
		}
		l, err := eventLaw(e)
		if err != nil {
			return nil, err
		}
		if l == nil {
			return nil, ErrUnsupported.At("pld: event %d, %s with %s sampling under %s", i, s.Mechanism, s.Sampling.Mode, s.Relation)
		}
		p.groups = append(p.groups, group{l, s.Count})
	}
	return p, nil
}

// NewMixturePLD is the composition of count Gaussian sums with noise stddev in which
// the client adds shift[i] with probability[i], or nothing at all: shifts are
// at least 0, probabilities sum to 1.
func NewMixturePLD(stddev float64, shift, probability []float64, count int64) (*PLD, error) {
	if !(stddev > 0) || math.IsInf(stddev, 1) || len(shift) == 0 || len(shift) != len(probability) || count < 1 || count > dp.MaxCount {
		return nil, dp.ErrEvent.At("mixture of %d shifts and %d probabilities, stddev %g, count %d", len(shift), len(probability), stddev, count)
	}
	var m normals
	sum, width := 0.0, 0.0
	for i, p := range probability {
		x := shift[i] / stddev
		if !(p >= 0 && p <= 1) || !(x >= 0) || x > 1e3 {
			return nil, dp.ErrEvent.At("mixture: shift %g with probability %g", shift[i], p)
		}
		sum += p
		if p > 0 {
			m.mean, m.weight = append(m.mean, x), append(m.weight, p)
			width = max(width, x)
		}
	}
	if math.Abs(sum-1) > 1e-9 || width == 0 {
		return nil, dp.ErrEvent.At("mixture: probabilities sum to %g, largest shift %g", sum, width)
	}
	l := mixtureLaw{p: m, q: normals{[]float64{0}, []float64{1}}, width: width}
	return &PLD{groups: []group{{l, count}}}, nil
}

// Plus returns the composition of two; the caller vouches that their relations agree.
func (p *PLD) Plus(q *PLD) *PLD {
	return &PLD{append(append([]group(nil), p.groups...), q.groups...), p.mu2 + q.mu2}
}

// eventLaw returns the dominating pair of one use, nil if none is known.
func eventLaw(e dp.Event) (law, error) {
	s, z := e.Spec(), e.NoiseMultiplier()
	q := 1.0
	if s.Sampling.Mode != dp.SamplingNone {
		q = s.Sampling.Rate
	}
	if s.Sampling.Mode == dp.SamplingFixed || (s.Mechanism != dp.Gaussian && s.Relation == dp.ReplaceOne && q < 1) {
		return nil, nil
	}
	truncated := s.Sampling.Mode == dp.SamplingTruncatedPoisson && s.Relation != dp.ZeroOut
	switch s.Mechanism {
	case dp.Gaussian:
		if truncated {
			return truncatedLaw(s.Sampling, z), nil
		}
		if s.Relation == dp.ReplaceOne && q < 1 {
			return replaceLaw(q, 2*z), nil
		}
		return newGaussianLaw(q, z), nil
	case dp.Laplace:
		if truncated {
			return nil, nil
		}
		return laplaceLaw{q, e.Sensitivity() * math.Sqrt2 / e.StdDev()}, nil
	case dp.DiscreteGaussian:
		d := e.Sensitivity()
		if truncated || s.Dimension != 1 || d != math.Floor(d) || d > maxAtoms {
			return nil, nil
		}
		return newDiscreteGaussianLaw(q, e.StdDev(), int(d))
	}
	return nil, nil
}

// replaceLaw is a client at +C against the same at -C, sampled at rate q; z is over C.
func replaceLaw(q, z float64) law {
	w := []float64{1 - q, q}
	return mixtureLaw{normals{[]float64{0, 1 / z}, w}, normals{[]float64{0, -1 / z}, w}, true, 2 / z}
}

// truncatedLaw is the pair of Poisson sampling with a capacity under AddRemove. Given that the
// others leave no place, one more client takes the place of another, so two
// contributions of the sum change; given that they do, it is an ordinary sample.
func truncatedLaw(s dp.Sampling, z float64) law {
	plain := newGaussianLaw(s.Rate, z)
	full := binomialAbove(s.Population-1, s.Size-1, s.Rate)
	if full == 0 {
		return plain
	}
	in := binomialAbove(s.Population, s.Size, s.Rate) * float64(s.Size) / full / float64(s.Population)
	return blend{full, replaceLaw(min(1, in), z/2), plain}
}

// binomialAbove returns P[Binomial(n, p) > k].
func binomialAbove(n, k int, p float64) float64 {
	if k >= n {
		return 0
	}
	if p == 1 {
		return 1
	}
	lp, lq := math.Log(p), math.Log1p(-p)
	term := func(i int) float64 { return math.Exp(logBinomial(n, i) + float64(i)*lp + float64(n-i)*lq) }
	sum := 0.0
	if mode := int(p * float64(n)); k >= mode {
		for i := k + 1; i <= n; i++ {
			t := term(i)
			if sum += t; t < sum*1e-18 {
				break
			}
		}
		return min(1, sum)
	}
	for i := k; i >= 0; i-- {
		t := term(i)
		if sum += t; t < sum*1e-18 {
			break
		}
	}
	return max(0, 1-sum)
}

// Epsilon returns bounds at delta. The grid is refined until they differ by tolerance
// (0 for the default) of the upper one, or 1e-7, or the grid is as fine as memory allows: the
// upper bound is valid whatever the gap, and +Inf if no finite one is known.
func (p *PLD) Epsilon(delta, tolerance float64) (PLDBound, error) {
	if err := checkDelta(delta); err != nil {
		return PLDBound{}, err
	}
	return p.refine(target{delta: delta}, tolerance)
}

// Delta returns bounds at epsilon >= 0, refined as by Epsilon.
func (p *PLD) Delta(epsilon, tolerance float64) (PLDBound, error) {
	if err := checkEpsilon(epsilon); err != nil {
		return PLDBound{}, err
	}
	return p.refine(target{epsilon: epsilon}, tolerance)
}

// EpsilonAt returns bounds at delta on one grid, or on a finer one where so many steps
// lie on so few points of it that it says little; or ErrTooLarge.
func (p *PLD) EpsilonAt(grid, delta float64) (PLDBound, error) {
	if err := checkDelta(delta); err != nil {
		return PLDBound{}, err
	}
	return p.at(grid, target{delta: delta}, true)
}

func (p *PLD) refine(t target, tolerance float64) (PLDBound, error) {
	if tolerance == 0 {
		tolerance = DefaultTolerance
	}
	if !(tolerance > 0 && tolerance < 1) {
		return PLDBound{}, ErrTarget.At("tolerance %g", tolerance)
	}
	var best PLDBound
	found := false
	for grid := p.firstGrid(t); ; {
		b, err := p.at(grid, t, true)
		if err != nil {
			if found {
				return best, nil
			}
			return b, err
		}
		if b.Grid > 0 {
			grid = b.Grid
		}
		value, least := b.Epsilon, 1e-7
		if t.delta == 0 {
			value, least = b.Delta, 0
		}
		if found {
			// Every bound holds, so the best of each does.
			if t.delta == 0 {
				b.Delta = min(b.Delta, best.Delta)
			} else {
				b.Epsilon = min(b.Epsilon, best.Epsilon)
			}
			b.Lower = max(b.Lower, best.Lower)
		}
		best, found = b, true
		gap, want := value-b.Lower, max(tolerance*value, least)
		if !(gap > want) || b.Grid == 0 || grid/2 < lastGrid {
			return best, nil
		}
		// The gap falls with the square of the grid.
		jump := 1.0
		if !math.IsInf(gap, 1) {
			jump = min(4, max(1, math.Ceil(math.Log2(gap/want)/2)))
		}
		grid = max(lastGrid, grid*math.Exp2(-jump))
	}
}

// firstGrid is 1e-3, doubled until single steps have few cells.
func (p *PLD) firstGrid(t target) float64 {
	grid := firstGrid
	for _, g := range p.laws() {
		lo, hi := span(g.law, p.cut(t))
		for (hi-lo)/grid > 1<<17 {
			grid *= 2
		}
	}
	return grid
}

// resolved halves a grid on which the bulk of a step that is often taken lies on a few
// points, as long as the step has few in all: it costs nothing, and where the edges
// happen to fall would else show in epsilon.
func (p *PLD) resolved(laws []group, grid float64, t target) float64 {
	const points, cells = 8, 1 << 16
	for _, g := range laws {
		if !(grid*math.Sqrt(float64(g.count)) > 0.05) {
			continue
		}
		lo, hi := span(g.law, p.cut(t))
		quantile := func(mass float64) float64 {
			_, e := bisect(0, hi-lo, 1e-3, func(e float64) bool { return g.law.at(lo+e).pBelow >= mass })
			return e
		}
		bulk := quantile(.9) - quantile(.1)
		for bulk > 0 && bulk < points*grid && (hi-lo)/grid < cells/2 {
			grid /= 2
		}
	}
	return grid
}

// cut is the mass of one step that may be beyond the grid.
func (p *PLD) cut(t target) float64 {
	total := 1.0
	for _, g := range p.groups {
		total += float64(g.count)
	}
	if t.delta == 0 {
		return max(1e-290, 1e-24/total)
	}
	return max(1e-290, t.delta*1e-8/total)
}

// laws are the groups, and all unsampled Gaussians as one.
func (p *PLD) laws() []group {
	if p.mu2 == 0 || len(p.groups) == 0 {
		return p.groups
	}
	return append(append([]group(nil), p.groups...), group{newGaussianLaw(1, 1/math.Sqrt(p.mu2)), 1})
}

// at bounds the answer on one grid.
func (p *PLD) at(grid float64, t target, both bool) (PLDBound, error) {
	if !(grid > 0) || math.IsInf(grid, 1) {
		return PLDBound{}, ErrTarget.At("grid %g", grid)
	}
	if len(p.groups) == 0 {
		return p.exact(t)
	}
	laws := p.laws()
	grid = p.resolved(laws, grid, t)
	forward, mirrored := make([]cells, len(laws)), true
	for i, g := range laws {
		lo, hi := span(g.law, p.cut(t))
		c, err := divide(g.law, grid, lo, hi)
		if err != nil {
			return PLDBound{}, err
		}
		forward[i] = c
		mirrored = mirrored && g.law.symmetric()
	}
	b := PLDBound{t.epsilon, t.delta, 0, grid}
	for direction := 0; direction < 2 && (direction == 0 || !mirrored); direction++ {
		up, down := make([]part, len(laws)), make([]part, len(laws))
		for i, g := range laws {
			if direction == 1 {
				forward[i] = forward[i].swapped()
			}
			up[i] = part{forward[i].upper(), float64(g.count)}
			if both {
				down[i] = part{forward[i].lower(), float64(g.count)}
			}
		}
		if err := b.raise(up, t, 1); err != nil {
			return PLDBound{}, err
		}
		if !both {
			continue
		}
		if err := b.raise(down, t, -1); err != nil {
			return PLDBound{}, err
		}
	}
	return b, nil
}

// raise puts what parts say into the bound, if it is more than what is there.
func (b *PLDBound) raise(parts []part, t target, sign float64) error {
	c, err := compose(parts, t)
	if err != nil {
		return err
	}
	value, place := 0.0, &b.Epsilon
	if t.delta == 0 {
		value, place = c.delta(t.epsilon, sign), &b.Delta
	} else if value = c.epsilon(t.delta, sign); sign > 0 {
		value = min(value, largest(parts, t.delta))
	}
	if sign < 0 {
		place = &b.Lower
	}
	*place = max(*place, value)
	return nil
}

// largest is the largest finite loss of all parts together, which is an epsilon at any delta
// that is above the mass of infinite losses. Laplace noise has no other losses; where
// delta is small against the error of a transform this is the better bound.
func largest(parts []part, delta float64) float64 {
	loss, infinite := 0.0, 0.0
	for _, p := range parts {
		last := len(p.mass) - 1
		for last > 0 && p.mass[last] == 0 {
			last--
		}
		width := float64(last) * p.grid
		loss += p.count * (p.origin + width + 8*ulp*(math.Abs(p.origin)+width))
		infinite += p.count * p.atoms.infinite
	}
	if !(infinite < delta/2) {
		return math.Inf(1)
	}
	return max(0, loss)
}

func (p *PLD) exact(t target) (b PLDBound, err error) {
	mu := math.Sqrt(p.mu2)
	b.Epsilon, b.Delta = t.epsilon, t.delta
	if t.delta == 0 {
		b.Delta, err = GDPDelta(mu, t.epsilon)
		b.Lower = b.Delta
	} else {
		b.Epsilon, err = GDPEpsilon(mu, t.delta)
		b.Lower = b.Epsilon
	}
	return b, err
}
