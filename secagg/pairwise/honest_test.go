package pairwise

import (
	"math"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise/graph"
	"github.com/choir-fl/choir/secagg/secaggtest"
	"github.com/stretchr/testify/require"
)

// fewestHonest tries every roster and every set of survivors that may be opened.
func fewestHonest(t *testing.T, p Parameters, minimum, from, to int) int {
	least := to
	for n := from; n <= to; n++ {
		found, err := p.Find(n)
		if err != nil {
			continue
		}
		for u := minimum; u <= n; u++ {
			if h := found.HonestInSum(u); h > 0 {
				least = min(least, h)
			}
		}
	}
	return least
}

// TestHonestOfASchemeIsThatOfEverySessionItAllows: what a plan calibrates its noise for is
// what each client finds in its own session, whatever the size of the cohort.
func TestHonestOfASchemeIsThatOfEverySessionItAllows(t *testing.T) {
	for name, policy := range map[string]secagg.Policy{
		"complete":       {Clients: 60, Minimum: 30, Corrupt: 50_000, Dropout: 200_000, Attempts: 3},
		"none corrupt":   {Clients: 40, Minimum: 20, Dropout: 200_000, Attempts: 1},
		"sparse":         {Clients: 200, Minimum: 155, Corrupt: 50_000, Dropout: 100_000, Attempts: 3},
		"both":           {Clients: 170, Minimum: 140, Corrupt: 20_000, Dropout: 100_000, Attempts: 3},
		"low minimum":    {Clients: 60, Minimum: 4, Corrupt: 50_000, Dropout: 200_000, Attempts: 3},
		"cross-silo":     {Clients: 7, Minimum: 5, Corrupt: 150_000, Dropout: 100_000, CrossSilo: true, Attempts: 8},
		"bucket session": {Clients: 40, Minimum: 17, Corrupt: 100_000, Dropout: 200_000, Attempts: 3},
	} {
		t.Run(name, func(t *testing.T) {
			honest, err := Scheme{}.Honest(policy)
			require.NoError(t, err)
			p := Parameters{Corrupt: policy.Corrupt, Dropout: policy.Dropout, CrossSilo: policy.CrossSilo, Attempts: policy.Attempts}
			require.Equal(t, fewestHonest(t, p, policy.Minimum, policy.Minimum, policy.Clients), honest)
			require.GreaterOrEqual(t, honest, graph.MinHonest)
			for _, n := range []int{policy.Minimum, policy.Clients} {
				if _, err := p.Find(n); err != nil {
					continue
				}
				s := sessionOf(t, p, n, 1, policy.Minimum)
				mine, err := Scheme{}.HonestInSum(s, 10, 1e-5)
				require.NoError(t, err)
				require.GreaterOrEqual(t, mine, honest)
				require.Equal(t, fewestHonest(t, p, policy.Minimum, n, n), mine)
			}
		})
	}
}

func TestHonestOfBucketsReckonsWithAllCorruptClientsInOne(t *testing.T) {
	policy := secagg.Policy{Clients: 120, Minimum: 100, Corrupt: 10_000, Dropout: 100_000, Attempts: 3, View: secagg.ViewBucketMeans,
		Buckets: secagg.Buckets{Size: 30, Minimum: 26}}
	params, err := Scheme{}.Configure(policy)
	require.NoError(t, err)
	p, err := DecodeParameters(params)
	require.NoError(t, err)
	require.Equal(t, 66_667, p.Corrupt, "2 of 120 clients are 2 of 30")
	honest, err := Scheme{}.Honest(policy)
	require.NoError(t, err)
	least := 30
	for n := 100; n <= 120; n++ {
		count := policy.Buckets.Count(n)
		for _, size := range []int{n / count, (n + count - 1) / count} {
			least = min(least, fewestHonest(t, p, 26, size, size))
		}
		mine, err := Scheme{}.HonestInSum(sessionOf(t, p, n, count, 26), 10, 1e-5)
		require.NoError(t, err)
		require.GreaterOrEqual(t, mine, honest)
	}
	require.Equal(t, least, honest)
	_, fair := Scheme{}.FairPartition()
	require.False(t, fair, "the coordinator has a say in who is in a bucket")
}

func TestHonestInSumOfParametersThatAreNoneIsRefused(t *testing.T) {
	s := sessionOf(t, Parameters{Attempts: 1}, 20, 1, 10)
	_, err := Scheme{}.HonestInSum(s, 10, 1e-5)
	require.NoError(t, err)
	s.Binding.Parameters = []byte{1}
	_, err = Scheme{}.HonestInSum(s, 10, 1e-5)
	require.Error(t, err)
	_, err = Scheme{}.HonestInSum(sessionOf(t, Parameters{Attempts: 1}, 15, 1, 10), 10, 1e-5)
	require.ErrorIs(t, err, ErrCohort)
}

func sessionOf(t *testing.T, p Parameters, n, count, minimum int) secagg.Session {
	cohort := secaggtest.NewCohort(t, n, 1)
	b := secagg.Binding{Round: secagg.RoundID{Job: "job", Round: 1, Attempt: 1}, Roster: cohort.Roster.Root(), Scheme: Name, Parameters: p.Encode()}
	return secagg.Session{Binding: b, Context: b.Context(), Roster: cohort.Roster, Minimum: minimum, Buckets: count, BucketMinimum: minimum, Words: 3, WordBits: 8}
}

// A cohort of a size for which there is no graph always fails: where coins draw cohorts,
// one client's coin may decide whether it is such a one.
func TestCohortsWithoutAGraphFailForSure(t *testing.T) {
	for name, c := range map[string]struct {
		policy secagg.Policy
		want   float64
	}{
		"complete":               {secagg.Policy{Clients: 60, Minimum: 30, Corrupt: 50_000, Dropout: 200_000, Attempts: 3}, 0},
		"the fewest":             {secagg.Policy{Clients: 60, Minimum: graph.MinClients, Dropout: 100_000, Attempts: 3}, 0},
		"fewer than for a graph": {secagg.Policy{Clients: 60, Minimum: graph.MinClients - 1, Dropout: 100_000, Attempts: 3}, 1},
		"one size alone":         {secagg.Policy{Clients: graph.MinClients - 1, Minimum: graph.MinClients - 1, Attempts: 3}, 1},
		"sparse":                 {secagg.Policy{Clients: 200, Minimum: 160, Corrupt: 50_000, Dropout: 100_000, Attempts: 3}, math.Ldexp(1, -FailureBits)},
		"sparse, and too few":    {secagg.Policy{Clients: 200, Minimum: 4, Corrupt: 50_000, Dropout: 100_000, Attempts: 3}, 1},
	} {
		require.Equal(t, c.want, Scheme{}.Chance(c.policy), name)
	}
}
