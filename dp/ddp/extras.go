package ddp

import (
	"math"

	"github.com/choir-fl/choir/dp"
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

// ClipBit is the name of the clip-quantile bit among the extras; see [BitExtra].
const ClipBit = "clip_bit"

// BitExtra is the clip-quantile bit with noise of bitSigma in the sum, in units of the
// bit, in that many shares (Survivors - Corrupt). A client's value is Largest if its norm
// was at most the clip norm, 0 if not, and Largest/2, the centre, if it counts for
// nothing. Largest is the least power of two, from 2 to 2^30, at which [NewShares] takes
// the noise. Where there is none, the Extra is refused by [Parameters.Check].
func BitExtra(bitSigma float64, shares int) Extra {
	for most := uint64(2); most <= 1<<30; most *= 2 {
		sigma := float64(most) * bitSigma
		if _, err := NewShares(sigma, shares, 0); err == nil {
			return Extra{Name: ClipBit, Largest: most, Bound: float64(most) * BitBound, Sigma: sigma}
		}
	}
	return Extra{Name: ClipBit}
}

// check refuses a value or bound that cannot be.
func (e Extra) check() error {
	if e.Largest < 1 || e.Largest > math.MaxInt32 {
		return ErrParameters.At("extra %q: Largest = %d, want 1 to 2^31 - 1", e.Name, e.Largest)
	}
	if !(e.Bound >= float64(e.Largest)/2 && e.Bound <= math.MaxFloat64) { // NaN fails
		return ErrParameters.At("extra %q: Bound = %g, want at least half of Largest = %d", e.Name, e.Bound, e.Largest)
	}
	return nil
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
