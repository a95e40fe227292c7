package robust

import (
	"bytes"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// everyRule is each rule of the table, set for f = 3, alone and after pre-aggregators.
func everyRule() (out []Spec) {
	for _, info := range Rules() {
		s := Spec{Rule: info.Name, F: 3}
		if info.Name == "dnc" {
			s.Parameters = parameters{"subsample": "40", "rounds": "2"}
		}
		out = append(out, s)
		s.Pre = []string{"arc", "clip:20", "nnm"}
		out = append(out, s)
	}
	return append(out, Spec{Rule: "krum", F: 1, Pre: []string{"bucketing:2"}}, Spec{Rule: "median", F: 1, Pre: []string{"bucketing:2", "nnm"}})
}

// inputFor is n rows, three of them far off, and everything that any rule asks for.
func inputFor(n, d int) ([][]float64, Input) {
	r := rand.New(rand.NewPCG(7, 7))
	draw := func(scale float64) []float64 {
		row := make([]float64, d)
		for j := range row {
			row[j] = 0.3 + scale*r.NormFloat64()
		}
		return row
	}
	var rows [][]float64
	for i := range n {
		rows = append(rows, draw(1+9*float64(max(0, 3-i))))
	}
	return rows, Input{Reference: draw(0.1), Root: draw(0.5), Coins: rand.NewChaCha8([32]byte{1})}
}

func narrow(rows [][]float64) [][]float32 {
	out := make([][]float32, len(rows))
	for i, row := range rows {
		for _, x := range row {
			out[i] = append(out[i], float32(x))
		}
	}
	return out
}

func TestResultsDoNotDependOnHowEachRunsNorOnWhereVectorsLie(t *testing.T) {
	rows, in := inputFor(16, 3*chunk+5)
	single := narrow(rows)
	shifted := make([][]float32, len(single))
	for i, row := range single { // 0 to 3 values off a word of 16 bytes
		shifted[i] = append(make([]float32, i%4, i%4+len(row)), row...)[i%4:]
	}
	backwards := func(n int, do func(int)) {
		for i := range n {
			do(n - 1 - i)
		}
	}
	v32, err := Float32(single)
	require.NoError(t, err)
	moved, err := Float32(shifted)
	require.NoError(t, err)
	v64, err := Float64(rows)
	require.NoError(t, err)
	for _, s := range everyRule() {
		rule, err := s.Check()
		require.NoError(t, err)
		run := func(v Vectors, each func(int, func(int))) ([]float64, Outcome) {
			in := in
			in.Vectors, in.Each, in.Coins = v, each, rand.NewChaCha8([32]byte{1})
			dst := make([]float64, v.Dim())
			out, err := rule.Combine(dst, in)
			require.NoError(t, err, s)
			return dst, out
		}
		for _, v := range []Vectors{v32, v64} {
			want, outcome := run(v, nil)
			for _, each := range []func(int, func(int)){serially, backwards, workers} {
				got, out := run(v, each)
				require.Equal(t, want, got, s)
				require.Equal(t, outcome, out, s)
			}
		}
		want, outcome := run(v32, nil)
		got, out := run(moved, nil)
		require.Equal(t, want, got, s)
		require.Equal(t, outcome, out, s)
		// Single precision changes nothing but the last digits of inner products.
		double, exact := run(v64, nil)
		require.InDeltaSlice(t, double, want, 1e-4, s)
		require.Equal(t, exact.Excluded, outcome.Excluded, s)
	}
}

func TestInnerProductsOfSinglePrecisionAreThoseOfDoublePrecision(t *testing.T) {
	rows, _ := inputFor(12, chunk+100)
	for _, row := range rows[6:] { // close together, far from zero
		for j := range row {
			row[j] = 5 + row[j]*1e-3
		}
	}
	rows[11] = slices.Clone(rows[10])
	for j := range rows[0] {
		rows[0][j], rows[1][j] = rows[0][j]*1e-24, rows[1][j]*1e-24
	}
	single := narrow(rows)
	wide := make([][]float64, len(rows))
	for i, row := range single {
		for _, x := range row {
			wide[i] = append(wide[i], float64(x))
		}
	}
	v, err := Float32(single)
	require.NoError(t, err)
	g := v.gram(nil)
	for i, a := range wide {
		for j, b := range wide {
			dot, distance := 0., 0.
			for k := range a {
				dot += a[k] * b[k]
				distance += (a[k] - b[k]) * (a[k] - b[k])
			}
			require.InDelta(t, dot, g.dot(i, j), 1e-6*math.Sqrt(g.dot(i, i)*g.dot(j, j)))
			require.InEpsilon(t, distance+1e-300, g.distance(i, j)+1e-300, 1e-4, "%d %d", i, j)
		}
	}
	require.Zero(t, g.distance(10, 11))
}

func TestResultsFollowThePlacesOfTheVectors(t *testing.T) {
	rows, in := inputFor(16, 50)
	order := rand.New(rand.NewPCG(1, 2)).Perm(16)
	moved := make([][]float64, 16)
	for i, to := range order {
		moved[to] = rows[i]
	}
	for _, s := range everyRule() {
		if s.Rule == "monna" || s.Rule == "dnc" || slices.Contains(s.Pre, "bucketing:2") {
			continue // a place or coins decide
		}
		want, outcome := apply(t, s, rows, in)
		got, out := apply(t, s, moved, in)
		require.InDeltaSlice(t, want, got, 1e-9, s)
		for i, to := range order {
			if outcome.Weights != nil {
				require.InDelta(t, outcome.Weights[i], out.Weights[to], 1e-9, s)
			}
			require.Equal(t, slices.Contains(outcome.Excluded, i), slices.Contains(out.Excluded, to), s)
		}
	}
}

func TestWeightsReproduceTheResult(t *testing.T) {
	rows, in := inputFor(16, 50)
	weighed := 0
	for _, s := range everyRule() {
		got, out := apply(t, s, rows, in)
		if out.Weights == nil {
			continue
		}
		weighed++
		want := make([]float64, 50)
		carried := in.Reference
		for j := range want {
			want[j] = out.Carried * carried[j]
			for i, w := range out.Weights {
				want[j] += w * rows[i][j]
			}
		}
		require.InDeltaSlice(t, want, got, 1e-12, s)
		if s.Rule != "fltrust" && s.Rule != "flame" && s.Pre == nil {
			require.InDelta(t, 1, total(out.Weights)+out.Carried, 1e-12, s)
		}
		for i, w := range out.Weights {
			require.GreaterOrEqual(t, w, 0., s)
			require.Equal(t, w == 0, slices.Contains(out.Excluded, i), s)
		}
	}
	require.Greater(t, weighed, 24)
}

func TestBulyanNamesWhomItDidNotChoose(t *testing.T) {
	_, out := apply(t, Spec{Rule: "bulyan", F: 1}, setB, Input{})
	require.Nil(t, out.Weights)
	require.Equal(t, []int{5, 6}, out.Excluded)
}

func TestANumberThatARuleDoesNotWithstandIsRefused(t *testing.T) {
	for _, c := range []struct {
		spec  Spec
		least int // the smallest n that is admitted
	}{
		{Spec{Rule: "median", F: 2}, 5}, {Spec{Rule: "trimmed-mean", F: 2}, 5}, {Spec{Rule: "meamed", F: 2}, 5},
		{Spec{Rule: "krum", F: 2}, 7}, {Spec{Rule: "krum", F: 2, Compat: "byzfl"}, 5}, {Spec{Rule: "krum", F: 2, Compat: "flower"}, 5},
		{Spec{Rule: "krum", Compat: "byzfl"}, 2}, {Spec{Rule: "multi-krum", F: 2}, 7},
		{Spec{Rule: "multi-krum", F: 2, Parameters: parameters{"keep": "9"}}, 11},
		{Spec{Rule: "bulyan", F: 2}, 11}, {Spec{Rule: "bulyan", F: 2, Compat: "flower"}, 5},
		{Spec{Rule: "geometric-median", F: 2}, 5}, {Spec{Rule: "mda", F: 2}, 5}, {Spec{Rule: "smea", F: 2}, 5}, {Spec{Rule: "caf", F: 2}, 5},
		{Spec{Rule: "monna", F: 2}, 5}, {Spec{Rule: "monna", F: 2, Parameters: parameters{"pivot": "7"}}, 8},
		{Spec{Rule: "centered-clipping", F: 2}, 5}, {Spec{Rule: "fltrust", F: 2}, 3}, {Spec{Rule: "flame", F: 2}, 5},
		{Spec{Rule: "dnc", F: 2}, 5}, {Spec{Rule: "dnc", F: 2, Parameters: parameters{"c": "2.3", "rounds": "2", "subsample": "2"}}, 11},
		{Spec{Rule: "foolsgold"}, 2}, {Spec{Rule: "foolsgold", F: 3}, 4},
		{Spec{Rule: "mean", F: 2, Pre: []string{"nnm"}}, 5}, {Spec{Rule: "mean", F: 2, Pre: []string{"arc"}}, 5},
		{Spec{Rule: "median", F: 2, Pre: []string{"bucketing:3"}}, 13}, {Spec{Rule: "mean", Pre: []string{"clip:1"}}, 1},
	} {
		rule, err := c.spec.Check()
		require.NoError(t, err)
		require.ErrorIs(t, rule.Admits(c.least-1), ErrPrecondition, c.spec)
		require.NoError(t, rule.Admits(c.least), c.spec)
		require.ErrorIs(t, rule.Admits(MaxVectors+1), ErrTooMany, c.spec)
		if c.least == 1 {
			continue
		}
		rows, in := inputFor(c.least-1, 4)
		in.Vectors, err = Float64(rows)
		require.NoError(t, err)
		dst := []float64{1, 2, 3, 4}
		_, err = rule.Combine(dst, in)
		require.ErrorIs(t, err, ErrPrecondition, c.spec)
		require.Equal(t, []float64{1, 2, 3, 4}, dst, "a refusal leaves no mean behind")
	}
}

func TestRulesThatLookAtTooManySubsetsAreRefused(t *testing.T) {
	for _, c := range []struct {
		rule    string
		f, most int
	}{{"mda", 12, 25}, {"smea", 5, 25}, {"mda", 1, 958}, {"smea", 1, 144}, {"smea", 0, 751}, {"caf", 2, mostFiltered}} {
		rule, err := Spec{Rule: c.rule, F: c.f}.Check()
		require.NoError(t, err)
		require.NoError(t, rule.Admits(c.most))
		err = rule.Admits(c.most + 1)
		require.ErrorIs(t, err, ErrTooMany)
		require.ErrorContains(t, err, "combine fewer vectors")
	}
}

func TestARuleRefusesWithoutWhatItNeeds(t *testing.T) {
	rows := [][]float64{{1, 2}, {2, 1}, {1, 1}, {-1, 0}, {0, 3}}
	v, err := Float64(rows)
	require.NoError(t, err)
	two, err := Float64(rows[:2])
	require.NoError(t, err)
	alike, err := Float64([][]float64{{1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}})
	require.NoError(t, err)
	dnc := Spec{Rule: "dnc", Parameters: parameters{"subsample": "1"}}
	for name, c := range map[string]struct {
		spec Spec
		in   Input
		want error
	}{
		"no root":                  {Spec{Rule: "fltrust"}, Input{}, ErrMissing},
		"short root":               {Spec{Rule: "fltrust"}, Input{Root: []float64{1}}, ErrInput},
		"root of zero":             {Spec{Rule: "fltrust"}, Input{Root: []float64{0, 0}}, ErrInput},
		"root that is not finite":  {Spec{Rule: "fltrust"}, Input{Root: []float64{0, math.Inf(1)}}, ErrNotFinite},
		"root nobody agrees with":  {Spec{Rule: "fltrust"}, Input{Root: []float64{0, -1}}, ErrNoneLeft},
		"short reference":          {Spec{Rule: "centered-clipping"}, Input{Reference: []float64{1, 2, 3}}, ErrInput},
		"reference not a number":   {Spec{Rule: "centered-clipping"}, Input{Reference: []float64{math.NaN(), 1}}, ErrNotFinite},
		"bucketing without coins":  {Spec{Rule: "median", Pre: []string{"bucketing:2"}}, Input{}, ErrMissing},
		"bucketing with few coins": {Spec{Rule: "median", Pre: []string{"bucketing:2"}}, Input{Coins: bytes.NewReader(make([]byte, 39))}, ErrMissing},
		"sampling without coins":   {dnc, Input{}, ErrMissing},
		"past of others":           {Spec{Rule: "foolsgold"}, Input{Past: &two}, ErrInput},
		"past of copies":           {Spec{Rule: "foolsgold"}, Input{Past: &alike}, ErrNoneLeft},
		"no vectors":               {Spec{Rule: "median"}, Input{Vectors: Vectors{f64: [][]float64{}}}, ErrInput},
		"result of another length": {Spec{Rule: "median"}, Input{Vectors: Vectors{f64: [][]float64{{1, 2, 3}}}}, ErrInput},
	} {
		t.Run(name, func(t *testing.T) {
			rule, err := c.spec.Check()
			require.NoError(t, err)
			if c.in.Vectors.f64 == nil {
				c.in.Vectors = v
			}
			_, err = rule.Combine(make([]float64, 2), c.in)
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestNearestNeighbourMixingNeedsLittleMemory(t *testing.T) {
	n, d := 60, 40_000
	v, err := Float32(draws(n, d, 1))
	require.NoError(t, err)
	rule, err := Spec{Rule: "krum", F: 10, Pre: []string{"nnm"}}.Check()
	require.NoError(t, err)
	dst := make([]float64, d)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = rule.Combine(dst, Input{Vectors: v})
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4*n*d*5/4), "n x n x d would be sixty times the input")
}

func TestConcurrentUseOfOneRule(t *testing.T) {
	rows, in := inputFor(16, 50)
	for _, s := range everyRule()[:12] {
		rule, err := s.Check()
		require.NoError(t, err)
		want, _ := apply(t, s, rows, in)
		workers(4, func(int) {
			v, _ := Float64(rows)
			in := in
			in.Vectors, in.Coins = v, rand.NewChaCha8([32]byte{1})
			dst := make([]float64, 50)
			if _, err := rule.Combine(dst, in); err != nil || !slices.Equal(want, dst) {
				t.Errorf("%v: %v", s, err)
			}
		})
	}
}
