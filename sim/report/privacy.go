package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/choir-fl/choir/sim"
)

// Statement is what a run promises to its clients against one observer, in words.
type Statement struct {
	// Name says against whom, Value is epsilon at delta, an upper bound that is rounded
	// up, or "none stated", and Meaning a sentence about it.
	Name, Value, Meaning string
}

// Statements are those of a run, for both observers.
func Statements(r sim.Result) []Statement {
	f := r.Final
	models, rosters := "noise in each step bounds what all of them together tell", ""
	switch {
	case f.Delta == nil:
		models = "mode " + r.Config.DPMode + " adds no noise: nothing bounds what the models tell of a client"
		rosters = "exact sums were opened to the coordinator"
	case len(r.Rounds) == 0:
		models, rosters = "nothing was charged, and nothing released", "nothing was charged, and nothing released"
	case f.EpsilonReleased == nil:
		models = "there is no finite bound"
	}
	switch {
	case f.Delta == nil || len(r.Rounds) == 0:
	case f.EpsilonCoordinator != nil:
		rosters = "the coordinator, its committee and the clients of a cohort know who took part, which no sampling hides from them"
	case r.Config.DPMode == "central":
		rosters = "the coordinator saw exact sums, and is trusted with them"
	default:
		rosters = "there is no finite bound, or the coordinator saw single vectors and is trusted with them"
	}
	return []Statement{
		{"epsilon, who sees released models", at(f.EpsilonReleased, f.Delta), sentence(models, f.EpsilonReleased)},
		{"epsilon, who sees a roster", at(f.EpsilonCoordinator, f.Delta), sentence(rosters, f.EpsilonCoordinator)},
	}
}

func at(v, delta *float64) string {
	if v == nil || delta == nil {
		return "none stated"
	}
	return fmt.Sprintf("%s at delta %g", Upper(*v), *delta)
}

// sentence adds to a reason what an epsilon means.
func sentence(reason string, v *float64) string {
	if v == nil {
		return reason
	}
	return reason + ": " + Odds(*v)
}

// drawTrade plots accuracy against epsilon of released models: a mark for each attempt, as
// in the other plots, at the epsilon that was spent by then. False if no epsilon is stated.
func drawTrade(rounds []sim.Round) (plot, bool) {
	var spent []float64
	for _, r := range rounds {
		if r.EpsilonReleased != nil {
			spent = append(spent, *r.EpsilonReleased)
		}
	}
	if len(spent) == 0 {
		return plot{}, false
	}
	accuracy := series{key: key{"test accuracy", "a"}}
	for _, r := range rounds {
		accuracy.values = append(accuracy.values, optional(r.TestAccuracy))
	}
	a := newAxis([]series{accuracy}, false, plainUnits)
	e := newAxis([]series{{values: spent}}, true, plainUnits)
	across := func(v float64) float64 { return left + innerWidth*(min(max(v, e.lo), e.hi)-e.lo)/(e.hi-e.lo) }
	p := plot{Title: "Accuracy against epsilon", Across: "epsilon, who sees released models", Note: "what accuracy cost: epsilon of all released models, failed attempts included", Y: a.ticks(),
		Keys: []key{accuracy.key}}
	for i := range int(math.Round((e.hi-e.lo)/e.step)) + 1 {
		v := e.lo + float64(i)*e.step
		p.X = append(p.X, tick{place(across(v)), e.unit.text(v)})
	}
	points := ""
	for i, r := range rounds {
		m := mark{Title: name(r)}
		at := left
		if r.EpsilonReleased != nil {
			at = across(*r.EpsilonReleased)
			m.Title += fmt.Sprintf(", epsilon %s", Upper(*r.EpsilonReleased))
		}
		if v := accuracy.values[i]; r.EpsilonReleased != nil && !math.IsNaN(v) {
			m.Title += fmt.Sprintf(", test accuracy %s", a.unit.text(v))
			m.Dots = []dot{{"a", place(at), place(a.y(v)), "2.2"}}
			points += place(at) + "," + place(a.y(v)) + " "
		} else {
			m.Cross = &dot{"failed", place(at), place(top + innerHeight), "2.2"}
		}
		p.Marks = append(p.Marks, m)
	}
	p.Lines = []line{{"a", points}}
	return p, true
}

// spends reports whether there is an epsilon in a run.
func spends(rounds []sim.Round) bool {
	return slices.ContainsFunc(rounds, func(r sim.Round) bool { return r.EpsilonReleased != nil || r.EpsilonCoordinator != nil })
}
