package plan

import (
	"maps"
	"slices"

	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/secagg"
)

// restOfRule encodes how the rule is set, its name aside.
func (a Aggregation) restOfRule(e *secagg.Encoder) {
	e.Uint(1, uint64(a.F))
	e.List(2, texts(a.Pre))
	keys := slices.Sorted(maps.Keys(a.Parameters))
	e.List(3, texts(keys))
	values := make([]string, len(keys))
	for i, k := range keys {
		values[i] = a.Parameters[k]
	}
	e.List(4, texts(values))
	e.String(5, a.Compat)
	e.Float(6, a.Byzantine)
}

func texts(s []string) [][]byte {
	out := make([][]byte, len(s))
	for i, x := range s {
		out[i] = []byte(x)
	}
	return out
}

// RuleSpec is the rule as package robust takes it.
func (p Plan) RuleSpec() robust.Spec { return p.literal.Aggregation.spec() }

func (a Aggregation) spec() robust.Spec {
	return robust.Spec{Rule: a.Rule, F: a.F, Pre: slices.Clone(a.Pre), Parameters: maps.Clone(a.Parameters), Compat: a.Compat}
}

// resists reports whether the plan has a rule over vectors that is to withstand something:
// any but the bare mean, and rfa, which clients apply.
func (a Aggregation) resists() bool {
	return !a.byClients() && (a.Rule != (robust.Mean{}).Name() || len(a.Pre) > 0)
}

// byzantine is the share of clients that may send what they like.
func (l Literal) byzantine() float64 { return max(l.Aggregation.Byzantine, l.Scheme.Corrupt) }

// outOfRounds says why a rule cannot be that of a run.
var outOfRounds = map[string]string{
	"monna":     "trusts the vector at one place, and who is there changes from round to round",
	"fltrust":   "needs an update that is trained on trusted data in each round, and a coordinator trains none",
	"foolsgold": "judges clients by all that they ever sent, and a coordinator does not keep that",
}

// checkRule makes the rule, and refuses a view that shows it too little.
func (p *Plan) checkRule(c *checker) {
	l, a := p.literal, p.literal.Aggregation
	switch b := a.Byzantine; {
	case !(b >= 0 && b < 1):
		c.refuse("aggregation.byzantine", "%v is not in [0,1)", b)
	case b != 0 && b < l.Scheme.Corrupt:
		c.refuse("aggregation.byzantine", "%v is less than scheme.corrupt (%v), and whoever is corrupt may send what it likes", b, l.Scheme.Corrupt)
	case b > l.Scheme.Corrupt && l.Privacy.Mode == string(secagg.PrivacyDistributed):
		c.refuse("aggregation.byzantine", "%v is more than scheme.corrupt (%v): whoever sends what it likes may leave its share of the noise out, and counts as corrupt", b, l.Scheme.Corrupt)
	}
	if a.byClients() {
		p.checkRFA(c)
		return
	}
	var err error
	if p.rule, err = a.spec().Check(); err != nil {
		c.refuse("aggregation.rule", "%w", err)
		return
	}
	p.byDistance = a.spec().Distances()
	switch {
	case !a.resists():
		c.unless(a.F == 0, "aggregation.f", "%d: rule mean withstands nobody; choose another, or leave f out", a.F)
	case a.View == secagg.ViewSum.String():
		c.refuse("aggregation.view", "sum shows rule %s one vector, of which it cannot choose: choose bucket_means", a.Rule)
	case a.View == secagg.ViewBucketMeans.String() && needsVectors(a.Rule):
		c.refuse("aggregation.view", "bucket_means: rule %s needs to know whose vector is whose, so view vectors", a.Rule)
	case outOfRounds[a.Rule] != "":
		c.refuse("aggregation.rule", "%s %s: it is for choir robust apply", a.Rule, outOfRounds[a.Rule])
	}
}

// needsVectors reports whether a rule cannot do with means of buckets.
func needsVectors(rule string) bool {
	return slices.ContainsFunc(robust.Rules(), func(i robust.Info) bool { return i.Name == rule && i.View == secagg.ViewVectors.String() })
}

// checkVectors refuses what does not go with the view of each client's own vector.
func (p *Plan) checkVectors(c *checker) {
	l := p.literal
	c.unless(l.Aggregation.Buckets == Buckets(secagg.Each()), "aggregation.buckets", "size and minimum belong to bucket_means: view vectors opens each client's own")
	switch mode := secagg.PrivacyMode(l.Privacy.Mode); {
	case mode == secagg.PrivacyCentral:
		c.refuse("aggregation.view", "vectors under mode central: what a rule makes can hang on a single vector, so noise enough for a sum would not do, and noise enough for each is mode local")
	case mode == secagg.PrivacyDistributed:
		c.refuse("aggregation.view", "vectors under mode distributed: a client's share of the noise protects nobody alone; choose mode local, or view bucket_means")
	case mode == secagg.PrivacyLocal && !l.Privacy.TrustCoordinator:
		c.refuse("aggregation.view", "vectors shows the coordinator what each single client sends: say privacy.trust_coordinator: true, or choose bucket_means")
	}
}
