package pairwise

import (
	"math/rand/v2"
	"testing"

	"github.com/choir-fl/choir/secagg/pairwise/shamir"
	"github.com/choir-fl/choir/secagg/secaggtest"
	"github.com/stretchr/testify/require"
)

func TestCorrectFindsTheSecretUpToHalfTheExcess(t *testing.T) {
	coins := secaggtest.Coins(1, "decode")
	order := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct{ shares, threshold int }{{1, 1}, {5, 1}, {9, 9}, {10, 4}, {15, 9}, {31, 12}} {
		points := make([]shamir.Point, c.shares)
		for i := range points {
			points[i] = shamir.Point(3*i + 1)
		}
		secret, err := shamir.Random(coins)
		require.NoError(t, err)
		shares, err := shamir.Split(secret, c.threshold, points, coins)
		require.NoError(t, err)
		for wrong := 0; wrong <= (c.shares-c.threshold)/2; wrong++ {
			bad := append([]shamir.Share{}, shares...)
			for _, i := range order.Perm(len(bad))[:wrong] {
				bad[i].Value, err = shamir.Random(coins)
				require.NoError(t, err)
			}
			got, found, ok := correct(bad, c.threshold)
			require.True(t, ok, "%d of %d wrong", wrong, c.shares)
			require.Equal(t, secret, got)
			require.Len(t, found, wrong)
			for _, p := range found {
				require.NotEqual(t, shares[(p-1)/3], bad[(p-1)/3])
			}
		}
		// One more is not decoded to something that claims to be near.
		if wrong := (c.shares-c.threshold)/2 + 1; wrong < c.shares && c.shares > c.threshold {
			bad := append([]shamir.Share{}, shares...)
			for i := range wrong {
				bad[i].Value, err = shamir.Random(coins)
				require.NoError(t, err)
			}
			got, _, ok := correct(bad, c.threshold)
			require.False(t, ok && got == secret)
		}
	}
	_, _, ok := correct(nil, 1)
	require.False(t, ok)
}
