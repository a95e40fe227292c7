package coordinator

import (
	"math"

	"github.com/choir-fl/choir/secagg"
)

// trend is what the holdout's figures of the models that were accepted lead one to expect
// of the next. It is in the head, so that a restart forgets nothing of it.
//
// Accuracy and loss are smoothed by a geometric moving average (Roberts, Technometrics 1,
// 1959). A training run has no level that it should keep, so each value is held against
// the average before it, and the limits follow from the smoothed squares of what these
// forecasts were off by (Montgomery and Mastrangelo, J. Quality Technology 23, 1991). How
// far the loss was above its forecast, over what is usual, is summed up as by Page
// (Biometrika 41, 1954): small rises that none of them stands out add up.
type trend struct {
	models         uint32 // that it has seen
	accuracy, loss smoothed
	cusum          float64 // of the loss
}

// smoothed is a moving average and the moving mean square of what it was off by.
type smoothed struct{ mean, square float64 }

const (
	// trendRate is what the latest model counts, but for the first five, which count alike.
	trendRate = 0.2
	// trendLeast is how many models are needed before anything stands out.
	trendLeast = 5
	// cusumSlack is taken off each rise, in standard deviations: the usual half. A loss that
	// rises on and on is found; one that has risen once, by less than a few, is soon expected.
	cusumSlack = 0.5
	// Thresholds where the plan names none, in standard deviations.
	defaultHoldoutSigma = 3
	defaultCusum        = 5
	// mostSigmas is said of a model that is off where none was before.
	mostSigmas = 1e6
	// mostMeasured keeps squares of losses finite.
	mostMeasured = 1e100
)

// take adds a value, the n-th after the first, and returns how far it was above what was
// expected, in standard deviations.
func (s *smoothed) take(x float64, n uint32) float64 {
	x = max(-mostMeasured, min(mostMeasured, x))
	if n == 0 {
		s.mean = x
		return 0
	}
	off := x - s.mean
	above := 0.0 // where it is as expected, whatever the deviation
	if off != 0 {
		above = max(-mostSigmas, min(mostSigmas, off/math.Sqrt(s.square)))
	}
	s.mean += float64(max(trendRate, 1/float64(n+1)) * off)
	s.square += float64(max(trendRate, 1/float64(n)) * (float64(off*off) - s.square))
	return above
}

// follow returns the trend with one more model, by how much its accuracy fell below what
// was expected, and the sum of the rises of the loss: both in standard deviations, and 0
// as long as too few models were seen. A sum above the limit begins anew after it.
func (t trend) follow(m Measurement, limit float64) (next trend, drop, cusum float64) {
	next = t
	accuracy, loss := next.accuracy.take(m.Accuracy, t.models), next.loss.take(m.Loss, t.models)
	next.models = min(t.models, math.MaxInt32-1) + 1
	if t.models < trendLeast {
		return next, 0, 0
	}
	cusum = min(mostSigmas, max(0, t.cusum+loss-cusumSlack))
	if next.cusum = cusum; cusum > limit {
		next.cusum = 0
	}
	return next, -accuracy, cusum
}

// Trend is what the holdout's figures of the accepted models lead one to expect of the
// next one.
type Trend struct {
	Models uint32 `json:"models"` // accepted ones, since the run began, changed its plan or went back
	// Accuracy and Loss are expected, and their deviations are the usual ones from that.
	Accuracy          float64 `json:"accuracy"`
	AccuracyDeviation float64 `json:"accuracy_deviation"`
	Loss              float64 `json:"loss"`
	LossDeviation     float64 `json:"loss_deviation"`
	// Cusum sums up how far above expectations the loss was, in deviations; an alert begins
	// it anew.
	Cusum float64 `json:"cusum"`
}

// shown is the trend for reports; nil before the first model.
func (t trend) shown() *Trend {
	if t.models == 0 {
		return nil
	}
	return &Trend{t.models, t.accuracy.mean, math.Sqrt(t.accuracy.square), t.loss.mean, math.Sqrt(t.loss.square), t.cusum}
}

func (t trend) encode(e *secagg.Encoder) {
	e.Uint(1, uint64(t.models))
	e.Float(2, t.accuracy.mean)
	e.Float(3, t.accuracy.square)
	e.Float(4, t.loss.mean)
	e.Float(5, t.loss.square)
	e.Float(6, t.cusum)
}

func decodeTrend(b []byte) (trend, error) {
	d := secagg.NewDecoder(b)
	out := trend{models: uint32(d.Size(1, math.MaxInt32)), accuracy: smoothed{d.Float(2), d.Float(3)}, loss: smoothed{d.Float(4), d.Float(5)}, cusum: d.Float(6)}
	return out, d.Close()
}
