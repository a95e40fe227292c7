package preflight

import (
	"math"

	"github.com/choir-fl/choir/sim/report"
)

const (
	// weak is the epsilon above which a promise is called weak.
	weak = 10
	// noisy is the surplus of noise above which a plan is called wasteful.
	noisy = 1.2
)

// warnPrivacy names what is known to go wrong with promises like the plan's.
func (f *Findings) warnPrivacy(say func(string, ...any)) {
	p, n := f.Privacy, f.Privacy.Noise
	if n == nil {
		return
	}
	if p.EpsilonReleased == nil && p.EpsilonCoordinator == nil {
		say("privacy: no epsilon is finite, so nothing is promised to anybody")
	}
	for _, o := range []struct {
		epsilon *float64
		who     string
	}{{p.EpsilonReleased, "released models"}, {p.EpsilonCoordinator, "rosters"}} {
		if o.epsilon != nil && *o.epsilon > weak {
			say("privacy: epsilon %s against who sees %s is weak: above %d it bounds little", report.Upper(*o.epsilon), o.who, weak)
		}
	}
	if p.EpsilonCoordinator == nil {
		say("privacy.mode %s: nothing is promised against who sees rosters: %s", p.Mode, *p.CoordinatorReason)
	} else if n.Budget.Coordinator == nil {
		say("privacy.epsilon_coordinator is not stated: no budget stops the run for the sake of who sees rosters")
	}
	if most := math.Pow(float64(n.clients), -1.1); *p.Delta > most {
		say("privacy.delta %g is above %.2g, the population (%d) to the power of -1.1: a mechanism that publishes one client whole may pass such a delta", *p.Delta, most, n.clients)
	}
	f.warnCohort(say)
	shares := max(n.full, n.Filled)
	switch could := math.Sqrt(float64(n.full) / float64(n.Shares)); {
	case p.Mode == "local" && n.Filled > 0 && (p.EpsilonCoordinator == nil || *p.EpsilonCoordinator > weak):
		say("privacy.mode local under selection poisson: the noise of %d shares together keeps privacy.epsilon, and one alone promises little against who sees rosters; "+
			"choose uniform, or state a noise_multiplier that suffices alone", n.Filled)
	case p.Mode == "local":
		say("privacy.mode local: each client adds the whole noise, so a sum of %d shares holds %.3g times as much", shares, math.Sqrt(float64(shares)))
	case p.Mode == "central":
	case n.Filled > 0 && (could <= noisy || p.EpsilonCoordinator == nil):
	case n.Filled > 0:
		say("cohort.minimum: who sees rosters is promised the noise of %d honest shares, where a full cohort has %d; a higher minimum would let it be promised more", n.Shares, n.full)
	case could > noisy:
		say("cohort.minimum: noise is reckoned for %d honest shares; a full %s adds %.3g times as much, the root of its clients over these shares", n.Shares, f.unit(), n.Surplus)
	}
	if n.MeanNoise > 1 {
		say("privacy: the noise in the mean of a full %s has %.3g times the clip norm, more than any update: a model of %d parameters learns little from such cohorts", f.unit(), n.MeanNoise, f.Parameters)
	}
	if b := n.Budget; b.Attempts < f.Rounds.Count {
		say("privacy: the budget is spent after %d of %d rounds; the run ends there", b.Attempts, f.Rounds.Count)
	} else if b.Attempts == f.Rounds.Count && f.Rounds.Attempts > 1 {
		say("privacy: the budget is for one attempt at each round; each attempt that fails after unmasking began costs the last round")
	}
	say("privacy: runs that were made to find the plan's numbers are not counted, unless they were charged to population %s", n.Population)
}

// warnCohort is about who is drawn.
func (f *Findings) warnCohort(say func(string, ...any)) {
	n := f.Privacy.Noise
	c := f.coins()
	if c == nil {
		say("cohort.selection: nothing is claimed for who is drawn, so released models tell as much as rosters; selection poisson would count")
	} else {
		say("cohort.population %d: coins fall at rate %.4g whoever is enrolled; with fewer clients than that cohorts are smaller under the same noise and denominator, and with more, or fewer than (1 - scheme.dropout) of that, the run stops; "+
			"of those enrolled at least (1 - scheme.dropout) must answer if asked, whatever the coins of others are", *c.Population, *c.Rate)
		say("cohort.selection poisson: publish neither who survived a round nor how many did; to whoever learns it, the epsilon for rosters applies")
	}
	if c == nil && n.Participations == 0 { // coins allow no cap
		say("cohort.participations is not capped: every attempt counts for each client")
	}
}
