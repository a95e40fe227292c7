package rpc_test

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/fault"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/secagg"
)

func TestEnrolmentGivesWhatTheTokenIsBoundTo(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	o := w.operator()
	made, err := o.CreateToken(t.Context(), &choirv1.CreateTokenRequest{Role: choirv1.Role_ROLE_CLIENT, Name: "ward-7"})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "choir.pem")
	c, err := grpctransport.Enrol(t.Context(), grpctransport.Enrolment{Address: w.address, Token: made.GetToken(), File: file})
	require.NoError(t, err)
	require.Equal(t, "ward-7", c.Name())
	require.NoError(t, c.Identity.Verify(w.registry.Authority().PublicKey()))
	require.Equal(t, "choir://client/ward-7", c.Certificate.URIs[0].String())
	require.Equal(t, []string{"ward-7"}, w.registry.Enrolled(auth.RoleClient, w.clock.now()))

	loaded, err := grpctransport.Load(file)
	require.NoError(t, err)
	require.Equal(t, c, loaded)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())

	_, err = grpctransport.Enrol(t.Context(), grpctransport.Enrolment{Address: w.address, Token: made.GetToken(), File: file})
	require.ErrorIs(t, err, grpctransport.ErrEnrolled)
}

// A device that lost the answer, or its power, enrols again with the same key and
// gets the same certificate. Anybody else does not.
func TestTokenWorksOnceForOneKey(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	token, _, err := w.registry.NewToken(auth.RoleClient, "", time.Hour, w.clock.now())
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "choir.pem")
	enrol := func(file string) (grpctransport.Credentials, error) {
		return grpctransport.Enrol(t.Context(), grpctransport.Enrolment{Address: w.address, Token: token, Name: "alice", File: file})
	}
	first, err := enrol(file)
	require.NoError(t, err)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	key, _ := pem.Decode(b)
	require.Equal(t, "PRIVATE KEY", key.Type)
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(key), 0o600)) // as before the answer
	again, err := enrol(file)
	require.NoError(t, err)
	require.Equal(t, first, again)

	_, err = enrol(filepath.Join(t.TempDir(), "thief.pem"))
	require.ErrorIs(t, err, auth.ErrTokenUsed)
	require.Equal(t, fault.Unauthenticated, fault.ClassOf(err))
}

func TestTokensThatAreRefused(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	other := newWorld(t, rpc.Limits{})
	make := func(w *world, name string, life time.Duration) string {
		token, _, err := w.registry.NewToken(auth.RoleClient, name, life, w.clock.now())
		require.NoError(t, err)
		return token
	}
	w.enrol(auth.RoleClient, "taken")
	expired := make(w, "", time.Minute)
	w.clock.advance(2 * time.Minute)
	good := make(w, "", time.Hour)
	for name, x := range map[string]struct {
		token, name string
		want        error
	}{
		"garbage":            {"choir1-garbage", "alice", grpctransport.ErrToken},
		"cut":                {good[:len(good)-1], "alice", grpctransport.ErrToken},
		"expired":            {expired, "alice", auth.ErrTokenExpired},
		"another secret":     {good[:60] + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" + good[92:], "alice", auth.ErrToken},
		"another authority":  {make(other, "", time.Hour), "alice", grpctransport.ErrImpostor},
		"bound to another":   {make(w, "bob", time.Hour), "alice", auth.ErrName},
		"no name at all":     {good, "", auth.ErrRequest},
		"name of another":    {good, "taken", auth.ErrTaken},
		"name without form":  {good, "Alice!", grpctransport.ErrConfig},
		"bound to the taken": {make(w, "taken", time.Hour), "", auth.ErrTaken},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := grpctransport.Enrol(t.Context(), grpctransport.Enrolment{Address: w.address, Token: x.token, Name: x.name,
				File: filepath.Join(t.TempDir(), "choir.pem")})
			require.ErrorIs(t, err, x.want)
		})
	}
	require.NotContains(t, w.logs.String(), good[50:70], "a log must not hold a secret")
}

// A certificate that expired is told so in words; one that is renewed goes on.
func TestCertificatesExpireAndAreRenewed(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	alice, bob := w.enrol(auth.RoleClient, "alice"), w.enrol(auth.RoleClient, "bob")
	file := filepath.Join(t.TempDir(), "bob.pem")
	a := w.transport(alice)
	b, err := grpctransport.New(grpctransport.Config{Address: w.address, Credentials: bob, File: file})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	for _, x := range []client.Transport{a, b} {
		_, err := x.CheckIn(t.Context(), "", client.Conditions{})
		require.NoError(t, err)
	}

	w.clock.advance(2 * time.Hour) // renewals within the hour repeat the same certificate
	require.NoError(t, b.Renew(t.Context()))
	renewed, err := grpctransport.Load(file)
	require.NoError(t, err)
	require.True(t, renewed.Certificate.NotAfter.After(bob.Certificate.NotAfter))
	require.Equal(t, bob.Identity, renewed.Identity)
	_, err = b.CheckIn(t.Context(), "", client.Conditions{}) // connects while both clocks agree about the server's certificate
	require.NoError(t, err)

	w.clock.advance(auth.ClientValidity - time.Hour) // alice's is over, bob's is not
	_, err = a.CheckIn(t.Context(), "", client.Conditions{})
	require.ErrorIs(t, err, auth.ErrExpired)
	require.Equal(t, fault.Unauthenticated, fault.ClassOf(err))
	_, err = b.CheckIn(t.Context(), "", client.Conditions{})
	require.NoError(t, err)
	require.Equal(t, []string{"bob"}, w.registry.Enrolled(auth.RoleClient, w.clock.now()))
}

// A revoked client's calls under way end at once, and no other begins.
func TestRevocationIsImmediate(t *testing.T) {
	const dimension = 10_000
	w := newWorld(t, rpc.Limits{})
	stub, id, c := w.joined(dimension)
	o := w.operator()
	_, err := stub.UploadBegin(t.Context(), &choirv1.UploadBeginRequest{Round: id, Step: 1, Size: uint64(uploadSize(t, dimension))})
	require.NoError(t, grpctransport.Fault(err))
	s, err := stub.Upload(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Send(&choirv1.UploadRequest{Header: &choirv1.UploadHeader{Round: id}}))
	require.NoError(t, s.Send(&choirv1.UploadRequest{Data: make([]byte, 1000)}))
	for deadline := time.Now().Add(20 * time.Second); w.spooled() < 1000 && time.Now().Before(deadline); {
	}
	require.NoError(t, o.Revoke(t.Context(), &choirv1.RevokeRequest{Role: choirv1.Role_ROLE_CLIENT, Name: c.Name(), Reason: "lost"}))
	require.ErrorIs(t, grpctransport.Fault(s.RecvMsg(&choirv1.UploadResponse{})), auth.ErrRevoked)

	tr := w.transport(c)
	_, err = tr.CheckIn(t.Context(), "job", client.Conditions{})
	require.ErrorIs(t, err, auth.ErrRevoked)
	require.Equal(t, fault.Denied, fault.ClassOf(err))
	_, err = stub.UploadBegin(t.Context(), &choirv1.UploadBeginRequest{Round: id, Step: 1, Size: uint64(uploadSize(t, dimension))})
	require.ErrorIs(t, grpctransport.Fault(err), auth.ErrRevoked, "on the old connection too")
	runs, err := o.Runs(t.Context())
	require.NoError(t, err)
	require.Zero(t, runs[0].GetAdmitted(), "the attempt does not wait for it")

	require.ErrorIs(t, o.Revoke(t.Context(), &choirv1.RevokeRequest{Role: choirv1.Role_ROLE_CLIENT, Name: "nobody"}), auth.ErrUnknown)

	// A token bound to the name lets a new device take it.
	w.enrol(auth.RoleClient, c.Name())
	_, err = tr.CheckIn(t.Context(), "job", client.Conditions{})
	require.ErrorIs(t, err, auth.ErrRevoked, "the old certificate stays refused")
}

// A certificate of another authority is worth nothing, though TLS has seen its key.
func TestCertificateOfAnotherAuthorityIsRefused(t *testing.T) {
	w, other := newWorld(t, rpc.Limits{}), newWorld(t, rpc.Limits{})
	c := other.enrol(auth.RoleClient, "alice")
	w.enrol(auth.RoleClient, "alice")
	stub := w.stub(&c)
	err := grpctransport.Fault(exchange(t.Context(), stub, "/choir.v1.Round/CheckIn", nil))
	require.ErrorIs(t, err, auth.ErrCertificate)

	// The same authority, but a registry that never heard of it.
	a, err := auth.GenerateAuthority(time.Now(), rand.Reader)
	require.NoError(t, err)
	require.NotEqual(t, a.Fingerprint(), w.registry.Authority().Fingerprint())
}

// The transport of a client that was turned away does not try for ever.
func TestRefusalsAreNotRetried(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	c := w.enrol(auth.RoleClient, "alice")
	tr := w.transport(c)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := tr.CheckIn(ctx, "nothing", client.Conditions{})
	require.ErrorIs(t, err, rpc.ErrNoRun)
	err = tr.Send(ctx, client.Message{Round: secagg.RoundID{Job: "nothing", Round: 1, Attempt: 1}, Step: 1, Body: []byte{1}})
	require.Equal(t, fault.Aborted, fault.ClassOf(err))
	_, err = tr.Receive(ctx, secagg.RoundID{Job: "Bad Name", Round: 1, Attempt: 1}, 0)
	require.ErrorIs(t, err, rpc.ErrMessage)
	require.NoError(t, ctx.Err())
}
