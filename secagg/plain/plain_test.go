package plain

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/secaggtest"
)

func session(t *testing.T) (secagg.Session, secaggtest.Cohort) {
	c := secaggtest.NewCohort(t, 3, 1)
	return secaggtest.NewSession(t, Scheme{}, secagg.Policy{}, c, secaggtest.Shape{Members: 3, Minimum: 2, Words: 5, WordBits: 9}), c
}

func TestNoPolicyIsTooDemandingAndThereAreNoParameters(t *testing.T) {
	p, err := Scheme{}.Configure(secagg.Policy{Clients: 1, Corrupt: 999_999, Dropout: 999_999, View: secagg.ViewSum})
	require.NoError(t, err)
	require.Empty(t, p)

	s, c := session(t)
	s.Binding.Parameters = []byte{1}
	_, err = Scheme{}.NewParty(s, 0, c.Keys[0], nil)
	require.ErrorIs(t, err, errParameters)
	_, err = Scheme{}.ResumeParty(s, 0, c.Keys[0], nil)
	require.ErrorIs(t, err, errParameters)
	_, err = Scheme{}.NewControl(s)
	require.ErrorIs(t, err, errParameters)
	_, err = Scheme{}.NewAccumulator(s)
	require.ErrorIs(t, err, errParameters)
}

func TestMinimumMayBeTheWholeRosterAndNoMore(t *testing.T) {
	s, _ := session(t)
	for minimum, ok := range map[int]bool{-1: false, 0: false, 1: true, 3: true, 4: false} {
		s.Minimum = minimum
		_, err := Scheme{}.NewControl(s)
		require.Equal(t, ok, err == nil, "minimum of %d", minimum)
		if !ok {
			require.ErrorIs(t, err, secagg.ErrSession)
		}
	}
}

func TestRecordOfAnotherAttemptIsATombstone(t *testing.T) {
	s, c := session(t)
	p, err := Scheme{}.NewParty(s, 0, c.Keys[0], nil)
	require.NoError(t, err)
	reply, err := p.Seal(make([]uint32, 5), &discard{})
	require.NoError(t, err)

	_, err = Scheme{}.ResumeParty(s, 0, c.Keys[0], reply.Record)
	require.NoError(t, err)
	_, err = Scheme{}.ResumeParty(s, 1, c.Keys[1], reply.Record)
	require.ErrorIs(t, err, secagg.ErrTombstone, "another member's")
	s.Binding.Round.Attempt++
	s.Context = s.Binding.Context()
	_, err = Scheme{}.ResumeParty(s, 0, c.Keys[0], reply.Record)
	require.ErrorIs(t, err, secagg.ErrTombstone, "another attempt's")
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func TestUploadAfterTheCutIsNotInTheSum(t *testing.T) {
	s, c := session(t)
	a := secaggtest.NewAttempt(t, Scheme{}, s, c, 1)
	a.Leaves = func(_ secagg.Phase, member int) bool { return member == 2 }
	require.NoError(t, a.RunTo(secagg.PhaseOpen))
	late := secagg.SignCommit(c.Keys[2], s.Context, secagg.Commit{Content: secagg.Hash("late"), Size: piecesOf(s).Total()})
	_, err := a.Control.Receive(2, late)
	require.ErrorIs(t, err, secagg.ErrPhase)
	require.Empty(t, a.Control.Ready())
	require.Equal(t, [][]int{{0, 1}}, a.Control.Survivors())
}

func TestTooFewSurvivorsOpenNothing(t *testing.T) {
	s, c := session(t) // a minimum of two
	for left := range 4 {
		a := secaggtest.NewAttempt(t, Scheme{}, s, c, 1)
		a.Leaves = func(_ secagg.Phase, member int) bool { return member >= left }
		err := a.RunTo(secagg.PhaseOpen)
		if left < 2 {
			require.ErrorIs(t, err, secagg.ErrTooFew)
			_, err = a.Control.Opening()
			require.ErrorIs(t, err, secagg.ErrPhase)
			continue
		}
		require.NoError(t, err)
	}
}

func TestOnlyTheOneInstructionIsFollowed(t *testing.T) {
	s, c := session(t)
	p, err := Scheme{}.NewParty(s, 0, c.Keys[0], nil)
	require.NoError(t, err)
	for _, other := range []string{"", "uploa", "upload ", "agree"} {
		_, err := p.Step([]byte(other))
		require.ErrorIs(t, err, secagg.ErrPhase, "%q", other)
	}
	reply, err := p.Step(instruction)
	require.NoError(t, err)
	require.True(t, reply.Seal)
}

func TestFirstUploadOfAMemberStands(t *testing.T) {
	s, c := session(t)
	control, err := Scheme{}.NewControl(s)
	require.NoError(t, err)
	sign := func(content string) []byte {
		return secagg.SignCommit(c.Keys[1], s.Context, secagg.Commit{Content: secagg.Hash(content), Size: piecesOf(s).Total()})
	}
	fresh, err := control.Receive(1, sign("first"))
	require.NoError(t, err)
	require.True(t, fresh)
	require.Equal(t, []int{1}, control.Ready())
	fresh, err = control.Receive(1, sign("first"))
	require.NoError(t, err)
	require.False(t, fresh, "repeated")
	_, err = control.Receive(1, sign("second"))
	require.ErrorIs(t, err, secagg.ErrRepeated)
	require.Empty(t, control.Ready(), "it is added once")
	require.Equal(t, []int{0, 2}, control.Waiting())
}

func TestHonestClientsAreThoseLeftIfAllCorruptOnesAreInTheSmallestSum(t *testing.T) {
	for _, c := range []struct {
		policy secagg.Policy
		want   int
	}{
		{secagg.Policy{Clients: 100, Minimum: 60, Corrupt: 50_000}, 55},
		{secagg.Policy{Clients: 101, Minimum: 60, Corrupt: 50_000}, 54},
		{secagg.Policy{Clients: 20, Minimum: 10, Corrupt: 900_000}, 0},
		{secagg.Policy{Clients: 100, Minimum: 60, Corrupt: 50_000, View: secagg.ViewBucketMeans, Buckets: secagg.Buckets{Size: 16, Minimum: 12}}, 7},
	} {
		got, err := Scheme{}.Honest(c.policy)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%+v", c.policy)
	}
	bits, fair := Scheme{}.FairPartition()
	require.True(t, fair)
	require.Equal(t, 8, 1<<bits, "the most attempts at a round")
	got, err := Scheme{}.HonestInSum(secagg.Session{Minimum: 10, BucketMinimum: 6}, 10, 1e-5)
	require.NoError(t, err)
	require.Equal(t, 6, got)
}
