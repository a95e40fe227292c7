package robust

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// setA is the input of the documentation and the tests of ByzFL; golden values of it are
// theirs (reference, section 4.1).
var setA = [][]float64{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}

// setB was run through ByzFL's numpy path with f = 2, except where a case says otherwise
// (reference, section 4.3).
var setB = [][]float64{
	{1, .5, -.2, 2}, {1.1, .4, -.1, 1.8}, {.9, .6, -.4, 2.1}, {1.3, .3, .1, 1.7}, {.8, .7, -.3, 2.4},
	{-5, 4, 3, -6}, {6, -7, -2.5, 8},
}

// apply combines rows by a rule that a test knows to be right.
func apply(t *testing.T, s Spec, rows [][]float64, in Input) ([]float64, Outcome) {
	t.Helper()
	rule, err := s.Check()
	require.NoError(t, err)
	in.Vectors, err = Float64(rows)
	require.NoError(t, err)
	dst := make([]float64, len(rows[0]))
	out, err := rule.Combine(dst, in)
	require.NoError(t, err)
	return dst, out
}

type parameters = map[string]string

func TestGoldenVectors(t *testing.T) {
	flower := func(x ...float64) (rows [][]float64) { // four equal coordinates, reference 4.2
		for _, y := range x {
			rows = append(rows, []float64{y, y, y, y})
		}
		return rows
	}
	honest := []float64{1.02, .5, -.18, 2}
	for name, c := range map[string]struct {
		spec Spec
		rows [][]float64
		want []float64
	}{
		"A/mean":              {Spec{Rule: "mean"}, setA, []float64{4, 5, 6}},
		"A/median":            {Spec{Rule: "median", F: 1}, setA, []float64{4, 5, 6}},
		"A/trimmed-mean":      {Spec{Rule: "trimmed-mean", F: 1}, setA, []float64{4, 5, 6}},
		"A/geometric-median":  {Spec{Rule: "geometric-median", F: 1, Compat: "byzfl"}, setA, []float64{3.78788764, 4.78788764, 5.78788764}},
		"A/krum":              {Spec{Rule: "krum", F: 1, Compat: "byzfl"}, setA, []float64{1, 2, 3}},
		"A/krum by option":    {Spec{Rule: "krum", F: 1, Parameters: parameters{"neighbours": "byzfl"}}, setA, []float64{1, 2, 3}},
		"A/multi-krum":        {Spec{Rule: "multi-krum", F: 1, Compat: "byzfl"}, setA, []float64{2.5, 3.5, 4.5}},
		"A/centered-clipping": {Spec{Rule: "centered-clipping", F: 1, Compat: "byzfl"}, setA, []float64{4, 5, 6}},
		"A/mda":               {Spec{Rule: "mda", F: 1}, setA, []float64{2.5, 3.5, 4.5}},
		"A/monna":             {Spec{Rule: "monna", F: 1, Parameters: parameters{"pivot": "1"}}, setA, []float64{2.5, 3.5, 4.5}},
		"A/meamed":            {Spec{Rule: "meamed", F: 1}, setA, []float64{2.5, 3.5, 4.5}},
		"A/caf":               {Spec{Rule: "caf", F: 1}, setA, []float64{4, 5, 6}},
		"A/smea":              {Spec{Rule: "smea", F: 1}, setA, []float64{2.5, 3.5, 4.5}},
		"A/clip, nnm, trimmed-mean": {Spec{Rule: "trimmed-mean", F: 1, Pre: []string{"clip:2", "nnm"}}, setA,
			[]float64{.95841302, 1.14416941, 1.3299258}},
		"A/sign flip, trimmed-mean": {Spec{Rule: "trimmed-mean", F: 1}, append(setA[:3:3], []float64{-4, -5, -6}), []float64{2.5, 3.5, 4.5}},

		"Flower/krum":       {Spec{Rule: "krum", F: 1, Compat: "flower"}, flower(.2, .7, 1), flower(.7)[0]},
		"Flower/multi-krum": {Spec{Rule: "multi-krum", F: 1, Compat: "flower", Parameters: parameters{"keep": "2"}}, flower(.2, .5, 1), flower(.35)[0]},
		"Flower/bulyan":     {Spec{Rule: "bulyan", F: 1, Compat: "flower"}, flower(.2, .5, .7, 12), flower(.2)[0]},

		"B/mean":         {Spec{}, setB, []float64{.8714285714, -.0714285714, -.0571428571, 1.7142857143}},
		"B/median":       {Spec{Rule: "median", F: 2}, setB, []float64{1, .5, -.2, 2}},
		"B/trimmed-mean": {Spec{Rule: "trimmed-mean", F: 2}, setB, []float64{1, .5, -.2, 1.9666666667}},
		"B/geometric-median": {Spec{Rule: "geometric-median", F: 2, Compat: "byzfl"}, setB,
			[]float64{1.0273838544, .4622159129, -.1696724347, 1.9463096805}},
		"B/krum, byzfl":        {Spec{Rule: "krum", F: 2, Compat: "byzfl"}, setB, []float64{1, .5, -.2, 2}},
		"B/krum":               {Spec{Rule: "krum", F: 2}, setB, []float64{1, .5, -.2, 2}},
		"B/multi-krum":         {Spec{Rule: "multi-krum", F: 2, Compat: "byzfl"}, setB, honest},
		"B/mda":                {Spec{Rule: "mda", F: 2}, setB, honest},
		"B/monna":              {Spec{Rule: "monna", F: 2}, setB, honest},
		"B/meamed":             {Spec{Rule: "meamed", F: 2}, setB, honest},
		"B/smea":               {Spec{Rule: "smea", F: 2}, setB, honest},
		"B/nnm, trimmed":       {Spec{Rule: "trimmed-mean", F: 2, Pre: []string{"nnm"}}, setB, honest},
		"B/nnm, median":        {Spec{Rule: "median", F: 2, Pre: []string{"nnm"}}, setB, honest},
		"B/nnm, krum":          {Spec{Rule: "krum", F: 2, Pre: []string{"nnm"}, Compat: "byzfl"}, setB, honest},
		"B/arc, nnm":           {Spec{Rule: "trimmed-mean", F: 2, Pre: []string{"arc", "nnm"}}, setB, honest},
		"B/dnc, by definition": {Spec{Rule: "dnc", F: 2}, setB, honest},
		"B/caf, by definition": {Spec{Rule: "caf", F: 2}, setB, []float64{1.0034989689, .5038409866, -.2121592488, 1.995504302}},
		"B/centered-clipping, one step": {Spec{Rule: "centered-clipping", F: 2, Parameters: parameters{"tau": "1", "iterations": "1"}}, setB,
			[]float64{.3097586987, .132440387, -.0349869905, .6104034272}},
		"B/centered-clipping, three": {Spec{Rule: "centered-clipping", F: 2, Parameters: parameters{"tau": "1", "iterations": "3"}}, setB,
			[]float64{.8863832624, .3761286172, -.1285972999, 1.7101496061}},
		"B/nnm, geometric-median": {Spec{Rule: "geometric-median", F: 2, Pre: []string{"nnm"}, Compat: "byzfl"}, setB,
			[]float64{1.0186804915, .4924837094, -.1778385384, 1.995473871}},
		"B/clipped mean, by definition": {Spec{Rule: "mean", Pre: []string{"clip:2.3958297101"}}, setB,
			[]float64{.6982027343, .3031716582, -.0825300376, 1.3949387696}},
		"B/bulyan f=1, by definition": {Spec{Rule: "bulyan", F: 1}, setB, []float64{1, .5, -.2, 1.9666666667}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := apply(t, c.spec, c.rows, Input{})
			tolerance := 1e-9
			if name[0] == 'A' && c.want[0] != float64(int(c.want[0]*2))/2 {
				tolerance = 1e-8 // printed with eight decimals
			}
			require.InDeltaSlice(t, c.want, got, tolerance)
		})
	}
}

// sceneOf is a scene of vectors in float64.
func sceneOf(t *testing.T, rows [][]float64) *scene {
	t.Helper()
	v, err := Float64(rows)
	require.NoError(t, err)
	return newScene(Input{Vectors: v})
}

// mixedRows applies a map to vectors, value by value.
func mixedRows(m mixing, rows [][]float64) [][]float64 {
	out := make([][]float64, m.len())
	for i := range out {
		out[i] = make([]float64, len(rows[0]))
		for j, a := range m.row(i) {
			for k, x := range rows[j] {
				out[i][k] += a * x
			}
		}
	}
	return out
}

func TestGoldenRowsOfPreaggregators(t *testing.T) {
	for name, c := range map[string]struct {
		pre       preaggregator
		in, want  [][]float64
		tolerance float64
	}{
		"A/nnm": {nnm(1), setA, [][]float64{{2.5, 3.5, 4.5}, {2.5, 3.5, 4.5}, {5.5, 6.5, 7.5}}, 1e-9},
		"A/clip": {clip(2), setA, [][]float64{{.53452248, 1.06904497, 1.60356745}, {.91168461, 1.13960576, 1.36752692},
			{1.00514142, 1.14873305, 1.29232469}}, 1e-8},
		"A/arc": {arc(1), setA, [][]float64{{1, 2, 3}, {4, 5, 6}, {4.41004009, 5.04004582, 5.67005155}}, 1e-8},
		"B/nnm": {nnm(2), setB, [][]float64{{1.02, .5, -.18, 2}, {1.02, .5, -.18, 2}, {1.02, .5, -.18, 2}, {1.02, .5, -.18, 2},
			{1.02, .5, -.18, 2}, nil, {2.04, -1.02, -.6, 3.18}}, 1e-9},
	} {
		t.Run(name, func(t *testing.T) {
			s := sceneOf(t, c.in)
			rows, err := c.pre.rows(s)
			require.NoError(t, err)
			s.mix(rows)
			got := mixedRows(s.mixed, c.in)
			for i, want := range c.want {
				if want != nil { // the reference does not print r5
					require.InDeltaSlice(t, want, got[i], c.tolerance)
				}
			}
			again := sceneOf(t, got).gram()
			require.InDeltaSlice(t, again.at, s.gram().at, 1e-9, "A G A^T")
		})
	}
}

func TestGoldenInnards(t *testing.T) {
	g := sceneOf(t, setB).gram()
	require.InDeltaSlice(t, []float64{2.3, 2.149418526, 2.3958297101, 2.1633307653, 2.6419689627, 9.2736184955, 12.4599357944}, g.norms(), 1e-9)
	none := make([]bool, 7)
	require.InDeltaSlice(t, []float64{.70, 1.01, 1.11, 2.13, 2.01, 487.73, 489.87}, scores(g, ranked(g), none, neighbours{f: 2, byzfl: true}.of(7)), 1e-9)
	require.InDeltaSlice(t, []float64{.39, .43, .45, 1.07, .95, 364.19, 366.90}, scores(g, ranked(g), none, neighbours{f: 2}.of(7)), 1e-9)
	require.Equal(t, []int{0, 1, 2, 3, 4}, successive(g, neighbours{f: 1, least: 1}, 5))
	_, spread, err := leastSpread(g, 5)
	require.NoError(t, err)
	require.InDelta(t, .1309934476, spread, 1e-9)
	_, least, iterations, err := covarianceFilter(g, 2)
	require.NoError(t, err)
	require.InDelta(t, .0783909009, least, 1e-9)
	require.Equal(t, 31, iterations)
	first, err := principal(g, scaled(ones(7)))
	require.NoError(t, err)
	require.InDelta(t, 33.4478193406, first.value, 1e-9)
	// FoolsGold lets the outliers through and none of the honest (reference, section 1.2).
	w, err := unlike(g)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{0, 0, 0, 0, 0, .48, 1}, []float64{w[0], w[1], w[2], w[3], w[4], min(w[5], w[6]) / max(w[5], w[6]), 1}, 5e-3)
}
