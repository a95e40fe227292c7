package robust

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheTableListsEveryRuleOfTheIssueAndEachWorks(t *testing.T) {
	var names []string
	for _, info := range Rules() {
		names = append(names, info.Name)
		rule, err := Spec{Rule: info.Name}.Check()
		require.NoError(t, err)
		require.Equal(t, info.Name, rule.Name())
		require.NoError(t, rule.Admits(7))
		require.Contains(t, []string{"sum", "bucket_means", "vectors"}, info.View)
		for _, text := range []string{info.Breakdown, info.Precondition, info.Cost} {
			require.NotEmpty(t, text)
		}
		rows, in := inputFor(7, 3)
		_, out := apply(t, Spec{Rule: info.Name}, rows, in)
		require.Equal(t, info.Coordinates, out.Weights == nil, info.Name)
		require.Equal(t, info.Distances, Spec{Rule: info.Name}.Distances())
		for _, p := range info.Parameters {
			for _, text := range []string{p.Default, p.ByzFL} {
				if text != "" {
					_, err := Spec{Rule: info.Name, Parameters: parameters{p.Name: text}}.Check()
					require.NoError(t, err, "%s: default of %s", info.Name, p.Name)
				}
			}
			require.NotEmpty(t, p.Meaning)
			_, err := Spec{Rule: info.Name, Parameters: parameters{p.Name: "NaN"}}.Check()
			require.ErrorIs(t, err, ErrSpec)
		}
	}
	require.Equal(t, strings.Fields("mean median trimmed-mean meamed krum multi-krum bulyan geometric-median mda smea caf monna centered-clipping fltrust flame dnc foolsgold"), names)
	names = nil
	for _, info := range Preaggregators() {
		names = append(names, info.Name)
	}
	require.Equal(t, []string{"clip", "arc", "nnm", "bucketing"}, names)
}

func TestTheTableCannotBeChangedFromOutside(t *testing.T) {
	at := slices.IndexFunc(Rules(), func(i Info) bool { return i.Name == "geometric-median" })
	Rules()[at].Parameters[0].Default = "7"
	require.Equal(t, "1e-6", Rules()[at].Parameters[0].Default)
	Preaggregators()[0].Parameters[0].Name = "x"
	require.Equal(t, "C", Preaggregators()[0].Parameters[0].Name)
}

func TestASpecThatIsNotKnownIsRefused(t *testing.T) {
	set := func(rule, name, value string) Spec { return Spec{Rule: rule, Parameters: parameters{name: value}} }
	for name, s := range map[string]Spec{
		"rule":                        {Rule: "Krum"},
		"negative f":                  {Rule: "median", F: -1},
		"f of more than there can be": {Rule: "median", F: MaxVectors + 1},
		"compat":                      {Rule: "krum", Compat: "blades"},
		"not in Flower":               {Rule: "smea", Compat: "flower"},
		"both conventions":            {Rule: "krum", Compat: "flower", Parameters: parameters{"neighbours": "byzfl"}},
		"parameter of another rule":   set("krum", "nu", "0.1"),
		"parameter of none":           set("median", "f", "1"),
		"neighbours":                  set("krum", "neighbours", "both"),
		"keep 0":                      set("multi-krum", "keep", "0"),
		"half a vector":               set("multi-krum", "keep", "1.5"),
		"nu 0":                        set("geometric-median", "nu", "0"),
		"nu of infinity":              set("geometric-median", "nu", "Inf"),
		"no iterations":               set("geometric-median", "iterations", "0"),
		"tau below 0":                 set("centered-clipping", "tau", "-1"),
		"pivot below 0":               set("monna", "pivot", "-1"),
		"rounds that all see alike":   set("dnc", "rounds", "2"),
		"dropping fewer than f":       set("dnc", "c", "0.9"),
		"pre-aggregator":              {Pre: []string{"nmm"}},
		"clip to nothing":             {Pre: []string{"clip"}},
		"clip to zero":                {Pre: []string{"clip:0"}},
		"clip to NaN":                 {Pre: []string{"clip:NaN"}},
		"clip to two":                 {Pre: []string{"clip:1:2"}},
		"nnm with a number":           {Pre: []string{"nnm:3"}},
		"buckets of none":             {Pre: []string{"bucketing:0"}},
		"buckets of halves":           {Pre: []string{"bucketing:2.5"}},
		"bucketing a pivot":           {Rule: "monna", Pre: []string{"bucketing:2"}},
		"bucketing a past":            {Rule: "foolsgold", Pre: []string{"bucketing:2"}},
		"too many pre-aggregators":    {Pre: slices.Repeat([]string{"nnm"}, 9)},
	} {
		t.Run(name, func(t *testing.T) {
			rule, err := s.Check()
			require.ErrorIs(t, err, ErrSpec)
			require.Nil(t, rule)
		})
	}
}

func TestASpecIsReadOnce(t *testing.T) {
	s := Spec{Rule: "multi-krum", F: 1, Pre: []string{"clip:2"}, Parameters: parameters{"keep": "1"}}
	rule, err := s.Check()
	require.NoError(t, err)
	s.Pre[0] = "nnm"
	maps.Copy(s.Parameters, parameters{"keep": "4"})
	v, err := Float64(setB)
	require.NoError(t, err)
	out, err := rule.Combine(make([]float64, 4), Input{Vectors: v})
	require.NoError(t, err)
	require.Len(t, out.Excluded, 6)
}

func TestDistancesNameWhatChoosesByThem(t *testing.T) {
	for _, s := range []Spec{{Rule: "krum"}, {Rule: "bulyan"}, {Rule: "dnc"}, {Rule: "median", Pre: []string{"clip:1", "nnm"}}} {
		require.True(t, s.Distances())
	}
	for _, s := range []Spec{{}, {Rule: "trimmed-mean"}, {Rule: "geometric-median"}, {Rule: "median", Pre: []string{"clip:1", "arc", "bucketing:2"}}, {Rule: "?"}} {
		require.False(t, s.Distances())
	}
}
