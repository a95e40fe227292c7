package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/secagg"
)

// weighing is a plan whose clients weigh their updates.
func weighing() plan.Literal {
	l := sound()
	l.Rounds.Count, l.Scheme.Corrupt = 21, 0.05
	l.Aggregation = plan.Aggregation{Rule: "rfa"}
	return l
}

func TestWeighedUpdatesReachTheClients(t *testing.T) {
	l := weighing()
	p, err := checkPlan(l)
	require.NoError(t, err)
	require.Equal(t, secagg.Weiszfeld{Smoothing: 0.1, Passes: 3}, p.Terms().Weiszfeld)
	require.Equal(t, 3, p.Passes())
	require.Equal(t, "rfa", p.Rule().Name())
	require.Equal(t, p.Terms().Encoding.ClipNorm, p.LongestMean(), "whatever the least weight")
	r := p.Robustness()
	require.False(t, r.Resists)
	require.Zero(t, r.F)
	require.Equal(t, []float64{p.LongestMean(), p.LongestMean()}, []float64{r.BadNorm, r.Influence}, "one that lies can set the result")

	l.Aggregation.Parameters, l.Rounds.Count, l.Aggregation.Byzantine = map[string]string{"nu": "0.5", "passes": "7"}, 21, 0.4
	p, err = checkPlan(l)
	require.NoError(t, err)
	require.Equal(t, secagg.Weiszfeld{Smoothing: 0.5, Passes: 7}, p.Terms().Weiszfeld)
	p, err = checkPlan(sound())
	require.NoError(t, err)
	require.Equal(t, 1, p.Passes())
}

func TestWhatDoesNotGoWithWeighedUpdatesIsRefusedUnderItsKey(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*plan.Literal)
		key    string
		says   string
	}{
		"f":                    {func(l *plan.Literal) { l.Aggregation.F = 1 }, "aggregation.rule", "f 1"},
		"pre-aggregators":      {func(l *plan.Literal) { l.Aggregation.Pre = []string{"nnm"} }, "aggregation.rule", "1 pre-aggregators"},
		"conventions":          {func(l *plan.Literal) { l.Aggregation.Compat = "byzfl" }, "aggregation.rule", "byzfl"},
		"no smoothing":         {func(l *plan.Literal) { l.Aggregation.Parameters = map[string]string{"nu": "0"} }, "aggregation.rule", "nu of rfa"},
		"too little smoothing": {func(l *plan.Literal) { l.Aggregation.Parameters = map[string]string{"nu": "0.009"} }, "aggregation.rule", "nu of rfa"},
		"too many passes":      {func(l *plan.Literal) { l.Aggregation.Parameters = map[string]string{"passes": "17"} }, "aggregation.rule", "passes of rfa"},
		"another's parameter":  {func(l *plan.Literal) { l.Aggregation.Parameters = map[string]string{"tau": "1"} }, "aggregation.rule", `"tau"`},
		"buckets": {func(l *plan.Literal) {
			l.Aggregation.View, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 16, Minimum: 16}
		}, "aggregation.view", "from sum to sum"},
		"vectors": {func(l *plan.Literal) { l.Scheme = plan.Scheme{Name: "plain"}; l.Aggregation.View = "vectors" }, "aggregation.view", "geometric-median"},
		"fallback": {func(l *plan.Literal) {
			l.Aggregation.Fallback, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 10, Minimum: 10}
		}, "aggregation.fallback", "no buckets"},
		"fixed denominator": {func(l *plan.Literal) { l.Aggregation.Denominator = "fixed" }, "aggregation.denominator", "say weights"},
		"worker momentum":   {func(l *plan.Literal) { l.Training.WorkerMomentum = 0.9 }, "training.worker_momentum", "the same update in each pass"},
		"half a step":       {func(l *plan.Literal) { l.Rounds.Count = 20 }, "rounds.count", "no multiple of the 3 passes"},
		"half Byzantine":    {func(l *plan.Literal) { l.Aggregation.Byzantine = 0.5 }, "aggregation.byzantine", "less than half the weight"},
	} {
		t.Run(name, func(t *testing.T) {
			l := weighing()
			c.change(&l)
			_, err := checkPlan(l)
			require.Error(t, err)
			require.Contains(t, refusals(t, err), c.key)
			require.ErrorContains(t, err, c.says)
		})
	}
	l := weighing()
	l.Privacy = plan.Privacy{Mode: "distributed", Relation: "zero-out", NoiseMultiplier: 1, Delta: 1e-5, Epsilon: 1e6}
	_, err := checkPlan(l)
	require.Error(t, err)
	require.Contains(t, refusals(t, err), "privacy.mode")
	require.ErrorContains(t, err, "noise covers neither")
	_, err = weighing().Check()
	require.NotErrorIs(t, err, robust.ErrByClients, "a plan may name it")
}
