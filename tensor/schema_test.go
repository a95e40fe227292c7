package tensor

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func mustSchema(t testing.TB, specs ...Spec) Schema {
	t.Helper()
	s, err := NewSchema(specs)
	require.NoError(t, err)
	return s
}

func TestSchemaKeepsTheOrderGivenAndLaysTensorsOutOneAfterAnother(t *testing.T) {
	s := mustSchema(t, Spec{"z", []int{2, 3}}, Spec{"scalar", nil}, Spec{"a", []int{4}})
	require.Equal(t, 3, s.Len())
	require.Equal(t, 11, s.Total())
	require.Equal(t, "z", s.Specs()[0].Name)
	require.Equal(t, "a", s.Specs()[2].Name)
	for i, want := range [][2]int{{0, 6}, {6, 7}, {7, 11}} {
		lo, hi := s.Range(i)
		require.Equal(t, want, [2]int{lo, hi})
	}
}

func TestSchemaCannotBeChangedFromOutside(t *testing.T) {
	specs := []Spec{{"a", []int{2, 3}}, {"b", []int{1}}}
	s := mustSchema(t, specs...)
	same := mustSchema(t, specs...)
	specs[0].Name, specs[0].Shape[0] = "other", 9
	got := s.Specs()
	got[1].Name, got[0].Shape[1] = "other", 9
	require.True(t, s.Equal(same))
	require.Equal(t, []Spec{{"a", []int{2, 3}}, {"b", []int{1}}}, s.Specs())
}

func TestSchemasAreEqualOnlyWithTheSameNamesShapesAndOrder(t *testing.T) {
	s := mustSchema(t, Spec{"a", []int{2, 3}}, Spec{"b", []int{6}})
	require.True(t, s.Equal(mustSchema(t, Spec{"a", []int{2, 3}}, Spec{"b", []int{6}})))
	for _, other := range []Schema{
		mustSchema(t, Spec{"b", []int{6}}, Spec{"a", []int{2, 3}}),
		mustSchema(t, Spec{"a", []int{3, 2}}, Spec{"b", []int{6}}),
		mustSchema(t, Spec{"a", []int{2, 3}}, Spec{"c", []int{6}}),
		mustSchema(t, Spec{"a", []int{2, 3}}),
		{},
	} {
		require.False(t, s.Equal(other), "%v", other.Specs())
	}
}

func TestSchemaRefusesWhatCannotBeLaidOutOrWritten(t *testing.T) {
	for name, specs := range map[string][]Spec{
		"no tensors":         {},
		"empty name":         {{"", []int{1}}},
		"reserved name":      {{"__metadata__", []int{1}}},
		"name not UTF-8":     {{"a\xff", []int{1}}},
		"replacement char":   {{"a\ufffd", []int{1}}},
		"repeated name":      {{"a", []int{1}}, {"b", []int{1}}, {"a", []int{2}}},
		"zero dimension":     {{"a", []int{2, 0}}},
		"negative dimension": {{"a", []int{-1, -1}}},
		"too many values":    {{"a", []int{MaxValues}}, {"b", []int{1}}},
		"product too large":  {{"a", []int{1 << 16, 1 << 15}}},
		"product wraps int":  {{"a", []int{math.MaxInt, math.MaxInt, 2}}},
		"sum wraps int32":    {{"a", []int{MaxValues}}, {"b", []int{MaxValues}}, {"c", []int{3}}},
		"too many dims":      {{"a", make65()}},
		"header too long":    {{strings.Repeat("n", MaxHeader), []int{1}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewSchema(specs)
			require.ErrorIs(t, err, ErrSchema)
			require.Less(t, len(err.Error()), 300)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func make65() []int {
	shape := make([]int, MaxRank+1)
	for i := range shape {
		shape[i] = 1
	}
	return shape
}

func TestSchemaTakesTheLargestModel(t *testing.T) {
	s := mustSchema(t, Spec{"a", []int{MaxValues - 1}}, Spec{"b", []int{1}})
	require.Equal(t, MaxValues, s.Total())
	require.Equal(t, int64(prefixBytes+len(s.header))+4*int64(MaxValues), Size(s))
}
