package sim

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/internal/parallel"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/sim/adversary"
	"github.com/choir-fl/choir/tensor"
)

// battle is what the attackers of one attempt do together.
type battle struct {
	*adversaries
	id secagg.RoundID

	// Set by the event loop, before anybody crafts.
	asked  bool
	task   secagg.Task
	global tensor.Model
	known  *updates
	step   []float32
	centre []float32 // that updates are weighed by; nil for zero
	honest []int     // clients of the cohort, by index
	bad    []int     // its attackers, by place

	once    sync.Once
	vectors map[int][]float32 // by client: what it sends instead of its update
	own     map[int][]float32 // and what that would have been
	idle    bool              // nobody could attack
}

// prepare fixes the cohort, as its first attacker sees it.
func (b *battle) prepare(at *attacker, task secagg.Task, known *updates) {
	if b.asked {
		return
	}
	bytes, err := b.sim.model(task.Model)
	if err != nil {
		return // the coordinator is down, or the attempt over
	}
	if b.global, err = readModel(bytes); err != nil {
		b.sim.stop(fmt.Errorf("model of the attackers of %s: %w", b.id, err))
		return
	}
	if task.Centre != (secagg.Digest{}) {
		bytes, err := b.sim.model(task.Centre)
		if err != nil {
			return
		}
		centre, err := readModel(bytes)
		if err != nil {
			b.sim.stop(fmt.Errorf("centre of the attackers of %s: %w", b.id, err))
			return
		}
		b.centre = centre.Values()
	}
	b.asked, b.task, b.known, b.step = true, task, known, b.adversaries.step
	b.model = slices.Clone(b.global.Values()) // also where a run went back to an earlier one
	roster := at.party(b.id).session.Roster
	for i := range roster.Len() {
		index := b.sim.byID[roster.At(i).ID].index
		if b.attackers[index] != nil {
			b.bad = append(b.bad, index)
		} else {
			b.honest = append(b.honest, index)
		}
	}
	slices.Sort(b.honest)
	slices.SortFunc(b.bad, func(x, y int) int { return b.attackers[x].place - b.attackers[y].place })
}

// attack returns what an attacker hands to its own client, and lays the vector that goes
// into the sum ready in its party. It runs on a worker.
func (b *battle) attack(at *attacker, global tensor.Model, own client.Update) (client.Update, error) {
	if !b.asked {
		return own, nil
	}
	b.once.Do(b.craft)
	at.party(b.id).arm(b.vectors[at.index], b.own[at.index], own.Examples, b)
	if b.vectors[at.index] == nil {
		return own, nil
	}
	values := slices.Clone(global.Values())
	for i, x := range b.vectors[at.index] {
		values[i] += x
	}
	var err error
	own.Model, err = tensor.NewModel(global.Schema(), values)
	return own, err
}

// craft chooses the vectors. It trains whom nobody has trained yet.
func (b *battle) craft() {
	own, err := b.train(b.bad)
	var honest [][]float32
	if err == nil && b.adversaries.attack.Omniscient() {
		honest, err = b.train(b.honest)
	}
	if err != nil {
		b.sim.stop(fmt.Errorf("attackers of %s: %w", b.id, err))
		return
	}
	if honest != nil && len(honest) == 0 {
		b.idle = true // a cohort of attackers: nobody to learn from
		return
	}
	k := adversary.Known{Round: b.id.Round, Clients: len(b.honest) + len(b.bad), Byzantine: len(b.bad), Honest: honest, Own: own, OwnIDs: b.bad,
		Global: b.global.Values(), Step: b.step, ClipNorm: clipNorm(b.task), Aggregate: b.aggregate, Memory: &b.memory,
		Coins: b.sim.rng("attack " + b.id.String())}
	if honest != nil {
		k.HonestIDs = b.honest
	}
	if b.sim.seen != nil {
		b.sim.seen(k)
	}
	crafted, err := b.adversaries.attack.Craft(k)
	switch {
	case errors.Is(err, adversary.ErrAlone):
		b.idle = true
		return
	case err == nil && len(crafted) != len(own):
		err = adversary.ErrKnown.At("%d vectors of %d attackers", len(crafted), len(own))
	}
	if err != nil {
		b.sim.stop(fmt.Errorf("attack %s in %s: %w", b.adversaries.attack, b.id, err))
		return
	}
	b.vectors, b.own = map[int][]float32{}, map[int][]float32{}
	for i, v := range crafted {
		if len(v) != len(own[i]) {
			b.sim.stop(adversary.ErrKnown.At("a vector of %d values for %d", len(v), len(own[i])))
			return
		}
		b.own[b.bad[i]] = own[i]
		if !slices.Equal(v, own[i]) { // else it goes the honest way
			b.vectors[b.bad[i]] = v
		}
	}
}

// train returns the updates of some clients, clipped as clients clip them. It uses as
// many goroutines as there are workers.
func (b *battle) train(clients []int) ([][]float32, error) {
	out, errs := make([][]float32, len(clients)), make([]error, len(clients))
	parallel.Workers(cap(b.sim.world.slots))(len(clients), func(i int) {
		u, err := b.known.of(clients[i], func() (client.Update, error) { return b.sim.trainer.train(clients[i], b.global.Clone(), b.task) })
		if err == nil {
			out[i] = clipped(u, b.global, b.task)
		}
		errs[i] = err
	})
	return out, errors.Join(errs...)
}

// clipped is a client's difference, such that its weight times it is what the client puts
// into the sum; zero if it is not finite.
func clipped(u client.Update, global tensor.Model, task secagg.Task) []float32 {
	out := make([]float32, len(global.Values()))
	for i, g := range global.Values() {
		out[i] = u.Model.Values()[i] - g
	}
	norm := field.Norm(out)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		clear(out)
		return out
	}
	product, limit := norm, clipNorm(task)
	if task.Terms.Weiszfeld == (secagg.Weiszfeld{}) { // else the update is clipped before it is weighed
		product *= weightOf(u.Examples, task)
	}
	if product > limit {
		for i := range out {
			out[i] = float32(float64(out[i]) * (limit / product))
		}
	}
	return out
}

// weightOf is the weight that an honest client states.
func weightOf(examples int, task secagg.Task) float64 {
	limit := task.Terms.Training.WeightCap
	if limit == 0 {
		return 1
	}
	w := float64(min(examples, limit)) / float64(limit)
	return math.Round(w*secagg.ExtraScale) / secagg.ExtraScale
}

// aggregate is the plan's rule over the updates of a cohort, at the plan's view: what a
// coordinator makes of them but for rounding and weights. Which clients share a bucket is
// a guess, the same in the whole attempt.
func (b *battle) aggregate(rows [][]float32) ([]float64, error) {
	p := b.sim.plan
	in := robust.Input{Coins: b.sim.coins("attackers' rule " + b.id.String())}
	for _, x := range b.step {
		in.Reference = append(in.Reference, float64(x))
	}
	t := p.Terms()
	if w := t.Weiszfeld; w != (secagg.Weiszfeld{}) {
		return weighed(rows, b.centre, w, t.Encoding.ClipNorm), nil
	}
	var err error
	if buckets := bucketsOf(t, len(rows)); buckets == len(rows) {
		in.Vectors, err = robust.Float32(rows)
	} else {
		var means [][]float64
		of := secagg.Partition(secagg.Hash("attackers' guess", []byte(b.id.String())), len(rows), buckets)
		for _, members := range secagg.Members(of, buckets) {
			means = append(means, mean(rows, members))
		}
		in.Vectors, err = robust.Float64(means)
	}
	if err != nil {
		return nil, err
	}
	out := make([]float64, in.Vectors.Dim())
	_, err = p.Rule().Combine(out, in)
	return out, err
}

// weighed is the mean of rows as clients of one weight weigh them.
func weighed(rows [][]float32, centre []float32, w secagg.Weiszfeld, clip float64) []float64 {
	out, total := make([]float64, len(rows[0])), 0.0
	for _, row := range rows {
		beta := w.Weigh(1, row, centre, clip)
		total += beta
		for j, x := range row {
			out[j] += float64(beta * float64(x))
		}
	}
	for j := range out {
		out[j] /= total
	}
	return out
}

// bucketsOf is the number of sums that are opened of a cohort of n.
func bucketsOf(t secagg.Terms, n int) int {
	if t.View == secagg.ViewSum {
		return 1
	}
	return min(n, t.Buckets.Count(n))
}

func mean(rows [][]float32, members []int) []float64 {
	out := make([]float64, len(rows[0]))
	for _, i := range members {
		for j, x := range rows[i] {
			out[j] += float64(x) / float64(len(members))
		}
	}
	return out
}
