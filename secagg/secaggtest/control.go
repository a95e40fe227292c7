package secaggtest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// requireRejected gives the coordinator a message that it must refuse.
func requireRejected(t *testing.T, c secagg.Control, party int, body []byte) error {
	t.Helper()
	fresh, err := c.Receive(party, body)
	require.Error(t, err, "phase %s, party %d", c.Phase().Name, party)
	require.False(t, fresh)
	return err
}

// controlContract walks one attempt and checks at every phase what Control says.
func controlContract(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 2)
	n := s.Roster.Len()
	seen := map[string]bool{}
	for a.Control.Phase().Kind != secagg.PhaseOpen {
		phase := a.Control.Phase()
		require.False(t, seen[phase.Name], "phase %s entered twice", phase.Name)
		seen[phase.Name] = true
		for _, party := range []int{-1, s.Parties()} {
			_, asked := a.Control.Instruction(party)
			require.False(t, asked)
			require.ErrorIs(t, requireRejected(t, a.Control, party, []byte("x")), secagg.ErrNotAsked)
		}
		_, err := a.Control.Opening()
		require.ErrorIs(t, err, secagg.ErrPhase)
		answers := map[int][]byte{}
		a.Message = func(_ secagg.Phase, party int, body []byte) []byte {
			answers[party] = body
			return body
		}
		requireAllAnswer(t, a)
		for i, m := range answers {
			fresh, err := a.Control.Receive(i, m)
			require.NoError(t, err, "phase %s, party %d: a repeated answer is accepted again", phase.Name, i)
			require.False(t, fresh)
			for k, other := range answers {
				if k != i && (k < n) == (i < n) && !bytes.Equal(m, other) {
					_ = requireRejected(t, a.Control, i, other)
					break
				}
			}
		}
		require.Empty(t, a.Control.Ready(), "the uploads that are ready were added")
		require.NoError(t, a.Close())
	}
	require.Empty(t, a.Control.Waiting())
	require.ErrorIs(t, a.Control.Advance(), secagg.ErrPhase)
	sums, err := a.Open()
	require.NoError(t, err)
	a.RequireSum(t, sums, everybodyBut(s))
}

// requireAllAnswer asks everybody, first those who are waited for, and checks that
// each answer is waited for no longer.
func requireAllAnswer(t *testing.T, a *Attempt) {
	t.Helper()
	phase := a.Control.Phase().Name
	waiting := a.Control.Waiting()
	require.True(t, slices.IsSorted(waiting))
	for at, i := range waiting {
		_, asked := a.Control.Instruction(i)
		require.True(t, asked, "phase %s: party %d is waited for", phase, i)
		a.Ask(i)
		require.Equal(t, waiting[at+1:], append([]int{}, a.Control.Waiting()...), "phase %s", phase)
	}
	for j := range a.Decryptors {
		a.Ask(a.Number(j))
	}
	require.Empty(t, a.Control.Waiting())
	require.Empty(t, a.Refusals)
	require.Empty(t, a.Rejected)
}

func repeats(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 3)
	last := map[int][]byte{}
	a.Instruction = func(_ secagg.Phase, party int, body []byte) []byte {
		last[party] = body
		return body
	}
	a.Answered = func(_ secagg.Phase, member int, reply secagg.Reply) secagg.Party {
		again, err := a.Parties[member].Step(last[member])
		require.NoError(t, err)
		require.Equal(t, reply, again)
		return a.Parties[member]
	}
	sums, err := a.Run()
	require.NoError(t, err)
	a.RequireSum(t, sums, everybodyBut(s))
}
