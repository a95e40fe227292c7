package preflight

import (
	"bytes"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

// ratio turns a probability into a float.
func ratio(r *big.Rat) float64 {
	v, _ := r.Float64()
	return v
}

// exactHypergeometric is P[X = k] in rational arithmetic.
func exactHypergeometric(n, marked, drawn, k int) *big.Rat {
	over := func(n, k int) *big.Int {
		if k < 0 || k > n {
			return new(big.Int)
		}
		return new(big.Int).Binomial(int64(n), int64(k))
	}
	return new(big.Rat).SetFrac(new(big.Int).Mul(over(marked, k), over(n-marked, drawn-k)), over(n, drawn))
}

// slowInBucket is c*: the least c with count * 2^3 * P[Hyp(n, f, s) > c] <= 2^-40
// (DESIGN sections 6 and 7).
func slowInBucket(n, f, count int) int {
	size := (n + count - 1) / count
	limit := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Lsh(big.NewInt(int64(8*count)), 40))
	for c := 0; ; c++ {
		tail := new(big.Rat)
		for k := c + 1; k <= size; k++ {
			tail.Add(tail, exactHypergeometric(n, f, size, k))
		}
		if tail.Cmp(limit) <= 0 {
			return c
		}
	}
}

func TestHonestClientsAreThoseOfTheWorstCohortAdmitted(t *testing.T) {
	f := examine(t, divided(oneshot.Name, 400, 0.01, 0.1, 16, 12, false))
	least, worst := math.MaxInt, 0
	for n := 200; n <= 400; n++ {
		if c := slowInBucket(n, (n+99)/100, n/16); 12-c < least {
			least, worst = 12-c, c
		}
	}
	require.Equal(t, least, f.Oneshot.Honest)
	require.Equal(t, worst, f.Oneshot.InBucket)
	require.Equal(t, f.Oneshot.Sizes, f.Oneshot.SizesTried)
	require.Equal(t, 201, f.Oneshot.Sizes)

	f = examine(t, divided(oneshot.Name, 400, 0.01, 0.1, 16, 12, true))
	require.Equal(t, least, f.Oneshot.Honest, "of the buckets that it falls back on")
	require.Equal(t, 200-4, examine(t, literal(oneshot.Name, 400, 0.01, 0.1)).Oneshot.Honest)
}

func TestCommitteeAndItsCostAreThoseOfThePlan(t *testing.T) {
	l := literal(oneshot.Name, 100, 0.02, 0.3)
	l.Cohort.CloseAt = 80
	f := examine(t, l)
	o := f.Oneshot
	require.Equal(t, 5, o.Members)
	require.Equal(t, 1, o.Corrupt)
	require.Equal(t, 4, o.Quorum)
	require.Equal(t, 1, o.Correctable)
	require.Equal(t, 2, o.CorruptClients)
	require.Equal(t, 2, o.Evictions)
	require.Equal(t, 70-2, o.Left, "of 70 that do not vanish")
	l.Cohort.CloseAt = 60
	require.Equal(t, 60-2, examine(t, l).Oneshot.Left, "of 60 at which uploads close")
	require.Equal(t, 19, o.Kappa)
	require.Len(t, o.Root, 64)
	require.EqualValues(t, o.Body+5*int64(o.LetterSize), f.Bytes.Upload)
	u := f.Time.UnitCosts
	require.InEpsilon(t, 100*(u.ReadLetter+u.Verify)/1e3, o.MemberMS, 1e-9)
	require.InEpsilon(t, 1004*(u.EncodeNanos+u.EncryptNanos)/1e6, f.Time.ClientVectorMS, 1e-9)
	require.Nil(t, f.Time.OpenDropoutsMS, "drop-outs cost nothing")
	var text bytes.Buffer
	require.NoError(t, f.WriteText(&text))
	for _, want := range []string{"encryption for a committee", o.Root, "kappa", "slots", "bytes per committee member", "uploads close at 60"} {
		require.Equal(t, want != "uploads close at 60", strings.Contains(text.String(), want), want)
	}
	require.Contains(t, text.String(), "uploads close at 80")
}

func TestMemoryGrowsWithTheBucketsOnly(t *testing.T) {
	one, four := examine(t, literal(oneshot.Name, 100, 0.02, 0.3)), examine(t, divided(oneshot.Name, 100, 0.02, 0.3, 25, 12, true))
	require.Equal(t, one.Memory.Vectors, examine(t, literal(oneshot.Name, 60, 0.02, 0.3)).Memory.Vectors)
	sum := 4*int64(one.Encoding.Words) + 8*int64(one.Parameters) + one.Oneshot.Body*64/53
	require.InDelta(t, float64(one.Memory.Vectors+3*sum), float64(four.Memory.Vectors), 4, "three sums more, should it fall back on them")
}

func TestShortBucketsAreCountedExactly(t *testing.T) {
	l := divided(oneshot.Name, 103, 0.01, 0.3, 20, 13, false)
	l.Cohort.Minimum = 40
	b := examine(t, l).Buckets
	require.Equal(t, []int{5, 20, 21}, []int{b.Count, b.Smallest, b.Largest})
	require.Equal(t, []int{21, 21, 21, 20, 20}, b.sizes())
	short21, short20 := exactBelow(21, 13, big.NewRat(3, 10)), exactBelow(20, 13, big.NewRat(3, 10))
	require.InEpsilon(t, 3*short21+2*short20, b.Short, 1e-9)
	require.InEpsilon(t, 1-math.Pow(1-short21, 3)*math.Pow(1-short20, 2), b.AnyShort, 1e-9)
	lost := new(big.Rat)
	clients := 0.0
	require.Equal(t, 31, b.Missing, "three tenths of 103, rounded up")
	for _, size := range b.sizes() {
		for left := range 13 {
			lost.Add(lost, exactHypergeometric(103, 31, size, size-left))
			clients += float64(left) * (exactBelow(size, left+1, big.NewRat(3, 10)) - exactBelow(size, left, big.NewRat(3, 10)))
		}
	}
	require.InEpsilon(t, ratio(lost), b.ShortMissing, 1e-9)
	require.InEpsilon(t, clients, b.ShortClients, 1e-6)

	l.Cohort.CloseAt = 50
	require.Equal(t, 53, examine(t, l).Buckets.Missing, "those left behind when uploads close")
	l.Scheme.Dropout, l.Cohort.CloseAt = 0, 0
	b = examine(t, l).Buckets
	require.Zero(t, b.Short+b.AnyShort+b.ShortMissing+b.ShortClients)
}

func TestBadBucketsAreCounted(t *testing.T) {
	b := examine(t, divided(oneshot.Name, 200, 0.02, 0.1, 20, 12, false)).Buckets
	require.Equal(t, 4, b.WorstBad)
	require.InEpsilon(t, 1-ratio(exactHypergeometric(200, 4, 20, 0)), b.BadChance, 1e-9)
	b = examine(t, divided(oneshot.Name, 200, 0.1, 0.1, 100, 60, true)).Buckets
	require.Equal(t, 2, b.WorstBad, "there are no more")
	require.True(t, b.Fallback)
}

// TestFailureOfBucketsEqualsEnumeration goes through all ways in which the clients of
// three small buckets can vanish.
func TestFailureOfBucketsEqualsEnumeration(t *testing.T) {
	sizes, keep := []int{3, 4, 4}, 0.7
	needed := func(size int) int { return size - 1 }
	for least := range 13 {
		want := 0.0
		for ways := range 1 << 11 {
			p, total, at := 1.0, 0, 0
			for _, size := range sizes {
				left := 0
				for range size {
					if ways>>at&1 == 1 {
						left++
						p *= keep
					} else {
						p *= 1 - keep
					}
					at++
				}
				if left >= needed(size) {
					total += left
				}
			}
			if total < least {
				want += p
			}
		}
		require.InDelta(t, want, belowInBuckets(sizes, needed, least, 1-keep), 1e-12, "at least %d", least)
	}
}

func TestFailureCountsShortBuckets(t *testing.T) {
	whole, cut := examine(t, literal(oneshot.Name, 100, 0.02, 0.3)), examine(t, divided(oneshot.Name, 100, 0.02, 0.3, 20, 14, false))
	require.InEpsilon(t, exactBelow(100, 50, big.NewRat(3, 10)), whole.Failure[0].Attempt, 1e-9)
	require.Greater(t, cut.Failure[0].Attempt, 100*whole.Failure[0].Attempt)
	require.Equal(t, whole.Failure, examine(t, divided(oneshot.Name, 100, 0.02, 0.3, 20, 14, true)).Failure, "in an attempt that opens one sum")

	l := literal(oneshot.Name, 100, 0.02, 0.1)
	l.Cohort.OverSelection, l.Cohort.Minimum = 1.2, 90
	require.Less(t, examine(t, l).Failure[0].Attempt, 1.0)

	g := examine(t, divided(pairwise.Name, 40, 0.025, 0.2, 20, 16, false))
	require.Equal(t, 20, g.Graph.Clients, "the graph of a bucket")
	require.Equal(t, 40/2, g.needed())
	require.Positive(t, g.Failure[0].Attempt)
}

func TestSchemeIsRecommendedWithItsReason(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*plan.Literal)
		scheme string // of the plan
		want   string
		reason string
	}{
		"many clients":            {func(l *plan.Literal) { l.Cohort = plan.Cohort{Size: 1000, Minimum: 500} }, pairwise.Name, oneshot.Name, "speak once"},
		"the same under oneshot":  {func(l *plan.Literal) { l.Cohort = plan.Cohort{Size: 1000, Minimum: 500} }, oneshot.Name, oneshot.Name, "speak once"},
		"few clients, long model": {func(l *plan.Literal) { few(l, 1<<18) }, oneshot.Name, pairwise.Name, "needs no committee"},
		"no protection":           {func(l *plan.Literal) { l.Cohort = plan.Cohort{Size: 100, Minimum: 50} }, plain.Name, oneshot.Name, "speak once"},
		"most clients vanish":     {func(l *plan.Literal) { l.Scheme.Dropout, l.Cohort.Minimum = 0.7, 10 }, oneshot.Name, oneshot.Name, "Pairwise cannot run this plan"},
		"one attempt":             {func(l *plan.Literal) { l.Rounds.Attempts = 1 }, pairwise.Name, pairwise.Name, "Oneshot cannot run this plan"},
	} {
		t.Run(name, func(t *testing.T) {
			l := literal(c.scheme, 60, 0.05, 0.2)
			l.Cohort.Minimum = 20
			c.change(&l)
			p := check(t, l)
			f, err := Examine(p)
			require.NoError(t, err)
			a := f.Advice
			require.Equal(t, c.want, a.Scheme, a.Reason)
			require.Contains(t, a.Reason, c.reason)
			require.Equal(t, []string{oneshot.Name, pairwise.Name}, []string{a.Options[0].Scheme, a.Options[1].Scheme})
			for _, o := range a.Options {
				require.Equal(t, o.Refusal == nil, o.Up != nil && o.ClientMS != nil && o.CoordinatorMS != nil && o.DropoutsMS != nil)
				if o.Refusal == nil {
					require.GreaterOrEqual(t, *o.DropoutsMS, *o.CoordinatorMS)
					require.Equal(t, o.Scheme == oneshot.Name, o.Committee != nil)
					require.Equal(t, o.Scheme == oneshot.Name && c.scheme != oneshot.Name, o.Assumed)
				}
				if o.Scheme == c.scheme {
					require.Equal(t, f.Bytes.Up, *o.Up)
				}
			}
			var text, prose bytes.Buffer
			require.NoError(t, f.WriteText(&text))
			require.NoError(t, f.WriteProse(&prose, p))
			require.Contains(t, text.String(), "recommended scheme: "+c.want)
			require.Contains(t, strings.Join(strings.Fields(prose.String()), " "), "Which scheme suits. "+c.want)
		})
	}
}

// few is a plan for a handful of organisations with a model of so many parameters.
func few(l *plan.Literal, parameters int) {
	l.Scheme.CrossSilo, l.Scheme.Corrupt, l.Scheme.Dropout = true, 0.1, 0
	l.Cohort = plan.Cohort{Size: 6, Minimum: 4}
	l.Model.Tensors = []plan.Tensor{{Name: "w", Shape: []int{parameters}}}
}

func TestPlansUnderACommitteeThatDeserveASecondLookAreWarnedOf(t *testing.T) {
	warned := func(l plan.Literal) string { return strings.Join(examine(t, l).Warnings, "\n") }
	require.Contains(t, warned(literal(oneshot.Name, 100, 0.02, 0.3)), "one corrupt client")
	require.NotContains(t, warned(divided(oneshot.Name, 100, 0.02, 0.3, 20, 12, true)), "one corrupt client")
	require.NotContains(t, warned(literal(oneshot.Name, 100, 0, 0.3)), "one corrupt client")
	require.Contains(t, warned(literal(oneshot.Name, 100, 0, 0.3)), "scheme.corrupt is 0")
	require.Contains(t, warned(divided(oneshot.Name, 100, 0.02, 0.3, 20, 12, true)), "aggregation.buckets.minimum 12: an exact sum")
	require.Contains(t, warned(divided(oneshot.Name, 100, 0.02, 0.3, 20, 11, true)), "committee members that keep the default limit")
	require.Contains(t, warned(divided(oneshot.Name, 100, 0.02, 0.3, 20, 15, true)), "are left out on average")
	require.Contains(t, warned(divided(oneshot.Name, 100, 0.02, 0.3, 25, 12, false)), "2 of 4 buckets")
	require.NotContains(t, warned(divided(oneshot.Name, 100, 0.02, 0.3, 20, 12, false)), "no majority")
}
