package oneshot

import (
	"fmt"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

func TestSumsEqualThePlainSums(t *testing.T) {
	for _, m := range []int{4, 5, 7} {
		t.Run(fmt.Sprint(m), func(t *testing.T) {
			sums, o := newScene(t, shape{m: m}).opens()
			require.Len(t, sums, 1)
			require.Len(t, sums[0].Members, 8)
			require.Empty(t, o.Liars())
		})
	}
}

func TestBucketsAreOpenedSideBySide(t *testing.T) {
	w := newScene(t, shape{n: 20, corrupt: 1, minimum: 10, buckets: secagg.Buckets{Size: 5, Minimum: 4}})
	sums, _ := w.opens()
	require.Len(t, sums, 4)
	for b, s := range sums {
		require.Equal(t, b, s.Bucket)
		require.Len(t, s.Members, 5)
	}
}

var (
	_ secagg.ClientScheme    = Scheme{}
	_ secagg.ServerScheme    = Scheme{}
	_ secagg.CommitteeScheme = Scheme{}
	_ secagg.CommitteeServer = Scheme{}
)
