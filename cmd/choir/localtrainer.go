package main

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"log/slog"
	"sync"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/client/datacheck"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/sim/model"
	"github.com/choir-fl/choir/tensor"
)

// dataConfig is a client's part of a data set.
type dataConfig struct {
	// Dir holds the four IDX files of a set of images. Default: the Fashion-MNIST
	// subset that is built in; full: the whole of it, where a distribution puts it.
	Dir string `yaml:"dir"`
	// Partition is how the set is dealt out: iid (default), dirichlet:ALPHA,
	// shards:N, gamma:SHARE.
	Partition string `yaml:"partition"`
	// Of is the number of parts and Index, from 0, the one of this client.
	Of    int `yaml:"of"`
	Index int `yaml:"index"`
	// Seed deals the set out; the same for all clients. Default 1.
	Seed uint64 `yaml:"seed"`
}

// localTrainer trains the built-in model that a task names. It implements
// client.Trainer and client.Evaluator. Its work cannot be interrupted: a client that
// is told to stop waits for the end of the training under way.
type localTrainer struct {
	data   dataset.Dataset // what the checks at the start left
	checks datacheck.Checks
	log    *slog.Logger
	// momentum is that of the client's own updates, for plans that ask for it.
	momentum workerMomentum

	mu  sync.Mutex // owns the field below
	net *model.Net // of the latest task; nil before the first
}

// newLocalTrainer loads this client's part of the data and makes the checks that rules
// ask for. state is the client's state directory, path names the configuration.
func newLocalTrainer(c dataConfig, rules datacheck.Rules, state, path string, log *slog.Logger) (*localTrainer, error) {
	if c.Of < 1 || c.Index < 0 || c.Index >= c.Of {
		return nil, errConfig.At("%s: data", path).Because(errors.New("index is not one of the parts 0 to of-1"))
	}
	if c.Dir != "" && c.Dir != "embedded" && c.Dir != "full" {
		c.Dir = beside(path, c.Dir)
	}
	if c.Partition == "" {
		c.Partition = "iid"
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	set, _, _, err := loadData(c.Dir)
	if err != nil {
		return nil, errConfig.At("%s: data.dir", path).Because(cause(err))
	}
	parts, err := deal(set, c.Partition, c.Of, c.Seed)
	if err != nil {
		return nil, errConfig.At("%s: data.partition %q", path, c.Partition).Because(cause(err))
	}
	if len(parts[c.Index]) == 0 {
		return nil, errConfig.At("%s: data.index", path).Because(errors.New("that part has no examples"))
	}
	data, checks, err := checkedData(set.Subset(parts[c.Index]), rules, path, log)
	if err != nil {
		return nil, err
	}
	return &localTrainer{data: data, checks: checks, log: log, momentum: workerMomentum{state}}, nil
}

// cause is what lies below an error that speaks of a command line.
func cause(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// network returns the network for a task's model; the caller holds the lock.
func (t *localTrainer) network(m tensor.Model, task secagg.Task) (*model.Net, error) {
	arch, err := model.ParseArchitecture(task.Terms.Training.Architecture)
	if err != nil {
		return nil, err
	}
	if t.net == nil || t.net.Architecture().String() != arch.String() {
		if t.net, err = model.New(arch, t.data.Shape(), t.data.Classes()); err != nil {
			return nil, err
		}
	}
	if !t.net.Schema().Equal(m.Schema()) {
		return nil, errors.New("the plan's model is not the " + arch.String() + " for this data")
	}
	return t.net, nil
}

// Train implements client.Trainer.
func (t *localTrainer) Train(_ context.Context, m tensor.Model, task secagg.Task) (client.Update, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	net, err := t.network(m, task)
	if err != nil {
		return client.Update{}, err
	}
	data, err := t.believable(net, m, task.Round)
	if err != nil {
		return client.Update{}, err
	}
	tr := task.Terms.Training
	local, stats, err := model.Train(net, m, data, model.Training{Epochs: tr.Epochs, Batch: tr.BatchSize, LearningRate: tr.LearningRate,
		Momentum: tr.Momentum, Prox: tr.Prox}, shuffleSeed(task.Round))
	if err != nil {
		return client.Update{}, err
	}
	if tr.WorkerMomentum > 0 {
		if err := t.average(task, m.Values(), local); err != nil {
			return client.Update{}, err
		}
	}
	trained, err := tensor.NewModel(m.Schema(), local)
	return client.Update{Model: trained, Examples: stats.Examples}, err
}

// average puts the mean of the client's updates so far in place of its update from the
// global weights to the local ones.
func (t *localTrainer) average(task secagg.Task, global, local []float32) error {
	update := make([]float32, len(local))
	for i := range local {
		update[i] = local[i] - global[i]
	}
	mean, err := t.momentum.step(task, update)
	if err != nil {
		return err
	}
	for i, v := range mean {
		local[i] = global[i] + v
	}
	return nil
}

// Evaluate implements client.Evaluator.
func (t *localTrainer) Evaluate(_ context.Context, m tensor.Model, task secagg.Task) (client.Evaluation, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	net, err := t.network(m, task)
	if err != nil {
		return client.Evaluation{}, err
	}
	e, err := net.Evaluate(m.Values(), t.data)
	if err != nil {
		return client.Evaluation{}, err
	}
	return client.Evaluation{Examples: e.Examples, Accuracy: e.Accuracy(), Loss: e.Loss()}, nil
}

// shuffleSeed orders a client's examples anew in each round. Nothing about it is
// secret: it only keeps rounds from repeating each other.
func shuffleSeed(id secagg.RoundID) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(binary.BigEndian.AppendUint32([]byte(id.Job), id.Round)) // a hash never fails
	return h.Sum64()
}
