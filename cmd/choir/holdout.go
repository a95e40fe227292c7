package main

import (
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/sim/model"
)

var errHoldout = fault.New(fault.Refused, "choir/holdout", "the holdout cannot measure this plan's models", "see holdout in deploy/coordinator.yaml")

// holdouts returns what measures the models of a plan with screening on clean data: the
// test set of dir, which every such run shares. Runs without screening measure nothing.
func holdouts(dir string) (func(plan.Plan) (coordinator.Holdout, error), error) {
	if dir == "" {
		return nil, nil
	}
	_, test, _, err := loadData(dir)
	if err != nil {
		return nil, err
	}
	probe := sim.KnownProbe(test)
	return func(p plan.Plan) (coordinator.Holdout, error) {
		if p.Screening() == (plan.Screening{}) {
			return nil, nil
		}
		net, err := builtIn(p.Literal().Model.Architecture, test)
		if err != nil {
			return nil, errHoldout.At("job %s", p.Job()).Because(err)
		}
		if !net.Schema().Equal(p.Terms().Tensors) {
			return nil, errHoldout.At("job %s: its tensors are not those of %s for the holdout's examples", p.Job(), p.Literal().Model.Architecture)
		}
		return sim.NewHoldout(net, test, probe), nil
	}, nil
}

// builtIn is a built-in model for examples such as these.
func builtIn(architecture string, data dataset.Dataset) (*model.Net, error) {
	arch, err := model.ParseArchitecture(architecture)
	if err != nil {
		return nil, err
	}
	return model.New(arch, data.Shape(), data.Classes())
}
