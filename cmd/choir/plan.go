package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/cmd/choir/preflight"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/model"
	"github.com/choir-fl/choir/tensor"
)

func newPlanCommand() *cobra.Command {
	return newGroupCommand("plan", "Check, explain or begin a plan", newPlanCheckCommand(), newPlanExplainCommand(), newPlanInitCommand())
}

func newPlanCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check plan.yaml",
		Short: "Check a plan: what it means, what it costs, what each party could learn",
		Long: `Check a plan before anything runs. Prints how updates are encoded, what the scheme
demands, how likely a round is to fail, bytes, time and memory of all parties, what
each party and coalition could learn, and which scheme suits the plan. A model that
is named by its architecture alone is taken to be for Fashion-MNIST: images of
28 x 28 in 10 classes. A committee file is read from beside the plan.

Exit code 0: accepted; 2: the plan cannot be read; 3: refused, one line for each reason.`,
		Args: countArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return checkPlan(cmd.OutOrStdout(), args[0], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document ("+preflight.Schema+") on standard output, also for a plan that is refused")
	return cmd
}

func newPlanExplainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain plan.yaml",
		Short: "Explain a plan in one page of prose",
		Args:  countArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, findings, err := examinePlan(args[0])
			if err != nil {
				return err
			}
			return findings.WriteProse(cmd.OutOrStdout(), p)
		},
	}
}

// checkPlan prints the report on a plan. A refusal is an error, but for JSON it is
// printed first.
func checkPlan(w io.Writer, path string, asJSON bool) error {
	_, findings, err := examinePlan(path)
	if !asJSON {
		if err != nil {
			return err
		}
		return findings.WriteText(w)
	}
	r := preflight.Report{Schema: preflight.Schema, File: path, Accepted: err == nil, Refusals: []string{}, Findings: findings}
	if err != nil {
		if exitCode(err) != exitRefused {
			return err
		}
		r.Refusals = lines(err)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return errors.Join(err, enc.Encode(r))
}

// examinePlan reads, checks and examines a plan file.
func examinePlan(path string) (plan.Plan, *preflight.Findings, error) {
	lit, err := readPlan(path)
	if err != nil {
		return plan.Plan{}, nil, err
	}
	if err := nameCommittee(&lit, path); err != nil {
		return plan.Plan{}, nil, err
	}
	if err := declareTensors(&lit, path); err != nil {
		return plan.Plan{}, nil, err
	}
	p, err := lit.Check(serverSchemes()...)
	if err != nil {
		return plan.Plan{}, nil, err
	}
	findings, err := preflight.Examine(p)
	return p, findings, err
}

func readPlan(path string) (plan.Literal, error) {
	file, err := os.Open(path)
	if err != nil {
		return plan.Literal{}, plan.ErrSyntax.At("%s", path).Because(errors.Unwrap(err))
	}
	defer file.Close()
	return plan.Parse(path, file)
}

// nameCommittee puts the committee of the plan's committee file, which is named
// relative to the plan, into the plan.
func nameCommittee(l *plan.Literal, path string) error {
	s := &l.Scheme
	if s.CommitteeFile == "" {
		return nil
	}
	if s.Committee.Name != "" || len(s.Committee.Members) > 0 {
		return plan.ErrContradiction.At("scheme.committee_file").Because(errors.New("there is a committee beside it: give one of them"))
	}
	c, err := LoadCommittee(beside(path, s.CommitteeFile))
	if err != nil {
		return err
	}
	s.Committee = plan.CommitteeOf(c)
	return nil
}

// declareTensors fills in the tensors that a plan leaves out: those of its initial
// model, or of its built-in architecture for the examples that choir sim trains on.
// Tensors that are declared must be those of the initial model.
func declareTensors(l *plan.Literal, path string) error {
	var schema tensor.Schema
	switch {
	case l.Model.Initial != "":
		m, err := readInitial(*l, path)
		if err != nil {
			return err
		}
		schema = m.Schema()
	case len(l.Model.Tensors) > 0 || l.Model.Architecture == "":
		return nil
	default:
		arch, err := model.ParseArchitecture(l.Model.Architecture)
		if err != nil {
			return plan.ErrContradiction.At("model.architecture").Because(err)
		}
		net, err := model.New(arch, fashionShape, fashionClasses)
		if err != nil {
			return plan.ErrContradiction.At("model.architecture").Because(err)
		}
		schema = net.Schema()
	}
	if len(l.Model.Tensors) == 0 {
		sim.FillTensors(l, schema)
		return nil
	}
	if !declares(*l, schema) {
		return plan.ErrContradiction.At("model.tensors").Because(errors.New("they are not those of model.initial"))
	}
	return nil
}

// declares reports whether the tensors of a plan are those of a schema.
func declares(l plan.Literal, s tensor.Schema) bool {
	specs := s.Specs()
	return slices.EqualFunc(l.Model.Tensors, specs, func(t plan.Tensor, s tensor.Spec) bool { return t.Name == s.Name && slices.Equal(t.Shape, s.Shape) })
}

// readInitial reads the plan's initial model, which is named relative to the plan.
func readInitial(l plan.Literal, path string) (tensor.Model, error) {
	name := l.Model.Initial
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(path), name)
	}
	return readModel(name)
}

// What the built-in architectures are for unless data say otherwise.
const fashionClasses = 10

var fashionShape = [3]int{28, 28, 1}
