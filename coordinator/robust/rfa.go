package robust

import (
	"slices"

	"github.com/choir-fl/choir/fault"
)

// ErrByClients is a rule that nothing on this side of a secure sum applies.
var ErrByClients = fault.New(fault.Refused, "robust/by-clients", "clients weigh their own updates under this rule, before they are added up: it does not combine vectors", "choose geometric-median, to which it leads where the vectors can be seen")

// RFA is robust aggregation by secure weighted sums (Pillutla, Kakade and Harchaoui, Robust
// Aggregation for Federated Learning, algorithm 2): clients weigh their updates by one over
// their distances to a common centre, and a coordinator sees two sums, whose quotient is
// the centre of the next pass.
type RFA struct {
	// Nu is the least distance that is told apart, over the clip norm.
	Nu float64
	// Passes is how many sums make one step.
	Passes int
}

// Name is "rfa".
func (RFA) Name() string { return "rfa" }

var rfa = recipe{Info: Info{Name: RFA{}.Name(), View: "sum",
	Breakdown:    "less than half the weight, of clients that keep to the protocol; 0 of those that lie about their weight",
	Precondition: "nobody sees vectors: clients weigh their own", Cost: "nd each pass, by the clients",
	Warning:   "it withstands poisoned data, not clients that lie about their weight: each states its own, and nothing checks it",
	Distances: true, Parameters: []Parameter{
		numeric("nu", "0.1", "", "", 0.01, 1, "least distance that is told apart, over the clip norm: a client that is near the centre counts up to 2/nu times as much as one far off"),
		count("passes", "3", "", "", 1, 16, "rounds that make one step of the model")}}}

// ByClients lists the rules that clients apply to their own updates before these are added
// up. Spec.Check refuses them with ErrByClients; a plan can name them.
func ByClients() []Info {
	out := rfa.Info
	out.Parameters = slices.Clone(out.Parameters)
	return []Info{out}
}

// RFA reads a Spec of rule rfa. It refuses with ErrSpec other rules, parameters that are not
// its own or out of range, and what does not go with it: f, pre-aggregators and conventions
// of other libraries.
func (s Spec) RFA() (RFA, error) {
	if s.Rule != rfa.Name || s.F != 0 || len(s.Pre) > 0 || s.Compat != "" {
		return RFA{}, ErrSpec.At("rule %q with f %d, %d pre-aggregators and compat %q: %s claims no number of vectors, sees none and has one convention", s.Rule, s.F, len(s.Pre), s.Compat, rfa.Name)
	}
	of, err := s.values(rfa)
	return RFA{Nu: of["nu"], Passes: int(of["passes"])}, err
}
