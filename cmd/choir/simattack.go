package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/adversary"
	"github.com/choir-fl/choir/sim/report"
)

// attackFlags say who attacks a simulation, and by what rule it defends itself.
type attackFlags struct {
	spec       string
	byzantine  float64
	rule       string
	f          int
	pre        []string
	parameters []string

	attack adversary.Attack // that of spec
}

func (a *attackFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	var attacks, named []string
	for _, info := range adversary.Attacks() {
		named = append(named, info.Name)
		attacks = append(attacks, info.Name)
		if len(info.Parameters) > 0 {
			attacks = append(attacks, info.Name+":")
		}
	}
	fl.StringVar(&a.spec, "attack", "", "what Byzantine clients do, as NAME or NAME:PARAMETER=VALUE,...: "+strings.Join(named, ", "))
	fl.Float64Var(&a.byzantine, "byzantine", 0, "share of all clients that are Byzantine, in [0,0.5), rounded to a number of clients; what the plan reckons with is its own affair")
	fl.StringVar(&a.rule, "rule", "", "aggregation rule: "+strings.Join(names(append(robust.Rules(), robust.ByClients()...)), ", ")+" (overrides the plan; what only its rule has goes)")
	fl.IntVar(&a.f, "f", 0, "number of Byzantine vectors that the rule is to withstand (overrides the plan)")
	fl.StringSliceVar(&a.pre, "pre", nil, "pre-aggregators in the order in which they are applied, such as clip:2,nnm (overrides the plan)")
	fl.StringArrayVar(&a.parameters, "param", nil, "a parameter of the rule as key=value; may be repeated (overrides the plan)")
	completeWith(cmd, "attack", attacks...)
	completeWith(cmd, "rule", names(append(robust.Rules(), robust.ByClients()...))...)
	completeWith(cmd, "pre", names(robust.Preaggregators())...)
}

// override applies the flags that were given to the plan, and reads the attack.
func (a *attackFlags) override(given func(string) bool, lit *plan.Literal) error {
	if !(a.byzantine >= 0 && a.byzantine < 0.5) { // NaN fails
		return errUsage.At("--byzantine %v is not in [0,0.5)", a.byzantine)
	}
	switch attacks := given("attack"); {
	case attacks && !(a.byzantine > 0):
		return errUsage.At("--attack %s: nobody attacks; add --byzantine SHARE", a.spec)
	case !attacks && a.byzantine > 0:
		return errUsage.At("--byzantine %v: nothing is said of what they do; add --attack NAME", a.byzantine)
	case attacks && given("audit"):
		return errUsage.At("--attack %s with --audit: canaries bound what is promised, and a run under attack is another one", a.spec)
	case attacks:
		var err error
		if a.attack, err = adversary.Parse(a.spec); err != nil {
			return errUsage.At("--attack").Because(err)
		}
	}
	if given("f") && a.f < 0 {
		return errUsage.At("--f %d is negative", a.f)
	}
	to := &lit.Aggregation
	if given("rule") && a.rule != cmp.Or(to.Rule, robust.Mean{}.Name()) {
		to.Rule, to.F, to.Pre, to.Parameters, to.Compat = a.rule, 0, nil, nil, ""
	}
	if given("f") {
		to.F = a.f
	}
	if given("pre") {
		to.Pre = a.pre
	}
	if len(a.parameters) > 0 {
		to.Parameters = maps.Clone(to.Parameters)
		if to.Parameters == nil {
			to.Parameters = map[string]string{}
		}
	}
	for _, p := range a.parameters {
		key, value, ok := strings.Cut(p, "=")
		if !ok || key == "" {
			return errUsage.At("--param %.70q", p).Because(errors.New("it is not key=value"))
		}
		to.Parameters[key] = value
	}
	// Nothing is divided, and nothing to fall back on, among vectors, and where clients apply the rule.
	if given("view") && to.View == secagg.ViewVectors.String() || given("rule") && a.rule == (robust.RFA{}).Name() {
		to.Fallback, to.Buckets = "", plan.Buckets{}
	}
	return nil
}

// writeAttack says what was done to a run, and with what success.
func writeAttack(w io.Writer, res sim.Result) {
	if c := res.Config; c.Attack != nil {
		fmt.Fprintf(w, "attack\t%s, by %g %% of the clients, against rule %s\n", *c.Attack, 100*c.Byzantine, c.Rule)
	}
	idle := 0
	for _, r := range res.Rounds {
		if r.Idle > 0 {
			idle++
		}
	}
	if idle > 0 {
		fmt.Fprintf(w, "\tin %d of %d attempts the attackers knew too little to attack, and were honest\n", idle, len(res.Rounds))
	}
	if res.Final.AttackSuccess != nil {
		fmt.Fprintf(w, "attack success\t%s of the probes are taken for the trigger's target\n", number(res.Final.AttackSuccess))
	}
	for _, d := range report.Detections(res) {
		fmt.Fprintf(w, "%s\t%s\n", d.Name, d.Value)
	}
}
