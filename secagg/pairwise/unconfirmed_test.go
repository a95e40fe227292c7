package pairwise

import (
	"crypto/ed25519"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/secaggtest"
	"github.com/stretchr/testify/require"
)

// atUnmask runs an attempt up to phase unmask and returns a member's instruction.
func atUnmask(t *testing.T, seed uint64, member int) (*party, secagg.Session, quorum, []ed25519.PrivateKey) {
	t.Helper()
	a := newAttempt(t, seed)
	require.NoError(t, a.RunToPhase("unmask"))
	body, asked := a.Control.Instruction(member)
	require.True(t, asked)
	_, _, inner, err := openEnvelope(body)
	require.NoError(t, err)
	m, err := decodeQuorum(inner, a.Session.Roster.Len())
	require.NoError(t, err)
	return inside(a, member), a.Session, m, a.Cohort.Keys
}

// A coordinator that told a victim of fewer sharers than it told the others would
// have these open the victim's own mask while its masks towards those left out are
// missing: the sum of a part of the cohort would be shown (package graph, rule 3).
func TestShareOfASelfMaskIsWithheldFromASurvivorThatMaskedForOtherMembers(t *testing.T) {
	const member, victim = 2, 5
	p, s, m, keys := atUnmask(t, 41, member)
	honest, err := secagg.PeekCommit(m.frames[m.owners.before(victim)])
	require.NoError(t, err)
	fewer := setOf(s.Roster.Len(), p.sharers.members()...)
	fewer.remove(member)
	honest.Bound = masked(p.root, fewer)
	// The victim, honest itself, signed what it had been told.
	m.frames[m.owners.before(victim)] = secagg.SignCommit(keys[victim], s.Context, honest)
	_, err = p.Step(envelope(s.Context, phaseUnmask, m.encode()))
	require.ErrorIs(t, err, ErrUnconfirmed)
}

func TestShareOfASelfMaskIsWithheldWithoutTheSurvivorsConfirmation(t *testing.T) {
	const member, victim = 2, 5
	p, s, m, _ := atUnmask(t, 42, member)
	at := m.owners.before(victim)
	m.frames = append(m.frames[:at:at], m.frames[at+1:]...)
	m.owners.remove(victim)
	_, err := p.Step(envelope(s.Context, phaseUnmask, m.encode()))
	require.ErrorIs(t, err, ErrUnconfirmed)
}

func TestConfirmationOfAnotherMemberIsRefused(t *testing.T) {
	const member, victim, other = 2, 5, 6
	p, s, m, _ := atUnmask(t, 43, member)
	m.frames[m.owners.before(victim)] = m.frames[m.owners.before(other)]
	_, err := p.Step(envelope(s.Context, phaseUnmask, m.encode()))
	require.ErrorIs(t, err, secagg.ErrSignature)
}

func TestUploadMaskedForOtherMembersIsRefusedByAnHonestCoordinator(t *testing.T) {
	a := newAttempt(t, 44)
	require.NoError(t, a.RunTo(secagg.PhaseUpload))
	p := inside(a, 3)
	fewer := setOf(a.Session.Roster.Len(), a.Control.Waiting()...)
	fewer.remove(4)
	frame := secagg.SignCommit(p.signer, a.Session.Context, secagg.Commit{Size: a.Accumulator.Pieces().Total(), Bound: masked(p.root, fewer)})
	_, err := a.Control.Receive(3, frame)
	require.ErrorIs(t, err, ErrMessage)
}

// Each attempt lets a coordinator draw another graph; the parameters charge for the
// number that the plan allows, so a client takes part in no more.
func TestAttemptBeyondThePlansIsRefused(t *testing.T) {
	c := secaggtest.NewCohort(t, 16, 16)
	shape := secaggtest.Shape{Minimum: 11, Words: 50, WordBits: 20, Round: secagg.RoundID{Job: "job", Round: 1, Attempt: uint32(testPolicy.Attempts)}}
	s := secaggtest.NewSession(t, Scheme{}, testPolicy, c, shape)
	_, err := Scheme{}.NewParty(s, 0, c.Keys[0], secaggtest.Coins(1, "party"))
	require.NoError(t, err)
	shape.Round.Attempt++
	s = secaggtest.NewSession(t, Scheme{}, testPolicy, c, shape)
	_, err = Scheme{}.NewParty(s, 0, c.Keys[0], secaggtest.Coins(1, "party"))
	require.ErrorIs(t, err, ErrParameters)
}
