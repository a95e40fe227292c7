package plan

import (
	"math"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
)

// likeness says how near the noise of one release is to rounded continuous Gaussian
// noise, for which epsilon is known exactly (Dong, Roth and Su 2022).
//
// Let p be the law of a discrete Gaussian on the integers and r that of a continuous
// one of the same sigma, rounded to the nearest. Then ln(p(y)/r(y)) is
//
//	h(y) = - ln of the mean over v in [-1/2, 1/2] of exp(-(2yv + v^2)/(2 sigma^2))
//
// up to the difference of the two normalisations, 4 exp(-2 pi^2 sigma^2). By Jensen's
// inequality h <= 1/(24 sigma^2). As the mean of exp(-yv/sigma^2) is sinh(a)/a with
// a = y/(2 sigma^2), and ln(sinh(a)/a) <= a^2/6, also -h <= y^2/(24 sigma^4). Of d
// coordinates of r the sum of y^2/sigma^2 is at most d + 2 sqrt(d t) + 2t but for a
// probability exp(-t) before they are rounded (Laurent and Massart 2000), and rounding
// makes their norm longer by sqrt(d)/2 at most.
//
// Integers plus rounded noise are the rounding of integers plus noise. So a release x + p
// has, at every point, at most exp(d/(24 sigma^2)) times the probability of a function of
// x plus continuous Gaussian noise, and that at most exp(spread') times that of x' + p
// where the sum of squares is as said. An (epsilon, delta) statement about the
// continuous mechanism, whatever is done with its releases, therefore holds for the
// discrete one with epsilon plus both exponents, and delta plus exp(epsilon - t) for each
// release, both times the first factor. A sum of shares differs from one draw by exp(tau)
// at most at each coordinate (ddp.Shares.Tau), which is added twice. The event's clip
// covers it as well.
type likeness struct {
	spread float64 // added to epsilon for each release; +Inf where nothing is known
}

// likenessTail is t.
const likenessTail = 200

func likenessOf(n secagg.Noise, m ddp.Mechanism) likeness {
	p := m.Parameters()
	if n.Law != dp.DiscreteGaussian || len(p.Extras) > 0 {
		return likeness{math.Inf(1)}
	}
	d, sigma := float64(m.Sensitivity().Dimension), m.Shares().Sigma()
	norm := math.Sqrt(d+2*math.Sqrt(d*likenessTail)+2*likenessTail) + math.Sqrt(d)/(2*sigma)
	both := (d + norm*norm) / (24 * sigma * sigma)
	if !(sigma >= 2) {
		return likeness{math.Inf(1)}
	}
	shares := 2 * d * (m.Shares().Tau() + 4*math.Exp(-2*math.Pi*math.Pi*sigma*sigma))
	return likeness{(both + shares) * (1 + 1e-9)}
}

// epsilon is the exact bound for so many releases without sampling, plus what the
// integers cost; +Inf where that is not known.
func (k likeness) epsilon(one dp.Event, releases int, delta float64) float64 {
	n := float64(releases)
	if !(k.spread <= 1) {
		return math.Inf(1)
	}
	e, err := account.GDPEpsilon(math.Sqrt(n)/one.NoiseMultiplier()*(1+1e-12), delta*(1-1e-9)*math.Exp(-n*k.spread))
	if err != nil || n*math.Exp(e+n*k.spread-likenessTail) > delta*1e-10 {
		return math.Inf(1)
	}
	return e + n*k.spread
}
