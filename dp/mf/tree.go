package mf

import "math/bits"

const (
	// maxTreeParticipations bounds the work of treeSensitivity.
	maxTreeParticipations = 512
	// weightBits is the number of fraction bits of the weights of a tree.
	weightBits = 16
)

// The tree has a node for each step, and one above each two: node (l, i) holds the sum of
// steps [i 2^l, (i+1) 2^l), if all of them are in the run.

// treeSensitivity is the most that the sum over nodes of the squared number of
// participations in the node can be: what the nodes change by, squared, when all
// contributions have norm 1 and one direction, which is the worst case.
//
// In a node no longer than the separation a client takes part once at most, and where does
// not matter to the sum: at the earliest place leaves most room. So the state between nodes
// is one number, how many steps of the next are still barred, and larger nodes join what
// their halves offer.
func treeSensitivity(p Participation) int {
	d := treeWork{separation: p.Separation, known: map[treeState][]treeOffer{}}
	// The run is one complete tree for each binary digit of Steps, the largest first.
	all := map[int][]treeOffer{0: {{0, 0}}} // by participations
	for level := bits.Len(uint(p.Steps)) - 1; level >= 0; level-- {
		if p.Steps>>level&1 == 0 {
			continue
		}
		next := map[int][]treeOffer{}
		for used := 0; used <= p.Participations; used++ {
			for _, o := range all[used] {
				for more := 0; used+more <= p.Participations; more++ {
					offers := d.offers(level, o.barred, more)
					if len(offers) == 0 && more > 0 {
						break
					}
					for _, n := range offers {
						next[used+more] = better(next[used+more], treeOffer{n.barred, o.sum + n.sum})
					}
				}
			}
		}
		all = next
	}
	best := 0
	for _, offers := range all {
		for _, o := range offers {
			best = max(best, o.sum)
		}
	}
	return best
}

// treeOffer is one way to place participations in a node: steps of the next node that are
// barred then, and the sum.
type treeOffer struct{ barred, sum int }

type treeState struct{ level, barred, participations int }

type treeWork struct {
	separation int
	known      map[treeState][]treeOffer
}

// offers are the ways that no other beats, with exactly so many participations in a node of
// 2^level steps whose first so many are barred.
func (d *treeWork) offers(level, barred, participations int) []treeOffer {
	length := 1 << level
	switch {
	case participations == 0:
		return []treeOffer{{max(0, barred-length), 0}}
	case barred >= length || (participations-1)*d.separation >= length-barred:
		return nil
	case length <= d.separation:
		return []treeOffer{{max(0, barred+d.separation-length), level + 1}}
	}
	key := treeState{level, barred, participations}
	if known, ok := d.known[key]; ok {
		return known
	}
	var best []treeOffer
	for left := 0; left <= participations; left++ {
		for _, a := range d.offers(level-1, barred, left) {
			for _, b := range d.offers(level-1, a.barred, participations-left) {
				best = better(best, treeOffer{b.barred, a.sum + b.sum + participations*participations})
			}
		}
	}
	d.known[key] = best
	return best
}

// better adds an offer unless another bars no more steps and has no less a sum, and drops
// those that it beats.
func better(offers []treeOffer, o treeOffer) []treeOffer {
	var kept []treeOffer
	for _, k := range offers {
		if k.barred <= o.barred && k.sum >= o.sum {
			return offers
		}
		if !(o.barred <= k.barred && o.sum >= k.sum) {
			kept = append(kept, k)
		}
	}
	return append(kept, o)
}

// treeWeights are, by level, the weight that a node's own noise gets in its estimate, the
// rest going to the sum of its halves' estimates, as a multiple of 2^-weightBits; and the
// variance of the estimate when that of each draw is 1. The weight is that of least
// variance (Honaker 2015, the estimate from below): v_0 = 1, v_l = 1/(1 + 1/(2 v_(l-1))).
func treeWeights(levels int) (weights []int64, variances []float64) {
	weights, variances = make([]int64, levels), make([]float64, levels)
	weights[0], variances[0] = 1<<weightBits, 1
	for l := 1; l < levels; l++ {
		halves := 2 * variances[l-1]
		weights[l] = int64(halves / (1 + halves) * (1 << weightBits))
		w := float64(weights[l]) / (1 << weightBits)
		variances[l] = float64(w*w) + float64((1-w)*(1-w)*halves)
	}
	return weights, variances
}

// treeError is the variance of prefix sums when that of each draw is 1: the estimates of
// the nodes at the binary digits of the number of steps, added.
func treeError(p Participation, by Criterion) float64 {
	_, variances := treeWeights(bits.Len(uint(p.Steps)))
	worst, sum := 0.0, 0.0
	for t := 1; t <= p.Steps; t++ {
		v := 0.0
		for l, x := range variances {
			if t>>l&1 == 1 {
				v += x
			}
		}
		worst = max(worst, v)
		sum += v
	}
	if by == MeanError {
		return sum / float64(p.Steps)
	}
	return worst
}
