package pairwise

import (
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/secaggtest"
	"github.com/stretchr/testify/require"
)

func TestFewerThanSixteenAreRefusedUnlessCrossSilo(t *testing.T) {
	cohort := secaggtest.NewCohort(t, 15, 1)
	session := func(crossSilo bool) secagg.Session {
		p := Parameters{Corrupt: 100_000, Dropout: 100_000, CrossSilo: crossSilo, Attempts: 1}
		b := secagg.Binding{
			Round: secagg.RoundID{Job: "job", Round: 1, Attempt: 1}, Roster: cohort.Roster.Root(),
			Scheme: Name, Parameters: p.Encode(),
		}
		return secagg.Session{Binding: b, Context: b.Context(), Roster: cohort.Roster, Minimum: 5, Words: 3, WordBits: 8}
	}
	// The client finds out for itself, whatever the coordinator configured.
	_, err := Scheme{}.NewParty(session(false), 0, cohort.Keys[0], secaggtest.Coins(1, ""))
	require.ErrorIs(t, err, ErrCohort)
	_, err = Scheme{}.NewControl(session(false))
	require.ErrorIs(t, err, ErrCohort)
	_, err = Scheme{}.NewParty(session(true), 0, cohort.Keys[0], secaggtest.Coins(1, ""))
	require.NoError(t, err)
}

func TestCrossSiloSumsAFewNamedParties(t *testing.T) {
	policy := secagg.Policy{Corrupt: 200_000, Dropout: 0, CrossSilo: true, Attempts: 1}
	cohort := secaggtest.NewCohort(t, 5, 1)
	s := secaggtest.NewSession(t, Scheme{}, policy, cohort, secaggtest.Shape{Minimum: 1, Words: 10, WordBits: 32})
	a := secaggtest.NewAttempt(t, Scheme{}, s, cohort, 1)
	sums, err := a.Run()
	require.NoError(t, err)
	a.RequireSum(t, sums, []int{0, 1, 2, 3, 4})
}

// Of two honest members each could subtract its own vector from the sum.
func TestThreeHonestMembersAreInEverySum(t *testing.T) {
	policy := secagg.Policy{CrossSilo: true, Attempts: 1}
	cohort := secaggtest.NewCohort(t, 3, 1)
	s := secaggtest.NewSession(t, Scheme{}, policy, cohort, secaggtest.Shape{Minimum: 1, Words: 10, WordBits: 32})
	a := secaggtest.NewAttempt(t, Scheme{}, s, cohort, 1)
	require.Equal(t, 2, inside(a, 0).attempt.Quorum)
	a.Leaves = func(phase secagg.Phase, member int) bool { return phase.Name == "upload" && member == 0 }
	_, err := a.Run()
	require.ErrorIs(t, err, secagg.ErrTooFew)

	a = secaggtest.NewAttempt(t, Scheme{}, s, cohort, 1)
	a.Instruction = func(phase secagg.Phase, member int, body []byte) []byte {
		if phase.Name == "agree" {
			return forgeSurvivors(s, []int{1, 2})
		}
		return body
	}
	require.Error(t, a.RunTo(secagg.PhaseOpen))
	require.ErrorIs(t, a.Refusals[1], secagg.ErrTooFew)
	require.ErrorIs(t, a.Refusals[2], secagg.ErrTooFew)
}

func TestSessionOfAnotherBindingIsRefused(t *testing.T) {
	good := newAttempt(t, 1)
	for name, spoil := range map[string]func(*secagg.Session){
		"scheme":  func(s *secagg.Session) { s.Binding.Scheme = "plain"; s.Context = s.Binding.Context() },
		"context": func(s *secagg.Session) { s.Context[0] ^= 1 },
		"roster":  func(s *secagg.Session) { s.Binding.Roster[0] ^= 1; s.Context = s.Binding.Context() },
		"committee": func(s *secagg.Session) {
			s.Committee = secaggtest.NewCohort(t, 4, 1).WithCommittee(t, 4, 1).Committee
		},
	} {
		s := good.Session
		spoil(&s)
		_, err := Scheme{}.NewParty(s, 0, good.Cohort.Keys[0], secaggtest.Coins(1, ""))
		require.ErrorIs(t, err, secagg.ErrSession, name)
	}
}

func TestConfigureRefusesWhatCannotBeMet(t *testing.T) {
	good := secagg.Policy{Clients: 100, Minimum: 60, Corrupt: 50_000, Dropout: 300_000, Attempts: 2}
	encoded, err := Scheme{}.Configure(good)
	require.NoError(t, err)
	p, err := DecodeParameters(encoded)
	require.NoError(t, err)
	require.Equal(t, Parameters{Corrupt: 50_000, Dropout: 300_000, Attempts: 2}, p)
	for name, c := range map[string]struct {
		spoil func(*secagg.Policy)
		want  error
	}{
		"too few clients":      {func(p *secagg.Policy) { p.Clients, p.Minimum = 15, 3 }, ErrCohort},
		"too many clients":     {func(p *secagg.Policy) { p.Clients = MaxMembers + 1 }, ErrCohort},
		"minimum out of reach": {func(p *secagg.Policy) { p.Minimum = 71 }, ErrParameters},
		"no attempt":           {func(p *secagg.Policy) { p.Attempts = 0 }, ErrParameters},
		"too many attempts":    {func(p *secagg.Policy) { p.Attempts = 9 }, ErrParameters},
		"all corrupt":          {func(p *secagg.Policy) { p.Corrupt = 1_000_000 }, ErrParameters},
		"negative":             {func(p *secagg.Policy) { p.Dropout = -1 }, ErrParameters},
		"corrupt and dropout":  {func(p *secagg.Policy) { p.Corrupt, p.Dropout = 400_000, 400_000 }, ErrParameters},
	} {
		bad := good
		c.spoil(&bad)
		_, err := Scheme{}.Configure(bad)
		require.ErrorIs(t, err, c.want, name)
	}
}

// The sparse graph begins at 150 clients.
func TestSparseGraph(t *testing.T) {
	policy := secagg.Policy{Corrupt: 10_000, Dropout: 20_000, Attempts: 1}
	cohort := secaggtest.NewCohort(t, 150, 1)
	s := secaggtest.NewSession(t, Scheme{}, policy, cohort, secaggtest.Shape{Minimum: 140, Words: 20, WordBits: 32})
	a := secaggtest.NewAttempt(t, Scheme{}, s, cohort, 1)
	require.Less(t, inside(a, 0).attempt.Degree, 40)
	a.Leaves = func(phase secagg.Phase, member int) bool {
		return member == 10 && phase.Name == "advertise" || member == 70 && phase.Name == "upload" || member == 149 && phase.Name == "agree"
	}
	sums, err := a.Run()
	require.NoError(t, err)
	require.Empty(t, a.Refusals)
	require.NotContains(t, sums[0].Members, 10)
	require.NotContains(t, sums[0].Members, 70)
	require.Contains(t, sums[0].Members, 149)
	a.RequireSum(t, sums, a.Control.Survivors()[0])
}

// Sums are right on many small sparse graphs, in which edges run in one direction,
// in both or not at all, and whoever loses too many holders leaves.
func TestSmallSparseGraphs(t *testing.T) {
	opened := 0
	for seed := range uint64(12) {
		a := newAttempt(t, seed)
		for i := range a.Parties {
			inside(a, i).attempt.Degree, inside(a, i).attempt.Threshold = 6, 3
		}
		c := a.Control.(*control)
		c.attempt.Degree, c.attempt.Threshold = 6, 3
		a.Leaves = func(phase secagg.Phase, member int) bool {
			return phase.Name == []string{"choose", "share", "upload", "agree"}[(seed+uint64(member))%4] && member%5 == 1
		}
		sums, err := a.Run()
		if err != nil {
			require.ErrorIs(t, err, secagg.ErrTooFew, "seed %d", seed)
			continue
		}
		opened++
		require.Empty(t, a.Rejected)
		a.RequireSum(t, sums, c.survivors.members())
	}
	require.Greater(t, opened, 6)
}

func TestClosingUploadsWithMoreMissingThanMayDropOutIsRefused(t *testing.T) {
	policy := secagg.Policy{Clients: 40, Minimum: 12, CloseAt: 28, Corrupt: 50_000, Dropout: 300_000, Attempts: 3}
	_, err := Scheme{}.Configure(policy)
	require.NoError(t, err)
	policy.CloseAt--
	_, err = Scheme{}.Configure(policy)
	require.ErrorIs(t, err, ErrParameters)
}
