package plain

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/secaggtest"
)

func TestConformance(t *testing.T) {
	secaggtest.Conformance(t, Scheme{}, secaggtest.Config{
		Policy: secagg.Policy{Dropout: 300_000}, Cohorts: []int{3, 8, 16}, Seeds: 12,
		Divided: &secaggtest.Divided{Policy: secagg.Policy{Dropout: 300_000, Buckets: secagg.Buckets{Size: 4, Minimum: 3}}, Cohorts: []int{8, 13, 18}},
	})
}

// Single vectors are the sums of buckets of one.
func TestConformanceOfSingleVectors(t *testing.T) {
	secaggtest.Conformance(t, Scheme{}, secaggtest.Config{
		Policy: secagg.Policy{Dropout: 300_000}, Cohorts: []int{3}, Seeds: 2,
		Divided: &secaggtest.Divided{Policy: secagg.Policy{Dropout: 300_000, Buckets: secagg.Each()}, Cohorts: []int{3, 8, 13}},
	})
}

func TestViewOfVectorsOpensEachClientsOwn(t *testing.T) {
	c := secaggtest.NewCohort(t, 5, 1)
	s := secaggtest.NewSession(t, Scheme{}, secagg.Policy{View: secagg.ViewVectors, Buckets: secagg.Each()}, c, secaggtest.Shape{Minimum: 3, Words: 4, WordBits: 9})
	require.Equal(t, 5, s.Buckets)
	require.Equal(t, 1, s.BucketMinimum)
	a := secaggtest.NewAttempt(t, Scheme{}, s, c, 1)
	a.Leaves = func(_ secagg.Phase, member int) bool { return member == 2 }
	sums, err := a.Run()
	require.NoError(t, err)
	require.Len(t, sums, 4)
	seen := map[int]bool{}
	for _, sum := range sums {
		require.Len(t, sum.Members, 1)
		seen[sum.Members[0]] = true
		require.Equal(t, a.Vectors[sum.Members[0]], sum.Words)
	}
	require.Len(t, seen, 4)
	require.False(t, seen[2])

	_, err = Scheme{}.Configure(secagg.Policy{View: secagg.ViewVectors, Buckets: secagg.Buckets{Size: 2, Minimum: 1}})
	require.ErrorIs(t, err, errParameters)
	_, err = Scheme{}.Configure(secagg.Policy{View: secagg.ViewSum, Buckets: secagg.Each()})
	require.ErrorIs(t, err, errParameters)
}
