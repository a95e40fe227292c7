package preflight

import (
	"fmt"

	"github.com/choir-fl/choir/sim/report"
)

// exact reports whether the coordinator sees sums without noise.
func (f *Findings) exact() bool { return f.Privacy.Noise == nil || f.Privacy.Mode == "central" }

// theSum names a sum as the coordinator sees it.
func (f *Findings) theSum() string {
	if f.exact() {
		return "exact sum"
	}
	return "noised sum"
}

// summed says what is in a sum.
func (f *Findings) summed() string {
	switch {
	case f.Privacy.Noise == nil:
		return "clipped updates, and of their " + f.extras()
	case f.Privacy.Noise.Clipping != nil:
		return "clipped updates, and of the bits that say which were clipped"
	}
	return "clipped updates"
}

// aboutNoise says what noise does against a party that sees sums.
func (f *Findings) aboutNoise() string {
	n := f.Privacy.Noise
	switch {
	case n == nil:
		return noNoise
	case f.Privacy.Mode == "central":
		return "the sums before it adds its noise: against it nothing is promised, so membership inference and reconstruction against the bare sum are possible, and easier " +
			"the fewer clients are in it"
	case f.Privacy.Mode == "local" && f.Privacy.EpsilonCoordinator == nil:
		return "vectors with noise of which one client's share does not suffice alone: " + f.bounded(nil, f.Privacy.CoordinatorReason)
	case f.Privacy.Mode == "local":
		return "vectors whose noise suffices alone, however many clients are corrupt: " + f.bounded(f.Privacy.EpsilonCoordinator, f.Privacy.CoordinatorReason)
	case f.Privacy.EpsilonCoordinator == nil:
		return "noise that does not suffice against it: " + *f.Privacy.CoordinatorReason
	}
	return fmt.Sprintf("the noise of at least %s of honest clients is in each sum: %s", plural(n.Shares, "share"), f.bounded(f.Privacy.EpsilonCoordinator, nil))
}

// bounded says what an epsilon bounds.
func (f *Findings) bounded(v *float64, reason *string) string {
	if v == nil {
		if reason == nil {
			return "no finite epsilon bounds what they tell of one client"
		}
		return "no epsilon bounds what they tell of one client: " + *reason
	}
	return fmt.Sprintf("what all of them together tell of one client is bounded by epsilon %s at delta %g after %d rounds", report.Upper(*v), *f.Privacy.Delta, f.Rounds.Count)
}

// subtracting says what a coordinator gets that subtracts sums.
func (f *Findings) subtracting() string {
	if f.passes > 1 {
		return subtractPasses
	}
	if f.exact() {
		return subtract
	}
	return "by asking overlapping cohorts to train from the same model and subtracting their sums: the difference with the noise of both; every such attempt is charged to the " +
		"population's budget, and by each device to its own"
}

// releasedModels says what released models tell.
func (f *Findings) releasedModels() []string {
	if f.Privacy.Noise == nil {
		return []string{released}
	}
	return []string{"every released model, with noise in each step: " + f.bounded(f.Privacy.EpsilonReleased, f.Privacy.ReleasedReason) + f.whileSecret()}
}

// whileSecret says what an amplified epsilon rests on.
func (f *Findings) whileSecret() string {
	if f.coins() == nil {
		return ""
	}
	return ", as long as it learns neither who took part nor how many did"
}

// takenOff says what is left of sums when corrupt clients take off what they know.
func (f *Findings) takenOff(sums string, honest int, where string) string {
	if f.exact() {
		return fmt.Sprintf("by taking their own updates off: the exact %s of the honest survivors alone, who are at least %d%s", sums, honest, where)
	}
	return fmt.Sprintf("by taking their own updates and noise off: the noised %s of the honest survivors alone, who are at least %d%s; the noise is reckoned without the corrupt clients'",
		sums, honest, where)
}

// meanOfOthers says what a client makes of the models that it gets.
func (f *Findings) meanOfOthers(who, own string) string {
	switch {
	case f.passes > 0:
		return fmt.Sprintf("the model and the centre of each round %s in, which is the exact weighted mean of the pass before it; by taking %s own off, roughly that of the others, and from the centres of two passes "+
			"roughly the update of who dropped out between them", who, own)
	case f.Privacy.Noise == nil:
		return fmt.Sprintf("the model of each round %s in, and so the mean update of earlier cohorts; by taking %s own off, roughly the mean of the others", who, own)
	}
	return fmt.Sprintf("the model of each round %s in, and so the noised mean update of earlier cohorts, and who was admitted with %s: against that the epsilon for rosters counts", who, map[string]string{"its": "it", "their": "them"}[own])
}

// lessNoise says what more corrupt clients than are reckoned with do to noise.
func (f *Findings) lessNoise() string {
	if f.Privacy.Mode == "distributed" {
		return ", with less noise than any epsilon here takes for granted"
	}
	return f.withNoise()
}

// withNoise reminds of it.
func (f *Findings) withNoise() string {
	switch {
	case f.exact():
		return ""
	case f.Privacy.Mode == "distributed":
		return ", with its share of the noise only"
	}
	return ", with its noise"
}

// noiseSentence closes what the coordinator sees.
func (f *Findings) noiseSentence() string {
	switch {
	case f.Privacy.Noise == nil:
		return fmt.Sprintf("Privacy mode %s adds no noise: the sums are exact, membership inference against them "+
			"and the released models is possible, a coordinator that deviates can subtract the sums of overlapping cohorts trained from one model, and no epsilon is "+
			"stated.", f.Privacy.Mode)
	case f.exact():
		return "Privacy mode central adds noise after that: the sums are exact to the coordinator, which is trusted with them, and no epsilon is stated against it. " + f.againstModels()
	case f.Privacy.EpsilonCoordinator == nil:
		return "Noise does not suffice against it: " + *f.Privacy.CoordinatorReason + ". " + f.againstModels()
	}
	return fmt.Sprintf("Noise bounds what it learns of one client from everything it sees: epsilon %s at delta %g after %d rounds. %s",
		report.Upper(*f.Privacy.EpsilonCoordinator), *f.Privacy.Delta, f.Rounds.Count, f.againstModels())
}

func (f *Findings) againstModels() string {
	if v := f.Privacy.EpsilonReleased; v != nil {
		return fmt.Sprintf("Who sees the released models and no rosters is held to epsilon %s.", report.Upper(*v))
	}
	return "No finite epsilon holds for the released models."
}
