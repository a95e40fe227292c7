package ddp

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// slowHonest follows DESIGN section 7 to the letter, with rationals.
func slowHonest(v BucketView) (c int, charge *big.Rat) {
	all := new(big.Int).Binomial(int64(v.Cohort-1), int64(v.Size-1))
	budget := new(big.Rat).SetFloat64(v.Delta)
	budget.Quo(budget, big.NewRat(10, 1))
	for c = 0; ; c++ {
		p := new(big.Rat)
		for x := c + 1; x <= v.Size-1; x++ {
			ways := new(big.Int).Binomial(int64(v.Corrupt), int64(x))
			ways.Mul(ways, new(big.Int).Binomial(int64(v.Cohort-1-v.Corrupt), int64(v.Size-1-x)))
			p.Add(p, new(big.Rat).SetFrac(ways, all))
		}
		for range v.Grinding {
			p.Mul(p, big.NewRat(2, 1))
		}
		p.Mul(p, big.NewRat(int64(v.Rounds), 1))
		if p.Cmp(budget) <= 0 {
			return c, p
		}
	}
}

func TestHonestSharesAreTheLeastOfTheDesign(t *testing.T) {
	for _, n := range []int{2, 3, 16, 40, 200} {
		for _, f := range []int{0, 1, 2, 7, n / 3, n - 1} {
			for _, s := range []int{1, 2, 9, 16, n} {
				for _, rounds := range []int{1, 1000} {
					for _, delta := range []float64{1e-9, 1e-5, 0.3} {
						v := BucketView{Cohort: n, Corrupt: min(f, n-1), Size: min(s, n), Minimum: min(s, n), Rounds: rounds, Grinding: 3, Delta: delta}
						c, charge := slowHonest(v)
						got, err := v.Honest()
						if v.Minimum-c < 2 {
							require.ErrorIs(t, err, ErrHonest, "%+v", v)
							continue
						}
						require.NoError(t, err)
						require.Equal(t, c, got.Corrupt, "%+v", v)
						require.Equal(t, v.Minimum-c, got.Honest)
						require.GreaterOrEqual(t, new(big.Rat).SetFloat64(got.Charge).Cmp(charge), 0, "rounded up")
						want, _ := charge.Float64()
						require.InDelta(t, want, got.Charge, want*1e-15)
						require.LessOrEqual(t, got.Charge, delta/10*(1+1e-15))
					}
				}
			}
		}
	}
}

// TestBucketsOfTheDesign: section 8 promises noise for s = 16, s_min = 12 up to 1 %
// corrupt; c* was computed apart from this package.
func TestBucketsOfTheDesign(t *testing.T) {
	v := BucketView{Cohort: 1000, Corrupt: 10, Size: 16, Minimum: 12, Rounds: 100, Grinding: 3, Delta: 1e-5}
	got, err := v.Honest()
	require.NoError(t, err)
	require.Equal(t, 5, got.Corrupt)
	require.Equal(t, 7, got.Honest)

	v.Minimum = 7
	got, err = v.Honest()
	require.NoError(t, err)
	require.Equal(t, 2, got.Honest)
	v.Minimum = 6
	_, err = v.Honest()
	require.ErrorIs(t, err, ErrHonest, "one honest share is the client's own")

	_, err = BucketView{Cohort: 1000, Corrupt: 50, Size: 9, Minimum: 7, Rounds: 100, Grinding: 3, Delta: 1e-5}.Honest()
	require.ErrorIs(t, err, ErrHonest, "5 % corrupt, s = 9: without noise only")
}

func TestMoreCorruptRoundsOrGrindingLeaveFewerHonest(t *testing.T) {
	base := BucketView{Cohort: 400, Corrupt: 10, Size: 20, Minimum: 20, Rounds: 10, Grinding: 3, Delta: 1e-5}
	honest := func(v BucketView) int {
		h, err := v.Honest()
		require.NoError(t, err)
		return h.Honest
	}
	for _, change := range []func(*BucketView){
		func(v *BucketView) { v.Corrupt = 40 }, func(v *BucketView) { v.Rounds = 1e8 },
		func(v *BucketView) { v.Grinding = 30 }, func(v *BucketView) { v.Delta = 1e-12 },
	} {
		v := base
		change(&v)
		require.Less(t, honest(v), honest(base))
	}
}

func TestViewsThatMakeNoSenseAreRefused(t *testing.T) {
	good := BucketView{Cohort: 100, Corrupt: 1, Size: 16, Minimum: 12, Rounds: 100, Grinding: 3, Delta: 1e-5}
	_, err := good.Honest()
	require.NoError(t, err)
	for name, change := range map[string]func(*BucketView){
		"cohort":          func(v *BucketView) { v.Cohort = 0 },
		"huge cohort":     func(v *BucketView) { v.Cohort = 1<<16 + 1 },
		"corrupt":         func(v *BucketView) { v.Corrupt = -1 },
		"all corrupt":     func(v *BucketView) { v.Corrupt = 100 },
		"size":            func(v *BucketView) { v.Size = 0 },
		"size of more":    func(v *BucketView) { v.Size = 101 },
		"minimum":         func(v *BucketView) { v.Minimum = 0 },
		"minimum of more": func(v *BucketView) { v.Minimum = 17 },
		"rounds":          func(v *BucketView) { v.Rounds = 0 },
		"many rounds":     func(v *BucketView) { v.Rounds = 1<<30 + 1 },
		"grinding":        func(v *BucketView) { v.Grinding = -1 },
		"much grinding":   func(v *BucketView) { v.Grinding = 33 },
		"delta 0":         func(v *BucketView) { v.Delta = 0 },
		"delta 1":         func(v *BucketView) { v.Delta = 1 },
		"no delta":        func(v *BucketView) { v.Delta = math.NaN() },
	} {
		v := good
		change(&v)
		_, err := v.Honest()
		require.ErrorIs(t, err, ErrParameters, name)
	}
}
