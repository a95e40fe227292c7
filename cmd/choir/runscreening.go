package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/client/grpctransport"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
)

// runScreening is what a coordinator sees of a run's clients, in the JSON documents of
// choir run.
type runScreening struct {
	View        string          `json:"view"`   // sum, bucket_means, vectors
	Unseen      string          `json:"unseen"` // what the view keeps from the coordinator
	Alerts      []runAlert      `json:"alerts"` // of the latest attempt that ended
	Quarantined []string        `json:"quarantined"`
	Reputations []runReputation `json:"reputations,omitempty"` // the lowest; under view vectors
}

type runAlert struct {
	Name      string  `json:"name"`
	What      string  `json:"what"`
	Bucket    *uint32 `json:"bucket,omitempty"`
	Client    string  `json:"client,omitempty"`
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"`
}

type runReputation struct {
	Client    string  `json:"client"`
	Inclusion float64 `json:"inclusion"`
	Rounds    uint64  `json:"rounds"`
}

func newRunScreening(s *choirv1.RunState) runScreening {
	out := runScreening{View: s.GetView(), Unseen: s.GetUnseen(), Alerts: newRunAlerts(s.GetAlerts()), Quarantined: append([]string{}, s.GetQuarantined()...)}
	for _, r := range s.GetReputations() {
		out.Reputations = append(out.Reputations, runReputation{r.GetClient(), r.GetInclusion(), r.GetRounds()})
	}
	return out
}

func newRunAlerts(alerts []*choirv1.Alert) []runAlert {
	out := make([]runAlert, 0, len(alerts))
	for _, a := range alerts {
		out = append(out, runAlert{a.GetName(), a.GetWhat(), a.Bucket, a.GetClient(), a.GetValue(), a.GetThreshold()})
	}
	return out
}

// alertNames lists what a person should look at.
func alertNames(alerts []runAlert) string {
	names := make([]string, len(alerts))
	for i, a := range alerts {
		names[i] = a.Name
	}
	return strings.Join(names, ", ")
}

// line says it in words; empty if there is nothing to say.
func (s runScreening) line() string {
	var parts []string
	if len(s.Alerts) > 0 {
		parts = append(parts, "alerts: "+alertNames(s.Alerts))
	}
	if len(s.Quarantined) > 0 {
		parts = append(parts, fmt.Sprintf("%d clients quarantined", len(s.Quarantined)))
	}
	return strings.Join(parts, "; ")
}

// notice says what the coordinator cannot see; empty from a coordinator that does not say.
func (s runState) notice() string {
	if s.Unseen == "" {
		return ""
	}
	return fmt.Sprintf("%s: view %s: %s", s.Job, s.View, s.Unseen)
}

// runFigures say what the rule did with what an attempt opened.
type runFigures struct {
	View          string      `json:"view"`
	Rule          string      `json:"rule"`
	Vectors       uint32      `json:"vectors"`
	F             uint32      `json:"f"` // Byzantine ones that the rule is set for
	Excluded      float64     `json:"excluded"`
	Carried       float64     `json:"carried,omitempty"`
	Cosine        *float64    `json:"cosine"`
	TopEigenvalue *float64    `json:"top_eigenvalue"`
	Duplicates    uint32      `json:"duplicates"`      // in the largest group
	Norms         []float64   `json:"norms,omitempty"` // least, quartiles, largest
	Each          []runFigure `json:"each,omitempty"`
	Omitted       uint32      `json:"omitted,omitempty"`
}

type runFigure struct {
	Bucket     uint32   `json:"bucket"`
	Client     string   `json:"client,omitempty"`
	Clients    uint32   `json:"clients"`
	Spoiled    bool     `json:"spoiled,omitempty"`
	Weightless bool     `json:"weightless,omitempty"`
	Excluded   bool     `json:"excluded,omitempty"`
	Weight     *float64 `json:"weight,omitempty"`
	NormRatio  *float64 `json:"norm_ratio,omitempty"`
	Cosine     *float64 `json:"cosine,omitempty"`
	Score      *float64 `json:"score,omitempty"` // of Krum
	Rank       uint32   `json:"rank,omitempty"`  // by score
	Group      uint32   `json:"group,omitempty"` // of duplicates
}

func newRunFigures(f *choirv1.Figures) *runFigures {
	if f == nil {
		return nil
	}
	out := &runFigures{View: f.GetView(), Rule: f.GetRule(), Vectors: f.GetVectors(), Excluded: f.GetExcluded(), Carried: f.GetCarried(), Cosine: f.Cosine,
		TopEigenvalue: f.TopEigenvalue, Duplicates: f.GetDuplicates(), Omitted: f.GetOmitted(), F: f.GetF(), Norms: f.GetNorms()}
	for _, v := range f.GetEach() {
		out.Each = append(out.Each, runFigure{v.GetBucket(), v.GetClient(), v.GetClients(), v.GetSpoiled(), v.GetWeightless(), v.GetExcluded(),
			v.Weight, v.NormRatio, v.Cosine, v.Score, v.GetRank(), v.GetGroup()})
	}
	return out
}

// runMeasurement is what the coordinator's holdout says of a model.
type runMeasurement struct {
	Recall   []float64 `json:"recall"` // of each class; -1 for one without examples
	Accuracy float64   `json:"accuracy"`
	Loss     float64   `json:"loss"`
	Probe    *float64  `json:"probe,omitempty"` // share of the backdoor probes that succeeded
}

func newRunMeasurement(m *choirv1.Measurement) *runMeasurement {
	if m == nil {
		return nil
	}
	return &runMeasurement{m.GetRecall(), m.GetAccuracy(), m.GetLoss(), m.Probe}
}

// runTrend is what the holdout leads to expect of the next model.
type runTrend struct {
	Models            uint32  `json:"models"`
	Accuracy          float64 `json:"accuracy"`
	AccuracyDeviation float64 `json:"accuracy_deviation"`
	Loss              float64 `json:"loss"`
	LossDeviation     float64 `json:"loss_deviation"`
	Cusum             float64 `json:"cusum"`
}

func newRunTrend(t *choirv1.Trend) *runTrend {
	if t == nil {
		return nil
	}
	return &runTrend{t.GetModels(), t.GetAccuracy(), t.GetAccuracyDeviation(), t.GetLoss(), t.GetLossDeviation(), t.GetCusum()}
}

func newRunQuarantineCommand(verb, short string, do func(*grpctransport.Operator, context.Context, string, string, string) (*choirv1.RunState, error)) *cobra.Command {
	var f operatorFlags
	var reason string
	cmd := &cobra.Command{
		Use:   verb + " JOB CLIENT --reason TEXT",
		Short: short,
		Long: short + `. An attempt under way is not touched. The decision,
its reason and who made it stay in the run's store. It is refused under selection
poisson with noise, where a client's absence would tell who was drawn before.`,
		Args: countArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return errUsage.At("%s", cmd.CommandPath()).Because(errors.New("--reason is missing"))
			}
			return f.with(cmd, func(ctx context.Context, o *grpctransport.Operator) error {
				s, err := do(o, ctx, args[0], args[1], reason)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), newRunState(s).line())
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}
