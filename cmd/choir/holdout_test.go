package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/dataset"
)

func TestHoldoutMeasuresBuiltInModelsWhereAPlanIsScreened(t *testing.T) {
	none, err := holdouts("")
	require.NoError(t, err)
	require.Nil(t, none)
	_, err = holdouts(t.TempDir())
	require.ErrorIs(t, err, errData)

	measured, err := holdouts("embedded")
	require.NoError(t, err)
	_, test, err := dataset.FashionSubset()
	require.NoError(t, err)
	softmax, err := builtIn("softmax", test)
	require.NoError(t, err)
	mlp, err := builtIn("mlp", test)
	require.NoError(t, err)
	planned := func(change func(*plan.Literal)) plan.Plan {
		l := plan.DemonstrationWithoutNoise()
		l.Model.Architecture, l.Screening.RecallDrop = "softmax", 0.2
		sim.FillTensors(&l, softmax.Schema())
		if change != nil {
			change(&l)
		}
		require.NoError(t, sim.FillCommittee(&l, schemes, 1))
		p, err := l.Check(serverSchemes()...)
		require.NoError(t, err)
		return p
	}
	h, err := measured(planned(nil))
	require.NoError(t, err)
	got, err := h.Evaluate(softmax.Init(1))
	require.NoError(t, err)
	want, err := softmax.Evaluate(softmax.Init(1).Values(), test)
	require.NoError(t, err)
	require.InDelta(t, want.Accuracy(), got.Accuracy, 1e-12)
	require.Len(t, got.Recall, 10)
	require.NotNil(t, got.Probe)

	h, err = measured(planned(func(l *plan.Literal) { l.Screening = plan.Screening{} }))
	require.NoError(t, err)
	require.Nil(t, h, "nobody asks")
	for name, change := range map[string]func(*plan.Literal){
		"tensors of another": func(l *plan.Literal) { sim.FillTensors(l, mlp.Schema()) },
		"a model of its own": func(l *plan.Literal) { l.Model.Architecture = "" },
	} {
		_, err = measured(planned(change))
		require.ErrorIs(t, err, errHoldout, name)
	}
}
