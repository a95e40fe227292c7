package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

// A whole run over the network: enrolment, start, rounds, export. The model must be
// the initial one plus the plain mean of the updates, exactly.
func TestRoundsOverTheNetworkEqualThePlainSum(t *testing.T) {
	for _, scheme := range []string{plain.Name, pairwise.Name} {
		t.Run(scheme, func(t *testing.T) {
			const clients, dimension, rounds = 8, 20_001, 2
			w := newWorld(t, rpc.Limits{})
			o := w.operator()
			people := w.people(clients)
			var transports []client.Transport
			for _, c := range people {
				transports = append(transports, w.transport(c))
			}
			initial := ramp(t, dimension)
			w.begin(o, testPlan(scheme, dimension, clients, clients, rounds), initial)
			w.crowd(transports, people)
			state, reports := w.await(o)
			require.Equal(t, "finished", state.GetStatus(), state.GetReason())
			require.Len(t, reports, rounds)
			for _, r := range reports {
				require.True(t, r.GetReleased(), r.GetReason())
				require.EqualValues(t, clients, r.GetSurvivors())
			}

			want := initial.Clone()
			for range rounds {
				for i := range want.Values() {
					var sum float64
					for c := range clients {
						sum += float64(c+1+i%5) * step
					}
					want.Values()[i] = float32(float64(want.Values()[i]) + sum/clients)
				}
			}
			got := w.export(o)
			require.Equal(t, want.Values(), got.Values())
		})
	}
}

// A client whose attempt fails before anybody was admitted, or admits others, is
// told at once and does not wait for the poll.
func TestClientThatWasNotAdmittedIsToldAtOnce(t *testing.T) {
	for name, x := range map[string]struct {
		minimum   int
		admission time.Duration
		says      string
	}{
		"too few":       {minimum: 2, admission: 200 * time.Millisecond, says: "fewer clients"},
		"others joined": {minimum: 1, admission: time.Hour, says: "not admitted"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, rpc.Limits{Poll: time.Hour})
			o, people := w.operator(), w.people(2)
			l := testPlan(plain.Name, 10, x.minimum, x.minimum, 1)
			l.Cohort.Selection = string(plan.SelectCheckIn)
			l.Deadlines.Admission = x.admission
			w.begin(o, l, ramp(t, 10))
			late := w.transport(people[0])
			offer, err := late.CheckIn(t.Context(), "", client.Conditions{})
			require.NoError(t, err)
			require.NotNil(t, offer.Task)
			id := offer.Task.Round
			if x.minimum == 1 {
				require.NoError(t, w.transport(people[1]).Send(t.Context(), client.Message{Round: id, Body: people[1].Identity.Encode()}))
			}
			require.NoError(t, late.Send(t.Context(), client.Message{Round: id, Body: people[0].Identity.Encode()}), "too late is no error")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			env, err := late.Receive(ctx, id, 0)
			require.NoError(t, err)
			require.True(t, env.Over)
			require.Contains(t, env.Reason, x.says)
		})
	}
}
