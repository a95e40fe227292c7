package plan

import (
	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/dp"
)

// Genesis is the ledger that a plan's population has if this plan is the first to use
// it. Only under plans with noise.
func (p Plan) Genesis() ledger.Genesis {
	l, g := p.literal, p.guarantee
	out := ledger.Genesis{Population: l.Privacy.Population, Unit: dp.UnitClient, Relation: g.noise.Relation, Clients: max(l.Cohort.Population, l.Cohort.Size),
		Delta: l.Privacy.Delta, Slack: g.slack.reserve(l.Privacy.Delta),
		Releases: ledger.Budget{Epsilon: l.Privacy.Epsilon, Order: g.order(dp.ObserverReleases, l.Privacy.Epsilon)}}
	if e := l.Privacy.EpsilonCoordinator; e > 0 {
		out.Rosters = ledger.Budget{Epsilon: e, Order: g.order(dp.ObserverCoordinator, e)}
	}
	return out
}

// Charge is what one attempt costs.
func (p Plan) Charge() ledger.Charge {
	g := p.guarantee
	out := ledger.Charge{Released: g.sampled, Participations: g.most, Delta: g.slack.Total() / float64(p.Rounds()*p.Attempts()) * (1 - 0x1p-40)} // so that all together are not above by rounding
	if g.coordinator {
		out.Rosters = g.plain
	}
	return out
}
