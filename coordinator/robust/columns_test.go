package robust

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// twoAtOnce is an Each of two goroutines that share the work.
func twoAtOnce(n int, do func(int)) {
	var wg sync.WaitGroup
	for k := range 2 {
		wg.Go(func() {
			for i := k; i < n; i += 2 {
				do(i)
			}
		})
	}
	wg.Wait()
}

// backwards is an Each that begins with the last.
func backwards(n int, do func(int)) {
	for i := n - 1; i >= 0; i-- {
		do(i)
	}
}

// columnsOfKinds draws values with which selection may go wrong: many of few, many equal,
// of all magnitudes, zeros of both signs.
var columnsOfKinds = map[string]func(r *rand.Rand) float64{
	"normal":     func(r *rand.Rand) float64 { return r.NormFloat64() },
	"ties":       func(r *rand.Rand) float64 { return float64(r.IntN(3) - 1) },
	"mostly 0":   func(r *rand.Rand) float64 { return max(0, r.NormFloat64()-0.5) },
	"all equal":  func(*rand.Rand) float64 { return 0.1 },
	"magnitudes": func(r *rand.Rand) float64 { return r.NormFloat64() * math.Pow(10, float64(r.IntN(30)-15)) },
	"zeros":      func(r *rand.Rand) float64 { return math.Copysign(0, r.NormFloat64()) },
}

// drawn returns n by d values of a kind, in both precisions.
func drawn(kind string, n, d int) ([][]float32, [][]float64) {
	r := rand.New(rand.NewPCG(uint64(n), uint64(d)))
	single, double := make([][]float32, n), make([][]float64, n)
	for i := range n {
		single[i], double[i] = make([]float32, d), make([]float64, d)
		for j := range d {
			double[i][j] = columnsOfKinds[kind](r)
			single[i][j] = float32(double[i][j])
		}
	}
	return single, double
}

// mixed is a map of n vectors to m, with zeros in it; if alike, each vector has one
// coefficient wherever it is taken in, as after nnm.
func mixed(n, m int, alike bool) mixing {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	scale := make([]float64, n)
	for j := range scale {
		scale[j] = r.Float64() / float64(n)
	}
	out := mixing{n: n}
	for range m {
		row := make([]float64, n)
		for j := range row {
			switch {
			case r.IntN(3) == 0:
			case alike:
				row[j] = scale[j]
			default:
				row[j] = r.Float64() / float64(n)
			}
		}
		out.rows = append(out.rows, row)
	}
	return out
}

// columnOf is a column of the mixed vectors, by definition.
func columnOf(m mixing, rows [][]float64, j int) []float64 {
	out := make([]float64, m.len())
	for i := range out {
		for k, a := range m.row(i) {
			out[i] += float64(a * rows[k][j])
		}
	}
	return out
}

func widened(rows [][]float32) [][]float64 {
	out := make([][]float64, len(rows))
	for i, row := range rows {
		for _, x := range row {
			out[i] = append(out[i], float64(x))
		}
	}
	return out
}

func TestColumnsHandsOverEachCoordinateOnceAndInOrder(t *testing.T) {
	for _, c := range []struct {
		n, m, d int
		alike   bool
	}{{1, 0, 1, false}, {3, 0, block, false}, {3, 2, block + 1, false}, {3, 2, block + 1, true}, {5, 5, chunk - 1, true}, {4, 1, chunk, true}, {16, 17, 100, true},
		{17, 16, 100, true}, {7, 9, chunk + block + 3, true}, {7, 9, chunk + block + 3, false}, {6, 0, 2*chunk + 1, false}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			m := mixing{n: c.n}
			if c.m > 0 {
				m = mixed(c.n, c.m, c.alike)
				require.Equal(t, c.alike, m.product().scale != nil)
			}
			single, double := drawn("normal", c.n, c.d)
			a, err := Float32(single)
			require.NoError(t, err)
			b, err := Float64(double)
			require.NoError(t, err)
			for k, rows := range [][][]float64{widened(single), double} {
				v := []Vectors{a, b}[k]
				// A value that tells the places of the column apart.
				weigh := func(column []float64) (sum float64) {
					for i, x := range column {
						sum += float64(float64(i+1) * x)
						column[i] = math.NaN() // as it may
					}
					return sum
				}
				got := make([]float64, c.d)
				v.columns(got, m, nil, func() func([]float64) float64 { return weigh })
				for j := range got {
					want := weigh(columnOf(m, rows, j))
					if m.rows == nil {
						require.Equal(t, want, got[j])
					}
					require.InDelta(t, want, got[j], 1e-13)
				}
				for name, each := range map[string]func(int, func(int)){"serially": serially, "backwards": backwards, "two": twoAtOnce} {
					again := make([]float64, c.d)
					v.columns(again, m, each, func() func([]float64) float64 { return weigh })
					require.Equal(t, got, again, name)
				}
			}
		})
	}
}

func TestAVectorThatNoRowTakesInDoesNotDisturbTheOthers(t *testing.T) {
	v, err := Float64([][]float64{{0.1}, {0.2}, {1e150}})
	require.NoError(t, err)
	for _, rows := range [][][]float64{{{0.5, 0.5, 0}}, {{0.5, 0.5, 0}, {0.5, 0.5, 0}, {0, 0.5, 0.5}}, {{0.5, 0.5, 0}, {0.5, 0.5, 0}, {0, 0.25, 0.75}}} {
		dst := make([]float64, 1)
		v.columns(dst, mixing{n: 3, rows: rows}, nil, newMedian)
		require.Equal(t, float64(0.5*0.1)+float64(0.5*0.2), dst[0])
	}
}

func TestColumnsOfNothingAreNone(t *testing.T) {
	require.NotPanics(t, func() { Vectors{}.columns(nil, mixing{}, nil, newMedian) })
}

func TestEachPickHasItsOwnScratch(t *testing.T) {
	rows, _ := drawn("normal", 3, 5*chunk)
	v, err := Float32(rows)
	require.NoError(t, err)
	var made sync.Map
	v.columns(make([]float64, 5*chunk), mixing{n: 3}, twoAtOnce, func() func([]float64) float64 {
		mine := new(int)
		made.Store(mine, true)
		return func([]float64) float64 { *mine++; return 0 } // a race if it were shared
	})
	picked := 0
	made.Range(func(k, _ any) bool {
		picked += *k.(*int)
		return true
	})
	require.Equal(t, 5*chunk, picked)
}

// The picks by definition: everything is sorted.
var slowPicks = map[string]func(column []float64, n int) float64{
	"median":  func(c []float64, _ int) float64 { return slowMedian(c) },
	"trimmed": func(c []float64, f int) float64 { return slowMean(slices.Sorted(slices.Values(c))[f : len(c)-f]) },
	"around": func(c []float64, keep int) float64 {
		centre := slowMedian(c)
		c = slices.Clone(c)
		slices.SortStableFunc(c, func(x, y float64) int {
			switch a, b := math.Abs(x-centre), math.Abs(y-centre); {
			case a < b:
				return -1
			case a > b:
				return 1
			}
			return 0
		})
		return slowMean(c[:keep])
	},
}

func slowMedian(column []float64) float64 {
	c := slices.Sorted(slices.Values(column))
	return (c[(len(c)-1)/2] + c[len(c)/2]) / 2
}

func slowMean(values []float64) float64 {
	sum := 0.0
	for _, x := range values {
		sum += x
	}
	return sum / float64(len(values))
}

func TestPicksAgreeWithSortingEverything(t *testing.T) {
	const d = 7
	for kind := range columnsOfKinds {
		for n := 1; n <= 40; n++ {
			single, double := drawn(kind, n, d)
			for _, rows := range [][][]float64{widened(single), double} {
				for j := range d {
					column := columnOf(mixing{n: n}, rows, j)
					size := math.Abs(slices.Max(column)) + math.Abs(slices.Min(column))
					near := func(want, got float64, what string, k int) {
						t.Helper()
						require.InDelta(t, want, got, 1e-14*size, "%s %d of %s: %v", what, k, kind, column)
					}
					require.Equal(t, slowMedian(column), newMedian()(slices.Clone(column)), column)
					for f := 0; 2*f < n; f++ {
						near(slowPicks["trimmed"](column, f), newTrimmed(f)()(slices.Clone(column)), "trimmed", f)
					}
					for keep := 1; keep <= n; keep++ {
						near(slowPicks["around"](column, keep), newAround(keep)()(slices.Clone(column)), "around", keep)
					}
				}
			}
		}
	}
}

func TestPicksStayAmongWhatTheyKeep(t *testing.T) {
	for _, f := range []int{0, 1, 2} {
		require.Equal(t, 0.1, newTrimmed(f)()([]float64{0.1, 0.1, 0.1, 0.1, 0.1}))
	}
	require.Equal(t, 0.1, newTrimmed(1)()([]float64{0.1, 1e15, 0.1, -1e15, 0.1}))
	require.Equal(t, 0.2, newTrimmed(1)()([]float64{1e150, 0.2, -1e150}), "nothing of what is left out is ever added")
	require.Equal(t, 0.2, newAround(1)()([]float64{1e150, 0.2, -1e150}))
}

func TestEquallyFarValuesAreTakenInOrder(t *testing.T) {
	require.Equal(t, 2.5, newAround(2)()([]float64{1, 4, 7}))
	require.Equal(t, 5.5, newAround(2)()([]float64{7, 4, 1}))
	require.Equal(t, 4.0, newAround(3)()([]float64{7, 4, 1}))
}

func TestThePickOfAColumnDoesNotDependOnTheOneBefore(t *testing.T) {
	_, rows := drawn("ties", 31, 40)
	for name, make := range map[string]func() func([]float64) float64{"median": newMedian, "trimmed": newTrimmed(6), "around": newAround(15)} {
		used := make()
		for n := range 31 { // lengths differ too
			column := columnOf(mixing{n: 31}, rows, n)[:31-n%10]
			require.Equal(t, make()(slices.Clone(column)), used(slices.Clone(column)), name)
		}
	}
}

func TestKeysKeepTheOrderOfNumbers(t *testing.T) {
	ordered := []float64{-math.MaxFloat64, -1e150, -1, -math.SmallestNonzeroFloat64, math.Copysign(0, -1), 0, math.SmallestNonzeroFloat64, 0.5, 1, 1e150, math.MaxFloat64}
	for i, x := range ordered {
		require.Equal(t, math.Float64bits(x), math.Float64bits(number(key(x))))
		for j, y := range ordered {
			require.EqualValues(t, i < j, less(key(x), key(y)) == 1, "%v < %v", x, y)
		}
	}
}

func TestSelectionPutsEveryKeyOnItsSide(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for n := 1; n <= 200; n += 1 + n/20 {
		for _, most := range []uint64{1, 2, 5, 1 << 60} {
			keys := make([]uint64, n)
			for i := range keys {
				keys[i] = r.Uint64N(most)
			}
			sorted := slices.Sorted(slices.Values(keys))
			for k := range n {
				got := slices.Clone(keys)
				require.Equal(t, sorted[k], nth(got, k))
				require.Equal(t, sorted[k], got[k])
				require.LessOrEqual(t, slices.Max(got[:k+1]), got[k])
				require.GreaterOrEqual(t, slices.Min(got[k:]), got[k])
				slices.Sort(got)
				require.Equal(t, sorted, got, "none is lost")
			}
		}
	}
}

// worst returns keys of which nth can take off only two at a turn from the front: two of
// the three that it looks at are the least that are left.
func worst(n int) []uint64 {
	const open = 1 << 32
	at, out := make([]uint64, n), make([]uint64, n) // which key stands where by now
	for i := range at {
		at[i], out[i] = open+uint64(i), open-uint64(i)
	}
	for value := uint64(0); len(at) > 2; value += 2 {
		for i, place := range []int{0, len(at) / 2} {
			out[at[place]-open] = value + uint64(i)
			at[place] = value + uint64(i)
		}
		p := pivot(at)
		lower := partition(at[1:], p)
		at[0], at[lower] = at[lower], p
		at = at[lower+1:]
	}
	return out
}

func TestSelectionGivesUpOnKeysChosenAgainstIt(t *testing.T) {
	const n = 4096
	keys := worst(n)
	want := slices.Sorted(slices.Values(keys))
	require.Equal(t, want[n/2], nth(keys, n/2))
	require.Equal(t, want, keys, "it sorted, instead of going on for a thousand turns")
	// Chance does not come that far.
	_, rows := drawn("normal", 1, n)
	var s scratch
	keys = s.fill(rows[0])
	nth(keys, n/2)
	require.False(t, slices.IsSorted(keys))
}

func BenchmarkColumns(b *testing.B) {
	const n, d = 100, 100_000
	rows, _ := drawn("normal", n, d)
	v, err := Float32(rows)
	require.NoError(b, err)
	near := mixing{n: n}
	r := rand.New(rand.NewPCG(3, 4))
	for range n {
		row := make([]float64, n)
		for _, j := range r.Perm(n)[:80] {
			row[j] = 1. / 80
		}
		near.rows = append(near.rows, row)
	}
	dst := make([]float64, d)
	for _, c := range []struct {
		name string
		m    mixing
		pick func() func([]float64) float64
	}{{"median", mixing{n: n}, newMedian}, {"trimmed", mixing{n: n}, newTrimmed(20)}, {"around", mixing{n: n}, newAround(80)}, {"nnm-trimmed", near, newTrimmed(20)}} {
		for threads, each := range []func(int, func(int)){serially, twoAtOnce} {
			b.Run(fmt.Sprint(c.name, "/", threads+1), func(b *testing.B) {
				for b.Loop() {
					v.columns(dst, c.m, each, c.pick)
				}
			})
		}
	}
}
