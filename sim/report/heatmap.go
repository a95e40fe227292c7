package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/choir-fl/choir/sim/matrix"
)

//go:embed heatmap.html
var heatmapSource string

// Heatmap draws a matrix: for each partition and share of attackers a table of
// defences by attacks, coloured by accuracy, with the worst case of each defence.
type Heatmap struct{ matrix.Report }

// heatView is what the template gets.
type heatView struct {
	matrix.Report
	Facts    []fact
	Colours  []colour
	Heat     []heat
	Settings []Setting
}

// heat is one table.
type heat struct {
	Title   string
	Columns []string
	Rows    []heatRow
	Reasons []string
}

type heatRow struct {
	Name  string
	Small string // what it costs in privacy
	Spots []spot
}

// spot is a field of the table.
type spot struct{ Class, Text, Small, Title string }

// WriteHTML writes one HTML file that needs nothing beside itself. It is a function of
// the report alone.
func (h Heatmap) WriteHTML(w io.Writer) error {
	t, err := template.New("heatmap").Parse(heatmapSource)
	if err != nil {
		return fmt.Errorf("report: template: %w", err) // not reached: a test parses it
	}
	v := heatView{Report: h.Report, Colours: colours(), Facts: h.facts(), Settings: h.settings()}
	for _, t := range h.Tables {
		v.Heat = append(v.Heat, h.table(t))
	}
	return t.Execute(w, v)
}

func (h Heatmap) facts() []fact {
	out := []fact{{fmt.Sprint(len(h.Cells)), "cells"}, {fmt.Sprint(h.Count(matrix.Done)), "with a number"}}
	for _, s := range []fact{{matrix.Refused, "refused"}, {matrix.Failed, "failed"}, {matrix.Pending, "did not run"}} {
		if n := h.Count(s.Value); n > 0 {
			out = append(out, fact{fmt.Sprint(n), s.Name})
		}
	}
	attacks := len(h.Attacks)
	if slices.Contains(h.Attacks, "none") {
		attacks--
	}
	return append(out, fact{fmt.Sprint(len(h.Defences)), "defences"}, fact{fmt.Sprint(attacks), "attacks"}, fact{fmt.Sprint(len(h.Seeds)), "seeds"})
}

func (h Heatmap) settings() []Setting {
	return []Setting{{"fidelity", fidelity(h.Fidelity)}, {"seeds", strings.Trim(fmt.Sprint(h.Seeds), "[]")}, {"builds", strings.Join(h.Builds, ", ")}, {"base plan", "as below; each defence replaces its rule"}}
}

// table draws one table.
func (h Heatmap) table(t matrix.Table) heat {
	out := heat{Title: fmt.Sprintf("%s, %g %% Byzantine (%d of %d clients)", t.Partition, 100*t.Byzantine, int(math.Round(t.Byzantine*float64(h.Clients))), h.Clients), Columns: h.Attacks}
	for _, r := range t.Rows {
		row := heatRow{Name: r.Defence, Small: epsilons(r)}
		for _, e := range r.Entries {
			where := r.Defence + ", " + e.Attack
			if e.Mean == nil {
				row.Spots = append(row.Spots, spot{"no", e.Status, "", where + ": " + e.Reason})
				out.Reasons = append(out.Reasons, fmt.Sprintf("%s: %s: %s", where, e.Status, e.Reason))
				continue
			}
			title := fmt.Sprintf("%s: %s", where, percent(*e.Mean))
			if e.AttackSuccess != nil {
				title += fmt.Sprintf(", attack succeeds in %s", percent(*e.AttackSuccess))
			}
			if e.RoundsFailed > 0 {
				title += fmt.Sprintf(", %d attempts failed", e.RoundsFailed)
			}
			row.Spots = append(row.Spots, spot{class(*e.Mean), percent(*e.Mean), deviation(e.Deviation), title})
		}
		row.Spots = append(row.Spots, worst(r), attackFree(r), drop(r))
		out.Rows = append(out.Rows, row)
	}
	return out
}

// epsilons are those of a row; empty where none is stated.
func epsilons(r matrix.Row) string {
	if r.EpsilonReleased == nil && r.EpsilonCoordinator == nil {
		return ""
	}
	return fmt.Sprintf("epsilon: released models %s, rosters %s", Epsilon(r.EpsilonReleased), Epsilon(r.EpsilonCoordinator))
}

func worst(r matrix.Row) spot {
	switch {
	case r.Worst != nil:
		return spot{class(r.Worst.Mean) + " gap", strings.TrimSpace(percent(r.Worst.Mean) + " " + deviation(r.Worst.Deviation)), r.Worst.Attack, r.Defence + ": least mean over the attacks"}
	case r.Unknown != "":
		return spot{"no gap", "unknown", r.Unknown, r.Defence + ": " + r.Unknown + " has no number"}
	}
	return spot{"soft gap", "–", "", "no attack in the matrix"}
}

func attackFree(r matrix.Row) spot {
	if r.AttackFree == nil {
		return spot{"soft", "–", "", "no number without attack"}
	}
	return spot{class(*r.AttackFree), percent(*r.AttackFree), "", r.Defence + ": mean without attack"}
}

func drop(r matrix.Row) spot {
	if r.Drop == nil {
		return spot{"soft", "–", "", "one of both is missing"}
	}
	return spot{"plain", fmt.Sprintf("%.1f", 100**r.Drop), "points", r.Defence + ": attack-free less WORST"}
}

func percent(v float64) string { return fmt.Sprintf("%.1f", 100*v) }

func deviation(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("± %.1f", 100**v)
}

// colour is a step of the scale.
type colour struct {
	Class      string
	Back, Fore template.CSS // made here, of numbers
}

// shades is the number of steps between 0 and 1.
const shades = 40

// ramp runs from dark to light with one hue after another, so that it also reads in grey
// and to who cannot tell red from green: nine points of the map viridis (matplotlib, CC0).
var ramp = [][3]float64{{68, 1, 84}, {71, 44, 122}, {59, 81, 139}, {44, 113, 142}, {33, 144, 141}, {39, 173, 129}, {92, 200, 99}, {170, 220, 50}, {253, 231, 37}}

// class is the step of an accuracy in [0,1].
func class(v float64) string {
	return fmt.Sprintf("h%d", int(math.Round(min(max(v, 0), 1)*shades)))
}

func colours() (out []colour) {
	for i := range shades + 1 {
		at := float64(i) / shades * float64(len(ramp)-1)
		k := min(int(at), len(ramp)-2)
		var c [3]int
		for j := range c {
			c[j] = int(math.Round(ramp[k][j] + (at-float64(k))*(ramp[k+1][j]-ramp[k][j])))
		}
		fore := template.CSS("#ffffff")
		if 0.2126*float64(c[0])+0.7152*float64(c[1])+0.0722*float64(c[2]) > 125 {
			fore = "#10151b"
		}
		out = append(out, colour{fmt.Sprintf("h%d", i), template.CSS(fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2])), fore})
	}
	return out
}
