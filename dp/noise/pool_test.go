package noise

import (
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// ramp gives 1, 2, 3, ... from where it stands, or its error.
type ramp struct {
	at  int64
	err error
}

func (r *ramp) Sample(dst []int64, _ io.Reader) error {
	for i := range dst {
		r.at++
		dst[i] = r.at
	}
	return r.err
}

func TestPoolGivesEachSampleOnceAndInOrder(t *testing.T) {
	var p Pool
	r := &ramp{}
	require.NoError(t, p.Fill(r, nil, 5))
	got := make([]int32, 3)
	require.NoError(t, p.Take(got))
	require.Equal(t, []int32{1, 2, 3}, got)
	require.Equal(t, 2, p.Left())
	require.NoError(t, p.Fill(r, nil, 2))
	require.Equal(t, 4, p.Left())
	values := []int32{10, -10, 0}
	require.NoError(t, p.Add(values))
	require.Equal(t, []int32{14, -5, 6}, values)

	require.ErrorIs(t, p.Take(got[:2]), ErrPool)
	require.Equal(t, []int32{0, 0}, got[:2])
	require.ErrorIs(t, p.Add(values), ErrPool)
	require.Equal(t, []int32{14, -5, 6}, values)
	require.Equal(t, 1, p.Left(), "a refusal takes nothing")
	require.NoError(t, p.Take(got[:1]))
	require.Equal(t, int32(7), got[0])
	require.ErrorIs(t, p.Take(got[:1]), ErrPool)
	require.NoError(t, p.Take(nil))
}

func TestPoolHoldsWhatTheSamplerGives(t *testing.T) {
	g := made(NewGaussian(2500, 1))
	const n = 20_000 // more than a block
	want, got := make([]int64, n), make([]int32, n)
	require.NoError(t, g.Sample(want, coinsOf(4)))
	var p Pool
	require.NoError(t, p.Fill(g, coinsOf(4), n))
	require.NoError(t, p.Take(got))
	for i := range want {
		require.Equal(t, want[i], int64(got[i]))
	}
}

func TestPoolErasesWhatWasTakenAndWhatIsLeft(t *testing.T) {
	var p Pool
	require.NoError(t, p.Fill(&ramp{}, nil, 6))
	inside := p.samples
	require.NoError(t, p.Take(make([]int32, 2)))
	require.Equal(t, []int32{0, 0, 3, 4, 5, 6}, inside)
	require.NoError(t, p.Add(make([]int32, 2)))
	require.Equal(t, []int32{0, 0, 0, 0, 5, 6}, inside)
	require.NoError(t, p.Fill(&ramp{}, nil, 1))
	require.Equal(t, make([]int32, 6), inside, "the old store, after its samples moved")
	inside = p.samples
	require.Equal(t, []int32{5, 6, 1}, inside)
	p.Erase()
	require.Equal(t, make([]int32, 3), inside)
	require.Zero(t, p.Left())
	require.ErrorIs(t, p.Take(make([]int32, 1)), ErrPool)
}

func TestPoolStaysAsItWasWhenFillingFails(t *testing.T) {
	var p Pool
	require.NoError(t, p.Fill(&ramp{}, nil, 2))
	require.ErrorIs(t, p.Fill(&ramp{err: io.ErrClosedPipe}, nil, 2), io.ErrClosedPipe)
	require.ErrorIs(t, p.Fill(&ramp{at: math.MaxInt32 - 1}, nil, 2), ErrPool, "wider than an int32")
	require.ErrorIs(t, p.Fill(&ramp{at: math.MinInt32 - 2}, nil, 1), ErrPool)
	require.ErrorIs(t, p.Fill(&ramp{}, nil, -1), ErrPool)
	require.ErrorIs(t, p.Fill(&ramp{}, nil, math.MaxInt), ErrPool, "no allocation of any size")
	require.ErrorIs(t, p.Fill(nil, nil, 1), ErrPool)
	got := make([]int32, 2)
	require.NoError(t, p.Take(got))
	require.Equal(t, []int32{1, 2}, got)
}

func TestPoolDoesNotWrapASum(t *testing.T) {
	for _, value := range []int32{math.MaxInt32, math.MinInt32} {
		var p Pool
		require.NoError(t, p.Fill(&ramp{at: -1}, nil, 1))
		require.NoError(t, p.Add([]int32{value}), "adding 0")
		at := int64(0)
		if value < 0 {
			at = -2
		}
		require.NoError(t, p.Fill(&ramp{at: -1}, nil, 1))
		require.NoError(t, p.Fill(&ramp{at: at}, nil, 1))
		values := []int32{5, value}
		require.ErrorIs(t, p.Add(values), ErrOverflow)
		require.Equal(t, []int32{5, value}, values, "unchanged")
		require.Zero(t, p.Left(), "and the samples are gone")
	}
}
