package main

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/choir-fl/choir/client/datacheck"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/sim/model"
	"github.com/choir-fl/choir/tensor"
)

// checkedData makes the checks that a configuration asks for and returns what they leave
// of the data. What they find is logged, on this device, and goes nowhere else.
func checkedData(set dataset.Dataset, rules datacheck.Rules, path string, log *slog.Logger) (dataset.Dataset, datacheck.Checks, error) {
	rules.Features, rules.Classes = cmp.Or(rules.Features, set.Dim()), cmp.Or(rules.Classes, set.Classes())
	checks, err := datacheck.New(rules)
	if err != nil {
		return set, checks, errConfig.At("%s: data_checks", path).Because(err)
	}
	clean, report, err := checks.Check(rowsOf{set})
	logFindings(log, report)
	if err != nil {
		return set, checks, err
	}
	kept := set.Subset(clean.Keep())
	for _, f := range report.Checks {
		if f.Clamped > 0 {
			kept, err = tableOf(clean, set)
			return kept, checks, err
		}
	}
	return kept, checks, nil
}

// rowsOf is a data set as checks see it.
type rowsOf struct{ dataset.Dataset }

// Rows implements datacheck.Table.
func (r rowsOf) Rows() int { return r.Len() }

// tableOf copies examples into a data set like another one.
func tableOf(t datacheck.Table, like dataset.Dataset) (dataset.Dataset, error) {
	features, labels := make([]float32, 0, t.Rows()*like.Dim()), make([]int, 0, t.Rows())
	for i := range t.Rows() {
		features, labels = append(features, t.Features(i)...), append(labels, t.Label(i))
	}
	return dataset.New(features, labels, like.Shape(), like.Classes())
}

// logFindings tells the device's owner what checks found.
func logFindings(log *slog.Logger, r datacheck.Report) {
	for _, f := range r.Checks {
		level, more := slog.LevelInfo, []any{}
		if f.Failed {
			level = slog.LevelWarn
		}
		switch {
		case f.Check == "balance" && r.Balance != nil:
			more = []any{"largest_share", r.Balance.Largest, "classes_missing", r.Balance.Missing, "classes_small", r.Balance.Small}
		case f.Check == "losses" && r.Losses != nil:
			more = []any{"median", r.Losses.Median, "threshold", r.Losses.Threshold}
		}
		log.With(more...).Log(context.Background(), level, "data check", "check", f.Check, "mode", f.Mode, "failed", f.Failed, "examples", f.Examples,
			"of", r.Examples, "left_out", f.LeftOut, "clamped_values", f.Clamped, "by_class", f.Classes, "features", f.Features, "kept_by_class", r.Classes)
	}
}

// believable is the part of the data to train on in a round: all, or those that the loss
// check leaves where it is asked for.
func (t *localTrainer) believable(net *model.Net, m tensor.Model, round secagg.RoundID) (dataset.Dataset, error) {
	if !t.checks.AsksLosses(round.Round) {
		return t.data, nil
	}
	clean, report, err := t.checks.CheckLosses(rowsOf{t.data}, t.losses(net, m))
	logFindings(t.log.With("round", round), report)
	if err != nil {
		return dataset.Dataset{}, err
	}
	return t.data.Subset(clean.Keep()), nil
}

// losses is the loss of each example of the data under a model.
func (t *localTrainer) losses(net *model.Net, m tensor.Model) func(int) (float64, error) {
	return func(i int) (float64, error) {
		e, err := net.Evaluate(m.Values(), t.data.Subset([]int{i}))
		return e.LossSum, err
	}
}
