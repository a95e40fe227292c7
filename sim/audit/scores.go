package audit

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Scores are the canaries in the order of their scores. A higher score speaks for a
// canary that was in. The zero value has no canaries and every method refuses it.
type Scores struct {
	values []float64 // ascending
	in     []int     // in[k]: canaries that were in among the k lowest
}

// NewScores sorts scores with the coins of their canaries. Among equal scores those are
// taken to be guessed first that are guessed wrong, so that no knowledge of the coins
// breaks a tie. ErrScores refuses scores that are not finite, not as many as coins, none,
// or more than MaxCanaries.
func NewScores(scores []float64, in []bool) (Scores, error) {
	if len(scores) != len(in) || len(scores) == 0 || len(scores) > MaxCanaries {
		return Scores{}, ErrScores.At("%d scores with %d coins", len(scores), len(in))
	}
	order := make([]int, len(scores))
	for i, x := range scores {
		if !finite(x) {
			return Scores{}, ErrScores.At("score of canary %d", i)
		}
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if c := cmp.Compare(scores[a], scores[b]); c != 0 {
			return c
		}
		return cmp.Compare(bit(in[b]), bit(in[a])) // those that were in first
	})
	s := Scores{values: make([]float64, len(scores)), in: make([]int, len(scores)+1)}
	for k, i := range order {
		s.values[k] = scores[i]
		s.in[k+1] = s.in[k] + bit(in[i])
	}
	return s, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Guess is how many canaries are guessed: Top with the highest scores to be in, Bottom
// with the lowest to be out.
type Guess struct{ Top, Bottom int }

// Grid is the list of guesses for m canaries that is fixed beforehand: all of them, a
// half, a quarter, and so on down to sixteen, from both ends alike. It is empty for
// less than sixteen canaries, with which nothing can be shown.
func Grid(m int) []Guess {
	var g []Guess
	for k := min(m, MaxCanaries); k >= 16; k /= 2 {
		g = append(g, Guess{Top: k - k/2, Bottom: k / 2})
	}
	return g
}

// Corners are the guesses of the highest scores only at the corners of the concave
// hull of right against wrong guesses: the list that jax_privacy searches. It is chosen
// by the scores; see the package comment.
func (s Scores) Corners() []Guess {
	m := len(s.values)
	var hull []int // numbers of guesses, from none up
	wrong := func(k int) int { return k - s.right(k) }
	for k := range m + 1 {
		if k > 0 && k < m && s.values[m-k] == s.values[m-k-1] {
			continue // a threshold does not part equal scores
		}
		for n := len(hull); n >= 2; n-- {
			a, b := hull[n-2], hull[n-1]
			if (s.right(b)-s.right(a))*(wrong(k)-wrong(b)) > (s.right(k)-s.right(b))*(wrong(b)-wrong(a)) {
				break // b is above the line from a to k
			}
			hull = hull[:n-1]
		}
		hull = append(hull, k)
	}
	g := make([]Guess, len(hull))
	for i, k := range hull {
		g[i].Top = k
	}
	return g
}

// right is how many of the k highest were in.
func (s Scores) right(k int) int { return s.in[len(s.values)] - s.in[len(s.values)-k] }

// Count is the outcome of one guess: ErrCount unless Top and Bottom are not negative
// and together at most the number of canaries.
func (s Scores) Count(g Guess) (Count, error) {
	m := len(s.values)
	if m == 0 || g.Top < 0 || g.Bottom < 0 || g.Top > m || g.Bottom > m-g.Top {
		return Count{}, ErrCount.At("%d highest and %d lowest of %d canaries", g.Top, g.Bottom, m)
	}
	return Count{Canaries: m, Guesses: g.Top + g.Bottom, Correct: s.right(g.Top) + g.Bottom - s.in[g.Bottom]}, nil
}

// Finding is the best lower bound of a list of guesses, and the outcome behind it. If
// nothing is refuted all but Canaries is zero.
type Finding struct {
	Count
	Epsilon float64
}

// EpsilonOneRun is the largest [Count.EpsilonOneRun] of the guesses, each at
// significance alpha over their number. ErrCount refuses an empty list.
func (s Scores) EpsilonOneRun(guesses []Guess, alpha, delta float64) (Finding, error) {
	return s.search(guesses, alpha, delta, func(c Count, least, alpha float64) float64 { return c.oneRun(least, alpha, delta) })
}

// EpsilonFDP is the largest [Count.EpsilonFDP] of the guesses, each at significance
// alpha over their number. ErrCount refuses an empty list.
func (s Scores) EpsilonFDP(guesses []Guess, alpha, delta float64) (Finding, error) {
	f, err := s.search(guesses, alpha, delta, Count.mu)
	if err != nil {
		return Finding{}, err
	}
	f.Epsilon, err = gaussianEpsilon(f.Epsilon, delta)
	if err != nil {
		return Finding{}, err
	}
	return f, nil
}

// search takes the guess for which bound is largest. bound(c, least, alpha) is least
// where it would not be more.
func (s Scores) search(guesses []Guess, alpha, delta float64, bound func(c Count, least, alpha float64) float64) (Finding, error) {
	if len(guesses) == 0 {
		return Finding{}, ErrCount.At("no guesses for %d canaries", len(s.values))
	}
	if err := checkLevels(alpha, delta); err != nil {
		return Finding{}, err
	}
	alpha /= float64(len(guesses))
	counts := make([]Count, len(guesses))
	for i, g := range guesses {
		var err error
		if counts[i], err = s.Count(g); err != nil {
			return Finding{}, err
		}
	}
	// The most promising first, so that the others are dismissed at a glance.
	z := mathext.NormalQuantile(1 - alpha)
	slices.SortStableFunc(counts, func(a, b Count) int { return cmp.Compare(b.promise(z), a.promise(z)) })
	best := Finding{Count: Count{Canaries: len(s.values)}}
	for _, c := range counts {
		if e := bound(c, best.Epsilon, alpha); e > best.Epsilon {
			best = Finding{Count: c, Epsilon: e}
		}
	}
	return best, nil
}

// promise is about what share of right guesses is sure: Wilson's lower bound at z
// standard errors. It decides an order, never a result.
func (c Count) promise(z float64) float64 {
	if c.Guesses == 0 {
		return 0
	}
	n := float64(c.Guesses)
	p, zz := float64(c.Correct)/n, min(z*z, 1e3)
	return (p + zz/(2*n) - math.Sqrt(zz*(p*(1-p)/n+zz/(4*n*n)))) / (1 + zz/n)
}
