package sim

import (
	"bytes"
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
	instead training // of local
	audited training // of all that follows
	momenta momenta
	nets    sync.Pool // of *model.Net: one per worker at work
}

// training makes an update of a client. It may be called concurrently.
type training func(index int, global tensor.Model, task secagg.Task) (client.Update, error)

func (t *trainer) train(index int, global tensor.Model, task secagg.Task) (client.Update, error) {
	if t.audited != nil {
		return t.audited(index, global, task)
	}
	return t.client(index, global, task)
}

// client is what a client that is no canary sends.
func (t *trainer) client(index int, global tensor.Model, task secagg.Task) (client.Update, error) {
	local := t.local
	if t.instead != nil {
		local = t.instead
	}
	update, err := local(index, global, task)
	if err != nil {
		return update, err
	}
	return t.momenta.apply(index, global, task, update)
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
		Momentum: tr.Momentum, Prox: tr.Prox}, t.shuffle(index, task))
	if err != nil {
		return out, err
	}
	out.Model, err = tensor.NewModel(global.Schema(), local)
	return out, err
}

// shuffle seeds the order of a client's examples in a round, or where several rounds ask for
// the same update from one model, in all of them. It does not depend on the attempt or the
// scheme, so that the same survivors give the same model.
func (t *trainer) shuffle(index int, task secagg.Task) uint64 {
	h := fnv.New64a()
	var e secagg.Encoder
	e.Uint(1, t.seed)
	e.Uint(2, uint64(index))
	if task.Terms.Weiszfeld == (secagg.Weiszfeld{}) {
		e.Uint(3, uint64(task.Round.Round))
	} else {
		e.Digest(4, task.Model)
	}
	_, _ = h.Write(e.Encoded()) // a hash never fails
	return h.Sum64()
}

func readModel(b []byte) (tensor.Model, error) {
	return tensor.ReadSafetensors(bytes.NewReader(b), int64(len(b)))
}
