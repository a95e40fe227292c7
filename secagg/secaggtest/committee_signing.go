package secaggtest

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// rebound is the session with other announcements.
func rebound(s secagg.Session, change func(secagg.Announcements)) secagg.Session {
	s.Announcements = slices.Clone(s.Announcements)
	change(s.Announcements)
	s.Binding.Committee = s.Announcements.Root(s.Committee)
	s.Context = s.Binding.Context()
	return s
}

// instructionFor is what an honest coordinator of the session tells a party first.
func instructionFor(t *testing.T, scheme Scheme, s secagg.Session, party int) []byte {
	control, err := scheme.NewControl(s)
	require.NoError(t, err)
	body, asked := control.Instruction(party)
	require.True(t, asked)
	return body
}

// requireRefusesSession checks that a member says nothing in a session.
func requireRefusesSession(t *testing.T, scheme Scheme, s secagg.Session, c Cohort, j int, record, instruction []byte) {
	t.Helper()
	p, err := committeeOf(t, scheme).NewCommitteeParty(s, j, c.Decryptors[j], record)
	if err != nil {
		return
	}
	reply, err := p.Step(instruction)
	require.Error(t, err, "member %d", j)
	require.Nil(t, reply.Message)
}

// twoContexts: a member signs one context for an attempt, also after a restart.
func twoContexts(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 50)
	require.NoError(t, a.RunToPhase(f.Phases().Context))
	answersOf(t, a)
	other := s
	other.Binding.Model = secagg.Hash("a model that singles out its victim")
	other.Context = other.Binding.Context()
	for j := range a.Decryptors {
		body := instructionFor(t, scheme, other, a.Number(j))
		requireRefusesSession(t, scheme, other, cohort, j, a.Records[j], body)
		// Before it had signed the first one, it would have signed the second.
		p, err := committeeOf(t, scheme).NewCommitteeParty(other, j, cohort.Decryptors[j], Announce(t, scheme, s.Binding.Round, cohort, j).Record)
		require.NoError(t, err)
		reply, err := p.Step(body)
		require.NoError(t, err)
		require.NotNil(t, reply.Message)
	}
}

// camps runs phase Context with even and odd members in two sessions of one attempt,
// and requires that none reveals its coins, whichever signatures it is shown.
func camps(t *testing.T, scheme Scheme, c Config, cohort Cohort, f CommitteeForger, one, two secagg.Session) {
	t.Helper()
	first, second := c.attempt(t, scheme, one, cohort, 51), c.attempt(t, scheme, two, cohort, 51)
	require.NoError(t, first.RunToPhase(f.Phases().Context))
	require.NoError(t, second.RunToPhase(f.Phases().Context))
	camp := func(j int) *Attempt { return []*Attempt{first, second}[j%2] }
	signed := map[int][]byte{}
	for j := range first.Decryptors {
		a := camp(j)
		body, asked := a.Control.Instruction(a.Number(j))
		require.True(t, asked)
		reply, err := a.Decryptors[j].Step(body)
		require.NoError(t, err)
		require.NotNil(t, reply.Message)
		signed[j], a.Records[j] = reply.Message, reply.Record
	}
	for j := range first.Decryptors {
		a := camp(j)
		requireSilence(t, a, j, f.Reveal(a.Session, signed), "signatures on two contexts")
		own := maps.Clone(signed)
		maps.DeleteFunc(own, func(k int, _ []byte) bool { return k%2 != j%2 })
		requireSilence(t, a, j, f.Reveal(a.Session, own), "fewer signatures than a quorum")
	}
	// The forged instruction is obeyed when it is true.
	honest := c.attempt(t, scheme, one, cohort, 51)
	require.NoError(t, honest.RunToPhase(f.Phases().Context))
	requireObeyed(t, honest, 0, f.Reveal(one, answersOf(t, honest)))
}

func twoAnnouncements(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	m := s.Committee.Len()
	t.Run("one left out", func(t *testing.T) {
		camps(t, scheme, c, cohort, f, s, rebound(s, func(a secagg.Announcements) { a[m-1].LeftOut = true }))
	})
	t.Run("two models", func(t *testing.T) {
		two := s
		two.Binding.Model = secagg.Hash("another model")
		two.Context = two.Binding.Context()
		camps(t, scheme, c, cohort, f, s, two)
	})
}

// ownAnnouncement: a member takes part only where its own announcement stands.
func ownAnnouncement(t *testing.T, scheme Scheme, c Config, _ CommitteeForger) {
	s, cohort := c.small(t, scheme)
	const j = 1
	reply := Announce(t, scheme, s.Binding.Round, cohort, j)
	other := announceWith(t, scheme, s.Binding.Round, cohort, j, "other coins")
	require.NotEqual(t, reply.Message, other.Message)
	for name, change := range map[string]func(secagg.Announcements){
		"another one of its own": func(a secagg.Announcements) { a[j].Body = other.Message },
		"none":                   func(a secagg.Announcements) { a[j].Body = nil },
		"another member's":       func(a secagg.Announcements) { a[j].Body = a[0].Body },
	} {
		t.Run(name, func(t *testing.T) {
			bad := rebound(s, change)
			control, err := scheme.NewControl(bad)
			var body []byte
			if err == nil {
				body, _ = control.Instruction(s.Roster.Len() + j)
			}
			if body == nil {
				body = instructionFor(t, scheme, s, s.Roster.Len()+j)
			}
			requireRefusesSession(t, scheme, bad, cohort, j, reply.Record, body)
		})
	}
}

// forgedAnnouncement changes single bits of a member's announcement: everybody refuses.
func forgedAnnouncement(t *testing.T, scheme Scheme, c Config, _ CommitteeForger) {
	s, cohort := c.small(t, scheme)
	server, round := scheme.(secagg.CommitteeServer), s.Binding.Round
	good := s.Announcements[0].Body
	require.NoError(t, server.CheckAnnouncement(round, cohort.Committee, 0, good))
	require.Error(t, server.CheckAnnouncement(round, cohort.Committee, 1, good), "another member's")
	require.Error(t, server.CheckAnnouncement(round, cohort.Committee, 0, nil))
	for _, member := range []int{-1, cohort.Committee.Len()} {
		require.Error(t, server.CheckAnnouncement(round, cohort.Committee, member, good))
	}
	later := round
	later.Attempt++
	require.Error(t, server.CheckAnnouncement(later, cohort.Committee, 0, good), "another attempt's")
	require.Error(t, server.CheckAnnouncement(round, NewCohort(t, 1, 1).WithCommittee(t, cohort.Committee.Len(), 99).Committee, 0, good), "another committee's")
	record := Announce(t, scheme, round, cohort, 1).Record
	body := instructionFor(t, scheme, s, s.Roster.Len()+1)
	for bit := 0; bit < 8*len(good); bit += 1 + len(good)/6 {
		bad := flipped(good, bit)
		require.Error(t, server.CheckAnnouncement(round, cohort.Committee, 0, bad), "bit %d", bit)
		requireRefusesSession(t, scheme, rebound(s, func(a secagg.Announcements) { a[0].Body = bad }), cohort, 1, record, body)
	}
}

func flipped(b []byte, bit int) []byte {
	out := bytes.Clone(b)
	out[bit/8] ^= 1 << (bit % 8)
	return out
}

// erasedEpoch: without the epoch's seed that it announced, a member cannot go on.
func erasedEpoch(t *testing.T, scheme Scheme, c Config, _ CommitteeForger) {
	s, cohort := c.small(t, scheme)
	reply := Announce(t, scheme, s.Binding.Round, cohort, 0)
	keys := cohort.Decryptors[0]
	try := func() error {
		_, err := committeeOf(t, scheme).NewCommitteeParty(s, 0, keys, reply.Record)
		return err
	}
	require.NoError(t, try())
	keys.Epochs = append(slices.Clone(keys.Epochs), secagg.EpochSeed{Number: 4, Seed: [32]byte{1}})
	require.NoError(t, try(), "a new epoch begins during an attempt")
	keys.Epochs = slices.Delete(slices.Clone(keys.Epochs), 1, 2)
	require.Error(t, try(), "the epoch of the attempt is gone")
	_, err := committeeOf(t, scheme).NewCommitteeParty(s, 0, cohort.Decryptors[0], nil)
	require.Error(t, err, "no record")
	_, err = committeeOf(t, scheme).NewCommitteeParty(s, 1, cohort.Decryptors[1], reply.Record)
	require.Error(t, err, "another member's record")
	_, err = committeeOf(t, scheme).NewCommitteeParty(s, 0, cohort.Decryptors[1], reply.Record)
	require.Error(t, err, "another member's keys")
}

// ninthAttempt: each attempt lets the last to reveal choose between two seeds.
func ninthAttempt(t *testing.T, scheme Scheme, c Config, _ CommitteeForger) {
	s, cohort := c.small(t, scheme)
	round := secagg.RoundID{Job: "job", Round: 1, Attempt: 9}
	var records [][]byte
	announcements := make(secagg.Announcements, s.Committee.Len())
	for j := range announcements {
		reply, err := committeeOf(t, scheme).Announce(round, cohort.Committee, j, cohort.Decryptors[j], Coins(1, "ninth"))
		if err != nil {
			return
		}
		announcements[j].Body, records = reply.Message, append(records, reply.Record)
	}
	later := s
	later.Binding.Round = round
	later = rebound(later, func(a secagg.Announcements) { copy(a, announcements) })
	body := instructionFor(t, scheme, s, s.Roster.Len())
	if control, err := scheme.NewControl(later); err == nil {
		body, _ = control.Instruction(s.Roster.Len())
	}
	requireRefusesSession(t, scheme, later, cohort, 0, records[0], body)
}

// changedBits flips bits of the instructions that carry what others signed or
// revealed: a member says nothing to them, a client seals nothing.
func changedBits(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 52)
	coins, names := rand.New(rand.NewPCG(52, 52)), f.Phases()
	const client = 1
	tried := map[string]bool{}
	a.Instruction = func(phase secagg.Phase, party int, body []byte) []byte {
		if party != client && party != a.Number(0) || tried[phase.Name] {
			return body
		}
		guarded := phase.Name == names.Reveal || phase.Name == names.Seed || phase.Kind == secagg.PhaseUnmask || party == client
		if !guarded {
			return body
		}
		tried[phase.Name] = true
		for range 40 {
			bad := flipped(body, coins.IntN(8*len(body)))
			if party == client {
				p, err := scheme.NewParty(s, client, cohort.Keys[client], Coins(52, "party"))
				require.NoError(t, err)
				reply, err := p.Step(bad)
				require.Error(t, err)
				require.False(t, reply.Seal)
				continue
			}
			requireSilence(t, a, 0, bad, "a changed bit in phase "+phase.Name)
		}
		return body
	}
	sums, err := a.Run()
	require.NoError(t, err)
	require.Len(t, tried, 4)
	a.RequireSum(t, sums, everybodyBut(s))
}

// otherCoins: what decides the partition are all coins that were committed to.
func otherCoins(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 53)
	require.NoError(t, a.RunToPhase(f.Phases().Reveal))
	revealed := answersOf(t, a)
	require.NoError(t, a.Close())
	require.Equal(t, f.Phases().Seed, a.Control.Phase().Name)
	m := len(revealed)
	swapped := maps.Clone(revealed)
	swapped[0], swapped[1] = revealed[1], revealed[0]
	for j := range a.Decryptors {
		requireObeyed(t, a, j, f.Deal(s, revealed))
		requireSilence(t, a, j, f.Deal(s, first(revealed, m-1)), "coins left out")
		requireSilence(t, a, j, f.Deal(s, swapped), "coins of each other")
	}
	// So does a client, whatever the committee signed.
	signed := answersOf(t, a)
	ask := func(instruction []byte) (secagg.Reply, error) {
		p, err := scheme.NewParty(s, 1, cohort.Keys[1], Coins(53, "party"))
		require.NoError(t, err)
		return p.Step(instruction)
	}
	reply, err := ask(f.Show(s, revealed, signed))
	require.NoError(t, err)
	require.True(t, reply.Seal)
	for _, bad := range []map[int][]byte{first(revealed, m-1), swapped} {
		reply, err = ask(f.Show(s, bad, signed))
		require.Error(t, err)
		require.False(t, reply.Seal)
	}
}

// shownTooFew: a client seals against a quorum of signatures and no fewer.
func shownTooFew(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 54)
	require.NoError(t, a.RunToPhase(f.Phases().Reveal))
	revealed := answersOf(t, a)
	require.NoError(t, a.Close())
	signed := answersOf(t, a)
	for k, want := range map[int]error{s.Committee.Quorum(): nil, s.Committee.Quorum() - 1: errRefused, 0: errRefused} {
		p, err := scheme.NewParty(s, 1, cohort.Keys[1], Coins(54, "party"))
		require.NoError(t, err)
		reply, err := p.Step(f.Show(s, revealed, first(signed, k)))
		require.Equal(t, want == nil, err == nil, "%d signatures: %v", k, err)
		require.Equal(t, want == nil, reply.Seal)
	}
}

var errRefused = errors.New("refused")
