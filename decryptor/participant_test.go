package decryptor

import (
	"bytes"
	"crypto/rand"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// accepted announces member b for the task.
func accepted(t *testing.T, task secagg.Task, latest []byte) (*Participant, Effects) {
	t.Helper()
	p, fx, err := Accept(policyOf(t, "job"), task, latest, rand.Reader)
	require.NoError(t, err)
	require.NotNil(t, fx.Record, "durable before it is sent")
	require.Equal(t, task.Round, fx.Send.Round)
	require.Zero(t, fx.Send.Step)
	return p, fx
}

func TestRosterWithAStrangerIsRefused(t *testing.T) {
	task := taskOf(t, "job")
	id := task.Round
	good := rosterOf(t, keyOf("authority"), 20)
	for name, row := range map[string]struct {
		roster func() secagg.Roster
		want   error
	}{
		"not enrolled": {func() secagg.Roster {
			var all []secagg.Identity
			for i := range good.Len() {
				all = append(all, good.At(i))
			}
			all[7].Credential[0] ^= 1
			r, err := secagg.NewRoster(all)
			require.NoError(t, err)
			return r
		}, secagg.ErrIdentity},
		"another authority": {func() secagg.Roster { return rosterOf(t, keyOf("other"), 20) }, secagg.ErrIdentity},
		"too few":           {func() secagg.Roster { return rosterOf(t, keyOf("authority"), 15) }, ErrRoster},
		"too many":          {func() secagg.Roster { return rosterOf(t, keyOf("authority"), 41) }, ErrRoster},
		"none":              {func() secagg.Roster { return secagg.Roster{} }, secagg.ErrRoster},
	} {
		t.Run(name, func(t *testing.T) {
			p, said := accepted(t, task, nil)
			fx, err := p.Envelope(first(t, id, row.roster(), said.Send.Body, "sign x"))
			require.ErrorIs(t, err, row.want)
			require.True(t, fx.Over, "the member leaves")
			require.Nil(t, fx.Send)
			_, err = p.Envelope(first(t, id, good, said.Send.Body, "sign x"))
			require.ErrorIs(t, err, ErrOver)
			_, _, err = Accept(policyOf(t, "job"), task, fx.Record, noCoins{t})
			require.ErrorIs(t, err, ErrRound, "and does not come back")
		})
	}
	p, said := accepted(t, task, nil)
	fx, err := p.Envelope(first(t, id, good, said.Send.Body, "sign x"))
	require.NoError(t, err)
	require.Equal(t, "signed x", string(fx.Send.Body))
	require.EqualValues(t, 1, fx.Send.Step)
}

// A member announces itself for rising attempts: for a recorded one it only goes on.
func TestAttemptsRise(t *testing.T) {
	task := taskOf(t, "job")
	_, said := accepted(t, task, nil)
	p, _ := accepted(t, task, nil)
	closed := p.Close("").Record
	for name, latest := range map[string][]byte{"under way": said.Record, "over": closed} {
		for _, id := range []secagg.RoundID{{Job: "job", Round: 2, Attempt: 8}, {Job: "job", Round: 1, Attempt: 1}, {Job: "job", Round: 3, Attempt: 1}} {
			t.Run(name+" "+id.String(), func(t *testing.T) {
				next := task
				next.Round = id
				if id == task.Round && name == "under way" {
					next.Model = secagg.Digest{9}
					_, _, err := Accept(policyOf(t, "job"), next, latest, noCoins{t})
					require.ErrorIs(t, err, ErrOther)
					return
				}
				_, _, err := Accept(policyOf(t, "job"), next, latest, noCoins{t})
				require.ErrorIs(t, err, ErrRound)
			})
		}
		for _, id := range []secagg.RoundID{{Job: "job", Round: 3, Attempt: 2}, {Job: "job", Round: 4, Attempt: 1}} {
			next := task
			next.Round = id
			_, fx := accepted(t, next, latest)
			require.NotEqual(t, said.Send.Body, fx.Send.Body)
		}
	}
	_, again, err := Accept(policyOf(t, "job"), task, said.Record, noCoins{t})
	require.NoError(t, err, "the recorded attempt goes on")
	require.Equal(t, said.Send, again.Send, "with the same announcement")

	_, _, err = Resume(policyOf(t, "job"), closed)
	require.ErrorIs(t, err, secagg.ErrTombstone)
	other := taskOf(t, "other")
	_, _, err = Accept(policyOf(t, "other"), other, said.Record, noCoins{t})
	require.ErrorIs(t, err, ErrRecord, "a record of another job")
	_, _, err = Accept(policyOf(t, "job"), task, []byte("damaged"), noCoins{t})
	require.ErrorIs(t, err, ErrRecord)
}

// After a restart at any record a member answers as it did before.
func TestAMemberGoesOnFromEachRecord(t *testing.T) {
	task := taskOf(t, "job")
	roster := rosterOf(t, keyOf("authority"), 20)
	p, fx := accepted(t, task, nil)
	announcement, latest := fx.Send.Body, fx.Record
	restart := func() {
		p.Erase()
		var err error
		p, fx, err = Resume(policyOf(t, "job"), latest)
		require.NoError(t, err)
	}
	restart()
	require.Equal(t, announcement, fx.Send.Body)
	fx, err := p.Envelope(first(t, task.Round, roster, announcement, "judge"))
	require.NoError(t, err)
	require.True(t, fx.Letters)
	require.NotNil(t, fx.Record, "the roster comes but once")
	latest = fx.Record
	restart()
	require.Nil(t, fx.Send)
	for range 2 {
		fx, err = p.Envelope(secagg.Envelope{Round: task.Round, Step: 2, Body: []byte("sign x")})
		require.NoError(t, err)
		require.Equal(t, "signed x", string(fx.Send.Body))
		latest = fx.Record
		restart()
	}
	fx, err = p.Envelope(secagg.Envelope{Round: task.Round, Step: 3, Body: []byte("sign y")})
	require.ErrorIs(t, err, secagg.ErrMembership)
	require.Equal(t, Effects{}, fx, "never another; the attempt goes on")
	fx, err = p.Envelope(secagg.Envelope{Round: task.Round, Step: 4, Body: []byte("sign x")})
	require.NoError(t, err)
	require.EqualValues(t, 4, fx.Send.Step)

	gone := policyOf(t, "job")
	gone.Keys.Epochs[0].Number = 2
	_, _, err = Resume(gone, latest)
	require.ErrorIs(t, err, errLost)
	strict := policyOf(t, "job")
	strict.Limits.Exact = false
	_, _, err = Resume(strict, latest)
	require.ErrorIs(t, err, ErrLimits, "a policy that has become stricter holds for what was begun")
}

func TestEnvelopesOutOfOrderChangeNothing(t *testing.T) {
	task := taskOf(t, "job")
	p, said := accepted(t, task, nil)
	party := func() *scriptedParty { return p.party.(*scriptedParty) }
	_, err := p.Letters(bytes.NewReader(nil))
	require.ErrorIs(t, err, ErrOrder)
	_, err = p.Envelope(first(t, task.Round, rosterOf(t, keyOf("authority"), 20), said.Send.Body, "judge"))
	require.NoError(t, err)
	fx, err := p.Envelope(secagg.Envelope{Round: task.Round, Step: 5, Body: []byte("sign x")})
	require.NoError(t, err)
	require.EqualValues(t, 5, fx.Send.Step)
	again, err := p.Envelope(secagg.Envelope{Round: task.Round, Step: 5, Body: []byte("sign x")})
	require.NoError(t, err)
	require.Equal(t, fx, again)
	fx, err = p.Envelope(secagg.Envelope{Round: task.Round, Step: 4, Body: []byte("cheat")})
	require.NoError(t, err)
	require.Equal(t, Effects{}, fx, "an older one is ignored")
	fx, err = p.Envelope(secagg.Envelope{Round: task.Round, Step: 6, Body: []byte("stale")})
	require.NoError(t, err)
	require.Equal(t, Effects{}, fx)
	_, err = p.Envelope(secagg.Envelope{Round: secagg.RoundID{Job: "job", Round: 9, Attempt: 1}, Step: 7, Over: true})
	require.Equal(t, fault.Conflict, fault.ClassOf(err), "the end of another attempt")
	fx, err = p.Envelope(secagg.Envelope{Round: task.Round, Step: 7, Over: true, Reason: "because"})
	require.NoError(t, err)
	require.True(t, fx.Over)
	require.Equal(t, "because", fx.Reason)
	require.True(t, party().erased)
	require.Equal(t, make([]byte, 64), []byte(p.policy.Keys.Sign), "its copy of the key")
	require.Zero(t, p.policy.Keys.Epochs[0])
}

func TestLettersAreForTheLatestInstruction(t *testing.T) {
	task := taskOf(t, "job")
	p, said := accepted(t, task, nil)
	_, err := p.Envelope(first(t, task.Round, rosterOf(t, keyOf("authority"), 20), said.Send.Body, "judge"))
	require.NoError(t, err)
	var two bytes.Buffer
	for i := range 2 {
		require.NoError(t, secagg.WriteLetter(&two, secagg.Letter{Member: i, Body: []byte("body")}))
	}
	_, err = p.Letters(iotest.TimeoutReader(bytes.NewReader(two.Bytes())))
	require.Error(t, err, "a stream that breaks off")
	fx, err := p.Letters(bytes.NewReader(two.Bytes()))
	require.NoError(t, err)
	require.Equal(t, "judged 0-2", string(fx.Send.Body))
	require.True(t, fx.Letters)
	require.Equal(t, 2, fx.From)
	_, err = p.Envelope(secagg.Envelope{Round: task.Round, Step: 2, Body: []byte("sign x")})
	require.NoError(t, err)
	_, err = p.Letters(bytes.NewReader(two.Bytes()))
	require.ErrorIs(t, err, ErrOrder)
}
