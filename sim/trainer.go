package sim

import (
	"bytes"
	"context"
	"hash/fnv"
	"sync"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/sim/model"
	"github.com/choir-fl/choir/tensor"
)

// trainer trains any virtual client, on any worker.
type trainer struct {
	net     *model.Net
	clients []dataset.Dataset
	seed    uint64
	instead func(index int, global tensor.Model, task secagg.Task) (client.Update, error)
	nets    sync.Pool // of *model.Net: one per worker at work
}

func (t *trainer) train(_ context.Context, index int, global tensor.Model, task secagg.Task) (client.Update, error) {
	if t.instead != nil {
		return t.instead(index, global, task)
	}
	return t.local(index, global, task)
}

// local trains on the client's own data.
func (t *trainer) local(index int, global tensor.Model, task secagg.Task) (client.Update, error) {
	net, ok := t.nets.Get().(*model.Net)
	if !ok {
		net = t.net.Clone()
	}
	defer t.nets.Put(net)
	data := t.clients[index]
	out := client.Update{Examples: data.Len()}
	if task.Terms.Evaluate {
		e, err := net.Evaluate(global.Values(), data)
		if err != nil {
			return out, err
		}
		out.Evaluation = &client.Evaluation{Examples: e.Examples, Accuracy: e.Accuracy(), Loss: e.Loss()}
	}
	tr := task.Terms.Training
	local, _, err := model.Train(net, global, data, model.Training{Epochs: tr.Epochs, Batch: tr.BatchSize, LearningRate: tr.LearningRate,
		Momentum: tr.Momentum, Prox: tr.Prox}, t.shuffle(index, task.Round))
	if err != nil {
		return out, err
	}
	out.Model, err = tensor.NewModel(global.Schema(), local)
	return out, err
}

// shuffle seeds the order of a client's examples in a round. It does not depend
// on the attempt or the scheme, so that the same survivors give the same model.
func (t *trainer) shuffle(index int, id secagg.RoundID) uint64 {
	h := fnv.New64a()
	var e secagg.Encoder
	e.Uint(1, t.seed)
	e.Uint(2, uint64(index))
	e.Uint(3, uint64(id.Round))
	_, _ = h.Write(e.Encoded()) // a hash never fails
	return h.Sum64()
}

func readModel(b []byte) (tensor.Model, error) {
	return tensor.ReadSafetensors(bytes.NewReader(b), int64(len(b)))
}
