package dataset

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSubsetsAreViewsOfTheSameFeatures(t *testing.T) {
	d, err := New([]float32{0, 1, 2, 3, 4, 5, 6, 7}, []int{0, 1, 2, 1}, [3]int{1, 2, 1}, 3)
	require.NoError(t, err)
	require.Equal(t, 4, d.Len())
	require.Equal(t, 2, d.Dim())
	require.Equal(t, 3, d.Classes())

	s := d.Subset([]int{3, 1, 1})
	require.Equal(t, 3, s.Len())
	require.Equal(t, []int{1, 1, 1}, s.Labels())
	require.Equal(t, []float32{6, 7}, s.Features(0))
	require.Same(t, &d.Features(3)[0], &s.Features(0)[0])

	again := s.Subset([]int{2, 0})
	require.Equal(t, []float32{2, 3}, again.Features(0))
	require.Equal(t, []float32{6, 7}, again.Features(1))
	require.Zero(t, d.Subset(nil).Len())
	require.Empty(t, d.Subset([]int{}).Labels())
}

func TestSubsetKeepsItsOwnListOfIndices(t *testing.T) {
	d, err := New(make([]float32, 3), []int{0, 1, 2}, [3]int{1, 1, 1}, 3)
	require.NoError(t, err)
	list := []int{2, 1}
	s := d.Subset(list)
	list[0] = 0
	require.Equal(t, []int{2, 1}, s.Labels())
}

func TestNewRefusesPartsThatDoNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		features, classes int
		labels            []int
		shape             [3]int
	}{
		"too few features":  {3, 2, []int{0, 1}, [3]int{1, 2, 1}},
		"too many labels":   {4, 2, []int{0, 1, 1}, [3]int{1, 2, 1}},
		"label at classes":  {4, 2, []int{0, 2}, [3]int{1, 2, 1}},
		"negative label":    {4, 2, []int{0, -1}, [3]int{1, 2, 1}},
		"zero side":         {0, 2, nil, [3]int{0, 2, 1}},
		"negative sides":    {4, 2, []int{0, 1}, [3]int{-1, -2, 1}},
		"shape wraps to 32": {0, 2, nil, [3]int{1 << 30, 1 << 30, 16}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(make([]float32, c.features), c.labels, c.shape, c.classes)
			require.ErrorIs(t, err, ErrFormat)
		})
	}
}
