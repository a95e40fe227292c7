package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/sim/matrix"
)

// tinyMatrix has two defences and no attack over the embedded data.
const tinyMatrix = `schema: choir.matrix/1
name: tiny
plan: plan.yaml
data: embedded
clients: 60
defences:
  - {name: mean, rule: mean}
  - {name: slow, rule: mean, worker_momentum: 0.5}
attacks: [none]
partitions: [iid]
byzantine: [0.2]
seeds: [1]
last: 2
`

const tinyMatrixPlan = `schema: choir.plan/1
job: tiny
model: {architecture: softmax}
scheme: {name: plain}
cohort: {size: 4, minimum: 3}
rounds: {count: 2}
deadlines: {admission: 30s, exchange: 30s, upload: 5m}
encoding: {clip_norm: 4}
training: {epochs: 1, batch_size: 20, learning_rate: 0.1}
privacy: {mode: none, trust_coordinator: true}
`

func matrixDir(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tiny.yaml"), []byte(text), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plan.yaml"), []byte(tinyMatrixPlan), 0o600))
	return dir
}

func TestSimMatrixRunsResumesAndReports(t *testing.T) {
	t.Parallel()
	dir := matrixDir(t, tinyMatrix)
	o := choir(t, dir, "sim", "matrix", "tiny.yaml")
	require.Equal(t, 0, o.code, o.errOut)
	require.Contains(t, o.errOut, "2 of 2, 0s left: ")
	require.Contains(t, o.out, "2 cells, 2 with a number, 0 refused, 0 failed: "+filepath.Join("tiny.results", "report.html"))
	files := map[string]string{}
	for _, name := range []string{"matrix.json", "matrix.csv", "report.html", matrix.Results} {
		b, err := os.ReadFile(filepath.Join(dir, "tiny.results", name))
		require.NoError(t, err)
		files[name] = string(b)
	}
	var r matrix.Report
	require.NoError(t, json.Unmarshal([]byte(files["matrix.json"]), &r))
	require.Equal(t, matrix.ReportSchema, r.Schema)
	require.Equal(t, "fashion-mnist-6000", r.Dataset)
	require.Greater(t, *r.Tables[0].Rows[0].AttackFree, 0.3)

	o = choir(t, dir, "sim", "matrix", "tiny.yaml", "--parallel", "1")
	require.Equal(t, 0, o.code, o.errOut)
	require.Empty(t, o.errOut, "nothing ran again")
	for name, was := range files {
		b, err := os.ReadFile(filepath.Join(dir, "tiny.results", name))
		require.NoError(t, err)
		require.Equal(t, was, string(b), name)
	}
}

func TestSimMatrixNamesEveryRefusedCellBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	dir := matrixDir(t, strings.Replace(tinyMatrix, "rule: mean, worker_momentum: 0.5", "rule: no-such-rule", 1))
	o := choir(t, dir, "sim", "matrix", "tiny.yaml", "--out", "out")
	require.Equal(t, 3, o.code, o.errOut)
	require.Len(t, o.errorLines(), 1)
	require.Contains(t, o.errorLines()[0], "slow, none, iid")
	require.NoDirExists(t, filepath.Join(dir, "out"))

	o = choir(t, dir, "sim", "matrix", "tiny.yaml", "--out", "out", "--keep-going")
	require.Equal(t, 0, o.code, o.errOut)
	require.Contains(t, o.out, "2 cells, 1 with a number, 1 refused, 0 failed")
	page, err := os.ReadFile(filepath.Join(dir, "out", "report.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "no-such-rule")
}

func TestSimMatrixRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old, with string
		args      []string
		says      string
	}{
		"unknown key":       {"clients: 60", "client: 60", nil, "tiny.yaml:5: "},
		"no plan file":      {"plan.yaml", "none.yaml", nil, "none.yaml: "},
		"no plan":           {"plan: plan.yaml\n", "", nil, "plan: "},
		"no data":           {"data: embedded\n", "", nil, "data: "},
		"data elsewhere":    {"embedded", "nowhere", nil, "data"},
		"a negative number": {"tiny", "tiny", []string{"--parallel", "-1"}, "--parallel -1"},
		"no place":          {"tiny", "tiny", []string{"--out", "plan.yaml"}, "plan.yaml is not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := matrixDir(t, strings.Replace(tinyMatrix, c.old, c.with, 1))
			o := choir(t, dir, append([]string{"sim", "matrix", "tiny.yaml"}, c.args...)...)
			require.Equal(t, 2, o.code, o.errOut)
			require.Contains(t, o.errOut, c.says)
			require.Len(t, o.errorLines(), 1)
		})
	}
}

func TestSimMatrixStopsWhenInterruptedAndGoesOn(t *testing.T) {
	dir := matrixDir(t, tinyMatrix)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	args := []string{"sim", "matrix", filepath.Join(dir, "tiny.yaml"), "--out", filepath.Join(dir, "out")}
	var out, errOut bytes.Buffer
	require.Equal(t, 1, run(ctx, args, nil, &out, &errOut))
	require.Contains(t, errOut.String(), "interrupted")
	require.Empty(t, out.String())
	require.NoFileExists(t, filepath.Join(dir, "out", "report.html"))
	require.Equal(t, 0, run(context.Background(), args, nil, &out, &errOut), errOut.String())
	require.FileExists(t, filepath.Join(dir, "out", "report.html"))
}

func TestABuildIsNamedByVersionAndRevision(t *testing.T) {
	require.Equal(t, "1.0", buildOf("1.0", nil))
	require.Equal(t, "1.0 0123456789ab modified", buildOf("1.0", []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}}))
	require.Equal(t, "1.0 0123", buildOf("1.0", []debug.BuildSetting{{Key: "vcs.revision", Value: "0123"}, {Key: "vcs.modified", Value: "false"}}))
}

func TestEveryExampleMatrixIsAccepted(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("..", "..", "examples", "matrix", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		m, err := loadMatrix(path)
		require.NoError(t, err, path)
		require.NoError(t, m.Refusals(), path)
	}
}
