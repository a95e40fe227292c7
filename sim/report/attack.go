package report

import (
	"fmt"
	"slices"

	"github.com/choir-fl/choir/sim"
)

// attack says what Byzantine clients did in a run.
func attack(r sim.Result) string {
	if r.Config.Attack == nil {
		return "none"
	}
	idle := 0
	for _, round := range r.Rounds {
		if round.Idle > 0 {
			idle++
		}
	}
	if idle > 0 {
		return fmt.Sprintf("%s; in %d of %d attempts the attackers knew too little, and were honest", *r.Config.Attack, idle, len(r.Rounds))
	}
	return *r.Config.Attack
}

// attackFacts are the headline's numbers about an attack.
func attackFacts(r sim.Result) []fact {
	var out []fact
	if r.Config.Attack != nil {
		out = append(out, fact{fmt.Sprintf("%g %%", 100*r.Config.Byzantine), "of the clients are Byzantine: " + *r.Config.Attack})
	}
	if r.Final.AttackSuccess != nil {
		out = append(out, fact{number(r.Final.AttackSuccess, "%.4f"), "attack success"})
	}
	return out
}

// Detections say how well what the coordinator saw told who attacked; none where nobody
// did.
func Detections(r sim.Result) []Setting {
	d := r.Detection
	if d == nil {
		return nil
	}
	return []Setting{{"bad vectors, by the rule's choice", detector(d.Rule)}, {"bad vectors, by alerts", detector(d.Alerts)},
		{"Byzantine clients, by reputation", detector(d.Reputation)}}
}

func detector(d *sim.Detector) string {
	if d == nil {
		return "nobody can be named"
	}
	text := fmt.Sprintf("%d of %d bad ones named, %d named in all", d.Right, d.Bad, d.Named)
	if d.Precision != nil {
		text += fmt.Sprintf("; precision %.3f", *d.Precision)
	}
	if d.Recall != nil {
		text += fmt.Sprintf("; recall %.3f", *d.Recall)
	}
	if d.First != nil {
		text += fmt.Sprintf("; first in round %d", *d.First)
	}
	return text
}

// attackPlots shows a backdoor's success, where there is one to measure, and how many
// attackers were in each attempt.
func attackPlots(rounds []sim.Round, column func(name, class string, value func(sim.Round) float64) series) []plot {
	var out []plot
	if slices.ContainsFunc(rounds, func(r sim.Round) bool { return r.AttackSuccess != nil }) {
		out = append(out, draw("Attack success", "share of probes, images of other classes with the trigger, that each released model takes for its target", rounds, false, plainUnits,
			column("attack success", "d", func(r sim.Round) float64 { return optional(r.AttackSuccess) })))
	}
	if slices.ContainsFunc(rounds, func(r sim.Round) bool { return r.Attackers > 0 }) {
		out = append(out, draw("Attackers", "Byzantine clients that were admitted, and those of them that knew too little to attack", rounds, true, plainUnits,
			column("attackers", "d", func(r sim.Round) float64 { return float64(r.Attackers) }),
			column("idle", "b", func(r sim.Round) float64 { return float64(r.Idle) })))
	}
	return out
}
