package sim

import (
	"slices"
	"sync"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// momenta are the clients' means of their own updates, under training.worker_momentum.
//
// A mean moves on with the rounds whose released model the client is in, and with no
// others: an attempt that failed, or that the client dropped out of, leaves it where it
// was, however often it trained. An update that is not finite, which counts for nothing,
// leaves it there, too.
type momenta struct {
	mu        sync.Mutex
	committed map[int][]float32 // by client
	sent      map[int]sent      // by client: the latest
}

// sent is the mean that a client sent in a round, in its latest attempt at it.
type sent struct {
	round, attempt uint32
	mean           []float32
}

// apply puts m = beta m + (1-beta) u in the place of the client's update u.
func (m *momenta) apply(index int, global tensor.Model, task secagg.Task, update client.Update) (client.Update, error) {
	beta, id := task.Terms.Training.WorkerMomentum, task.Round
	if beta == 0 {
		return update, nil
	}
	m.mu.Lock()
	before := m.committed[index]
	m.mu.Unlock()
	mean, values := make([]float32, len(global.Values())), make([]float32, len(global.Values()))
	for i, g := range global.Values() {
		x := float64((1 - beta) * float64(update.Model.Values()[i]-g))
		if before != nil {
			x += float64(beta * float64(before[i]))
		}
		mean[i] = float32(x)
		values[i] = g + mean[i]
	}
	if !finite(mean) {
		return update, nil
	}
	m.mu.Lock()
	// One that is late must not take the place of what a later attempt or round sent: its model
	// may have been another.
	if s := m.sent[index]; s.round < id.Round || s.round == id.Round && s.attempt <= id.Attempt {
		if m.sent == nil {
			m.sent = map[int]sent{}
		}
		m.sent[index] = sent{id.Round, id.Attempt, mean}
	}
	m.mu.Unlock()
	var err error
	update.Model, err = tensor.NewModel(global.Schema(), values)
	return update, err
}

// commit moves the means of the clients in a released round on.
func (m *momenta) commit(round uint32, members []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for index, s := range m.sent {
		if s.round == round && slices.Contains(members, index) {
			if m.committed == nil {
				m.committed = map[int][]float32{}
			}
			m.committed[index] = s.mean
		}
		if s.round <= round {
			delete(m.sent, index)
		}
	}
}
