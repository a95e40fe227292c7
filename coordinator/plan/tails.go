package plan

import (
	"math"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
)

// tails is what it costs that a noise share is redrawn beyond 12 standard deviations,
// so that the real sums differ from those that events speak of.
//
// There are two ways to account for it. If real and ideal releases differ by eta in
// total variation, an (epsilon, delta) statement about the ideal ones holds for the real
// ones with delta + (1 + e^epsilon) eta. That is nothing as long as epsilon is below
// some 30, and void beyond.
//
// The other one needs no factor e^epsilon. Let s be the standard deviation of one of n
// shares and S = s sqrt n that of their sum; of more shares than n, what is beyond n is
// taken for known, as it does not depend on data. The real probability of a noise y of a
// coordinate is the ideal one times (1 - r(y)), up to one constant 1 + 2^-70, where r(y)
// is the probability that some ideal share is beyond 12 s, given that their sum is y.
//
// Given the sum, n discrete Gaussians are one on a coset of the lattice of integers that
// add up to 0, about y/n each. The moment generating function of one of them is that of a
// Gaussian of variance s^2 (1 - 1/n) times a ratio of masses of cosets (Banaszczyk 1993),
// which is the ratio of the law of the sum to a discrete Gaussian's: within exp(2 tau) of
// 1 for the tau of Kairouz, Liu and Steinke 2021, so less than 2 for shares at least 2
// wide. Hence r(y) <= 4 n exp(-(12 - |y|/(n s))^2 / 2).
//
// Where all coordinates of the noise stay within c S, those of a neighbour stay within
// c S + D2, and the ratio of their probabilities is the ideal one but for a factor
// exp(2 d r): it is added to epsilon as spread. That they do not stay there has
// probability at most cut = 2 d exp(-c^2/2), as a sum of discrete Gaussians is
// sub-Gaussian: it is added to delta. d counts the coordinates of all attempts. With
// c = 12 sqrt n / (1 + sqrt n) both exponents are about the same. One share alone is
// never beyond 12 s if its neighbour is within 12 s - D2: r = 0.
type tails struct {
	redrawn, overflow float64 // total variation, of all attempts: by redrawing, by draws beyond the capacity
	cut, spread       float64 // the other way; +Inf where it is not available
}

// tailsPart is the part of delta that is set aside for tails.
const tailsPart = 1e-3

func tailsOf(n secagg.Noise, m ddp.Mechanism, attempts int, overflowBits float64) tails {
	t := tails{redrawn: float64(attempts) * m.TailDelta(), overflow: float64(attempts) * math.Exp2(-overflowBits), cut: math.Inf(1), spread: math.Inf(1)}
	if n.Law != dp.DiscreteGaussian {
		return t
	}
	event, err := m.Event(n.Relation, dp.Sampling{Mode: dp.SamplingNone}, 1)
	if err != nil {
		return t
	}
	shares, step, coordinates := float64(n.Shares()), 1/event.NoiseMultiplier(), float64(attempts)*float64(event.Spec().Dimension)
	if n.Shares() == 1 {
		if c := ddp.TailWidths - step; c > 0 {
			t.cut, t.spread = 2*coordinates*math.Exp(-c*c/2), 0
		}
		return t
	}
	root := math.Sqrt(shares)
	c := ddp.TailWidths * root / (1 + root)
	if far := ddp.TailWidths - (c+step)/root; far > 0 {
		t.cut, t.spread = 2*coordinates*math.Exp(-c*c/2), 2*coordinates*4*shares*math.Exp(-far*far/2)
	}
	return t
}

// unsampled returns epsilon with what redrawing adds, given that room was taken off
// delta for it: +Inf if that is not enough.
func (t tails) unsampled(epsilon, room float64) float64 {
	switch {
	case (1+math.Exp(epsilon))*t.redrawn <= room:
		return epsilon
	case t.cut <= room && t.spread <= 1e-3:
		return epsilon + t.spread
	}
	return math.Inf(1)
}

// sampled is unsampled where the cohort is a mixture, whose parts lie in different places.
func (t tails) sampled(epsilon, room float64) float64 {
	if (1+math.Exp(epsilon))*(t.redrawn+t.overflow) <= room {
		return epsilon
	}
	return math.Inf(1)
}
