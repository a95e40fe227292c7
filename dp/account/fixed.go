package account

import "math"

// fixedMoments is the highest even moment in the table of fixedTable. Above it the
// other bound of the theorem is the smaller one, or nearly.
const fixedMoments = 256

// fixedTable holds ln E[(w-1)^k] for even k at index k/2, w being the likelihood ratio
// of N(1/z,1) to N(0,1). These are the forward differences of theorem 27; as moments they have
// no cancellation, and one table serves all orders.
type fixedTable [fixedMoments/2 + 1]float64

func newFixedTable(z float64) *fixedTable {
	const step = 0.07
	var t fixedTable
	if z < quadLeast { // the other bound is within 4 of this one in the moment, of e^400 or more
		for i := range t {
			t[i] = math.Inf(1)
		}
		return &t
	}
	end := fixedMoments/z + math.Sqrt(fixedMoments) + reach
	begin := -math.Sqrt(fixedMoments) - reach
	n := int((end-begin)/step) + 1
	logw := make([]float64, n) // ln|w-1|
	dens := make([]float64, n)
	for i := range n {
		u := begin + float64(i)*step
		loss := u/z - 1/(2*z*z)
		dens[i] = math.Log(step/math.Sqrt(2*math.Pi)) - u*u/2
		if loss > 40 {
			logw[i] = loss
		} else {
			logw[i] = math.Log(math.Abs(math.Expm1(loss)))
		}
	}
	for k := 2; k <= fixedMoments; k += 2 {
		top := math.Inf(-1)
		for i := range n {
			top = max(top, dens[i]+float64(k)*logw[i])
		}
		sum := 0.0
		for i := range n {
			if x := dens[i] + float64(k)*logw[i] - top; x > -45 {
				sum += math.Exp(x)
			}
		}
		t[k/2] = top + math.Log(sum)
	}
	return &t
}

// cgf returns (a-1) times the bound of Wang, Balle and Kasiviswanathan 2019, theorem 27, at
// a whole order a >= 2, for rate q = m/N and z over the replace-one sensitivity 2C. Between
// whole orders a chord serves (corollary 10).
func (t *fixedTable) cgf(q, z float64, a int) float64 {
	if q == 1 {
		return float64(a) * float64(a-1) / (2 * z * z)
	}
	base := func(k int) float64 { return float64(k) * float64(k-1) / (2 * z * z) }
	logA := 0.0
	for k := 2; k <= a; k++ {
		s := math.Ln2 + base(k)
		if k == 2 {
			s = min(s, math.Log(4)+math.Log(math.Expm1(base(2))))
			if base(2) > 500 {
				s = math.Ln2 + base(2)
			}
		} else if hi := (k + 1) / 2; hi < len(t) {
			s = min(s, math.Log(4)+(t[k/2]+t[hi])/2)
		}
		logA = logAdd(logA, s+float64(k)*math.Log(q)+logChoose(a, k))
	}
	return min(logA, base(a))
}
