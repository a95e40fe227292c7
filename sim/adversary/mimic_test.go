package adversary

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWarmUpFindsTheClientThatStandsOutAndKeepsToIt(t *testing.T) {
	memory := &Memory{}
	round := func(n uint32, ids []int, far int) ([][]float32, Known) {
		k := cohort(6, 2, 20)
		k.Round, k.Memory, k.HonestIDs = n, memory, ids
		for i, id := range ids {
			if id == far { // along one direction, far from all
				for j := range k.Honest[i] {
					k.Honest[i][j] += float32(5 * (1 - 2*(j%2)))
				}
			}
		}
		return craft(t, "mimic:warmup=3,knowledge=all", k), k
	}
	ids := []int{3, 1, 4, 15, 9, 2}
	for n := uint32(1); n <= 3; n++ {
		round(n, ids, 15)
		require.Equal(t, int(n), memory.mimic.rounds)
		require.InDelta(t, 1, dot(memory.mimic.direction, memory.mimic.direction), 1e-9)
	}
	target := memory.mimic.target
	require.Equal(t, 3, memory.mimic.rounds)
	round(3, ids, 9)
	require.Equal(t, target, memory.mimic.target, "a second attempt teaches nothing")

	alone := memory.mimic.direction
	for n := uint32(4); n < 7; n++ {
		rows, k := round(n, []int{15, 2, 1, 3, 4, 9}, 9)
		for i, id := range k.HonestIDs {
			if id == target {
				require.Equal(t, [][]float32{k.Honest[i], k.Honest[i]}, rows, "kept to, wherever it stands and whoever stands out")
			}
		}
	}
	require.Equal(t, alone, memory.mimic.direction)

	rows, k := round(8, []int{70, 71, 72, 73, 74, 75}, 74)
	require.Contains(t, k.Honest, rows[0], "the target is away: one of those present")
}

func TestSecondAttemptTeachesMimicNothing(t *testing.T) {
	k := cohort(6, 2, 4)
	craft(t, "mimic:warmup=9", k)
	direction := k.Memory.mimic.direction
	craft(t, "mimic:warmup=9", k)
	require.Equal(t, direction, k.Memory.mimic.direction)
	require.Equal(t, 1, k.Memory.mimic.rounds)
}

func TestWarmUpLearnsTheDirectionOfMostVariance(t *testing.T) {
	memory := &Memory{}
	for n := uint32(1); n <= 40; n++ {
		k := all([][]float64{{1, 9, 0}, {1, -9, 0}, {1.1, 0, .2}, {.9, 0, -.2}}, 1)
		k.Round, k.Memory = n, memory
		rows := craft(t, "mimic:warmup=40,knowledge=all", k)
		require.Len(t, rows, 1)
	}
	require.InDelta(t, 1, memory.mimic.direction[1]*memory.mimic.direction[1], 1e-3)
	require.Contains(t, []int{0, 1}, memory.mimic.target)
	near(t, []float64{1, 0, 0}, memory.mimic.mean, 1e-6)
}

func TestWarmUpNeedsAMemoryOfVectorsOfOneLength(t *testing.T) {
	k := cohort(6, 2, 4)
	k.Memory = nil
	_, err := parse(t, "mimic:warmup=1").Craft(k)
	require.ErrorIs(t, err, ErrKnown)
	require.ErrorContains(t, err, "no memory")
	k.Memory = &Memory{}
	craft(t, "mimic:warmup=1", k)
	other := cohort(6, 2, 5)
	other.Memory = k.Memory
	_, err = parse(t, "mimic:warmup=1").Craft(other)
	require.ErrorIs(t, err, ErrKnown)
}

func TestWarmUpOverEqualUpdatesIsDefined(t *testing.T) {
	k := all([][]float64{{1, 1}, {1, 1}}, 1)
	k.Memory = &Memory{}
	require.Equal(t, [][]float32{{1, 1}}, craft(t, "mimic:warmup=1,knowledge=all", k))
}
