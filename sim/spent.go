package sim

import (
	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg"
)

// checkLedger holds the privacy ledger, as it is on the disk, against what was seen: every
// attempt of which a sum was opened is charged, and the epsilon that is reported is not
// below what the releases cost. It runs when the coordinator comes back and at the end of
// the run, which is as good as after every step: a ledger only grows, no attempt that was
// voided is ever charged again, and nothing but a crash loses what was written.
func (s *simulation) checkLedger() {
	g := s.plan.Guarantee()
	if !g.Stated() || len(s.exposed) == 0 {
		return
	}
	book, err := ledger.Load(s.ledger, ledger.Segment(s.plan.Genesis().Population))
	if err != nil {
		s.violate("ledger cannot be read: %v", err)
		return
	}
	charged := map[secagg.RoundID]bool{}
	for _, e := range book.Entries() {
		charged[e.ID] = e.State != ledger.Voided
	}
	for _, id := range s.exposed {
		if !charged[id] {
			s.violate("a sum of %s was opened, and the ledger does not charge it", id)
		}
	}
	last := s.rounds[len(s.rounds)-1]
	for o, reported := range map[dp.Observer]*float64{dp.ObserverReleases: last.EpsilonReleased, dp.ObserverCoordinator: last.EpsilonCoordinator} {
		if cost, ok := g.Epsilon(o, len(s.exposed)); ok && reported != nil && *reported < cost {
			s.violate("epsilon %g is reported against observer %s after %d attempts, which cost %g", *reported, o, len(s.exposed), cost)
		}
	}
}
