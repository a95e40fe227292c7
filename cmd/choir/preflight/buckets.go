package preflight

import (
	"math"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
)

// Buckets is how a full cohort is divided into sums of their own.
type Buckets struct {
	// Fallback: buckets are opened only in attempts after one whose sum was spoiled.
	Fallback bool `json:"fallback"`
	Count    int  `json:"count"`
	Smallest int  `json:"smallest"` // clients in one
	Largest  int  `json:"largest"`
	Minimum  int  `json:"minimum"` // fewest in one that is opened
	// WorstBad is how many buckets the corrupt clients can be in at most, and
	// BadChance how likely it is for the largest to hold one of them.
	WorstBad  int     `json:"worst_bad"`
	BadChance float64 `json:"bad_chance"`
	// Short is the expected number of buckets that are left out because too few of
	// their clients are left, and ShortClients that of the survivors lost with them, if
	// each client vanishes independently with the declared probability; AnyShort is the
	// probability that there is such a bucket.
	Short        float64 `json:"expected_short"`
	ShortClients float64 `json:"expected_short_clients"`
	AnyShort     float64 `json:"any_short"`
	// Missing are as many clients as are declared to vanish, or as are left behind when
	// uploads close, and ShortMissing the expected number of short buckets if exactly
	// so many are missing, whoever they are.
	Missing      int     `json:"missing"`
	ShortMissing float64 `json:"expected_short_missing"`

	clients  int // in all of them
	division secagg.Buckets
}

func bucketsOf(p plan.Plan) *Buckets {
	t, n := p.Terms(), p.Invited()
	if t.Buckets == (secagg.Buckets{}) {
		return nil
	}
	count := t.Buckets.Count(n)
	b := &Buckets{Fallback: t.View == secagg.ViewSum, Count: count, Smallest: n / count, Largest: (n + count - 1) / count, Minimum: t.Buckets.Minimum, clients: n, division: t.Buckets}
	s := p.Literal().Scheme
	f := share(n, s.Corrupt)
	b.WorstBad, b.BadChance = min(f, count), 1-hypergeometric(n, f, b.Largest, 0)
	b.Missing = share(n, s.Dropout)
	if k := p.CloseAt(); k > 0 {
		b.Missing = max(b.Missing, n-k)
	}
	none := 1.0
	for _, size := range b.sizes() {
		short := below(size, b.Minimum, s.Dropout)
		b.Short += short
		none *= 1 - short
		for left := range min(b.Minimum, size+1) {
			b.ShortClients += float64(left) * binomial(size, left, 1-s.Dropout)
			if lost := size - left; lost <= b.Missing {
				b.ShortMissing += hypergeometric(n, b.Missing, size, lost)
			}
		}
	}
	b.AnyShort = 1 - none
	return b
}

// sizes are those of all buckets.
func (b *Buckets) sizes() []int {
	out := make([]int, b.Count)
	for i := range out {
		out[i] = b.clients / b.Count
		if i < b.clients%b.Count {
			out[i]++
		}
	}
	return out
}

// share is how many of n clients a share of them is, rounded up as schemes do.
func share(n int, of float64) int {
	return secagg.ShareOf(n, int(math.Round(of*1e6)))
}

// sums is how many sums a round opens at most, where none was spoiled before.
func (f *Findings) sums() int {
	if f.Buckets == nil || f.Buckets.Fallback {
		return 1
	}
	return f.Buckets.Count
}

// choose is the logarithm of n over k.
func choose(n, k int) float64 {
	if k < 0 || k > n {
		return math.Inf(-1)
	}
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// binomial is P[X = k] of n trials of probability p.
func binomial(n, k int, p float64) float64 {
	switch {
	case p <= 0 && k == 0, p >= 1 && k == n:
		return 1
	case p <= 0, p >= 1, k < 0, k > n:
		return 0
	}
	return math.Exp(choose(n, k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}

// hypergeometric is the probability that k of drawn clients are marked, where marked of
// n are.
func hypergeometric(n, marked, drawn, k int) float64 {
	return math.Exp(choose(marked, k) + choose(n-marked, drawn-k) - choose(n, drawn))
}

// belowInBuckets is the probability that fewer than least survivors are in the buckets
// of the given sizes that keep needed(size) of their clients, when each vanishes on
// its own: exact, by convolution over the buckets.
func belowInBuckets(sizes []int, needed func(size int) int, least int, dropout float64) float64 {
	total := []float64{1} // of each number of survivors so far
	for _, size := range sizes {
		next := make([]float64, len(total)+size)
		for left := range size + 1 {
			p := binomial(size, left, 1-dropout)
			counted := left
			if left < needed(size) {
				counted = 0
			}
			for have, q := range total {
				next[have+counted] += p * q
			}
		}
		total = next
	}
	var sum float64
	for have := range min(least, len(total)) {
		sum += total[have]
	}
	return min(1, sum)
}
