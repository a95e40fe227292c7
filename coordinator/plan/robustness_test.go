package plan_test

import (
	"math"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

// withRule has a median of the means of small buckets, under a scheme that hides nothing.
func withRule(l *plan.Literal) {
	l.Scheme = plan.Scheme{Name: plain.Name, Corrupt: 0.05}
	l.Aggregation = plan.Aggregation{Rule: "median", F: 1, View: "bucket_means", Buckets: plan.Buckets{Size: 2, Minimum: 1}, Denominator: "fixed"}
}

func noCorrupt(l *plan.Literal) { l.Scheme.Corrupt = 0 }

// grouped is robust and secure at once: 450 clients in 50 buckets, of whom a twentieth may
// poison.
func grouped() plan.Literal {
	l := sound()
	l.Scheme = plan.Scheme{Name: oneshot.Name, Corrupt: 0.01, Committee: committee("panel", 4)}
	l.Cohort = plan.Cohort{Size: 450, Minimum: 441}
	l.Evaluation, l.Stop = plan.Evaluation{}, plan.Stop{}
	l.Aggregation = plan.Aggregation{Rule: "trimmed-mean", F: 24, Byzantine: 0.05, View: "bucket_means", Denominator: "fixed"}
	return l
}

// groupedWithNoise has a hundredth of them corrupt, and noise in shares.
func groupedWithNoise() plan.Literal {
	l := grouped()
	l.Aggregation.Byzantine, l.Aggregation.F = 0, 5
	l.Encoding = plan.Encoding{ClipNorm: 1}
	l.Privacy = plan.Privacy{Mode: "distributed", Relation: "zero-out", NoiseMultiplier: 0.5, Delta: 1e-5, Epsilon: 5000}
	return l
}

// inVectors has the coordinator see each client's vector.
func inVectors(l *plan.Literal) {
	l.Scheme = plan.Scheme{Name: plain.Name, Corrupt: 0.1}
	l.Aggregation = plan.Aggregation{Rule: "krum", F: 2, View: "vectors", Denominator: "fixed"}
}

func checkAll(l plan.Literal) (plan.Plan, error) {
	return l.Check(plain.Scheme{}, pairwise.Scheme{}, oneshot.Scheme{})
}

func TestBucketsOfARuleFollowFromTheShareOfByzantineClients(t *testing.T) {
	for name, c := range map[string]struct {
		corrupt, byzantine float64
		want               plan.Buckets
	}{
		"none":                {0, 0, plan.Buckets{Size: 16, Minimum: 12}},
		"one in a hundred":    {0.01, 0, plan.Buckets{Size: 16, Minimum: 12}},
		"five in a hundred":   {0.01, 0.05, plan.Buckets{Size: 9, Minimum: 7}},
		"two that help":       {0.002, 0.02, plan.Buckets{Size: 9, Minimum: 7}},
		"more than a default": {0.01, 0.051, plan.Buckets{}},
	} {
		l := grouped()
		l.Scheme.Corrupt, l.Aggregation.Byzantine = c.corrupt, c.byzantine
		l.Aggregation.F = 23
		if l.Cohort.Minimum = 440; c.want.Size == 16 {
			l.Aggregation.F, l.Cohort.Minimum = 5, 430
		}
		p, err := checkAll(l)
		if c.want == (plan.Buckets{}) {
			require.Equal(t, []string{"aggregation.buckets"}, refusals(t, err), name)
			require.ErrorContains(t, err, "no default where a share 0.051", name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, c.want, p.Literal().Aggregation.Buckets, name)
		require.Equal(t, secagg.Buckets(c.want), p.Terms().Buckets, name)
	}
}

// slowCorrupt is c*: the least c with T 2^g P[Hyp(n-1, f, s-1) > c] <= delta/10 (DESIGN
// section 7), in rational arithmetic.
func slowCorrupt(n, f, s, rounds, draws int, delta float64) int {
	limit := new(big.Rat).SetFloat64(delta)
	limit.Quo(limit, big.NewRat(int64(10*rounds*draws), 1))
	for c := 0; ; c++ {
		tail := new(big.Rat)
		for k := c + 1; k <= min(f, s-1); k++ {
			ways := new(big.Int).Binomial(int64(f), int64(k))
			ways.Mul(ways, new(big.Int).Binomial(int64(n-1-f), int64(s-1-k)))
			tail.Add(tail, new(big.Rat).SetFrac(ways, new(big.Int).Binomial(int64(n-1), int64(s-1))))
		}
		if tail.Cmp(limit) <= 0 {
			return c
		}
	}
}

func TestFivePerCentUnderNoiseInSharesIsRefusedWithCStarAndH(t *testing.T) {
	l := groupedWithNoise()
	p, err := checkAll(l)
	require.NoError(t, err, "one per cent can be had")
	require.Equal(t, plan.Buckets{Size: 16, Minimum: 12}, p.Literal().Aggregation.Buckets)

	l.Scheme.Corrupt, l.Aggregation.F = 0.05, 24
	_, err = checkAll(l)
	require.Equal(t, []string{"aggregation.buckets"}, refusals(t, err), "no buckets are stated")
	// At 449 clients a bucket has 10.
	require.Equal(t, 7, slowCorrupt(441, 23, 10, l.Rounds.Count, 8, 1e-5))
	require.ErrorContains(t, err, "of 9 in a bucket opened with 7, c* = 7 and h = 0")
	require.ErrorContains(t, err, "no majority is left")

	l.Aggregation.Buckets = plan.Buckets{Size: 9, Minimum: 7}
	_, err = checkAll(l)
	require.Equal(t, []string{"privacy"}, refusals(t, err), "they are stated")
	require.ErrorContains(t, err, "c* = 7 and h = 0")

	l.Aggregation.Buckets = plan.Buckets{Size: 18, Minimum: 14} // enough to hide in, and too few buckets
	l.Cohort.Minimum, l.Aggregation.F = 414, 11
	_, err = checkAll(l)
	require.Equal(t, []string{"aggregation.f"}, refusals(t, err))
	require.ErrorContains(t, err, "can be in 23 of 25 vectors")
	l.Aggregation.F = 23
	_, err = checkAll(l)
	require.Equal(t, []string{"aggregation.rule"}, refusals(t, err))
	require.ErrorIs(t, err, robust.ErrPrecondition)

	// Nor by calling them Byzantine instead: they may leave their noise out.
	l = groupedWithNoise()
	l.Aggregation.Byzantine, l.Aggregation.F = 0.05, 24
	_, err = checkAll(l)
	require.Contains(t, refusals(t, err), "aggregation.byzantine")
}

func TestEachPlanThatARuleCannotServeIsRefusedUnderItsKey(t *testing.T) {
	group := func(change func(*plan.Literal)) func() plan.Literal {
		return func() plan.Literal { l := grouped(); change(&l); return l }
	}
	begin := func(start func(*plan.Literal), change func(*plan.Literal)) func() plan.Literal {
		return func() plan.Literal { l := sound(); start(&l); change(&l); return l }
	}
	for name, c := range map[string]struct {
		plan      func() plan.Literal
		key, says string
	}{
		"rule on one sum":           {begin(withRule, func(l *plan.Literal) { l.Aggregation.View, l.Aggregation.Buckets = "", plan.Buckets{} }), "aggregation.view", "sum shows rule median one vector"},
		"pre-aggregator on one sum": {begin(noCorrupt, func(l *plan.Literal) { l.Aggregation.Pre = []string{"clip:2"} }), "aggregation.view", "one vector"},
		"rule after a fallback": {group(func(l *plan.Literal) {
			l.Aggregation.View, l.Aggregation.Fallback = "sum", "bucket_means"
			l.Aggregation.Buckets = plan.Buckets{Size: 9, Minimum: 7}
		}), "aggregation.view", "one vector"},
		"rule of senders on buckets":   {begin(withRule, func(l *plan.Literal) { l.Aggregation.Rule = "foolsgold" }), "aggregation.view", "so view vectors"},
		"rule of a place":              {begin(inVectors, func(l *plan.Literal) { l.Aggregation.Rule = "monna" }), "aggregation.rule", "changes from round to round"},
		"rule of trusted data":         {begin(inVectors, func(l *plan.Literal) { l.Aggregation.Rule = "fltrust" }), "aggregation.rule", "a coordinator trains none"},
		"rule of histories":            {begin(inVectors, func(l *plan.Literal) { l.Aggregation.Rule = "foolsgold" }), "aggregation.rule", "all that they ever sent"},
		"f of a mean":                  {begin(noCorrupt, func(l *plan.Literal) { l.Aggregation.F = 1 }), "aggregation.f", "mean withstands nobody"},
		"negative f":                   {begin(withRule, func(l *plan.Literal) { l.Aggregation.F = -1 }), "aggregation.rule", "f -1"},
		"parameter of another":         {begin(withRule, func(l *plan.Literal) { l.Aggregation.Parameters = map[string]string{"tau": "1"} }), "aggregation.rule", `parameter "tau" of median`},
		"unknown pre-aggregator":       {begin(withRule, func(l *plan.Literal) { l.Aggregation.Pre = []string{"sort"} }), "aggregation.rule", `pre-aggregator "sort"`},
		"unknown conventions":          {begin(withRule, func(l *plan.Literal) { l.Aggregation.Compat = "x" }), "aggregation.rule", `compat "x"`},
		"byzantine share of all":       {begin(withRule, func(l *plan.Literal) { l.Aggregation.Byzantine = 1 }), "aggregation.byzantine", "not in [0,1)"},
		"byzantine share of NaN":       {begin(withRule, func(l *plan.Literal) { l.Aggregation.Byzantine = math.NaN() }), "aggregation.byzantine", "not in [0,1)"},
		"fewer byzantine than corrupt": {begin(withRule, func(l *plan.Literal) { l.Aggregation.Byzantine = 0.04 }), "aggregation.byzantine", "less than scheme.corrupt"},
		"f below the worst case":       {group(func(l *plan.Literal) { l.Aggregation.F = 15 }), "aggregation.f", "23 Byzantine of 450 clients can be in 23 of 50 vectors; in more than 15 with probability"},
		"a tenth that are hidden": {group(func(l *plan.Literal) {
			l.Aggregation.Byzantine, l.Aggregation.Buckets = 0.1, plan.Buckets{Size: 16, Minimum: 12}
		}), "aggregation.byzantine", "until clients prove the norm"},
		"median without a majority":   {group(func(l *plan.Literal) { l.Aggregation.Rule, l.Aggregation.F = "median", 25 }), "aggregation.rule", "f 25 on 49 vectors"},
		"trimming without a majority": {group(func(l *plan.Literal) { l.Cohort.Minimum = 432 }), "aggregation.rule", "f 24 on 48 vectors"},
		"minimum below a majority":    {group(func(l *plan.Literal) { l.Cohort.Minimum = 300 }), "aggregation.rule", "at cohort.minimum 300 as few as 33 of 50 may open, raise it"},
		"bulyan of 4f+2": {func() plan.Literal { // 49 and 50 vectors, and f of a tenth
			l := grouped()
			l.Aggregation.Rule, l.Aggregation.F, l.Aggregation.Byzantine = "bulyan", 12, 0.02
			return l
		}, "aggregation.rule", "bulyan with f 12 on 49 vectors"},
		"pairwise in small buckets": {func() plan.Literal {
			l := grouped()
			l.Scheme = plan.Scheme{Name: pairwise.Name, Corrupt: 0.002}
			l.Aggregation.Byzantine, l.Aggregation.F, l.Aggregation.Buckets = 0, 1, plan.Buckets{Size: 20, Minimum: 15}
			return l
		}, "aggregation.buckets.minimum", "no bucket of fewer than 16"},
		"distances under noise": {func() plan.Literal {
			l := groupedWithNoise()
			l.Aggregation.Pre, l.Privacy.NoiseMultiplier = []string{"nnm"}, 5
			return l
		}, "aggregation.rule", "trimmed-mean after nnm chooses by distances"},
		"vectors under a scheme that hides": {group(func(l *plan.Literal) { l.Aggregation.View, l.Aggregation.F = "vectors", 24 }), "aggregation.view", "oneshot does not yield vectors"},
		"vectors in buckets":                {begin(inVectors, func(l *plan.Literal) { l.Aggregation.Buckets = plan.Buckets{Size: 2, Minimum: 1} }), "aggregation.buckets", "belong to bucket_means"},
		"vectors with central noise":        {begin(inVectors, func(l *plan.Literal) { someNoise(l); l.Privacy.Mode = "central" }), "aggregation.view", "noise enough for each is mode local"},
		"vectors with a share of noise":     {begin(inVectors, func(l *plan.Literal) { someNoise(l); l.Privacy.Mode = "distributed" }), "aggregation.view", "protects nobody alone"},
		"vectors without trust":             {begin(inVectors, func(l *plan.Literal) { someNoise(l); l.Privacy.TrustCoordinator = false }), "aggregation.view", "say privacy.trust_coordinator: true"},
		"more vectors than are combined": {begin(inVectors, func(l *plan.Literal) {
			l.Aggregation = plan.Aggregation{View: "vectors", Denominator: "fixed"}
			l.Cohort, l.Encoding.Bits = plan.Cohort{Size: 16400, Minimum: 16000}, 16
		}), "aggregation.buckets.size", "16400 vectors, at most 16384"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			_, err := checkAll(c.plan())
			require.Error(t, err)
			require.Equal(t, []string{c.key}, refusals(t, err), "one line for one contradiction: %v", err)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// someNoise is local, and sufficient alone.
func someNoise(l *plan.Literal) {
	l.Privacy = plan.Privacy{Mode: "local", TrustCoordinator: true, Relation: "zero-out", NoiseMultiplier: 2, Delta: 1e-5, Epsilon: 1000}
	l.Encoding = plan.Encoding{ClipNorm: 16, Scale: 50}
	l.Evaluation, l.Stop = plan.Evaluation{}, plan.Stop{}
	l.Aggregation.Rule, l.Aggregation.F = "trimmed-mean", 4
}

func TestNumbersOfARuleAreThoseOfTheCohort(t *testing.T) {
	p, err := checkAll(grouped())
	require.NoError(t, err)
	r := p.Robustness()
	require.True(t, r.Resists)
	require.Equal(t, []int{50, 49, 1, 24, 23, 23}, []int{r.Most, r.Fewest, r.Spare, r.F, r.Byzantine, r.WorstBad})
	require.Zero(t, r.Exceeded)
	require.Zero(t, r.Run)
	require.Zero(t, r.NoiseNorm)
	require.Equal(t, "trimmed-mean", p.Rule().Name())
	require.Equal(t, robust.Spec{Rule: "trimmed-mean", F: 24}, p.RuleSpec())

	// A full bucket is of 9, divided by 9; at 449 clients 8 of 49 are of 10.
	s := p.Quantizer().Spec()
	widest := 10. * 49 / 450
	require.InEpsilon(t, widest*float64(s.Range)*math.Sqrt(float64(s.Dimension))/s.Scale, r.BadNorm, 1e-12)
	require.InEpsilon(t, widest*s.ClipNorm, r.HonestNorm, 1e-12)
	require.InEpsilon(t, widest*s.ClipNorm*math.Sqrt(50), r.Influence, 1e-12)
	require.Greater(t, r.BadNorm, s.ClipNorm, "clipping does not bind it")

	l := grouped()
	l.Aggregation.Denominator, l.Training.WeightCap = "weights", 1
	p, err = checkAll(l)
	require.NoError(t, err)
	weighted := p.Robustness()
	require.Equal(t, []float64{s.ClipNorm, s.ClipNorm}, []float64{weighted.BadNorm, weighted.HonestNorm}, "means by weights are clipped")
	for cap, least := range map[int]float64{1: 1, 2: 0.5, 60: 68. / 4096, 4096: 1. / 4096, 100_000: 1. / 4096} {
		l.Training.WeightCap = cap
		p, err = checkAll(l)
		require.NoError(t, err)
		require.InEpsilon(t, s.ClipNorm/least, p.Robustness().BadNorm, 1e-12, "one example of at most %d", cap)
	}
	require.InEpsilon(t, s.ClipNorm*math.Sqrt(50), weighted.Influence, 1e-12)
}

func TestFBelowTheWorstCaseStandsWhereItIsHardlyEverExceeded(t *testing.T) {
	l := sound()
	withRule(&l)
	l.Encoding.Bits = 16
	l.Cohort = plan.Cohort{Size: 4995, Minimum: 4995}
	l.Aggregation.Buckets = plan.Buckets{Size: 9, Minimum: 7}
	before := 0.0
	for l.Aggregation.F = 250; ; l.Aggregation.F-- {
		p, err := checkAll(l)
		if err != nil {
			require.Equal(t, []string{"aggregation.f"}, refusals(t, err))
			break
		}
		r := p.Robustness()
		require.True(t, r.Exact)
		require.Equal(t, 250, r.WorstBad)
		require.GreaterOrEqual(t, r.Exceeded, before)
		require.Equal(t, 8*r.Exceeded, r.Round, "each attempt is another draw, of 8")
		require.Equal(t, float64(l.Rounds.Count)*r.Round, r.Run)
		require.LessOrEqual(t, r.Run, 0.01)
		before = r.Exceeded
	}
	require.Positive(t, before)
	require.Greater(t, l.Aggregation.F, 205, "about 202 are to be expected")
	require.Less(t, l.Aggregation.F, 240)

	// Where somebody has a say in the draw, the worst case alone counts.
	l.Aggregation.F, l.Scheme.CrossSilo = 245, true
	_, err := checkAll(l)
	require.NoError(t, err)
	_, err = l.Check(steered{})
	require.Equal(t, []string{"aggregation.f"}, refusals(t, err))
	l.Aggregation.F = 250
	_, err = l.Check(steered{})
	require.NoError(t, err)
}

// steered is a scheme in which the coordinator has a say in who is in which bucket.
type steered struct{ plain.Scheme }

func (steered) FairPartition() (bits int, fair bool) { return 3, false }

func TestFewestVectorsAreThoseOfSlowSearch(t *testing.T) {
	for _, c := range []struct{ size, n, minimum, bucket int }{{20, 20, 12, 3}, {20, 20, 20, 3}, {31, 31, 17, 5}, {30, 30, 11, 4}, {25, 25, 13, 7}} {
		l := sound()
		withRule(&l)
		l.Cohort = plan.Cohort{Size: c.size, Minimum: c.minimum}
		l.Aggregation.Buckets.Size = c.bucket
		l.Scheme.Corrupt, l.Aggregation.F = 0, 0
		p, err := checkAll(l)
		require.NoError(t, err)
		fewest := math.MaxInt
		for n := c.minimum; n <= c.n; n++ {
			sizes := make([]int, n/c.bucket)
			for i := range n {
				sizes[i%len(sizes)]++
			}
			have, k := 0, 0
			for ; have < c.minimum; k++ { // the first are the largest
				have += sizes[k]
			}
			fewest = min(fewest, k)
		}
		require.Equal(t, fewest, p.Robustness().Fewest, "%+v", c)
	}
}

func TestNoiseOfABucketIsHeldAgainstTheClipNorm(t *testing.T) {
	l := groupedWithNoise()
	p, err := checkAll(l)
	require.NoError(t, err)
	n := p.Guarantee().Noise()
	require.InEpsilon(t, n.Sigma*math.Sqrt(17/float64(n.Shares())*110)/(450./28), p.Robustness().NoiseNorm, 1e-12, "17 shares, 110 parameters, divided by the mean size")
	l.Aggregation.Rule = "krum"
	_, err = checkAll(l)
	require.NoError(t, err, "noise norm / C is %v", p.Robustness().NoiseNorm)
	require.Less(t, p.Robustness().NoiseNorm, 1.)
	l.Privacy.NoiseMultiplier = 0.5 / p.Robustness().NoiseNorm * 1.01
	_, err = checkAll(l)
	require.Equal(t, []string{"aggregation.rule"}, refusals(t, err))
	l.Aggregation.Rule = "trimmed-mean"
	_, err = checkAll(l)
	require.NoError(t, err, "coordinates are not chosen by distances")
}

func TestNoiseOfABucketLetsBadVectorsPush(t *testing.T) {
	p, err := checkAll(groupedWithNoise())
	require.NoError(t, err)
	r := p.Robustness()
	require.Equal(t, []int{28, 5, 5}, []int{r.Most, r.F, r.WorstBad})
	require.InEpsilon(t, 0.375753, r.NoiseShift/r.NoiseNorm, 1e-5, "phi(x)/(1-p), x the quantile of p = 5/23")
}

func TestViewOfVectorsIsThatOfBucketsOfOne(t *testing.T) {
	l := sound()
	inVectors(&l)
	p, err := checkAll(l)
	require.NoError(t, err)
	require.Equal(t, secagg.ViewVectors, p.Terms().View)
	require.Equal(t, secagg.Each(), p.Terms().Buckets)
	require.Equal(t, 1, p.Terms().Smallest(), "what a device agrees to")
	require.Equal(t, secagg.ViewVectors, p.Policy().View)
	back, err := secagg.DecodeTerms(p.Terms().Encode())
	require.NoError(t, err)
	require.Equal(t, p.Terms(), back)
	r := p.Robustness()
	require.Equal(t, []int{20, 12, 8, 2, 2}, []int{r.Most, r.Fewest, r.Spare, r.Byzantine, r.WorstBad})
	again, err := checkAll(p.Literal())
	require.NoError(t, err, "a checked plan can be written and checked again")
	require.Equal(t, p.Digest(), again.Digest())

	someNoise(&l)
	p, err = checkAll(l)
	require.NoError(t, err)
	require.InEpsilon(t, 2*math.Sqrt(110), p.Robustness().NoiseNorm, 1e-9)
}

func TestScreeningThatMeansNothingIsRefusedUnderItsKey(t *testing.T) {
	for key, change := range map[string]func(*plan.Screening){
		"screening.recall_drop":          func(s *plan.Screening) { s.RecallDrop = 1.1 },
		"screening.backdoor_rate":        func(s *plan.Screening) { s.BackdoorRate = math.NaN() },
		"screening.rollback":             func(s *plan.Screening) { s.Rollback = 2 },
		"screening.alerts.cosine":        func(s *plan.Screening) { s.Alerts.Cosine = -1.5 },
		"screening.alerts.excluded":      func(s *plan.Screening) { s.Alerts.Excluded = -0.1 },
		"screening.alerts.recall_drop":   func(s *plan.Screening) { s.Alerts.RecallDrop = 2 },
		"screening.alerts.norm_ratio":    func(s *plan.Screening) { s.Alerts.NormRatio = math.Inf(1) },
		"screening.alerts.duplicates":    func(s *plan.Screening) { s.Alerts.Duplicates = -1 },
		"screening.alerts.holdout_sigma": func(s *plan.Screening) { s.Alerts.HoldoutSigma = -3 },
		"screening.alerts.cusum":         func(s *plan.Screening) { s.Alerts.Cusum = math.NaN() },
	} {
		l := sound()
		change(&l.Screening)
		_, err := checkPlan(l)
		require.Equal(t, []string{key}, refusals(t, err))
	}
	l := sound()
	l.Screening = plan.Screening{RecallDrop: 0.1, Rollback: 2, Alerts: plan.Alerts{Cosine: -0.2}}
	p, err := checkPlan(l)
	require.NoError(t, err)
	require.Equal(t, l.Screening, p.Screening())
	l.Screening.Rollback = -1
	_, err = checkPlan(l)
	require.Equal(t, []string{"screening.rollback"}, refusals(t, err))
}

func TestWorkerMomentumReachesTheClients(t *testing.T) {
	for _, bad := range []float64{1, -0.1, math.NaN()} {
		l := sound()
		l.Training.WorkerMomentum = bad
		_, err := checkPlan(l)
		require.Equal(t, []string{"training.worker_momentum"}, refusals(t, err))
	}
	l := sound()
	without, err := checkPlan(l)
	require.NoError(t, err)
	l.Training.WorkerMomentum = 0.9
	p, err := checkPlan(l)
	require.NoError(t, err)
	require.Equal(t, 0.9, p.Terms().Training.WorkerMomentum)
	require.Greater(t, len(p.Terms().Encode()), len(without.Terms().Encode()), "absent as before there was one")
	back, err := secagg.DecodeTerms(p.Terms().Encode())
	require.NoError(t, err)
	require.Equal(t, p.Terms(), back)
}

func TestRuleAndScreeningSurviveTheirFile(t *testing.T) {
	l := sound()
	l.Training.WorkerMomentum = 0.9
	l.Aggregation = plan.Aggregation{Rule: "multi-krum", F: 3, Byzantine: 0.05, Pre: []string{"clip:2", "nnm"}, Compat: "byzfl",
		Parameters: map[string]string{"keep": "5", "neighbours": "original", "tau": "1e-3", "a": "-0.5"}}
	l.Screening = plan.Screening{RecallDrop: 0.1, BackdoorRate: 0.2, Rollback: 3, Alerts: plan.Alerts{Cosine: -0.5, Excluded: 0.3, RecallDrop: 0.1, NormRatio: 3, Duplicates: 2, HoldoutSigma: 4, Cusum: 6}}
	file, err := l.Format()
	require.NoError(t, err)
	back, err := parse(file)
	require.NoError(t, err, file)
	require.Equal(t, l, back, file)
	require.Contains(t, file, "  pre: [\"clip:2\", nnm]\n  parameters:\n    a: -0.5\n    keep: 5\n    neighbours: original\n    tau: \"1e-3\"\n  compat: byzfl\n")

	flow, err := parse("aggregation: {rule: krum, f: 2, pre: [\"clip:2\", nnm], parameters: {neighbours: byzfl, keep: 5, tau: 0.5}}\n")
	require.NoError(t, err)
	require.Equal(t, plan.Aggregation{Rule: "krum", F: 2, Pre: []string{"clip:2", "nnm"}, Parameters: map[string]string{"neighbours": "byzfl", "keep": "5", "tau": "0.5"}}, flow.Aggregation)

	block, err := parse("aggregation:\n  rule: krum\n  f: 2\n  pre:\n  - clip:2\n  - nnm\n  parameters:\n    neighbours: byzfl\n    keep: 5\n    tau: \"0.5\"\n")
	require.NoError(t, err)
	require.Equal(t, flow, block)

	for _, text := range awkward {
		l.Aggregation.Parameters = map[string]string{text: "x", "y": text, "x": "12"}
		l.Aggregation.Pre = []string{text}
		file, err := l.Format()
		require.NoError(t, err)
		back, err := parse(file)
		require.NoError(t, err, "%q in\n%s", text, file)
		require.Equal(t, l, back, "%q in\n%s", text, file)
	}
	for name, text := range map[string]string{
		"list":   "aggregation: {parameters: [a, b]}\n",
		"truth":  "aggregation: {parameters: {a: true}}\n",
		"null":   "aggregation: {parameters: {a: ~}}\n",
		"nested": "aggregation:\n  parameters:\n    a:\n      b: 1\n",
		"twice":  "aggregation:\n  parameters:\n    a: 1\n    a: 2\n",
	} {
		_, err := parse(text)
		require.ErrorIs(t, err, plan.ErrSyntax, name)
	}
	empty, err := parse("aggregation: {parameters: {}}\n")
	require.NoError(t, err)
	require.Zero(t, empty)
}

func TestManualsKeysAreThoseOfPlans(t *testing.T) {
	manual, err := os.ReadFile("../../docs/ROBUSTNESS.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(manual), "```yaml\n")
	require.True(t, ok)
	text, _, _ := strings.Cut(rest, "```")
	l, err := parse(text)
	require.NoError(t, err)
	whole := grouped()
	whole.Aggregation, whole.Training.WorkerMomentum, whole.Screening = l.Aggregation, l.Training.WorkerMomentum, l.Screening
	p, err := checkAll(whole)
	require.NoError(t, err)
	require.Equal(t, []string{"clip:2", "nnm"}, p.RuleSpec().Pre)
	require.Equal(t, 3, p.Screening().Rollback)
}
