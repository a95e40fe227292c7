package plan_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg/plain"
)

func parse(text string) (plan.Literal, error) {
	return plan.Parse("plan.yaml", strings.NewReader(text))
}

func TestFileThatIsNoPlanIsRefusedWithLineAndKey(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"empty":                       {"", "plan.yaml:1: plan cannot be read (there is nothing in it)"},
		"a comment alone":             {"# plan\n", "plan.yaml:1:"},
		"a word":                      {"plan", "plan.yaml:1:"},
		"a list":                      {"- job: x\n", "plan.yaml:1:"},
		"unknown key":                 {"job: x\nrunds: 3\n", `plan.yaml:2: plan cannot be read (key "runds" is unknown)`},
		"unknown key within":          {"job: x\ncohort:\n  size: 3\n  minimun: 3\n", `plan.yaml:4: plan cannot be read (key "cohort.minimun" is unknown)`},
		"key in capitals":             {"Job: x\n", `key "Job" is unknown`},
		"key twice":                   {"job: x\nschema: y\njob: z\n", "plan.yaml:3:"},
		"second document":             {"job: x\n---\njob: y\n", "plan.yaml:2: plan cannot be read (a second document begins)"},
		"end of document":             {"job: x\n...\njob: y\n", "plan.yaml:2:"},
		"fraction for an integer":     {"job: x\ncohort:\n  size: 1.5\n", `plan.yaml:3: plan cannot be read (cohort.size: "1.5" is not an integer`},
		"power for an integer":        {"cohort: {size: 1e3}\n", `cohort.size: "1e3" is not an integer`},
		"text for an integer":         {"cohort: {size: \"5\"}\n", `cohort.size: "5" is not an integer`},
		"octal, of the old kind":      {"cohort: {size: 012}\n", `cohort.size: "012" is not an integer`},
		"octal, of the new kind":      {"cohort: {size: 0o12}\n", "cohort.size"},
		"hexadecimal":                 {"encoding: {clip_norm: 0x10}\n", "encoding.clip_norm"},
		"underscores":                 {"encoding: {clip_norm: 1_000}\n", "encoding.clip_norm"},
		"integer beyond 64 bits":      {"cohort: {size: 99999999999999999999}\n", "cohort.size"},
		"not a number":                {"stop: {accuracy: .nan}\n", "stop.accuracy"},
		"infinity":                    {"stop: {accuracy: -.inf}\n", "stop.accuracy"},
		"number beyond 64 bits":       {"stop: {accuracy: 1e999}\n", "stop.accuracy"},
		"number for text":             {"job: 123\n", `job: "123" is not text: put it in quotes`},
		"truth for text":              {"job: true\n", `job: "true" is not text`},
		"yes for true":                {"privacy: {trust_coordinator: yes}\n", `privacy.trust_coordinator: "yes" is not true or false`},
		"text for true":               {"privacy: {trust_coordinator: 'true'}\n", "privacy.trust_coordinator"},
		"number for true":             {"privacy: {trust_coordinator: 1}\n", "privacy.trust_coordinator"},
		"duration without a unit":     {"deadlines:\n  admission: 30\n", `plan.yaml:2: plan cannot be read (deadlines.admission: "30" is not a duration such as 30s)`},
		"duration of an unknown unit": {"deadlines: {upload: 3 weeks}\n", "deadlines.upload"},
		"key without a value":         {"job: x\nmodel:\n", "plan.yaml:2: plan cannot be read (model has no value)"},
		"null":                        {"job: ~\n", "job has no value"},
		"value where keys belong":     {"job: x\nmodel: mlp\n", "plan.yaml:2:"},
		"keys where a value belongs":  {"job:\n  name: x\n", "job: a single value is expected"},
		"list where a value belongs":  {"job: [x]\n", "job: a single value is expected"},
		"value where a list belongs":  {"model:\n  tensors: x\n", "model.tensors is not a list"},
		"wrong item of a list":        {"model:\n  tensors:\n  - name: a\n    shape: [1, x]\n", "plan.yaml:4: plan cannot be read (model.tensors[0].shape[1]:"},
		"tab for indentation":         {"model:\n\tarchitecture: x\n", "plan.yaml:2:"},
		"bracket left open":           {"model:\n  tensors: [\n", "plan.yaml:2:"},
		"quote left open":             {"job: \"x\n", "plan.yaml:1:"},
		"anchor and alias":            {"job: &x a\nschema: *x\n", "not used here"},
		"tag":                         {"job: !!str x\n", "not used here"},
		"merge":                       {"<<: {job: x}\n", "not used here"},
		"explicit key":                {"? job\n: x\n", "not used here"},
		"directive":                   {"%YAML 1.2\n---\njob: x\n", "not used here"},
		"not UTF-8":                   {"job: \xff\n", "not UTF-8"},
		"longer than a plan":          {"#" + strings.Repeat(" ", 1<<20), "longer than"},
		"nested in lists":             {strings.Repeat("- ", 100_000), "nested too deeply"},
		"nested in brackets":          {strings.Repeat("[", 200_000), "nested too deeply"},
		"nested in braces":            {strings.Repeat("{a: ", 60_000), "nested too deeply"},
		"nested in both":              {"a: " + strings.Repeat("[a: ", 60_000), "nested too deeply"},
		"lists in brackets":           {"[" + strings.Repeat("-\n, ", 100_000), "a dash stands within brackets"},
		"keys without end":            {numbered("k%d: 1\n", 300), "plan.yaml:257: plan cannot be read (too many keys)"},
		"keys in braces without end":  {"{" + numbered("k%d, ", 300), "too many keys"},
		"keys after short values":     {numbered("k%d:\n  a: []\n", 300), "too many keys"},
		"entries without a value":     {"job:\n" + strings.Repeat("-\n", 300_000), "plan.yaml:3: plan cannot be read (an entry before it has no value)"},
		"values side by side":         {strings.Repeat("'a' ", 200_000), "a value follows another"},
		"tabs without end":            {strings.Repeat("\"\t", 300_000), "more than 256 tabs"},
		"nested by indentation":       {nestedKeys(300), "indented too far"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := parse(c.text)
			require.ErrorIs(t, err, plan.ErrSyntax)
			require.Equal(t, fault.Usage, fault.ClassOf(err))
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "\n")
			require.Zero(t, l)
		})
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func nestedKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i))
	}
	return b.String()
}

func TestPlanMayBeWrittenInSeveralWays(t *testing.T) {
	want := plan.Literal{Job: "a.b", Model: plan.Model{Tensors: []plan.Tensor{{Name: "w", Shape: []int{2, 3}}, {Name: "b"}}},
		Cohort: plan.Cohort{Size: 5, OverSelection: 1.5}, Deadlines: plan.Deadlines{Admission: 90 * time.Second}, Devices: plan.Devices{Idle: true}}
	want.Model.Tensors[1].Shape = []int{}
	for name, text := range map[string]string{
		"block": "job: a.b\nmodel:\n  tensors:\n  - name: w\n    shape:\n    - 2\n    - 3\n  - name: b\n    shape: []\ncohort:\n  size: 5\n  over_selection: 1.5\n" +
			"deadlines:\n  admission: 1m30s\ndevices:\n  idle: true\n",
		"flow": "{job: a.b, model: {tensors: [{name: w, shape: [2, 3]}, {name: b, shape: []}]}, cohort: {size: 5, over_selection: 1.5}, " +
			"deadlines: {admission: 90s}, devices: {idle: true}}",
		"with comments, quotes and a header": "# a plan\n---\n# really\njob: 'a.b' # its name\nmodel: # what\n  # is\n  tensors:\n  - {name: \"w\", shape: [2, 3]}\n" +
			"  # learned\n  - {shape: [], name: b}\ncohort: {size: 5, over_selection: 15e-1}\ndeadlines: {admission: \"1.5m\"}\ndevices: {idle: true, charging: false}\n",
		"carriage returns": "job: a.b\r\nmodel: {tensors: [{name: w, shape: [2, 3]}, {name: b, shape: []}]}\r\ncohort: {size: 5, over_selection: 1.5}\r\n" +
			"deadlines: {admission: 90s}\r\ndevices: {idle: true}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(text)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
	l, err := parse("{}")
	require.NoError(t, err, "an empty plan can be read; Check says what is missing")
	require.Zero(t, l)
}

// awkward are texts that mean something else in YAML when they stand bare.
var awkward = []string{"a", "true", "no", "null", "~", "123", "1.5", "0x1F", "1e3", ".inf", "1_000", "012", "2001-01-01", "1:30", "- a", "a: b",
	"a #b", "#a", "'", "\"", "it's", "\"a\"", "{a}", "[a]", "&a", "*a", "!a", "%a", "@a", "`a", "? a", "|", ">", " a", "a ", "a\nb", "a\n", "\na", "a\tb", "\t",
	"\\n", "ä", "\u00a0", "\u2028", "日本", "😀", "\x7f", "a,b", "=", "<<", "---", "...", "a\\", "a\r\nb", "\x01", "\u0085", "\ufeff"}

func TestPlanSurvivesItsFileWhateverItsTextsAre(t *testing.T) {
	for _, text := range awkward {
		l := sound()
		l.Model.Architecture, l.Model.Initial = text, text
		l.Model.Tensors[0].Name = text
		file, err := l.Format()
		require.NoError(t, err)
		back, err := parse(file)
		require.NoError(t, err, "%q in\n%s", text, file)
		require.Equal(t, l, back, "%q in\n%s", text, file)
	}
}

func TestPlanSurvivesItsFileWhateverItsNumbersAre(t *testing.T) {
	coins := rand.New(rand.NewPCG(1, 1))
	float := func() float64 {
		return []float64{0, 1, 0.1, 1e-9, 1e21, 5e-324, math.MaxFloat64, 1.0 / 3, 16, -1, coins.NormFloat64(), coins.ExpFloat64() * 1e15}[coins.IntN(12)]
	}
	integer := func() int {
		return []int{0, 1, -1, 12, 1 << 40, math.MaxInt64, math.MinInt64, coins.IntN(1000)}[coins.IntN(8)]
	}
	for range 500 {
		l := sound()
		l.Scheme.Corrupt, l.Cohort.OverSelection, l.Encoding.ClipNorm, l.Encoding.Scale = float(), float(), float(), float()
		l.Optimizer.Tau, l.Stop.Accuracy, l.Training.LearningRate, l.Training.Prox = float(), float(), float(), float()
		l.Cohort.Size, l.Rounds.Count, l.Encoding.Range, l.Training.WeightCap = integer(), integer(), int64(integer()), integer()
		l.Deadlines.Admission, l.Deadlines.Upload = time.Duration(integer()), time.Duration(integer())
		l.Devices.Idle, l.Scheme.CrossSilo = coins.IntN(2) == 0, coins.IntN(2) == 0
		file, err := l.Format()
		require.NoError(t, err)
		back, err := parse(file)
		require.NoError(t, err, file)
		require.Equal(t, l, back, file)
	}
}

func TestPlanThatNoFileCanHoldIsNotWritten(t *testing.T) {
	for name, change := range map[string]func(*plan.Literal){
		"not a number":       func(l *plan.Literal) { l.Stop.Accuracy = math.NaN() },
		"infinite":           func(l *plan.Literal) { l.Training.Prox = math.Inf(-1) },
		"text not UTF-8":     func(l *plan.Literal) { l.Model.Architecture = "\xff" },
		"text within a list": func(l *plan.Literal) { l.Model.Tensors[1].Name = "\xff" },
	} {
		l := sound()
		change(&l)
		_, err := l.Format()
		require.ErrorIs(t, err, plan.ErrSyntax, name)
	}
}

func TestWrittenPlanIsForPeople(t *testing.T) {
	file, err := plan.Literal{Schema: "choir.plan/1", Job: "ward-3", Model: plan.Model{Architecture: "yes",
		Tensors: []plan.Tensor{{Name: "w", Shape: []int{10, 3}}, {Name: "layer 1/b"}}},
		Scheme: plan.Scheme{Name: "pairwise", Corrupt: 0.05}, Cohort: plan.Cohort{Size: 20, Minimum: 12},
		Deadlines: plan.Deadlines{Upload: 90 * time.Minute}, Training: plan.Training{Prox: 0.001},
		Privacy: plan.Privacy{Mode: "none", TrustCoordinator: true}}.Format()
	require.NoError(t, err)
	require.Equal(t, `schema: choir.plan/1
job: ward-3
model:
  architecture: "yes"
  tensors:
    - name: w
      shape: [10, 3]
    - name: "layer 1/b"
      shape: []
scheme:
  name: pairwise
  corrupt: 0.05
cohort:
  size: 20
  minimum: 12
rounds:
  count: 0
deadlines:
  upload: 1h30m0s
encoding:
  clip_norm: 0
training:
  epochs: 0
  batch_size: 0
  learning_rate: 0
  prox: 0.001
privacy:
  mode: none
  trust_coordinator: true
`, file)
}

func TestEmptyPlanSurvivesItsFile(t *testing.T) {
	file, err := plan.Literal{}.Format()
	require.NoError(t, err)
	back, err := parse(file)
	require.NoError(t, err, file)
	require.Equal(t, plan.Literal{}, back)
}

// FuzzParse: no file brings the parser down, and a plan that was read can be written
// and read again.
func FuzzParse(f *testing.F) {
	f.Add("job: a\ncohort:\n  size: 5\n") // short seeds: the engine spends its time on making long ones shorter
	f.Add("job: [1, 2")
	f.Add("schema: choir.plan/1\nrounds: {count: 1e999}\n")
	f.Add("model: {tensors: [{name: \"a\\tb\", shape: [2, 3]}]} # x\ndevices: {idle: true}")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := plan.Parse("plan.yaml", strings.NewReader(text))
		if err != nil {
			require.ErrorIs(t, err, plan.ErrSyntax)
			return
		}
		again, err := l.Format()
		require.NoError(t, err)
		back, err := plan.Parse("plan.yaml", strings.NewReader(again))
		require.NoError(t, err, again)
		l.Model.Tensors = nil // where a list was empty or null
		back.Model.Tensors = nil
		require.Equal(t, l, back, again)
		_, _ = l.Check(plain.Scheme{}) // refused or not, never a panic
	})
}

func TestPlanOfThousandsOfTensorsIsRead(t *testing.T) {
	l := sound()
	l.Model.Tensors = nil
	for i := range 3000 {
		l.Model.Tensors = append(l.Model.Tensors, plan.Tensor{Name: fmt.Sprintf("layer.%d/weight", i), Shape: []int{i + 1, 2}})
	}
	file, err := l.Format()
	require.NoError(t, err)
	back, err := parse(file)
	require.NoError(t, err)
	require.Equal(t, l, back)
	block := strings.NewReplacer(" [", "\n        - ", ", ", "\n        - ", "]", "").Replace(file)
	back, err = parse(block)
	require.NoError(t, err)
	require.Equal(t, l, back)
}
