package plan_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

func sound() plan.Literal {
	l := plan.Demonstration()
	l.Model.Tensors = []plan.Tensor{{Name: "weights", Shape: []int{10, 10}}, {Name: "bias", Shape: []int{10}}}
	return l
}

func checkPlan(l plan.Literal) (plan.Plan, error) { return l.Check(plain.Scheme{}, pairwise.Scheme{}) }

// refusals lists the places of all errors joined in err.
func refusals(t *testing.T, err error) []string {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok, "%v", err)
	var out []string
	for _, e := range joined.Unwrap() {
		var f *fault.Error
		require.ErrorAs(t, e, &f)
		require.ErrorIs(t, e, plan.ErrContradiction)
		require.Equal(t, fault.Refused, fault.ClassOf(e))
		require.NotContains(t, e.Error(), "\n")
		out = append(out, f.Where)
	}
	return out
}

func TestEachContradictionIsRefusedUnderItsKey(t *testing.T) {
	_, err := checkPlan(sound())
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(*plan.Literal)
		key    string
	}{
		"another schema":           {func(l *plan.Literal) { l.Schema = "choir.plan/2" }, "schema"},
		"job without a name":       {func(l *plan.Literal) { l.Job = "" }, "job"},
		"job with a path in it":    {func(l *plan.Literal) { l.Job = "../x" }, "job"},
		"no tensors":               {func(l *plan.Literal) { l.Model.Tensors = nil }, "model.tensors"},
		"tensor without size":      {func(l *plan.Literal) { l.Model.Tensors[0].Shape = []int{0} }, "model.tensors"},
		"unknown scheme":           {func(l *plan.Literal) { l.Scheme.Name = "rot13" }, "scheme.name"},
		"corrupt share of all":     {func(l *plan.Literal) { l.Scheme.Corrupt = 1 }, "scheme.corrupt"},
		"negative drop-out":        {func(l *plan.Literal) { l.Scheme.Dropout = -0.1 }, "scheme.dropout"},
		"infeasible shares":        {func(l *plan.Literal) { l.Scheme.Corrupt, l.Scheme.Dropout = 0.4, 0.4 }, "scheme"},
		"cohort below 16":          {func(l *plan.Literal) { l.Cohort.Size, l.Cohort.Minimum = 10, 8 }, "scheme"},
		"early close below quorum": {func(l *plan.Literal) { l.Cohort.OverSelection = 2 }, "scheme"},
		"empty cohort":             {func(l *plan.Literal) { l.Cohort.Size = 0 }, "cohort.size"},
		"minimum above size":       {func(l *plan.Literal) { l.Cohort.Minimum = 21 }, "cohort.minimum"},
		"no minimum":               {func(l *plan.Literal) { l.Cohort.Minimum = 0 }, "cohort.minimum"},
		"under-selection":          {func(l *plan.Literal) { l.Cohort.OverSelection = 0.5 }, "cohort.over_selection"},
		"unknown selection":        {func(l *plan.Literal) { l.Cohort.Selection = "best" }, "cohort.selection"},
		"no rounds":                {func(l *plan.Literal) { l.Rounds.Count = 0 }, "rounds.count"},
		"too many attempts":        {func(l *plan.Literal) { l.Rounds.Attempts = 9 }, "rounds.attempts"},
		"deadline in the past":     {func(l *plan.Literal) { l.Deadlines.Upload = -time.Second }, "deadlines.upload"},
		"no clip norm":             {func(l *plan.Literal) { l.Encoding.ClipNorm = 0 }, "encoding"},
		"sum beyond the ring":      {func(l *plan.Literal) { l.Encoding.Bits, l.Encoding.WordBits = 20, 20 }, "encoding"},
		"unknown rule":             {func(l *plan.Literal) { l.Aggregation.Rule = "krum" }, "aggregation.rule"},
		"unknown denominator":      {func(l *plan.Literal) { l.Aggregation.Denominator = "examples" }, "plan"},
		"unknown optimiser":        {func(l *plan.Literal) { l.Optimizer.Name = "sgd" }, "optimizer"},
		"setting of another":       {func(l *plan.Literal) { l.Optimizer.Beta1 = 0.5 }, "optimizer"},
		"privacy not stated":       {func(l *plan.Literal) { l.Privacy = plan.Privacy{} }, "privacy.mode"},
		"unknown privacy":          {func(l *plan.Literal) { l.Privacy.Mode = "distributed" }, "privacy.mode"},
		"exact sums without trust": {func(l *plan.Literal) { l.Privacy.TrustCoordinator = false }, "privacy"},
		"stop by unmeasured":       {func(l *plan.Literal) { l.Evaluation.Clients, l.Stop.Accuracy = false, 0.9 }, "stop"},
		"accuracy above one":       {func(l *plan.Literal) { l.Stop.Accuracy = 90 }, "stop.accuracy"},
		"momentum of one":          {func(l *plan.Literal) { l.Training.Momentum = 1 }, "plan"},
		"negative learning rate":   {func(l *plan.Literal) { l.Training.LearningRate = -1 }, "plan"},
	} {
		t.Run(name, func(t *testing.T) {
			l := sound()
			c.change(&l)
			_, err := checkPlan(l)
			require.Error(t, err)
			require.Contains(t, refusals(t, err), c.key)
		})
	}
}

func TestSeveralContradictionsAreAllNamed(t *testing.T) {
	l := sound()
	l.Job, l.Cohort.Minimum, l.Privacy.Mode = "", 0, ""
	_, err := checkPlan(l)
	require.Subset(t, refusals(t, err), []string{"job", "cohort.minimum", "privacy.mode"})
}

func TestDefaultsThatAreWrittenOutGiveTheSamePlan(t *testing.T) {
	short := sound()
	short.Rounds.Attempts, short.Cohort.OverSelection, short.Cohort.Selection = 0, 0, ""
	short.Aggregation, short.Optimizer, short.Deadlines = plan.Aggregation{}, plan.Optimizer{}, plan.Deadlines{}
	long := sound()
	long.Cohort.OverSelection, long.Cohort.Selection = 1, "uniform"
	long.Optimizer.LearningRate = 1
	a, err := checkPlan(short)
	require.NoError(t, err)
	b, err := checkPlan(long)
	require.NoError(t, err)
	require.Equal(t, a.Digest(), b.Digest())
}

// digestless are the fields of a plan that say where something is, not what it is.
var digestless = []string{"Model.Initial"}

func TestEveryFieldThatMattersChangesThePlansDigest(t *testing.T) {
	base := sound()
	base.Optimizer.Name, base.Optimizer.LearningRate, base.Optimizer.Momentum = "fedavgm", 1, 0.5
	base.Stop = plan.Stop{Accuracy: 0.9, Patience: 3}
	base.Scheme.CrossSilo = true
	want, err := checkPlan(base)
	require.NoError(t, err)
	changed := 0
	var walk func(path string, v reflect.Value, again func() plan.Literal)
	walk = func(path string, v reflect.Value, again func() plan.Literal) {
		for i := range v.NumField() {
			name := strings.TrimPrefix(path+"."+v.Type().Field(i).Name, ".")
			f := v.Field(i)
			old := reflect.New(f.Type()).Elem()
			old.Set(f)
			switch f.Kind() {
			case reflect.Struct:
				walk(name, f, again)
				continue
			case reflect.Bool:
				f.SetBool(!f.Bool())
			case reflect.Int, reflect.Int64:
				f.SetInt(f.Int() + 1)
			case reflect.Float64:
				f.SetFloat(f.Float()*0.75 + 0.01)
			case reflect.String:
				f.SetString(map[string]string{"Schema": "choir.plan/1", "Scheme.Name": "plain", "Cohort.Selection": "check-in",
					"Aggregation.Rule": "mean", "Aggregation.Denominator": "fixed", "Optimizer.Name": "fedavgm", "Privacy.Mode": "none"}[name])
				if f.String() == "" {
					f.SetString("other")
				}
			case reflect.Slice:
				f.Set(reflect.ValueOf([]plan.Tensor{{Name: "other", Shape: []int{7}}}))
			}
			got, err := checkPlan(again())
			same := reflect.DeepEqual(old.Interface(), f.Interface())
			if err == nil && !same && !contains(digestless, name) {
				require.NotEqual(t, want.Digest(), got.Digest(), name)
				changed++
			}
			f.Set(old)
		}
	}
	walk("", reflect.ValueOf(&base).Elem(), func() plan.Literal { return base })
	require.Greater(t, changed, 25, "most single changes must give a sound plan for this test to mean anything")
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func TestPlanSurvivesItsFile(t *testing.T) {
	l := sound()
	text, err := l.Format()
	require.NoError(t, err)
	back, err := plan.Parse("plan.yaml", strings.NewReader(text))
	require.NoError(t, err)
	a, err := checkPlan(l)
	require.NoError(t, err)
	b, err := checkPlan(back)
	require.NoError(t, err)
	require.Equal(t, a.Digest(), b.Digest())
	require.Equal(t, a.Terms(), b.Terms())
}

func TestUnknownKeyIsRefusedWithItsLine(t *testing.T) {
	_, err := plan.Parse("plan.yaml", strings.NewReader("schema: choir.plan/1\njob: x\ncohort:\n  size: 20\n  minimun: 3\n"))
	require.ErrorIs(t, err, plan.ErrSyntax)
	require.Equal(t, fault.Usage, fault.ClassOf(err))
	require.ErrorContains(t, err, "5")
	require.ErrorContains(t, err, "minimun")
	require.NotContains(t, err.Error(), "\n")
}

func TestTermsOfAPlanAreThoseThatTheClientsDecode(t *testing.T) {
	p, err := checkPlan(sound())
	require.NoError(t, err)
	back, err := secagg.DecodeTerms(p.Terms().Encode())
	require.NoError(t, err)
	require.Equal(t, p.Digest(), back.PlanDigest(p.Rest()))
	require.False(t, errors.Is(err, plan.ErrContradiction))
}

func FuzzParse(f *testing.F) {
	l := sound()
	text, _ := l.Format()
	f.Add(text)
	f.Add("job: [1, 2")
	f.Add("schema: choir.plan/1\nrounds: {count: 1e999}\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := plan.Parse("plan.yaml", strings.NewReader(text))
		if err != nil {
			require.ErrorIs(t, err, plan.ErrSyntax)
			return
		}
		_, _ = checkPlan(l) // refused or not, never a panic
	})
}
