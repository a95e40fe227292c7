package coordinator

import (
	"cmp"
	"fmt"

	"github.com/choir-fl/choir/secagg"
)

// Names of alerts.
const (
	AlertCosine     = "cosine"        // aggregates turned against the ones before them, twice in a row
	AlertExcluded   = "excluded"      // the rule left out more vectors than were expected to be bad
	AlertRecallDrop = "recall_drop"   // one class was forgotten while accuracy held
	AlertHoldout    = "holdout_drop"  // accuracy on the holdout fell out of its trend
	AlertCusum      = "holdout_cusum" // the loss on the holdout rose, at once or little by little
	AlertNormRatio  = "norm_ratio"    // a vector is far longer than the median one
	AlertDuplicates = "duplicates"    // several vectors are nearly equal
	AlertShort      = "buckets_short" // buckets were not opened, for too few clients
	AlertGate       = "gate"          // the gate refused the model
	AlertRollback   = "rollback"      // the run went back to its best model
)

// Alert is something about an attempt that a person should look at. It has no effect.
type Alert struct {
	Name string `json:"name"`
	// What says it in words; Client and Bucket, if the view shows them, are the first that
	// it is about.
	What   string         `json:"what"`
	Bucket *int           `json:"bucket,omitempty"`
	Client secagg.PartyID `json:"client,omitempty"`
	// Value is what was above, or for cosine below, the Threshold.
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"`
}

// Thresholds where the plan names none.
const (
	defaultRecallAlert = 0.1
	defaultNormRatio   = 3
	defaultDuplicates  = 2
	opposedRounds      = 2
)

// fixedShare are the rules that leave out a share of the vectors which follows from how
// they are set, however the vectors lie: more than f/n, which is thus no threshold.
var fixedShare = map[string]bool{"krum": true, "multi-krum": true, "bulyan": true}

// opposed reports whether an aggregate turned against the last one. The threshold is 0
// where the plan names none.
func (e *Engine) opposed(f *Figures) bool {
	return f != nil && f.Cosine != nil && *f.Cosine < e.cfg.Plan.Screening().Alerts.Cosine
}

// alerts finds what a person should look at in an opened attempt. opposed is in how many
// rounds in a row the aggregate has turned, this one included.
func (e *Engine) alerts(p *result, opposed int) []Alert {
	var out []Alert
	a := e.cfg.Plan.Screening().Alerts
	if f := p.figures; f != nil {
		if opposed >= opposedRounds && e.opposed(f) {
			out = append(out, Alert{Name: AlertCosine, What: fmt.Sprintf("the aggregate has turned against the one before it in %d rounds in a row", opposed),
				Value: *f.Cosine, Threshold: a.Cosine})
		}
		spec := e.cfg.Plan.Literal().Aggregation
		share := a.Excluded
		if share == 0 && !fixedShare[spec.Rule] {
			share = float64(spec.F) / float64(f.Vectors)
		}
		if (share > 0 || !fixedShare[spec.Rule]) && f.Excluded > share {
			out = append(out, Alert{Name: AlertExcluded, What: fmt.Sprintf("rule %s left out %.4g of %d vectors", f.Rule, f.Excluded, f.Vectors), Value: f.Excluded, Threshold: share})
		}
		out = append(out, f.alerts(cmp.Or(a.NormRatio, defaultNormRatio), cmp.Or(a.Duplicates, defaultDuplicates))...)
	}
	if p.measured != nil && p.before != nil && len(p.before.Recall) == len(p.measured.Recall) {
		most := cmp.Or(a.RecallDrop, defaultRecallAlert)
		if class, drop := largestDrop(*p.before, *p.measured); drop > most && p.before.Accuracy-p.measured.Accuracy < most {
			out = append(out, Alert{Name: AlertRecallDrop, What: fmt.Sprintf("recall of class %d fell while accuracy held", class), Value: drop, Threshold: most})
		}
	}
	if p.measured != nil {
		out = append(out, e.trendAlerts(p.measured)...)
	}
	return out
}

// trendAlerts are those of a model that is worse than the trend.
func (e *Engine) trendAlerts(m *Measurement) (out []Alert) {
	a, expected := e.cfg.Plan.Screening().Alerts, e.head.trend
	_, drop, cusum := e.followed(m)
	if most := cmp.Or(a.HoldoutSigma, defaultHoldoutSigma); drop > most {
		out = append(out, Alert{Name: AlertHoldout, What: fmt.Sprintf("accuracy on the holdout is %.4f where %.4f was expected: a fall by so many standard deviations", m.Accuracy, expected.accuracy.mean),
			Value: drop, Threshold: most})
	}
	if most := cmp.Or(a.Cusum, defaultCusum); cusum > most {
		out = append(out, Alert{Name: AlertCusum, What: fmt.Sprintf("loss on the holdout is %.4g where %.4g was expected: with what it rose before, a sum of so many standard deviations", m.Loss, expected.loss.mean),
			Value: cusum, Threshold: most})
	}
	return out
}

// alerts of single vectors.
func (f *Figures) alerts(ratio float64, most int) (out []Alert) {
	long, longest := 0, -1
	for i, v := range f.Each {
		if v.NormRatio == nil || *v.NormRatio <= ratio {
			continue
		}
		long++
		if longest < 0 || *v.NormRatio > *f.Each[longest].NormRatio {
			longest = i
		}
	}
	if long > 0 {
		v := f.Each[longest]
		out = append(out, v.alert(AlertNormRatio, fmt.Sprintf("%d vectors are longer than the median one by more than %g", long, ratio), *v.NormRatio, ratio))
	}
	if f.Duplicates > most {
		for _, v := range f.Each {
			if v.Group == 1 {
				out = append(out, v.alert(AlertDuplicates, fmt.Sprintf("%d vectors are nearly equal", f.Duplicates), float64(f.Duplicates), float64(most)))
				break
			}
		}
	}
	return out
}

func (v Figure) alert(name, what string, value, threshold float64) Alert {
	bucket := v.Bucket
	return Alert{Name: name, What: what, Bucket: &bucket, Client: v.Client, Value: value, Threshold: threshold}
}
