package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/choir-fl/choir/sim"
)

// Sizes of a plot in its own units, which the page scales.
const (
	plotWidth, plotHeight    = 520.0, 250.0
	left, right, top, bottom = 62.0, 14.0, 14.0, 34.0
	innerWidth               = plotWidth - left - right
	innerHeight              = plotHeight - top - bottom
)

// plot is a drawing with one mark for each attempt.
type plot struct {
	Title, Note string
	Across      string // what the horizontal axis shows
	Keys        []key
	Lines       []line
	Marks       []mark
	X, Y        []tick
}

// key names a series.
type key struct{ Name, Class string }

// line is a series' polyline, broken where values are missing.
type line struct{ Class, Points string }

// tick is a label on an axis.
type tick struct{ At, Text string }

// mark is one attempt: a dot for each series, with what a reader who points at it is told.
type mark struct {
	Title string
	Dots  []dot
	Bars  []bar
	Cross *dot // where nothing was measured, since the attempt failed
}

type dot struct{ Class, X, Y, R string }

type bar struct{ Class, X, Y, Width, Height string }

// series is a row of values, NaN where there is none.
type series struct {
	key
	values []float64
}

func plots(rounds []sim.Round) []plot {
	column := func(name, class string, value func(sim.Round) float64) series {
		s := series{key: key{name, class}, values: make([]float64, len(rounds))}
		for i, r := range rounds {
			s.values[i] = value(r)
		}
		return s
	}
	out := []plot{
		draw("Accuracy", "of each released model on the coordinator's test data", rounds, false, plainUnits,
			column("test accuracy", "a", func(r sim.Round) float64 { return optional(r.TestAccuracy) })),
		draw("Loss", "mean cross-entropy on the same data", rounds, false, plainUnits,
			column("test loss", "b", func(r sim.Round) float64 { return optional(r.TestLoss) })),
		drawClients(rounds),
		draw("Bytes per client", "mean over the admitted clients of a round, model included", rounds, true, byteUnits,
			column("sent", "a", func(r sim.Round) float64 { return r.BytesUp }),
			column("received", "b", func(r sim.Round) float64 { return r.BytesDown })),
		draw("Time per round, modelled", "virtual time from the first invitation to the end", rounds, true, timeUnits,
			column("virtual time", "a", func(r sim.Round) float64 { return r.VirtualSeconds })),
		draw("Time per round, measured", "of simulating the round on this machine; differs from run to run", rounds, true, timeUnits,
			column("time", "b", func(r sim.Round) float64 { return r.WallMS / 1000 })),
	}
	out = append(out, attackPlots(rounds, column)...)
	if spends(rounds) {
		out = append(out, draw("Epsilon", "of all attempts charged so far, for who sees released models and for who sees rosters", rounds, true, plainUnits,
			column("released models", "a", func(r sim.Round) float64 { return optional(r.EpsilonReleased) }),
			column("rosters", "b", func(r sim.Round) float64 { return optional(r.EpsilonCoordinator) })))
	}
	if trade, ok := drawTrade(rounds); ok {
		out = append(out, trade)
	}
	if slices.ContainsFunc(rounds, func(r sim.Round) bool { return r.Buckets > 1 }) {
		out = append(out, draw("Buckets", "each is summed and opened alone; short ones had too few clients left, spoiled ones held no client's vector", rounds, true, plainUnits,
			column("buckets", "a", func(r sim.Round) float64 { return float64(r.Buckets) }),
			column("short", "b", func(r sim.Round) float64 { return float64(r.Short) }),
			column("spoiled", "d", func(r sim.Round) float64 { return float64(r.Spoiled) })))
	}
	return out
}

// A unit is chosen for the largest value of an axis: how many of it make a value,
// and its name with the space before it.
type unit struct {
	size float64
	name string
}

var (
	plainUnits = []unit{{1, ""}}
	byteUnits  = []unit{{1, " B"}, {1 << 10, " KiB"}, {1 << 20, " MiB"}, {1 << 30, " GiB"}}
	timeUnits  = []unit{{1e-3, " ms"}, {1, " s"}, {60, " min"}, {3600, " h"}}
)

// fit returns the largest unit of which hi holds one.
func fit(units []unit, hi float64) unit {
	best := units[0]
	for _, u := range units {
		if hi >= u.size {
			best = u
		}
	}
	return best
}

func (u unit) text(v float64) string { return strconv.FormatFloat(v/u.size, 'g', 4, 64) + u.name }

func optional(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// draw makes a plot of lines. Without fromZero the vertical axis fits the values.
func draw(title, note string, rounds []sim.Round, fromZero bool, units []unit, all ...series) plot {
	a := newAxis(all, fromZero, units)
	p := plot{Title: title, Note: note, Across: "round", X: across(rounds), Y: a.ticks()}
	radius := fmt.Sprintf("%.1f", max(1.4, min(3.6, innerWidth/float64(max(len(rounds), 1))/3)))
	for _, s := range all {
		p.Keys = append(p.Keys, s.key)
		p.Lines = append(p.Lines, polylines(s, a)...)
	}
	for i, r := range rounds {
		m := mark{Title: name(r)}
		for _, s := range all {
			if v := s.values[i]; !math.IsNaN(v) {
				m.Title += fmt.Sprintf(", %s %s", s.Name, a.unit.text(v))
				m.Dots = append(m.Dots, dot{s.Class, place(x(i, len(rounds))), place(a.y(v)), radius})
			}
		}
		if len(m.Dots) == 0 {
			m.Cross = &dot{"failed", place(x(i, len(rounds))), place(top + innerHeight), radius}
		}
		p.Marks = append(p.Marks, m)
	}
	return p
}

// drawClients makes the plot of who was there: a bar of those invited, in it one of
// those admitted, in it one of the survivors, and a dot for those that dropped out.
func drawClients(rounds []sim.Round) plot {
	layers := []struct {
		key
		value func(sim.Round) int
		share float64 // of a bar's width
	}{
		{key{"invited", "c"}, func(r sim.Round) int { return r.Invited }, 0.86},
		{key{"admitted", "e"}, func(r sim.Round) int { return r.Admitted }, 0.86},
		{key{"survivors", "a"}, func(r sim.Round) int { return r.Survivors }, 0.5},
		{key{"dropped out", "d"}, func(r sim.Round) int { return r.Dropped }, 0},
	}
	all := make([]series, len(layers))
	for i, l := range layers {
		all[i].values = make([]float64, len(rounds))
		for j, r := range rounds {
			all[i].values[j] = float64(l.value(r))
		}
	}
	a := newAxis(all, true, plainUnits)
	p := plot{Title: "Clients", Across: "round", Note: "the survivors' sum is what was opened; who drops out after its upload survives", X: across(rounds), Y: a.ticks()}
	slot := innerWidth / float64(max(len(rounds), 1))
	for _, l := range layers {
		p.Keys = append(p.Keys, l.key)
	}
	for i, r := range rounds {
		m := mark{Title: name(r)}
		for _, l := range layers {
			v := float64(l.value(r))
			m.Title += fmt.Sprintf(", %s %s", l.Name, a.unit.text(v))
			if l.share == 0 {
				m.Dots = append(m.Dots, dot{l.Class, place(x(i, len(rounds))), place(a.y(v)), fmt.Sprintf("%.1f", max(1.2, min(3.2, slot/4)))})
				continue
			}
			w := min(slot, 40) * l.share
			m.Bars = append(m.Bars, bar{l.Class, place(x(i, len(rounds)) - w/2), place(a.y(v)), place(w), place(a.y(0) - a.y(v))})
		}
		p.Marks = append(p.Marks, m)
	}
	return p
}

func name(r sim.Round) string {
	s := fmt.Sprintf("round %d", r.Round)
	if r.Attempt > 1 {
		s += fmt.Sprintf(", attempt %d", r.Attempt)
	}
	if r.Outcome != sim.Released {
		s += ", " + r.Outcome
		if r.Reason != "" {
			s += ": " + r.Reason
		}
	}
	return s
}

// x is where attempt i of n lies: in the middle of its slot.
func x(i, n int) float64 { return left + innerWidth*(float64(i)+0.5)/float64(n) }

func place(v float64) string { return fmt.Sprintf("%.2f", v) }

// across labels the horizontal axis with rounds, at most a dozen.
func across(rounds []sim.Round) []tick {
	step := int(math.Max(1, niceStep(float64(len(rounds)), 12)))
	var out []tick
	for i, r := range rounds {
		if r.Round%step == 0 && (i == 0 || rounds[i-1].Round != r.Round) || len(rounds) == 1 {
			out = append(out, tick{place(x(i, len(rounds))), fmt.Sprint(r.Round)})
		}
	}
	return out
}

// axis maps values to heights.
type axis struct {
	lo, hi, step float64
	unit         unit
}

func newAxis(all []series, fromZero bool, units []unit) axis {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, s := range all {
		for _, v := range s.values {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	if lo > hi { // no value at all
		lo, hi = 0, 1
	}
	if fromZero {
		lo = min(lo, 0)
	}
	if hi == lo {
		lo, hi = lo-math.Abs(lo)/10-1e-9, hi+math.Abs(hi)/10+1e-9
		if fromZero {
			lo, hi = 0, 1
		}
	}
	u := fit(units, hi)
	step := niceStep((hi-lo)/u.size, 5) * u.size
	return axis{math.Floor(lo/step+1e-9) * step, math.Ceil(hi/step-1e-9) * step, step, u}
}

func (a axis) y(v float64) float64 {
	return top + innerHeight*(1-(min(max(v, a.lo), a.hi)-a.lo)/(a.hi-a.lo))
}

func (a axis) ticks() (out []tick) {
	for i := range int(math.Round((a.hi-a.lo)/a.step)) + 1 {
		v := a.lo + float64(i)*a.step
		out = append(out, tick{place(a.y(v)), a.unit.text(v)})
	}
	return out
}

// niceStep returns 1, 2 or 5 times a power of ten that divides span into at most
// most parts.
func niceStep(span float64, most int) float64 {
	power := math.Pow(10, math.Floor(math.Log10(span/float64(most))))
	for _, m := range []float64{1, 2, 5} {
		if span/(m*power) <= float64(most) {
			return m * power
		}
	}
	return 10 * power
}

// polylines joins neighbouring values.
func polylines(s series, a axis) (out []line) {
	points := ""
	for i, v := range s.values {
		if !math.IsNaN(v) {
			points += place(x(i, len(s.values))) + "," + place(a.y(v)) + " "
			continue
		}
		if points != "" {
			out = append(out, line{s.Class, points})
		}
		points = ""
	}
	if points != "" {
		out = append(out, line{s.Class, points})
	}
	return out
}
