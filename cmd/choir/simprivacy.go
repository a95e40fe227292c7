package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/choir-fl/choir/cmd/choir/preflight"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/report"
)

// privacyFlags change what a plan says about noise.
type privacyFlags struct {
	mode           string
	multiplier     float64
	epsilon, delta float64
}

// withoutNoise turns a private plan into the same training without noise, and without
// what only noise needs: the coordinator is trusted with exact sums, weights and
// evaluations are summed, cohorts are a sample of fixed size and nobody's participation
// is capped. A plan without noise stays as it is.
func withoutNoise(l *plan.Literal) {
	if l.Privacy.Mode == string(secagg.PrivacyNone) {
		return
	}
	l.Privacy = plan.Privacy{Mode: string(secagg.PrivacyNone), TrustCoordinator: true}
	l.Aggregation.Denominator = string(secagg.DenominatorWeights)
	l.Evaluation.Clients = true
	l.Encoding.Scale, l.Encoding.Range = 0, 0 // chosen for rotated updates
	if l.Cohort.Selection == string(plan.SelectPoisson) {
		l.Cohort.Selection, l.Cohort.Population = string(plan.SelectUniform), 0
	}
	l.Cohort.Participations, l.Cohort.Separation = 0, 0
}

// override applies the flags that were given. Whom a simulation trusts is nobody's
// secret: what a mode or scheme needs is stated with it.
func (f privacyFlags) override(given func(string) bool, l *plan.Literal) error {
	for _, x := range []struct {
		flag  string
		value float64
	}{{"noise-multiplier", f.multiplier}, {"epsilon", f.epsilon}, {"delta", f.delta}} {
		if given(x.flag) && !(x.value > 0 && x.value <= math.MaxFloat64) {
			return errUsage.At("--%s %v is not a positive number", x.flag, x.value)
		}
	}
	if given("dp") && f.mode == string(secagg.PrivacyNone) {
		withoutNoise(l)
	} else if given("dp") {
		l.Privacy.Mode = f.mode
	}
	p := &l.Privacy
	if p.Mode == string(secagg.PrivacyNone) {
		for _, flag := range []string{"noise-multiplier", "epsilon", "delta"} {
			if given(flag) {
				return errUsage.At("--%s: privacy mode none has no noise", flag)
			}
		}
		return nil
	}
	if given("dp") || given("scheme") {
		p.TrustCoordinator = p.Mode == string(secagg.PrivacyCentral) || p.Mode == string(secagg.PrivacyDistributed) && l.Scheme.Name == plain.Name
	}
	if given("epsilon") {
		p.Epsilon, p.NoiseMultiplier = f.epsilon, 0 // calibrated, unless it is given
	}
	if given("delta") {
		p.Delta = f.delta
	}
	if given("noise-multiplier") {
		p.NoiseMultiplier = f.multiplier
	}
	return nil
}

// overridePopulation makes the virtual clients those that a plan draws from by coins, or
// the other way round, and returns how many there are.
func (f simFlags) overridePopulation(given func(string) bool, l *plan.Literal) int {
	k := &l.Cohort
	switch {
	case k.Selection != string(plan.SelectPoisson):
		if !given("clients") {
			return defaultClients
		}
	case given("clients"):
		k.Population = f.clients
	default:
		return k.Population
	}
	return f.clients
}

// defaultClients is how many virtual clients there are if neither a flag nor the plan says.
const defaultClients = 100

// leastCanaries is how many canaries an audit needs to show anything: audit.Grid.
const leastCanaries = 16

// checkAudit refuses an audit that could show nothing, or has no clients for it.
func (f simFlags) checkAudit(given func(string) bool) error {
	if given("audit") && (f.audit < leastCanaries || f.audit > f.clients) {
		return errUsage.At("--audit %d is not in %d..%d: fewer canaries show nothing, and there are no more clients", f.audit, leastCanaries, max(f.clients, leastCanaries))
	}
	return nil
}

// conclude writes what came of a run, also of one that was stopped or refuted, and
// returns its error.
func (f simFlags) conclude(w io.Writer, lit plan.Literal, checked plan.Plan, res sim.Result, err error) error {
	if err != nil && !stands(err) {
		return err
	}
	return errors.Join(f.present(w, lit, checked, res), err)
}

// stands reports whether the result of a run with this error is worth printing: its
// privacy budget stopped it, or its audit refutes what it claims.
func stands(err error) bool { return errors.Is(err, sim.ErrBudget) || errors.Is(err, sim.ErrAudit) }

// writeEpsilons prints what the run cost its clients, and what its audit found of that.
func writeEpsilons(w io.Writer, res sim.Result) {
	said := append(report.Statements(res), report.Audits(res)...)
	if res.Audit != nil {
		said = append(said, report.Statement{Name: "audited run", Meaning: report.AuditNote})
	}
	for _, s := range said {
		fmt.Fprint(w, s.Name)
		for _, text := range []string{s.Value, s.Meaning} {
			if text == "" {
				continue
			}
			for _, line := range strings.Split(strings.TrimSpace(preflight.Wrap(text, "", "", 90)), "\n") {
				fmt.Fprintf(w, "\t%s\n", line)
			}
		}
	}
}
