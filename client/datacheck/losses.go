package datacheck

import (
	"math"
	"slices"

	"github.com/choir-fl/choir/fault"
)

// ErrLosses is what CheckLosses refuses.
var ErrLosses = fault.New(fault.Invalid, "datacheck/losses", "losses say nothing about the examples", "look at the model and the features: is one of them no number?")

// AsksLosses reports whether the rules ask for CheckLosses in a round, from 1.
func (c Checks) AsksLosses(round uint32) bool {
	l := c.rules.Losses
	return on(l.Mode) && int64(round) >= int64(l.FromRound)
}

// CheckLosses finds the examples whose loss is above a threshold: the median of all
// losses plus K times their median absolute deviation (MAD) from it, and no less than
// Floor. The median of an even number of losses is the mean of the two in the middle. If
// the MAD is 0, more than half of the losses are the same and nothing can be said about
// the others: only infinite ones are found.
//
// loss is the loss of example i of t under the model of the round, for any labels; it is
// asked once for each, in their order. +Inf is above any threshold. An error of it is
// returned as it is. t is what Check left, all of it in each round: an example that was
// left out may come back under a better model. Errors: ErrTable as Check, ErrFailed as
// Check, and ErrLosses if a loss is NaN or -Inf, or the median or the MAD is not finite.
// Where the check is off, all of t is kept and loss is not called.
func (c Checks) CheckLosses(t Table, loss func(i int) (float64, error)) (Clean, Report, error) {
	if t == nil || t.Rows() < 1 {
		return Clean{}, Report{}, ErrTable.At("no examples")
	}
	rule := c.rules.Losses
	var losses []float64
	var spread *Spread
	if on(rule.Mode) {
		for i := range t.Rows() {
			x, err := loss(i)
			if err != nil {
				return Clean{}, Report{}, err
			}
			losses = append(losses, x)
		}
		var err error
		if spread, err = spreadOf(losses, rule); err != nil {
			return Clean{}, Report{}, err
		}
	}
	clean := Clean{table: t, keep: []int{}}
	f := Finding{Check: "losses", Mode: rule.Mode, Classes: make([]int, c.rules.Classes)}
	report := Report{Examples: t.Rows(), Classes: make([]int, c.rules.Classes), Checks: []Finding{}, Losses: spread}
	for i := range t.Rows() {
		label := t.Label(i)
		if spread != nil && spread.above(losses[i]) {
			f.count(label)
			if rule.Mode == ModeRepair {
				f.LeftOut++
				continue
			}
		}
		clean.keep = append(clean.keep, i)
		if label >= 0 && label < len(report.Classes) {
			report.Classes[label]++
		}
	}
	report.Kept = len(clean.keep)
	if spread != nil {
		f.judge(rule.Tolerate, report.Examples)
		report.Checks = append(report.Checks, f)
	}
	return clean, report, report.refusal(c.rules.MaxLeftOut)
}

// above reports whether a loss is an outlier.
func (s Spread) above(loss float64) bool {
	return math.IsInf(loss, 1) || s.MAD > 0 && loss > s.Threshold
}

// spreadOf measures losses, of which there is at least one.
func spreadOf(losses []float64, rule Losses) (*Spread, error) {
	sorted := slices.Clone(losses)
	for i, x := range sorted {
		if math.IsNaN(x) || math.IsInf(x, -1) {
			return nil, ErrLosses.At("example %d", i)
		}
	}
	s := Spread{Median: median(sorted)}
	for i, x := range sorted {
		sorted[i] = math.Abs(x - s.Median) // +Inf stays, and Inf-Inf is refused below
	}
	s.MAD = median(sorted)
	s.Threshold = s.Median + float64(rule.K*s.MAD)
	if rule.Floor > 0 {
		s.Threshold = max(s.Threshold, rule.Floor)
	}
	if math.IsInf(s.Threshold, 0) || math.IsNaN(s.Threshold) {
		return nil, ErrLosses.At("median %v, median absolute deviation %v", s.Median, s.MAD)
	}
	return &s, nil
}

// median sorts x and returns its median.
func median(x []float64) float64 {
	slices.Sort(x)
	n := len(x)
	if n%2 == 1 {
		return x[n/2]
	}
	return x[n/2-1]/2 + x[n/2]/2
}
