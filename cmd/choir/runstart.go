package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/sim/model"
	"github.com/choir-fl/choir/tensor"
)

func newRunStartCommand() *cobra.Command {
	var f operatorFlags
	var initial string
	var resume bool
	var seed uint64
	cmd := &cobra.Command{
		Use:   "start plan.yaml",
		Short: "Begin the run of a plan, or go on with it under a changed one",
		Long: `Begin the run of a plan. The plan is checked here first, as choir plan check does. A
run starts from the initial model that the plan or --initial names, or from a fresh
model of the plan's built-in architecture.

With --resume the run of that job goes on from its last model under the plan as it
is now; a finished or stopped run too.`,
		Args: countArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if resume && (initial != "" || cmd.Flags().Changed("seed")) {
				return errUsage.At("choir run start").Because(errors.New("--resume goes on from the last model: --initial and --seed do not apply"))
			}
			r, err := prepareRun(args[0], initial, seed, resume)
			if err != nil {
				return err
			}
			return f.with(cmd, func(ctx context.Context, o *grpctransport.Operator) error {
				s, err := o.StartRun(ctx, r)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), newRunState(s).line())
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&initial, "initial", "", "safetensors file to start from (overrides the plan's)")
	cmd.Flags().BoolVar(&resume, "resume", false, "go on with the run of this job, from its last model")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of a fresh model's weights")
	return cmd
}

// prepareRun makes a run of a plan file: the plan complete and checked, its committee
// in it, its initial model in bytes.
func prepareRun(path, initial string, seed uint64, resume bool) (grpctransport.Run, error) {
	none := grpctransport.Run{}
	lit, err := readPlan(path)
	if err != nil {
		return none, err
	}
	if initial != "" {
		if lit.Model.Initial, err = filepath.Abs(initial); err != nil {
			return none, err
		}
	}
	if err := nameCommittee(&lit, path); err != nil {
		return none, err
	}
	if err := declareTensors(&lit, path); err != nil {
		return none, err
	}
	if _, err := lit.Check(serverSchemes()...); err != nil {
		return none, err
	}
	r := grpctransport.Run{Name: filepath.Base(path), Resume: resume}
	if !resume {
		b, err := initialModel(lit, path, seed)
		if err != nil {
			return none, err
		}
		r.Model, r.ModelSize = bytes.NewReader(b), int64(len(b))
	}
	lit.Model.Initial, lit.Scheme.CommitteeFile = "", "" // both travel with the plan
	text, err := lit.Format()
	r.Plan = []byte(text)
	return r, err
}

// initialModel returns the model that a run starts from, as a safetensors file.
func initialModel(lit plan.Literal, path string, seed uint64) ([]byte, error) {
	var m tensor.Model
	if lit.Model.Initial != "" {
		var err error
		if m, err = readInitial(lit, path); err != nil {
			return nil, err
		}
	} else {
		arch, err := model.ParseArchitecture(lit.Model.Architecture)
		if err != nil {
			return nil, plan.ErrContradiction.At("%s: model", path).Because(errors.New("it is not built in: give model.initial or --initial"))
		}
		net, err := model.New(arch, fashionShape, fashionClasses)
		if err != nil {
			return nil, plan.ErrContradiction.At("%s: model.architecture", path).Because(err)
		}
		m = net.Init(seed)
	}
	if declared, err := schemaOf(lit); err != nil || !declared.Equal(m.Schema()) {
		return nil, plan.ErrContradiction.At("%s: model.tensors", path).Because(errors.New("they are not those of the initial model"))
	}
	var b bytes.Buffer
	err := tensor.WriteSafetensors(&b, m)
	return b.Bytes(), err
}

// schemaOf returns the tensors that a plan declares.
func schemaOf(lit plan.Literal) (tensor.Schema, error) {
	specs := make([]tensor.Spec, len(lit.Model.Tensors))
	for i, t := range lit.Model.Tensors {
		specs[i] = tensor.Spec{Name: t.Name, Shape: t.Shape}
	}
	return tensor.NewSchema(specs)
}
