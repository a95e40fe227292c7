package ddp

import (
	"math"
	"math/big"

	"github.com/choir-fl/choir/dp"
)

// Event is count releases as one event for accountants, under dp.ZeroOut or
// dp.ReplaceOne ([ErrRelation] otherwise: who took part is no secret in a secure sum);
// what NewEvent says of sampling and count goes for it too. The shares are those that
// are reckoned with. [Mechanism.TailDelta] is not in it: it adds to delta, for each release.
//
// Update and extras are one release and one event. For the discrete Gaussian its
// Variance is that of the sum, sigma^2 exactly, and its Clip the joint sensitivity
//
//	sigma sqrt(2 rho)    with rho of [Mechanism.ZCDP], rounded up,
//
// so that a discrete Gaussian of that variance and sensitivity bounds the release at
// every order: extras, and what the sum of shares lacks of one discrete Gaussian, are
// in it. For Skellam, Clip and L1 are D2 and D1, rounded up.
func (m Mechanism) Event(relation dp.Relation, sampling dp.Sampling, count int64) (dp.Event, error) {
	main, extras, ok := m.sensitivities(relation)
	if !ok {
		return dp.Event{}, ErrRelation.At("Event under %q", relation)
	}
	if m.sensitivity.Dimension == 0 {
		return dp.Event{}, ErrArgument.At("Event of the zero Mechanism")
	}
	variance := m.shares.Variance()
	spec := dp.Spec{
		Mechanism: m.params.Noise, Relation: relation, Sampling: sampling, Count: count,
		Variance:  variance.Mul(variance, big.NewRat(int64(m.shares.Count()), 1)),
		Dimension: main.Dimension + len(extras),
	}
	if m.params.Noise == dp.Skellam {
		spec.Clip, spec.L1 = safe(main.L2), safe(main.L1)
	} else {
		v, _ := variance.Float64()
		spec.Clip = safe(up(math.Sqrt(up(v))) * math.Sqrt(2*m.ZCDP(relation)))
	}
	if relation == dp.ReplaceOne { // the event doubles them
		spec.Clip, spec.L1 = spec.Clip/2, spec.L1/2
	}
	return dp.NewEvent(spec)
}

// ZCDP is rho, rounded up, such that RDP(relation) of order a is at most a rho: for the
// discrete Gaussian at every real order above 1, for Skellam at the whole orders 2 to 64.
// The rho of releases add up, and dp.Epsilon converts them. It is +Inf where RDP is.
func (m Mechanism) ZCDP(relation dp.Relation) float64 {
	main, extras, ok := m.sensitivities(relation)
	if !ok {
		return math.Inf(1)
	}
	if m.params.Noise == dp.Skellam {
		return skellamZCDP(m.shares.RDP(dp.Skellam, main))
	}
	rho := discreteGaussianZCDP(main, m.shares.count, m.shares.Width())
	for k, e := range extras {
		rho = safe(rho + discreteGaussianZCDP(e, m.extras[k].count, m.extras[k].Width()))
	}
	return rho
}

// Multiplier is the noise multiplier of the joint event of the update and all extras,
// rounded down. It is what a continuous Gaussian would have; the guarantee of the
// integer noise is RDP. Only dp.ZeroOut and dp.ReplaceOne are answered: who took part
// is no secret in a secure sum, so under another relation it is 0.
func (m Mechanism) Multiplier(relation dp.Relation) float64 {
	main, extras, ok := m.sensitivities(relation)
	if !ok {
		return 0
	}
	terms := []Term{{main.L2, m.shares.Sigma()}}
	for k, e := range extras {
		terms = append(terms, Term{e.L2, m.extras[k].Sigma()})
	}
	return JointMultiplier(terms...)
}

// RDP of one unsampled release of the update and all extras, for the shares that are
// reckoned with, under dp.ZeroOut or dp.ReplaceOne; +Inf under another relation.
func (m Mechanism) RDP(relation dp.Relation) RDP {
	main, extras, ok := m.sensitivities(relation)
	if !ok {
		return nothing
	}
	out := m.shares.RDP(m.params.Noise, main)
	for k, e := range extras {
		out = out.Add(m.extras[k].RDP(m.params.Noise, e))
	}
	return out
}

func (m Mechanism) sensitivities(relation dp.Relation) (main Sensitivity, extras []Sensitivity, ok bool) {
	main = m.sensitivity
	switch relation {
	case dp.ZeroOut:
	case dp.ReplaceOne:
		main = main.ReplaceOne()
	default:
		return Sensitivity{}, nil, false
	}
	for _, e := range m.params.Extras {
		extras = append(extras, e.sensitivity(relation))
	}
	return main, extras, true
}
