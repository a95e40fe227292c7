package adversary

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// krum is the index that Krum with n-f-2 neighbours chooses, as slowly as can be.
func krum(rows [][]float64, f int) int {
	best, least := -1, math.Inf(1)
	for i := range rows {
		var to []float64
		for j := range rows {
			if i != j {
				to = append(to, distance2(rows[i], rows[j]))
			}
		}
		slices.Sort(to)
		score := 0.0
		for _, x := range to[:len(rows)-f-2] {
			score += x
		}
		if score < least {
			best, least = i, score
		}
	}
	return best
}

func TestKrumChoosesFangsVectorAndNotOneTwiceAsFar(t *testing.T) {
	for _, c := range []struct{ h, f int }{{4, 1}, {8, 2}, {12, 4}, {20, 5}} {
		k := cohort(c.h, c.f, 30)
		sent := craft(t, "fang-krum:knowledge=all", k)
		rows := append(doubles(k.Honest), doubles(sent)...)
		require.GreaterOrEqual(t, krum(rows, c.f), c.h, "%v", c)
		for j, s := range signs(mean(k.Honest)) {
			require.Equal(t, -s*math.Abs(float64(sent[0][0])), float64(sent[0][j]))
		}
		for i := c.h; i < len(rows); i++ {
			rows[i] = scaled(2, rows[i])
		}
		require.Less(t, krum(rows, c.f), c.h, "%v", c)
	}
}

func TestFangsSearchEndsWhereKrumChoosesNothingOfIt(t *testing.T) {
	// Honest updates that agree: Krum scores zero there, and no other place has less.
	rows := slices.Repeat([][]float64{{1, 2}}, 5)
	lambda := krumReach(rows, []float64{1, 1}, 1)
	require.Positive(t, lambda)
	require.Less(t, lambda, 1e-4)
	_, err := parse(t, "fang-krum:knowledge=all").Craft(cohort(2, 1, 4))
	require.ErrorIs(t, err, ErrKnown)
	require.ErrorContains(t, err, "no neighbours")
	require.GreaterOrEqual(t, krum(append(doubles(cohort(4, 4, 3).Honest), doubles(craft(t, "fang-krum:knowledge=all", cohort(4, 4, 3)))...), 4), 4, "a majority is always chosen")
}

func TestFangTrimStandsBeyondTheExtremes(t *testing.T) {
	const d = 300
	k := cohort(6, 3, d)
	least, most := extremes(k.Honest)
	centre := mean(k.Honest)
	rows := craft(t, "fang-trim:knowledge=all,b=3", k)
	require.NotEqual(t, rows[0], rows[1])
	sides := map[bool]int{}
	for _, row := range rows {
		for j, x32 := range row {
			x := float64(x32)
			sides[centre[j] >= 0]++
			switch {
			case centre[j] >= 0 && least[j] < 0:
				require.True(t, x <= least[j]+1e-6 && x >= 3*least[j]-1e-6)
			case centre[j] >= 0:
				require.True(t, x <= least[j]+1e-6 && x >= least[j]/3-1e-6)
			case most[j] > 0:
				require.True(t, x >= most[j]-1e-6 && x <= 3*most[j]+1e-6)
			default:
				require.True(t, x >= most[j]-1e-6 && x <= most[j]/3+1e-6)
			}
		}
	}
	require.Greater(t, sides[false], d/10)

	own := mean(k.Own)
	std := deviation(k.Own, own)
	for _, row := range craft(t, "fang-trim", k) {
		for j, x := range row {
			off := (float64(x) - own[j]) / std[j]
			if own[j] >= 0 {
				off = -off
			}
			require.True(t, off > 3-1e-4 && off < 4+1e-4, off)
		}
	}
}
