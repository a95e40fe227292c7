package preflight

import (
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
)

// Oneshot is what scheme oneshot computes for a full cohort and a committee that is
// all there, and what it is sure of for any cohort that may be admitted.
type Oneshot struct {
	Committee string `json:"committee"`
	Root      string `json:"root"` // what clients pin
	Members   int    `json:"members"`
	Corrupt   int    `json:"corrupt_members"` // c: may collude with the coordinator
	Quorum    int    `json:"quorum"`          // q: must agree
	// Correctable wrong answers of members are corrected, and their owners named, if all
	// members answer.
	Correctable int    `json:"correctable_answers"`
	Set         string `json:"set"`
	Degree      int    `json:"ring_degree"`
	Kappa       int    `json:"kappa"` // bits of noise in a coefficient
	Slots       int    `json:"slots"` // words in a coefficient
	// CorruptClients is f. Evictions is c*f: the clients that corrupt members can have
	// left out. Left is what is sure to remain of a full cohort, which is at least
	// cohort.minimum.
	CorruptClients int `json:"corrupt_clients"`
	Evictions      int `json:"evictions"`
	Left           int `json:"left"`
	// InBucket is c*: the corrupt clients reckoned with in one opened sum. Honest is
	// h: the honest ones in an opened sum at least, over all cohorts that may be
	// admitted; both but with probability 2^-PrivacyBits in a round.
	InBucket    int `json:"corrupt_in_bucket"`
	Honest      int `json:"least_honest"`
	SizesTried  int `json:"sizes_tried"`
	Sizes       int `json:"sizes"`
	PrivacyBits int `json:"privacy_bits"`
	// Body is the ciphertext of an upload in bytes; LetterSize what follows for each
	// member.
	Body       int64 `json:"ciphertext"`
	LetterSize int   `json:"letter"`
	// Member is what one member sends and receives in an attempt without drop-outs, and
	// what its processor takes on one core of a small server.
	Member   Bytes   `json:"bytes_per_member"`
	MemberMS float64 `json:"member_ms"`

	figures oneshot.Figures
}

func oneshotOf(p plan.Plan) (*Oneshot, error) {
	policy := p.Policy()
	g, err := oneshot.Measure(policy)
	if err != nil {
		return nil, err
	}
	committee := policy.Committee
	m, c := committee.Len(), committee.Corrupt()
	o := &Oneshot{Committee: committee.Name(), Root: committee.Root().String(), Members: m, Corrupt: c, Quorum: committee.Quorum(),
		Correctable: min((m-c-1)/2, m-2*c-1), Set: g.Set, Degree: g.Degree, Kappa: g.Kappa, Slots: g.Slots, CorruptClients: g.Corrupt, Evictions: c * g.Corrupt,
		InBucket: g.CorruptInBucket, Honest: g.Honest, PrivacyBits: oneshot.PrivacyBits, Body: g.Body, LetterSize: g.LetterSize, figures: g}
	o.Left = policy.Clients - share(policy.Clients, p.Literal().Scheme.Dropout)
	if policy.CloseAt > 0 {
		o.Left = min(o.Left, policy.CloseAt)
	}
	o.Left -= o.Evictions
	if policy.View == secagg.ViewSum {
		o.Honest = min(o.Honest, policy.Minimum-o.CorruptClients)
	}
	o.tryCohorts(p, policy)
	return o, nil
}

// tryCohorts finds the worst of the cohorts that may be admitted.
func (o *Oneshot) tryCohorts(p plan.Plan, policy secagg.Policy) {
	o.Sizes = p.Invited() - p.Minimum() + 1
	if policy.Buckets == (secagg.Buckets{}) {
		o.SizesTried = o.Sizes // f, and so what is left of the minimum, is worst in the full one
		return
	}
	stride := (o.Sizes + mostSizes - 1) / mostSizes
	for n := p.Minimum(); n <= p.Invited(); n += stride {
		o.SizesTried++
		one := policy
		// c* depends on the cohort, its corrupt clients and its buckets alone.
		one.Clients, one.CloseAt, one.Dropout, one.View = n, 0, 0, secagg.ViewBucketMeans
		one.Minimum = max(1, n-policy.Committee.Corrupt()*share(n, float64(policy.Corrupt)/1e6))
		g, err := oneshot.Measure(one)
		if err != nil {
			continue // such a cohort is refused by every party
		}
		if g.Honest < o.Honest {
			o.Honest, o.InBucket = g.Honest, g.CorruptInBucket
		}
	}
}

// opens is the fewest clients in a sum that is opened.
func (f *Findings) opens() int {
	if f.Buckets != nil {
		return min(f.Buckets.Minimum, f.Rounds.Minimum)
	}
	return f.Rounds.Minimum
}
