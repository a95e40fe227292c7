package secaggtest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// split runs an attempt in which members of odd index are given another session,
// by a coordinator that believes both halves.
func split(t *testing.T, scheme Scheme, c Config, f *Forger, one, two secagg.Session, cohort Cohort) *Attempt {
	a := c.attempt(t, scheme, one, cohort, 21)
	var err error
	for i := 1; i < len(a.Parties); i += 2 {
		a.Parties[i], err = scheme.NewParty(two, i, cohort.Keys[i], Coins(21, "odd"))
		require.NoError(t, err)
	}
	a.Control, err = f.Gullible(one)
	require.NoError(t, err)
	a.Instruction = func(_ secagg.Phase, member int, body []byte) []byte {
		if member%2 == 1 {
			return f.Rebind(body, two.Context)
		}
		return body
	}
	return a
}

// requireNobodyShared drives the attempt to its failure and checks that every
// member refused for the given reason before it shared anything.
func requireNobodyShared(t *testing.T, a *Attempt, f *Forger, want error) {
	a.Message = func(phase secagg.Phase, member int, body []byte) []byte {
		require.NotEqual(t, f.Shown, phase.Name, "shares of member %d left", member)
		return body
	}
	require.Error(t, a.RunTo(secagg.PhaseOpen))
	require.Len(t, a.Refusals, len(a.Parties))
	for i, err := range a.Refusals {
		require.ErrorIs(t, err, want, "member %d", i)
	}
	require.Empty(t, a.Sealed)
}

func twoModels(t *testing.T, scheme Scheme, c Config, f *Forger) {
	one, cohort := c.small(t, scheme)
	two := one
	two.Binding.Model = secagg.Hash("a model that singles out its victim")
	two.Context = two.Binding.Context()
	requireNobodyShared(t, split(t, scheme, c, f, one, two, cohort), f, f.TwoModels)
}

func twoRosters(t *testing.T, scheme Scheme, c Config, f *Forger) {
	one, cohort := c.small(t, scheme)
	// The second roster has another party in the place of member 0.
	members := make([]secagg.Identity, one.Roster.Len())
	for i := range members {
		members[i] = one.Roster.At(i)
	}
	members[0].Key = NewCohort(t, 1, 99).Roster.At(0).Key
	var err error
	two := one
	two.Roster, err = secagg.NewRoster(members)
	require.NoError(t, err)
	two.Binding.Roster = two.Roster.Root()
	two.Context = two.Binding.Context()
	requireNobodyShared(t, split(t, scheme, c, f, one, two, cohort), f, f.TwoModels)
}

func twoLists(t *testing.T, scheme Scheme, c Config, f *Forger) {
	s, cohort := c.small(t, scheme)
	a := split(t, scheme, c, f, s, s, cohort)
	a.Instruction = func(phase secagg.Phase, member int, body []byte) []byte {
		if phase.Name == f.Listed && member%2 == 1 {
			return f.SwapKeys(s, phase.Name, body, 0)
		}
		return body
	}
	// What odd members are shown matches their list, so that only the signatures
	// of the even ones give the coordinator away.
	listed := a.Instruction
	a.Instruction = func(phase secagg.Phase, member int, body []byte) []byte {
		if phase.Name == f.Shown && member%2 == 1 {
			return f.SwapKeys(s, phase.Name, body, 0)
		}
		return listed(phase, member, body)
	}
	requireNobodyShared(t, a, f, f.TwoLists)
}

// alone checks that one instruction, changed on its way to one member, is refused
// for the given reason, and that nothing follows from it.
func alone(t *testing.T, scheme Scheme, c Config, phase string, want error, change func(s secagg.Session, member int, body []byte) []byte) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 22)
	const victim = 3
	a.Instruction = func(at secagg.Phase, member int, body []byte) []byte {
		if at.Name == phase && member == victim {
			return change(s, member, body)
		}
		return body
	}
	require.NoError(t, a.RunTo(secagg.PhaseOpen))
	require.ErrorIs(t, a.Refusals[victim], want)
	require.Len(t, a.Refusals, 1, "the others go on without it")
	_, err := a.Parties[victim].Step([]byte("anything"))
	require.ErrorIs(t, err, secagg.ErrDead)
	sums, err := a.Open()
	require.NoError(t, err)
	a.RequireSum(t, sums, a.survivors())
}

func swappedKey(t *testing.T, scheme Scheme, c Config, f *Forger) {
	alone(t, scheme, c, f.Shown, f.OtherKeys, func(s secagg.Session, member int, body []byte) []byte {
		return f.SwapKeys(s, f.Shown, body, 5)
	})
}

func ownKeySwapped(t *testing.T, scheme Scheme, c Config, f *Forger) {
	alone(t, scheme, c, f.Listed, f.OwnKeys, func(s secagg.Session, member int, body []byte) []byte {
		return f.SwapKeys(s, f.Listed, body, member)
	})
}

// everybodyBut lists all members of the session but some.
func everybodyBut(s secagg.Session, but ...int) []int {
	var out []int
	for i := range s.Roster.Len() {
		if !slices.Contains(but, i) {
			out = append(out, i)
		}
	}
	return out
}

func belowMinimum(t *testing.T, scheme Scheme, c Config, f *Forger) {
	alone(t, scheme, c, f.Agreed, secagg.ErrTooFew, func(s secagg.Session, member int, body []byte) []byte {
		return f.Survivors(s, everybodyBut(s)[:s.Minimum-1])
	})
}

func withoutClient(t *testing.T, scheme Scheme, c Config, f *Forger) {
	alone(t, scheme, c, f.Agreed, secagg.ErrMembership, func(s secagg.Session, member int, body []byte) []byte {
		return f.Survivors(s, everybodyBut(s, member))
	})
}

func strangers(t *testing.T, scheme Scheme, c Config, f *Forger) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 23)
	const gone = 4
	a.Leaves = func(phase secagg.Phase, member int) bool { return member == gone && phase.Name == f.Shown }
	a.Instruction = func(phase secagg.Phase, member int, body []byte) []byte {
		if phase.Name == f.Agreed {
			return f.Survivors(s, everybodyBut(s))
		}
		return body
	}
	require.Error(t, a.RunTo(secagg.PhaseOpen))
	require.Len(t, a.Refusals, len(a.Parties)-1)
	for i, err := range a.Refusals {
		require.ErrorIs(t, err, f.Strangers, "member %d", i)
	}
}

// twoSets makes an attempt in which even and odd members are asked to agree on
// different survivors, and sign.
func twoSets(t *testing.T, scheme Scheme, c Config, f *Forger) (a *Attempt, agreed map[int][]byte) {
	s, cohort := c.small(t, scheme)
	a = c.attempt(t, scheme, s, cohort, 24)
	var err error
	a.Control, err = f.Gullible(s)
	require.NoError(t, err)
	agreed = map[int][]byte{}
	a.Instruction = func(phase secagg.Phase, member int, body []byte) []byte {
		if phase.Name == f.Agreed {
			return f.Survivors(s, everybodyBut(s, 1-member%2))
		}
		return body
	}
	a.Message = func(phase secagg.Phase, member int, body []byte) []byte {
		if phase.Name == f.Agreed {
			agreed[member] = body
		}
		return body
	}
	require.NoError(t, a.RunTo(secagg.PhaseUnmask))
	require.Empty(t, a.Refusals)
	require.Len(t, agreed, s.Roster.Len(), "each half signs its set")
	return a, agreed
}

// requireNothingReleased gives everybody the instruction that forge makes for it.
func requireNothingReleased(t *testing.T, a *Attempt, want error, forge func(member int) []byte) {
	for i, p := range a.Parties {
		reply, err := p.Step(forge(i))
		require.ErrorIs(t, err, want, "member %d", i)
		require.Nil(t, reply.Message)
	}
}

func twoSurvivorSets(t *testing.T, scheme Scheme, c Config, f *Forger) {
	a, agreed := twoSets(t, scheme, c, f)
	requireNothingReleased(t, a, f.TwoSurvivorSets, func(member int) []byte {
		// Both sets are short of one: members that are in both.
		both := map[int][]byte{}
		for i, m := range agreed {
			if i > 1 {
				both[i] = m
			}
		}
		return f.Quorum(a.Session, both)
	})
}

func smallQuorum(t *testing.T, scheme Scheme, c Config, f *Forger) {
	a, agreed := twoSets(t, scheme, c, f)
	requireNothingReleased(t, a, f.SmallQuorum, func(member int) []byte {
		half := map[int][]byte{}
		for i, m := range agreed {
			if i%2 == member%2 {
				half[i] = m
			}
		}
		return f.Quorum(a.Session, half)
	})
}

func bothInOne(t *testing.T, scheme Scheme, c Config, f *Forger) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 25)
	const gone, victim = 4, 3
	a.Leaves = func(phase secagg.Phase, member int) bool {
		return member == gone && phase.Kind == secagg.PhaseUpload
	}
	answers := 0
	a.Instruction = func(phase secagg.Phase, member int, body []byte) []byte {
		if phase.Kind == secagg.PhaseUnmask && member == victim {
			return f.AskBoth(body, s)
		}
		return body
	}
	a.Message = func(phase secagg.Phase, member int, body []byte) []byte {
		if phase.Kind == secagg.PhaseUnmask {
			answers++
			released := f.Released(s, body)
			require.NotEmpty(t, released)
			for owner, n := range released {
				require.Equal(t, 1, n, "secrets of member %d released by member %d", owner, member)
			}
		}
		return body
	}
	require.NoError(t, a.RunTo(secagg.PhaseOpen))
	require.Equal(t, s.Roster.Len()-2, answers)
	require.ErrorIs(t, a.Refusals[victim], secagg.ErrEncoding)
}

// rolledBack runs an attempt to its end. It returns it with the latest record of
// every member, and with a survivor set other than its own that a quorum signed:
// a quorum of devices whose storage was rolled back to the moment after Seal.
func rolledBack(t *testing.T, scheme Scheme, c Config, f *Forger) (a *Attempt, latest map[int][]byte, other, signed []byte) {
	s, cohort := c.small(t, scheme)
	a = c.attempt(t, scheme, s, cohort, 26)
	sealed, latest := map[int][]byte{}, map[int][]byte{}
	a.Answered = func(phase secagg.Phase, member int, reply secagg.Reply) secagg.Party {
		if phase.Kind == secagg.PhaseUpload {
			sealed[member] = reply.Record
		}
		if reply.Record != nil {
			latest[member] = reply.Record
		}
		return a.Parties[member]
	}
	require.NoError(t, a.RunTo(secagg.PhaseOpen))
	members := everybodyBut(s, s.Roster.Len()-1)
	other = f.Survivors(s, members)
	agreed := map[int][]byte{}
	for _, i := range members {
		p, err := scheme.ResumeParty(s, i, cohort.Keys[i], sealed[i])
		require.NoError(t, err)
		reply, err := p.Step(other)
		require.NoError(t, err)
		agreed[i] = reply.Message
	}
	return a, latest, other, f.Quorum(s, agreed)
}

// requireOneAnswer offers a party that answered phase unmask the other set.
func requireOneAnswer(t *testing.T, p secagg.Party, other, signed []byte) {
	for range 2 {
		for _, instruction := range [][]byte{other, signed} {
			reply, err := p.Step(instruction)
			require.Equal(t, fault.Conflict, fault.ClassOf(err), "%v", err)
			require.Nil(t, reply.Message)
		}
	}
}

func bothInTwo(t *testing.T, scheme Scheme, c Config, f *Forger) {
	a, _, other, signed := rolledBack(t, scheme, c, f)
	for _, p := range a.Parties[:len(a.Parties)-1] {
		requireOneAnswer(t, p, other, signed)
	}
}

func bothAfterRestart(t *testing.T, scheme Scheme, c Config, f *Forger) {
	a, latest, other, signed := rolledBack(t, scheme, c, f)
	for i := range a.Parties[:len(a.Parties)-1] {
		p, err := scheme.ResumeParty(a.Session, i, a.Cohort.Keys[i], latest[i])
		require.NoError(t, err)
		requireOneAnswer(t, p, other, signed)
	}
}

// recorded runs one attempt and returns what every member was told and said, by phase.
func recorded(t *testing.T, scheme Scheme, c Config, s secagg.Session, cohort Cohort) (told, said map[string]map[int][]byte) {
	a := c.attempt(t, scheme, s, cohort, 27)
	told, said = map[string]map[int][]byte{}, map[string]map[int][]byte{}
	keep := func(in map[string]map[int][]byte) func(secagg.Phase, int, []byte) []byte {
		return func(phase secagg.Phase, member int, body []byte) []byte {
			if in[phase.Name] == nil {
				in[phase.Name] = map[int][]byte{}
			}
			in[phase.Name][member] = body
			return body
		}
	}
	a.Instruction, a.Message = keep(told), keep(said)
	_, err := a.Run()
	require.NoError(t, err)
	return told, said
}

// replayed feeds every message of one attempt into the next attempt of the round
// and into the next round, ahead of the true one: all are refused, none does harm.
func replayed(t *testing.T, scheme Scheme, c Config, f *Forger) {
	s, cohort := c.small(t, scheme)
	told, said := recorded(t, scheme, c, s, cohort)
	for _, id := range []secagg.RoundID{{Job: "job", Round: 1, Attempt: 2}, {Job: "job", Round: 2, Attempt: 1}} {
		later := s
		later.Binding.Round = id
		later.Context = later.Binding.Context()
		a := c.attempt(t, scheme, later, cohort, 28)
		a.Instruction = func(phase secagg.Phase, member int, body []byte) []byte {
			reply, err := a.Parties[member].Step(told[phase.Name][member])
			require.ErrorIs(t, err, f.Replayed, "phase %s of %s", phase.Name, id)
			require.Equal(t, secagg.Reply{}, reply)
			_ = requireRejected(t, a.Control, member, said[phase.Name][member])
			return body
		}
		sums, err := a.Run()
		require.NoError(t, err)
		require.Empty(t, a.Refusals)
		a.RequireSum(t, sums, a.survivors())
	}
}

// replayedRewritten does the same with the context rewritten: what others signed
// in the earlier attempt must not verify in this one.
func replayedRewritten(t *testing.T, scheme Scheme, c Config, f *Forger) {
	s, cohort := c.small(t, scheme)
	told, _ := recorded(t, scheme, c, s, cohort)
	later := s
	later.Binding.Round.Attempt = 2
	later.Context = later.Binding.Context()
	for _, name := range []string{f.Listed, f.Shown, "upload", "unmask"} {
		t.Run(name, func(t *testing.T) {
			a := c.attempt(t, scheme, later, cohort, 29)
			require.NoError(t, a.RunToPhase(name))
			for i, p := range a.Parties {
				reply, err := p.Step(f.Rebind(told[name][i], later.Context))
				require.Error(t, err, "phase %s", name)
				require.Equal(t, secagg.Reply{}, reply)
			}
		})
	}
}

// wrongMasks is a client that uploads something else than its masked vector, and
// signs it.
func wrongMasks(t *testing.T, scheme Scheme, c Config, f *Forger) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 30)
	const cheat = 2
	a.Message = func(phase secagg.Phase, member int, body []byte) []byte {
		if phase.Kind != secagg.PhaseUpload || member != cheat {
			return body
		}
		w := secagg.NewCommitWriter(&bytes.Buffer{})
		_, err := w.Write(make([]byte, a.Accumulator.Pieces().Total()))
		require.NoError(t, err)
		honest, err := secagg.PeekCommit(body)
		require.NoError(t, err)
		forged := w.Commit()
		forged.Bound = honest.Bound
		return secagg.SignCommit(cohort.Keys[cheat], s.Context, forged)
	}
	a.Upload = func(member int, sealed []byte) []byte {
		if member == cheat {
			return make([]byte, len(sealed))
		}
		return sealed
	}
	_, err := a.Run()
	require.Empty(t, a.Rejected)
	require.ErrorIs(t, err, f.Garbage)
}
