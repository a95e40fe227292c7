package round

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
)

// drawn leads an attempt of a plan whose cohorts are drawn by coins to where so many are
// expected.
func drawn(t *testing.T, expected int) *stage {
	s, _ := newStage(t, "privacy=distributed", "size=40", "minimum=2", "population=400")
	require.Greater(t, s.set.Plan.Invited(), 80, "more than coins will ever draw")
	s.set.Expected = expected
	s.machine, _ = New(s.set)
	return s
}

func (s *stage) checkIn(names ...string) Effects {
	var fx Effects
	for _, n := range names {
		var err error
		fx, err = s.step(CheckIn{s.now, s.member(n).id})
		require.NoError(s.t, err)
	}
	return fx
}

func TestAdmissionClosesWhenAllThatWereDrawnAreIn(t *testing.T) {
	s := drawn(t, 3)
	s.checkIn("a", "b")
	require.Equal(t, Admitting, s.machine.State())
	s.checkIn("a") // repeated
	require.Equal(t, Admitting, s.machine.State())
	_, err := s.step(Leave{s.now, "b"})
	require.NoError(t, err)
	s.checkIn("c")
	require.Equal(t, Admitting, s.machine.State(), "who withdrew is waited for")
	s.checkIn("b")
	require.Equal(t, Uploading, s.machine.State())
	require.Equal(t, 3, s.machine.Admitted())
	before := fingerprint(s.machine)
	_, err = s.crash()
	require.NoError(t, err)
	require.Equal(t, before, fingerprint(s.machine), "a restart expects the same")

	s = drawn(t, 0)
	s.checkIn("a", "b", "c")
	require.Equal(t, Admitting, s.machine.State(), "nothing is known of how many were drawn")
}

func TestFewerDrawnThanTheMinimumFailAtOnce(t *testing.T) {
	s := drawn(t, 1)
	fx := s.checkIn("a")
	require.Equal(t, Failed, s.machine.State())
	require.NotNil(t, fx.Outcome)
	require.False(t, fx.Outcome.Released)
	require.Contains(t, fx.Outcome.Reason, "1 of at least 2")
}

func TestClipNormAndLedgerReachTheTaskAndTheContext(t *testing.T) {
	contexts := map[secagg.Digest]string{}
	for name, change := range map[string]func(*Settings){
		"first":             func(*Settings) {},
		"another clip norm": func(s *Settings) { s.ClipNorm = 7 },
		"longer ledger":     func(s *Settings) { s.Ledger.Count = 5 },
		"another ledger":    func(s *Settings) { s.Ledger.Digest = secagg.Hash("ledger") },
	} {
		s, _ := newStage(t, "privacy=distributed", "size=20", "minimum=2", "quantile=0.5")
		s.set.Expected, s.set.ClipNorm, s.set.Ledger = 2, 16, secagg.LedgerHead{Count: 4, Digest: secagg.Hash("head")}
		change(&s.set)
		s.machine, _ = New(s.set)
		task := s.machine.Task()
		require.Equal(t, s.set.ClipNorm, task.ClipNorm)
		require.Equal(t, s.set.Ledger, task.Ledger)
		back, err := secagg.DecodeTask(task.Encode())
		require.NoError(t, err, "what is offered is what a client decodes")
		require.Equal(t, task, back)
		s.checkIn("a", "b")
		x := s.session()
		require.Equal(t, s.set.ClipNorm, x.Binding.ClipNorm)
		require.Equal(t, s.set.Ledger, x.Binding.Ledger)
		require.NotContains(t, contexts, x.Context, name)
		contexts[x.Context] = name
	}
}
