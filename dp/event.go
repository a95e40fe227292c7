package dp

import (
	"math"
	"math/big"

	"github.com/choir-fl/choir/fault"
)

// Refusals of events and reports.
var (
	ErrName     = fault.New(fault.Usage, "dp/name", "no such name", "see choir privacy --help for the names")
	ErrEvent    = fault.New(fault.Invalid, "dp/event", "not an event that can be accounted for", "state mechanism, relation, sampling, count, and positive finite noise and clip")
	ErrSampling = fault.New(fault.Refused, "dp/sampling", "this sampling gives no guarantee under this relation", "fixed-size sampling needs replace-one, Poisson zero-out, add-remove or replace-one, truncated Poisson zero-out or add-remove")
	ErrMixed    = fault.New(fault.Refused, "dp/mixed-relations", "events of different relations do not compose", "state all events under one relation")
)

// MaxCount is the largest number of uses that one event can stand for.
const MaxCount = 1 << 40

// Sampling is how a cohort was drawn. Fields that a mode does not use are zero.
type Sampling struct {
	Mode SamplingMode
	// Rate is the probability of each client in (0,1], for the two Poisson modes.
	Rate float64
	// Population is the number of clients: for SamplingFixed, and for
	// SamplingTruncatedPoisson, where it counts the client in question.
	Population int
	// Size is the cohort of SamplingFixed, the capacity of SamplingTruncatedPoisson.
	Size int
}

// Spec is what an Event is made from.
type Spec struct {
	Mechanism Mechanism
	Relation  Relation
	Sampling  Sampling
	// StdDev is the standard deviation of all noise in the released sum, for Gaussian
	// and Laplace (whose scale is StdDev/sqrt 2), in the units of Clip.
	StdDev float64
	// Variance is the parameter sigma^2 of DiscreteGaussian, or the variance of Skellam,
	// in squared units of the integer grid. It is copied.
	Variance *big.Rat
	// Clip bounds the norm of one contribution: L2, for Laplace L1. For the
	// discrete laws it is in units of the grid.
	Clip float64
	// L1 bounds the L1 norm of one contribution, for Skellam; at least Clip.
	L1 float64
	// Dimension is the number of coordinates of the sum.
	Dimension int
	// Count is how often this is done, from 1 to MaxCount.
	Count int64
}

// Event is Count uses of one mechanism. The zero value is no event, and every
// accountant refuses it. Events are immutable and safe for concurrent use.
type Event struct{ s Spec }

// NewEvent checks a specification: ErrEvent if a number is missing, not finite, out
// of range, or stated for another mechanism; ErrSampling if the relation does not
// go with the sampling.
func NewEvent(s Spec) (Event, error) {
	if s.Relation.String() == "" || s.Mechanism.String() == "" || s.Sampling.Mode.String() == "" {
		return Event{}, ErrEvent.At("mechanism %d, relation %d, sampling %d", s.Mechanism, s.Relation, s.Sampling.Mode)
	}
	if !positive(s.Clip) {
		return Event{}, ErrEvent.At("clip %g", s.Clip)
	}
	if s.Dimension < 1 {
		return Event{}, ErrEvent.At("dimension %d", s.Dimension)
	}
	if s.Count < 1 || s.Count > MaxCount {
		return Event{}, ErrEvent.At("count %d", s.Count)
	}
	if err := s.checkNoise(); err != nil {
		return Event{}, err
	}
	if err := s.Sampling.check(s.Relation); err != nil {
		return Event{}, err
	}
	if s.Variance != nil {
		s.Variance = new(big.Rat).Set(s.Variance)
	}
	return Event{s}, nil
}

func (s Spec) checkNoise() error {
	discrete := s.Mechanism == DiscreteGaussian || s.Mechanism == Skellam
	switch {
	case discrete && (s.Variance == nil || s.Variance.Sign() <= 0 || s.StdDev != 0):
		return ErrEvent.At("%s is stated by a positive variance on its grid", s.Mechanism)
	case !discrete && (!positive(s.StdDev) || s.Variance != nil):
		return ErrEvent.At("%s is stated by a positive standard deviation, not %g", s.Mechanism, s.StdDev)
	case s.Mechanism == Skellam && (!positive(s.L1) || s.L1 < s.Clip):
		return ErrEvent.At("L1 bound %g of skellam, below the clip norm %g", s.L1, s.Clip)
	case s.Mechanism != Skellam && s.L1 != 0:
		return ErrEvent.At("L1 bound for %s", s.Mechanism)
	}
	if z := (Event{s}).NoiseMultiplier(); !positive(z) {
		return ErrEvent.At("noise over sensitivity is %g", z)
	}
	return nil
}

func (s Sampling) check(r Relation) error {
	rated := s.Mode == SamplingPoisson || s.Mode == SamplingTruncatedPoisson
	sized := s.Mode == SamplingFixed || s.Mode == SamplingTruncatedPoisson
	switch {
	case rated && (!positive(s.Rate) || s.Rate > 1), !rated && s.Rate != 0:
		return ErrEvent.At("rate %g of %s sampling", s.Rate, s.Mode)
	case sized && (s.Size < 1 || s.Population < s.Size), !sized && (s.Size != 0 || s.Population != 0):
		return ErrEvent.At("size %d of population %d of %s sampling", s.Size, s.Population, s.Mode)
	case (s.Mode == SamplingFixed) && r != ReplaceOne, s.Mode == SamplingTruncatedPoisson && r == ReplaceOne:
		return ErrSampling.At("%s sampling under %s", s.Mode, r)
	}
	return nil
}

// positive is stated so that NaN fails it.
func positive(x float64) bool { return x > 0 && !math.IsInf(x, 1) }

// Spec returns what the event was made from; the variance is a copy.
func (e Event) Spec() Spec {
	s := e.s
	if s.Variance != nil {
		s.Variance = new(big.Rat).Set(s.Variance)
	}
	return s
}

// Valid reports whether the event was made by NewEvent.
func (e Event) Valid() bool { return e.s.Count > 0 }

// Times returns the event with its count multiplied, or ErrEvent.
func (e Event) Times(n int64) (Event, error) {
	if n < 1 || e.s.Count < 1 || n > MaxCount/e.s.Count {
		return Event{}, ErrEvent.At("%d times %d", n, e.s.Count)
	}
	e.s.Count *= n
	return e, nil
}

// StdDev is the standard deviation of the noise in the units of the clip: of a
// discrete Gaussian its parameter sigma, which the true one never exceeds.
func (e Event) StdDev() float64 {
	if e.s.Variance != nil {
		v, _ := e.s.Variance.Float64()
		return math.Sqrt(v)
	}
	return e.s.StdDev
}

// Sensitivity is the most by which the sum changes between neighbours, in the norm
// of Clip: Clip, or twice that under ReplaceOne.
func (e Event) Sensitivity() float64 { return e.s.Relation.factor() * e.s.Clip }

// L1Sensitivity is Sensitivity in the L1 norm, for Skellam and Laplace; else 0.
func (e Event) L1Sensitivity() float64 {
	if e.s.Mechanism == Laplace {
		return e.Sensitivity()
	}
	return e.s.Relation.factor() * e.s.L1
}

func (r Relation) factor() float64 {
	if r == ReplaceOne {
		return 2
	}
	return 1
}

// NoiseMultiplier is StdDev over Sensitivity.
func (e Event) NoiseMultiplier() float64 { return e.StdDev() / e.Sensitivity() }

// CommonRelation returns the one relation of all events: ErrEvent if there is none
// or one was not made by NewEvent, ErrMixed if they differ.
func CommonRelation(events []Event) (Relation, error) {
	if len(events) == 0 {
		return 0, ErrEvent.At("no events")
	}
	for i, e := range events {
		if !e.Valid() {
			return 0, ErrEvent.At("event %d was not made by NewEvent", i)
		}
		if e.s.Relation != events[0].s.Relation {
			return 0, ErrMixed.At("event %d: %s after %s", i, e.s.Relation, events[0].s.Relation)
		}
	}
	return events[0].s.Relation, nil
}
