package robust

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// excess returns the largest of |F - mean_S|^2 / (kappa variance_S) over every subset S of
// n-f rows; the definition of (f, kappa)-robustness says it is at most 1 (Allouah et al.,
// AISTATS 2023, definition 2; reference, section 1.1).
func excess(result []float64, rows [][]float64, f int, kappa float64) float64 {
	n, most := len(rows), 0.
	largest := 0.
	for _, row := range rows {
		for _, x := range row {
			largest = max(largest, x*x)
		}
	}
	for set := range 1 << n {
		var members [][]float64
		for i := range n {
			if set>>i&1 == 1 {
				members = append(members, rows[i])
			}
		}
		if len(members) != n-f {
			continue
		}
		off, variance := 0., 0.
		for j, y := range result {
			mean := 0.
			for _, row := range members {
				mean += row[j] / float64(n-f)
			}
			off += (y - mean) * (y - mean)
			for _, row := range members {
				variance += (row[j] - mean) * (row[j] - mean) / float64(n-f)
			}
		}
		most = max(most, (off-1e-11*largest)/(kappa*variance+1e-300))
	}
	return most
}

// hostile draws n rows of d values in one of the shapes that rules stumble over.
func hostile(r *rand.Rand, n, f, d int) [][]float64 {
	rows := make([][]float64, n)
	shape, place := r.IntN(7), 10*r.NormFloat64()
	for i := range rows {
		rows[i] = make([]float64, d)
		for j := range rows[i] {
			x := r.NormFloat64()
			switch bad := i < f; {
			case shape == 0 && bad: // far off, each elsewhere
				x *= 100
			case shape == 1 && bad: // far off, all together
				x = 50
			case shape == 2 && bad: // just outside
				x = 1.5
			case shape == 3: // on a line
				x = rows[i][0]*float64(j) + float64(i*(1-min(j, 1)))
			case shape == 4: // few values, many ties
				x = float64(r.IntN(3))
			case shape == 5 && !bad: // honest ones nearly agree
				x *= 1e-3
			case shape == 6: // two camps
				x = x/10 + float64(i%2)
			}
			rows[i][j] = x
		}
		for j := range rows[i] {
			rows[i][j] += place
		}
	}
	r.Shuffle(n, func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

// worstExcess is the largest excess of a rule over many draws.
func worstExcess(t *testing.T, s Spec, n, f int, kappa float64) float64 {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(n), uint64(f)))
	most := 0.
	for range 150 {
		rows := hostile(r, n, f, 1+r.IntN(3))
		got, _ := apply(t, s, rows, Input{})
		most = max(most, excess(got, rows, f, kappa))
	}
	return most
}

// bound is a kappa as the reference, section 1.1, recalls it from Allouah et al.
type bound struct {
	spec Spec
	of   func(n, f float64) float64
}

func bounds() map[string]bound {
	trimmed := func(n, f float64) float64 { return 6 * f / (n - 2*f) * (1 + f/(n-2*f)) }
	krum := func(n, f float64) float64 { return 6 * (1 + f/(n-2*f)) }
	median := func(n, f float64) float64 { return 4 * (1 + f/(n-2*f)) * (1 + f/(n-2*f)) }
	mixed := func(inner func(n, f float64) float64) func(n, f float64) float64 {
		return func(n, f float64) float64 { return 8 * f / (n - f) * (1 + inner(n, f)) }
	}
	nnm := []string{"nnm"}
	return map[string]bound{
		"trimmed-mean":          {Spec{Rule: "trimmed-mean"}, trimmed},
		"krum":                  {Spec{Rule: "krum"}, krum},
		"krum, byzfl":           {Spec{Rule: "krum", Compat: "byzfl"}, krum},
		"median":                {Spec{Rule: "median"}, median},
		"geometric-median":      {Spec{Rule: "geometric-median"}, median},
		"smea":                  {Spec{Rule: "smea"}, func(n, f float64) float64 { return 4 * f / (n - f) * (1 + f/(n-2*f)) * (1 + f/(n-2*f)) }},
		"nnm, trimmed-mean":     {Spec{Rule: "trimmed-mean", Pre: nnm}, mixed(trimmed)},
		"nnm, krum, byzfl":      {Spec{Rule: "krum", Pre: nnm, Compat: "byzfl"}, mixed(krum)},
		"nnm, median":           {Spec{Rule: "median", Pre: nnm}, mixed(median)},
		"nnm, geometric-median": {Spec{Rule: "geometric-median", Pre: nnm}, mixed(median)},
	}
}

func TestNoSubsetRefutesTheBoundOfARule(t *testing.T) {
	for name, b := range bounds() {
		for _, size := range [][2]int{{4, 1}, {5, 1}, {5, 2}, {7, 2}, {7, 3}, {9, 2}, {9, 4}} {
			n, f := size[0], size[1]
			b.spec.F = f
			rule, err := b.spec.Check()
			require.NoError(t, err)
			if rule.Admits(n) != nil {
				require.Equal(t, "krum", name, "only original Krum asks for more than n > 2f")
				require.LessOrEqual(t, n, 2*f+2)
				continue
			}
			t.Run(fmt.Sprintf("%s/n=%d,f=%d", name, n, f), func(t *testing.T) {
				require.LessOrEqual(t, worstExcess(t, b.spec, n, f, b.of(float64(n), float64(f))), 1.)
			})
		}
	}
}

func TestBoundsAreRefutedForWhatIsNotRobust(t *testing.T) {
	trimmed := bounds()["trimmed-mean"].of(7, 2)
	for name, s := range map[string]Spec{
		"mean":                         {Rule: "mean", F: 2},
		"three steps from zero":        {Rule: "geometric-median", F: 2, Compat: "byzfl"},
		"clipping without a reference": {Rule: "centered-clipping", F: 2, Parameters: parameters{"tau": "1"}},
		"trimming too little":          {Rule: "trimmed-mean", F: 1},
	} {
		t.Run(name, func(t *testing.T) {
			require.Greater(t, worstExcess(t, s, 7, 2, trimmed), 1.)
		})
	}
}
