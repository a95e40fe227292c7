package audit

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReportHoldsBothBoundsAtHalfTheSignificanceEach(t *testing.T) {
	s := shifted(t, 1000, 2)
	r, err := NewReport(s, 1.5, 1e-6, .95)
	require.NoError(t, err)
	one, err := s.EpsilonOneRun(Grid(2000), .025, 1e-6)
	require.NoError(t, err)
	f, err := s.EpsilonFDP(Grid(2000), .025, 1e-6)
	require.NoError(t, err)
	require.InDelta(t, one.Epsilon, r.EpsilonOneRun, 1e-9)
	require.InDelta(t, f.Epsilon, r.EpsilonFDP, 1e-9)
	require.Equal(t, one.Count, Count{r.Canaries, r.Guesses, r.Correct})
	require.Equal(t, 1.5, *r.Claimed)
	b, err := json.Marshal(r)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(b, &fields))
	for _, name := range []string{"canaries", "guesses", "correct", "epsilon_one_run", "epsilon_fdp", "claimed", "delta", "confidence"} {
		require.Contains(t, fields, name)
	}
}

func TestAClaimIsRefutedByABoundThatIsOneForTheRun(t *testing.T) {
	s := shifted(t, 1000, 2)
	found, err := NewReport(s, math.Inf(1), 1e-6, .95)
	require.NoError(t, err)
	require.Nil(t, found.Claimed)
	require.False(t, found.Refuted(true), "nothing was claimed")
	require.Less(t, found.EpsilonOneRun, found.EpsilonFDP)
	for _, c := range []struct {
		claimed           float64
		always, gaussians bool
	}{
		{found.EpsilonOneRun - .1, true, true}, {found.EpsilonOneRun + .1, false, true}, {found.EpsilonFDP + .1, false, false}, {0, true, true},
	} {
		r, err := NewReport(s, c.claimed, 1e-6, .95)
		require.NoError(t, err)
		require.Equal(t, c.always, r.Refuted(false), "claimed %g", c.claimed)
		require.Equal(t, c.gaussians, r.Refuted(true), "claimed %g", c.claimed)
	}
}

func TestReportsOnNothingAreRefused(t *testing.T) {
	s, nan := shifted(t, 1000, 2), math.NaN()
	for _, l := range [][3]float64{{-1, .1, .9}, {nan, .1, .9}, {1, 0, .9}, {1, 1, .9}, {1, nan, .9}, {1, .1, 0}, {1, .1, 1}, {1, .1, nan}} {
		_, err := NewReport(s, l[0], l[1], l[2])
		require.ErrorIs(t, err, ErrLevel, "%v", l)
	}
	_, err := NewReport(shifted(t, 7, 2), 1, .1, .9)
	require.ErrorIs(t, err, ErrCount)
	_, err = NewReport(Scores{}, 1, .1, .9)
	require.ErrorIs(t, err, ErrCount)
}
