package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/client/grpctransport"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/sim/report"
)

// operatorFlags say which coordinator is operated, and by whom.
type operatorFlags struct{ file, address string }

func (f *operatorFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "operator", os.Getenv("CHOIR_OPERATOR"), "file with an operator's credentials (default: $CHOIR_OPERATOR)")
	cmd.Flags().StringVar(&f.address, "address", cmp.Or(os.Getenv("CHOIR_ADDRESS"), "localhost:8443"), "host and port of the coordinator (default: $CHOIR_ADDRESS)")
}

// renewalTime is how long a command tries to renew the operator's certificate.
const renewalTime = 10 * time.Second

// with makes an operator's calls. Credentials that run out soon are renewed first,
// as nobody else does it.
func (f operatorFlags) with(cmd *cobra.Command, do func(context.Context, *grpctransport.Operator) error) (err error) {
	if f.file == "" {
		return errUsage.At("%s", cmd.CommandPath()).Because(errors.New("--operator is missing; the coordinator's first start has logged its file"))
	}
	creds, err := grpctransport.Load(f.file)
	if err != nil {
		return err
	}
	if now := time.Now(); now.After(creds.RenewAt()) && now.Before(creds.Certificate.NotAfter) {
		if err := f.renew(cmd.Context(), creds); err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "choir: the operator's certificate runs out on %s and could not be renewed: %v\n",
				creds.Certificate.NotAfter.Format(time.RFC3339), err)
		} else if creds, err = grpctransport.Load(f.file); err != nil {
			return err
		}
	}
	o, err := grpctransport.NewOperator(f.address, creds)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	return do(cmd.Context(), o)
}

func (f operatorFlags) renew(ctx context.Context, creds grpctransport.Credentials) error {
	t, err := grpctransport.New(grpctransport.Config{Address: f.address, Credentials: creds, File: f.file})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, renewalTime)
	defer cancel()
	return errors.Join(t.Renew(ctx), t.Close())
}

func newRunCommand() *cobra.Command {
	return newGroupCommand("run", "Operate the runs of a coordinator", newRunStartCommand(), newRunListCommand(), newRunWatchCommand(),
		newRunChangeCommand("pause", "End the attempt under way and begin no other until resume", (*grpctransport.Operator).Pause),
		newRunChangeCommand("resume", "Continue a paused run", (*grpctransport.Operator).Resume),
		newRunChangeCommand("abort", "End a run for good; choir run start --resume goes on from its last model", (*grpctransport.Operator).Abort),
		newRunQuarantineCommand("quarantine", "Leave a client out of a run from its next attempt on", (*grpctransport.Operator).Quarantine),
		newRunQuarantineCommand("release", "End a client's quarantine from the run's next attempt on", (*grpctransport.Operator).Release),
		newRunExportCommand())
}

// runState is where a run stands, in the JSON documents of choir run. What does not
// apply is null.
type runState struct {
	Job           string  `json:"job"`
	Status        string  `json:"status"` // running, paused, finished, stopped, budget_exhausted, failed
	Reason        string  `json:"reason,omitempty"`
	Rounds        uint32  `json:"rounds"` // completed
	RoundsPlanned uint32  `json:"rounds_planned"`
	Round         *uint32 `json:"round"` // of the attempt under way
	Attempt       *uint32 `json:"attempt"`
	Phase         *string `json:"phase"`
	Admitted      uint32  `json:"admitted"`
	Uploads       uint32  `json:"uploads"`
	Model         string  `json:"model"` // digest of the latest
	ModelBytes    uint64  `json:"model_bytes"`
	Plan          string  `json:"plan"` // digest
	runPrivacy
	runScreening
}

// runPrivacy is what has been learned of a client since the run began, and what updates
// are clipped to. Null where nothing is promised.
type runPrivacy struct {
	EpsilonReleased    *float64 `json:"epsilon_released"`
	EpsilonCoordinator *float64 `json:"epsilon_coordinator"`
	Delta              *float64 `json:"delta"`
	ClipNorm           *float64 `json:"clip_norm"`
}

func newRunPrivacy(p *choirv1.Privacy) (out runPrivacy) {
	if p != nil {
		delta, clipNorm := p.GetDelta(), p.GetClipNorm()
		out = runPrivacy{EpsilonReleased: p.EpsilonReleased, EpsilonCoordinator: p.EpsilonCoordinator, Delta: &delta, ClipNorm: &clipNorm}
	}
	return out
}

// line says what has been learned; empty without noise.
func (p runPrivacy) line() string {
	if p.Delta == nil {
		return ""
	}
	promised := func(v *float64) string {
		if v == nil {
			return "nothing promised"
		}
		return "epsilon " + bound(v)
	}
	return fmt.Sprintf("at delta %.3g %s to those who see released models, %s to those who see rosters", *p.Delta,
		promised(p.EpsilonReleased), promised(p.EpsilonCoordinator))
}

func newRunState(s *choirv1.RunState) runState {
	out := runState{Job: s.GetJob(), Status: s.GetStatus(), Reason: s.GetReason(), Rounds: s.GetRounds(), RoundsPlanned: s.GetRoundsPlanned(),
		Admitted: s.GetAdmitted(), Uploads: s.GetUploads(), Model: hex.EncodeToString(s.GetModel()), ModelBytes: s.GetModelSize(),
		Plan: hex.EncodeToString(s.GetPlan()), runPrivacy: newRunPrivacy(s.GetPrivacy()), runScreening: newRunScreening(s)}
	if id := s.GetId(); id != nil {
		round, attempt, phase := id.GetRound(), id.GetAttempt(), s.GetPhase()
		out.Round, out.Attempt, out.Phase = &round, &attempt, &phase
	}
	return out
}

// line says where a run stands.
func (s runState) line() string {
	text := fmt.Sprintf("%s: %s, %d of %d rounds", s.Job, s.Status, s.Rounds, s.RoundsPlanned)
	if s.Round != nil {
		text += fmt.Sprintf("; round %d attempt %d: %s, %d admitted, %d uploads", *s.Round, *s.Attempt, *s.Phase, s.Admitted, s.Uploads)
	}
	if p := s.runPrivacy.line(); p != "" {
		text += "; " + p
	}
	if p := s.runScreening.line(); p != "" {
		text += "; " + p
	}
	if s.Reason != "" {
		text += "; " + s.Reason
	}
	return text
}

func newRunListCommand() *cobra.Command {
	var f operatorFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List all runs and where they stand",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.with(cmd, func(ctx context.Context, o *grpctransport.Operator) error {
				runs, err := o.Runs(ctx)
				if err != nil {
					return err
				}
				states := make([]runState, len(runs))
				for i, r := range runs {
					states[i] = newRunState(r)
				}
				if asJSON {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
						Schema string     `json:"schema"`
						Runs   []runState `json:"runs"`
					}{"choir.runs/1", states})
				}
				t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(t, "job\tstatus\trounds\tround\tattempt\tphase\tadmitted\tuploads\tepsilon released\tepsilon rosters\tdelta\tclip norm\talerts\treason")
				for _, s := range states {
					fmt.Fprintf(t, "%s\t%s\t%d of %d\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Job, s.Status, s.Rounds, s.RoundsPlanned,
						text(s.Round), text(s.Attempt), text(s.Phase), s.Admitted, s.Uploads,
						bound(s.EpsilonReleased), bound(s.EpsilonCoordinator), figure(s.Delta), figure(s.ClipNorm), cmp.Or(alertNames(s.Alerts), "-"), s.Reason)
				}
				for _, s := range states {
					if n := s.notice(); n != "" {
						fmt.Fprintln(t, n)
					}
				}
				return t.Flush()
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document (choir.runs/1) on standard output")
	return cmd
}

// text renders a value that may not apply.
func text[T any](v *T) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprint(*v)
}

// bound renders an upper bound that may not apply.
func bound(v *float64) string {
	if v == nil {
		return "-"
	}
	return report.Upper(*v)
}

// figure renders a number that may not apply.
func figure(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.4g", *v)
}

func newRunChangeCommand(verb, short string, do func(*grpctransport.Operator, context.Context, string) (*choirv1.RunState, error)) *cobra.Command {
	var f operatorFlags
	cmd := &cobra.Command{
		Use:   verb + " JOB",
		Short: short,
		Args:  countArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(cmd, func(ctx context.Context, o *grpctransport.Operator) error {
				s, err := do(o, ctx, args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), newRunState(s).line())
				return err
			})
		},
	}
	f.add(cmd)
	return cmd
}

func newRunExportCommand() *cobra.Command {
	var f operatorFlags
	var out string
	cmd := &cobra.Command{
		Use:   "export JOB -o model.safetensors",
		Short: "Write the latest model of a run as a safetensors file",
		Long: `Write the latest model of a run as a safetensors file. Its metadata say which it is
(choir.job, choir.round, choir.plan_digest) and, in choir.privacy as JSON, what its
noise promises to whom and which ledger was charged.`,
		Args: countArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return errUsage.At("choir run export").Because(errors.New("-o is missing"))
			}
			return f.with(cmd, func(ctx context.Context, o *grpctransport.Operator) error { return export(ctx, o, args[0], out) })
		},
	}
	f.add(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", "", "file to write; replaced as a whole, or left as it was")
	return cmd
}

// export writes a model beside its file and gives it its name when it is complete.
func export(ctx context.Context, o *grpctransport.Operator, job, name string) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(name), ".choir-export-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove(temp.Name())) }()
	if err := errors.Join(o.Export(ctx, job, temp), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}
