package robust

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMeanCountsEveryVectorAlike(t *testing.T) {
	dst := make([]float64, 2)
	v, err := Float64([][]float64{{1, -2}, {3, 0}, {5, 8}})
	require.NoError(t, err)
	out, err := Mean{}.Combine(dst, Input{Vectors: v})
	require.NoError(t, err)
	require.Equal(t, []float64{3, 2}, dst)
	require.Equal(t, []float64{1. / 3, 1. / 3, 1. / 3}, out.Weights)
	w, err := Float32([][]float32{{1, -2}, {3, 0}, {5, 8}})
	require.NoError(t, err)
	_, err = Mean{}.Combine(dst, Input{Vectors: w})
	require.NoError(t, err)
	require.Equal(t, []float64{3, 2}, dst)
}

func TestMeanOfOneVectorIsThatVectorBitForBit(t *testing.T) {
	dst := make([]float64, 2)
	v, err := Float64([][]float64{{0.1, 1e-300}})
	require.NoError(t, err)
	_, err = Mean{}.Combine(dst, Input{Vectors: v})
	require.NoError(t, err)
	require.Equal(t, []float64{0.1, 1e-300}, dst)
}

func TestVectorsThatNoRuleCanCombineAreRefused(t *testing.T) {
	for _, rows := range [][][]float64{nil, {}, {{}}, {{1}, {1, 2}}, make([][]float64, MaxVectors+1)} {
		_, err := Float64(rows)
		require.ErrorIs(t, err, ErrInput)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e151} {
		_, err := Float64([][]float64{{1, 2}, {1, bad}})
		require.ErrorIs(t, err, ErrNotFinite)
		require.ErrorContains(t, err, "vector 1, coordinate 1")
		_, err = Float32([][]float32{{float32(bad)}})
		require.ErrorIs(t, err, ErrNotFinite)
	}
	_, err := Float32([][]float32{{1e16}})
	require.ErrorIs(t, err, ErrNotFinite)
	_, err = Mean{}.Combine(nil, Input{})
	require.ErrorIs(t, err, ErrInput)
	require.ErrorIs(t, Mean{}.Admits(0), ErrPrecondition)
}
