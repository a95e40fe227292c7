package plan

import (
	"math"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/dp/mf"
	"github.com/choir-fl/choir/secagg"
)

// Guarantee is what the noise of a plan promises, and to whom. Immutable and safe for
// concurrent use; the zero value promises nothing.
type Guarantee struct {
	noise     secagg.Noise
	mechanism ddp.Mechanism
	// One attempt without and with what sampling hides.
	plain, sampled           dp.Event
	plainCurve, sampledCurve account.Curve
	// coordinator: it holds against those who see rosters too.
	coordinator bool
	slack       Slack
	tails       tails
	most        int // attempts that count for one client; 0 for all
	// correlated is the noise of a whole run; then plain and sampled are its cost.
	correlated mf.Run
	likeness   likeness
	shares     int // that released sums are filled up to; 0 where they are not
}

// Slack is what is taken off delta before events are accounted for.
type Slack struct {
	// Buckets is for a bucket with more corrupt clients than are reckoned with.
	Buckets float64
	// Sampling is for an attempt in which one client's coin decides whether there is a sum.
	Sampling float64
	// Tails is for noise shares that are redrawn beyond 12 standard deviations, and for
	// draws beyond the capacity of a cohort.
	Tails float64
}

// Total is their sum.
func (s Slack) Total() float64 { return (s.Buckets + s.Sampling + s.Tails) * (1 + 0x1p-50) }

const (
	// sharedSlack is for how many jobs like this one a population's ledger sets delta aside.
	sharedSlack = 10
	// maxSlack is the most of delta that is set aside.
	maxSlack = 0.25
)

// reserve is what of delta the ledger sets aside: for this job, and for others.
func (s Slack) reserve(delta float64) float64 { return min(maxSlack*delta, sharedSlack*s.Total()) }

// Stated reports whether there is anything promised.
func (g Guarantee) Stated() bool { return g.noise != secagg.Noise{} }

// Noise is what clients are told of it.
func (g Guarantee) Noise() secagg.Noise { return g.noise }

// Mechanism encodes and decodes under it.
func (g Guarantee) Mechanism() ddp.Mechanism { return g.mechanism }

// Correlated is the noise of the whole run, if that of one round depends on others.
func (g Guarantee) Correlated() (mf.Run, bool) { return g.correlated, g.correlated.Dimension() > 0 }

// Shares is the number of noise shares that a released sum is filled up to, so that how
// much noise is in it does not tell who was drawn; 0 if nothing is claimed from that.
//
// A client that is drawn brings a share of noise with it: without more, a sum of k
// clients has noise of k shares, whose size tells k nearly for certain in many
// dimensions, and with it something of each coin. The coordinator is trusted with the
// coins by those for whom sampling hides anything; it adds what is missing.
func (g Guarantee) Shares() int { return g.shares }

// Slack is what is taken off delta.
func (g Guarantee) Slack() Slack { return g.slack }

// Most is the most attempts whose cost one client bears, however many are charged; 0
// for all.
func (g Guarantee) Most() int { return g.most }

// Event is the cost of one attempt to an observer; false if nothing is promised
// against it. The events of one plan are all equal.
func (g Guarantee) Event(o dp.Observer) (dp.Event, bool) {
	switch {
	case o == dp.ObserverReleases:
		return g.sampled, g.Stated()
	case o == dp.ObserverCoordinator && g.coordinator:
		return g.plain, true
	}
	return dp.Event{}, false
}

// Epsilon bounds what an observer learns about a client from so many charged attempts,
// at the plan's delta; false if nothing is promised against it. It is +Inf where there
// is no finite bound. It is at most Enforced.
func (g Guarantee) Epsilon(o dp.Observer, attempts int) (float64, bool) {
	epsilon, ok := g.Enforced(o, attempts)
	if !ok || attempts < 1 || g.correlated.Dimension() > 0 {
		return epsilon, ok
	}
	exact := g.likeness.epsilon(g.plain, g.counted(attempts), g.composed())
	return min(epsilon, g.tails.unsampled(exact, g.slack.Tails)), true
}

// Enforced is what a ledger makes of so many attempts at the best Renyi order: what is
// held against a budget, though noise and cohorts were chosen as the run goes.
func (g Guarantee) Enforced(o dp.Observer, attempts int) (float64, bool) {
	if _, ok := g.Event(o); !ok {
		return 0, false
	}
	if attempts < 1 {
		return 0, true
	}
	epsilon := g.tails.unsampled(epsilonOf(g.plainCurve, g.counted(attempts), g.composed()), g.slack.Tails)
	if o == dp.ObserverReleases && g.noise.Rate > 0 {
		epsilon = min(epsilon, g.tails.sampled(epsilonOf(g.sampledCurve, attempts, g.composed()), g.slack.Tails))
	}
	return epsilon, true
}

// composed is the part of delta that events are accounted for at.
func (g Guarantee) composed() float64 { return g.noise.Delta - g.slack.reserve(g.noise.Delta) }

func epsilonOf(c account.Curve, uses int, delta float64) float64 {
	all, err := c.Times(int64(uses))
	if err != nil {
		return math.Inf(1)
	}
	b, err := all.Epsilon(delta)
	if err != nil {
		return math.Inf(1)
	}
	return b.Epsilon
}

// order is the Renyi order at which a budget of an observer lasts longest: what a ledger
// is kept at.
func (g Guarantee) order(o dp.Observer, epsilon float64) float64 {
	curve := g.sampledCurve
	if o == dp.ObserverCoordinator || g.noise.Rate == 0 {
		curve = g.plainCurve
	}
	best, most, delta := 2.0, math.Inf(-1), g.composed()
	curve.Each(func(a, rdp float64) {
		limit := epsilon + (math.Log(delta)+math.Log(a))/(a-1) - math.Log1p(-1/a)
		if attempts := limit / rdp; attempts > most {
			best, most = a, attempts
		}
	})
	return best
}

// counted is how many of so many attempts cost one client.
func (g Guarantee) counted(attempts int) int {
	if g.most > 0 {
		return min(attempts, g.most)
	}
	return attempts
}

// guarantee makes the promise of a mechanism: against released models, and against
// those who see rosters if coordinator is set.
func (l Literal) guarantee(n secagg.Noise, m ddp.Mechanism, matrix mf.Mechanism, coordinator bool, buckets, chance float64) (Guarantee, error) {
	g := Guarantee{noise: n, mechanism: m, coordinator: coordinator, most: l.Cohort.Participations}
	if Mechanism(l.Privacy.Mechanism).Correlated() {
		return l.correlated(g, matrix)
	}
	attempts := l.Rounds.Count * l.Rounds.Attempts
	g.slack = Slack{Buckets: buckets, Tails: n.Delta * tailsPart}
	if n.Rate > 0 {
		g.slack.Sampling = decisive(l.Cohort.Population, l.Cohort.Minimum, n.Rate, l.Scheme.Dropout, attempts) + float64(attempts)*n.Rate*chance
	}
	g.tails, g.likeness = tailsOf(n, m, attempts, l.overflowBits()), likenessOf(n, m)
	var err error
	if g.plain, err = m.Event(n.Relation, dp.Sampling{Mode: dp.SamplingNone}, 1); err != nil {
		return Guarantee{}, err
	}
	g.sampled = g.plain
	if n.Rate > 0 {
		full := m
		if !m.Parameters().Central {
			g.shares = m.Parameters().Clients
			if full, err = m.Filled(g.shares, max(1, secagg.ShareOf(g.shares, perMillion(l.Scheme.Corrupt)))); err != nil {
				return Guarantee{}, err
			}
		}
		if g.sampled, err = full.Event(n.Relation, dp.Sampling{Mode: dp.SamplingPoisson, Rate: n.Rate}, 1); err != nil {
			return Guarantee{}, err
		}
	}
	if g.plainCurve, err = account.NewCurve([]dp.Event{g.plain}); err != nil {
		return Guarantee{}, err
	}
	g.sampledCurve, err = account.NewCurve([]dp.Event{g.sampled})
	return g, err
}
