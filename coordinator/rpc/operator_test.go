package rpc_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/fault"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/tensor"
)

func TestPlansThatAreRefusedLeaveNothing(t *testing.T) {
	w := newWorld(t, rpc.Limits{Model: 1 << 20})
	o := w.operator()
	good := testPlan("plain", 10, 2, 2, 1)
	format := func(change func(*plan.Literal)) []byte {
		l := good
		change(&l)
		text, err := l.Format()
		require.NoError(t, err)
		return []byte(text)
	}
	model := file(t, ramp(t, 10))
	nan := bytes.Clone(model)
	copy(nan[len(nan)-4:], []byte{0, 0, 0xc0, 0x7f})
	for name, x := range map[string]struct {
		plan, model []byte
		says        []string
	}{
		"unknown key":         {[]byte("schema: choir.plan/1\nnonsense: 1\n"), model, []string{"plan.yaml", "nonsense"}},
		"no YAML":             {[]byte("\x00\x01"), model, []string{"plan.yaml"}},
		"two contradictions":  {format(func(l *plan.Literal) { l.Cohort.Minimum, l.Privacy.TrustCoordinator = 3, false }), model, []string{"cohort.minimum", "trust_coordinator"}},
		"unknown scheme":      {format(func(l *plan.Literal) { l.Scheme.Name = "none" }), model, []string{"none", "pairwise"}},
		"model of no tensors": {format(func(*plan.Literal) {}), []byte("garbage!"), []string{"initial model"}},
		"model with a NaN":    {format(func(*plan.Literal) {}), nan, []string{"initial model"}},
		"another model":       {format(func(l *plan.Literal) { l.Model.Tensors = []plan.Tensor{{Name: "v", Shape: []int{10}}} }), model, []string{"shape"}},
		"no model":            {format(func(*plan.Literal) {}), nil, []string{"model"}},
		"model too large":     {format(func(*plan.Literal) {}), make([]byte, 1<<20+1), []string{"larger"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := grpctransport.Run{Name: "plan.yaml", Plan: x.plan}
			if x.model != nil {
				r.Model, r.ModelSize = bytes.NewReader(x.model), int64(len(x.model))
			}
			_, err := o.StartRun(t.Context(), r)
			require.Error(t, err)
			require.NotEqual(t, fault.Internal, fault.ClassOf(err), err)
			for _, s := range x.says {
				require.ErrorContains(t, err, s)
			}
			require.NotContains(t, err.Error(), "\n")
		})
	}
	entries, err := os.ReadDir(filepath.Join(w.dir, "runs"))
	require.NoError(t, err)
	require.Empty(t, entries)
	runs, err := o.Runs(t.Context())
	require.NoError(t, err)
	require.Empty(t, runs)
}

func TestOperatorStopsAndResumesRuns(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	o, people := w.operator(), w.people(2)
	l := testPlan("plain", 10, 2, 2, 3)
	state := w.begin(o, l, ramp(t, 10))
	require.Equal(t, "running", state.GetStatus())
	require.Equal(t, "admitting", state.GetPhase())
	require.EqualValues(t, 3, state.GetRoundsPlanned())

	text, err := l.Format()
	require.NoError(t, err)
	model := file(t, ramp(t, 10))
	again := grpctransport.Run{Name: "plan.yaml", Plan: []byte(text), Model: bytes.NewReader(model), ModelSize: int64(len(model))}
	_, err = o.StartRun(t.Context(), again)
	require.ErrorIs(t, err, rpc.ErrRunExists)

	state, err = o.Pause(t.Context(), "job")
	require.NoError(t, err)
	require.Equal(t, "paused", state.GetStatus())
	_, err = o.Pause(t.Context(), "job")
	require.ErrorIs(t, err, coordinator.ErrStatus)
	offer, err := w.transport(people[0]).CheckIn(t.Context(), "job", client.Conditions{})
	require.NoError(t, err)
	require.Nil(t, offer.Task)
	require.Greater(t, offer.Wait, time.Second, "a client is told when to come back")
	state, err = o.Resume(t.Context(), "job")
	require.NoError(t, err)
	require.Equal(t, "running", state.GetStatus())

	state, err = o.Abort(t.Context(), "job")
	require.NoError(t, err)
	require.Equal(t, "stopped", state.GetStatus())

	// Under another plan it goes on from its last model.
	l.Rounds.Count = 1
	text, err = l.Format()
	require.NoError(t, err)
	state, err = o.StartRun(t.Context(), grpctransport.Run{Name: "plan.yaml", Plan: []byte(text), Resume: true})
	require.NoError(t, err)
	require.Equal(t, "running", state.GetStatus())
	require.EqualValues(t, 1, state.GetRoundsPlanned())
	w.crowd([]client.Transport{w.transport(people[0]), w.transport(people[1])}, people)
	state, _ = w.await(o)
	require.Equal(t, "finished", state.GetStatus(), state.GetReason())

	l.Model.Tensors[0].Shape = []int{11}
	text, err = l.Format()
	require.NoError(t, err)
	_, err = o.StartRun(t.Context(), grpctransport.Run{Name: "plan.yaml", Plan: []byte(text), Resume: true})
	require.ErrorIs(t, err, coordinator.ErrConfig, "another shape of model")
	l.Job = "another"
	text, err = l.Format()
	require.NoError(t, err)
	_, err = o.StartRun(t.Context(), grpctransport.Run{Name: "plan.yaml", Plan: []byte(text), Resume: true})
	require.ErrorIs(t, err, rpc.ErrNoRun)
	for _, call := range []func() error{
		func() error { _, err := o.Pause(t.Context(), "another"); return err },
		func() error { _, err := o.Resume(t.Context(), "another"); return err },
		func() error { _, err := o.Abort(t.Context(), "another"); return err },
		func() error { return o.Export(t.Context(), "another", &bytes.Buffer{}) },
		func() error { return o.Watch(t.Context(), "another", nil) },
	} {
		require.ErrorIs(t, call(), rpc.ErrNoRun)
	}
}

func TestTokensOnImpossibleTermsAreRefused(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	o := w.operator()
	for _, req := range []*choirv1.CreateTokenRequest{
		{},
		{Role: 9},
		{Role: choirv1.Role_ROLE_CLIENT, Name: "Bad Name"},
		{Role: choirv1.Role_ROLE_CLIENT, Seconds: 1 << 31},
	} {
		_, err := o.CreateToken(t.Context(), req)
		require.Equal(t, fault.Invalid, fault.ClassOf(err), "%v: %v", req, err)
	}
}

// A plan may leave its model to the coordinator, where that knows how to make it.
func TestBuiltInModelIsCompleted(t *testing.T) {
	w := newWorldWith(t, rpc.Limits{}, func(c *rpc.Config) {
		c.Complete = func(l plan.Literal) (plan.Literal, tensor.Model, error) {
			l.Model.Tensors = []plan.Tensor{{Name: "w", Shape: []int{10}}}
			return l, ramp(t, 10), nil
		}
	})
	o := w.operator()
	l := testPlan("plain", 10, 2, 2, 1)
	l.Model.Tensors = nil
	text, err := l.Format()
	require.NoError(t, err)
	_, err = o.StartRun(t.Context(), grpctransport.Run{Name: "plan.yaml", Plan: []byte(text)})
	require.NoError(t, err)
	require.Equal(t, ramp(t, 10).Values(), w.export(o).Values())
}
