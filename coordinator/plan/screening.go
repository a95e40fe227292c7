package plan

import (
	"math"

	"github.com/choir-fl/choir/secagg"
)

// Screening is what is asked of an aggregate before it is accepted, by a coordinator that
// holds data of its own, and at what its operators are alerted. Nothing is defaulted but
// the thresholds of alerts.
type Screening struct {
	// RecallDrop is by how much a class's recall on the coordinator's holdout may fall below
	// that of the last good model, in (0,1]. 0: no such gate.
	RecallDrop float64 `yaml:"recall_drop,omitempty"`
	// BackdoorRate is the most of the probes that may be taken for the trigger's target, in
	// (0,1]. 0: no probe.
	BackdoorRate float64 `yaml:"backdoor_rate,omitempty"`
	// Rollback is after how many refused attempts in a row the run goes back to its best
	// model. 0: never.
	Rollback int    `yaml:"rollback,omitempty"`
	Alerts   Alerts `yaml:"alerts,omitempty"`
}

// Alerts are thresholds. Zero ones are those of the engine.
type Alerts struct {
	// Cosine is the least cosine of an aggregate and the one before it, in [-1,1].
	Cosine float64 `yaml:"cosine,omitempty"`
	// Excluded is the largest share of vectors that a rule leaves out, in (0,1].
	Excluded float64 `yaml:"excluded,omitempty"`
	// RecallDrop is by how much a class's recall may fall while total accuracy holds.
	RecallDrop float64 `yaml:"recall_drop,omitempty"`
	// NormRatio is the most that a vector's norm may be of the median one.
	NormRatio float64 `yaml:"norm_ratio,omitempty"`
	// Duplicates is the most vectors that may be nearly equal.
	Duplicates int `yaml:"duplicates,omitempty"`
	// HoldoutSigma is how far accuracy on the holdout may fall below its moving average, in
	// standard deviations.
	HoldoutSigma float64 `yaml:"holdout_sigma,omitempty"`
	// Cusum is the most that the rises of the loss on the holdout may add up to, in standard
	// deviations.
	Cusum float64 `yaml:"cusum,omitempty"`
}

// Gate reports whether aggregates are held against the holdout.
func (s Screening) Gate() bool { return s.RecallDrop != 0 || s.BackdoorRate != 0 }

func checkScreening(c *checker, s Screening) {
	for _, x := range []struct {
		key   string
		share float64
	}{{"recall_drop", s.RecallDrop}, {"backdoor_rate", s.BackdoorRate}, {"alerts.excluded", s.Alerts.Excluded}, {"alerts.recall_drop", s.Alerts.RecallDrop}} {
		c.unless(x.share >= 0 && x.share <= 1, "screening."+x.key, "%v is not in [0,1]", x.share)
	}
	c.unless(s.Rollback >= 0 && s.Rollback <= math.MaxInt32, "screening.rollback", "%d is not in 0..%d", s.Rollback, math.MaxInt32)
	c.unless(s.Rollback == 0 || s.Gate(), "screening.rollback", "no attempt is refused without recall_drop or backdoor_rate")
	c.unless(math.Abs(s.Alerts.Cosine) <= 1, "screening.alerts.cosine", "%v is not in [-1,1]", s.Alerts.Cosine)
	for _, x := range []struct {
		key   string
		ratio float64
	}{{"norm_ratio", s.Alerts.NormRatio}, {"holdout_sigma", s.Alerts.HoldoutSigma}, {"cusum", s.Alerts.Cusum}} {
		c.unless(x.ratio >= 0 && x.ratio <= math.MaxFloat64, "screening.alerts."+x.key, "%v is negative or no number", x.ratio)
	}
	c.unless(s.Alerts.Duplicates >= 0 && s.Alerts.Duplicates <= secagg.MaxRoster, "screening.alerts.duplicates", "%d is not in 0..%d", s.Alerts.Duplicates, secagg.MaxRoster)
}

func (s Screening) encode(e *secagg.Encoder) {
	e.Float(1, s.RecallDrop)
	e.Float(2, s.BackdoorRate)
	e.Uint(3, uint64(s.Rollback))
	e.Float(4, s.Alerts.Cosine)
	e.Float(5, s.Alerts.Excluded)
	e.Float(6, s.Alerts.RecallDrop)
	e.Float(7, s.Alerts.NormRatio)
	e.Uint(8, uint64(s.Alerts.Duplicates))
	e.Float(9, s.Alerts.HoldoutSigma)
	e.Float(10, s.Alerts.Cusum)
}
