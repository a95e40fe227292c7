package plan

import (
	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/secagg"
)

// byClients reports whether clients apply the rule, by weighing their own updates.
func (a Aggregation) byClients() bool { return a.Rule == (robust.RFA{}).Name() }

// weighed is what is left of rule rfa for the coordinator: the one sum, over its weights.
type weighed struct{ robust.Mean }

// Name implements robust.Rule.
func (weighed) Name() string { return robust.RFA{}.Name() }

// Passes is the number of rounds that make one step of the model: 1 but under rule rfa.
func (p Plan) Passes() int { return max(1, p.terms.Weiszfeld.Passes) }

// checkRFA makes the rule that clients apply, and refuses what does not go with it.
func (p *Plan) checkRFA(c *checker) {
	l, a := p.literal, p.literal.Aggregation
	rfa, err := a.spec().RFA()
	if err != nil {
		c.refuse("aggregation.rule", "%w", err)
		return
	}
	p.rule, p.terms.Weiszfeld = weighed{}, secagg.Weiszfeld{Smoothing: rfa.Nu, Passes: rfa.Passes}
	c.unless(a.View == secagg.ViewSum.String(), "aggregation.view", "%s: rule rfa goes from sum to sum; choose sum, or geometric-median", a.View)
	c.unless(a.Fallback == "", "aggregation.fallback", "%s: rule rfa goes from sum to sum, and has no buckets", a.Fallback)
	c.unless(a.Denominator == string(secagg.DenominatorWeights), "aggregation.denominator", "%s: the weights of rule rfa differ from pass to pass, and are what a sum is divided by: say weights", a.Denominator)
	c.unless(l.Privacy.Mode == string(secagg.PrivacyNone), "privacy.mode", "%s: rule rfa divides by weights that follow from the clients' data, and its passes release the same updates again; noise covers neither", l.Privacy.Mode)
	c.unless(l.Training.WorkerMomentum == 0, "training.worker_momentum", "%v: rule rfa asks for the same update in each pass, and a running mean moves on", l.Training.WorkerMomentum)
	c.unless(l.Rounds.Count%rfa.Passes == 0, "rounds.count", "%d is no multiple of the %d passes of rule rfa: each is a round, and the last of them moves the model", l.Rounds.Count, rfa.Passes)
	c.unless(!(l.byzantine() >= 0.5), "aggregation.byzantine", "%v: rule rfa withstands less than half the weight", l.byzantine())
}
