package audit

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// MaxCanaries is the largest number of canaries.
const MaxCanaries = 1 << 24

// Count is the outcome of one audit at a number of guesses that was fixed beforehand.
type Count struct {
	Canaries int // m: canaries, each in or out by a fair coin
	Guesses  int // r: coins that were guessed
	Correct  int // v: guesses that were right
}

func (c Count) check() error {
	if c.Canaries < 1 || c.Canaries > MaxCanaries || c.Guesses < 0 || c.Guesses > c.Canaries || c.Correct < 0 || c.Correct > c.Guesses {
		return ErrCount.At("%d right of %d guesses for %d canaries", c.Correct, c.Guesses, c.Canaries)
	}
	return nil
}

// PValue bounds the probability of at least so many right guesses, were the run
// (epsilon, delta) private (Steinke, Nasr and Jagielski 2023, main theorem for
// approximate privacy, and appendix with its program):
//
//	P[W >= v] + 2 m delta max_{1 <= i <= v} P[v > W >= v-i] / i
//
// with W binomial of r trials at e^epsilon/(1+e^epsilon); at most 1. ErrCount and
// ErrLevel refuse what is out of range.
func (c Count) PValue(epsilon, delta float64) (float64, error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	if !(epsilon >= 0) || math.IsInf(epsilon, 1) || !(delta >= 0 && delta < 1) {
		return 0, ErrLevel.At("epsilon %g, delta %g", epsilon, delta)
	}
	return c.pValue(epsilon, delta), nil
}

func (c Count) pValue(epsilon, delta float64) float64 {
	p := c.binomialTail(epsilon)
	if delta > 0 && p < 1 {
		p += 2 * float64(c.Canaries) * delta * c.steepest(epsilon)
	}
	return min(p, 1)
}

// binomialTail is P[W >= v].
func (c Count) binomialTail(epsilon float64) float64 {
	if c.Correct == 0 {
		return 1
	}
	return mathext.RegIncBeta(float64(c.Correct), float64(c.Guesses-c.Correct+1), 1/(1+math.Exp(-epsilon)))
}

// steepest is max_i P[v > W >= v-i]/i: the largest average of the probabilities of
// v-1, v-2, ... and so on down. They rise to the mode and fall, so the average is
// largest where the next one is first below it.
func (c Count) steepest(epsilon float64) float64 {
	if c.Correct == 0 {
		return 0
	}
	r, k := float64(c.Guesses), float64(c.Correct-1)
	logWrong := -epsilon - math.Log1p(math.Exp(-epsilon))
	term := logFactorial(r) - logFactorial(k) - logFactorial(r-k) + k*(logWrong+epsilon) + (r-k)*logWrong
	sum, average := 0.0, 0.0
	for i := 1; i <= c.Correct; i++ {
		p := math.Exp(term)
		if p < average {
			break
		}
		sum += p
		average = sum / float64(i)
		term += math.Log(k) - math.Log(r-k+1) - epsilon
		k--
	}
	return average
}

func logFactorial(n float64) float64 {
	l, _ := math.Lgamma(n + 1)
	return l
}

// EpsilonOneRun is the largest epsilon that the outcome refutes at significance
// alpha: if the run is (e, delta) private, the result is above e with probability at
// most alpha. It is 0 if nothing is refuted. ErrCount and ErrLevel refuse what is out
// of range.
func (c Count) EpsilonOneRun(alpha, delta float64) (float64, error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	if err := checkLevels(alpha, delta); err != nil {
		return 0, err
	}
	return c.oneRun(0, alpha, delta), nil
}

// oneRun is the largest epsilon that is refuted, or least if that is not. The p-value
// rises with epsilon where 2 m delta <= 1; elsewhere any epsilon that is refuted
// refutes the smaller ones too, since privacy at them implies privacy at it.
func (c Count) oneRun(least, alpha, delta float64) float64 {
	refuted := func(epsilon float64) bool {
		// The tail alone is cheap and settles most.
		return c.binomialTail(epsilon) <= alpha && c.pValue(epsilon, delta) <= alpha
	}
	return largest(least, refuted)
}

// largest is the end of the range from least on in which refuted holds, from below to
// 1e-10, or least if it does not hold there. It must fail somewhere: at 64, in floating
// point, a guess is right with probability 1 under either method.
func largest(least float64, refuted func(float64) bool) float64 {
	if !refuted(least) {
		return least
	}
	lo, hi := least, max(1, 2*least)
	for refuted(hi) {
		lo, hi = hi, 2*hi
	}
	for hi-lo > 1e-10 {
		mid := lo + (hi-lo)/2
		if refuted(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}
