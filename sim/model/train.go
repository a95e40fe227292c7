package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/tensor"
)

// Training says how a client trains: mini-batch SGD on the mean cross-entropy
// of each batch.
type Training struct {
	Epochs       int     // passes over the client's data, at least 1
	Batch        int     // examples per step, at least 1; the last of an epoch may have fewer
	LearningRate float64 // positive
	Momentum     float64 // m in v = m v + g, w = w - rate v; in [0, 1), 0 for plain SGD
	Prox         float64 // mu of the FedProx term mu/2 |w - global|^2; 0 for FedAvg
}

// Check refuses, with [ErrModel], settings outside the ranges above.
func (t Training) Check() error {
	finite := func(v float64) bool { return !math.IsInf(v, 0) && !math.IsNaN(v) }
	switch {
	case t.Epochs < 1:
		return fmt.Errorf("%w: %d epochs, must be at least 1", ErrModel, t.Epochs)
	case t.Batch < 1:
		return fmt.Errorf("%w: batches of %d, must be at least 1", ErrModel, t.Batch)
	case !finite(t.LearningRate) || t.LearningRate <= 0:
		return fmt.Errorf("%w: learning rate %v, must be positive", ErrModel, t.LearningRate)
	case !(t.Momentum >= 0 && t.Momentum < 1):
		return fmt.Errorf("%w: momentum %v, must be in [0, 1)", ErrModel, t.Momentum)
	case !finite(t.Prox) || t.Prox < 0:
		return fmt.Errorf("%w: prox %v, must be at least 0", ErrModel, t.Prox)
	}
	return nil
}

// Stats is what training reports.
type Stats struct {
	Examples int     // of the client
	Steps    int     // batches over all epochs
	Loss     float64 // mean over the last epoch, each batch before its step, without the proximal term
}

// Train trains a copy of the global model on the client's data and returns the
// local weights (McMahan et al. 2017, ClientUpdate; the proximal term is that of
// Li et al., "Federated Optimization in Heterogeneous Networks", 2020). Each
// epoch goes through the examples in a new order drawn from the seed. Momentum
// starts at zero in each call.
//
// It refuses, with [ErrModel], bad settings, a model of another schema, data of
// another shape and data without examples. A rate too large can make weights
// that are not finite; they are returned as they are, for the caller to check.
// net must not be in use elsewhere.
func Train(net *Net, global tensor.Model, ds dataset.Dataset, t Training, seed uint64) (local []float32, stats Stats, err error) {
	if err := t.Check(); err != nil {
		return nil, Stats{}, err
	}
	if !net.schema.Equal(global.Schema()) {
		return nil, Stats{}, fmt.Errorf("%w: the global model does not have the schema of the %s", ErrModel, net.arch)
	}
	if err := net.fits(global.Values(), ds); err != nil {
		return nil, Stats{}, err
	}
	local = slices.Clone(global.Values())
	s := sgd{Training: t, weights: local, anchor: global.Values(), grad: make([]float32, len(local))}
	if t.Momentum > 0 {
		s.velocity = make([]float32, len(local))
	}
	order := make([]int, ds.Len())
	for i := range order {
		order[i] = i
	}
	rng := rand.New(rand.NewPCG(seed, streamTrain))
	stats.Examples = len(order)
	for range t.Epochs {
		rng.Shuffle(len(order), func(a, b int) { order[a], order[b] = order[b], order[a] })
		sum := 0.0
		for batch := range slices.Chunk(order, t.Batch) {
			loss, err := net.Gradient(local, ds.Subset(batch), s.grad)
			if err != nil {
				return nil, Stats{}, err
			}
			s.step()
			sum += float64(loss * float64(len(batch)))
			stats.Steps++
		}
		stats.Loss = sum / float64(len(order))
	}
	return local, stats, nil
}

// sgd is the optimiser of one call of Train.
type sgd struct {
	Training
	weights, anchor, grad, velocity []float32
}

// step moves the weights by the gradient, which it uses up.
func (s *sgd) step() {
	if mu := float32(s.Prox); mu > 0 {
		for i, w := range s.weights {
			s.grad[i] += float32(mu * (w - s.anchor[i]))
		}
	}
	direction := s.grad
	if m := float32(s.Momentum); m > 0 {
		for i, g := range s.grad {
			s.velocity[i] = float32(m*s.velocity[i]) + g
		}
		direction = s.velocity
	}
	axpy(float32(-s.LearningRate), direction, s.weights)
}
