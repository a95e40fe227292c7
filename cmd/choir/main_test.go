package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/cmd/choir/preflight"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
)

// built is the path of choir as its users get it.
var built string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "choir")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built = filepath.Join(dir, "choir")
	if out, err := exec.Command("go", "build", "-o", built, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building choir: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// outcome is what became of a process.
type outcome struct {
	code        int
	out, errOut string
}

// errorLines are the lines of standard error that name an error.
func (o outcome) errorLines() (lines []string) {
	for _, line := range strings.Split(strings.TrimSuffix(o.errOut, "\n"), "\n") {
		if strings.HasPrefix(line, "choir: ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// choir runs the binary in a directory.
func choir(t *testing.T, dir string, args ...string) outcome {
	t.Helper()
	cmd := exec.Command(built, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CHOIR_DATA=")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); !exited {
		require.NoError(t, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// files lists a directory.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// startingPlanWith is the plan of choir plan init with some of its text replaced.
func startingPlanWith(t *testing.T, replace ...string) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, writeStartingPlan(&b, startingKind{scheme: pairwise.Name, mode: "none", cohort: startingCohort}))
	text := b.String()
	for i := 0; i < len(replace); i += 2 {
		require.Contains(t, text, replace[i])
		text = strings.Replace(text, replace[i], replace[i+1], 1)
	}
	return text
}

// TestBadInputGetsOneLineAndLeavesNothing holds for every reason one line that says
// what, where and what to do, the exit code that goes with it, nothing on standard
// output, and no file made.
func TestBadInputGetsOneLineAndLeavesNothing(t *testing.T) {
	idx := func(dir, name string, b []byte) { require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600)) }
	images := append([]byte{0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2}, make([]byte, 8)...)
	labels := []byte{0, 0, 8, 1, 0, 0, 0, 2, 0, 1}
	for name, c := range map[string]struct {
		args  []string
		plan  string           // written to plan.yaml
		setUp func(dir string) // makes other files
		code  int
		lines [][]string // for each line what it must contain
	}{
		"no such command":            {args: []string{"sing"}, code: 2, lines: [][]string{{"sing", "no such command", "see --help"}}},
		"no such subcommand":         {args: []string{"plan", "sing"}, code: 2, lines: [][]string{{"plan sing", "no such command"}}},
		"no such help":               {args: []string{"help", "sing"}, code: 2, lines: [][]string{{"sing", "no such command"}}},
		"unknown flag":               {args: []string{"sim", "--sing"}, code: 2, lines: [][]string{{"sim", "--sing", "see --help"}}},
		"flag of a wrong type":       {args: []string{"sim", "--rounds", "ten"}, code: 2, lines: [][]string{{"sim", "--rounds", `"ten"`}}},
		"too many arguments":         {args: []string{"sim", "a", "b"}, code: 2, lines: [][]string{{"sim", "2 given"}}},
		"no argument":                {args: []string{"plan", "check"}, code: 2, lines: [][]string{{"plan check", "0 given, 1 wanted"}}},
		"unknown shell":              {args: []string{"completion", "tcsh"}, code: 2, lines: [][]string{{"tcsh", "bash"}}},
		"no rounds":                  {args: []string{"sim", "--rounds", "0", "--report", "r"}, code: 2, lines: [][]string{{"--rounds 0"}}},
		"negative rounds":            {args: []string{"sim", "--rounds", "-1"}, code: 2, lines: [][]string{{"--rounds -1"}}},
		"no clients":                 {args: []string{"sim", "--clients", "0"}, code: 2, lines: [][]string{{"--clients 0"}}},
		"too few clients":            {args: []string{"sim", "--dp", "none", "--clients", "5", "--report", "r"}, code: 2, lines: [][]string{{"--clients 5", "cohort.minimum 12"}}},
		"more clients than examples": {args: []string{"sim", "--clients", "7000"}, code: 2, lines: [][]string{{"--partition iid", "7000"}}},
		"no cohort":                  {args: []string{"sim", "--cohort", "0"}, code: 2, lines: [][]string{{"--cohort 0"}}},
		"negative workers":           {args: []string{"sim", "--workers", "-1"}, code: 2, lines: [][]string{{"--workers -1"}}},
		"share above one":            {args: []string{"sim", "--dropout", "1.5"}, code: 2, lines: [][]string{{"--dropout 1.5", "[0,1)"}}},
		"share that is no number":    {args: []string{"sim", "--dropout", "NaN"}, code: 2, lines: [][]string{{"--dropout NaN"}}},
		"unknown fidelity":           {args: []string{"sim", "--fidelity", "high"}, code: 2, lines: [][]string{{"--fidelity", "high", "full"}}},
		"unknown partition":          {args: []string{"sim", "--partition", "fair"}, code: 2, lines: [][]string{{"--partition fair"}}},
		"partition without number":   {args: []string{"sim", "--partition", "dirichlet:x"}, code: 2, lines: [][]string{{"--partition dirichlet:x"}}},
		"committee too small":        {args: []string{"sim", "--committee", "3"}, code: 2, lines: [][]string{{"--committee 3", "4..16"}}},
		"committee nobody needs":     {args: []string{"sim", "--committee", "5", "--scheme", "plain"}, code: 2, lines: [][]string{{"--committee 5", "plain", "no decryptors"}}},
		"unknown view":               {args: []string{"sim", "--view", "vectors"}, code: 3, lines: [][]string{{"aggregation.view", "vectors"}}},
		"bucket without minimum":     {args: []string{"sim", "--bucket", "5"}, code: 2, lines: [][]string{{`--bucket "5"`, "SIZE:MINIMUM"}}},
		"bucket below its minimum":   {args: []string{"sim", "--view", "bucket_means", "--bucket", "5:6"}, code: 3, lines: [][]string{{"aggregation.buckets", "6 of 5"}}},
		"bucket of the dishonest":    {args: []string{"sim", "--dp", "none", "--view", "bucket_means", "--bucket", "5:2"}, code: 3, lines: [][]string{{"scheme", "fewer than two honest"}}},
		"buckets that nothing opens": {args: []string{"sim", "--scheme", "plain", "--bucket", "5:4"}, code: 2, lines: [][]string{{"--bucket 5:4", "--view bucket_means"}}},
		"no such scratch":            {args: []string{"sim", "--scratch", "nowhere"}, code: 2, lines: [][]string{{"--scratch nowhere"}}},
		"scratch that is not empty":  {args: []string{"sim", "--scratch", "."}, plan: "x", code: 2, lines: [][]string{{"--scratch .", "not empty"}}},
		"unknown scheme":             {args: []string{"sim", "--scheme", "hope", "--report", "r"}, code: 3, lines: [][]string{{"scheme.name", "hope", "pairwise"}}},
		"unknown rule and mode": {args: []string{"sim", "--rule", "crumb", "--dp", "hope"}, code: 3,
			lines: [][]string{{"aggregation.rule", "crumb"}, {"privacy.mode", "hope"}}},
		"noise that is no number":       {args: []string{"sim", "--noise-multiplier", "NaN"}, code: 2, lines: [][]string{{"--noise-multiplier NaN", "not a positive number"}}},
		"no noise":                      {args: []string{"sim", "--noise-multiplier", "0"}, code: 2, lines: [][]string{{"--noise-multiplier 0"}}},
		"infinite epsilon":              {args: []string{"sim", "--epsilon", "Inf"}, code: 2, lines: [][]string{{"--epsilon +Inf"}}},
		"negative delta":                {args: []string{"sim", "--delta", "-1e-5"}, code: 2, lines: [][]string{{"--delta -1e-05"}}},
		"epsilon without noise":         {args: []string{"sim", "--dp", "none", "--epsilon", "2"}, code: 2, lines: [][]string{{"--epsilon", "none has no noise"}}},
		"plan init of unknown mode":     {args: []string{"plan", "init", "--dp", "hope"}, code: 2, lines: [][]string{{`--dp "hope"`, "distributed"}}},
		"plan init of few clients":      {args: []string{"plan", "init", "--cohort", "200", "--population", "300"}, code: 2, lines: [][]string{{"--population 300", "200"}}},
		"delta of one":                  {args: []string{"sim", "plan.yaml", "--delta", "1"}, plan: privatePlan, code: 3, lines: [][]string{{"privacy.delta", "(0,1)"}}},
		"noise that passes at once":     {args: []string{"sim", "plan.yaml", "--noise-multiplier", "0.1"}, plan: privatePlan, code: 3, lines: [][]string{{"privacy.epsilon", "one round alone"}}},
		"more clients than were stated": {args: []string{"sim", "plan.yaml", "--clients", "30"}, plan: privatePlan, code: 3, lines: [][]string{{"cohort.population", "30"}}},
		"buckets of a cohort by coins":  {args: []string{"sim", "--view", "bucket_means", "--bucket", "10:8"}, code: 3, lines: [][]string{{"cohort.selection", "coins hide nothing", "uniform"}}},
		"participations under coins":    {args: []string{"sim", "plan.yaml"}, code: 3, lines: [][]string{{"participations", "earlier coins"}}, plan: strings.Replace(privatePlan, "population: 400", "population: 400, participations: 6", 1)},
		"fallback under coins":          {args: []string{"sim", "plan.yaml"}, code: 3, lines: [][]string{{"cohort.selection", "uniform"}}, plan: strings.Replace(privatePlan, "{denominator: fixed}", "{denominator: fixed, fallback: bucket_means, buckets: {size: 20, minimum: 10}}", 1)},
		"fewer clients than a cohort":   {args: []string{"sim", "--clients", "250"}, code: 3, lines: [][]string{{"cohort.population", "250"}}},
		"negative audit":                {args: []string{"sim", "--audit", "-1"}, code: 2, lines: [][]string{{"--audit -1", "16"}}},
		"audit with too few canaries":   {args: []string{"sim", "--audit", "15"}, code: 2, lines: [][]string{{"--audit 15", "16"}}},
		"more canaries than clients":    {args: []string{"sim", "--audit", "1001"}, code: 2, lines: [][]string{{"--audit 1001", "1000"}}},
		"unknown model":                 {args: []string{"sim", "--model", "transformer"}, code: 3, lines: [][]string{{"model.architecture", "transformer", "mlp"}}},
		"report that is a file":         {args: []string{"sim", "--report", "plan.yaml"}, plan: "x", code: 2, lines: [][]string{{"--report plan.yaml", "not a directory"}}},
		"report below a file":           {args: []string{"sim", "--report", "plan.yaml/a/b"}, plan: "x", code: 2, lines: [][]string{{"--report plan.yaml/a/b"}}},
		"no such data":                  {args: []string{"sim", "--data", "nowhere", "--report", "r"}, code: 2, lines: [][]string{{"--data", "nowhere", "train-images"}}},
		"truncated images": {args: []string{"sim", "--data", ".", "--report", "r"}, code: 2, lines: [][]string{{"--data", "train-images-idx3-ubyte", "file ends"}},
			setUp: func(dir string) { idx(dir, "train-images-idx3-ubyte", images[:20]) }},
		"labels that are images": {args: []string{"sim", "--data", "."}, code: 2, lines: [][]string{{"train-labels-idx1-ubyte", "magic number"}},
			setUp: func(dir string) {
				idx(dir, "train-images-idx3-ubyte", images)
				idx(dir, "train-labels-idx1-ubyte", images)
			}},
		"missing test set": {args: []string{"sim", "--data", "."}, code: 2, lines: [][]string{{"t10k-images"}},
			setUp: func(dir string) {
				idx(dir, "train-images-idx3-ubyte", images)
				idx(dir, "train-labels-idx1-ubyte", labels)
			}},
		"filter that is no expression": {args: []string{"bench", "--filter", "("}, code: 2, lines: [][]string{{"--filter (", "missing"}}},
		"filter that matches nothing":  {args: []string{"bench", "--filter", "hope"}, code: 2, lines: [][]string{{`"hope"`}}},
		"vector too short":             {args: []string{"bench", "--d", "8"}, code: 2, lines: [][]string{{"8 words", "1024"}}},

		"no such plan":        {args: []string{"plan", "check", "nothing.yaml"}, code: 2, lines: [][]string{{"nothing.yaml", "no such file"}}},
		"plan is a directory": {args: []string{"plan", "check", "."}, code: 2, lines: [][]string{{".", "directory"}}},
		"empty plan":          {args: []string{"plan", "check", "plan.yaml"}, plan: "\n", code: 2, lines: [][]string{{"plan.yaml"}}},
		"no YAML":             {args: []string{"plan", "check", "plan.yaml"}, plan: "schema: a: b\n", code: 2, lines: [][]string{{"plan.yaml:1:"}}},
		"unknown key": {args: []string{"sim", "plan.yaml", "--report", "r"}, plan: startingPlanWith(t, "  batch_size", "  batchsize"), code: 2,
			lines: [][]string{{fmt.Sprintf("plan.yaml:%d:", lineOf(t, "  batch_size")), "batchsize"}}},
		"key twice":     {args: []string{"plan", "check", "plan.yaml"}, plan: "job: a\njob: b\n", code: 2, lines: [][]string{{"plan.yaml:2:", "job"}}},
		"two documents": {args: []string{"plan", "check", "plan.yaml"}, plan: startingPlanWith(t) + "---\njob: b\n", code: 2, lines: [][]string{{"plan.yaml"}}},
		"text for a number": {args: []string{"plan", "explain", "plan.yaml"}, plan: startingPlanWith(t, "size: 40", "size: many"), code: 2,
			lines: [][]string{{fmt.Sprintf("plan.yaml:%d:", lineOf(t, "  size: 40")), "cohort.size", "many"}}},
		"no duration": {args: []string{"plan", "check", "plan.yaml"}, plan: startingPlanWith(t, "upload: 30m", "upload: soon"), code: 2,
			lines: [][]string{{fmt.Sprintf("plan.yaml:%d:", lineOf(t, "  upload: 30m")), "soon"}}},
		"contradictions": {args: []string{"plan", "check", "plan.yaml"}, code: 3,
			plan:  startingPlanWith(t, "minimum: 24", "minimum: 41", "trust_coordinator: true", "trust_coordinator: false", "attempts: 3", "attempts: 9", "bits: 18", "bits: 32"),
			lines: [][]string{{"rounds.attempts", "9"}, {"cohort.minimum", "41"}, {"privacy", "trust_coordinator"}, {"encoding", "Bits = 32"}}},
		"several faults of one key": {args: []string{"plan", "explain", "plan.yaml"}, code: 3,
			plan:  startingPlanWith(t, "clip_norm: 8", "clip_norm: -8", "bits: 18", "bits: 2"),
			lines: [][]string{{"encoding", "ClipNorm = -8"}, {"encoding", "Bits = 2"}}},
		"nothing said about privacy": {args: []string{"plan", "check", "plan.yaml"}, plan: startingPlanWith(t, "  mode: none\n  trust_coordinator: true", "  trust_coordinator: true"), code: 3,
			lines: [][]string{{"privacy.mode", "not stated"}}},
		"too many corrupt": {args: []string{"plan", "check", "plan.yaml"}, plan: startingPlanWith(t, "corrupt: 0.05", "corrupt: 0.6"), code: 3, lines: [][]string{{"scheme", "must stay below 1"}}},
		"no such model file": {args: []string{"plan", "check", "plan.yaml"}, plan: startingPlanWith(t, "# initial: model.safetensors", "initial: model.safetensors"), code: 2,
			lines: [][]string{{"model.safetensors", "no such file"}}},
		"bad model file": {args: []string{"sim", "plan.yaml", "--report", "r"}, plan: startingPlanWith(t, "# initial: model.safetensors", "initial: model.safetensors"), code: 2,
			lines: [][]string{{"model.safetensors"}},
			setUp: func(dir string) { idx(dir, "model.safetensors", []byte("\xff\xff\xff\xff\xff\xff\xff\x7f{}")) }},
		"no committee": {args: []string{"plan", "check", "plan.yaml"}, plan: startingPlanWith(t, "name: pairwise", "name: oneshot"), code: 3,
			lines: [][]string{{"scheme.committee", "oneshot", "committee_file"}}},
		"committee that scheme pairwise has not": {args: []string{"plan", "check", "plan.yaml"}, plan: startingPlanWith(t, "name: pairwise", "name: pairwise\n  committee_file: c.yaml"), code: 3,
			lines: [][]string{{"scheme.committee", "pairwise"}}, setUp: func(dir string) { writeCommittee(t, filepath.Join(dir, "c.yaml"), 4) }},
		"no such committee file": {args: []string{"run", "start", "plan.yaml"}, plan: startingPlanWith(t, "name: pairwise", "name: oneshot\n  committee_file: c.yaml"), code: 2,
			lines: [][]string{{"c.yaml", "no such file"}}},
		"committee and its file": {args: []string{"sim", "plan.yaml"}, code: 3, lines: [][]string{{"scheme.committee_file", "one of them"}},
			plan: startingPlanWith(t, "name: pairwise", "name: oneshot\n  committee_file: c.yaml\n  committee: {name: c, members: []}")},
		"committee of too few": {args: []string{"plan", "explain", "plan.yaml"}, plan: startingPlanWith(t, "name: pairwise", "name: oneshot\n  committee_file: c.yaml"), code: 2,
			lines: [][]string{{"c.yaml", "3 members"}},
			setUp: func(dir string) { writeCommittee(t, filepath.Join(dir, "c.yaml"), 3) }},
		"tensors of another model": {args: []string{"sim", "plan.yaml"}, plan: startingPlanWith(t, "scheme:", "  tensors: [{name: w, shape: [3]}]\nscheme:"), code: 3,
			lines: [][]string{{"model.tensors", "mlp"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if c.plan != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "plan.yaml"), []byte(c.plan), 0o600))
			}
			if c.setUp != nil {
				c.setUp(dir)
			}
			before := files(t, dir)
			o := choir(t, dir, c.args...)
			require.Equal(t, c.code, o.code, o.errOut)
			require.Empty(t, o.out)
			lines := strings.Split(strings.TrimSuffix(o.errOut, "\n"), "\n")
			require.Len(t, lines, len(c.lines), o.errOut)
			for i, want := range c.lines {
				require.True(t, strings.HasPrefix(lines[i], "choir: "), lines[i])
				require.Contains(t, lines[i], "; ", "what to do")
				for _, part := range want {
					require.Contains(t, lines[i], part)
				}
			}
			require.Equal(t, before, files(t, dir))
		})
	}
}

// lineOf is the line on which a text stands in the starting plan.
func lineOf(t *testing.T, text string) int {
	t.Helper()
	before, _, found := strings.Cut(startingPlanWith(t), text)
	require.True(t, found)
	return 1 + strings.Count(before, "\n")
}

func TestRunThatFailsExitsWith1AndWritesNoReport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := choir(t, dir, "sim", "--dp", "none", "--clients", "20", "--rounds", "1", "--model", "softmax", "--dropout", "0.9", "--report", "r", "--json")
	require.Equal(t, 1, o.code, o.errOut)
	require.Empty(t, o.out)
	require.Len(t, o.errorLines(), 1, o.errOut)
	require.Empty(t, files(t, dir))
}

func TestSimulationWritesItsDocumentAndItsReport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := choir(t, dir, "sim", "--dp", "none", "--clients", "24", "--rounds", "2", "--model", "softmax", "--dropout", "0.2", "--seed", "7", "--report", "a/b", "--json")
	require.Equal(t, 0, o.code, o.errOut)
	var doc struct {
		Schema string
		Seed   int
		Config struct{ Scheme, Dataset string }
		Rounds []struct {
			Outcome  string
			Accuracy *float64 `json:"test_accuracy"`
			Epsilon  *float64 `json:"epsilon_coordinator"`
		}
		Final struct {
			Digest string `json:"model_digest"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(o.out), &doc))
	require.Equal(t, "choir.sim/1", doc.Schema)
	require.Equal(t, 7, doc.Seed)
	require.Equal(t, oneshot.Name, doc.Config.Scheme)
	require.Equal(t, "fashion-mnist-6000", doc.Config.Dataset)
	require.Len(t, doc.Rounds, 2)
	require.NotNil(t, doc.Rounds[1].Accuracy)
	require.Nil(t, doc.Rounds[1].Epsilon)
	require.Equal(t, []string{"report.html", "report.json"}, files(t, filepath.Join(dir, "a", "b")))

	written, err := os.ReadFile(filepath.Join(dir, "a", "b", "report.json"))
	require.NoError(t, err)
	require.JSONEq(t, o.out, string(written))
	page, err := os.ReadFile(filepath.Join(dir, "a", "b", "report.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), doc.Final.Digest)
	require.Contains(t, string(page), "one exact sum of the survivors")
	require.Equal(t, 6*2, strings.Count(string(page), `<g class="mark">`))
	require.Equal(t, 2, strings.Count(o.errOut, "\n"), "a line of progress for each round: %s", o.errOut)

	table := choir(t, dir, "sim", "--dp", "none", "--clients", "24", "--rounds", "2", "--model", "softmax", "--dropout", "0.2", "--seed", "7", "--report", "a/b")
	require.Equal(t, 0, table.code)
	require.Contains(t, table.out, doc.Final.Digest, "the seed repeats the run, and a report may be replaced")
}

func TestInterruptedSimulationEndsAtOnceAndWritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(built, "sim", "--dp", "none", "--rounds", "100000", "--model", "softmax", "--fidelity", "fast", "--report", "r", "--json")
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout = &out
	messages, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(messages)
	require.True(t, lines.Scan(), "progress of the first round")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	_ = cmd.Wait() // what matters is the exit code
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Equal(t, "choir: interrupted; nothing was written", last)
	require.Empty(t, out.String())
	require.Empty(t, files(t, dir))
}

func TestPlanCheckAcceptsAndExplainsTheStartingPlans(t *testing.T) {
	t.Parallel()
	for _, scheme := range schemeNames() {
		dir := t.TempDir()
		begun := choir(t, dir, "plan", "init", "--scheme", scheme, "--dp", "none")
		require.Equal(t, 0, begun.code)
		if scheme == schemeNames()[0] {
			require.Equal(t, choir(t, dir, "plan", "init", "--dp", "none").out, begun.out, "the default")
		}
		writeCommittee(t, filepath.Join(dir, "committee.yaml"), 5)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "plan.yaml"), []byte(begun.out), 0o600))

		o := choir(t, dir, "plan", "check", "plan.yaml")
		require.Equal(t, 0, o.code, o.errOut)
		require.Empty(t, o.errOut)
		for _, part := range []string{"scale", "18 bits", "overflow", "none stated", "what each party could learn", "159010 parameters", "an estimate",
			"recommended scheme: oneshot"} {
			require.Contains(t, o.out, part)
		}
		for _, line := range strings.Split(o.out, "\n") {
			require.LessOrEqual(t, len(line), 160)
		}
		explained := choir(t, dir, "plan", "explain", "plan.yaml")
		require.Equal(t, 0, explained.code, explained.errOut)
		require.Contains(t, explained.out, "What is not promised.")

		var doc struct {
			Schema   string
			Accepted bool
			Scheme   string
			Refusals []string
			Privacy  struct {
				Epsilon *float64 `json:"epsilon_coordinator"`
			}
		}
		o = choir(t, dir, "plan", "check", "--json", "plan.yaml")
		require.Equal(t, 0, o.code)
		require.NoError(t, json.Unmarshal([]byte(o.out), &doc))
		require.Equal(t, "choir.check/1", doc.Schema)
		require.True(t, doc.Accepted)
		require.Equal(t, scheme, doc.Scheme)
		require.Empty(t, doc.Refusals)
		require.Nil(t, doc.Privacy.Epsilon)
	}
}

func TestStartingPlanSurvivesARoundTripForEveryCohort(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.yaml")
	writeCommittee(t, filepath.Join(dir, "committee.yaml"), 5)
	for _, scheme := range schemeNames() {
		for _, cohort := range []int{16, 17, 28, 40, 149, 150, 1000} {
			var b bytes.Buffer
			require.NoError(t, writeStartingPlan(&b, startingKind{scheme: scheme, mode: "none", cohort: cohort}))
			lit, err := plan.Parse("plan.yaml", bytes.NewReader(b.Bytes()))
			require.NoError(t, err)
			text, err := lit.Format()
			require.NoError(t, err)
			again, err := plan.Parse("plan.yaml", strings.NewReader(text))
			require.NoError(t, err)
			require.Equal(t, lit, again)

			require.NoError(t, nameCommittee(&lit, path))
			require.NoError(t, declareTensors(&lit, path))
			p, err := lit.Check(serverSchemes()...)
			require.NoError(t, err, "%s of %d", scheme, cohort)
			require.Equal(t, cohort, p.CohortSize())
			findings, err := preflight.Examine(p)
			require.NoError(t, err)
			require.Less(t, findings.Failure[0].Round, 0.05)
			// What the text states as a default is one.
			bare := lit
			bare.Cohort.OverSelection, bare.Cohort.Selection, bare.Rounds.Attempts, bare.Deadlines = 0, "", 0, plan.Deadlines{}
			bare.Aggregation, bare.Encoding.Bits, bare.Optimizer.Name = plan.Aggregation{}, 0, ""
			without, err := bare.Check(serverSchemes()...)
			require.NoError(t, err)
			require.Equal(t, without.Digest(), p.Digest())
		}
	}
	var b bytes.Buffer
	require.ErrorIs(t, writeStartingPlan(&b, startingKind{scheme: "pairwise", mode: "none", cohort: 15}), errUsage)
	require.ErrorIs(t, writeStartingPlan(&b, startingKind{scheme: "hope", mode: "none", cohort: 40}), errUsage)
	require.Zero(t, b.Len())
}

func TestRefusedPlanIsAlsoADocument(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := startingPlanWith(t, "minimum: 24", "minimum: 41", "trust_coordinator: true", "trust_coordinator: false")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plan.yaml"), []byte(text), 0o600))
	o := choir(t, dir, "plan", "check", "--json", "plan.yaml")
	require.Equal(t, 3, o.code)
	var doc map[string]any
	require.NoError(t, json.Unmarshal([]byte(o.out), &doc))
	require.Equal(t, false, doc["accepted"])
	require.Len(t, doc["refusals"], len(o.errorLines()))
	require.NotContains(t, doc, "scheme")
}

func TestModelFileDeclaresTheTensors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	header := `{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}`
	model := append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, append([]byte(header), make([]byte, 24)...)...)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "plans"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plans", "model.safetensors"), model, 0o600))
	write := func(replace ...string) {
		text := startingPlanWith(t, append([]string{"  architecture: mlp\n", "", "# initial: model.safetensors", "initial: model.safetensors"}, replace...)...)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "plans", "plan.yaml"), []byte(text), 0o600))
	}
	write()
	o := choir(t, dir, "plan", "check", "plans/plan.yaml")
	require.Equal(t, 0, o.code, o.errOut)
	require.Contains(t, o.out, "6 parameters")
	write("scheme:", "  tensors: [{name: w, shape: [2, 3]}]\nscheme:")
	require.Equal(t, 0, choir(t, dir, "plan", "check", "plans/plan.yaml").code)
	write("scheme:", "  tensors: [{name: w, shape: [3, 2]}]\nscheme:")
	o = choir(t, dir, "plan", "check", "plans/plan.yaml")
	require.Equal(t, 3, o.code)
	require.Contains(t, o.errOut, "model.tensors")
}

func TestBenchPrintsADocumentAndATable(t *testing.T) {
	t.Parallel()
	o := choir(t, t.TempDir(), "bench", "--json", "--filter", "limit/(add|aesctr)|field/pack", "--d", "4096")
	require.Equal(t, 0, o.code, o.errOut)
	var doc struct {
		Schema  string
		Results []map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(o.out), &doc))
	require.Equal(t, "choir.bench/1", doc.Schema)
	require.Len(t, doc.Results, 3)
	for _, r := range doc.Results {
		require.Contains(t, r, "n")
		require.EqualValues(t, 4096, r["d"])
		require.Positive(t, r["value"])
		require.NotEmpty(t, r["unit"])
	}
	table := choir(t, t.TempDir(), "bench", "--filter", "limit/add|field/pack", "--d", "4096")
	require.Equal(t, 0, table.code)
	require.Regexp(t, `field/pack .* x add`, table.out)
	require.Empty(t, table.errOut)
}
