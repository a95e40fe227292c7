package matrix

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/dataset"
)

// small is a matrix of 2 x 2 x 2 x 1 x 2 cells over a plan that every version accepts.
const small = `schema: choir.matrix/1
name: small
data: embedded
clients: 6
plan:
  schema: choir.plan/1
  job: small
  model: {architecture: softmax}
  scheme: {name: plain}
  cohort: {size: 6, minimum: 5}
  rounds: {count: 6}
  deadlines: {admission: 30s, exchange: 30s, upload: 5m}
  # the norm
  encoding:
    clip_norm: 10
  training: {epochs: 1, batch_size: 5, learning_rate: 0.5}
  privacy: {mode: none, trust_coordinator: true}
defences:
  - {name: plain mean, rule: mean}
  - {name: slow, rule: mean, worker_momentum: 0.5}
attacks: [none, sign-flip]
partitions: [iid, "gamma:0"]
byzantine: [0.2]
seeds: [1, 2]
`

// changed is the small matrix with one text replaced.
func changed(t *testing.T, old, with string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(small, old), old)
	return strings.Replace(small, old, with, 1)
}

// points is a tiny data set that can be learned.
func points(t *testing.T, n int) dataset.Dataset {
	t.Helper()
	features, labels := make([]float32, n*4), make([]int, n)
	for i := range n {
		labels[i] = i % 3
		features[i*4+labels[i]] = 1
		features[i*4+3] = float32(i*7919%100) / 100
	}
	d, err := dataset.New(features, labels, [3]int{1, 4, 1}, 3)
	require.NoError(t, err)
	return d
}

func setup(t *testing.T) Setup {
	t.Helper()
	train := points(t, 60)
	return Setup{Schemes: []sim.Scheme{plain.Scheme{}}, Train: train, Test: points(t, 30), Dataset: "points",
		Deal: func(how string, clients int, seed uint64) ([][]int, error) {
			switch how {
			case "iid":
				return dataset.IID(train.Labels(), clients, seed)
			case "gamma:0":
				return dataset.GammaSimilarity(train.Labels(), clients, 0, seed)
			}
			return nil, errors.New("unknown partition")
		}}
}

func build(t *testing.T, text string) (*Matrix, error) {
	t.Helper()
	l, err := Parse("matrix.yaml", strings.NewReader(text))
	require.NoError(t, err)
	return New(l, setup(t))
}

func must(t *testing.T, text string) *Matrix {
	t.Helper()
	m, err := build(t, text)
	require.NoError(t, err)
	return m
}

func TestAMatrixIsReadAsWritten(t *testing.T) {
	l, err := Parse("matrix.yaml", strings.NewReader(`# a comment
schema: choir.matrix/1
name: all keys
plan: base.yaml
data: full
clients: 25
fidelity: fast
last: 3
defences:
  - {name: a, rule: krum, f: 5, pre: ["clip:2", nnm], parameters: {neighbours: byzfl, keep: 3}, compat: byzfl, worker_momentum: 0.9, view: bucket_means, buckets: {size: 9, minimum: 7}}
  - name: b
    rule: median
    f: byzantine
attacks:
  - none
  - "sign-flip:scale=10"
partitions: [iid]
byzantine: [0.1, .2]
seeds: [1, 18446744073709551615]
`))
	require.NoError(t, err)
	require.Equal(t, "base.yaml", l.PlanFile)
	require.Nil(t, l.Plan)
	require.Equal(t, "a: clip:2 + nnm + krum, f 5, keep 3, neighbours byzfl, as byzfl, worker momentum 0.9, view bucket_means, buckets of 9, at least 7", l.Defences[0].Name+": "+l.Defences[0].String())
	require.Equal(t, Defence{Name: "b", Rule: "median", F: AsByzantine}, l.Defences[1])
	require.Equal(t, "median, f as many as attack", l.Defences[1].String())
	l.Defences = nil
	require.Equal(t, Literal{Schema: Schema, Name: "all keys", PlanFile: "base.yaml", Data: "full", Clients: 25, Fidelity: "fast", Last: 3,
		Attacks: []string{"none", "sign-flip:scale=10"}, Partitions: []string{"iid"}, Byzantine: []float64{0.1, 0.2}, Seeds: []uint64{1, 1<<64 - 1}}, l)
}

func TestASectionIsThePlanAndDefaultsAreStated(t *testing.T) {
	l, err := Parse("matrix.yaml", strings.NewReader(small))
	require.NoError(t, err)
	require.Equal(t, "small", l.Plan.Job)
	require.Equal(t, 10.0, l.Plan.Encoding.ClipNorm)
	require.Equal(t, 5, l.Last)
	require.Equal(t, "full", l.Fidelity)
	l, err = Parse("matrix.yaml", strings.NewReader("{schema: choir.matrix/1, plan: {job: in brackets}}"))
	require.NoError(t, err)
	require.Equal(t, "in brackets", l.Plan.Job)
	require.Empty(t, l.PlanFile)
}

func TestWhatCannotBeReadIsRefusedWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct{ old, with, says string }{
		"unknown key":                 {"clients: 6", "client: 6", `matrix.yaml:4: matrix cannot be read (key "client" is unknown)`},
		"unknown key of a defence":    {"{name: plain mean, rule: mean}", "{name: m, rle: mean}", `matrix.yaml:19: matrix cannot be read (key "defences[0].rle" is unknown)`},
		"key twice":                   {"clients: 6", "clients: 6\nclients: 7", "matrix.yaml:5: "},
		"text for a number":           {"clients: 6", `clients: "6"`, "matrix.yaml:4: "},
		"fraction for a count":        {"clients: 6", "clients: 6.5", "matrix.yaml:4: "},
		"negative seed":               {"seeds: [1, 2]", "seeds: [1, -2]", "matrix.yaml:24: matrix cannot be read (seeds[1]"},
		"seed too large":              {"seeds: [1, 2]", "seeds: [18446744073709551616]", "matrix.yaml:24: "},
		"number for a name":           {"name: small\ndata", "name: 2024\ndata", "matrix.yaml:2: matrix cannot be read (name: \"2024\" is not text"},
		"word for a share":            {"byzantine: [0.2]", "byzantine: [many]", "matrix.yaml:23: "},
		"not a number":                {"byzantine: [0.2]", "byzantine: [.nan]", "matrix.yaml:23: "},
		"no value":                    {"clients: 6", "clients:", "matrix.yaml:4: matrix cannot be read (clients has no value)"},
		"one thing for a list":        {"attacks: [none, sign-flip]", "attacks: none", "matrix.yaml:21: matrix cannot be read (attacks is not a list)"},
		"anchor":                      {"seeds: [1, 2]", "seeds: [&a 1, *a]", "matrix.yaml:24: "},
		"another schema":              {"choir.matrix/1", "choir.matrix/2", `schema is "choir.matrix/2"`},
		"negative number of vectors":  {"{name: plain mean, rule: mean}", "{name: m, rule: mean, f: -1}", `matrix.yaml:19: matrix cannot be read (defences[0].f: -1 is negative)`},
		"word for f":                  {"{name: plain mean, rule: mean}", "{name: m, rule: mean, f: byzantines}", "matrix.yaml:19: "},
		"quotes around a word for f":  {"{name: plain mean, rule: mean}", "{name: m, rule: mean, f: 'byzantine'}", "matrix.yaml:19: "},
		"parameter twice":             {"{name: plain mean, rule: mean}", "{name: m, rule: mean, parameters: {a: 1, a: 2}}", "matrix.yaml:19: "},
		"list for a plan":             {"plan:\n", "plan: [base.yaml]\nbase:\n", "matrix.yaml:5: "},
		"unknown key of the plan":     {"    clip_norm: 10", "    clipnorm: 10", `matrix.yaml:15: matrix cannot be read (key "plan.encoding.clipnorm" is unknown)`},
		"second document":             {"seeds: [1, 2]", "seeds: [1, 2]\n---\nname: x", "matrix.yaml:"},
		"a list of values for a rule": {"rule: mean, worker", "rule: [mean], worker", "matrix.yaml:20: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("matrix.yaml", strings.NewReader(changed(t, c.old, c.with)))
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	_, err := Parse("matrix.yaml", strings.NewReader(strings.Repeat("#", 1<<20+1)))
	require.ErrorIs(t, err, ErrSyntax)
}

func TestWhatMakesNoSenseInAnyCellIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ old, with, says string }{
		"no name":                   {"name: small\ndata", "name: \"\"\ndata", "name: "},
		"no client":                 {"clients: 6", "clients: 0", "clients: "},
		"unknown fidelity":          {"clients: 6", "clients: 6\nfidelity: quick", "fidelity: "},
		"no evaluation":             {"clients: 6", "clients: 6\nlast: 0", "last: "},
		"no seed":                   {"seeds: [1, 2]", "seeds: []", "seeds: "},
		"seed twice":                {"seeds: [1, 2]", "seeds: [1, 1]", "seeds[1]: "},
		"defence twice":             {"name: slow", "name: plain mean", "defences[1].name: "},
		"defence without a rule":    {"{name: plain mean, rule: mean}", "{name: m}", "defences[0].rule: "},
		"unknown attack":            {"sign-flip", "sing-flip", "attacks[1]: "},
		"attack twice":              {"[none, sign-flip]", "[sign-flip, \"sign-flip:scale=1\"]", "attacks[1]: "},
		"share of half":             {"[0.2]", "[0.5]", "byzantine[0]: "},
		"negative share":            {"[0.2]", "[-0.2]", "byzantine[0]: "},
		"share of nobody":           {"[0.2]", "[0.01]", "byzantine[0]: "},
		"share twice":               {"[0.2]", "[0.2, 0.2]", "byzantine[1]: "},
		"unknown partition":         {"[iid, ", "[idi, ", "partitions[0]: "},
		"partition twice":           {"[iid, ", "[iid, iid, ", "partitions[1]: "},
		"more clients than samples": {"clients: 6", "clients: 61", "partitions[0]: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := build(t, changed(t, c.old, c.with))
			require.ErrorIs(t, err, ErrMatrix)
			require.ErrorContains(t, err, c.says)
		})
	}
	l, err := Parse("matrix.yaml", strings.NewReader(small))
	require.NoError(t, err)
	l.Plan = nil
	_, err = New(l, setup(t))
	require.ErrorContains(t, err, "plan: ")
	l, _ = Parse("matrix.yaml", strings.NewReader(small))
	for i := range 1500 {
		l.Seeds, l.Partitions = append(l.Seeds, uint64(100+i)), append(l.Partitions, fmt.Sprint("p", i))
	}
	_, err = New(l, setup(t))
	require.ErrorContains(t, err, "cells")
}

func TestCellsAreTheProductInOrder(t *testing.T) {
	m := must(t, small)
	require.Len(t, m.Cells(), 16)
	require.NoError(t, m.Refusals())
	require.Equal(t, "plain mean, none, iid, 0.2 Byzantine, seed 1", m.Cells()[0].String())
	require.Equal(t, "plain mean, none, iid, 0.2 Byzantine, seed 2", m.Cells()[1].String())
	require.Equal(t, "plain mean, sign-flip, iid, 0.2 Byzantine, seed 1", m.Cells()[2].String())
	require.Equal(t, "slow, none, iid, 0.2 Byzantine, seed 1", m.Cells()[4].String())
	require.Equal(t, "plain mean, none, gamma:0, 0.2 Byzantine, seed 1", m.Cells()[8].String())
}

func TestACellIsItsSimulation(t *testing.T) {
	m := must(t, strings.Replace(changed(t, "rule: mean, worker_momentum: 0.5", "rule: mean, f: byzantine, worker_momentum: 0.5"), "[0.2]", "[0.2, 0.4]", 1))
	for _, c := range m.Cells() {
		cfg := m.config(c)
		require.Equal(t, 1, cfg.Workers)
		require.Equal(t, c.Seed, cfg.Seed)
		require.Equal(t, sim.Full, cfg.Fidelity)
		want, err := m.setup.Deal(c.Partition, 6, c.Seed)
		require.NoError(t, err)
		require.Equal(t, want, cfg.Partition)
		require.Equal(t, c.Attack, cfg.Adversary.Attack.String())
		require.Equal(t, map[bool]float64{true: 0, false: c.Byzantine}[c.Attack == "none"], cfg.Adversary.Byzantine)
		require.Equal(t, map[string]float64{"slow": 0.5}[c.Defence], cfg.Plan.Training.WorkerMomentum)
		f := 0
		if c.Defence == "slow" {
			f = map[float64]int{0.2: 1, 0.4: 2}[c.Byzantine]
		}
		require.Equal(t, f, cfg.Plan.Aggregation.F)
		require.Nil(t, cfg.Stopwatch)
	}
	base, err := m.literal.Plan.Format()
	require.NoError(t, err)
	require.NotContains(t, base, "worker_momentum", "the base plan was written to")
}

func TestADigestChangesWithEverythingThatTheResultDependsOn(t *testing.T) {
	first := func(text string, s Setup) string {
		l, err := Parse("matrix.yaml", strings.NewReader(text))
		require.NoError(t, err)
		m, err := New(l, s)
		require.NoError(t, err)
		return m.Cells()[2].Digest() // under attack
	}
	want := first(small, setup(t))
	require.Len(t, want, 64)
	require.Equal(t, want, first(changed(t, "name: plain mean", "name: another name"), setup(t)), "a name decides nothing")
	seen := map[string]string{want: "as it is"}
	note := func(what, digest string) {
		require.Empty(t, seen[digest], what)
		seen[digest] = what
	}
	for _, c := range [][2]string{{"seeds: [1, 2]", "seeds: [3, 2]"}, {"clip_norm: 10", "clip_norm: 11"}, {"byzantine: [0.2]", "byzantine: [0.4]"}, {"sign-flip", "sign-flip:scale=2"},
		{"partitions: [iid, \"gamma:0\"]", "partitions: [\"gamma:0\"]"}, {"clients: 6", "clients: 7"}, {"clients: 6", "clients: 6\nlast: 2"}, {"clients: 6", "clients: 6\nfidelity: fast"},
		{"{name: plain mean, rule: mean}", "{name: m, rule: mean, worker_momentum: 0.1}"}, {"count: 6", "count: 7"}} {
		note(c[1], first(changed(t, c[0], c[1]), setup(t)))
	}
	other := setup(t)
	other.Test = points(t, 31)
	note("test data", first(small, other))
	other = setup(t)
	other.Train = other.Test
	note("training data", first(small, other))
}

func TestWithoutAttackTheShareOfAttackersMakesNoDifference(t *testing.T) {
	m := must(t, changed(t, "[0.2]", "[0.2, 0.4]"))
	digests := map[string]map[string]bool{}
	for _, c := range m.Cells() {
		if digests[c.Attack] == nil {
			digests[c.Attack] = map[string]bool{}
		}
		digests[c.Attack][c.Digest()] = true
	}
	require.Len(t, digests["none"], 8)
	require.Len(t, digests["sign-flip"], 16)
}

func TestEveryCellIsCheckedBeforeAnythingRunsAndEachRefusedOneNamed(t *testing.T) {
	m := must(t, changed(t, "name: slow, rule: mean", "name: slow, rule: no-such-rule"))
	err := m.Refusals()
	require.ErrorIs(t, err, ErrRefused)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 8)
	require.Contains(t, lines[0], "slow, none, iid, 0.2 Byzantine, seed 1: cell is refused")
	require.Contains(t, lines[0], "no-such-rule")
	for _, c := range [][2]string{{"count: 6", "count: 4"}, {"architecture: softmax", "architecture: hardmax"}, {"size: 6, minimum: 5", "size: 60, minimum: 7"}} {
		require.ErrorIs(t, must(t, changed(t, c[0], c[1])).Refusals(), ErrRefused, c[1])
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small)
	f.Add("schema: choir.matrix/1\nplan: {a: b}\n")
	f.Add("plan:\n- a\n")
	f.Add("defences: [{f: byzantine, parameters: {a: [1]}}]")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		l, err := Parse("m", strings.NewReader(text))
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.Equal(t, Schema, l.Schema)
	})
}
