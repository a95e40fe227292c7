package client_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/client/filestate"
	"github.com/choir-fl/choir/secagg"
)

// everybody runs clients until the server has seen that many attempts end.
func everybody(t *testing.T, s *server, names []string, rounds int, trainer func(i int) client.Trainer) {
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i, n := range names {
		c := newClient(t, s.connect(n), trainer(i), as(n)...)
		all.Go(func() {
			if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("client %s: %v", n, err)
			}
		})
	}
	s.rounds(t, rounds)
	stop()
	all.Wait()
}

func TestClientsTrainAModelTogetherRoundAfterRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := clientNames(5)
		s := newServer(t, testPlan(t, 5, 5, 2), names...)
		everybody(t, s, names, 2, func(i int) client.Trainer { return adder(i) })
		for i, r := range s.reports {
			require.True(t, r.Released, r.Reason)
			require.Equal(t, 5, r.Survivors)
			for _, v := range s.models[i].Values() {
				require.InDelta(t, float64(2*(i+1)), v, 1e-4, "the mean of 0..4 is added in each round")
			}
		}
	})
}

func TestEvaluationOfTheModelReceivedIsSummed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := clientNames(3)
		s := newServer(t, testPlan(t, 3, 3, 1), names...)
		everybody(t, s, names, 1, func(i int) client.Trainer {
			return measurer{adder(1), client.Evaluation{Examples: 10, Accuracy: []float64{0, 0.5, 1}[i], Loss: float64(i)}}
		})
		require.InDelta(t, 0.5, s.reports[0].Evaluation.Accuracy, 1e-3)
		require.InDelta(t, 1, s.reports[0].Evaluation.Loss, 1e-2)
	})
}

func TestAClientThatComesTooLateWaitsForTheNextRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := clientNames(3)
		s := newServer(t, testPlan(t, 3, 2, 2), names...)
		ctx, stop := context.WithCancel(context.Background())
		var all sync.WaitGroup
		run := func(i int) {
			c := newClient(t, s.connect(names[i]), adder(i), as(names[i])...)
			all.Go(func() { _ = c.Run(ctx) })
		}
		run(0)
		run(1)
		s.rounds(t, 1) // closed by the deadline of admission
		run(2)
		s.rounds(t, 2)
		stop()
		all.Wait()
		require.Equal(t, [][]secagg.PartyID{{"c0", "c1"}}, s.reports[0].Members)
		require.Equal(t, [][]secagg.PartyID{{"c0", "c1", "c2"}}, s.reports[1].Members)
	})
}

func TestAClientResumesFromItsDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		s := newScript(t, whole...)
		s.fail = failOn("upload 3", 1, errUnavailable)
		state, err := filestate.Open(dir, nil)
		require.NoError(t, err)
		_, err = s.against(t, state, adder(1), client.WithLifetime(1)).RunOnce(t.Context())
		require.ErrorIs(t, err, errUnavailable)
		require.NoError(t, state.Close())

		state, err = filestate.Open(dir, nil)
		require.NoError(t, err)
		defer state.Close()
		c := s.against(t, state, adder(1), client.WithLifetime(1))
		r, err := c.RunOnce(t.Context())
		require.NoError(t, err)
		require.True(t, r.Completed, "it was charged already, and is finished")
		_, err = c.RunOnce(t.Context())
		require.ErrorIs(t, err, client.ErrLifetime)
	})
}
