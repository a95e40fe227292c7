package robust

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMeanCountsEveryVectorAlike(t *testing.T) {
	dst := make([]float64, 2)
	require.NoError(t, Mean{}.Combine(dst, [][]float64{{1, -2}, {3, 0}, {5, 8}}))
	require.Equal(t, []float64{3, 2}, dst)
}

func TestMeanOfOneVectorIsThatVectorBitForBit(t *testing.T) {
	dst := make([]float64, 2)
	require.NoError(t, Mean{}.Combine(dst, [][]float64{{0.1, 1e-300}}))
	require.Equal(t, []float64{0.1, 1e-300}, dst)
}

func TestMeanRefusesNoVectorAndVectorsOfOtherLength(t *testing.T) {
	require.ErrorIs(t, Mean{}.Combine(nil, nil), ErrInput)
	require.ErrorIs(t, Mean{}.Combine(make([]float64, 1), [][]float64{{1}, {1, 2}}), ErrInput)
}
