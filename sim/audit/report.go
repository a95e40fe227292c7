package audit

import "math"

// Report sets what an audit found beside what was claimed.
type Report struct {
	Canaries int `json:"canaries"`
	// Guesses and Correct are those behind EpsilonOneRun, 0 if that is 0.
	Guesses int `json:"guesses"`
	Correct int `json:"correct"`
	// EpsilonOneRun is a lower bound on the run's epsilon at Delta, whatever its
	// mechanism is.
	EpsilonOneRun float64 `json:"epsilon_one_run"`
	// EpsilonFDP is one for a run that is Gaussian noise on sums nobody sampled; for
	// another it is no bound (see the package comment).
	EpsilonFDP float64 `json:"epsilon_fdp"`
	// Claimed is the upper bound of the accountant at Delta, nil if nothing was claimed.
	Claimed *float64 `json:"claimed"`
	Delta   float64  `json:"delta"`
	// Confidence is that of both bounds together.
	Confidence float64 `json:"confidence"`
}

// NewReport audits scores at the guesses of [Grid], each of the two methods at half of
// the significance 1-confidence. claimed is the epsilon that was claimed against the
// observer whose scores these are, +Inf for none; delta is in (0, 1). ErrLevel refuses
// other numbers, ErrCount less than sixteen canaries.
func NewReport(s Scores, claimed, delta, confidence float64) (Report, error) {
	if !(claimed >= 0) || !(delta > 0) || !(confidence > 0 && confidence < 1) {
		return Report{}, ErrLevel.At("claimed epsilon %g, delta %g, confidence %g", claimed, delta, confidence)
	}
	alpha, guesses := (1-confidence)/2, Grid(len(s.values))
	one, err := s.EpsilonOneRun(guesses, alpha, delta)
	if err != nil {
		return Report{}, err
	}
	f, err := s.EpsilonFDP(guesses, alpha, delta)
	if err != nil {
		return Report{}, err
	}
	r := Report{
		Canaries: one.Canaries, Guesses: one.Guesses, Correct: one.Correct,
		EpsilonOneRun: one.Epsilon, EpsilonFDP: f.Epsilon, Delta: delta, Confidence: confidence,
	}
	if !math.IsInf(claimed, 1) {
		r.Claimed = &claimed
	}
	return r, nil
}

// Refuted says whether the bound that holds for every mechanism is above the claim, or,
// where gaussian says that the run is Gaussian noise on sums nobody sampled, either is.
// It is false where nothing was claimed.
func (r Report) Refuted(gaussian bool) bool {
	return r.Claimed != nil && (r.EpsilonOneRun > *r.Claimed || gaussian && r.EpsilonFDP > *r.Claimed)
}
