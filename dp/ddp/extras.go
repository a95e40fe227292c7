package ddp

import (
	"math"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg/field"
)

// Extra is one coordinate beside the update that depends on data: a clip-quantile
// bit, a weight, a metric. It is an integer with a public bound and noise of its own,
// in grid units of its own: a bit whose noise is 5 in the sum of 100 clients is too
// narrow a share at one step a bit, and travels as 0 or 16, say, with noise 80.
type Extra struct {
	// Name identifies the extra; not empty.
	Name string
	// Largest: a client's value lies in 0..Largest before noise.
	Largest uint64
	// Bound is D_k: how far a value is from what stands for no contribution; Largest,
	// or Largest/2 where that is the centre of the interval.
	Bound float64
	// Sigma is s_k, the standard deviation of the noise in the sum of the shares
	// that are reckoned with.
	Sigma float64
}

// check gives the extra's shares.
func (e Extra) check(survivors, corrupt int) (Shares, error) {
	if e.Largest < 1 || e.Largest > math.MaxInt32 {
		return Shares{}, ErrParameters.At("extra %q: Largest = %d, want 1 to 2^31 - 1", e.Name, e.Largest)
	}
	if !(e.Bound >= float64(e.Largest)/2 && e.Bound <= math.MaxFloat64) { // NaN fails
		return Shares{}, ErrParameters.At("extra %q: Bound = %g, want at least half of Largest = %d", e.Name, e.Bound, e.Largest)
	}
	shares, err := NewShares(e.Sigma, survivors, corrupt)
	if err != nil {
		return Shares{}, ErrParameters.At("extra %q", e.Name).Because(err)
	}
	if e.Largest+2*uint64(shares.Tail()) > math.MaxInt32 {
		return Shares{}, ErrParameters.At("extra %q: its value and noise pass 2^31: lower Largest or Sigma", e.Name)
	}
	return shares, nil
}

// sensitivity is that of the one coordinate: Bound under zero-out; a value that is
// replaced by another changes by at most Largest.
func (e Extra) sensitivity(relation dp.Relation) Sensitivity {
	bound := e.Bound
	if relation == dp.ReplaceOne {
		bound = float64(e.Largest)
	}
	return Sensitivity{Dimension: 1, L1: bound, L2: bound}
}

// field is the extra as package field sees it: value + share + tail, never negative.
func (e Extra) field(shares Shares) field.Extra {
	return field.Extra{Name: e.Name, Bound: e.Largest + 2*uint64(shares.Tail())}
}

// Term is one part of a joint event: a sensitivity and the standard deviation of the
// noise that covers it, in the same units.
type Term struct{ Sensitivity, Sigma float64 }

// JointMultiplier is the noise multiplier z of parts that are released together and
// with independent noise, rounded down (DESIGN section 4):
//
//	z^-2 = (D2/sigma)^2 + sum (D_k/s_k)^2
//
// It is 0, the multiplier of no noise at all, if a sensitivity is negative, a sigma is
// not positive or a number is not finite, and +Inf if nothing is sensitive.
func JointMultiplier(terms ...Term) float64 {
	var sum float64
	for _, t := range terms {
		if !(t.Sensitivity >= 0 && t.Sensitivity <= math.MaxFloat64 && t.Sigma > 0 && t.Sigma <= math.MaxFloat64) {
			return 0
		}
		r := t.Sensitivity / t.Sigma
		sum += float64(r * r)
	}
	return 1 / math.Sqrt(safe(sum))
}
