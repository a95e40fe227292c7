package preflight

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

// grouped trims the means of 50 buckets of 9.
func grouped() plan.Literal {
	l := divided(oneshot.Name, 450, 0.005, 0, 9, 7, false)
	l.Cohort.Minimum = 441
	l.Aggregation.Rule, l.Aggregation.F, l.Aggregation.Byzantine, l.Aggregation.Denominator = "trimmed-mean", 24, 0.05, "fixed"
	return l
}

// oneLine is what the report prints, as one line of single spaces.
func oneLine(t *testing.T, f *Findings) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, f.WriteText(&b))
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestReportSaysWhatTheRuleIsUpAgainst(t *testing.T) {
	l := grouped()
	f := examine(t, l)
	text := oneLine(t, f)
	for _, says := range []string{
		"rule trimmed-mean with f 24, on view bucket_means",
		"breakdown f < n/2",
		"vectors m 50 of a full cohort, of which 1 may be missing, as short or spoiled; 49 at least",
		"worst case 23 Byzantine of 450 clients can be in 23 of 50 vectors",
		"more than f bad never while at most 23 clients of a cohort are Byzantine",
		"bad by chance a vector with probability 0.38; more than f of them with at most 0.041 in an attempt, where cohorts are drawn from a large population",
		"honest h at least 4 in each opened sum",
		"clipping does not bind a Byzantine client, the range of the encoding does",
		"the result stays within",
		"poisoner attribution unavailable in this mode",
		"a rule that leaves vectors out or trims them loses more than it saves",
		"Byzantine clients that vanish or upload what is no vector can cost it 23, and so stop it",
	} {
		require.Contains(t, text, says)
	}
	require.NotContains(t, text, "it resists nobody")
	var prose bytes.Buffer
	require.NoError(t, f.WriteProse(&prose, check(t, l)))
	require.Contains(t, strings.Join(strings.Fields(prose.String()), " "), "How vectors become one. The rule is trimmed-mean with f 24 (breakdown f < n/2). There are 50 vectors of a full cohort, and never fewer than 49.")
	require.LessOrEqual(t, strings.Count(prose.String(), "\n"), 75)
	r := f.Robustness
	p := check(t, l).Robustness()
	require.Equal(t, []int{50, 49, 1, 23, 23, 24}, []int{r.MostVectors, r.FewestVectors, r.SpareVectors, r.ByzantineClients, r.WorstBad, r.F})
	require.Equal(t, p.BadNorm, r.BadNorm)
	require.Equal(t, p.Influence, *r.Influence)
	require.Nil(t, r.NoiseNorm)
	require.Equal(t, f.Oneshot.Honest, *r.Honest)

	b, err := json.Marshal(Report{Findings: f})
	require.NoError(t, err)
	for _, key := range []string{`"robustness":{"rule":"trimmed-mean"`, `"pre":[]`, `"parameters":{}`, `"worst_bad":23`, `"exceeded_run":0`, `"noise_norm":null`, `"least_honest":4`} {
		require.Contains(t, string(b), key)
	}
}

func TestChanceOfMoreBadBucketsStandsBesideTheWorstCase(t *testing.T) {
	l := divided(plain.Name, 4995, 0.05, 0, 9, 7, false)
	l.Cohort.Minimum = 4995
	l.Encoding.Bits = 16
	l.Aggregation.Rule, l.Aggregation.F, l.Aggregation.Denominator = "median", 230, "fixed"
	f := examine(t, l)
	r := f.Robustness
	require.Equal(t, 250, r.WorstBad)
	require.True(t, r.ExceededExact)
	require.Positive(t, r.Exceeded)
	require.Equal(t, 8*r.Exceeded, r.Round)
	require.Less(t, r.Run, 0.01)
	require.Contains(t, oneLine(t, f), "more than f bad with probability ")
	require.Contains(t, oneLine(t, f), "and nobody steers who is in which bucket")
}

// groupedWithNoise is a plan with a rule over buckets large enough for noise in shares.
func groupedWithNoise(multiplier float64) plan.Literal {
	l := grouped()
	l.Aggregation.Byzantine, l.Aggregation.F = 0, 5
	l.Aggregation.Buckets = plan.Buckets{Size: 16, Minimum: 12}
	l.Cohort.Minimum = 440
	l.Encoding = plan.Encoding{ClipNorm: 1}
	l.Evaluation, l.Stop = plan.Evaluation{}, plan.Stop{}
	l.Privacy = plan.Privacy{Mode: "distributed", Relation: "zero-out", NoiseMultiplier: multiplier, Delta: 1e-5, Epsilon: 1e5}
	return l
}

func TestNoiseNormOfAVectorIsPrintedBesideTheRule(t *testing.T) {
	l := groupedWithNoise(0.5)
	f := examine(t, l)
	require.InEpsilon(t, f.Privacy.Noise.MeanNoise*17/(450./28), *f.Robustness.NoiseNorm, 1e-9, "divided by what the engine divides by")
	require.Equal(t, f.Privacy.Noise.Shares, *f.Robustness.Honest)
	require.Contains(t, oneLine(t, f), "noise norm / C")
}

func TestNoiseThatLetsBadVectorsPushIsWarnedOf(t *testing.T) {
	l := groupedWithNoise(1)
	f := examine(t, l)
	require.Greater(t, *f.Robustness.NoiseShift, harmfulShift)
	require.Equal(t, check(t, l).Robustness().NoiseShift, *f.Robustness.NoiseShift)
	require.Contains(t, oneLine(t, f), "pushed by noise / C")
	warning := fmt.Sprintf("can push each round's result by %.3g times the clip norm", *f.Robustness.NoiseShift)
	require.Contains(t, strings.Join(f.Warnings, "\n"), warning)
	l.Encoding.Scale, l.Privacy.NoiseMultiplier = 0, l.Privacy.NoiseMultiplier*0.2/(*f.Robustness.NoiseShift)
	f = examine(t, l)
	require.Less(t, *f.Robustness.NoiseShift, harmfulShift)
	require.NotContains(t, strings.Join(f.Warnings, "\n"), "can push each round")
}

func TestWhatARuleDoesNotDoIsWarnedOf(t *testing.T) {
	warned := func(change func(*plan.Literal)) string {
		l := grouped()
		change(&l)
		return strings.Join(examine(t, l).Warnings, "\n")
	}
	require.Contains(t, warned(func(l *plan.Literal) { l.Aggregation.Rule, l.Aggregation.F = "mean", 0 }), "aggregation.rule mean: it resists nobody")
	require.Contains(t, warned(func(l *plan.Literal) { l.Aggregation.Denominator = "weights" }), "chooses what its sum is divided by")
	require.Contains(t, warned(func(l *plan.Literal) { l.Evaluation.Clients = true }), "evaluation.clients: what clients measure is added up")
	require.NotContains(t, warned(func(l *plan.Literal) { l.Evaluation.Clients = false }), "is added up")
	require.Contains(t, warned(func(l *plan.Literal) {
		*l = groupedWithNoise(0.5)
		l.Privacy.Clipping = plan.Clipping{Quantile: 0.5, Floor: 0.1, Ceiling: 10}
	}), "privacy.clipping: clip bits are added up")
	require.Contains(t, warned(func(l *plan.Literal) { l.Scheme.Corrupt, l.Aggregation.Byzantine = 0, 0 }), "nothing was held against aggregation.f 24")
	require.Contains(t, warned(func(l *plan.Literal) { l.Scheme.Corrupt, l.Aggregation.Byzantine, l.Aggregation.F = 0, 0, 0 }), "aggregation.f 0: trimmed-mean is set to withstand nobody")
	require.Contains(t, warned(func(l *plan.Literal) { l.Aggregation.Rule = "centered-clipping" }), "as good as its reference")
	require.Contains(t, warned(func(l *plan.Literal) {
		l.Aggregation = plan.Aggregation{Rule: "mean", Denominator: "fixed"}
	}), "aggregation.view sum: poisoner attribution unavailable in this mode")
	for _, info := range robust.Rules() {
		require.Contains(t, []string{"sum", "bucket_means", "vectors"}, info.View, "%s: what a plan compares it with", info.Name)
	}
}

func TestReportOfSingleVectorsSpeaksOfClients(t *testing.T) {
	l := literal(plain.Name, 40, 0.1, 0)
	l.Aggregation = plan.Aggregation{Rule: "multi-krum", F: 4, View: "vectors", Denominator: "fixed"}
	f := examine(t, l)
	text := oneLine(t, f)
	require.Contains(t, text, "opened each client's own vector")
	require.Contains(t, text, "rule multi-krum with f 4, on view vectors")
	require.NotContains(t, text, "buckets of")
	require.NotContains(t, text, "attribution unavailable")
	require.Equal(t, 40, f.Robustness.MostVectors)
	require.Nil(t, f.Robustness.Influence)
	require.Nil(t, f.Robustness.Honest)
	s := f.Encoding
	require.InEpsilon(t, float64(s.Range)*math.Sqrt(float64(f.Parameters))/s.Scale, f.Robustness.BadNorm, 1e-9, "one client alone")
	var prose bytes.Buffer
	require.NoError(t, f.WriteProse(&prose, check(t, l)))
	require.Contains(t, strings.Join(strings.Fields(prose.String()), " "), "each in a vector of its own")
}

func TestWeighedUpdatesAreSaidToWithstandNoLiars(t *testing.T) {
	l := literal(pairwise.Name, 40, 0.1, 0)
	l.Aggregation, l.Rounds.Count = plan.Aggregation{Rule: "rfa", Byzantine: 0.2}, 30
	f := examine(t, l)
	require.Equal(t, 3, *f.Robustness.Passes)
	require.Equal(t, 20., *f.Robustness.WeightRatio)
	require.False(t, f.Robustness.Resists)
	require.Contains(t, f.Robustness.Breakdown, "0 of those that lie about their weight")
	warned := strings.Join(f.Warnings, "\n")
	require.Contains(t, warned, "it withstands poisoned data, not clients that lie about their weight")
	require.Contains(t, warned, "the same update in each of 3 passes")
	require.Contains(t, warned, "up to 20 times as much as of another")
	text := oneLine(t, f)
	require.Contains(t, text, "3 rounds make one step of the model")
	require.Contains(t, text, "by subtracting the sums of two passes")
	require.Contains(t, text, "the model and the centre of each round it is in")
	var prose bytes.Buffer
	require.NoError(t, f.WriteProse(&prose, check(t, l)))
	require.Contains(t, strings.Join(strings.Fields(prose.String()), " "), "A client sees the models and centres it is sent")
	require.Contains(t, strings.Join(strings.Fields(prose.String()), " "), "A client that lies about its weight can set the result, within norm 8")

	down := f.Bytes.Down
	l.Aggregation = plan.Aggregation{}
	mean := examine(t, l)
	require.Nil(t, mean.Robustness.Passes)
	require.Greater(t, down, mean.Bytes.Down+4*int64(f.Parameters), "the centre is fetched too")
	require.NotContains(t, oneLine(t, mean), "two passes")
}
