package ddp

import "math"

// BitBound is D_k of the clip-quantile bit, in units of the bit: it is centred at 1/2.
const BitBound = 0.5

// DefaultBitSigma is the noise of the sum of clip-quantile bits that Andrew et al.,
// "Differentially Private Learning with Adaptive Clipping" (2021), advise: a
// twentieth of the clients of a round.
func DefaultBitSigma(clients int) float64 { return float64(clients) / 20 }

// UpdateMultiplier is the noise multiplier that is left for the update when the
// clip-quantile bit with noise bitSigma, in units of the bit, is to share a joint
// multiplier z with it, rounded up (Andrew et al. 2021, Theorem 1):
//
//	z_update = (z^-2 - (2 bitSigma)^-2)^-1/2
//
// It refuses z >= 2 bitSigma: the bit alone would spend more than everything.
func UpdateMultiplier(z, bitSigma float64) (float64, error) {
	if !(z > 0 && bitSigma > 0 && bitSigma <= math.MaxFloat64) { // NaN fails
		return 0, ErrClip.At("noise multiplier %g, noise of the bit %g", z, bitSigma)
	}
	// z / sqrt((1 - r)(1 + r)) with r = z/(2 bitSigma) does not cancel before 1 - r.
	r := up(z / (2 * bitSigma))
	left := down(1-r) * down(1+r)
	out := safe(z / math.Sqrt(left))
	if !(left > 0) || out > math.MaxFloat64 { // z >= 2 bitSigma, or as good as
		return 0, ErrClip.At("noise multiplier %g, twice the noise of the bit %g", z, 2*bitSigma)
	}
	return out, nil
}

// QuantileClip moves the clip norm towards a quantile of the clients' norms, from a
// noised count and so at no further cost. It is an unchecked literal; Next checks it.
type QuantileClip struct {
	Rate     float64 // eta, in (0, 1]; 0.2 is usual
	Quantile float64 // gamma, in [0, 1]; 0.5 is usual
	Floor    float64 // least clip norm, positive
	Ceiling  float64 // largest clip norm, finite
}

// Next is C_{t+1} = C_t exp(-eta (bbar - gamma)), kept within [Floor, Ceiling]. bbar is
// the noised fraction of clients whose norm was at most C_t, over a denominator that
// does not depend on data; it is taken to the nearest point of [0, 1] first, so that
// noise cannot throw the clip norm further than data could. The result is the same
// bit for bit on every architecture.
func (q QuantileClip) Next(clipNorm, fraction float64) (float64, error) {
	switch { // NaN fails each
	case !(q.Rate > 0 && q.Rate <= 1):
		return 0, ErrClip.At("Rate = %g, want above 0 and at most 1", q.Rate)
	case !(q.Quantile >= 0 && q.Quantile <= 1):
		return 0, ErrClip.At("Quantile = %g, want 0 to 1", q.Quantile)
	case !(q.Floor > 0 && q.Ceiling >= q.Floor && q.Ceiling <= math.MaxFloat64):
		return 0, ErrClip.At("Floor = %g, Ceiling = %g", q.Floor, q.Ceiling)
	case !(clipNorm >= q.Floor && clipNorm <= q.Ceiling):
		return 0, ErrClip.At("clip norm %g is outside [%g, %g]", clipNorm, q.Floor, q.Ceiling)
	case math.IsNaN(fraction):
		return 0, ErrClip.At("fraction of unclipped clients is not a number")
	}
	step := float64(q.Rate * (q.Quantile - min(1, max(0, fraction))))
	return min(q.Ceiling, max(q.Floor, clipNorm*exp(step))), nil
}

// exp is e^x for |x| <= 1 by Taylor's series. math.Exp differs in the last bit from
// one architecture to another, and the clip norm decides the model.
func exp(x float64) float64 {
	sum := 1.0
	for k := 20; k >= 1; k-- {
		sum = 1 + float64(float64(x*sum)/float64(k))
	}
	return sum
}
