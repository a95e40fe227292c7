package plan

import "math"

// overflowBits: a draw by coins exceeds the capacity that is reckoned with at most with
// probability 2^-bits in an attempt, so that all attempts cost less than a part of delta
// that is set aside (tails.sampled).
func (l Literal) overflowBits() float64 {
	const most = 200
	attempts, room := float64(l.Rounds.Count)*float64(l.Rounds.Attempts), l.Privacy.Delta*tailsPart/2
	if bits := math.Log2(attempts * (1 + math.Exp(l.Privacy.Epsilon)) / room); bits > 1 && bits < most { // NaN fails
		return bits
	}
	return most
}

// capacity is the least number that Binomial(population, rate) exceeds with probability
// at most 2^-bits: room for a cohort that is drawn by coins.
func capacity(population int, rate, bits float64) int {
	if !(rate > 0 && rate < 1) {
		return population
	}
	limit := -bits*math.Ln2 - logError
	// P[X > k] <= p(k+1) / (1 - r) with r the ratio of the next two terms, beyond the mean.
	for k := int(math.Ceil(float64(population) * rate)); k < population; k++ {
		next := logBinomial(population, k+1, rate)
		ratio := float64(population-k-1) / float64(k+2) * rate / (1 - rate)
		if ratio < 1 && next-math.Log1p(-ratio) <= limit {
			return k
		}
	}
	return population
}

// logError is far above the error of logBinomial, of up to maxPopulation.
const logError = 1e-6

// logBinomial is ln P[Binomial(n, p) = k], for 0 < p < 1.
func logBinomial(n, k int, p float64) float64 {
	if k < 0 || k > n {
		return math.Inf(-1)
	}
	a, _ := math.Lgamma(float64(n) + 1)
	b, _ := math.Lgamma(float64(k) + 1)
	c, _ := math.Lgamma(float64(n-k) + 1)
	return a - b - c + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p)
}

// decisive bounds the probability that one client's coin decides in some attempt
// whether there are enough for a sum: that it is drawn, and exactly minimum-1 others of
// those that answer are. Amplification by sampling does not cover that case, so it is
// charged to delta.
//
// Say that a client i is drawn with probability q, independently of the set s of the
// others that are drawn and answer. If |s| >= minimum, the release is that of Poisson
// sampling, and if |s| < minimum-1 there is none. If |s| = minimum-1 there is one if and
// only if i is drawn: call that B, that i is drawn and |s| = minimum-1. Mark B in the
// release, and leave out the rest of it. What is left is a mixture over s of amplified
// releases, of nothing and of the mark; the latter two do not depend on data, so its
// Renyi divergence is at most that of an amplified release, and an (epsilon, delta)
// statement of all attempts follows. The real releases are the same ones outside of B:
//
//	P[real in E] <= P[B] + P[marked in E, no mark] <= P[B] + delta + e^epsilon P'[real in E]
//
// without a factor e^epsilon of P[B], which is bounded whatever happened before, as each
// attempt has coins of its own.
//
// Those that answer are between (1-dropout)^2 and all of the population, whatever the
// coins: the coordinator draws as long as (1-dropout) of it is enrolled, and of those the
// declared part may vanish. The worst number among them is taken. The probability of minimum-1 of n rises
// with n up to (minimum-1)/q and falls from there.
func decisive(population, minimum int, rate, dropout float64, attempts int) float64 {
	if !(rate > 0 && rate < 1) {
		return 0
	}
	least := max(int(math.Floor(float64(population)*(1-dropout)*(1-dropout)))-1, 0) // others
	peak := int(min(float64(minimum-1)/rate, float64(population)))
	worst := math.Inf(-1)
	for n := peak - 1; n <= peak+1; n++ {
		worst = max(worst, logBinomial(min(max(n, least), population-1), minimum-1, rate))
	}
	return math.Exp(math.Log(float64(attempts)) + math.Log(rate) + worst + logError)
}
