package datacheck

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/choir-fl/choir/fault"
)

// Refusals of data.
var (
	ErrTable  = fault.New(fault.Invalid, "datacheck/table", "the examples are no table", "give at least one example, all with the same number of features")
	ErrFailed = fault.New(fault.Refused, "datacheck/failed", "the data fail a check that refuses them", "look at the report, correct the data or the rules")
)

// Table is a device's examples. It must not change while it is checked or used.
type Table interface {
	// Rows is the number of examples.
	Rows() int
	// Features are those of example i, from 0. The slice is not written to, nor kept.
	Features(i int) []float32
	// Label is the class of example i.
	Label(i int) int
}

// Clean is what checks have left of a table: some of its examples, in their order, with
// values clamped where columns say so. It is a Table itself, and refers to the one that
// was checked. Safe for concurrent use if that one is.
type Clean struct {
	table   Table
	keep    []int
	columns []Column // that clamp
}

// Rows implements Table.
func (c Clean) Rows() int { return len(c.keep) }

// Features implements Table.
func (c Clean) Features(i int) []float32 {
	features, _ := clamped(c.table.Features(c.keep[i]), c.columns)
	return features
}

// Label implements Table.
func (c Clean) Label(i int) int { return c.table.Label(c.keep[i]) }

// Keep returns the indices, in the table that was checked, of the examples that are left,
// rising.
func (c Clean) Keep() []int { return slices.Clone(c.keep) }

// clamped returns the features with finite values outside their range moved to its
// nearest end, and how many: the same slice if there is none, else a new one.
func clamped(features []float32, columns []Column) (out []float32, moved int) {
	out = features
	for _, c := range columns {
		for j := c.First; j <= c.Last && j < len(features); j++ {
			if v := features[j]; c.outside(v) && finite(v) {
				if moved == 0 {
					out = slices.Clone(features)
				}
				out[j] = min(max(v, float32(c.Min)), float32(c.Max))
				moved++
			}
		}
	}
	return out, moved
}

func finite(v float32) bool { x := float64(v); return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Check makes all checks but that of losses. It returns what they leave and what they
// found, the latter also together with ErrFailed, which says that a check in ModeRefuse
// found something, that repairs would leave out more than MaxLeftOut, or that nothing is
// left: then nothing is to be trained. ErrTable says that there are no examples, or that
// one does not have as many features as the rules say, or as the first one, where the
// schema check is off.
func (c Checks) Check(t Table) (Clean, Report, error) {
	if t == nil || t.Rows() < 1 {
		return Clean{}, Report{}, ErrTable.At("no examples")
	}
	p := c.begin(t)
	for i := range t.Rows() {
		if err := p.example(i); err != nil {
			return Clean{}, Report{}, err
		}
	}
	return p.end()
}

// pass goes over a table once.
type pass struct {
	rules Rules
	table Table
	width int // of each example, where no check looks at it
	looks []*look
	seen  map[key]struct{}
	clean Clean
}

// look is one check during a pass.
type look struct {
	Finding
	tolerate float64
	find     func(features []float32, label int, at func(feature int)) bool
	features map[int]int // examples by feature
}

// begin prepares a pass over a table that is not empty.
func (c Checks) begin(t Table) *pass {
	r := c.rules
	p := &pass{rules: r, table: t, width: r.Features, seen: map[key]struct{}{}, clean: Clean{table: t, keep: []int{}}}
	if p.width == 0 {
		p.width = len(t.Features(0))
	}
	for _, col := range r.Columns {
		if col.Clamp {
			p.clean.columns = append(p.clean.columns, col)
		}
	}
	add := func(name string, mode Mode, tolerate float64, find func([]float32, int, func(int)) bool) {
		if on(mode) {
			p.looks = append(p.looks, &look{Finding: Finding{Check: name, Mode: mode, Classes: make([]int, r.Classes)}, tolerate: tolerate, find: find, features: map[int]int{}})
		}
	}
	add("schema", r.Schema, 0, p.schema)
	add("finite", r.Finite, 0, notFinite)
	add("range", r.Range, 0, p.ranges)
	add("labels", r.Labels, 0, p.label)
	add("duplicates", r.Duplicates.Mode, r.Duplicates.Tolerate, p.duplicate)
	return p
}

// on reports whether a check is made.
func on(m Mode) bool { return m != ModeOff && m != "" }

// example checks one, and keeps it unless a repair leaves it out.
func (p *pass) example(i int) error {
	features, label := p.table.Features(i), p.table.Label(i)
	if !on(p.rules.Schema) && len(features) != p.width {
		return ErrTable.At("example %d has %d features, not %d", i, len(features), p.width)
	}
	for _, l := range p.looks {
		if !l.find(features, label, func(feature int) { l.features[feature]++ }) {
			continue
		}
		l.count(label)
		if l.Mode != ModeRepair {
			continue
		}
		repaired, moved := clamped(features, p.clean.columns)
		if l.Check != "range" || p.ranges(repaired, label, func(int) {}) {
			l.LeftOut++
			return nil
		}
		l.Clamped += moved
		features = repaired
	}
	p.clean.keep = append(p.clean.keep, i)
	return nil
}

// schema finds a wrong number of features, and those of another kind.
func (p *pass) schema(features []float32, _ int, at func(int)) (bad bool) {
	if len(features) != p.rules.Features {
		return true
	}
	for _, c := range p.rules.Columns {
		for j := c.First; j <= c.Last; j++ {
			if !c.fits(features[j]) {
				at(j)
				bad = true
			}
		}
	}
	return bad
}

func notFinite(features []float32, _ int, at func(int)) (bad bool) {
	for j, v := range features {
		if !finite(v) {
			at(j)
			bad = true
		}
	}
	return bad
}

func (p *pass) ranges(features []float32, _ int, at func(int)) (bad bool) {
	for _, c := range p.rules.Columns {
		for j := c.First; j <= c.Last && j < len(features); j++ {
			if c.outside(features[j]) {
				at(j)
				bad = true
			}
		}
	}
	return bad
}

func (p *pass) label(_ []float32, label int, _ func(int)) bool {
	return label < 0 || label >= p.rules.Classes
}

func (p *pass) duplicate(features []float32, label int, _ func(int)) bool {
	k := keyOf(features, label, p.rules.Duplicates.Grid)
	_, there := p.seen[k]
	p.seen[k] = struct{}{}
	return there
}

// end adds up.
func (p *pass) end() (Clean, Report, error) {
	report := Report{Examples: p.table.Rows(), Kept: len(p.clean.keep), Classes: make([]int, p.rules.Classes), Checks: []Finding{}}
	for _, i := range p.clean.keep {
		if label := p.table.Label(i); label >= 0 && label < p.rules.Classes {
			report.Classes[label]++
		}
	}
	for _, l := range p.looks {
		l.judge(l.tolerate, report.Examples)
		for _, feature := range slices.Sorted(maps.Keys(l.features)) {
			l.Features = append(l.Features, Feature{feature, l.features[feature]})
		}
		report.Checks = append(report.Checks, l.Finding)
	}
	if on(p.rules.Balance.Mode) {
		report.balance(p.rules.Balance)
	}
	return p.clean, report, report.refusal(p.rules.MaxLeftOut)
}

// refusal is ErrFailed if nothing is to be trained on what was checked.
func (r Report) refusal(maxLeftOut float64) error {
	var failed []string
	for _, f := range r.Checks {
		if f.Failed && f.Mode == ModeRefuse {
			failed = append(failed, f.Check)
		}
	}
	left := r.Examples - r.Kept
	switch {
	case len(failed) > 0:
		return ErrFailed.At("checks %s", strings.Join(failed, ", "))
	case r.Kept == 0:
		return ErrFailed.At("repairs leave none of %d examples", r.Examples)
	case maxLeftOut > 0 && float64(left)/float64(r.Examples) > maxLeftOut:
		return ErrFailed.At("repairs leave out %d of %d examples, more than a share of %v", left, r.Examples, maxLeftOut)
	}
	return nil
}
