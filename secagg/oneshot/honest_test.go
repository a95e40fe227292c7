package oneshot

import (
	"testing"

	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/secaggtest"
	"github.com/stretchr/testify/require"
)

func TestHonestClientsAreThoseLeftIfAllCorruptOnesAreInTheSmallestSum(t *testing.T) {
	for _, c := range []struct{ clients, share, minimum, want int }{
		{100, 50_000, 60, 55}, {101, 50_000, 60, 54}, {100, 0, 60, 60}, {100, 1, 60, 59}, {20, 900_000, 10, 0}, {1000, 10_000, 12, 2},
	} {
		got, err := Scheme{}.Honest(secagg.Policy{Clients: c.clients, Corrupt: c.share, Minimum: c.minimum})
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%+v", c)
		corrupt := 0 // the least number that is at least the share
		for corrupt*million < c.clients*c.share {
			corrupt++
		}
		require.Equal(t, max(0, c.minimum-corrupt), got)
	}
	got, err := Scheme{}.Honest(secagg.Policy{Clients: 100, Corrupt: 50_000, Minimum: 60, View: secagg.ViewBucketMeans, Buckets: secagg.Buckets{Size: 16, Minimum: 12}})
	require.NoError(t, err)
	require.Equal(t, 7, got)
	bits, fair := Scheme{}.FairPartition()
	require.True(t, fair)
	require.Equal(t, MaxAttempts, 1<<bits, "each attempt is another draw of the partition")
}

func TestHonestInSumIsThatOfTheSessionsRoster(t *testing.T) {
	session := func(n, buckets int) secagg.Session {
		cohort := secaggtest.NewCohort(t, n, 1)
		b := secagg.Binding{Scheme: Name, Parameters: Parameters{Corrupt: 50_000, Clients: 60, Set: "S", Attempts: 3}.Encode()}
		return secagg.Session{Binding: b, Roster: cohort.Roster, Minimum: 20, Buckets: buckets, BucketMinimum: 7}
	}
	large := func(n, buckets int) secagg.Session {
		s := session(n, buckets)
		s.BucketMinimum = 7 + 7*(n/400)
		return s
	}
	for n, want := range map[int]int{20: 19, 40: 18, 41: 17, 60: 17} {
		got, err := Scheme{}.HonestInSum(session(n, 1), 10, 1e-5)
		require.NoError(t, err)
		require.Equal(t, want, got, "%d admitted", n)
		promised, err := Scheme{}.Honest(secagg.Policy{Clients: 60, Corrupt: 50_000, Minimum: 20})
		require.NoError(t, err)
		require.LessOrEqual(t, promised, got, "no session has fewer than a plan promises")
	}
	for _, c := range []struct {
		n, buckets, releases int
		delta                float64
	}{{40, 5, 10, 1e-5}, {41, 5, 10, 1e-5}, {400, 25, 10, 1e-5}, {400, 25, 10, 0.5}, {400, 25, 1_000_000, 1e-5}, {400, 20, 10, 1e-5}} {
		got, err := Scheme{}.HonestInSum(large(c.n, c.buckets), c.releases, c.delta)
		require.NoError(t, err)
		b, err := ddp.BucketView{Cohort: c.n, Corrupt: (c.n + 19) / 20, Size: (c.n + c.buckets - 1) / c.buckets, Minimum: 7 + 7*(c.n/400), Rounds: c.releases,
			Grinding: 3, Delta: c.delta}.Honest()
		require.NoError(t, err)
		require.Equal(t, b.Honest, got, "by the law of this session's partition: %+v", c)
	}
	few, err := Scheme{}.HonestInSum(large(40, 5), 10, 1e-5)
	require.NoError(t, err)
	require.Equal(t, 5, few, "both corrupt clients of 40 may be in a bucket of 7")
	_, err = Scheme{}.HonestInSum(session(60, 15), 10, 1e-5)
	require.ErrorIs(t, err, ddp.ErrParameters, "buckets of 4, of which at least 7 are to open")
	spoiled := session(20, 1)
	spoiled.Binding.Parameters = []byte{9}
	_, err = Scheme{}.HonestInSum(spoiled, 10, 1e-5)
	require.Error(t, err)
}
