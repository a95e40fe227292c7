package datacheck

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows is a table in memory.
type rows []row

type row struct {
	features []float32
	label    int
}

func (r rows) Rows() int                { return len(r) }
func (r rows) Features(i int) []float32 { return r[i].features }
func (r rows) Label(i int) int          { return r[i].label }

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
)

func mustNew(t *testing.T, r Rules) Checks {
	t.Helper()
	c, err := New(r)
	require.NoError(t, err)
	return c
}

// perMode checks a table of five examples, of which bad are found, in all modes.
func perMode(t *testing.T, table rows, bad []int, rules func(Mode) Rules, name string) {
	t.Helper()
	good := []int{}
	for i := range table {
		if !slices.Contains(bad, i) {
			good = append(good, i)
		}
	}
	for mode, want := range map[Mode]struct {
		keep []int
		err  error
	}{ModeReport: {keep: []int{0, 1, 2, 3, 4}}, ModeRefuse: {keep: []int{0, 1, 2, 3, 4}, err: ErrFailed}, ModeRepair: {keep: good}} {
		clean, report, err := mustNew(t, rules(mode)).Check(table)
		require.ErrorIs(t, err, want.err, "%s %s", name, mode)
		require.Equal(t, want.keep, clean.Keep(), "%s %s", name, mode)
		require.Len(t, report.Checks, 1)
		f := report.Checks[0]
		require.Equal(t, name, f.Check)
		require.Equal(t, mode, f.Mode)
		require.True(t, f.Failed)
		require.Equal(t, len(bad), f.Examples, "%s %s", name, mode)
		require.Equal(t, len(table)-len(want.keep), f.LeftOut)
		require.Equal(t, 5, report.Examples)
		require.Equal(t, len(want.keep), report.Kept)
		if err != nil {
			require.ErrorContains(t, err, name)
		}

		_, report, err = mustNew(t, rules(mode)).Check(Clean{table: table, keep: good})
		require.NoError(t, err, "the others alone")
		require.Zero(t, report.Checks[0].Examples)
		require.False(t, report.Checks[0].Failed)
	}
}

func TestEachCheckFindsWhatItIsForInItsMode(t *testing.T) {
	perMode(t, rows{{[]float32{1, 2}, 0}, {[]float32{1}, 0}, {[]float32{1, 2, 3}, 1}, {[]float32{}, 1}, {[]float32{3, 4}, 1}}, []int{1, 2, 3},
		func(m Mode) Rules { return Rules{Features: 2, Classes: 2, Schema: m} }, "schema")
	perMode(t, rows{{[]float32{1, 1.5, 2.5}, 0}, {[]float32{1.5, 1, 1}, 0}, {[]float32{1e-9, 1, 1}, 1}, {[]float32{-3, .5, -1}, 1}, {[]float32{nan, inf, nan}, 1}}, []int{1, 2},
		func(m Mode) Rules {
			return Rules{Features: 3, Schema: m, Columns: []Column{{First: 1, Last: 1, Kind: Real}, {First: 0, Last: 0, Kind: Whole}}}
		}, "schema")
	perMode(t, rows{{[]float32{0, 1}, 0}, {[]float32{nan, 1}, 0}, {[]float32{1, inf}, 1}, {[]float32{1, -inf}, 1}, {[]float32{math.MaxFloat32, 1}, 9}}, []int{1, 2, 3},
		func(m Mode) Rules { return Rules{Finite: m} }, "finite")
	perMode(t, rows{{[]float32{0, .1}, 0}, {[]float32{-.1, 0}, 0}, {[]float32{0, .2}, 1}, {[]float32{.1, nan}, 1}, {[]float32{0, inf}, 9}}, []int{1, 2, 3, 4},
		func(m Mode) Rules { return Rules{Features: 2, Range: m, Columns: []Column{{Last: 1, Max: .1}}} }, "range")
	perMode(t, rows{{nil, 0}, {nil, 2}, {nil, -1}, {nil, 1}, {nil, math.MaxInt}}, []int{1, 2, 4},
		func(m Mode) Rules { return Rules{Classes: 2, Labels: m} }, "labels")
	perMode(t, rows{{[]float32{0, 1}, 0}, {[]float32{float32(math.Copysign(0, -1)), 1}, 0}, {[]float32{0, 1}, 1}, {[]float32{nan, 1}, 1}, {[]float32{-nan, 1}, 1}}, []int{1, 4},
		func(m Mode) Rules { return Rules{Duplicates: Duplicates{Mode: m}} }, "duplicates")
	perMode(t, rows{{[]float32{0, 1}, 0}, {[]float32{.04, .96}, 0}, {[]float32{.06, 1}, 0}, {[]float32{.14, 1.04}, 0}, {[]float32{0, 1}, 1}}, []int{1, 3},
		func(m Mode) Rules { return Rules{Duplicates: Duplicates{Mode: m, Grid: .1}} }, "duplicates")
}

func TestFindingsAreCountedByClassAndFeature(t *testing.T) {
	table := rows{{[]float32{2, 0}, 0}, {[]float32{2, 5}, 1}, {[]float32{0, 0}, 1}, {[]float32{3, 1}, 7}, {[]float32{.5, .5}, -1}}
	_, report, err := mustNew(t, Rules{Features: 2, Classes: 2, Schema: ModeReport, Columns: []Column{{Last: 1, Kind: Binary}}}).Check(table)
	require.NoError(t, err)
	require.Equal(t, Report{Examples: 5, Kept: 5, Classes: []int{1, 2}, Checks: []Finding{
		{Check: "schema", Mode: ModeReport, Failed: true, Examples: 4, Classes: []int{1, 1}, Unknown: 2, Features: []Feature{{0, 4}, {1, 2}}}}}, report)

	text, err := json.Marshal(report)
	require.NoError(t, err)
	require.JSONEq(t, `{"examples":5,"kept":5,"classes":[1,2],"checks":[{"check":"schema","mode":"report","failed":true,"examples":4,
		"left_out":0,"clamped":0,"classes":[1,1],"unknown":2,"features":[{"feature":0,"examples":4},{"feature":1,"examples":2}]}]}`, string(text))
}

func TestClampingMovesFiniteValuesToTheNearestEndAndMakesUpNothing(t *testing.T) {
	table := rows{{[]float32{-3, 7}, 0}, {[]float32{.5, 2}, 0}, {[]float32{nan, 2}, 0}, {[]float32{inf, 2}, 0}, {[]float32{9, 11}, 0}}
	checks := mustNew(t, Rules{Features: 2, Range: ModeRepair, Columns: []Column{{First: 0, Last: 0, Min: -1, Max: 1, Clamp: true}, {First: 1, Last: 1, Min: 2, Max: 7}}})
	clean, report, err := checks.Check(table)
	require.NoError(t, err)
	require.Equal(t, []int{0, 1}, clean.Keep(), "what is not finite is not moved, nor where no column says so")
	require.Equal(t, 1, report.Checks[0].Clamped)
	require.Equal(t, 4, report.Checks[0].Examples)
	require.Equal(t, 3, report.Checks[0].LeftOut)
	require.Equal(t, 2, clean.Rows())
	require.Equal(t, []float32{-1, 7}, clean.Features(0))
	require.Equal(t, []float32{.5, 2}, clean.Features(1))
	require.Equal(t, []float32{-3, 7}, table[0].features, "the table stays as it is")
}

func TestClampingRepairsTheRangeOnly(t *testing.T) {
	columns := []Column{{First: 0, Last: 0, Min: 0, Max: 2, Kind: Whole, Clamp: true}}
	clean, _, err := mustNew(t, Rules{Features: 1, Schema: ModeRepair, Range: ModeRepair, Columns: columns}).Check(rows{{[]float32{2.5}, 0}, {[]float32{3}, 0}})
	require.NoError(t, err)
	require.Equal(t, []int{1}, clean.Keep(), "one that is not whole does not become so")
}

func TestALaterCheckSeesWhatEarlierOnesLeft(t *testing.T) {
	table := rows{{[]float32{5}, 9}, {[]float32{1}, 0}, {[]float32{5}, 0}, {[]float32{nan}, 0}, {[]float32{nan}, 0}}
	rules := Rules{Features: 1, Classes: 2, Finite: ModeRepair, Labels: ModeRepair, Range: ModeRepair, Columns: []Column{{Max: 1, Clamp: true}},
		Duplicates: Duplicates{Mode: ModeRepair}}
	clean, report, err := mustNew(t, rules).Check(table)
	require.NoError(t, err)
	require.Equal(t, []int{1}, clean.Keep())
	require.Equal(t, []int{2, 2, 1, 1}, []int{report.Checks[0].Examples, report.Checks[1].Examples, report.Checks[2].Examples, report.Checks[3].Examples})
}

func TestDuplicatesUpToTheToleratedShareAreNotRefused(t *testing.T) {
	table := rows{}
	for i := range 100 {
		table = append(table, row{[]float32{float32(min(i, 71))}, 0}) // 28 duplicates
	}
	for tolerate, want := range map[float64]error{0: ErrFailed, .27: ErrFailed, .28: nil, .5: nil} {
		_, report, err := mustNew(t, Rules{Duplicates: Duplicates{Mode: ModeRefuse, Tolerate: tolerate}}).Check(table)
		require.ErrorIs(t, err, want, "%v", tolerate)
		require.Equal(t, 28, report.Checks[0].Examples)
	}
}

func TestBalanceIsThatOfWhatIsKept(t *testing.T) {
	table := rows{{nil, 0}, {nil, 0}, {nil, 0}, {nil, 1}, {nil, 5}, {nil, 5}, {nil, 5}, {nil, 5}, {nil, 5}, {nil, 5}}
	for name, c := range map[string]struct {
		balance Balance
		failed  bool
	}{
		"share at the bound":     {Balance{LargestShare: .75}, false},
		"share above":            {Balance{LargestShare: .74}, true},
		"classes at the bound":   {Balance{FewestClasses: 2}, false},
		"too few classes":        {Balance{FewestClasses: 3}, true},
		"examples at the bound":  {Balance{FewestPerClass: 1}, false},
		"too few of a class":     {Balance{FewestPerClass: 2}, true},
		"empty classes are none": {Balance{FewestPerClass: 1, FewestClasses: 1}, false},
	} {
		c.balance.Mode = ModeRefuse
		_, report, err := mustNew(t, Rules{Classes: 3, Labels: ModeRepair, Balance: c.balance}).Check(table)
		require.Equal(t, c.failed, report.Checks[1].Failed, name)
		require.Equal(t, &Shares{Largest: .75, Present: 2, Missing: 1, Small: report.Balance.Small}, report.Balance)
		if !c.failed {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, ErrFailed, name)
		require.ErrorContains(t, err, "balance")
		c.balance.Mode = ModeReport
		_, _, err = mustNew(t, Rules{Classes: 3, Labels: ModeRepair, Balance: c.balance}).Check(table)
		require.NoError(t, err, name)
	}
}

func TestRepairsThatLeaveTooLittleAreRefused(t *testing.T) {
	table := rows{{nil, 0}, {nil, 9}, {nil, 9}, {nil, 0}}
	for most, want := range map[float64]error{0: nil, .49: ErrFailed, .5: nil} {
		_, report, err := mustNew(t, Rules{Classes: 2, Labels: ModeRepair, MaxLeftOut: most}).Check(table)
		require.ErrorIs(t, err, want, "%v", most)
		require.Equal(t, 2, report.Kept)
	}
	_, report, err := mustNew(t, Rules{Classes: 2, Labels: ModeRepair}).Check(table[1:3])
	require.ErrorIs(t, err, ErrFailed, "none left")
	require.Equal(t, 2, report.Checks[0].LeftOut)
}

func TestWhatIsNoTableIsRefused(t *testing.T) {
	for name, table := range map[string]Table{"nil": nil, "no rows": rows{}} {
		_, _, err := Checks{}.Check(table)
		require.ErrorIs(t, err, ErrTable, name)
		_, _, err = Checks{}.CheckLosses(table, nil)
		require.ErrorIs(t, err, ErrTable, name)
	}
	uneven := rows{{[]float32{1, 2}, 0}, {[]float32{1}, 0}}
	_, _, err := Checks{}.Check(uneven)
	require.ErrorIs(t, err, ErrTable)
	require.ErrorContains(t, err, "example 1 has 1 features, not 2")
	_, _, err = mustNew(t, Rules{Features: 3}).Check(uneven)
	require.ErrorContains(t, err, "example 0 has 2 features, not 3")

	clean, report, err := Checks{}.Check(uneven[:1])
	require.NoError(t, err)
	require.Equal(t, []int{0}, clean.Keep())
	require.Equal(t, Report{Examples: 1, Kept: 1, Classes: []int{}, Checks: []Finding{}}, report)
}

// TestChecksAgreeWithALookAtEachPair holds Check against an obvious reference that makes
// one check after the other and compares examples pair by pair.
func TestChecksAgreeWithALookAtEachPair(t *testing.T) {
	coins := rand.New(rand.NewPCG(1, 2))
	modes := []Mode{ModeOff, ModeReport, ModeRepair, ModeRefuse}
	pick := func() Mode { return modes[coins.IntN(4)] }
	for trial := range 500 {
		rules := Rules{Features: 2, Classes: 3, Schema: pick(), Finite: pick(), Range: pick(), Labels: pick()}
		if m := pick(); m != ModeOff {
			rules.Duplicates = Duplicates{Mode: m, Grid: []float64{0, .5, 1}[coins.IntN(3)]}
		}
		column := Column{First: 0, Last: coins.IntN(2)}
		if rules.Schema != ModeOff {
			column.Kind = []Kind{Real, Whole, Binary}[coins.IntN(3)]
		}
		if rules.Range != ModeOff {
			column.Max, column.Clamp = 1, rules.Range == ModeRepair && coins.IntN(2) == 0
		}
		rules.Columns = []Column{column}
		table := rows{}
		for range 1 + coins.IntN(30) {
			r := row{make([]float32, 2), coins.IntN(4)}
			if rules.Schema != ModeOff && coins.IntN(8) == 0 {
				r.features = r.features[:1]
			}
			for j := range r.features {
				r.features[j] = []float32{0, 1, .5, .3, .7, 1.2, nan, inf}[coins.IntN(8)]
			}
			table = append(table, r)
		}
		name := fmt.Sprint(trial, rules, table)
		keep, values, found := slowly(table, rules)
		clean, report, err := mustNew(t, rules).Check(table)
		require.Equal(t, keep, clean.Keep(), name)
		refused := len(keep) == 0
		for _, f := range report.Checks {
			require.Equal(t, found[f.Check], f.Examples, name)
			refused = refused || f.Mode == ModeRefuse && found[f.Check] > 0
		}
		require.Equal(t, refused, err != nil, name)
		for k := range keep {
			require.Equal(t, fmt.Sprint(values[k]), fmt.Sprint(clean.Features(k)), name)
		}
	}
}

// slowly is the reference: which examples are left, their features, and how many each
// check found.
func slowly(table rows, r Rules) (keep []int, values [][]float32, found map[string]int) {
	keep, found = []int{}, map[string]int{}
	for i := range table {
		keep, values = append(keep, i), append(values, table[i].features)
	}
	c := r.Columns[0]
	finite := func(v float32) bool { return v-v == 0 }
	apply := func(name string, mode Mode, bad func(k int) bool) {
		if mode == ModeOff || mode == "" {
			return
		}
		var drop []bool
		for k := range keep {
			drop = append(drop, bad(k))
			if drop[k] {
				found[name]++
			}
		}
		var left []int
		var leftValues [][]float32
		for k := range keep {
			if mode == ModeRepair && drop[k] {
				if name != "range" || !c.Clamp {
					continue
				}
				moved, can := slices.Clone(values[k]), true
				for j := 0; j <= c.Last && j < len(moved); j++ {
					can = can && finite(moved[j])
					if moved[j] > 1 {
						moved[j] = 1
					}
				}
				if !can {
					continue
				}
				values[k] = moved
			}
			left, leftValues = append(left, keep[k]), append(leftValues, values[k])
		}
		keep, values = append([]int{}, left...), leftValues
	}
	apply("schema", r.Schema, func(k int) bool {
		if len(values[k]) != 2 {
			return true
		}
		for _, v := range values[k][:c.Last+1] {
			if finite(v) && (c.Kind == Whole && v != float32(int(v)) || c.Kind == Binary && v != 0 && v != 1) {
				return true
			}
		}
		return false
	})
	apply("finite", r.Finite, func(k int) bool {
		return slices.ContainsFunc(values[k], func(v float32) bool { return !finite(v) })
	})
	apply("range", r.Range, func(k int) bool {
		v := values[k]
		return slices.ContainsFunc(v[:min(len(v), c.Last+1)], func(v float32) bool { return !finite(v) || v < 0 || v > 1 })
	})
	apply("labels", r.Labels, func(k int) bool { return table[keep[k]].label > 2 })
	apply("duplicates", r.Duplicates.Mode, func(k int) bool {
		for l := range k {
			same := table[keep[k]].label == table[keep[l]].label && len(values[k]) == len(values[l])
			for j := 0; same && j < len(values[k]); j++ {
				a, b := float64(values[k][j]), float64(values[l][j])
				if g := r.Duplicates.Grid; g > 0 {
					a, b = math.Floor(a/g+.5), math.Floor(b/g+.5)
				}
				same = a == b || a != a && b != b
			}
			if same {
				return true
			}
		}
		return false
	})
	return keep, values, found
}
