package secaggtest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// eachCommittee runs a test with each size of committee.
func eachCommittee(t *testing.T, scheme Scheme, c Config, run func(t *testing.T, s secagg.Session, cohort Cohort)) {
	for _, m := range c.Committees {
		t.Run(fmt.Sprint(m), func(t *testing.T) {
			s, cohort := c.sessionOf(t, scheme, c.Cohorts[0], m, Shape{Words: 40, WordBits: 19})
			run(t, s, cohort)
		})
	}
}

// withheldCoins: who signed a context and then keeps its coins back ends the attempt
// and is named; the next attempt goes through without its coins.
func withheldCoins(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	const owner = 2
	a := c.attempt(t, scheme, s, cohort, 70)
	a.Leaves = func(phase secagg.Phase, party int) bool {
		return party == a.Number(owner) && phase.Name == f.Phases().Reveal
	}
	err := a.RunTo(secagg.PhaseOpen)
	var blame *secagg.Blame
	require.ErrorAs(t, err, &blame)
	require.Equal(t, []int{a.Number(owner)}, blame.Members)
	require.Equal(t, fault.Aborted, fault.ClassOf(err))
	require.Empty(t, a.Sealed, "no client has spoken yet")

	for name, vanishes := range map[string]bool{"and holds its shares": false, "and vanishes": true} {
		t.Run(name, func(t *testing.T) {
			shape := Shape{Words: 40, WordBits: 19, Round: secagg.RoundID{Job: "job", Round: 1, Attempt: 2}, LeftOut: []int{owner}}
			next, _ := c.session(t, scheme, s.Roster.Len(), shape)
			a := c.attempt(t, scheme, next, cohort, 70)
			answered := false
			a.Leaves = func(phase secagg.Phase, party int) bool {
				return vanishes && party == a.Number(owner) && phase.Name == f.Phases().Reveal
			}
			a.Message = func(phase secagg.Phase, party int, body []byte) []byte {
				answered = answered || phase.Kind == secagg.PhaseUnmask && party == a.Number(owner)
				return body
			}
			sums, err := a.Run()
			require.NoError(t, err)
			require.Equal(t, !vanishes, answered)
			a.RequireSum(t, sums, everybodyBut(next))
		})
	}
}

// withheldAnswers: as many members may fall silent in a phase as a quorum can be
// without; one more ends the attempt, and nothing is opened.
func withheldAnswers(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	names := f.Phases()
	eachCommittee(t, scheme, c, func(t *testing.T, s secagg.Session, cohort Cohort) {
		spare := s.Committee.Len() - s.Committee.Quorum()
		for _, name := range []string{names.Seed, names.Records, names.Agree, "unmask"} {
			for silent := spare; silent <= spare+1; silent++ {
				a := c.attempt(t, scheme, s, cohort, 71)
				a.Leaves = func(phase secagg.Phase, party int) bool {
					in := phase.Name == name || name == "unmask" && phase.Kind == secagg.PhaseUnmask ||
						name == names.Records && phase.Kind == secagg.PhaseUpload
					return in && party >= a.Number(0) && party < a.Number(silent)
				}
				sums, err := a.Run()
				switch {
				case silent <= spare:
					require.NoError(t, err, "%d silent in phase %s", silent, name)
					a.RequireSum(t, sums, everybodyBut(s))
				case name != "unmask":
					require.Error(t, err, "%d silent in phase %s", silent, name)
					require.Equal(t, fault.Aborted, fault.ClassOf(err), "phase %s: %v", name, err)
					require.NotEqual(t, secagg.PhaseOpen, a.Control.Phase().Kind)
				case err == nil: // fewer answers may still determine the sum
					a.RequireSums(t, sums)
				}
			}
		}
	})
}

// lying makes the first of the members that answer tell other sums than they hold.
func lying(a *Attempt, f CommitteeForger, silent, liars int) (numbers []int) {
	for j := silent; j < silent+liars; j++ {
		numbers = append(numbers, a.Number(j))
	}
	a.Leaves = func(phase secagg.Phase, party int) bool {
		return phase.Kind == secagg.PhaseUnmask && party >= a.Number(0) && party < a.Number(silent)
	}
	a.Message = func(phase secagg.Phase, party int, body []byte) []byte {
		if phase.Kind == secagg.PhaseUnmask && slices.Contains(numbers, party) {
			return f.Lie(a.Session, body)
		}
		return body
	}
	return numbers
}

// wrongSums: with r answers (r-c-1)/2 wrong ones are corrected and named, as long as
// 2c+1 are left that agree: fewer could be those of c liars and one honest member too
// few to tell. Of more than that no wrong sum comes.
func wrongSums(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	eachCommittee(t, scheme, c, func(t *testing.T, s secagg.Session, cohort Cohort) {
		m := s.Committee.Len()
		for _, silent := range []int{0, m - s.Committee.Quorum()} {
			r, corrupt := m-silent, s.Committee.Corrupt()
			correctable := min((r-corrupt-1)/2, r-2*corrupt-1)
			a := c.attempt(t, scheme, s, cohort, 72)
			liars := lying(a, f, silent, correctable)
			sums, err := a.Run()
			require.NoError(t, err)
			require.Empty(t, a.Rejected)
			require.Equal(t, liars, a.Liars)
			a.RequireSum(t, sums, everybodyBut(s))

			a = c.attempt(t, scheme, s, cohort, 72)
			lying(a, f, silent, correctable+1)
			sums, err = a.Run()
			requireHarm(t, a, sums, err)
		}
	})
}

// namesTooMany: a member may cost the declared corrupt clients their place in the
// sums. One that names more is left out, and what it said does not count.
func namesTooMany(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	corrupt := secagg.ShareOf(s.Roster.Len(), c.Policy.Corrupt)
	for named := corrupt; named <= corrupt+1; named++ {
		a := c.attempt(t, scheme, s, cohort, 73)
		a.Post = func(phase secagg.Phase, j int, letters []secagg.Letter) []secagg.Letter {
			for i := range letters {
				// What this member is given of them, or says that it was, is no letter.
				if j == 0 && letters[i].Member < named {
					letters[i].Body = flipped(letters[i].Body, 8*len(letters[i].Body)-1)
				}
			}
			return letters
		}
		sums, err := a.Run()
		require.NoError(t, err, "%d named", named)
		if named > corrupt {
			a.RequireSum(t, sums, everybodyBut(s))
			continue
		}
		gone := make([]int, named)
		for i := range gone {
			gone[i] = i
		}
		a.RequireSum(t, sums, everybodyBut(s, gone...))
	}
}
