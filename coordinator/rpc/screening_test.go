package rpc_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// halfGood is a holdout on which every model does as well.
type halfGood struct{}

func (halfGood) Evaluate(tensor.Model) (coordinator.Measurement, error) {
	probe := 0.25
	return coordinator.Measurement{Recall: []float64{1, 0, -1}, Accuracy: 0.5, Loss: 2, Probe: &probe}, nil
}

func TestOperatorSeesWhatTheRuleDidAndWhatCannotBeSeen(t *testing.T) {
	w := newWorldWith(t, rpc.Limits{}, func(c *rpc.Config) {
		c.Holdout = func(plan.Plan) (coordinator.Holdout, error) { return halfGood{}, nil }
	})
	o, people := w.operator(), w.people(5)
	l := testPlan("plain", 10, 5, 5, 2)
	l.Aggregation.View, l.Aggregation.Rule, l.Aggregation.F = "vectors", "multi-krum", 1
	l.Screening.Alerts.NormRatio = 1.5
	l.Screening.RecallDrop = 0.5
	state := w.begin(o, l, ramp(t, 10))
	require.Equal(t, "vectors", state.GetView())
	require.Equal(t, coordinator.Unseen(secagg.ViewVectors), state.GetUnseen())
	var transports []client.Transport
	for _, p := range people {
		transports = append(transports, w.transport(p))
	}
	w.crowd(transports[:4], people[:4])
	odd, err := client.New(transports[4], adder(100), options(people[4])...)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = odd.Run(ctx) }) // ends with ctx
	defer all.Wait()
	defer stop()
	state, reports := w.await(o)
	require.Equal(t, "finished", state.GetStatus(), state.GetReason())
	require.Len(t, reports, 2)
	f := reports[1].GetFigures()
	require.Equal(t, []any{"vectors", "multi-krum", uint32(5), 0.2}, []any{f.GetView(), f.GetRule(), f.GetVectors(), f.GetExcluded()})
	require.EqualValues(t, 1, f.GetF())
	require.Len(t, f.GetNorms(), 5)
	require.Greater(t, f.GetNorms()[4], 1.5*f.GetNorms()[2])
	require.Nil(t, reports[0].Clipped)
	require.Nil(t, reports[0].GetFigures().Cosine)
	require.InDelta(t, 1, f.GetCosine(), 1e-3)
	require.NotNil(t, f.TopEigenvalue)
	require.Len(t, f.GetEach(), 5)
	excluded := ""
	for _, v := range f.GetEach() {
		if v.GetExcluded() {
			excluded = v.GetClient()
			require.EqualValues(t, 5, v.GetRank())
			require.Zero(t, v.GetWeight())
			require.Greater(t, v.GetNormRatio(), 1.5)
		} else {
			require.InDelta(t, 0.25, v.GetWeight(), 1e-12)
		}
		require.EqualValues(t, 1, v.GetClients())
		require.NotNil(t, v.Cosine)
		require.NotNil(t, v.Score)
	}
	require.Equal(t, "a04", excluded, "it adds far more")
	require.Len(t, reports[1].GetAlerts(), 1)
	a := reports[1].GetAlerts()[0]
	require.Equal(t, []any{coordinator.AlertNormRatio, "a04", 1.5}, []any{a.GetName(), a.GetClient(), a.GetThreshold()})
	require.NotNil(t, a.Bucket)
	require.Greater(t, a.GetValue(), 1.5)
	require.NotEmpty(t, a.GetWhat())
	require.Len(t, state.GetAlerts(), 1)
	require.Equal(t, []float64{1, 0, -1}, reports[1].GetHoldout().GetRecall())
	require.Equal(t, []float64{0.5, 2, 0.25}, []float64{reports[1].GetHoldout().GetAccuracy(), reports[1].GetHoldout().GetLoss(), reports[1].GetHoldout().GetProbe()})
	require.Equal(t, []any{uint32(2), 0.5, 2.}, []any{reports[1].GetTrend().GetModels(), reports[1].GetTrend().GetAccuracy(), reports[1].GetTrend().GetLoss()})
	require.Len(t, state.GetReputations(), 5)
	worst := state.GetReputations()[0]
	require.Equal(t, []any{"a04", 0., uint64(2)}, []any{worst.GetClient(), worst.GetInclusion(), worst.GetRounds()})
}

func TestOperatorQuarantinesAndReleasesClients(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	o, people := w.operator(), w.people(3)
	w.begin(o, testPlan("plain", 10, 3, 2, 1), ramp(t, 10))
	state, err := o.Quarantine(t.Context(), "job", "a01", "odd figures")
	require.NoError(t, err)
	require.Equal(t, []string{"a01"}, state.GetQuarantined())
	_, err = o.Quarantine(t.Context(), "job", "a01", "again")
	require.ErrorIs(t, err, coordinator.ErrQuarantine)
	_, err = o.Quarantine(t.Context(), "job", "nobody", "who")
	require.ErrorIs(t, err, coordinator.ErrQuarantine)
	_, err = o.Quarantine(t.Context(), "another", "a01", "who")
	require.ErrorIs(t, err, rpc.ErrNoRun)
	_, err = o.Pause(t.Context(), "job")
	require.NoError(t, err)
	_, err = o.Resume(t.Context(), "job")
	require.NoError(t, err)
	w.crowd([]client.Transport{w.transport(people[0]), w.transport(people[1]), w.transport(people[2])}, people)
	require.True(t, w.logs.has("client quarantined", "a01", "odd figures"))
	state, err = o.Release(t.Context(), "job", "a01", "mended")
	require.NoError(t, err)
	require.Empty(t, state.GetQuarantined())
}
