package datacheck

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// labelled is a table of examples without features.
func labelled(labels ...int) rows {
	var out rows
	for _, label := range labels {
		out = append(out, row{nil, label})
	}
	return out
}

// of is the loss function that looks into a list.
func of(losses ...float64) func(int) (float64, error) {
	return func(i int) (float64, error) { return losses[i], nil }
}

func TestLossesFarAboveTheMedianAreFound(t *testing.T) {
	table := labelled(0, 1, 2, 0, 1, 9)
	loss := of(1, 2, 3, 4, 5.25, math.Inf(1)) // median 3.5, deviations .5 .5 1.5 1.75 2.5 Inf, threshold at k 1: 3.5 + 1.625
	for mode, want := range map[Mode][]int{ModeReport: {0, 1, 2, 3, 4, 5}, ModeRepair: {0, 1, 2, 3}, ModeRefuse: {0, 1, 2, 3, 4, 5}} {
		clean, report, err := mustNew(t, Rules{Classes: 3, Losses: Losses{Mode: mode, K: 1}}).CheckLosses(table, loss)
		if mode == ModeRefuse {
			require.ErrorIs(t, err, ErrFailed)
			require.ErrorContains(t, err, "losses")
		} else {
			require.NoError(t, err)
		}
		require.Equal(t, want, clean.Keep(), mode)
		require.Equal(t, &Spread{Median: 3.5, MAD: 1.625, Threshold: 5.125}, report.Losses)
		require.Equal(t, []Finding{{Check: "losses", Mode: mode, Failed: true, Examples: 2, LeftOut: 6 - len(want), Classes: []int{0, 1, 0}, Unknown: 1}}, report.Checks)
		require.Equal(t, len(want), report.Kept)
	}
	for floor, want := range map[float64]int{5.2: 2, 5.25: 1, 1: 2} {
		_, report, err := mustNew(t, Rules{Losses: Losses{Mode: ModeReport, K: 1, Floor: floor}}).CheckLosses(table, loss)
		require.NoError(t, err)
		require.Equal(t, want, report.Checks[0].Examples, "floor %v", floor)
	}
	for tolerate, want := range map[float64]error{.3: ErrFailed, .34: nil} {
		_, _, err := mustNew(t, Rules{Losses: Losses{Mode: ModeRefuse, K: 1, Tolerate: tolerate}}).CheckLosses(table, loss)
		require.ErrorIs(t, err, want)
	}
	for most, want := range map[float64]error{.3: ErrFailed, .34: nil} {
		_, _, err := mustNew(t, Rules{MaxLeftOut: most, Losses: Losses{Mode: ModeRepair, K: 1}}).CheckLosses(table, loss)
		require.ErrorIs(t, err, want)
	}
}

func TestEqualLossesSayNothingAboutTheOthers(t *testing.T) {
	checks := mustNew(t, Rules{Losses: Losses{Mode: ModeRepair, K: 3}})
	clean, report, err := checks.CheckLosses(labelled(0, 0, 0, 0, 0), of(1, 1, 1, 2, math.Inf(1)))
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2, 3}, clean.Keep())
	require.Equal(t, &Spread{Median: 1, Threshold: 1}, report.Losses)
}

func TestLossesThatSayNothingAreRefused(t *testing.T) {
	checks := mustNew(t, Rules{Losses: Losses{Mode: ModeReport, K: 3, Floor: 1}})
	inf := math.Inf(1)
	for name, losses := range map[string][]float64{"NaN": {1, math.NaN(), 2}, "-Inf": {1, -inf, 2}, "mostly infinite": {1, inf, inf},
		"half infinite": {1, 2, inf, inf}, "an infinite spread": {-math.MaxFloat64, math.MaxFloat64, math.MaxFloat64, -math.MaxFloat64}} {
		_, _, err := checks.CheckLosses(labelled(make([]int, len(losses))...), of(losses...))
		require.ErrorIs(t, err, ErrLosses, name)
	}
	broken := errors.New("broken")
	_, _, err := checks.CheckLosses(labelled(0), func(int) (float64, error) { return 0, broken })
	require.ErrorIs(t, err, broken)
}

func TestLossesAreAskedForFromTheirRoundOn(t *testing.T) {
	checks := mustNew(t, Rules{Losses: Losses{Mode: ModeReport, K: 3, FromRound: 5}})
	require.False(t, checks.AsksLosses(4))
	require.True(t, checks.AsksLosses(5))
	require.True(t, checks.AsksLosses(math.MaxUint32))
	off := mustNew(t, Rules{})
	require.False(t, off.AsksLosses(9))
	require.False(t, Checks{}.AsksLosses(9))
	clean, report, err := off.CheckLosses(labelled(0, 1), nil)
	require.NoError(t, err)
	require.Equal(t, []int{0, 1}, clean.Keep())
	require.Empty(t, report.Checks)
}

func TestTheMedianHalvesTheLosses(t *testing.T) {
	coins := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		x := make([]float64, 1+coins.IntN(20))
		for i := range x {
			x[i] = float64(coins.IntN(10))
		}
		m := median(slices.Clone(x))
		below, above := 0, 0
		for _, v := range x {
			if v < m {
				below++
			}
			if v > m {
				above++
			}
		}
		require.LessOrEqual(t, 2*below, len(x))
		require.LessOrEqual(t, 2*above, len(x))
	}
	require.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
	require.Equal(t, math.MaxFloat64, median([]float64{math.MaxFloat64, math.MaxFloat64}))
}
