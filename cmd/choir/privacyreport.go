package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/sim/report"
)

// privacySchema names the JSON document of choir privacy.
const privacySchema = "choir.privacy/1"

// privacyDocument is the answer. A value that does not apply is null; fields are
// added, never changed.
type privacyDocument struct {
	Schema string `json:"schema"`
	// Epsilon and Delta hold together; the lower bounds are of the best that is provable.
	Epsilon      float64  `json:"epsilon"`
	EpsilonLower *float64 `json:"epsilon_lower"`
	Delta        float64  `json:"delta"`
	DeltaLower   *float64 `json:"delta_lower"`
	Accountant   string   `json:"accountant"`
	Order        *float64 `json:"order"` // Renyi order of rdp
	Grid         *float64 `json:"grid"`  // spacing of losses of pld; null where it was not needed
	Unit         string   `json:"unit"`
	Relation     string   `json:"relation"`
	Events       []string `json:"events"` // as --event takes them
	// What was sought. StdDev is in the units of the clip norm, null where none is stated or
	// events differ.
	NoiseMultiplier *float64 `json:"noise_multiplier"`
	StdDev          *float64 `json:"stddev"`
	Steps           *int64   `json:"steps"`
	Cohort          *int64   `json:"cohort"`
	Warnings        []string `json:"warnings"`

	samplings []string
	sampled   bool
}

var relationMeaning = map[string]string{
	"zero-out":    "a client's contribution becomes zero; the sum changes by the clip norm at most",
	"add-remove":  "a client is there or not; the sum changes by the clip norm at most, and no denominator may depend on the data",
	"replace-one": "a client's contribution becomes any other; the sum changes by twice the clip norm at most",
}

var accountantMeaning = map[string]string{
	"pld": "composes whole laws of the privacy loss; holds for a schedule that was fixed in advance",
	"rdp": "Renyi divergences",
	"gdp": "exact for Gaussian noise without sampling",
}

// describe adds to an answer what was asked and found, and what to beware of.
func (q question) describe(d *privacyDocument, events []dp.Event, value float64) {
	open := 0
	for i, s := range q.stated {
		d.Events = append(d.Events, s.filled(q.sought.orNothing(), value).String())
		d.describeSampling(events[i])
		if q.sought == &noiseSought && q.sought.open(s) && (s.has("clip") || s.has("sensitivity")) {
			deviation := events[i].StdDev()
			d.StdDev = &deviation
			open++
		}
	}
	if open > 1 {
		d.StdDev = nil
	}
	whole := int64(value)
	switch q.sought {
	case &noiseSought:
		d.NoiseMultiplier = &value
	case &stepsSought:
		d.Steps = &whole
	case &cohortSought:
		d.Cohort = &whole
	}
	d.warn(events)
}

func (d *privacyDocument) describeSampling(e dp.Event) {
	s := e.Spec().Sampling
	switch s.Mode {
	case dp.SamplingPoisson:
		d.samplings = append(d.samplings, fmt.Sprintf("poisson: each client by its own secret coin, with probability %g", s.Rate))
	case dp.SamplingTruncatedPoisson:
		d.samplings = append(d.samplings, fmt.Sprintf("poisson: each of %d clients by its own secret coin, with probability %g; of a cohort above %d a secret subset of that size", s.Population, s.Rate, s.Size))
	case dp.SamplingFixed:
		d.samplings = append(d.samplings, fmt.Sprintf("fixed: a secret subset of %d out of %d clients", s.Size, s.Population))
	default:
		d.samplings = append(d.samplings, "none: nothing is claimed about who takes part")
		return
	}
	d.sampled = true
}

func (d *privacyDocument) warn(events []dp.Event) {
	warn := func(format string, args ...any) { d.Warnings = append(d.Warnings, fmt.Sprintf(format, args...)) }
	population := 0
	for _, e := range events {
		s := e.Spec()
		population = max(population, s.Sampling.Population)
		if s.Sampling.Mode == dp.SamplingTruncatedPoisson && d.Accountant == "pld" {
			warn("the lower bound is about the pair of laws that the upper bound rests on; no data attain it where a capacity cuts cohorts")
			break
		}
	}
	if most := math.Pow(float64(population), -1.1); population > 1 && d.Delta > most {
		warn("delta %g is above %.2g, the population to the power -1.1: it allows that some client is exposed", d.Delta, most)
	}
	if d.EpsilonLower != nil && d.Epsilon-*d.EpsilonLower > 0.01*d.Epsilon {
		warn("the bounds are more than 1 %% apart: a finer grid gives a better upper bound")
	}
	if d.Epsilon > 10 {
		warn("an epsilon above 10 promises little")
	}
	if d.Delta >= 1 {
		warn("delta 1 promises nothing")
	}
	if d.Steps != nil && *d.Steps == dp.MaxCount {
		warn("more steps are not counted: this is where the search ends")
	}
}

// writeText prints the answer and says what it means. Numbers are exact: rounding one
// would turn a bound into no bound.
func (d privacyDocument) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	exact := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	switch {
	case d.NoiseMultiplier != nil:
		row("noise multiplier", "%s, standard deviation over sensitivity", exact(*d.NoiseMultiplier))
		if d.StdDev != nil {
			row("standard deviation", "%s, in the units of the clip norm", exact(*d.StdDev))
		}
	case d.Steps != nil:
		row("steps", "%d at most", *d.Steps)
	case d.Cohort != nil:
		row("cohort", "%d clients at most", *d.Cohort)
	}
	row("epsilon", "%s at delta %s (upper bound)", exact(d.Epsilon), exact(d.Delta))
	switch {
	case d.EpsilonLower != nil:
		row("lower bound", "epsilon %s: nothing below this is provable", exact(*d.EpsilonLower))
	case d.DeltaLower != nil:
		row("lower bound", "delta %s: nothing below this is provable", exact(*d.DeltaLower))
	default:
		row("lower bound", "unknown to this accountant")
	}
	row("means", "%s", report.Odds(d.Epsilon))
	row("protects", "one client: all of its records together")
	row("relation", "%s: %s", d.Relation, relationMeaning[d.Relation])
	for i, e := range d.Events {
		row("event "+strconv.Itoa(i+1), "%s", e)
		row("  sampling", "%s", d.samplings[i])
	}
	if d.sampled {
		row("vouched for by", "whoever states the sampling: nothing here can check that cohorts were drawn so, and secretly")
		row("holds against", "those who see released models only; whoever sees who took part (coordinator, committee, peers, logs): use --sampling none")
	} else {
		row("holds against", "everybody who sees the noisy sums, and who took part")
	}
	how := d.Accountant + ": " + accountantMeaning[d.Accountant]
	if d.Order != nil {
		how += fmt.Sprintf("; order %g", *d.Order)
	}
	if d.Grid != nil {
		how += fmt.Sprintf("; grid %g", *d.Grid)
	}
	row("accountant", "%s", how)
	for _, warning := range d.Warnings {
		row("warning", "%s", warning)
	}
	return t.Flush()
}
