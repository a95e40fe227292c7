// Package report draws a finished simulation as one HTML file: plots, settings, and
// a table of all attempts. The file needs nothing beside itself, no script, no font,
// no image, no network, and follows the reader's choice of a dark or a light page.
package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"github.com/choir-fl/choir/sim"
)

// Page is what a report shows beside the result.
type Page struct {
	Job    string
	Result sim.Result
	// Sees says in a paragraph what the coordinator could see under the plan.
	Sees string
	// Settings are shown after those in the result, in their order.
	Settings []Setting
}

// Setting is a line of the settings table.
type Setting struct{ Name, Value string }

//go:embed page.html
var pageSource string

// view is what the template gets.
type view struct {
	Page
	Facts    []fact
	Plots    []plot
	Settings []Setting
	Rows     []row
	// Statements are what is promised, Audits what canaries found of it; Spends is whether
	// rows have an epsilon.
	Statements, Audits []Statement
	AuditNote          string
	Spends             bool
}

// fact is a number in the headline.
type fact struct{ Value, Name string }

// row is an attempt in the table.
type row struct {
	sim.Round
	Sums, Accuracy, Loss, Up, Down, Modelled, Measured, Released, Rosters, Clip string
}

// WriteHTML writes the file. It is a function of the page alone.
func (p Page) WriteHTML(w io.Writer) error {
	t, err := template.New("page").Parse(pageSource)
	if err != nil {
		return fmt.Errorf("report: template: %w", err) // not reached: a test parses it
	}
	return t.Execute(w, view{Page: p, Facts: p.facts(), Plots: plots(p.Result.Rounds), Settings: p.settings(), Rows: rows(p.Result.Rounds),
		Statements: Statements(p.Result), Audits: Audits(p.Result), AuditNote: AuditNote, Spends: spends(p.Result.Rounds)})
}

func (p Page) facts() []fact {
	c, f := p.Result.Config, p.Result.Final
	out := []fact{{number(f.TestAccuracy, "%.4f"), "test accuracy"}, {number(f.TestLoss, "%.4f"), "test loss"},
		{fmt.Sprintf("%d of %d", f.RoundsCompleted, c.Rounds), "rounds released"}}
	out = append(out, attackFacts(p.Result)...)
	if f.RoundsFailed > 0 {
		out = append(out, fact{fmt.Sprint(f.RoundsFailed), "failed attempts"})
	}
	if f.Delta != nil {
		out = append(out, fact{Epsilon(f.EpsilonReleased), fmt.Sprintf("epsilon of released models, delta %g", *f.Delta)}, fact{Epsilon(f.EpsilonCoordinator), "epsilon against who sees rosters"})
	}
	if n := len(p.Result.Rounds); n > 0 {
		out = append(out, fact{size(p.Result.Rounds[n-1].BytesUp), "sent by a client in a round"})
	}
	return append(out, fact{fmt.Sprintf("%.1f s", f.WallMS/1000), "on this machine"})
}

func (p Page) settings() []Setting {
	r, c := p.Result, p.Result.Config
	out := []Setting{
		{"scheme", c.Scheme}, {"fidelity", fidelity(c.Fidelity)}, {"rule", c.Rule}, {"privacy mode", c.DPMode},
		{"epsilon, who sees released models", at(r.Final.EpsilonReleased, r.Final.Delta)},
		{"epsilon, who sees a roster", at(r.Final.EpsilonCoordinator, r.Final.Delta)},
		{"clients", fmt.Sprint(c.Clients)}, {"cohort", fmt.Sprint(c.Cohort)}, {"rounds", fmt.Sprint(c.Rounds)},
		{"clients that vanish in a round", fmt.Sprintf("%g %%", 100*c.Dropout)}, {"Byzantine clients", fmt.Sprintf("%g %%", 100*c.Byzantine)}, {"attack", attack(p.Result)},
		{"model", fmt.Sprintf("%s, %d parameters", c.Model, c.Parameters)}, {"data", c.Dataset}, {"seed", fmt.Sprint(r.Seed)},
		{"model digest", r.Final.ModelDigest},
	}
	return append(append(out, Detections(r)...), p.Settings...)
}

func fidelity(f sim.Fidelity) string {
	if f == sim.Fast {
		return "fast: plain sums of the same integers, no cryptography ran"
	}
	return "full: all cryptography ran"
}

func rows(rounds []sim.Round) []row {
	out := make([]row, len(rounds))
	for i, r := range rounds {
		out[i] = row{r, Buckets(r), number(r.TestAccuracy, "%.4f"), number(r.TestLoss, "%.4f"), size(r.BytesUp), size(r.BytesDown),
			fmt.Sprintf("%.1f s", r.VirtualSeconds), fmt.Sprintf("%.0f ms", r.WallMS), Epsilon(r.EpsilonReleased), Epsilon(r.EpsilonCoordinator), number(r.ClipNorm, "%.4g")}
	}
	return out
}

// Buckets says how many sums an attempt had, and how many of them were left out for
// too few clients (short), or because they held what is no client's vector (spoiled).
func Buckets(r sim.Round) string {
	var out []string
	if r.Short > 0 {
		out = append(out, fmt.Sprintf("%d short", r.Short))
	}
	if r.Spoiled > 0 {
		out = append(out, fmt.Sprintf("%d spoiled", r.Spoiled))
	}
	if len(out) == 0 {
		return fmt.Sprint(r.Buckets)
	}
	return fmt.Sprintf("%d, %s", r.Buckets, strings.Join(out, ", "))
}

func number(v *float64, format string) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf(format, *v)
}

// size prints a size.
func size(v float64) string {
	switch {
	case v >= 1<<30:
		return fmt.Sprintf("%.2f GiB", v/(1<<30))
	case v >= 1<<20:
		return fmt.Sprintf("%.2f MiB", v/(1<<20))
	case v >= 1<<10:
		return fmt.Sprintf("%.1f KiB", v/(1<<10))
	}
	return fmt.Sprintf("%.0f B", math.Round(v))
}
