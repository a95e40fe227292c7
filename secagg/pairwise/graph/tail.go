package graph

// A hypergeometric variable Hyp(population, marked, drawn) counts the marked
// ones among `drawn` drawn without replacement from `population`, of which
// `marked` are marked. With C(a,b) the binomial coefficient,
//
//	P[Hyp = x] = C(marked,x) C(population-marked,drawn-x) / C(population,drawn).
//
// The sums below start at the far end of a tail and add growing terms, each from
// the one before by a ratio, so every digit but the last few is right.

// hypergeometricTop returns P[Hyp = min(marked, drawn)], the far end.
func hypergeometricTop(population, marked, drawn int) wide {
	// All of the smaller set lie in the larger one; the formula is symmetric.
	smaller, larger := min(marked, drawn), max(marked, drawn)
	probability := one
	for i := range smaller {
		probability = probability.scale(float64(larger-i), float64(population-i))
	}
	return probability
}

// hypergeometricTail returns P[Hyp >= x].
func hypergeometricTail(population, marked, drawn, x int) wide {
	term := hypergeometricTop(population, marked, drawn)
	var sum wide
	for y := min(marked, drawn); y >= max(x, 0); y-- {
		sum = sum.add(term)
		term = hypergeometricBelow(term, population, marked, drawn, y)
	}
	return sum
}

// hypergeometricQuantile returns the least x >= 0 with P[Hyp >= x] <= bound.
func hypergeometricQuantile(population, marked, drawn int, bound wide) int {
	term := hypergeometricTop(population, marked, drawn)
	var sum wide
	for y := min(marked, drawn); y >= 0; y-- {
		sum = sum.add(term)
		if bound.less(sum) {
			return y + 1
		}
		term = hypergeometricBelow(term, population, marked, drawn, y)
	}
	return 0
}

// hypergeometricBelow returns P[Hyp = x-1] from term = P[Hyp = x].
func hypergeometricBelow(term wide, population, marked, drawn, x int) wide {
	return term.scale(
		float64(x)*float64(population-marked-drawn+x),
		float64(marked-x+1)*float64(drawn-x+1))
}

// binomialTail returns P[Bin(trials, p) >= x] for 0 < p < 1: at least x
// successes among independent trials that each succeed with probability p.
func binomialTail(trials int, p float64, x int) wide {
	if x <= 0 {
		return one
	}
	term := newWide(p).pow(trials)
	var sum wide
	for y := trials; y >= x; y-- {
		sum = sum.add(term)
		term = term.scale(float64(float64(y)*(1-p)), float64(float64(trials-y+1)*p))
	}
	return sum
}
