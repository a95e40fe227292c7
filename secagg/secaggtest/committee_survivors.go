package secaggtest

import (
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// otherSet is another set of survivors than everybody that sums may have: it is short
// of one client, or of the bucket that can spare none.
func (a *Attempt) otherSet(t *testing.T) []int {
	t.Helper()
	for _, bucket := range a.divide(everybodyBut(a.Session)) {
		gone := bucket[:1]
		if len(bucket) <= a.Session.BucketMinimum && a.Session.Buckets > 1 {
			gone = bucket
		}
		if a.Session.Roster.Len()-len(gone) >= a.Session.Minimum {
			return everybodyBut(a.Session, gone...)
		}
	}
	require.Fail(t, "the test's policy leaves no other set of survivors")
	return nil
}

// signedBy has copies of members sign a set of survivors, each that of its parity.
func signedBy(t *testing.T, a *Attempt, f CommitteeForger, even, odd []int) map[int][]byte {
	t.Helper()
	signed := map[int][]byte{}
	for j := range a.Decryptors {
		reply := requireObeyed(t, a, j, f.Agree(a.Session, [][]int{even, odd}[j%2]))
		signed[j] = reply.Message
		if reply.Record != nil {
			a.Records[j] = reply.Record
		}
	}
	return signed
}

// atAgree drives an attempt to phase Agree.
func atAgree(t *testing.T, scheme Scheme, c Config, f CommitteeForger, seed uint64) *Attempt {
	t.Helper()
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, seed)
	require.NoError(t, a.RunToPhase(f.Phases().Agree))
	return a
}

// twoCommitteeSets: even and odd members sign different sets; none opens a sum.
func twoCommitteeSets(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	a := atAgree(t, scheme, c, f, 60)
	before := slices.Clone(a.Records)
	all, other := everybodyBut(a.Session), a.otherSet(t)
	signed := signedBy(t, a, f, all, other)
	for j := range a.Decryptors {
		requireSilence(t, a, j, f.Unmask(a.Session, signed), "signatures on two sets")
	}
	// Were they on one, it would.
	a.Records = before
	signed = signedBy(t, a, f, other, other)
	for j := range a.Decryptors {
		requireObeyed(t, a, j, f.Unmask(a.Session, signed))
	}
}

// smallCommitteeQuorum: one signature short of a quorum opens nothing.
func smallCommitteeQuorum(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	a := atAgree(t, scheme, c, f, 61)
	all, q := everybodyBut(a.Session), a.Session.Committee.Quorum()
	signed := signedBy(t, a, f, all, all)
	for j := range a.Decryptors {
		requireSilence(t, a, j, f.Unmask(a.Session, first(signed, q-1)), "a signature too few")
		requireSilence(t, a, j, f.Unmask(a.Session, nil), "no signatures")
		requireObeyed(t, a, j, f.Unmask(a.Session, first(signed, q)))
	}
}

// badSurvivors: sums below a minimum, and of clients that sent nothing, are not signed.
func badSurvivors(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 62)
	gone := s.Roster.Len() - 1
	a.Leaves = func(phase secagg.Phase, party int) bool {
		return party == gone && phase.Kind == secagg.PhaseUpload
	}
	require.NoError(t, a.RunToPhase(f.Phases().Agree))
	rest := everybodyBut(s, gone)
	buckets := a.divide(rest)
	var opened []int
	for _, members := range buckets {
		if len(members) >= s.BucketMinimum {
			opened = append(opened, members...)
		}
	}
	slices.Sort(opened)
	for j, p := range a.Decryptors {
		requireObeyed(t, a, j, f.Agree(s, opened))
		for _, bad := range [][]int{nil, rest[:s.Minimum-1], everybodyBut(s)} {
			reply, _ := tell(a, p, j, f.Agree(s, bad)) // not one that restarted
			require.Nil(t, reply.Message)
		}
		requireSilence(t, a, j, f.Agree(s, nil), "nobody")
		requireSilence(t, a, j, f.Agree(s, rest[:s.Minimum-1]), "fewer than the minimum")
		requireSilence(t, a, j, f.Agree(s, everybodyBut(s)), "a client that sent nothing")
		for _, members := range buckets {
			if s.Buckets > 1 && len(members) >= s.BucketMinimum {
				short := slices.DeleteFunc(slices.Clone(opened), func(i int) bool { return slices.Contains(members[s.BucketMinimum-1:], i) })
				require.NotEqual(t, opened, short)
				requireSilence(t, a, j, f.Agree(s, short), "a bucket below its minimum")
			}
		}
	}
	// What they refused does not keep them from the true set.
	sums, err := a.Run()
	require.NoError(t, err)
	require.Empty(t, a.Refusals)
	a.RequireSum(t, sums, rest)
}

// namedSurvivor: a member signs no set with a client whose letter to it was bad,
// whatever the coordinator makes of its word, also after a restart.
func namedSurvivor(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 65)
	const named = 1
	a.Post = func(_ secagg.Phase, j int, letters []secagg.Letter) []secagg.Letter {
		for i := range letters {
			if j == 0 && letters[i].Member == named {
				letters[i].Body = flipped(letters[i].Body, 5)
			}
		}
		return letters
	}
	require.NoError(t, a.RunToPhase(f.Phases().Agree))
	for j, p := range a.Decryptors[:2] {
		for _, member := range []secagg.CommitteeParty{copyOf(t, a, j), p} {
			reply, err := tell(a, member, j, f.Agree(s, everybodyBut(s)))
			require.Equal(t, j == 0, err != nil, "member %d: %v", j, err)
			require.Equal(t, j == 0, reply.Message == nil)
		}
	}
}

// secondSet: once a member has signed or answered, it neither signs nor answers for
// another set, also after a restart, even if all the others would.
func secondSet(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	a := atAgree(t, scheme, c, f, 63)
	other := a.otherSet(t)
	before := slices.Clone(a.Records)
	signedOther := signedBy(t, a, f, other, other) // by storage that is rolled back
	a.Records = before
	requireOnlyFirst := func() {
		for j, p := range a.Decryptors {
			for _, instruction := range [][]byte{f.Agree(a.Session, other), f.Unmask(a.Session, signedOther)} {
				requireSilence(t, a, j, instruction, "another set, after a restart")
				reply, err := tell(a, p, j, instruction)
				require.Error(t, err, "another set")
				require.Nil(t, reply.Message)
			}
		}
	}
	require.NoError(t, a.Advance())
	require.Equal(t, secagg.PhaseUnmask, a.Control.Phase().Kind)
	requireOnlyFirst()
	require.NoError(t, a.Advance())
	requireOnlyFirst()
	require.Empty(t, a.Refusals)
	sums, err := a.Open()
	require.NoError(t, err)
	a.RequireSum(t, sums, everybodyBut(a.Session))
}

// committeeReplay feeds what was said and signed in one attempt into the next.
func committeeReplay(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	told, said := recorded(t, scheme, c, s, cohort)
	names := f.Phases()
	later, _ := c.session(t, scheme, s.Roster.Len(), Shape{Words: 40, WordBits: 19, Round: secagg.RoundID{Job: "job", Round: 1, Attempt: 2}})
	a := c.attempt(t, scheme, later, cohort, 64)
	a.Instruction = func(phase secagg.Phase, party int, body []byte) []byte {
		_ = requireRejected(t, a.Control, party, said[phase.Name][party])
		old, n := told[phase.Name][party], len(a.Parties)
		switch {
		case party < n:
			reply, err := a.Parties[party].Step(old)
			require.Error(t, err)
			require.Equal(t, secagg.Reply{}, reply)
			// It is dead: a client does not go on with who tried that.
			p, err := scheme.NewParty(later, party, cohort.Keys[party], Coins(64, "again"))
			require.NoError(t, err)
			a.Parties[party] = p
		case phase.Name == names.Reveal || phase.Name == names.Seed || phase.Kind == secagg.PhaseUnmask:
			requireSilence(t, a, party-n, old, "an instruction of another attempt")
		}
		return body
	}
	sums, err := a.Run()
	require.NoError(t, err)
	require.Empty(t, a.Refusals)
	a.RequireSum(t, sums, everybodyBut(s))
}
