package rpc_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// probed counts how often it trains, and fetches of each attempt what it can get.
type probed struct {
	adder
	client.Transport
	trained *atomic.Int32
	try     func(secagg.Task, client.Transport)
}

func (p probed) Train(ctx context.Context, m tensor.Model, task secagg.Task) (client.Update, error) {
	p.trained.Add(1)
	return p.adder.Train(ctx, m, task)
}

func (p probed) CheckIn(ctx context.Context, job string, c client.Conditions) (client.Offer, error) {
	o, err := p.Transport.CheckIn(ctx, job, c)
	if err == nil && o.Task != nil {
		p.try(*o.Task, p.Transport)
	}
	return o, err
}

// A run under rule rfa over the network: clients fetch the centre of each pass, and train
// once for all passes from one model.
func TestCentreIsFetchedAndAnUpdateServesAllPasses(t *testing.T) {
	const clients, dimension, passes, steps = 4, 1000, 3, 2
	w := newWorld(t, rpc.Limits{})
	o, people := w.operator(), w.people(clients)
	l := testPlan("plain", dimension, clients, clients, passes*steps)
	l.Aggregation = plan.Aggregation{Rule: "rfa"}
	initial := ramp(t, dimension)
	w.begin(o, l, initial)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var trained, centres atomic.Int32
	ended := make(chan struct{}, clients)
	for i, c := range people {
		p := probed{adder: adder(i + 1), Transport: w.transport(c), trained: &trained, try: func(task secagg.Task, tr client.Transport) {
			if i > 0 {
				return
			}
			var b bytes.Buffer
			err := tr.Fetch(ctx, task.Round, secagg.Digest{}, 0, &b)
			require.ErrorIs(t, err, coordinator.ErrNoRound, "no centre is no blob")
			if task.Centre == (secagg.Digest{}) {
				return
			}
			centres.Add(1)
			if err := tr.Fetch(ctx, task.Round, task.Centre, 0, &b); err == nil {
				require.EqualValues(t, tensor.Size(task.Terms.Tensors), b.Len())
			}
		}}
		cl, err := client.New(p, p, options(c)...)
		require.NoError(t, err)
		go func() { _ = cl.Run(ctx); ended <- struct{}{} }() // ends with ctx
	}
	state, reports := w.await(o)
	require.Equal(t, "finished", state.GetStatus(), state.GetReason())
	require.Len(t, reports, passes*steps)
	require.EqualValues(t, clients*steps, trained.Load())
	require.EqualValues(t, passes*steps-1, centres.Load())
	require.NotEqual(t, initial.Values(), w.export(o).Values())
	stop()
	for range clients {
		<-ended
	}
}
