package robust

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

func TestGeometricMedianIsThePointThatTheCoordinateMedianLeadsTo(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 30 {
		n := 5 + r.IntN(8)
		rows := hostile(r, n, 2, 2+r.IntN(3))
		v, err := Float64(rows)
		require.NoError(t, err)
		want := make([]float64, len(rows[0]))
		v.columns(want, mixing{n: n}, nil, newMedian)
		sum := func(at []float64) (all float64) {
			for _, row := range rows {
				square := 0.
				for j, x := range row {
					square += (x - at[j]) * (x - at[j])
				}
				all += math.Sqrt(square)
			}
			return all
		}
		for range 20_000 {
			next, weights := make([]float64, len(want)), 0.
			for _, row := range rows {
				square := 0.
				for j, x := range row {
					square += (x - want[j]) * (x - want[j])
				}
				w := 1 / max(1e-9, math.Sqrt(square))
				weights += w
				for j, x := range row {
					next[j] += w * x
				}
			}
			for j := range want {
				want[j] = next[j] / weights
			}
		}
		got, _ := apply(t, Spec{Rule: "geometric-median", F: 2, Parameters: parameters{"tolerance": "1e-9", "iterations": "20000"}}, rows, Input{})
		require.InEpsilon(t, sum(want), sum(got), 1e-5)
	}
}

func TestEqualVectorsCombineToThemselves(t *testing.T) {
	for _, s := range everyRule() {
		if s.Rule == "foolsgold" || s.Rule == "fltrust" || slices.Contains(s.Pre, "clip:20") || s.Rule == "centered-clipping" {
			continue
		}
		rows := make([][]float64, 16)
		for i := range rows {
			rows[i] = []float64{1, -2, 3}
		}
		got, _ := apply(t, s, rows, Input{Coins: rand.NewChaCha8([32]byte{})})
		require.InDeltaSlice(t, rows[0], got, 1e-12, s)
	}
}

func TestClippingAboutAReferenceIsThatOfItsDefinition(t *testing.T) {
	rows, in := inputFor(9, 20)
	got, out := apply(t, Spec{Rule: "centered-clipping", F: 3}, rows, in)
	v := slices.Clone(in.Reference)
	for range 3 {
		lengths := make([]float64, 9)
		for i, row := range rows {
			for j, x := range row {
				lengths[i] += (x - v[j]) * (x - v[j])
			}
			lengths[i] = math.Sqrt(lengths[i])
		}
		next, tau := slices.Clone(v), median(lengths)
		for i, row := range rows {
			for j, x := range row {
				next[j] += min(1, tau/lengths[i]) * (x - v[j]) / 9
			}
		}
		v = next
	}
	require.InDeltaSlice(t, v, got, 1e-9)
	require.NotZero(t, out.Carried)
}

func TestTrustFollowsTheRoot(t *testing.T) {
	// cosines with the root (2, 0): 1, 0.6, -1, 0
	got, out := apply(t, Spec{Rule: "fltrust", F: 3}, [][]float64{{5, 0}, {3, 4}, {-2, 0}, {0, 0}}, Input{Root: []float64{2, 0}})
	require.InDeltaSlice(t, []float64{(1*2 + .6*1.2) / 1.6, .6 * 1.6 / 1.6}, got, 1e-12)
	require.Equal(t, []int{2, 3}, out.Excluded)
}

func TestTheMajorityByDirectionIsTheFirstThatForms(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for range 100 {
		n := 1 + r.IntN(9)
		rows := hostile(r, n, n/3, 2)
		g := sceneOf(t, rows).gram()
		var steps []float64
		for i := range n {
			for j := range i {
				steps = append(steps, g.cosine(i, j))
			}
		}
		slices.Sort(steps)
		slices.Reverse(steps)
		var want []int
		for _, least := range append(steps, -2) {
			for start := range n {
				reached := map[int]bool{start: true}
				for range n {
					for i := range n {
						for j := range reached {
							if i != j && g.cosine(i, j) >= least {
								reached[i] = true
							}
						}
					}
				}
				if want == nil && 2*len(reached) > n {
					for i := range n {
						if reached[i] {
							want = append(want, i)
						}
					}
				}
			}
		}
		require.Equal(t, want, majority(g))
	}
}

func TestFLAMEClipsTheMajorityToTheMedianLength(t *testing.T) {
	// Lengths 1, 2, 3, 4, 9: the median is 3.
	got, out := apply(t, Spec{Rule: "flame", F: 2}, [][]float64{{1, 0}, {2, 0}, {3, 0}, {0, 4}, {0, -9}}, Input{})
	require.InDeltaSlice(t, []float64{2, 0}, got, 1e-12)
	require.Equal(t, []int{3, 4}, out.Excluded)
	got, _ = apply(t, Spec{Rule: "flame", F: 1}, [][]float64{{8, 0}, {6, 0}, {0, 1}}, Input{})
	require.InDeltaSlice(t, []float64{6, 0}, got, 1e-12)
}

func TestDirectionsAreThoseOfTheCovariance(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	rows, n, d := hostile(r, 8, 2, 3), 8, 3
	w := make([]float64, n)
	for i := range w {
		w[i] = r.Float64()
	}
	w[4] = 0
	scaled(w)
	mean := make([]float64, d)
	for i, row := range rows {
		for j, x := range row {
			mean[j] += w[i] * x
		}
	}
	covariance := mat.NewSymDense(d, nil)
	for i, row := range rows {
		for a := range d {
			for b := range a + 1 {
				covariance.SetSym(a, b, covariance.At(a, b)+w[i]*(row[a]-mean[a])*(row[b]-mean[b]))
			}
		}
	}
	var eigen mat.EigenSym
	require.True(t, eigen.Factorize(covariance, true))
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	got, err := principal(sceneOf(t, rows).gram(), w)
	require.NoError(t, err)
	require.InEpsilon(t, eigen.Values(nil)[d-1], got.value, 1e-9)
	for i, row := range rows {
		along := 0.
		for j, x := range row {
			along += (x - mean[j]) * vectors.At(j, d-1)
		}
		require.InDelta(t, along*along, got.along[i], 1e-9*(1+along*along))
	}
}

func TestSubsetsAreTheBestOfAll(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for range 20 {
		g := sceneOf(t, hostile(r, 8, 3, 2)).gram()
		diameters, least := leastDiameter(g, 5), math.Inf(1)
		_, spread, err := leastSpread(g, 5)
		require.NoError(t, err)
		narrowest := math.Inf(1)
		diameter := func(members []int) (most float64) {
			for _, i := range members {
				for _, j := range members {
					most = max(most, g.distance(i, j))
				}
			}
			return most
		}
		for set := range 1 << 8 {
			var members []int
			for i := range 8 {
				if set>>i&1 == 1 {
					members = append(members, i)
				}
			}
			if len(members) == 5 {
				least = min(least, diameter(members))
				d, err := principal(g, meanOf(8, members))
				require.NoError(t, err)
				narrowest = min(narrowest, d.value)
			}
		}
		require.Equal(t, least, diameter(diameters))
		require.InDelta(t, narrowest, spread, 1e-9*(1+narrowest))
	}
}

func TestAHugeVectorDoesNotHoldTheFilter(t *testing.T) {
	rows := slices.Clone(setB)
	rows[6] = []float64{1e12, -1e12, 3e11, 2e12}
	got, out := apply(t, Spec{Rule: "caf", F: 2}, rows, Input{})
	require.InDeltaSlice(t, setB[0], got, 1)
	require.Contains(t, out.Excluded, 6)
}

func TestWithNoByzantineVectorsRulesThatDropFFromTheMeanAreTheMean(t *testing.T) {
	rows, _ := inputFor(6, 5)
	mean, _ := apply(t, Spec{Rule: "mean"}, rows, Input{})
	for _, rule := range []string{"trimmed-mean", "meamed", "multi-krum", "bulyan", "mda", "smea", "caf", "monna", "dnc"} {
		for _, pre := range [][]string{nil, {"arc"}, {"clip:1e6", "arc"}} {
			got, out := apply(t, Spec{Rule: rule, Pre: pre}, rows, Input{})
			require.InDeltaSlice(t, mean, got, 1e-12, "%s %v", rule, pre)
			require.Empty(t, out.Excluded, "%s %v", rule, pre)
		}
		got, _ := apply(t, Spec{Rule: rule, Pre: []string{"nnm"}}, rows, Input{}) // every row is the mean
		require.InDeltaSlice(t, mean, got, 1e-12, "%s after nnm", rule)
	}
}

func TestFoolsGoldGoesByThePast(t *testing.T) {
	rows := [][]float64{{1, 0}, {0, 1}, {1, 1}}
	past, err := Float64([][]float64{{3, 1}, {3, 1}, {-1, 3}})
	require.NoError(t, err)
	got, out := apply(t, Spec{Rule: "foolsgold", F: 2}, rows, Input{Past: &past})
	require.Equal(t, []float64{1, 1}, got)
	require.Equal(t, []int{0, 1}, out.Excluded)
}

func TestSampledCoordinatesAreDrawnAlike(t *testing.T) {
	coins := rand.NewChaCha8([32]byte{2})
	seen := map[[3]int]int{}
	for range 6000 {
		order, err := shuffled(coins, 3)
		require.NoError(t, err)
		seen[[3]int(order)]++
	}
	require.Len(t, seen, 6)
	for _, times := range seen {
		require.InDelta(t, 1000, times, 150)
	}
	rows := [][]float64{{1, 2, 4, 8, 16}, {1, 1, 1, 1, 1}}
	s := sceneOf(t, rows)
	s.in.Coins = coins
	pairs := map[float64]int{}
	for range 5000 {
		g, err := s.sampled(2)
		require.NoError(t, err)
		pairs[g.dot(0, 1)]++ // names the pair
	}
	require.Len(t, pairs, 10)
	for _, times := range pairs {
		require.InDelta(t, 500, times, 110)
	}
	// A draw in the last, incomplete run of n numbers is drawn again.
	x, err := below(bytes.NewReader(append(bytes.Repeat([]byte{0xff}, 8), 5, 0, 0, 0, 0, 0, 0, 0)), 3)
	require.NoError(t, err)
	require.Equal(t, 2, x)
}

func TestRoundingLeavesNoNegativeDistance(t *testing.T) {
	g := newGram(2)
	g.set(0, 0, 1)
	g.set(1, 1, 1)
	g.set(0, 1, math.Nextafter(1, 2))
	require.Zero(t, g.distance(0, 1))
	require.Equal(t, []float64{0, 0}, g.from([]float64{0.5, 0.5}))
	require.Zero(t, norm(-1e-300))
}
