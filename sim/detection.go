package sim

import (
	"slices"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/secagg"
)

// Detection says how well what a coordinator sees tells who attacks: the simulation knows.
// A vector is bad if a Byzantine client is in it. Attempts in which the attackers knew too
// little to attack do not count.
type Detection struct {
	// Rule names the vectors that the rule left out. Null under view sum, and under rules
	// that neither weigh vectors nor leave any out.
	Rule *Detector `json:"rule"`
	// Alerts name a vector each, the first or worst that they are about, so the recall is
	// low by nature. Null under view sum.
	Alerts *Detector `json:"alerts"`
	// Reputation names the clients whose inclusion is below a half: precision and recall are
	// those at the end of the run, of the clients whose vectors were seen. Null but under
	// view vectors, and there under rules as above.
	Reputation *Detector `json:"reputation"`
}

// Detector is what came of one way to name somebody.
type Detector struct {
	Named int `json:"named"` // vectors of all attempts; of reputation, clients
	Right int `json:"right"` // of these, bad ones
	Bad   int `json:"bad"`   // bad ones there were
	// Precision is Right over Named, Recall Right over Bad; null if nobody was named, or
	// there was nobody to name.
	Precision *float64 `json:"precision"`
	Recall    *float64 `json:"recall"`
	// First is the round in which a bad one was first named; null if none was.
	First *int `json:"first_round"`
}

// count takes notice of one vector or client.
func (d *Detector) count(bad, named bool, round int) {
	if bad {
		d.Bad++
	}
	if named {
		d.Named++
	}
	if bad && named {
		d.Right++
		if d.First == nil {
			d.First = &round
		}
	}
}

// closed is the detector with its ratios.
func (d Detector) closed() *Detector {
	if d.Named > 0 {
		d.Precision = ptr(float64(d.Right) / float64(d.Named))
	}
	if d.Bad > 0 {
		d.Recall = ptr(float64(d.Right) / float64(d.Bad))
	}
	return &d
}

// lowReputation is the inclusion below which a client is called suspect.
const lowReputation = 0.5

// detection counts during a run.
type detection struct {
	rule, alerts, reputation Detector
	opened                   bool                    // some attempt showed single vectors or buckets
	chooses                  bool                    // the rule weighs vectors, or left some out
	vectors                  bool                    // clients are known by name
	seen                     map[secagg.PartyID]bool // clients whose vectors were
	judged                   int                     // attempts after which reputations were looked at
}

// over takes notice of an attempt that ended.
func (d *detection) over(r coordinator.Report, idle bool, bad func(secagg.PartyID) bool) {
	if r.Figures == nil || idle {
		return
	}
	named := map[int]bool{}
	for _, a := range r.Alerts {
		if a.Bucket != nil {
			named[*a.Bucket] = true
		}
	}
	for _, v := range r.Figures.Each {
		if v.Spoiled || v.Weightless {
			continue
		}
		d.opened = true
		if v.Client != "" {
			d.vectors = true
			if d.seen == nil {
				d.seen = map[secagg.PartyID]bool{}
			}
			d.seen[v.Client] = true
		}
		d.chooses = d.chooses || v.Weight != nil || v.Excluded
		is := slices.ContainsFunc(r.Members[v.Bucket], bad)
		d.rule.count(is, v.Excluded, int(r.ID.Round))
		d.alerts.count(is, named[v.Bucket], int(r.ID.Round))
	}
}

// judge looks at the reputations after a round.
func (d *detection) judge(known []coordinator.Reputation, round int, bad func(secagg.PartyID) bool) {
	now := Detector{First: d.reputation.First}
	for _, r := range known {
		if d.seen[r.Client] {
			now.count(bad(r.Client), r.Inclusion < lowReputation, round)
		}
	}
	d.reputation = now
}

// result is what came of it all.
func (d *detection) result() *Detection {
	out := new(Detection)
	if d.opened {
		out.Alerts = d.alerts.closed()
		if d.chooses {
			out.Rule = d.rule.closed()
		}
		if d.chooses && d.vectors {
			out.Reputation = d.reputation.closed()
		}
	}
	return out
}

// byzantine reports whether a client is one of the attackers.
func (s *simulation) byzantine(id secagg.PartyID) bool {
	return s.adversaries.attacker(s.byID[id].index) != nil
}

// judge looks at the reputations, once after each attempt.
func (s *simulation) judge() {
	if s.detection == nil || !s.detection.vectors || s.detection.judged == len(s.rounds) {
		return
	}
	s.detection.judged = len(s.rounds)
	known, err := s.engine.Reputations()
	if err != nil {
		s.violate("reputations cannot be read: %v", err)
		return
	}
	s.detection.judge(known, s.rounds[len(s.rounds)-1].Round, s.byzantine)
}
