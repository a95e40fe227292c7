package plan_test

import (
	"errors"
	"math"
	"reflect"
	"strconv"
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
	l := plan.DemonstrationWithoutNoise()
	l.Scheme = plan.Scheme{Name: "pairwise", Corrupt: 0.05, Dropout: 0.30}
	l.Aggregation = plan.Aggregation{Rule: "mean", Denominator: "weights"}
	l.Model.Tensors = []plan.Tensor{{Name: "weights", Shape: []int{10, 10}}, {Name: "bias", Shape: []int{10}}}
	return l
}

func checkPlan(l plan.Literal) (plan.Plan, error) {
	return l.Check(plain.Scheme{}, pairwise.Scheme{}, sealed{}, sumOnly{})
}

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
		"empty cohort":             {func(l *plan.Literal) { l.Cohort.Size, l.Cohort.Minimum = 0, 1 }, "cohort.size"},
		"minimum above size":       {func(l *plan.Literal) { l.Cohort.Minimum = 21 }, "cohort.minimum"},
		"no minimum":               {func(l *plan.Literal) { l.Cohort.Minimum = 0 }, "cohort.minimum"},
		"under-selection":          {func(l *plan.Literal) { l.Cohort.OverSelection = 0.5 }, "cohort.over_selection"},
		"unknown selection":        {func(l *plan.Literal) { l.Cohort.Selection = "best" }, "cohort.selection"},
		"size beyond rosters":      {func(l *plan.Literal) { l.Cohort.Size = secagg.MaxRoster + 1 }, "cohort.size"},
		"invites beyond rosters":   {func(l *plan.Literal) { l.Cohort.Size, l.Cohort.OverSelection = secagg.MaxRoster, 1.1 }, "cohort.over_selection"},
		"over-selection of ten":    {func(l *plan.Literal) { l.Cohort.OverSelection = 10.5 }, "cohort.over_selection"},
		"over-selection of NaN":    {func(l *plan.Literal) { l.Cohort.OverSelection = math.NaN() }, "cohort.over_selection"},
		"corrupt share of NaN":     {func(l *plan.Literal) { l.Scheme.Corrupt = math.NaN() }, "scheme.corrupt"},
		"too many rounds":          {func(l *plan.Literal) { l.Rounds.Count = 1_000_001 }, "rounds.count"},
		"negative attempts":        {func(l *plan.Literal) { l.Rounds.Attempts = -1 }, "rounds.attempts"},
		"no rounds":                {func(l *plan.Literal) { l.Rounds.Count = 0 }, "rounds.count"},
		"too many attempts":        {func(l *plan.Literal) { l.Rounds.Attempts = 9 }, "rounds.attempts"},
		"deadline in the past":     {func(l *plan.Literal) { l.Deadlines.Upload = -time.Second }, "deadlines.upload"},
		"admission of a moment":    {func(l *plan.Literal) { l.Deadlines.Admission = time.Microsecond }, "deadlines.admission"},
		"exchange of a year":       {func(l *plan.Literal) { l.Deadlines.Exchange = 365 * 24 * time.Hour }, "deadlines.exchange"},
		"tensor named twice":       {func(l *plan.Literal) { l.Model.Tensors[1].Name = "weights" }, "model.tensors"},
		"more tensors than terms hold": {func(l *plan.Literal) {
			l.Model.Tensors = make([]plan.Tensor, 1<<16+1)
			for i := range l.Model.Tensors {
				l.Model.Tensors[i].Name = strconv.Itoa(i)
			}
		}, "plan"},
		"no clip norm":             {func(l *plan.Literal) { l.Encoding.ClipNorm = 0 }, "encoding"},
		"sum beyond the ring":      {func(l *plan.Literal) { l.Encoding.Bits, l.Encoding.WordBits = 20, 20 }, "encoding"},
		"unknown rule":             {func(l *plan.Literal) { l.Aggregation.Rule = "crumb" }, "aggregation.rule"},
		"unknown denominator":      {func(l *plan.Literal) { l.Aggregation.Denominator = "examples" }, "aggregation.denominator"},
		"unknown optimiser":        {func(l *plan.Literal) { l.Optimizer.Name = "sgd" }, "optimizer"},
		"setting of another":       {func(l *plan.Literal) { l.Optimizer.Beta1 = 0.5 }, "optimizer"},
		"privacy not stated":       {func(l *plan.Literal) { l.Privacy = plan.Privacy{} }, "privacy.mode"},
		"unknown privacy":          {func(l *plan.Literal) { l.Privacy.Mode = "secret" }, "privacy.mode"},
		"exact sums without trust": {func(l *plan.Literal) { l.Privacy.TrustCoordinator = false }, "privacy"},
		"stop by unmeasured":       {func(l *plan.Literal) { l.Evaluation.Clients, l.Stop.Accuracy = false, 0.9 }, "stop"},
		"accuracy above one":       {func(l *plan.Literal) { l.Stop.Accuracy = 90 }, "stop.accuracy"},
		"momentum of one":          {func(l *plan.Literal) { l.Training.Momentum = 1 }, "training.momentum"},
		"negative epochs":          {func(l *plan.Literal) { l.Training.Epochs = -1 }, "training.epochs"},
		"negative batch":           {func(l *plan.Literal) { l.Training.BatchSize = -1 }, "training.batch_size"},
		"weight cap beyond 31 bit": {func(l *plan.Literal) { l.Training.WeightCap = math.MaxInt32 + 1 }, "training.weight_cap"},
		"infinite prox":            {func(l *plan.Literal) { l.Training.Prox = math.Inf(1) }, "training.prox"},
		"learning rate of NaN":     {func(l *plan.Literal) { l.Training.LearningRate = math.NaN() }, "training.learning_rate"},
		"negative patience":        {func(l *plan.Literal) { l.Stop.Patience = -1 }, "stop.patience"},
		"accuracy of NaN":          {func(l *plan.Literal) { l.Stop.Accuracy = math.NaN() }, "stop.accuracy"},
		"patience unmeasured":      {func(l *plan.Literal) { l.Evaluation.Clients, l.Stop.Patience = false, 1 }, "stop"},
		"negative learning rate":   {func(l *plan.Literal) { l.Training.LearningRate = -1 }, "training.learning_rate"},
	} {
		t.Run(name, func(t *testing.T) {
			l := sound()
			c.change(&l)
			_, err := checkPlan(l)
			require.Error(t, err)
			require.Equal(t, []string{c.key}, refusals(t, err), "one line for one contradiction")
		})
	}
}

func TestSeveralContradictionsAreAllNamed(t *testing.T) {
	l := sound()
	l.Job, l.Cohort.Minimum, l.Privacy.Mode = "", 0, ""
	l.Scheme.Corrupt, l.Scheme.Dropout, l.Training.Momentum, l.Encoding.Bits, l.Optimizer.Tau = 2, 2, 2, 99, 1
	_, err := checkPlan(l)
	require.ElementsMatch(t, refusals(t, err), []string{"job", "cohort.minimum", "privacy.mode", "scheme.corrupt", "scheme.dropout",
		"training.momentum", "encoding", "optimizer"})
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

// digestless are the leaves of a plan without a trace in its digest, and why.
var digestless = map[string]string{
	"Model.Initial":        "where the first model is read from; the digest of each model is in each context",
	"Schema":               "this version knows one",
	"Scheme.CommitteeFile": "where the committee is read from; the committee itself is in the terms",
}

// other gives a leaf another value that keeps the plan sound.
func other(name string, v reflect.Value) {
	if s, ok := map[string]string{"Scheme.Name": "plain", "Cohort.Selection": "check-in", "Aggregation.Denominator": "fixed",
		"Optimizer.Name": "fedadam", "Privacy.Mode": "local", "Privacy.Mechanism": "skellam", "Privacy.Relation": "replace-one", "Aggregation.View": "sum", "Aggregation.Fallback": "bucket_means",
		"Aggregation.Rule": "trimmed-mean", "Aggregation.Compat": "byzfl"}[name]; ok {
		v.SetString(s)
		return
	}
	if x, ok := map[string]int64{"Cohort.Size": 28, "Encoding.Range": 1000, "Encoding.WordBits": 32, "Encoding.Bits": 17, "Cohort.CloseAt": 19, "Privacy.Buffers": 4, "Privacy.Bands": 2}[name]; ok {
		v.SetInt(x)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
		if v.Type() == reflect.TypeFor[time.Duration]() {
			v.SetInt(v.Int() + int64(time.Second))
		}
	case reflect.Float64:
		v.SetFloat(v.Float()*0.75 + 0.01)
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]plan.Member]() {
			v.Set(reflect.ValueOf(committee("panel", 8).Members))
			break
		}
		if v.Type() == reflect.TypeFor[[]string]() {
			v.Set(reflect.ValueOf([]string{"clip:2"}))
			break
		}
		v.Set(reflect.ValueOf([]plan.Tensor{{Name: "weights", Shape: []int{10, 11}}}))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"tau": "3"}))
	default:
		panic(name)
	}
}

// TestEveryFieldThatMattersChangesThePlansDigest would notice a key that somebody
// adds and forgets to digest: a run could go on under another plan unseen.
func TestEveryFieldThatMattersChangesThePlansDigest(t *testing.T) {
	fields := map[string]func(*plan.Literal){ // what makes the plan sound with the leaf's other value
		"Optimizer.Name":         func(l *plan.Literal) { l.Optimizer.Momentum = 0 },
		"Optimizer.LearningRate": nil, "Optimizer.Momentum": func(l *plan.Literal) { l.Optimizer.Name = "fedavgm" },
		"Optimizer.Beta1": func(l *plan.Literal) { l.Optimizer.Name = "fedadam" }, "Optimizer.Beta2": func(l *plan.Literal) { l.Optimizer.Name = "fedadam" },
		"Optimizer.Tau":      func(l *plan.Literal) { l.Optimizer.Name = "fedadam" },
		"Evaluation.Clients": func(l *plan.Literal) { l.Stop = plan.Stop{} }, "Cohort.OverSelection": func(l *plan.Literal) { l.Cohort.Minimum = 1 },
		"Encoding.Scale": func(l *plan.Literal) { l.Encoding.Range = 1000; l.Encoding.Scale = 100 },
		"Cohort.CloseAt": func(l *plan.Literal) { l.Scheme.Name = "plain" }, "Aggregation.View": inBuckets,
		"Aggregation.Fallback": withCommittee, "Aggregation.Buckets.Size": inBuckets, "Aggregation.Buckets.Minimum": inBuckets,
		"Cohort.Population": withCoins, "Cohort.Participations": withNoise, "Cohort.Separation": withNoise,
		"Privacy.Mode": withNoise, "Privacy.TrustCoordinator": func(l *plan.Literal) { withNoise(l); l.Privacy.EpsilonCoordinator = 0 }, "Privacy.Population": withNoise, "Privacy.Mechanism": withNoise,
		"Privacy.Relation": withNoise, "Privacy.NoiseMultiplier": withNoise, "Privacy.Delta": withNoise, "Privacy.Epsilon": withNoise,
		"Privacy.EpsilonCoordinator": withNoise, "Privacy.Clipping.Quantile": withAdaptiveClip, "Privacy.Clipping.Rate": withAdaptiveClip,
		"Privacy.Clipping.Floor": withAdaptiveClip, "Privacy.Clipping.Ceiling": withAdaptiveClip, "Privacy.Clipping.BitNoise": withAdaptiveClip,
		"Privacy.Bands": withMechanism("bandmf"), "Privacy.Buffers": withMechanism("blt"),
		"Aggregation.Rule": withRule, "Aggregation.F": withRule, "Aggregation.Pre": withRule, "Aggregation.Compat": withRule, "Aggregation.Byzantine": noCorrupt,
		"Aggregation.Parameters": func(l *plan.Literal) { withRule(l); l.Aggregation.Rule = "centered-clipping" },
		"Screening.Rollback":     func(l *plan.Literal) { l.Screening.RecallDrop = 0.2 },
		"Scheme.Committee.Name":  withCommittee, "Scheme.Committee.Corrupt": withCommittee, "Scheme.Committee.Members": withCommittee,
	}
	also := map[string]func(*plan.Literal){ // what the leaf's other value needs beside it
		"Cohort.OverSelection":  func(l *plan.Literal) { l.Cohort.OverSelection = 1.2 },
		"Aggregation.View":      func(l *plan.Literal) { l.Aggregation.Fallback = "bucket_means" },
		"Aggregation.Fallback":  func(l *plan.Literal) { l.Aggregation.Buckets = plan.Buckets{Size: 5, Minimum: 3} },
		"Scheme.Committee.Name": func(l *plan.Literal) { l.Scheme.Committee.Members = committee("panelx", 7).Members },
	}
	sawAll := map[string]bool{}
	var walk func(path string, v reflect.Value, l *plan.Literal)
	walk = func(path string, v reflect.Value, l *plan.Literal) {
		for i := range v.NumField() {
			name, f := strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), v.Field(i)
			if f.Kind() == reflect.Struct {
				walk(name, f, l)
				continue
			}
			sawAll[name] = true
			start := *l
			if fields[name] != nil {
				fields[name](l)
			}
			before, err := checkPlan(*l)
			require.NoError(t, err, name)
			other(name, f)
			if also[name] != nil {
				also[name](l)
			}
			after, err := checkPlan(*l)
			if digestless[name] == "" {
				require.NoError(t, err, name)
				require.NotEqual(t, before.Digest(), after.Digest(), name)
			} else if err == nil {
				require.Equal(t, before.Digest(), after.Digest(), name)
			}
			*l = start
		}
	}
	base := sound()
	base.Stop = plan.Stop{Accuracy: 0.9, Patience: 3}
	base.Evaluation.Clients = true
	walk("", reflect.ValueOf(&base).Elem(), &base)
	require.Greater(t, len(sawAll), 70)
	for name := range digestless {
		require.Contains(t, sawAll, name)
	}
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

func TestPlanSaysWhatWasWritten(t *testing.T) {
	l := sound()
	l.Cohort = plan.Cohort{Size: 30, Minimum: 12, OverSelection: 1.21, Selection: "check-in"}
	l.Scheme.Name = "plain"
	l.Devices, l.Stop = plan.Devices{Charging: true}, plan.Stop{Patience: 4}
	l.Deadlines.Exchange = 0
	p, err := checkPlan(l)
	require.NoError(t, err)
	require.Equal(t, "demonstration", p.Job())
	require.Equal(t, l.Rounds.Count, p.Rounds())
	require.Equal(t, l.Rounds.Attempts, p.Attempts())
	require.Equal(t, []int{30, 37, 12}, []int{p.CohortSize(), p.Invited(), p.Minimum()}, "36.3 clients are 37")
	require.Equal(t, 30, p.CloseAt(), "over-selection waits for no more than the cohort")
	require.Equal(t, plan.SelectCheckIn, p.Selection())
	require.Equal(t, l.Devices, p.Devices())
	require.Equal(t, l.Stop, p.Stop())
	require.Equal(t, plan.Deadlines{Admission: time.Minute, Exchange: time.Minute, Upload: 30 * time.Minute}, p.Deadlines())
	require.Equal(t, "plain", p.Scheme().Name())
	require.Equal(t, "fedavg", p.Optimizer().Name)
	require.Equal(t, 1.0, p.Literal().Optimizer.LearningRate, "defaults are filled in")
	require.Equal(t, 37, p.Terms().Encoding.Clients)
	require.Equal(t, p.Quantizer().Spec(), p.Terms().Encoding)

	l.Cohort.OverSelection = 1
	p, err = checkPlan(l)
	require.NoError(t, err)
	require.Zero(t, p.CloseAt(), "nobody is left behind before the deadline")
	l.Cohort.CloseAt = 20
	p, err = checkPlan(l)
	require.NoError(t, err)
	require.Equal(t, 20, p.CloseAt())
	l.Cohort.OverSelection = 1.5
	p, err = checkPlan(l)
	require.NoError(t, err)
	require.Equal(t, 20, p.CloseAt(), "what is written counts")
}
