package plan

import (
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// slowBad deals every set of corrupt clients and counts those that are in so many buckets.
func slowBad(n, count, corrupt int) (all int, of []int) {
	of = make([]int, count+1)
	for set := range 1 << n {
		if bits.OnesCount(uint(set)) != corrupt {
			continue
		}
		bad := 0
		for b := range count {
			hit := false
			for place := b; place < n; place += count { // dealt round robin
				hit = hit || set>>place&1 == 1
			}
			if hit {
				bad++
			}
		}
		all++
		of[bad]++
	}
	return all, of
}

func TestBadBucketsAreThoseOfSlowEnumeration(t *testing.T) {
	for n := 1; n <= 13; n++ {
		for count := 1; count <= n; count++ {
			for corrupt := 0; corrupt <= n; corrupt++ {
				all, of := slowBad(n, count, corrupt)
				for f := -1; f <= count; f++ {
					more := 0
					for bad := f + 1; bad <= count; bad++ {
						if bad >= 0 {
							more += of[bad]
						}
					}
					p, exact := moreBad(n, count, corrupt, f)
					require.True(t, exact)
					require.InDelta(t, float64(more)/float64(all), p, 1e-12, "n %d, %d buckets, %d corrupt, more than %d", n, count, corrupt, f)
				}
			}
		}
	}
}

func TestChanceOfManyCorruptClientsIsBoundedFromAbove(t *testing.T) {
	for _, c := range []struct{ n, count, corrupt int }{{455, 50, 151}, {1000, 62, 160}, {5003, 555, 200}} {
		tight := false
		for f := 0; f < min(c.count, c.corrupt); f++ {
			bound, exact := moreBad(c.n, c.count, c.corrupt, f)
			require.False(t, exact)
			truth := moreBadOfTwo(c.n, c.count, c.corrupt, f)
			require.GreaterOrEqual(t, bound, truth*(1-1e-9), "%+v, more than %d", c, f)
			tight = tight || truth < 0.5 && bound < 2*truth+1e-9
		}
		require.True(t, tight, "the bound says something: %+v", c)
	}
}

func TestSmallChancesKeepTheirDigits(t *testing.T) {
	// All of 20 corrupt clients in buckets of their own: 10 seats in each of 50.
	want := 1.0
	for b := range 20 {
		want *= float64(500-10*b) / float64(500-b)
	}
	p, exact := moreBad(500, 50, 20, 19)
	require.True(t, exact)
	require.InEpsilon(t, want, p, 1e-12)
	// None but one bucket: the complement is C(10, 10)*50 of C(500, 10).
	p, _ = moreBad(500, 50, 10, 1)
	require.Less(t, 1-p, 1e-10)
	// More than 9 of 10 buckets, from 10 corrupt ones among 2 seats each.
	p, _ = moreBad(20, 10, 10, 9)
	require.InEpsilon(t, 1024/184756., p, 1e-12)
	require.False(t, math.IsNaN(p))
}
