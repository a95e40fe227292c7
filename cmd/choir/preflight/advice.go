package preflight

import (
	"crypto/ed25519"
	"fmt"
	"strings"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
)

// Advice names the scheme that suits a plan.
type Advice struct {
	Scheme  string   `json:"scheme"`
	Reason  string   `json:"reason"`
	Options []Option `json:"options"`
}

// Option is what the plan would cost under a scheme. Times are those of one core, as
// in Time; what does not apply is null.
type Option struct {
	Scheme  string  `json:"scheme"`
	Refusal *string `json:"refusal"` // why the plan is impossible under it
	Up      *int64  `json:"client_up"`
	Down    *int64  `json:"client_down"`
	// ClientMS and CoordinatorMS are without drop-outs, DropoutsMS is the coordinator's
	// time if all planned drop-outs happen late.
	ClientMS      *float64 `json:"client_ms"`
	CoordinatorMS *float64 `json:"coordinator_ms"`
	DropoutsMS    *float64 `json:"coordinator_dropouts_ms"`
	// Committee is the size of the one that was reckoned with, if any. Assumed says that
	// the plan names none.
	Committee *int `json:"committee"`
	Assumed   bool `json:"committee_assumed"`

	found *Findings
}

// advise compares the schemes that protect, under the same plan.
func (f *Findings) advise(p plan.Plan) *Advice {
	one, pair := f.option(p, oneshot.Scheme{}), f.option(p, pairwise.Scheme{})
	a := &Advice{Options: []Option{one, pair}}
	switch {
	case one.found == nil && pair.found == nil:
		a.Scheme, a.Reason = f.Scheme, "Neither oneshot nor pairwise can run this plan."
	case pair.found == nil:
		a.Scheme, a.Reason = oneshot.Name, "Pairwise cannot run this plan: "+*pair.Refusal+"."
	case one.found == nil:
		a.Scheme, a.Reason = pairwise.Name, "Oneshot cannot run this plan: "+*one.Refusal+"."
	default:
		a.Scheme, a.Reason = choice(one, pair)
	}
	return a
}

// choice between two schemes that both can run a plan: pairwise, which trusts nobody
// besides the clients, unless it costs more anywhere.
func choice(one, pair Option) (scheme, reason string) {
	dearer := []string{}
	compare := func(what string, o, p float64, show func(float64) string) {
		if p > o {
			dearer = append(dearer, fmt.Sprintf("%s takes %s under pairwise and %s under oneshot", what, show(p), show(o)))
		}
	}
	size := func(v float64) string { return Size(int64(v)) }
	compare("a client's traffic", float64(*one.Up+*one.Down), float64(*pair.Up+*pair.Down), size)
	compare("a client's computing", *one.ClientMS, *pair.ClientMS, millis)
	compare("the coordinator's computing with the planned drop-outs", *one.DropoutsMS, *pair.DropoutsMS, millis)
	if len(dearer) == 0 {
		return pairwise.Name, "Pairwise costs no more anywhere, and needs no committee to be trusted. Under oneshot clients would speak once, instead of staying " +
			"until a round's end."
	}
	return oneshot.Name, "Clients speak once, and drop-outs cost nothing; " + strings.Join(dearer, "; ") + ". Pairwise needs no committee, but clients that stay until a round's end."
}

// option is the plan under a scheme, which may be its own. Where the plan names no
// committee, one that nobody has is assumed for the costs.
func (f *Findings) option(p plan.Plan, scheme secagg.ServerScheme) Option {
	out := Option{Scheme: scheme.Name()}
	found := f
	if f.Scheme != out.Scheme {
		lit := p.Literal()
		lit.Scheme.Name, lit.Scheme.CommitteeFile, lit.Scheme.Committee = out.Scheme, "", plan.Committee{}
		var err error
		if out.Scheme == oneshot.Name {
			out.Assumed = true
			lit.Scheme.Committee, err = assumed()
		} else if lit.Aggregation.Fallback != "" { // which it does not need
			lit.Aggregation.Fallback, lit.Aggregation.Buckets = "", plan.Buckets{}
		}
		var other plan.Plan
		if err == nil {
			other, err = lit.Check(scheme)
		}
		if err == nil {
			found, err = findings(other)
		}
		if err != nil {
			refusal := strings.Join(strings.Fields(err.Error()), " ")
			out.Refusal = &refusal
			return out
		}
	}
	client, dropouts := found.Time.ClientKeysMS+found.Time.ClientVectorMS, found.Time.AttemptMS
	if t := found.Time; t.OpenDropoutsMS != nil {
		dropouts += *t.OpenDropoutsMS - t.OpenMS
	}
	out.found, out.Up, out.Down = found, &found.Bytes.Up, &found.Bytes.Down
	out.ClientMS, out.CoordinatorMS, out.DropoutsMS = &client, &found.Time.AttemptMS, &dropouts
	if o := found.Oneshot; o != nil {
		out.Committee = &o.Members
	}
	return out
}

func (o Option) text() string {
	if o.Refusal != nil {
		return o.Scheme + ": impossible: " + *o.Refusal
	}
	who := ""
	if o.Committee != nil {
		who = fmt.Sprintf(", with a committee of %d", *o.Committee)
		if o.Assumed {
			who += ", which the plan does not name"
		}
	}
	return fmt.Sprintf("%s%s: a client sends %s, receives %s and computes for %s; the coordinator computes for %s, %s with the planned drop-outs",
		o.Scheme, who, Size(*o.Up), Size(*o.Down), millis(*o.ClientMS), millis(*o.CoordinatorMS), millis(*o.DropoutsMS))
}

// assumedMembers is the size of a committee that a plan does not name.
const assumedMembers = 5

// assumed makes a committee with keys that everybody knows: its size counts, and it
// never leaves this package.
func assumed() (plan.Committee, error) {
	members := make([]secagg.Decryptor, assumedMembers)
	for j := range members {
		seed := secagg.Hash("choir assumed committee/1", []byte{byte(j)})
		members[j] = secagg.Join(ed25519.NewKeyFromSeed(seed[:]), "assumed", secagg.PartyID(fmt.Sprintf("organisation-%02d", j)))
	}
	c, err := secagg.NewCommittee("assumed", members, (assumedMembers-1)/3)
	if err != nil {
		return plan.Committee{}, err
	}
	return plan.CommitteeOf(c), nil
}
