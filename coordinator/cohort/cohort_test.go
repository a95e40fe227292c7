package cohort

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

// people are c00, c01, ... in ascending order.
func people(n int) []secagg.PartyID {
	ids := make([]secagg.PartyID, n)
	for i := range ids {
		ids[i] = secagg.PartyID(fmt.Sprintf("c%02d", i))
	}
	return ids
}

// numbered is the seed of trial i.
func numbered(i int) [32]byte {
	var root [32]byte
	binary.LittleEndian.PutUint64(root[:], uint64(i))
	return field.Derive(root, "cohort test")
}

func name(cohort []secagg.PartyID) string {
	parts := make([]string, len(cohort))
	for i, id := range cohort {
		parts[i] = string(id)
	}
	return strings.Join(parts, " ")
}

// requireFit compares counts of equally likely outcomes with their expectation.
// bound is the chi-square quantile at 0.999 for len(seen)-1 degrees of freedom;
// the seeds are fixed, so that the outcome never changes from run to run.
func requireFit(t *testing.T, seen map[string]int, outcomes, trials int, bound float64) {
	t.Helper()
	require.Len(t, seen, outcomes, "every outcome occurs and no other does")
	expected := float64(trials) / float64(outcomes)
	chi2 := 0.0
	for _, n := range seen {
		chi2 += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	require.Less(t, chi2, bound)
}

func TestEverySubsetIsEquallyLikely(t *testing.T) {
	// Quantiles at 0.999: scipy.stats.chi2.ppf(0.999, subsets-1), or any table.
	for _, c := range []struct {
		population, size, subsets int
		bound                     float64
	}{
		{2, 1, 2, 10.83},
		{6, 1, 6, 20.52},
		{6, 2, 15, 36.12},
		{6, 3, 20, 43.82},
		{6, 5, 6, 20.52},
	} {
		t.Run(fmt.Sprintf("%d of %d", c.size, c.population), func(t *testing.T) {
			require.EqualValues(t, c.subsets, new(big.Int).Binomial(int64(c.population), int64(c.size)).Int64())
			population := people(c.population)
			seen := map[string]int{}
			const trials = 12000
			for i := range trials {
				seen[name(Uniform(numbered(i), population, c.size))]++
			}
			requireFit(t, seen, c.subsets, trials, c.bound)
		})
	}
}

// With n = 3 * 2^62, a plain remainder would give the lowest third of the range
// half of the draws.
func TestRemainderDoesNotBiasADraw(t *testing.T) {
	const trials = 12000
	coins := field.NewStream(numbered(0))
	thirds := map[string]int{}
	for range trials {
		thirds[fmt.Sprint(below(coins, 3<<62)>>62)]++
	}
	requireFit(t, thirds, 3, trials, 13.82)
}

func TestDrawIsBelowItsBound(t *testing.T) {
	coins := field.NewStream(numbered(0))
	for _, n := range []uint64{1, 2, 3, 1 << 32, 1<<63 + 1, 1<<64 - 1} {
		for range 100 {
			require.Less(t, below(coins, n), n)
		}
	}
}

// A coordinator of a later version that restarts within a round must draw the
// same cohort: changing this vector breaks running deployments.
//
// Source, with an AES of other make:
//
//	key = bytes(range(32))
//	ks = subprocess.run(["openssl", "enc", "-aes-256-ctr", "-K", key.hex(), "-iv", "00" * 16],
//	                    input=bytes(400), capture_output=True, check=True).stdout
//	words = (int.from_bytes(ks[i:i+8], "little") for i in range(0, 400, 8))
//	pool = ["c%02d" % i for i in range(20)]
//	for i in range(7):
//	    n = 20 - i
//	    v = next(w for w in words if w >= 2**64 % n)
//	    j = i + v % n
//	    pool[i], pool[j] = pool[j], pool[i]
//	print(" ".join(sorted(pool[:7])))
func TestSeedDrawsTheSameCohortForever(t *testing.T) {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(i)
	}
	require.Equal(t, "c01 c02 c06 c10 c14 c18 c19", name(Uniform(seed, people(20), 7)))
}

func TestOrderOfThePopulationDoesNotMatter(t *testing.T) {
	for i := range 200 {
		sorted := people(1 + i%30)
		size := i % (len(sorted) + 1)
		want := Uniform(numbered(i), sorted, size)

		reversed := slices.Clone(sorted)
		slices.Reverse(reversed)
		require.Equal(t, want, Uniform(numbered(i), reversed, size))

		turned := slices.Concat(sorted[len(sorted)/3:], sorted[:len(sorted)/3])
		require.Equal(t, want, Uniform(numbered(i), turned, size))
	}
}

func TestCohortIsSortedDistinctAndOfThePopulation(t *testing.T) {
	for n := range 12 {
		population := people(n)
		slices.Reverse(population)
		for size := -1; size <= n+2; size++ {
			got := Uniform(numbered(n), population, size)
			require.Len(t, got, max(0, min(size, n)))
			for i, id := range got {
				require.Contains(t, population, id)
				require.True(t, i == 0 || got[i-1] < id, "ascending, nobody twice: %v", got)
			}
		}
	}
}

func TestPopulationIsLeftAlone(t *testing.T) {
	for _, size := range []int{0, 4, 9, 10, 11} {
		population := people(10)
		slices.Reverse(population)
		before := slices.Clone(population)
		drawn := Uniform(numbered(1), population, size)
		for i := range drawn {
			drawn[i] = "somebody-else"
		}
		require.Equal(t, before, population)
	}
}

func TestAnotherSeedDrawsAnotherCohort(t *testing.T) {
	population := people(60)
	seen := map[string]bool{}
	for i := range 256 {
		var seed [32]byte
		seed[i/8] = 1 << (i % 8)
		seen[name(Uniform(seed, population, 30))] = true
	}
	require.Len(t, seen, 256, "every bit of the seed matters")
}

// TestEverySubsetIsDrawnWithTheProbabilityOfItsCoins: chi-square over all subsets. The
// quantile is scipy.stats.chi2.ppf(0.999, 15).
func TestEverySubsetIsDrawnWithTheProbabilityOfItsCoins(t *testing.T) {
	for _, probability := range []float64{0.5, 0.3, 0.75, 1.0 / 3} {
		population, seen := people(4), map[string]int{}
		const trials = 20000
		for i := range trials {
			seen[name(Poisson(numbered(i), population, probability))]++
		}
		require.Len(t, seen, 16)
		chi2 := 0.0
		for subset, n := range seen {
			expected := float64(trials)
			drawn := len(strings.Fields(subset))
			for i := range 4 {
				if i < drawn {
					expected *= probability
				} else {
					expected *= 1 - probability
				}
			}
			chi2 += (float64(n) - expected) * (float64(n) - expected) / expected
		}
		require.Less(t, chi2, 37.70, "probability %v", probability)
	}
}

func TestCohortByCoinsHasTheSizeOfItsExpectation(t *testing.T) {
	population, total := make([]secagg.PartyID, 3000), 0
	for i := range population {
		population[i] = secagg.PartyID(fmt.Sprintf("c%04d", i))
	}
	const draws, size = 500, 120
	squares := 0.0
	for i := range draws {
		n := len(Poisson(numbered(i), population, size/3000.0))
		total += n
		squares += (float64(n) - size) * (float64(n) - size)
	}
	require.InDelta(t, size, float64(total)/draws, 4*10.8/22.4, "four deviations: sqrt(120 * 0.96 / 500)")
	require.InDelta(t, 120*0.96, squares/draws, 4*115.2*0.0632, "the size varies as it must: a fixed one would have no variance")
}

func TestProbabilitiesAtTheEndsAndBeyond(t *testing.T) {
	population := people(50)
	for i := range 100 {
		require.Empty(t, Poisson(numbered(i), population, 0))
		require.Empty(t, Poisson(numbered(i), population, math.SmallestNonzeroFloat64), "less than 2^-64 is never")
		require.Empty(t, Poisson(numbered(i), population, 0x1p-60))
		require.Equal(t, population, Poisson(numbered(i), population, 1))
		require.Len(t, Poisson(numbered(i), population, math.Nextafter(1, 0)), 50)
		for _, none := range []float64{math.NaN(), -0.1, 1.0000001, math.Inf(1), math.Inf(-1)} {
			require.Nil(t, Poisson(numbered(i), population, none), "%v is no probability", none)
		}
	}
	require.Empty(t, Poisson(numbered(0), nil, 0.5))
}

// TestCoinsOfASeedAreTheSameForever: exactly probability * 2^64 words draw a client.
//
// Source, as of TestSeedDrawsTheSameCohortForever:
//
//	print(" ".join("c%02d" % i for i, w in zip(range(20), words) if w < int(0.3 * 2**64)))
func TestCoinsOfASeedAreTheSameForever(t *testing.T) {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(i)
	}
	require.Equal(t, "c03 c06 c08 c14", name(Poisson(seed, people(20), 0.3)))
	coins := field.NewStream(seed)
	var b [8]byte
	_, err := coins.Read(b[:])
	require.NoError(t, err)
	first := binary.LittleEndian.Uint64(b[:])
	edge := math.Ldexp(float64(first>>11), -53) // the probability of the word, cut
	require.Empty(t, Poisson(seed, people(1), edge), "from below")
	require.Len(t, Poisson(seed, people(1), edge+0x1p-53), 1)
}

func TestCoinsDoNotDependOnTheOrderOfThePopulationNorChangeIt(t *testing.T) {
	for i := range 200 {
		sorted := people(1 + i%30)
		want := Poisson(numbered(i), sorted, 0.4)
		require.Equal(t, want, Poisson(numbered(i), sorted, 0.4), "a restart draws the same")
		require.True(t, slices.IsSorted(want))
		reversed := slices.Clone(sorted)
		slices.Reverse(reversed)
		before := slices.Clone(reversed)
		drawn := Poisson(numbered(i), reversed, 0.4)
		require.Equal(t, want, drawn)
		for j := range drawn {
			drawn[j] = "somebody-else"
		}
		require.Equal(t, before, reversed)
	}
	whole := people(3)
	slices.Reverse(whole)
	drawn := Poisson(numbered(1), whole, 1)
	drawn[0] = "somebody-else"
	require.Equal(t, secagg.PartyID("c02"), whole[0])
}
