package preflight

import (
	"math"
	"slices"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/pairwise/graph"
)

// Graph is what scheme pairwise computes for a full cohort, and what it is sure of
// for any cohort that may be admitted. With buckets each has a graph of its own, and
// this is that of the largest.
type Graph struct {
	Clients     int  `json:"clients"`
	Degree      int  `json:"degree"`       // k: holders of each client's shares
	Threshold   int  `json:"threshold"`    // t: how many of them rebuild a secret
	Quorum      int  `json:"quorum"`       // q: signatures on one survivor set
	MaxCorrupt  int  `json:"max_corrupt"`  // f
	MaxDropouts int  `json:"max_dropouts"` // D
	Complete    bool `json:"complete"`     // everybody holds shares of everybody
	MaxIsolated int  `json:"max_isolated"` // honest survivors that a deviating coordinator may leave out
	PrivacyBits int  `json:"privacy_bits"` // a round's guarantees fail with at most 2^-bits
	FailureBits int  `json:"failure_bits"` // an attempt fails with at most 2^-bits while no more than MaxDropouts vanish
	// Survivors is the fewest clients in any sum that can be opened, Honest the
	// fewest of them that are honest, over all cohorts that may be admitted.
	Survivors int `json:"least_survivors"`
	Honest    int `json:"least_honest"`
	// SizesTried of Sizes cohorts went into these two. Where they differ, a size
	// between two that were tried may give one or two clients fewer.
	SizesTried int `json:"sizes_tried"`
	Sizes      int `json:"sizes"`

	found  graph.Parameters
	params pairwise.Parameters
}

// mostSizes bounds how many cohort sizes are tried: finding the parameters of one
// takes milliseconds at ten thousand clients.
const mostSizes = 512

func graphOf(p plan.Plan) (Graph, error) {
	params, err := pairwise.DecodeParameters(p.Terms().SchemeParameters)
	if err != nil {
		return Graph{}, err
	}
	sizes, largest, minimum := sessionSizes(p)
	full, err := params.Find(largest)
	if err != nil {
		return Graph{}, err
	}
	g := Graph{Clients: full.Clients, Degree: full.Degree, Threshold: full.Threshold, Quorum: full.Quorum, MaxCorrupt: full.MaxCorrupt,
		MaxDropouts: full.MaxDropouts, Complete: full.Complete, MaxIsolated: full.MaxIsolated,
		PrivacyBits: pairwise.PrivacyBits, FailureBits: pairwise.FailureBits, found: full, params: params}
	g.Survivors, g.Honest = opens(full, minimum)
	g.Sizes = len(sizes)
	stride := (g.Sizes + mostSizes - 1) / mostSizes
	for i := 0; i < len(sizes); i += stride {
		g.SizesTried++
		found, err := params.Find(sizes[i])
		if err != nil {
			continue // such a cohort is refused by every party
		}
		survivors, honest := opens(found, minimum)
		g.Survivors, g.Honest = min(g.Survivors, survivors), min(g.Honest, honest)
	}
	return g, nil
}

// sessionSizes returns the numbers of clients that a session may have, in ascending
// order, the largest in a full cohort, and the fewest in its sum. There is a session
// for the cohort, or one for each bucket.
func sessionSizes(p plan.Plan) (sizes []int, largest, minimum int) {
	b := bucketsOf(p)
	if b == nil {
		for n := p.Minimum(); n <= p.Invited(); n++ {
			sizes = append(sizes, n)
		}
		return sizes, p.Invited(), p.Minimum()
	}
	for n := p.Minimum(); n <= p.Invited(); n++ {
		count := p.Terms().Buckets.Count(n)
		sizes = append(sizes, n/count, (n+count-1)/count)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes), b.Largest, b.Minimum
}

// opens returns the fewest survivors whose sum can be opened and how many honest
// inputs are sure to be in it.
func opens(found graph.Parameters, minimum int) (survivors, honest int) {
	survivors = max(minimum, found.Quorum, found.MaxCorrupt+graph.MinHonest, found.HonestFloor)
	return survivors, found.HonestInSum(survivors)
}

// needed is how many of a full cohort must answer to the end.
func (f *Findings) needed() int {
	if f.Graph == nil || f.sums() > 1 {
		return f.Rounds.Minimum
	}
	return neededOf(f.Graph.found, f.Rounds.Minimum)
}

// neededOf is how many clients of a session must answer to the end.
func neededOf(found graph.Parameters, minimum int) int {
	least, _ := opens(found, minimum)
	if found.Complete {
		least = max(least, found.Threshold+1)
	}
	return least
}

// Failure is how likely a full cohort is to fail when each client vanishes with
// probability Dropout, independently of the others.
type Failure struct {
	Dropout float64 `json:"dropout"`
	Attempt float64 `json:"attempt"`
	Round   float64 `json:"round"` // all its attempts
}

// failures are those at the planned rate of drop-outs and at half of it.
func (f *Findings) failures(dropout float64) []Failure {
	rates := []float64{dropout}
	if dropout > 0 {
		rates = append(rates, dropout/2)
	}
	out := make([]Failure, len(rates))
	for i, rate := range rates {
		a := f.attemptFails(rate)
		out[i] = Failure{Dropout: rate, Attempt: a, Round: math.Pow(a, float64(f.Rounds.Attempts))}
	}
	return out
}

// attemptFails bounds the probability from above; it is exact for schemes plain and
// oneshot and on the complete graph. Committees are taken to be all there.
func (f *Findings) attemptFails(dropout float64) float64 {
	if f.Rounds.CloseAt > 0 && f.Rounds.CloseAt < f.needed() {
		return 1 // whoever is left out once uploads close counts as a drop-out
	}
	if f.coins() != nil {
		return f.drawnFails(dropout)
	}
	if f.sums() > 1 {
		return f.bucketsFail(dropout)
	}
	few := below(f.Rounds.Invited, f.needed(), dropout)
	if f.Graph == nil {
		return few
	}
	lost := f.Graph.found.FailureProbability(dropout)
	if f.Graph.Complete {
		return max(lost, few) // both say that too few of the same clients are left
	}
	return min(1, lost+few)
}

// drawnFails is attemptFails where coins draw the cohort: too few clients are drawn and
// stay, or the scheme fails in a cohort of the expected size. Exact under schemes plain and
// oneshot where one sum is opened; else what buckets lose in that cohort is added.
func (f *Findings) drawnFails(dropout float64) float64 {
	s := f.coins()
	few := below(*s.Population, f.Rounds.Minimum, 1-*s.Rate*(1-dropout))
	if f.Graph == nil && f.sums() == 1 {
		return few
	}
	expected := *f
	expected.Rounds.Invited, expected.Privacy.Noise = f.Rounds.Cohort, nil
	if g := f.Graph; g != nil {
		size := f.Rounds.Cohort
		if f.sums() > 1 {
			size = f.Buckets.Largest
		}
		found, err := g.params.Find(size)
		if err != nil { // such a cohort is refused by every party
			return 1
		}
		graph := *g
		graph.found, graph.Complete = found, found.Complete
		expected.Graph = &graph
	}
	if b := f.Buckets; b != nil {
		buckets := *b
		buckets.clients = f.Rounds.Cohort
		buckets.Count = buckets.division.Count(f.Rounds.Cohort)
		expected.Buckets = &buckets
	}
	return min(1, few+expected.attemptFails(dropout))
}

// bucketsFail is attemptFails where each bucket is opened alone: a bucket that too few
// are left in is left out, and the others must hold the minimum together.
func (f *Findings) bucketsFail(dropout float64) float64 {
	b := f.Buckets
	needed, lost := func(int) int { return b.Minimum }, 0.0
	if g := f.Graph; g != nil {
		bySize := map[int]int{}
		for _, size := range b.sizes() {
			if bySize[size] > 0 {
				continue
			}
			bySize[size] = size + 1 // never, if such a bucket is refused
			if found, err := g.params.Find(size); err == nil {
				bySize[size] = neededOf(found, b.Minimum)
				if !found.Complete {
					lost = max(lost, found.FailureProbability(dropout))
				}
			}
		}
		needed = func(size int) int { return bySize[size] }
	}
	return min(1, belowInBuckets(b.sizes(), needed, f.Rounds.Minimum, dropout)+lost*float64(b.Count))
}

// below returns P[X < least] for X binomial with n trials of probability 1-dropout.
func below(n, least int, dropout float64) float64 {
	var sum float64
	for k := range min(least, n+1) {
		sum += binomial(n, k, 1-dropout)
	}
	return min(1, sum)
}
