package secagg

import (
	"math"

	"github.com/choir-fl/choir/secagg/field"
)

// Weiszfeld asks clients to weigh their own updates, such that a few sums approach the
// geometric median of all (Pillutla, Kakade and Harchaoui, Robust Aggregation for Federated
// Learning, algorithm 2): in each pass, which is a round, a client whose update x lies far
// from the centre v, the mean of the pass before, weighs less. The zero value asks nothing.
type Weiszfeld struct {
	// Smoothing is nu in [MinSmoothing,1], over the clip norm: updates nearer to the centre
	// than that all count in full.
	Smoothing float64
	// Passes is the number of rounds that make one step of the model, in 1..MaxPasses. A
	// client sends the same update in each that it is in.
	Passes int
}

// Bounds of Weiszfeld. A client near the centre weighs up to 2/nu times as much as one far off:
// the less nu, the fewer clients a sum may be made of, for all who are in it.
const (
	MinSmoothing = 0.01
	MaxPasses    = 16
)

// Weigh is beta = alpha min(1, nu C / |x - v|), what a client of weight alpha in [0,1]
// multiplies its update x by: a multiple of 1/ExtraScale, and at least one if alpha is
// positive. v is the centre, as long as x; nil is zero. clip is C. An x that is not finite
// weighs nothing. Sums run in the order of the coordinates.
func (w Weiszfeld) Weigh(alpha float64, x, v []float32, clip float64) float64 {
	difference := x
	if v != nil {
		difference = make([]float32, len(x))
		for i := range x {
			difference[i] = x[i] - v[i]
		}
		defer clear(difference)
	}
	distance, near := field.Norm(difference), w.Smoothing*clip
	beta := alpha * (near / math.Max(near, distance))
	if !(beta > 0) { // NaN, too
		return 0
	}
	return math.Max(1, math.Round(beta*ExtraScale)) / ExtraScale
}

func (w Weiszfeld) encode(e *Encoder) {
	e.Float(1, w.Smoothing)
	e.Uint(2, uint64(w.Passes))
}

func decodeWeiszfeld(b []byte) (Weiszfeld, error) {
	if len(b) == 0 {
		return Weiszfeld{}, nil
	}
	d := NewDecoder(b)
	w := Weiszfeld{Smoothing: d.Float(1), Passes: d.Int(2, MaxPasses)}
	if err := d.Close(); err != nil {
		return Weiszfeld{}, err
	}
	if w == (Weiszfeld{}) {
		return Weiszfeld{}, ErrEncoding.At("weiszfeld")
	}
	return w, nil
}

// checkWeiszfeld refuses what updates that clients weigh do not go with.
func (t Terms) checkWeiszfeld() error {
	w := t.Weiszfeld
	switch {
	case w == (Weiszfeld{}):
		return nil
	case !(w.Smoothing >= MinSmoothing && w.Smoothing <= 1) || w.Passes < 1 || w.Passes > MaxPasses:
		return ErrTerms.At("weiszfeld: smoothing %v, which is to be in [%g,1], in %d passes, of 1..%d", w.Smoothing, MinSmoothing, w.Passes, MaxPasses)
	case t.View != ViewSum || t.Fallback:
		return ErrTerms.At("weiszfeld: passes go from sum to sum, and buckets or vectors are opened")
	case t.Privacy != PrivacyNone:
		return ErrTerms.At("weiszfeld: privacy mode %q, under which nobody tells its weight", t.Privacy)
	case t.Denominator != DenominatorWeights:
		return ErrTerms.At("weiszfeld: denominator %q, and not weights", t.Denominator)
	case t.Training.WorkerMomentum != 0:
		return ErrTerms.At("weiszfeld: worker momentum, which changes an update from pass to pass")
	}
	return nil
}

// checkCentre refuses a centre that nothing is weighed by.
func (t Task) checkCentre() error {
	if t.Centre != (Digest{}) && t.Terms.Weiszfeld == (Weiszfeld{}) {
		return ErrTerms.At("attempt %s: a centre without weiszfeld", t.Round)
	}
	return nil
}
