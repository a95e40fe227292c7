package sim

import (
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

func TestWorkerMomentumSendsTheMeanOfAClientsOwnUpdates(t *testing.T) {
	cfg := small(t, "plain", 12, 12, 3, 1)
	cfg.Plan.Training.WorkerMomentum, cfg.Plan.Encoding.ClipNorm = 0.75, 1000
	cfg.Trainer = func(index int, global tensor.Model, task secagg.Task) (client.Update, error) {
		local := global.Clone()
		local.Values()[0] += float32(task.Round.Round) // u is the round's number
		return client.Update{Model: local, Examples: 50}, nil
	}
	var values []float64
	cfg.Released = func(_ coordinator.Report, m tensor.Model) { values = append(values, float64(m.Values()[0])) }
	s := newSimulation(cfg)
	require.NoError(t, s.prepare())
	before := float64(s.initial.Values()[0])
	_, err := s.run(0)
	require.NoError(t, err)
	mean := 0.0
	for i, v := range values {
		mean = 0.75*mean + 0.25*float64(i+1)
		require.InDelta(t, mean, v-before, 0.01)
		before = v
	}
}

// moved is what a client sends of an update of 1 at one coordinate.
func moved(t *testing.T, m *momenta, index int, id secagg.RoundID) float32 {
	t.Helper()
	s, err := tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{1}}})
	require.NoError(t, err)
	global, err := tensor.NewModel(s, []float32{3})
	require.NoError(t, err)
	local, err := tensor.NewModel(s, []float32{4})
	require.NoError(t, err)
	task := secagg.Task{Round: id}
	task.Terms.Training.WorkerMomentum = 0.5
	u, err := m.apply(index, global, task, client.Update{Model: local, Examples: 7})
	require.NoError(t, err)
	require.Equal(t, 7, u.Examples)
	return u.Model.Values()[0] - 3
}

func TestMomentumMovesOnWithReleasedRoundsOfTheClientAlone(t *testing.T) {
	var m momenta
	at := func(round, attempt uint32) secagg.RoundID {
		return secagg.RoundID{Job: "j", Round: round, Attempt: attempt}
	}
	require.EqualValues(t, 0.5, moved(t, &m, 0, at(1, 1)))
	require.EqualValues(t, 0.5, moved(t, &m, 0, at(1, 2)), "a retry begins where the attempt began")
	require.EqualValues(t, 0.5, moved(t, &m, 1, at(1, 2)))
	m.commit(1, []int{0})
	require.EqualValues(t, 0.75, moved(t, &m, 0, at(2, 1)))
	require.EqualValues(t, 0.5, moved(t, &m, 1, at(2, 1)), "it was not in the sum")
	moved(t, &m, 0, at(1, 2)) // late, and of no consequence
	m.commit(2, []int{0, 1})
	require.EqualValues(t, 0.875, moved(t, &m, 0, at(4, 1)))
	require.EqualValues(t, 0.75, moved(t, &m, 1, at(4, 1)))
	m.commit(3, []int{0})
	require.EqualValues(t, 0.875, moved(t, &m, 0, at(4, 2)), "a round that it did not train in")
}

func TestAnUpdateThatIsNotFiniteLeavesTheMeanWhereItWas(t *testing.T) {
	var m momenta
	id := func(round uint32) secagg.RoundID { return secagg.RoundID{Job: "j", Round: round, Attempt: 1} }
	require.EqualValues(t, 0.5, moved(t, &m, 0, id(1)))
	m.commit(1, []int{0})
	s, err := tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{1}}})
	require.NoError(t, err)
	for round, x := range map[uint32]float32{2: float32(math.NaN()), 3: float32(math.Inf(1))} {
		global, err := tensor.NewModel(s, []float32{3})
		require.NoError(t, err)
		local := global.Clone()
		local.Values()[0] = x
		task := secagg.Task{Round: id(round)}
		task.Terms.Training.WorkerMomentum = 0.5
		u, err := m.apply(0, global, task, client.Update{Model: local})
		require.NoError(t, err)
		require.False(t, finite(u.Model.Values()), "the client's software is told")
		m.commit(round, []int{0})
	}
	require.EqualValues(t, 0.75, moved(t, &m, 0, id(4)))
}

func TestMomentumIsThatOfTheLatestAttempt(t *testing.T) {
	var m momenta
	at := func(attempt uint32) secagg.RoundID { return secagg.RoundID{Job: "j", Round: 1, Attempt: attempt} }
	moved(t, &m, 0, at(2))
	latest := m.sent[0]
	moved(t, &m, 0, at(1)) // late
	require.Equal(t, latest, m.sent[0])
	moved(t, &m, 0, at(3))
	require.EqualValues(t, 3, m.sent[0].attempt)
}

func TestMomentumOfCanariesIsNotTaken(t *testing.T) {
	cfg := small(t, "plain", 20, 20, 2, 1)
	cfg.Plan.Training.WorkerMomentum, cfg.Audit.Canaries = 0.5, 16
	s := newSimulation(cfg)
	require.NoError(t, s.prepare())
	_, err := s.run(0)
	require.NoError(t, err)
	require.Len(t, s.trainer.momenta.committed, 4)
}

func TestSeveralWorkersMayTakeMomentumAtOnce(t *testing.T) {
	var m momenta
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { moved(t, &m, i, secagg.RoundID{Job: "j", Round: 1, Attempt: 1}) })
	}
	wg.Wait()
	m.commit(1, []int{0, 1, 2, 3, 4, 5, 6, 7})
	require.Len(t, m.committed, 8)
}
