package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

type partition func(labels []int, clients int, seed uint64) ([][]int, error)

func partitions() map[string]partition {
	all := map[string]partition{"iid": IID}
	for _, alpha := range []float64{1e-6, 0.01, 0.3, 1, 1000, 1e6} {
		all[fmt.Sprintf("dirichlet %v", alpha)] = func(l []int, c int, s uint64) ([][]int, error) { return Dirichlet(l, c, alpha, s) }
	}
	for _, gamma := range []float64{0, 0.2, 0.5, 0.99, 1} {
		all[fmt.Sprintf("gamma %v", gamma)] = func(l []int, c int, s uint64) ([][]int, error) { return GammaSimilarity(l, c, gamma, s) }
	}
	for _, per := range []int{1, 2, 3} {
		all[fmt.Sprintf("shards %d", per)] = func(l []int, c int, s uint64) ([][]int, error) {
			return Shards(l, c, min(per, max(1, len(l)/max(1, c))), s)
		}
	}
	return all
}

func randomLabels(n, classes int) []int {
	rng := rand.New(rand.NewPCG(7, 7))
	labels := make([]int, n)
	for i := range labels {
		labels[i] = rng.IntN(classes)
	}
	return labels
}

func TestEveryExampleGoesToExactlyOneClientAndNoClientIsEmpty(t *testing.T) {
	for name, deal := range partitions() {
		t.Run(name, func(t *testing.T) {
			for _, size := range []struct{ examples, clients, classes int }{
				{1, 1, 1}, {10, 10, 3}, {15, 10, 4}, {17, 4, 10}, {100, 99, 10}, {1000, 30, 10}, {1000, 7, 1}, {2000, 1000, 2},
			} {
				labels := randomLabels(size.examples, size.classes)
				for seed := range uint64(5) {
					parts, err := deal(labels, size.clients, seed)
					require.NoError(t, err)
					require.Len(t, parts, size.clients)
					var all []int
					for _, part := range parts {
						require.NotEmpty(t, part)
						require.True(t, slices.IsSorted(part))
						all = append(all, part...)
					}
					slices.Sort(all)
					require.Equal(t, indices(size.examples), all)
				}
			}
		})
	}
}

func TestTheSameArgumentsGiveTheSamePartitionAndAnotherSeedAnother(t *testing.T) {
	labels := randomLabels(500, 10)
	for name, deal := range partitions() {
		first, err := deal(labels, 20, 1)
		require.NoError(t, err)
		second, err := deal(slices.Clone(labels), 20, 1)
		require.NoError(t, err)
		require.Equal(t, first, second, name)
		other, err := deal(labels, 20, 2)
		require.NoError(t, err)
		if name != "gamma 0" { // nothing is drawn: the labels say it all
			require.NotEqual(t, first, other, name)
		}
	}
}

func TestSizesAreEvenWherePromised(t *testing.T) {
	labels := randomLabels(1003, 10)
	for name, spread := range map[string]int{"iid": 1, "gamma 0": 2, "gamma 0.5": 2, "gamma 1": 2, "shards 2": 2} {
		parts, err := partitions()[name](labels, 10, 3)
		require.NoError(t, err)
		sizes := make([]int, len(parts))
		for i, part := range parts {
			sizes[i] = len(part)
		}
		require.LessOrEqual(t, slices.Max(sizes)-slices.Min(sizes), spread, name)
	}
}

// skew is the mean over clients of the share of the most frequent class.
func skew(labels []int, parts [][]int) float64 {
	var sum float64
	for _, part := range parts {
		counts := map[int]int{}
		most := 0
		for _, i := range part {
			counts[labels[i]]++
			most = max(most, counts[labels[i]])
		}
		sum += float64(most) / float64(len(part)) / float64(len(parts))
	}
	return sum
}

func TestPartitionsOrderFromAlikeToOneClassEach(t *testing.T) {
	labels := randomLabels(20_000, 10)
	got := func(name string) float64 {
		parts, err := partitions()[name](labels, 40, 11)
		require.NoError(t, err)
		return skew(labels, parts)
	}
	require.Less(t, got("iid"), 0.15)
	require.Less(t, got("gamma 1"), 0.15)
	require.Less(t, got("dirichlet 1000"), 0.16)
	require.Less(t, got("dirichlet 1000"), got("dirichlet 1"))
	require.Less(t, got("dirichlet 1"), got("dirichlet 0.3"))
	require.Less(t, got("dirichlet 0.3"), got("dirichlet 0.01"))
	require.InDelta(t, 0.55, got("gamma 0.5"), 0.06)
	require.Greater(t, got("gamma 0"), 0.85)
	require.Greater(t, got("shards 1"), 0.85)
	require.Greater(t, got("shards 1"), got("shards 2"))
}

func TestShardsGiveFewClasses(t *testing.T) {
	labels := make([]int, 6000)
	for i := range labels {
		labels[i] = i % 10
	}
	parts, err := Shards(labels, 100, 2, 5) // 20 shards a class, none across two
	require.NoError(t, err)
	for _, part := range parts {
		require.Len(t, part, 60)
		classes := map[int]bool{}
		for _, i := range part {
			classes[labels[i]] = true
		}
		require.LessOrEqual(t, len(classes), 2)
	}
}

// A share of Dirichlet(alpha, ..., alpha) over n has mean 1/n and variance
// (n-1)/(n^2 (n alpha + 1)). The bounds are five standard errors; a squared
// deviation lies in [0, 1], so its variance is at most its mean.
func TestDirichletSharesHaveTheRightMoments(t *testing.T) {
	const draws, n = 4000, 8
	for _, alpha := range []float64{0.05, 0.3, 1, 5} {
		rng := source(99, streamDirichlet)
		var mean, square float64
		for range draws {
			shares := dirichlet(rng, n, alpha)
			var sum float64
			for _, s := range shares {
				require.False(t, math.IsNaN(s))
				sum += s
			}
			require.InDelta(t, 1, sum, 1e-12)
			mean += shares[0] / draws
			square += (shares[0] - 1./n) * (shares[0] - 1./n) / draws
		}
		variance := float64(n-1) / (n * n * (n*alpha + 1))
		require.InDelta(t, 1./n, mean, 5*math.Sqrt(variance/draws), "alpha %v", alpha)
		require.InDelta(t, variance, square, 5*math.Sqrt(variance/draws), "alpha %v", alpha)
	}
}

// Gamma(k) has mean k and variance k.
func TestGammaVariablesHaveTheRightMoments(t *testing.T) {
	const draws = 20_000
	for _, shape := range []float64{0.3, 1, 2.5, 40} {
		rng := source(5, streamDirichlet)
		var mean, square float64
		for range draws {
			x := math.Exp(logGamma(rng, shape))
			mean += x / draws
			square += (x - shape) * (x - shape) / draws
		}
		fourth := 3*shape*shape + 6*shape // central
		require.InDelta(t, shape, mean, 5*math.Sqrt(shape/draws), "shape %v", shape)
		require.InDelta(t, shape, square, 5*math.Sqrt(fourth/draws), "shape %v", shape)
	}
}

func TestImpossiblePartitionsAreRefused(t *testing.T) {
	labels := randomLabels(10, 2)
	for name, deal := range partitions() {
		for _, clients := range []int{-1, 0, 11} {
			_, err := deal(labels, clients, 1)
			require.ErrorIs(t, err, ErrPartition, "%s, %d clients", name, clients)
		}
	}
	for _, alpha := range []float64{0, -1, 1e-7, 1e7, math.Inf(1), math.NaN()} {
		_, err := Dirichlet(labels, 2, alpha, 1)
		require.ErrorIs(t, err, ErrPartition)
	}
	for _, gamma := range []float64{-0.1, 1.1, math.NaN()} {
		_, err := GammaSimilarity(labels, 2, gamma, 1)
		require.ErrorIs(t, err, ErrPartition)
	}
	for _, per := range []int{-1, 0, 6, math.MaxInt} {
		_, err := Shards(labels, 2, per, 1)
		require.ErrorIs(t, err, ErrPartition)
	}
}
