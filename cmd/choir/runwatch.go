package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/fault"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
)

// errStopped is a watched run that will not finish by itself.
var errStopped = fault.New(fault.Aborted, "choir/stopped", "the run was stopped", "see the reason; choir run start --resume goes on from its last model")

// errExhausted is a watched run whose privacy budget is spent.
var errExhausted = fault.New(fault.Refused, "choir/budget-exhausted", "the privacy budget is spent", "the model of the last round stays; choir ledger show says what it was spent on")

func newRunWatchCommand() *cobra.Command {
	var f operatorFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "watch JOB",
		Short: "Print a line for each attempt of a run until the run is over",
		Long: `Print what the coordinator cannot see in the run, then a line for each attempt that
ends, latest ones first of all, until the run is finished (exit code 0), stopped (exit
code 1) or without privacy budget for another attempt (exit code 3). A coordinator
that cannot be reached is tried again until a signal; attempts that ended before its
restart are in its log only.`,
		Args: countArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w := watcher{job: args[0], out: cmd.OutOrStdout(), notes: cmd.ErrOrStderr(), asJSON: asJSON, seen: map[[2]uint32]bool{}}
			return f.with(cmd, w.run)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON documents (choir.watch/1), one a line: each attempt, and the run's state at each change")
	return cmd
}

// runAttempt is an attempt that ended, in the JSON documents of choir run watch.
type runAttempt struct {
	Round       uint32         `json:"round"`
	Attempt     uint32         `json:"attempt"`
	Began       time.Time      `json:"began"`
	Ended       time.Time      `json:"ended"`
	Invited     uint32         `json:"invited"`
	Admitted    uint32         `json:"admitted"`
	Survivors   uint32         `json:"survivors"`
	Buckets     uint32         `json:"buckets"`
	Short       uint32         `json:"buckets_short"`   // left out: too few clients
	Spoiled     uint32         `json:"buckets_spoiled"` // left out: no client's vector
	Released    bool           `json:"released"`
	Reason      string         `json:"reason,omitempty"`   // why it failed
	Culprits    []string       `json:"culprits,omitempty"` // parties whose cheating was proven, or who held something back
	Model       string         `json:"model"`              // digest after the attempt
	UploadBytes uint64         `json:"upload_bytes"`       // of one client
	UpdateNorm  float64        `json:"update_norm"`
	Evaluation  *runEvaluation `json:"evaluation"` // null if nobody evaluated
	runPrivacy
	Figures     *runFigures     `json:"figures"` // null if nothing was opened
	Clipped     *float64        `json:"clipped"` // share of clients, noised; null where the clip norm is not adapted
	Holdout     *runMeasurement `json:"holdout"` // null without a holdout
	Trend       *runTrend       `json:"holdout_trend"`
	RolledBack  bool            `json:"rolled_back,omitempty"`
	Alerts      []runAlert      `json:"alerts"`
	Quarantined uint32          `json:"quarantined"` // clients left out
}

// runEvaluation is the clients' own measurement of the model they received.
type runEvaluation struct {
	Weight   float64 `json:"weight"`
	Accuracy float64 `json:"accuracy"`
	Loss     float64 `json:"loss"`
}

func newRunAttempt(r *choirv1.RoundReport) runAttempt {
	out := runAttempt{Round: r.GetId().GetRound(), Attempt: r.GetId().GetAttempt(), Began: r.GetBegan().AsTime(), Ended: r.GetEnded().AsTime(),
		Invited: r.GetInvited(), Admitted: r.GetAdmitted(), Survivors: r.GetSurvivors(), Buckets: r.GetBuckets(), Short: r.GetShort(), Spoiled: r.GetSpoiled(), Released: r.GetReleased(),
		Reason: r.GetReason(), Culprits: r.GetCulprits(), Model: hex.EncodeToString(r.GetModel()), UploadBytes: r.GetUploadBytes(),
		UpdateNorm: r.GetUpdateNorm(), runPrivacy: newRunPrivacy(r.GetPrivacy()), Figures: newRunFigures(r.GetFigures()),
		Clipped: r.Clipped, Holdout: newRunMeasurement(r.GetHoldout()), Trend: newRunTrend(r.GetTrend()), RolledBack: r.GetRolledBack(), Alerts: newRunAlerts(r.GetAlerts()), Quarantined: r.GetQuarantined()}
	if e := r.GetEvaluation(); e != nil {
		out.Evaluation = &runEvaluation{e.GetWeight(), e.GetAccuracy(), e.GetLoss()}
	}
	return out
}

func (a runAttempt) line() string {
	text := fmt.Sprintf("round %d attempt %d: ", a.Round, a.Attempt)
	if !a.Released {
		return text + fmt.Sprintf("failed after %s with %d admitted: %s", a.Ended.Sub(a.Began).Round(time.Millisecond), a.Admitted, a.Reason) + a.screening()
	}
	text += fmt.Sprintf("released in %s, %d survivors of %d admitted, update norm %.4g", a.Ended.Sub(a.Began).Round(time.Millisecond),
		a.Survivors, a.Admitted, a.UpdateNorm)
	if e := a.Evaluation; e != nil {
		text += fmt.Sprintf(", received model: accuracy %.4f, loss %.4f", e.Accuracy, e.Loss)
	}
	if p := a.runPrivacy.line(); p != "" {
		text += fmt.Sprintf("; clip norm %.4g, %s; %s", *a.ClipNorm, a.clipped(), p)
	}
	return text + a.screening()
}

// clipped says how many clients' updates were clipped, as far as anybody knows.
func (a runAttempt) clipped() string {
	if a.Clipped == nil {
		return "clipped share unavailable"
	}
	return fmt.Sprintf("clipped share %.4g with noise", *a.Clipped)
}

// screening says what the rule did, what the coordinator's holdout measured, and what to
// look at.
func (a runAttempt) screening() (text string) {
	if f := a.Figures; f != nil {
		if f.Cosine != nil {
			text += fmt.Sprintf("; cosine to the last %.4f", *f.Cosine)
		}
		if f.Excluded > 0 {
			text += fmt.Sprintf("; %.4g of %d vectors left out, f/n %.4g", f.Excluded, f.Vectors, float64(f.F)/float64(f.Vectors))
		}
	}
	if h := a.Holdout; h != nil {
		text += fmt.Sprintf("; holdout accuracy %.4f, loss %.4f", h.Accuracy, h.Loss)
		if h.Probe != nil {
			text += fmt.Sprintf(", backdoor probes %.4f", *h.Probe)
		}
	}
	for _, x := range a.Alerts {
		text += "; alert " + x.Name + ": " + x.What
	}
	return text
}

// watcher follows one run, over restarts of the coordinator.
type watcher struct {
	job        string
	out, notes io.Writer
	asJSON     bool
	seen       map[[2]uint32]bool // attempts printed, by round and attempt
	last       runState
}

// watchAgain is how long to wait before a coordinator that is gone is asked again.
const watchAgain = time.Second

func (w *watcher) run(ctx context.Context, o *grpctransport.Operator) error {
	for away := false; ; away = true {
		err := o.Watch(ctx, w.job, w.show)
		switch {
		case err == nil:
			return w.end()
		case ctx.Err() != nil:
			return errInterrupted
		case fault.ClassOf(err) != fault.Unavailable && fault.ClassOf(err) != fault.Exhausted:
			return err
		case !away:
			fmt.Fprintf(w.notes, "choir: trying again: %v\n", err)
		}
		select {
		case <-time.After(watchAgain):
		case <-ctx.Done():
			return errInterrupted
		}
	}
}

// show prints what changed.
func (w *watcher) show(m *choirv1.WatchRunResponse) error {
	var document struct {
		Schema  string      `json:"schema"`
		Attempt *runAttempt `json:"attempt,omitempty"`
		State   *runState   `json:"state,omitempty"`
	}
	document.Schema = "choir.watch/1"
	line := ""
	if r := m.GetReport(); r != nil {
		a := newRunAttempt(r)
		id := [2]uint32{a.Round, a.Attempt}
		if w.seen[id] { // told again after a connection was lost
			return nil
		}
		w.seen[id] = true
		document.Attempt, line = &a, a.line()
	} else {
		first := w.last.Job == ""
		w.last = newRunState(m.GetState())
		document.State = &w.last
		if first { // once, however often the coordinator was away
			line = w.last.notice()
		}
	}
	if w.asJSON {
		return json.NewEncoder(w.out).Encode(document)
	}
	if line == "" {
		return nil
	}
	_, err := fmt.Fprintln(w.out, line)
	return err
}

// end closes the report on a run that is over.
func (w *watcher) end() error {
	switch w.last.Status {
	case "finished":
	case "budget_exhausted":
		return errExhausted.At("job %s, %d of %d rounds", w.last.Job, w.last.Rounds, w.last.RoundsPlanned).Because(errors.New(w.last.Reason))
	default:
		return errStopped.At("job %s: %s", w.job, w.last.Reason)
	}
	if w.asJSON {
		return nil
	}
	_, err := fmt.Fprintln(w.out, w.last.line())
	return err
}
