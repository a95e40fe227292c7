package rpc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
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
