package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// ErrPartition: data cannot be dealt out as asked. Errors wrap it and say why.
var ErrPartition = errors.New("dataset: cannot deal the data out")

// IID deals the examples out at random, so that every client's data look alike.
// Sizes differ by at most one. All four partitions return one list of indices
// per client, in increasing order, and refuse, with [ErrPartition], fewer than
// one client and more clients than examples.
func IID(labels []int, clients int, seed uint64) ([][]int, error) {
	if err := checkClients(labels, clients); err != nil {
		return nil, err
	}
	order := source(seed, streamIID).Perm(len(labels))
	parts := make([][]int, clients)
	dealEvenly(parts, order)
	return finish(parts), nil
}

// Shards sorts the examples by label, cuts them into perClient shards per
// client, all of one size give or take one, and gives each client perClient
// shards at random, so that most clients see few classes. With two shards of
// 300 images it is the partition of McMahan et al., "Communication-Efficient
// Learning of Deep Networks from Decentralized Data", 2017, section 3. There
// must be at least one example for each shard.
func Shards(labels []int, clients, perClient int, seed uint64) ([][]int, error) {
	if err := checkClients(labels, clients); err != nil {
		return nil, err
	}
	if perClient < 1 || perClient > len(labels)/clients {
		return nil, fmt.Errorf("%w: %d shards for each of %d clients from %d examples", ErrPartition, perClient, clients, len(labels))
	}
	sorted := byLabel(labels, indices(len(labels)))
	shards := make([][]int, clients*perClient)
	dealEvenly(shards, sorted)
	parts := make([][]int, clients)
	for k, shard := range source(seed, streamShards).Perm(len(shards)) {
		parts[k/perClient] = append(parts[k/perClient], shards[shard]...)
	}
	return finish(parts), nil
}

// GammaSimilarity deals a share gamma of the examples, drawn at random, evenly
// to all clients, and the rest, sorted by label, in even contiguous runs: 1 is
// as IID, 0 gives each client one or a few classes. Sizes differ by at most
// two; a client that rounding left with nothing is given one example of the
// largest. gamma must lie in [0, 1]. Karimireddy et al., "SCAFFOLD", 2020,
// section 7 (similarity s).
func GammaSimilarity(labels []int, clients int, gamma float64, seed uint64) ([][]int, error) {
	if err := checkClients(labels, clients); err != nil {
		return nil, err
	}
	if !(gamma >= 0 && gamma <= 1) { // refuses NaN too
		return nil, fmt.Errorf("%w: gamma %v is not in [0, 1]", ErrPartition, gamma)
	}
	order := source(seed, streamGamma).Perm(len(labels))
	alike := int(math.Round(gamma * float64(len(labels))))
	parts := make([][]int, clients)
	dealEvenly(parts, order[:alike])
	dealEvenly(parts, byLabel(labels, order[alike:]))
	feedEmpty(parts)
	return finish(parts), nil
}

func checkClients(labels []int, clients int) error {
	if clients < 1 || clients > len(labels) {
		return fmt.Errorf("%w: %d examples among %d clients", ErrPartition, len(labels), clients)
	}
	return nil
}

// Each kind of partition draws from a stream of its own.
const (
	streamIID = 1 + iota
	streamShards
	streamGamma
	streamDirichlet
)

func source(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

// dealEvenly appends consecutive runs of the list to the parts, all of one
// length give or take one.
func dealEvenly(parts [][]int, list []int) {
	for i := range parts {
		lo, hi := i*len(list)/len(parts), (i+1)*len(list)/len(parts)
		parts[i] = append(parts[i], list[lo:hi]...)
	}
}

// feedEmpty moves one example from the largest part, the first of equals, to
// each part that has none, in order. There must be an example for every part.
func feedEmpty(parts [][]int) {
	bySize := func(a, b []int) int { return cmp.Compare(len(a), len(b)) }
	for i := range parts {
		if len(parts[i]) > 0 {
			continue
		}
		largest := slices.MaxFunc(parts, bySize)
		at := slices.IndexFunc(parts, func(p []int) bool { return len(p) == len(largest) })
		last := len(largest) - 1
		parts[i], parts[at] = []int{largest[last]}, largest[:last]
	}
}

// byLabel sorts a copy of the list by label and, within one, by index.
func byLabel(labels, list []int) []int {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b int) int {
		return cmp.Or(cmp.Compare(labels[a], labels[b]), cmp.Compare(a, b))
	})
	return sorted
}

func indices(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func finish(parts [][]int) [][]int {
	for _, part := range parts {
		slices.Sort(part)
	}
	return parts
}
