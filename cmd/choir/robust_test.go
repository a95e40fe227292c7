package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/robust"
)

// setB are the vectors of section 4.3 of the reference on robust aggregation.
const setB = "1,.5,-.2,2\n1.1,.4,-.1,1.8\n.9,.6,-.4,2.1\n1.3,.3,.1,1.7\n.8,.7,-.3,2.4\n-5,4,3,-6\n6,-7,-2.5,8\n"

// robustDir is a directory with files of vectors.
func robustDir(t *testing.T) string {
	dir := t.TempDir()
	for name, text := range map[string]string{"b.csv": setB, "root.csv": "1,.5,-.2,2\n", "short.csv": "1,2\n", "nan.csv": "1,2\nNaN,3\n", "uneven.csv": "1,2\n3\n", "empty.csv": "",
		"text.csv": "a,b\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "half.npy"), npy(1, npyDict("<f2", "False", "(1, 4)"), []float64{1}), 0o600))
	return dir
}

// namedFile is a file of robustDir in a command line.
var namedFile = regexp.MustCompile(`\w+\.(csv|npy)`)

// robustly runs a line of choir robust, with files from a directory.
func robustly(t *testing.T, dir, line string) outcome {
	t.Helper()
	line = namedFile.ReplaceAllStringFunc(line, func(name string) string { return filepath.Join(dir, name) })
	var out, errOut bytes.Buffer
	code := run(t.Context(), append([]string{"robust"}, strings.Fields(line)...), nil, &out, &errOut)
	return outcome{code, out.String(), errOut.String()}
}

// applied runs a line of choir robust apply and parses its document.
func applied(t *testing.T, dir, line string) robustDocument {
	t.Helper()
	o := robustly(t, dir, "apply --json "+line)
	require.Equal(t, 0, o.code, o.errOut)
	require.Empty(t, o.errorLines())
	require.NotContains(t, o.out, `"excluded":null`)
	dec := json.NewDecoder(strings.NewReader(o.out))
	dec.DisallowUnknownFields()
	var d robustDocument
	require.NoError(t, dec.Decode(&d), o.out)
	require.Equal(t, "choir.robust/1", d.Schema)
	return d
}

func TestRobustApplyPrintsWhatTheRuleMakesOfAFile(t *testing.T) {
	t.Parallel()
	dir := robustDir(t)
	for line, want := range map[string]robustDocument{
		"--rule mean --f 0":                                           {Result: []float64{.8714285714, -.0714285714, -.0571428571, 1.7142857143}, Weights: []float64{1. / 7, 1. / 7, 1. / 7, 1. / 7, 1. / 7, 1. / 7, 1. / 7}},
		"--rule median --f 2":                                         {Result: []float64{1, .5, -.2, 2}},
		"--rule trimmed-mean --f 2":                                   {Result: []float64{1, .5, -.2, 1.9666666667}},
		"--rule bulyan --f 1":                                         {Result: []float64{1, .5, -.2, 1.9666666667}, Excluded: []int{5, 6}},
		"--rule krum --f 2":                                           {Result: []float64{1, .5, -.2, 2}, Weights: []float64{1, 0, 0, 0, 0, 0, 0}, Excluded: []int{1, 2, 3, 4, 5, 6}},
		"--rule multi-krum --f 2 --param keep=1":                      {Result: []float64{1, .5, -.2, 2}, Weights: []float64{1, 0, 0, 0, 0, 0, 0}, Excluded: []int{1, 2, 3, 4, 5, 6}},
		"--rule trimmed-mean --f 2 --pre arc,nnm":                     {Result: []float64{1.02, .5, -.18, 2}},
		"--rule trimmed-mean --f 2 --pre arc --pre nnm":               {Result: []float64{1.02, .5, -.18, 2}},
		"--rule centered-clipping --f 2 --compat byzfl --param tau=1": {Result: []float64{.3097586987, .132440387, -.0349869905, .6104034272}},
	} {
		d := applied(t, dir, line+" --in b.csv")
		require.InDeltaSlice(t, want.Result, d.Result, 1e-9, line)
		require.Equal(t, append([]int{}, want.Excluded...), d.Excluded, line)
		if !strings.Contains(line, "centered") {
			require.Equal(t, want.Weights == nil, d.Weights == nil, line)
			require.InDeltaSlice(t, append([]float64{}, want.Weights...), append([]float64{}, d.Weights...), 1e-15, line)
		}
		require.Zero(t, d.Seconds)
	}
	require.Positive(t, applied(t, dir, "--rule krum --f 2 --in b.csv --time 2").Seconds)
}

func TestRobustApplyReadsTheFilesThatParametersName(t *testing.T) {
	t.Parallel()
	dir := robustDir(t)
	d := applied(t, dir, "--rule fltrust --f 2 --in b.csv --param root=root.csv")
	require.Positive(t, d.Weights[0])
	require.Zero(t, d.Weights[5], "it points away from the root update")
	// From the vector that most others are near, little is clipped away.
	from := applied(t, dir, "--rule centered-clipping --f 2 --in b.csv --param tau=1 --param reference=root.csv")
	require.InDelta(t, 1, from.Result[0], 0.1)
	require.Positive(t, from.Carried)
	require.Equal(t, applied(t, dir, "--rule foolsgold --f 2 --in b.csv").Weights, applied(t, dir, "--rule foolsgold --f 2 --in b.csv --param past=b.csv").Weights)
}

func TestWhatRulesDrawDependsOnTheSeedAlone(t *testing.T) {
	t.Parallel()
	dir := robustDir(t)
	line := "--rule median --f 1 --pre bucketing:2 --in b.csv"
	first := applied(t, dir, line)
	require.Equal(t, first, applied(t, dir, line+" --seed 1"))
	var others int
	for _, seed := range []string{"2", "3", "4"} {
		if d := applied(t, dir, line+" --seed "+seed); d.Result[0] != first.Result[0] {
			others++
		}
	}
	require.Positive(t, others)
}

func TestRobustApplyWithoutJSONPrintsEveryDigit(t *testing.T) {
	t.Parallel()
	dir := robustDir(t)
	o := robustly(t, dir, "apply --rule mean --f 0 --in b.csv")
	require.Equal(t, 0, o.code)
	require.Contains(t, o.errOut, "warning: mean: it withstands nobody")
	_, line, ok := strings.Cut(o.out, "result    ")
	require.True(t, ok, o.out)
	for i, text := range strings.Split(strings.TrimSpace(line), ",") {
		x, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err)
		require.Equal(t, applied(t, dir, "--rule mean --f 0 --in b.csv").Result[i], x)
	}
	o = robustly(t, dir, "apply --rule bulyan --f 1 --in b.csv")
	require.Regexp(t, `(?m)^weights +none: `, o.out)
	require.Regexp(t, `(?m)^excluded +5,6$`, o.out)
	o = robustly(t, dir, "apply --rule centered-clipping --f 1 --in b.csv --param reference=root.csv --time 1")
	require.Regexp(t, `(?m)^excluded +none$`, o.out)
	require.Regexp(t, `(?m)^carried +[0-9]`, o.out)
	require.Regexp(t, `(?m)^seconds +[0-9]`, o.out)
}

func TestRobustApplyRefusesInOneLine(t *testing.T) {
	t.Parallel()
	dir := robustDir(t)
	for line, c := range map[string]struct {
		code int
		says []string
	}{
		"":                                                                         {2, []string{"--rule", "must be stated"}},
		"--rule krum --in b.csv":                                                   {2, []string{"--f", "must be stated"}},
		"--rule krum --f 2":                                                        {2, []string{"--in", "must be stated"}},
		"--rule krum --f 2 --in b.csv more":                                        {2, []string{"1 given"}},
		"--rule krum --f 2 --in b.csv --time=-1":                                   {2, []string{"--time -1"}},
		"--rule hope --f 2 --in b.csv":                                             {3, []string{`"hope"`}},
		"--rule krum --f=-1 --in b.csv":                                            {3, []string{"f -1"}},
		"--rule krum --f 3 --in b.csv":                                             {3, []string{"7 vectors", "f = 3"}},
		"--rule median --f 4 --in b.csv":                                           {3, []string{"7 vectors", "f = 4"}},
		"--rule rfa --f 0 --in b.csv":                                              {3, []string{"clients weigh their own updates", "choose geometric-median"}},
		"--rule krum --f 2 --in b.csv --pre hope":                                  {3, []string{`"hope"`}},
		"--rule krum --f 2 --in b.csv --compat hope":                               {3, []string{`"hope"`}},
		"--rule krum --f 2 --in b.csv --param tau=1":                               {3, []string{`"tau"`, "krum"}},
		"--rule krum --f 2 --in b.csv --param root=root.csv":                       {3, []string{`"root"`, "krum"}},
		"--rule dnc --f 2 --in b.csv --param c":                                    {2, []string{"--param c", "key=value"}},
		"--rule dnc --f 2 --in b.csv --param =1":                                   {2, []string{"--param =1", "key=value"}},
		"--rule dnc --f 2 --in b.csv --param c=1 --param c=2":                      {2, []string{"--param c=2", "twice"}},
		"--rule fltrust --f 2 --in b.csv --param root=root.csv --param root=b.csv": {2, []string{"--param root=", "b.csv", "twice"}},
		"--rule fltrust --f 2 --in b.csv":                                          {2, []string{"fltrust", "root update"}},
		"--rule fltrust --f 2 --in b.csv --param root=b.csv":                       {2, []string{"b.csv", "7 vectors", "one of 4"}},
		"--rule fltrust --f 2 --in b.csv --param root=short.csv":                   {2, []string{"short.csv", "1 vectors of 2"}},
		"--rule fltrust --f 2 --in b.csv --param root=none.csv":                    {2, []string{"none.csv", "no such file"}},
		"--rule foolsgold --f 2 --in b.csv --param past=root.csv":                  {2, []string{"past of 1"}},
		"--rule krum --f 0 --in none.csv":                                          {2, []string{"none.csv", "no such file"}},
		"--rule krum --f 0 --in nan.csv":                                           {2, []string{"nan.csv", "vector 1, coordinate 0: NaN"}},
		"--rule krum --f 0 --in uneven.csv":                                        {2, []string{"uneven.csv", "vector 1 has 1 values"}},
		"--rule krum --f 0 --in empty.csv":                                         {2, []string{"empty.csv", "0 vectors"}},
		"--rule krum --f 0 --in text.csv":                                          {2, []string{"text.csv", "line 1, column 1"}},
		"--rule krum --f 0 --in half.npy":                                          {2, []string{"half.npy", "<f2"}},
		"--rule krum --f 0 --in .":                                                 {2, []string{"not a regular file"}},
	} {
		o := robustly(t, dir, "apply "+line)
		require.Equal(t, c.code, o.code, "%s: %s", line, o.errOut)
		require.Empty(t, o.out, line)
		require.Len(t, o.errorLines(), 1, line)
		for _, says := range c.says {
			require.Contains(t, o.errOut, says, line)
		}
	}
}

func TestRobustListNamesEveryRule(t *testing.T) {
	t.Parallel()
	o := robustly(t, t.TempDir(), "list")
	require.Equal(t, 0, o.code)
	for _, info := range slices.Concat(robust.Rules(), robust.ByClients(), robust.Preaggregators()) {
		require.Contains(t, o.out, "\n"+info.Name+" ")
		require.Contains(t, o.out, info.Precondition)
		require.Contains(t, o.out, info.Warning)
		for _, p := range info.Parameters {
			require.Contains(t, o.out, p.Meaning)
		}
	}
}
