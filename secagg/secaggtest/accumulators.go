package secaggtest

import (
	"bytes"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

func snapshots(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.session(t, scheme, c.Cohorts[0], Shape{Words: 1<<16 + 5, WordBits: 20})
	a := c.attempt(t, scheme, s, cohort, 5)
	// Every third upload goes to another accumulator, as on another machine.
	other, err := scheme.NewAccumulator(s)
	require.NoError(t, err)
	first := a.Accumulator
	a.Into = func(member int) secagg.Accumulator {
		if member%3 == 0 {
			return other
		}
		return first
	}
	require.NoError(t, a.RunTo(secagg.PhaseOpen))
	var one, two bytes.Buffer
	require.NoError(t, first.Snapshot(&one))
	require.NoError(t, other.Snapshot(&two))
	a.Accumulator, err = scheme.NewAccumulator(s)
	require.NoError(t, err)
	require.NoError(t, a.Accumulator.Merge(&two))
	require.NoError(t, a.Accumulator.Merge(&one))
	sums, err := a.Open()
	require.NoError(t, err)
	a.RequireSum(t, sums, everybodyBut(s))
}

func badSnapshots(t *testing.T, scheme Scheme, c Config) {
	s, _ := c.small(t, scheme)
	acc, err := scheme.NewAccumulator(s)
	require.NoError(t, err)
	var whole bytes.Buffer
	require.NoError(t, acc.Snapshot(&whole))
	for _, cut := range []int{0, 1, whole.Len() / 2, whole.Len() - 1} {
		fresh, err := scheme.NewAccumulator(s)
		require.NoError(t, err)
		require.Error(t, fresh.Merge(bytes.NewReader(whole.Bytes()[:cut])), "cut at %d", cut)
	}
	fresh, err := scheme.NewAccumulator(s)
	require.NoError(t, err)
	require.Error(t, fresh.Merge(bytes.NewReader(append(whole.Bytes(), 0))))
}

func badPieces(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.session(t, scheme, c.Cohorts[0], Shape{Words: 1<<16 + 3, WordBits: 19})
	a := c.attempt(t, scheme, s, cohort, 9)
	acc := a.Accumulator
	ps := acc.Pieces()
	for i := range ps.Count {
		good := make([]byte, ps.Len(i))
		require.NoError(t, acc.Check(i, good))
		for what, p := range map[string][]byte{"empty": nil, "truncated": good[:len(good)-1], "oversized": append(good, 0)} {
			require.ErrorIs(t, acc.Check(i, p), secagg.ErrPiece, what)
			require.Error(t, acc.Add(0, i, p), what)
		}
	}
	last := make([]byte, ps.Len(ps.Count-1))
	for i := range last {
		last[i] = 0xff
	}
	require.ErrorIs(t, acc.Check(ps.Count-1, last), secagg.ErrPiece, "bits or values that no vector has")
	require.ErrorIs(t, acc.Check(-1, last), secagg.ErrPiece)
	require.ErrorIs(t, acc.Check(ps.Count, last), secagg.ErrPiece)
	for _, bucket := range []int{-1, s.Buckets} {
		require.Error(t, acc.Add(bucket, 0, make([]byte, ps.Len(0))), "no such bucket")
	}
	// Nothing of all that is in the sum.
	sums, err := a.Run()
	require.NoError(t, err)
	a.RequireSum(t, sums, everybodyBut(s))
}
