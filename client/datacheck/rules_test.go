package datacheck

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRulesThatContradictThemselvesAreRefused(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	on := Losses{Mode: ModeRepair, K: 3}
	with := func(change func(*Losses)) Rules { l := on; change(&l); return Rules{Losses: l} }
	columns := func(c ...Column) Rules { return Rules{Features: 9, Range: ModeReport, Schema: ModeReport, Columns: c} }
	for says, rules := range map[string]Rules{
		"schema: mode":                    {Features: 1, Schema: "fix"},
		"balance: mode":                   {Classes: 2, Balance: Balance{Mode: "REFUSE"}},
		"features: -1":                    {Features: -1},
		"features: 268435457":             {Features: MaxFeatures + 1},
		"classes: -1":                     {Classes: -1},
		"classes: 65537":                  {Classes: MaxClasses + 1},
		"schema: it needs":                {Schema: ModeReport},
		"labels: it needs":                {Labels: ModeReport},
		"max_left_out: NaN":               {MaxLeftOut: nan},
		"max_left_out: 1":                 {MaxLeftOut: 1},
		"max_left_out: -":                 {MaxLeftOut: -.1},
		"columns: -1 to 1":                columns(Column{First: -1, Last: 1, Max: 1}),
		"columns: 2 to 1":                 columns(Column{First: 2, Last: 1, Max: 1}),
		"columns: 3 to 9":                 columns(Column{First: 3, Last: 9, Max: 1}),
		"columns: 0 to 0 are not among 0": {Range: ModeReport, Columns: []Column{{Max: 1}}},
		"feature 3 is in two":             columns(Column{First: 3, Last: 4, Max: 1}, Column{First: 0, Last: 3, Max: 1}),
		"columns: kind":                   columns(Column{Kind: "text", Max: 1}),
		"columns: NaN to 1":               columns(Column{Min: nan, Max: 1}),
		"columns: 0 to NaN":               columns(Column{Max: nan}),
		"columns: 0 to +Inf":              columns(Column{Max: inf}),
		"columns: 1 to 0.5":               columns(Column{Min: 1, Max: .5}),
		"columns: clamp needs":            columns(Column{Max: 1, Clamp: true}),
		"columns: clamp to 0 or 2.5":      {Features: 1, Range: ModeRepair, Schema: ModeReport, Columns: []Column{{Kind: Whole, Max: 2.5, Clamp: true}}},
		"columns: clamp to 0 or 2 makes":  {Features: 1, Range: ModeRepair, Schema: ModeReport, Columns: []Column{{Kind: Binary, Max: 2, Clamp: true}}},
		"range: it is off":                {Features: 1, Columns: []Column{{Max: 1}}},
		"range: no column":                {Features: 1, Range: ModeReport, Columns: []Column{{Clamp: false}}},
		"schema: it is off":               {Features: 1, Columns: []Column{{Kind: Whole}}},
		"duplicates: grid NaN":            {Duplicates: Duplicates{Mode: ModeReport, Grid: nan}},
		"duplicates: grid -1":             {Duplicates: Duplicates{Mode: ModeReport, Grid: -1}},
		"duplicates: grid 1e-300":         {Duplicates: Duplicates{Mode: ModeReport, Grid: 1e-300}},
		"duplicates: tolerate NaN":        {Duplicates: Duplicates{Mode: ModeRefuse, Tolerate: nan}},
		"duplicates: tolerate 0.5":        {Duplicates: Duplicates{Mode: ModeRepair, Tolerate: .5}},
		"duplicates: they are off":        {Duplicates: Duplicates{Grid: 1}},
		"largest_share NaN":               {Classes: 2, Balance: Balance{Mode: ModeReport, LargestShare: nan}},
		"largest_share 1":                 {Classes: 2, Balance: Balance{Mode: ModeReport, LargestShare: 1}},
		"fewest_classes -1":               {Classes: 2, Balance: Balance{Mode: ModeReport, FewestClasses: -1}},
		"fewest_classes 3":                {Classes: 2, Balance: Balance{Mode: ModeReport, FewestClasses: 3}},
		"fewest_per_class -1":             {Classes: 2, Balance: Balance{Mode: ModeReport, FewestPerClass: -1}},
		"cannot be repaired":              {Classes: 2, Balance: Balance{Mode: ModeRepair, FewestClasses: 2}},
		"balance: it needs":               {Balance: Balance{Mode: ModeReport, FewestPerClass: 1}},
		"is not and has none":             {Classes: 2, Balance: Balance{Mode: ModeReport}},
		"balance: it is off and":          {Classes: 2, Balance: Balance{FewestClasses: 1}},
		"losses: they are off":            {Losses: Losses{K: 1}},
		"losses: k 0":                     with(func(l *Losses) { l.K = 0 }),
		"losses: k NaN":                   with(func(l *Losses) { l.K = nan }),
		"losses: k +Inf":                  with(func(l *Losses) { l.K = inf }),
		"losses: floor NaN":               with(func(l *Losses) { l.Floor = nan }),
		"losses: floor -1":                with(func(l *Losses) { l.Floor = -1 }),
		"losses: from_round -1":           with(func(l *Losses) { l.FromRound = -1 }),
		"losses: tolerate 0.5":            with(func(l *Losses) { l.Tolerate = .5 }),
		"losses: tolerate 1 ":             with(func(l *Losses) { l.Mode, l.Tolerate = ModeRefuse, 1 }),
	} {
		_, err := New(rules)
		require.ErrorIs(t, err, ErrRules, says)
		require.ErrorContains(t, err, says)
	}
}

func TestRulesAreCopied(t *testing.T) {
	rules := Rules{Features: 2, Range: ModeRefuse, Columns: []Column{{First: 1, Last: 1, Max: 1}, {Last: 0, Max: 1}}}
	checks := mustNew(t, rules)
	require.Equal(t, 1, rules.Columns[0].First, "and not sorted in place")
	rules.Columns[0].Max, rules.Columns[1].Max = 9, 9
	_, _, err := checks.Check(rows{{[]float32{5, 0}, 0}})
	require.ErrorIs(t, err, ErrFailed)
}
