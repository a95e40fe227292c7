package preflight

import (
	"math"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/pairwise/graph"
)

// Graph is what scheme pairwise computes for a full cohort, and what it is sure of
// for any cohort that may be admitted.
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

	found graph.Parameters
}

// mostSizes bounds how many cohort sizes are tried: finding the parameters of one
// takes milliseconds at ten thousand clients.
const mostSizes = 512

func graphOf(p plan.Plan) (Graph, error) {
	params, err := pairwise.DecodeParameters(p.Terms().SchemeParameters)
	if err != nil {
		return Graph{}, err
	}
	full, err := params.Find(p.Invited())
	if err != nil {
		return Graph{}, err
	}
	g := Graph{Clients: full.Clients, Degree: full.Degree, Threshold: full.Threshold, Quorum: full.Quorum, MaxCorrupt: full.MaxCorrupt,
		MaxDropouts: full.MaxDropouts, Complete: full.Complete, MaxIsolated: full.MaxIsolated,
		PrivacyBits: pairwise.PrivacyBits, FailureBits: pairwise.FailureBits, found: full}
	g.Survivors, g.Honest = opens(full, p.Minimum())
	g.Sizes = p.Invited() - p.Minimum() + 1
	stride := (g.Sizes + mostSizes - 1) / mostSizes
	for n := p.Minimum(); n <= p.Invited(); n += stride {
		g.SizesTried++
		found, err := params.Find(n)
		if err != nil {
			continue // such a cohort is refused by every party
		}
		survivors, honest := opens(found, p.Minimum())
		g.Survivors, g.Honest = min(g.Survivors, survivors), min(g.Honest, honest)
	}
	return g, nil
}

// opens returns the fewest survivors whose sum can be opened and how many honest
// inputs are sure to be in it.
func opens(found graph.Parameters, minimum int) (survivors, honest int) {
	survivors = max(minimum, found.Quorum, found.MaxCorrupt+graph.MinHonest, found.HonestFloor)
	return survivors, found.HonestInSum(survivors)
}

// needed is how many of a full cohort must answer to the end.
func (f *Findings) needed() int {
	if f.Graph == nil {
		return f.Rounds.Minimum
	}
	least, _ := opens(f.Graph.found, f.Rounds.Minimum)
	if f.Graph.Complete {
		least = max(least, f.Graph.Threshold+1)
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

// attemptFails bounds the probability from above; it is exact for scheme plain and
// on the complete graph.
func (f *Findings) attemptFails(dropout float64) float64 {
	if f.Rounds.Early && f.Rounds.Cohort < f.needed() {
		return 1 // whoever is left out once uploads close counts as a drop-out
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

// below returns P[X < least] for X binomial with n trials of probability 1-dropout.
func below(n, least int, dropout float64) float64 {
	if dropout <= 0 || least <= 0 {
		return 0
	}
	choose := func(k int) float64 {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(k + 1))
		c, _ := math.Lgamma(float64(n - k + 1))
		return a - b - c
	}
	var sum float64
	for k := range min(least, n+1) {
		sum += math.Exp(choose(k) + float64(k)*math.Log1p(-dropout) + float64(n-k)*math.Log(dropout))
	}
	return min(1, sum)
}
