package plan

import (
	"math"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

// Mechanism names how noise is drawn, as plans name it.
type Mechanism string

const (
	// MechanismGaussian is the discrete Gaussian, afresh in each round.
	MechanismGaussian Mechanism = "dgauss"
	// MechanismSkellam is Skellam noise, afresh in each round.
	MechanismSkellam Mechanism = "skellam"
	// MechanismTree correlates the noise of rounds by a binary tree (package mf).
	MechanismTree Mechanism = "tree"
	// MechanismBandMF correlates it over some rounds.
	MechanismBandMF Mechanism = "bandmf"
	// MechanismBLT correlates it by a few geometric sequences.
	MechanismBLT Mechanism = "blt"
)

// Correlated reports whether the noise of one round depends on that of others.
func (m Mechanism) Correlated() bool {
	return m == MechanismTree || m == MechanismBandMF || m == MechanismBLT
}

// DefaultClipRate is how fast an adapting clip norm moves (Andrew et al. 2021).
const DefaultClipRate = 0.2

// DefaultBuffers is the number of buffers of mechanism blt.
const DefaultBuffers = 3

// noisy reports whether a mode adds noise.
func noisy(mode string) bool {
	switch secagg.PrivacyMode(mode) {
	case secagg.PrivacyCentral, secagg.PrivacyDistributed, secagg.PrivacyLocal:
		return true
	}
	return false
}

// resolvePrivacy fills in what has a default.
func (l *Literal) resolvePrivacy() {
	p := &l.Privacy
	if !noisy(p.Mode) {
		return
	}
	setDefault(&p.Population, l.Job)
	setDefault(&p.Mechanism, string(MechanismGaussian))
	if Mechanism(p.Mechanism) == MechanismBLT {
		setDefault(&p.Buffers, DefaultBuffers)
	}
	if Mechanism(p.Mechanism) == MechanismBandMF {
		setDefault(&p.Bands, max(l.Cohort.Separation, 1))
	}
	if p.Clipping != (Clipping{}) {
		setDefault(&p.Clipping.Rate, DefaultClipRate)
		setDefault(&p.Clipping.BitNoise, ddp.DefaultBitSigma(l.Cohort.Size))
	}
}

// checkPrivacy refuses what is stated about noise and cannot stand, whatever the rest
// of the plan is.
func checkPrivacy(c *checker, l Literal) {
	p := l.Privacy
	switch mode := secagg.PrivacyMode(p.Mode); {
	case mode == secagg.PrivacyNone:
		c.unless(p.TrustCoordinator, "privacy", "mode none opens exact sums: say trust_coordinator: true, or choose a mode with noise")
		c.unless(p == Privacy{Mode: p.Mode, TrustCoordinator: p.TrustCoordinator}, "privacy", "mode none has no noise, budget or clipping to state")
		c.unless(l.Cohort.Selection != string(SelectPoisson) && l.Cohort.Participations == 0 && l.Cohort.Separation <= 1, "cohort", "selection poisson, participations and separation serve a privacy statement, which mode none does not make")
	case p.Mode == "":
		c.refuse("privacy.mode", "not stated; nothing about privacy is defaulted")
	case !noisy(p.Mode):
		c.refuse("privacy.mode", "%q is not known; known: none, central, distributed, local", p.Mode)
	default:
		c.unless(mode != secagg.PrivacyCentral || p.TrustCoordinator, "privacy", "mode central shows exact sums to the coordinator: say trust_coordinator: true, or choose distributed")
		checkNoise(c, l)
	}
}

// checkNoise refuses numbers that state no noise.
func checkNoise(c *checker, l Literal) {
	p := l.Privacy
	positive := func(x float64) bool { return x > 0 && x <= math.MaxFloat64 } // NaN fails
	absent := func(x float64) bool { return x == 0 }
	m := Mechanism(p.Mechanism)
	central := p.Mode == string(secagg.PrivacyCentral)
	switch {
	case m != MechanismGaussian && m != MechanismSkellam && !m.Correlated():
		c.refuse("privacy.mechanism", "%q is not known; known: dgauss, skellam, tree, bandmf, blt", p.Mechanism)
	case m == MechanismSkellam && central:
		c.refuse("privacy.mechanism", "skellam has shares that add up, which mode central does not need: use dgauss")
	case m.Correlated() && !central:
		c.refuse("privacy.mechanism", "%s needs the noise of earlier rounds in one place: mode central only", m)
	case m.Correlated() && l.Aggregation.View != secagg.ViewSum.String():
		c.refuse("privacy.mechanism", "%s corrects one sum by the noise of earlier ones: view sum only", m)
	case m.Correlated() && (l.Cohort.Participations == 0 || l.Cohort.Separation == 0):
		c.refuse("privacy.mechanism", "%s costs what a client's participations cost together: state cohort.participations and cohort.separation", m)
	case m.Correlated() && Selection(l.Cohort.Selection) == SelectPoisson:
		c.refuse("cohort.selection", "%s claims nothing from sampling: choose uniform or check-in", m)
	case m.Correlated() && l.Screening != (Screening{}):
		c.refuse("screening", "after an aggregate that was refused, or that could not be measured, %s would open another sum under the same noise: leave screening out, or choose dgauss", m)
	case m.Correlated() && p.Clipping != (Clipping{}):
		c.refuse("privacy.clipping", "%s adds noise to sums on one scale: the clip norm cannot adapt", m)
	}
	c.unless(p.Buffers == 0 || m == MechanismBLT && p.Buffers >= 2 && p.Buffers <= 4, "privacy.buffers", "%d is not in 2..4, or the mechanism is not blt", p.Buffers)
	c.unless(p.Bands == 0 || m == MechanismBandMF && p.Bands >= 1 && p.Bands <= max(l.Cohort.Separation, 1), "privacy.bands", "%d is not in 1..cohort.separation, or the mechanism is not bandmf", p.Bands)
	r, err := dp.ParseRelation(p.Relation)
	switch {
	case p.Relation == "":
		c.refuse("privacy.relation", "not stated; nothing about privacy is defaulted: zero-out or replace-one")
	case err != nil || r != dp.ZeroOut && r != dp.ReplaceOne:
		c.refuse("privacy.relation", "%q: who takes part is no secret in a secure sum, so it is zero-out or replace-one", p.Relation)
	case r != dp.ZeroOut && Selection(l.Cohort.Selection) == SelectPoisson:
		c.refuse("privacy.relation", "%q: what selection poisson hides is stated for zero-out", p.Relation)
	}
	c.unless(p.Delta > 0 && p.Delta < 1, "privacy.delta", "%v is not in (0,1)", p.Delta)
	c.unless(positive(p.Epsilon), "privacy.epsilon", "%v is not a positive number: state the budget of those who see released models", p.Epsilon)
	c.unless(absent(p.EpsilonCoordinator) || positive(p.EpsilonCoordinator), "privacy.epsilon_coordinator", "%v is not a positive number", p.EpsilonCoordinator)
	c.unless(absent(p.NoiseMultiplier) || positive(p.NoiseMultiplier), "privacy.noise_multiplier", "%v is not a positive number", p.NoiseMultiplier)
	c.unless(secagg.PartyID(p.Population).Valid(), "privacy.population", "%q is not a name of 1 to 64 characters a-z, 0-9, '.', '_', '-'", p.Population)
	c.unless(l.Aggregation.Denominator == string(secagg.DenominatorFixed), "aggregation.denominator", "the summed weights tell what noise does not hide: say fixed")
	c.unless(!l.Evaluation.Clients, "evaluation.clients", "the clients' measurements have no noise of their own yet: leave them out")
	c.unless(l.Encoding.Bits == 0 && l.Encoding.WordBits == 0, "encoding", "bits and word_bits follow from scale, range and noise: leave them out")
	c.unless(positive(l.Encoding.ClipNorm), "encoding.clip_norm", "%v is not a positive number", l.Encoding.ClipNorm)
	checkClipping(c, l)
	c.unless(Selection(l.Cohort.Selection) != SelectPoisson || l.Cohort.Participations == 0 && l.Cohort.Separation <= 1, "cohort",
		"who has taken part often enough depends on earlier coins, and so would whether there is a round: selection poisson has no participations and no separation")
	c.unless(l.Cohort.Participations >= 0 && l.Cohort.Participations <= l.Rounds.Count*l.Rounds.Attempts, "cohort.participations", "%d is not in 0..rounds times attempts", l.Cohort.Participations)
	c.unless(l.Cohort.Separation >= 0 && l.Cohort.Separation <= l.Rounds.Count, "cohort.separation", "%d is not in 0..rounds", l.Cohort.Separation)
}

func checkClipping(c *checker, l Literal) {
	k := l.Privacy.Clipping
	if k == (Clipping{}) {
		return
	}
	if l.Privacy.Mechanism == string(MechanismSkellam) {
		c.refuse("privacy.clipping", "the joint event of update and clip bit is stated for dgauss")
	}
	c.unless(k.Quantile > 0 && k.Quantile < 1, "privacy.clipping.quantile", "%v is not in (0,1)", k.Quantile)
	c.unless(k.BitNoise > 0 && k.BitNoise <= math.MaxFloat64, "privacy.clipping.bit_noise", "%v is not a positive number", k.BitNoise)
	q := ddp.QuantileClip{Rate: k.Rate, Quantile: k.Quantile, Floor: k.Floor, Ceiling: k.Ceiling}
	if _, err := q.Next(l.Encoding.ClipNorm, k.Quantile); err != nil && l.Encoding.ClipNorm > 0 && k.Quantile > 0 && k.Quantile < 1 {
		c.refuse("privacy.clipping", "%w", err)
	}
}

// ClipRule is how the clip norm adapts; false if it is fixed.
func (p Plan) ClipRule() (ddp.QuantileClip, bool) {
	k := p.literal.Privacy.Clipping
	return ddp.QuantileClip{Rate: k.Rate, Quantile: k.Quantile, Floor: k.Floor, Ceiling: k.Ceiling}, k != (Clipping{})
}

// promise makes what the clients are told of the noise, with honest shares and a
// noise multiplier z of the joint release.
func (l Literal) promise(survivors, corrupt int, z float64) (secagg.Noise, error) {
	p, law := l.Privacy, dp.DiscreteGaussian
	if Mechanism(p.Mechanism) == MechanismSkellam {
		law = dp.Skellam
	}
	relation, err := dp.ParseRelation(p.Relation)
	if err != nil {
		return secagg.Noise{}, err
	}
	n := secagg.Noise{Law: law, Relation: relation, Survivors: survivors, Corrupt: corrupt, Releases: l.Rounds.Count, Delta: p.Delta,
		Rate: l.rate(), Participations: l.Cohort.Participations, Separation: l.Cohort.Separation, Correlated: Mechanism(p.Mechanism).Correlated()}
	if k := p.Clipping; k != (Clipping{}) {
		n.BitSigma = k.BitNoise
		if z, err = ddp.UpdateMultiplier(z, k.BitNoise); err != nil {
			return secagg.Noise{}, err
		}
	}
	n.Sigma = z * l.Encoding.ClipNorm
	return n, nil
}

// rate is the probability with which a client is drawn, 0 without coins of its own.
func (l Literal) rate() float64 {
	if Selection(l.Cohort.Selection) != SelectPoisson {
		return 0
	}
	return float64(l.Cohort.Size) / float64(l.Cohort.Population)
}

// encodingOf gives the terms the encoding that goes with a promise of noise.
func encodingOf(t secagg.Terms, e Encoding, clients int, n secagg.Noise) (secagg.Terms, ddp.Mechanism, error) {
	t.Noise = n
	t.Encoding = field.Spec{Clients: clients, ClipNorm: e.ClipNorm, Scale: e.Scale, Range: e.Range}
	m, err := t.Mechanism()
	if err != nil {
		return t, m, err
	}
	t.Encoding = m.Quantizer().Spec()
	return t, m, nil
}
