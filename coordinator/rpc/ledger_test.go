package rpc_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/fault"
)

// noised adds noise to a test plan.
func noised(l plan.Literal) plan.Literal {
	l.Encoding = plan.Encoding{ClipNorm: 1}
	l.Aggregation.Denominator = "fixed"
	l.Privacy = plan.Privacy{Mode: "central", TrustCoordinator: true, Relation: "zero-out", Delta: 1e-5, Epsilon: 40, NoiseMultiplier: 1, Population: "fleet"}
	return l
}

// charged is a world whose runs may have noise, and where its budgets are.
func charged(t *testing.T) (*world, *store.Store) {
	t.Helper()
	s, err := mem.New(0).Open()
	require.NoError(t, err)
	return newWorldWith(t, rpc.Limits{}, func(c *rpc.Config) { c.Ledgers = coordinator.NewLedgers(s.Journal) }), s
}

// A budget is begun once and for all, so a plan that is refused begins none.
func TestRefusedPlanBeginsNoBudget(t *testing.T) {
	w, budgets := charged(t)
	o := w.operator()
	start := func(change func(*plan.Literal), values int) error {
		l := noised(testPlan("plain", 10, 2, 2, 1))
		change(&l)
		text, err := l.Format()
		require.NoError(t, err)
		b := file(t, ramp(t, values))
		_, err = o.StartRun(t.Context(), grpctransport.Run{Name: "plan.yaml", Plan: []byte(text), Model: bytes.NewReader(b), ModelSize: int64(len(b))})
		return err
	}
	require.Error(t, start(func(*plan.Literal) {}, 11))
	require.Error(t, start(func(l *plan.Literal) { l.Privacy.Delta = 1 }, 10))
	segments, err := budgets.Journal.Segments()
	require.NoError(t, err)
	require.Empty(t, segments)

	require.NoError(t, start(func(*plan.Literal) {}, 10))
	segments, err = budgets.Journal.Segments()
	require.NoError(t, err)
	require.Equal(t, []string{"ledger/fleet"}, segments)
	err = start(func(l *plan.Literal) { l.Job, l.Privacy.Epsilon = "other", 50 }, 10)
	require.ErrorIs(t, err, coordinator.ErrBudget)
	require.Equal(t, fault.Refused, fault.ClassOf(err))
	runs, err := o.Runs(t.Context())
	require.NoError(t, err)
	require.Len(t, runs, 1, "nothing is left of it")
}

func TestServerWithoutLedgersRunsNothingWithNoise(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	text, err := noised(testPlan("plain", 10, 2, 2, 1)).Format()
	require.NoError(t, err)
	b := file(t, ramp(t, 10))
	_, err = w.operator().StartRun(t.Context(), grpctransport.Run{Name: "plan.yaml", Plan: []byte(text), Model: bytes.NewReader(b), ModelSize: int64(len(b))})
	require.ErrorIs(t, err, coordinator.ErrConfig)
	require.ErrorContains(t, err, "ledger")
}

// All runs of a server share the ledgers, over its restarts too.
func TestReportsAndStateSayWhatWasSpent(t *testing.T) {
	w, _ := charged(t)
	o, people := w.operator(), w.people(2)
	l := noised(testPlan("plain", 10, 2, 2, 2))
	p, err := l.Check(schemes...)
	require.NoError(t, err)
	state := w.begin(o, l, ramp(t, 10))
	require.Equal(t, 1.0, state.GetPrivacy().GetClipNorm())
	require.Equal(t, 1e-5, state.GetPrivacy().GetDelta())
	require.Zero(t, state.GetPrivacy().GetEpsilonReleased())
	require.NoError(t, w.halt())
	w.start(rpc.Limits{})
	var transports []client.Transport
	for _, c := range people {
		transports = append(transports, w.transport(c))
	}
	w.crowd(transports, people)
	state, reports := w.await(w.operator())
	require.Equal(t, "finished", state.GetStatus(), state.GetReason())
	require.Len(t, reports, 2)
	for i, r := range reports {
		want, _ := p.Guarantee().Epsilon(dp.ObserverReleases, i+1)
		require.Equal(t, want, r.GetPrivacy().GetEpsilonReleased())
		require.Nil(t, r.GetPrivacy().EpsilonCoordinator, "who sees exact sums is promised nothing")
	}
	require.Equal(t, reports[1].GetPrivacy().GetEpsilonReleased(), state.GetPrivacy().GetEpsilonReleased())
	require.False(t, slices.Equal(w.export(w.operator()).Values(), ramp(t, 10).Values()))
}
