package dp

import "math"

// Observer is against whom a guarantee holds.
type Observer uint8

const (
	// ObserverReleases sees released models only: sampling with secret coins amplifies.
	ObserverReleases Observer = 1
	// ObserverCoordinator sees rosters too, as do decryptors, peers and readers of logs:
	// nothing amplifies.
	ObserverCoordinator Observer = 2
)

var observerNames = []string{"", "releases", "coordinator"}

// String returns the name used in reports, "" if o is none of the observers.
func (o Observer) String() string { return nameOf(observerNames, uint8(o)) }

// Report is a claim and all that it rests on. It is a plain value; Check says
// whether it is complete enough to be published.
type Report struct {
	Unit     Unit
	Observer Observer
	Relation Relation
	// Vouched says who vouches for the secrecy of the sampling coins; empty only if
	// no event is sampled.
	Vouched string
	Events  []Event
	// Epsilon is an upper bound at Delta; EpsilonLower a lower bound of the best
	// provable one, 0 if the accountant has none.
	Epsilon, EpsilonLower, Delta float64
	// Accountant is the method: "pld", "rdp" or "gdp".
	Accountant string
	// Population is the number of units; Delta is to be at most Population^-1.1.
	Population int
	// TuningCounted says whether runs to find hyper-parameters are among the events.
	TuningCounted bool
	// AllCheckpoints says whether all models were released or the last only; the
	// bound holds for all of them either way.
	AllCheckpoints bool
}

// Check returns ErrEvent for a report that leaves something unsaid, states numbers
// that cannot be, has no events (then there is no privacy to report) or a delta above
// Population^-1.1; ErrMixed if an event has another relation.
func (r Report) Check() error {
	relation, err := CommonRelation(r.Events)
	switch {
	case err != nil:
		return err
	case relation != r.Relation:
		return ErrMixed.At("report under %q of events under %s", r.Relation, relation)
	case r.Unit.String() == "" || r.Observer.String() == "" || r.Accountant == "":
		return ErrEvent.At("report: unit %d, observer %d, accountant %q", r.Unit, r.Observer, r.Accountant)
	case !(r.EpsilonLower >= 0 && r.EpsilonLower <= r.Epsilon) || math.IsInf(r.Epsilon, 0):
		return ErrEvent.At("report: epsilon from %g to %g", r.EpsilonLower, r.Epsilon)
	case r.Population < 1 || !(r.Delta > 0 && r.Delta <= math.Pow(float64(r.Population), -1.1)):
		return ErrEvent.At("report: delta %g for a population of %d", r.Delta, r.Population)
	}
	for i, e := range r.Events {
		if e.s.Sampling.Mode == SamplingNone {
			continue
		}
		if r.Vouched == "" {
			return ErrEvent.At("report: nobody vouches for the sampling of event %d", i)
		}
		if r.Observer == ObserverCoordinator {
			return ErrSampling.At("report: event %d counts as sampled for one who sees the cohort", i)
		}
	}
	return nil
}
