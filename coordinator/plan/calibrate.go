package plan

import (
	"errors"
	"fmt"
	"math"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
)

// errImpossible is a budget that no amount of noise keeps.
var errImpossible = errors.New("no noise multiplier up to 2^20 keeps the budget")

// checkNoiseLevel makes the promise of noise and the encoding that goes with it. What
// the plan's other parts mean is known by now.
func (p *Plan) checkNoiseLevel(c *checker, scheme secagg.ServerScheme) {
	l := p.literal
	if h, ok := scheme.(secagg.HonestScheme); l.Privacy.Mode == string(secagg.PrivacyDistributed) && !l.Privacy.TrustCoordinator && ok && !h.Hides() {
		c.refuse("privacy", "scheme %s shows the coordinator each client's vector with a share of the noise only: say trust_coordinator: true, or choose another scheme", l.Scheme.Name)
		return
	}
	survivors, corrupt, charge, err := l.honestShares(scheme, p.Policy())
	if err != nil {
		c.refuse("privacy", "%w", err)
		return
	}
	matrix, err := l.matrix()
	if err != nil {
		c.refuse("privacy.mechanism", "%w", err)
		return
	}
	var chance float64
	if h, ok := scheme.(secagg.HonestScheme); ok && l.rate() > 0 {
		chance = h.Chance(p.Policy())
	}
	if l.rate() > 0 && (p.terms.Buckets != secagg.Buckets{}) {
		c.refuse("cohort.selection", "who is in a bucket with whom depends on who was drawn, so coins hide nothing there: choose uniform")
		return
	}
	at := func(z float64) (Guarantee, secagg.Terms, error) {
		n, err := l.promise(survivors, corrupt, z)
		if err != nil {
			return Guarantee{}, secagg.Terms{}, err
		}
		t, m, err := encodingOf(p.terms, l.Encoding, p.invited, n)
		if err != nil {
			return Guarantee{}, t, err
		}
		g, err := l.guarantee(n, m, matrix, l.hides(scheme), charge, chance)
		return g, t, err
	}
	if p.literal.Privacy.NoiseMultiplier == 0 {
		z, err := p.calibrate(at)
		if err != nil {
			c.refuse("privacy.epsilon", "%w", err)
			return
		}
		p.literal.Privacy.NoiseMultiplier = z
	}
	g, t, err := at(p.literal.Privacy.NoiseMultiplier)
	if err != nil {
		c.refuse("privacy", "%w", err)
		return
	}
	if g.slack.Total() > maxSlack*g.noise.Delta {
		if most := float64(l.Rounds.Count*l.Rounds.Attempts) * g.noise.Rate * chance; most > g.slack.Sampling/2 {
			c.refuse("scheme", "delta %.2g is needed for attempts that scheme %s fails by coins of its own, after which one client's coin may decide: choose selection uniform, a smaller cohort or another scheme", most, l.Scheme.Name)
			return
		}
		c.refuse("cohort.minimum", "delta %.2g is needed for attempts in which one client's coin decides whether there is a sum: lower the minimum, or raise the cohort", g.slack.Sampling)
		return
	}
	for _, b := range []struct {
		key     string
		who     dp.Observer
		epsilon float64
	}{{"privacy.epsilon", dp.ObserverReleases, l.Privacy.Epsilon}, {"privacy.epsilon_coordinator", dp.ObserverCoordinator, l.Privacy.EpsilonCoordinator}} {
		one, promised := g.Enforced(b.who, 1)
		switch {
		case b.epsilon == 0:
		case !promised:
			c.refuse(b.key, "nothing is promised against those who see rosters, so there is no budget to keep")
		case one > b.epsilon:
			c.refuse(b.key, "one round alone spends %.4g of a budget of %g", one, b.epsilon)
		}
	}
	p.guarantee, p.terms, p.quantizer = g, t, g.mechanism.Quantizer()
}

// hides reports whether those who see rosters cannot see through the noise: each share
// suffices alone, or the scheme hides it.
func (l Literal) hides(scheme secagg.ServerScheme) bool {
	h, ok := scheme.(secagg.HonestScheme)
	switch secagg.PrivacyMode(l.Privacy.Mode) {
	case secagg.PrivacyLocal:
		return true
	case secagg.PrivacyDistributed:
		return ok && h.Hides() && !l.Privacy.TrustCoordinator // then no client looks
	}
	return false
}

// calibrate returns the least noise multiplier, rounded up to four digits, at which all
// rounds together keep the budget of those who see released models; in mode local, where
// a share is to suffice alone, against those who see rosters too.
func (p *Plan) calibrate(at func(z float64) (Guarantee, secagg.Terms, error)) (float64, error) {
	l, who := p.literal, dp.ObserverReleases
	if l.Privacy.Mode == string(secagg.PrivacyLocal) {
		who = dp.ObserverCoordinator
	}
	var cause error
	spends := func(z float64) float64 {
		g, _, err := at(z)
		if err != nil { // too little noise to be shared, say
			cause = err
			return math.Inf(1)
		}
		e, _ := g.Enforced(who, l.Rounds.Count)
		return e
	}
	hi := 1.0
	for ; spends(hi) > l.Privacy.Epsilon; hi *= 2 {
		if hi >= 1<<20 {
			return 0, fmt.Errorf("%w (%w)", errImpossible, cause)
		}
	}
	lo := hi / 2
	for ; lo > 1e-3 && spends(lo) <= l.Privacy.Epsilon; lo /= 2 {
		hi = lo
	}
	for hi-lo > 1e-4*hi {
		if mid := lo + (hi-lo)/2; spends(mid) <= l.Privacy.Epsilon {
			hi = mid
		} else {
			lo = mid
		}
	}
	digits := math.Pow(10, 3-math.Floor(math.Log10(hi)))
	if z := math.Ceil(hi*digits) / digits; spends(z) <= l.Privacy.Epsilon {
		return z, nil
	}
	return hi, nil
}

// honestShares returns how many noise shares are in the smallest sum that can be opened,
// how many of them may be known to the adversary, and what of delta that costs.
func (l Literal) honestShares(scheme secagg.ServerScheme, policy secagg.Policy) (survivors, corrupt int, charge float64, err error) {
	if secagg.PrivacyMode(l.Privacy.Mode) != secagg.PrivacyDistributed {
		return 1, 0, 0, nil
	}
	honest, ok := scheme.(secagg.HonestScheme)
	if !ok {
		return 0, 0, 0, fmt.Errorf("scheme %s does not say how many honest clients are in a sum", scheme.Name())
	}
	// Whoever is in a sum knows one share: his own.
	most := max(1, secagg.ShareOf(policy.Clients, policy.Corrupt))
	if policy.View != secagg.ViewBucketMeans {
		sum := policy
		sum.Buckets = secagg.Buckets{}
		h, err := honest.Honest(sum)
		if err != nil {
			return 0, 0, 0, err
		}
		if survivors, corrupt = policy.Minimum, policy.Minimum-min(h, policy.Minimum-most); survivors-corrupt < 1 {
			return 0, 0, 0, fmt.Errorf("of %d survivors %d may be corrupt", survivors, corrupt)
		}
	}
	if policy.Buckets == (secagg.Buckets{}) {
		return survivors, corrupt, 0, nil
	}
	bits, fair := honest.FairPartition()
	if !fair {
		one := policy
		one.View = secagg.ViewBucketMeans
		h, err := honest.Honest(one)
		if err == nil && h < ddp.MinHonest {
			err = ddp.ErrHonest.At("buckets of at least %d, in which all %d corrupt clients may be", policy.Buckets.Minimum, most)
		}
		h = min(h, policy.Buckets.Minimum-1) // a scheme may open no sum of so few
		return policy.Buckets.Minimum, policy.Buckets.Minimum - h, 0, err
	}
	b, err := ddp.BucketView{Cohort: policy.Minimum, Corrupt: min(most, policy.Minimum-1), Size: largestBucket(policy), Minimum: policy.Buckets.Minimum,
		Rounds: l.Rounds.Count, Grinding: bits, Delta: l.Privacy.Delta}.Honest()
	if err != nil {
		if errors.Is(err, ddp.ErrHonest) {
			c, h := l.honestIn(scheme, policy, l.Aggregation.Buckets)
			err = fmt.Errorf("c* = %d and h = %d: %w", c, h, err)
		}
		return 0, 0, 0, err
	}
	if survivors == 0 || b.Honest < survivors-corrupt { // the weaker of the two views
		survivors, corrupt = policy.Buckets.Minimum, max(1, b.Corrupt)
	}
	return survivors, corrupt, b.Charge, nil
}

// largestBucket is the most clients that are dealt into one bucket of a cohort that a
// plan admits.
func largestBucket(p secagg.Policy) int {
	largest := 0
	for n := p.Minimum; n <= p.Clients; n++ {
		count := p.Buckets.Count(n)
		largest = max(largest, (n+count-1)/count)
	}
	return min(largest, p.Minimum)
}
