package plan

import "math"

// maxExactCorrupt is up to how many corrupt clients buckets of two sizes are told apart:
// the work grows with its third power.
const maxExactCorrupt = 150

// moreBad is the probability that more than f buckets hold a corrupt client, where n
// clients, corrupt of them, are dealt uniformly into count buckets whose sizes differ by
// at most one. It is exact, but for rounding, where exact is true, else an upper bound.
//
// The corrupt clients take their seats one after another. The next one comes into a bucket
// that has none yet with the share of free seats that are in such buckets: the number of
// occupied buckets, of either size, is a Markov chain (Feller, An Introduction to
// Probability Theory, volume 1, section II.5, for unequal boxes). All terms are positive,
// so small probabilities keep their digits.
//
// Of many corrupt clients and two sizes it takes all occupied buckets to be small: what
// is left has then more seats than it has, so that the chain is never ahead of this one.
func moreBad(n, count, corrupt, f int) (p float64, exact bool) {
	switch {
	case f >= min(count, corrupt):
		return 0, true
	case f < 0:
		return 1, true
	}
	if n%count != 0 && corrupt <= maxExactCorrupt {
		return moreBadOfTwo(n, count, corrupt, f), true
	}
	small := n / count
	occupied := make([]float64, f+1) // by number of occupied buckets; beyond f is absorbed
	occupied[0] = 1
	for taken := range corrupt {
		free := float64(n - taken)
		for b := f; b >= 0; b-- {
			fresh := min(1, float64(n-b*small)/free)
			if b == f {
				p += occupied[b] * fresh
			} else {
				occupied[b+1] += occupied[b] * fresh
			}
			// Not 1-fresh: that would lose digits.
			occupied[b] *= max(0, float64(b*small-taken)) / free
		}
	}
	return min(1, p), n%count == 0
}

// moreBadOfTwo is moreBad where n%count buckets have one client more than the others.
func moreBadOfTwo(n, count, corrupt, f int) (p float64) {
	small, large := n/count, n/count+1
	larges := n % count
	smalls := count - larges
	// occupied[i][j]: i large and j small ones are occupied, i+j <= f.
	occupied := make([][]float64, min(larges, f)+1)
	for i := range occupied {
		occupied[i] = make([]float64, min(smalls, f-i)+1)
	}
	occupied[0][0] = 1
	for taken := range corrupt {
		free := float64(n - taken)
		for i := len(occupied) - 1; i >= 0; i-- {
			for j := len(occupied[i]) - 1; j >= 0; j-- {
				q := occupied[i][j]
				if q == 0 {
					continue
				}
				intoLarge, intoSmall := q*float64((larges-i)*large)/free, q*float64((smalls-j)*small)/free
				if i+j == f {
					p += intoLarge + intoSmall
				} else {
					if i < larges {
						occupied[i+1][j] += intoLarge
					}
					if j < smalls {
						occupied[i][j+1] += intoSmall
					}
				}
				occupied[i][j] = q * float64(i*large+j*small-taken) / free
			}
		}
	}
	return min(1, p)
}

// anyBad is the probability that at least one of size clients is corrupt, of n of whom
// corrupt are.
func anyBad(n, size, corrupt int) float64 {
	none := 1.0
	for i := range size {
		none *= max(0, float64(n-corrupt-i)) / float64(n-i)
	}
	return 1 - none
}

// binomialAbove is the probability that more than f of count things happen, each by itself
// with probability p.
func binomialAbove(count int, p float64, f int) float64 {
	switch {
	case f >= count || p <= 0:
		return 0
	case f < 0 || p >= 1:
		return 1
	}
	logFactorial := func(n int) float64 { v, _ := math.Lgamma(float64(n) + 1); return v }
	var tail float64
	for k := count; k > f; k-- { // small terms first
		tail += math.Exp(logFactorial(count) - logFactorial(k) - logFactorial(count-k) + float64(k)*math.Log(p) + float64(count-k)*math.Log1p(-p))
	}
	return min(1, tail)
}
