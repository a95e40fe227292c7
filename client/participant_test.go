package client_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// accepted is a participant of the script's task, without a driver.
func accepted(t testing.TB, s *script) *client.Participant {
	p, err := client.Accept(policyOf("c0"), *s.offers[0].Task, bytes.NewReader(make([]byte, 32)))
	require.NoError(t, err)
	return p
}

func policyOf(name string) client.Policy {
	return client.Policy{Identity: identityOf(name), Key: keyOf(name), Authority: authority.Public().(ed25519.PublicKey),
		Consent: client.Limits{Minimum: 1, TrustCoordinator: true}, Schemes: []secagg.ClientScheme{phased{}}}
}

// sealed brings a participant through its ciphertext and returns the effects of sealing.
func sealed(t testing.TB, s *script, p *client.Participant) client.Effects {
	for step := 1; step <= 3; step++ {
		_, err := p.Envelope(s.envelope(s.id(), step))
		require.NoError(t, err)
	}
	m, err := p.Model(bytes.NewReader(s.model))
	require.NoError(t, err)
	fx, err := p.Trained(m, client.Update{Model: tensor.Zero(m.Schema()), Examples: 1})
	require.NoError(t, err)
	require.True(t, fx.Seal)
	fx, err = p.Seal(&bytes.Buffer{})
	require.NoError(t, err)
	return fx
}

func TestARepeatedEnvelopeGetsTheSameEffectsAgain(t *testing.T) {
	s := newScript(t, whole...)
	p := accepted(t, s)
	for step := 1; step <= 2; step++ {
		once, err := p.Envelope(s.envelope(s.id(), step))
		require.NoError(t, err)
		require.Equal(t, step == 1, once.Train)
		again, err := p.Envelope(s.envelope(s.id(), step))
		require.NoError(t, err)
		once.Train = false
		require.Equal(t, once, again, "but training is asked for once")
	}
	p = accepted(t, s)
	fx := sealed(t, s, p)
	again, err := p.Envelope(s.envelope(s.id(), 3))
	require.NoError(t, err)
	require.Equal(t, fx, again, "the upload too")
	older, err := p.Envelope(s.envelope(s.id(), 2))
	require.NoError(t, err)
	require.Equal(t, client.Effects{}, older)
}

func TestTrainingIsAskedForEvenIfTheFirstInstructionIsOutOfOrder(t *testing.T) {
	s := newScript(t, "agree too early", "advertise")
	p := accepted(t, s)
	fx, err := p.Envelope(s.envelope(s.id(), 1))
	require.NoError(t, err)
	require.Equal(t, client.Effects{}, fx)
	fx, err = p.Envelope(s.envelope(s.id(), 2))
	require.NoError(t, err)
	require.True(t, fx.Train)
}

func TestResumeRepeatsTheUploadAndRefusesTombstones(t *testing.T) {
	s := newScript(t, whole...)
	p := accepted(t, s)
	fx := sealed(t, s, p)
	_, again, err := client.Resume(policyOf("c0"), fx.Record)
	require.NoError(t, err)
	require.Equal(t, client.Effects{Send: fx.Send, Upload: true}, again)

	_, _, err = client.Resume(policyOf("c0"), p.Tombstone())
	require.ErrorIs(t, err, secagg.ErrTombstone)
	_, _, err = client.Resume(policyOf("elsewhere"), fx.Record)
	require.ErrorIs(t, err, client.ErrRoster, "the record is another client's")
	renewed := policyOf("c0")
	renewed.Key = keyOf("new")
	renewed.Identity = secagg.Enrol(authority, "c0", renewed.Key.Public().(ed25519.PublicKey))
	_, _, err = client.Resume(renewed, fx.Record)
	require.ErrorIs(t, err, client.ErrRoster, "the record is of an older enrolment")
	for _, record := range [][]byte{nil, {}, []byte("garbage"), fx.Record[:len(fx.Record)/2], append(bytes.Clone(fx.Record), 0)} {
		_, _, err := client.Resume(policyOf("c0"), record)
		require.Error(t, err)
	}
}

func TestARosterThatIsNotAcceptableIsRefused(t *testing.T) {
	stranger := secagg.Enrol(keyOf("another authority"), "c2", keyOf("c2").Public().(ed25519.PublicKey))
	for name, members := range map[string][]secagg.Identity{
		"without this client":      {identityOf("c1"), identityOf("c2")},
		"with a stranger":          {identityOf("c0"), identityOf("c1"), stranger},
		"below the minimum":        {identityOf("c0")},
		"more than a sum may hold": {identityOf("c0"), identityOf("c1"), identityOf("c2"), identityOf("c3")},
		"another under this name":  {secagg.Enrol(authority, "c0", keyOf("c1").Public().(ed25519.PublicKey)), identityOf("c2")},
	} {
		s := newScript(t, whole...)
		var err error
		s.roster, err = secagg.NewRoster(members)
		require.NoError(t, err)
		_, err = accepted(t, s).Envelope(s.envelope(s.id(), 1))
		require.ErrorIs(t, err, client.ErrRoster, name)
	}
}

func FuzzResumeAnswersWithAnErrorOrAParticipant(f *testing.F) {
	s := newScript(f, whole...)
	p := accepted(f, s)
	fx := sealed(f, s, p)
	f.Add(fx.Record)
	f.Add(p.Tombstone())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, record []byte) {
		p, fx, err := client.Resume(policyOf("c0"), record)
		if err != nil {
			return
		}
		require.False(t, fx.Upload && fx.Send == nil)
		_, again, err := client.Resume(policyOf("c0"), record)
		require.NoError(t, err)
		require.Equal(t, fx, again)
		p.Erase()
	})
}
