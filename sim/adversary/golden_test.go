package adversary

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Set A is that of ByzFL's documentation; set B are five honest rows. Expected values are
// those of ByzFL's numpy path, of the authors' search for min-max, and of the normal
// quantile for z_max, as Choir's reference on robust aggregation records them.
var (
	setA = [][]float64{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}
	setB = [][]float64{{1, .5, -.2, 2}, {1.1, .4, -.1, 1.8}, {.9, .6, -.4, 2.1}, {1.3, .3, .1, 1.7}, {.8, .7, -.3, 2.4}}
)

func singles(rows [][]float64) [][]float32 {
	out := make([][]float32, len(rows))
	for i, row := range rows {
		out[i] = single(row)
	}
	return out
}

func coins() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// all is a cohort of the rows and f attackers who see them.
func all(rows [][]float64, f int) Known {
	own := make([][]float32, f)
	for i := range own {
		own[i] = make([]float32, len(rows[0]))
	}
	return Known{Round: 1, Clients: len(rows) + f, Byzantine: f, Honest: singles(rows), Own: own, Coins: coins()}
}

func near(t testing.TB, want, got []float64, tolerance float64) {
	t.Helper()
	require.InDeltaSlice(t, want, got, tolerance)
}

func craft(t testing.TB, spec string, k Known) [][]float32 {
	t.Helper()
	rows, err := parse(t, spec).Craft(k)
	require.NoError(t, err)
	require.Len(t, rows, len(k.Own))
	return rows
}

func TestGoldenVectorsInDoublePrecision(t *testing.T) {
	near(t, []float64{-4, -5, -6}, scaled(-1, mean(setA)), 1e-9)
	near(t, []float64{-8, -10, -12}, scaled(-2, mean(setA)), 1e-9)
	near(t, []float64{8.5, 9.5, 10.5}, offset(setA, 1.5), 1e-9)
	near(t, []float64{-1.02, -.5, .18, -2}, scaled(-1, mean(setB)), 1e-9)
	near(t, []float64{-2.04, -1, .36, -4}, scaled(-2, mean(setB)), 1e-9)
	near(t, []float64{1.3085307609, .7371708245, .1085307609, 2.4107919181}, offset(setB, 1.5), 1e-9)
	centre := mean(setB)
	for direction, gamma := range map[string]float64{"unit": .6404193386, "sign": .3386000431, "std": 1.7488696621} {
		require.InDelta(t, gamma, minMaxGamma(setB, centre, push(setB, centre, direction)), 1e-9, direction)
	}
}

func TestGoldenVectorsAsTheyAreSent(t *testing.T) {
	for spec, want := range map[string][]float64{
		"sign-flip:of=mean,knowledge=all":           {-4, -5, -6},
		"ipm:scale=2,knowledge=all":                 {-8, -10, -12},
		"alie:knowledge=all":                        {8.5, 9.5, 10.5},
		"alie:direction=subtract,z=1,knowledge=all": {1, 2, 3},
		"mimic:knowledge=all":                       {1, 2, 3},
		"mimic:index=5,knowledge=all":               {7, 8, 9},
		"opt-ipm:search=byzfl,knowledge=all":        {-2.74877907, -3.43597384, -4.1231686},
		"opt-alie:search=byzfl,knowledge=all":       {12.91985116, 13.91985116, 14.91985116},
	} {
		k := all(setA, 1)
		k.Aggregate = func(rows [][]float32) ([]float64, error) { return mixedTrimmedMean(doubles(rows)), nil }
		near(t, want, scaled(1, craft(t, spec, k)[0]), 1e-6)
	}
}

func TestOptimalFactorsAreThoseOfByzFL(t *testing.T) {
	centre := mean(setA)
	at := func(base, direction []float64) evaluation {
		return func(x float64) (float64, error) {
			result := mixedTrimmedMean(append(slices.Clone(setA), plus(base, x, direction)))
			return math.Sqrt(distance2(result, centre)), nil
		}
	}
	factor, _, err := maximize(at(make([]float64, 3), scaled(-1, centre)))
	require.NoError(t, err)
	near(t, []float64{-2.74877907, -3.43597384, -4.1231686}, scaled(-factor, centre), 1e-8)
	factor, _, err = maximize(at(centre, deviation(setA, centre)))
	require.NoError(t, err)
	near(t, []float64{12.91985116, 13.91985116, 14.91985116}, plus(centre, factor, deviation(setA, centre)), 1e-8)
}

// mixedTrimmedMean is the rule of those values: NNM f=1, static clipping at 2, trimmed
// mean f=1, on few rows and as slow as can be.
func mixedTrimmedMean(rows [][]float64) []float64 {
	n := len(rows)
	mixed := make([][]float64, n)
	for i, row := range rows {
		order := slices.Clone(rows)
		slices.SortStableFunc(order, func(a, b []float64) int {
			switch da, db := distance2(a, row), distance2(b, row); {
			case da < db:
				return -1
			case da > db:
				return 1
			}
			return 0
		})
		mixed[i] = mean(order[:n-1])
		if norm := math.Sqrt(dot(mixed[i], mixed[i])); norm > 2 {
			mixed[i] = scaled(2/norm, mixed[i])
		}
	}
	result := make([]float64, len(rows[0]))
	for j := range result {
		column := make([]float64, n)
		for i := range mixed {
			column[i] = mixed[i][j]
		}
		slices.Sort(column)
		for _, x := range column[1 : n-1] {
			result[j] += x / float64(n-2)
		}
	}
	return result
}

func doubles(rows [][]float32) [][]float64 {
	out := make([][]float64, len(rows))
	for i, row := range rows {
		out[i] = scaled(1, row)
	}
	return out
}

func TestZMaxIsThatOfThePublishedTable(t *testing.T) {
	for _, c := range []struct {
		n, f int
		z    float64
	}{{25, 5, .25335}, {20, 4, .15731}, {50, 10, .25335}, {60, 12, .26415}, {100, 20, .28584}, {51, 24, 1.44610}} {
		require.InDelta(t, c.z, zMax(c.n, c.f), 5e-6, "n=%d f=%d", c.n, c.f)
	}
	for _, c := range [][2]int{{2, 1}, {4, 3}, {10, 6}, {3, 3}} {
		require.True(t, math.IsNaN(zMax(c[0], c[1])), "%v", c)
	}
	k := all(setA, 3) // n=6, f=3: s=1, (6-3-1)/3 = 2/3, PhiInv 0.4307
	near(t, []float64{4 + 3*.4307273}, scaled(1, craft(t, "alie:z=max,knowledge=all", k)[0][:1]), 1e-6)
	_, err := parse(t, "alie:z=max,knowledge=all").Craft(all(setA, 4))
	require.ErrorIs(t, err, ErrKnown)
	require.ErrorContains(t, err, "z=max has no value for 4 attackers among 7 clients")
}
