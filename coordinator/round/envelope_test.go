package round

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
)

// The roster of a large cohort is by far the longest thing that a client is sent.
func TestRosterIsToldOnceInTheFirstStep(t *testing.T) {
	for state, told := range map[State]bool{Exchanging: true, Uploading: false, Unmasking: false} {
		s := at(t, state)
		for range 2 { // the same, however often it is asked for
			env, ok := s.machine.Envelope("a")
			require.True(t, ok, state)
			require.Equal(t, told, env.Roster != nil, state)
			require.Equal(t, uint32(state-Exchanging+1), env.Step)
			require.False(t, env.Over)
			if told {
				session, _ := s.machine.Session()
				require.Equal(t, session.Roster.Encode(), env.Roster)
			}
		}
	}
}

func TestOnlyWhoIsAskedHasAnEnvelope(t *testing.T) {
	s := at(t, Unmasking)
	_, ok := s.machine.Envelope("c")
	require.False(t, ok, "it did not upload")
	_, ok = s.machine.Envelope("stranger")
	require.False(t, ok)
	for _, state := range []State{Admitting, Adding, Opening, Releasing} {
		_, ok := at(t, state).machine.Envelope("a")
		require.False(t, ok, "nobody is asked while %s", state)
	}
}

func TestEverybodyAdmittedHearsTheEndAndWhoWasCounted(t *testing.T) {
	for state, released := range map[State]bool{Released: true, Failed: false} {
		s := at(t, state)
		steps := map[uint32]bool{}
		for _, name := range []secagg.PartyID{"a", "b", "c"} {
			env, ok := s.machine.Envelope(name)
			require.True(t, ok && env.Over)
			require.Nil(t, env.Body)
			require.Equal(t, released && name != "c", env.Completed, "%s, %s", state, name)
			require.Equal(t, !released, env.Reason != "")
			steps[env.Step] = true
		}
		require.Len(t, steps, 1)
		require.NotContains(t, steps, uint32(1), "later than any step that was asked")
	}
}
