package auth_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/secagg"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// office is a registry whose journal a test can reopen or break.
type office struct {
	t         *testing.T
	authority *auth.Authority
	journal   *breakable
	*auth.Registry
}

// breakable is a journal whose next append fails, before or after it happened.
type breakable struct {
	store.Journal
	before, after error
}

func (b *breakable) Append(segment string, records ...[]byte) error {
	if err := b.before; err != nil {
		b.before = nil
		return err
	}
	err := b.Journal.Append(segment, records...)
	if b.after != nil {
		err, b.after = b.after, nil
	}
	return err
}

func newOffice(t *testing.T) *office {
	t.Helper()
	a, err := auth.GenerateAuthority(start, rand.Reader)
	require.NoError(t, err)
	disk, err := mem.New(0).Open()
	require.NoError(t, err)
	o := &office{t: t, authority: a, journal: &breakable{Journal: disk.Journal}}
	o.reopen()
	return o
}

func (o *office) reopen() {
	o.t.Helper()
	var err error
	o.Registry, err = auth.OpenRegistry(o.authority, o.journal, rand.Reader)
	require.NoError(o.t, err)
}

// secret makes a token and returns its secret.
func (o *office) secret(role auth.Role, name string) []byte {
	o.t.Helper()
	token, _, err := o.NewToken(role, name, time.Hour, start)
	require.NoError(o.t, err)
	return secretOf(o.t, token)
}

func secretOf(t *testing.T, token string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "choir1-"))
	require.NoError(t, err)
	require.Len(t, b, 64)
	return b[32:]
}

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func requestBy(t *testing.T, name string, key any) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	require.NoError(t, err)
	return der
}

// enrol admits a party under its own key.
func (o *office) enrol(role auth.Role, name string) []*x509.Certificate {
	o.t.Helper()
	g, err := o.Enrol(o.secret(role, name), requestBy(o.t, name, keyOf(name)), start)
	require.NoError(o.t, err)
	return chain(o.t, g)
}

func chain(t *testing.T, g auth.Grant) []*x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(g.Certificate)
	require.NoError(t, err)
	return []*x509.Certificate{c}
}

func TestGrantIsWhatWasAskedFor(t *testing.T) {
	o := newOffice(t)
	g, err := o.Enrol(o.secret(auth.RoleClient, ""), requestBy(t, "alice", keyOf("alice")), start)
	require.NoError(t, err)
	require.NoError(t, g.Identity.Verify(o.authority.PublicKey()))
	require.Equal(t, secagg.PartyID("alice"), g.Identity.ID)
	cert := chain(t, g)[0]
	require.Equal(t, keyOf("alice").Public(), cert.PublicKey)
	require.Equal(t, start.Add(auth.ClientValidity), cert.NotAfter)
	require.False(t, cert.IsCA)
	require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, cert.ExtKeyUsage, "a client's certificate is no server's")
	who, err := o.Admit([]*x509.Certificate{cert}, start)
	require.NoError(t, err)
	require.Equal(t, auth.Caller{Role: auth.RoleClient, Name: "alice"}, who)

	g, err = o.Enrol(o.secret(auth.RoleOperator, "alice"), requestBy(t, "", keyOf("alice's other")), start)
	require.NoError(t, err)
	require.Zero(t, g.Identity, "an operator has no place in a roster")
	who, err = o.Admit(chain(t, g), start)
	require.NoError(t, err)
	require.Equal(t, auth.Caller{Role: auth.RoleOperator, Name: "alice"}, who, "names are apart for each role")
}

// Everything that was answered is true after a restart: tokens that were used stay
// used, revocations stay, renewals stay.
func TestRegistryRemembers(t *testing.T) {
	o := newOffice(t)
	secret := o.secret(auth.RoleClient, "")
	request := requestBy(t, "alice", keyOf("alice"))
	granted, err := o.Enrol(secret, request, start)
	require.NoError(t, err)
	bob := o.enrol(auth.RoleClient, "bob")
	require.NoError(t, o.Revoke(auth.Caller{Role: auth.RoleClient, Name: "bob"}, "lost", start))
	later := start.Add(24 * time.Hour)
	renewed, err := o.Renew(auth.Caller{Role: auth.RoleClient, Name: "alice"}, requestBy(t, "alice", keyOf("alice's next")), later)
	require.NoError(t, err)
	open := o.secret(auth.RoleClient, "carol")

	for range 2 {
		_, err = o.Enrol(secret, requestBy(t, "mallory", keyOf("mallory")), start)
		require.ErrorIs(t, err, auth.ErrTokenUsed)
		_, err = o.Admit(bob, start)
		require.ErrorIs(t, err, auth.ErrRevoked)
		for _, g := range []auth.Grant{granted, renewed} {
			who, err := o.Admit(chain(t, g), later)
			require.NoError(t, err, "the certificate before a renewal stays good")
			require.Equal(t, "alice", who.Name)
		}
		again, err := o.Renew(auth.Caller{Role: auth.RoleClient, Name: "alice"}, requestBy(t, "alice", keyOf("alice's next")), later.Add(time.Minute))
		require.NoError(t, err)
		require.Equal(t, renewed, again, "a renewal may be repeated")
		_, err = o.Renew(auth.Caller{Role: auth.RoleClient, Name: "alice"}, requestBy(t, "alice", keyOf("yet another")), later.Add(time.Minute))
		require.ErrorIs(t, err, auth.ErrRenewed)
		require.Equal(t, []string{"alice"}, o.Enrolled(auth.RoleClient, later))
		o.reopen()
	}
	_, err = o.Enrol(open, requestBy(t, "", keyOf("carol")), start)
	require.NoError(t, err, "a token that was not used is still good")
	again, err := o.Enrol(secret, request, start)
	require.NoError(t, err)
	require.Equal(t, granted, again, "an enrolment may be repeated")
}

// A certificate that a later one has superseded twice is refused.
func TestOldCertificatesAreRefused(t *testing.T) {
	o := newOffice(t)
	first := o.enrol(auth.RoleClient, "alice")
	alice := auth.Caller{Role: auth.RoleClient, Name: "alice"}
	at := start
	for range 2 {
		at = at.Add(48 * time.Hour)
		_, err := o.Renew(alice, requestBy(t, "", keyOf("alice")), at)
		require.NoError(t, err)
	}
	_, err := o.Admit(first, at)
	require.ErrorIs(t, err, auth.ErrRevoked)
}

// Two rows for each change: the journal failed, and failed but has it. What was not
// answered may be asked again with the same outcome.
func TestJournalFailures(t *testing.T) {
	broken := errors.New("disk")
	for name, set := range map[string]func(*breakable){
		"failed":               func(b *breakable) { b.before = broken },
		"failed but persisted": func(b *breakable) { b.after = broken },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			secret := o.secret(auth.RoleClient, "")
			request := requestBy(t, "alice", keyOf("alice"))
			set(o.journal)
			_, err := o.Enrol(secret, request, start)
			require.ErrorIs(t, err, broken)
			require.Empty(t, o.Enrolled(auth.RoleClient, start), "nothing is true that was not made durable")
			o.reopen()
			g, err := o.Enrol(secret, request, start)
			require.NoError(t, err)
			_, err = o.Admit(chain(t, g), start)
			require.NoError(t, err)
			_, err = o.Enrol(secret, requestBy(t, "thief", keyOf("thief")), start)
			require.ErrorIs(t, err, auth.ErrTokenUsed)

			alice := auth.Caller{Role: auth.RoleClient, Name: "alice"}
			set(o.journal)
			require.ErrorIs(t, o.Revoke(alice, "", start), broken)
			o.reopen()
			require.NoError(t, o.Revoke(alice, "", start))
			_, err = o.Admit(chain(t, g), start)
			require.ErrorIs(t, err, auth.ErrRevoked)
		})
	}
}

func TestNamesAndKeysAreTakenOnce(t *testing.T) {
	o := newOffice(t)
	o.enrol(auth.RoleClient, "alice")
	_, err := o.Enrol(o.secret(auth.RoleClient, ""), requestBy(t, "alice", keyOf("mallory")), start)
	require.ErrorIs(t, err, auth.ErrTaken)
	_, err = o.Enrol(o.secret(auth.RoleClient, "bob"), requestBy(t, "bob", keyOf("alice")), start)
	require.ErrorIs(t, err, auth.ErrTaken, "a roster refuses a key that is there twice")
	o.enrol(auth.RoleClient, "bob")
	_, err = o.Renew(auth.Caller{Role: auth.RoleClient, Name: "bob"}, requestBy(t, "", keyOf("alice")), start.Add(48*time.Hour))
	require.ErrorIs(t, err, auth.ErrTaken)
	_, err = o.Renew(auth.Caller{Role: auth.RoleClient, Name: "bob"}, requestBy(t, "alice", keyOf("bob")), start.Add(48*time.Hour))
	require.ErrorIs(t, err, auth.ErrName)

	require.NoError(t, o.Revoke(auth.Caller{Role: auth.RoleClient, Name: "alice"}, "", start))
	_, err = o.Enrol(o.secret(auth.RoleClient, ""), requestBy(t, "alice", keyOf("mallory")), start)
	require.ErrorIs(t, err, auth.ErrTaken, "an open token does not inherit a name")
	_, err = o.Enrol(o.secret(auth.RoleClient, "alice"), requestBy(t, "alice", keyOf("alice, new")), start)
	require.NoError(t, err)
	_, err = o.Enrol(o.secret(auth.RoleClient, "carol"), requestBy(t, "", keyOf("alice")), start)
	require.NoError(t, err, "a key of nobody is free")
}

func TestCertificatesThatAreNotAdmitted(t *testing.T) {
	o, other := newOffice(t), newOffice(t)
	alice := o.enrol(auth.RoleClient, "alice")
	who, err := o.Admit(nil, start)
	require.NoError(t, err)
	require.Equal(t, auth.Caller{}, who)
	_, err = o.Admit(alice, start.Add(auth.ClientValidity+time.Second))
	require.ErrorIs(t, err, auth.ErrExpired)
	_, err = o.Admit(alice, start.Add(-2*time.Hour))
	require.ErrorIs(t, err, auth.ErrExpired)
	_, err = o.Admit(other.enrol(auth.RoleClient, "alice"), start)
	require.ErrorIs(t, err, auth.ErrCertificate, "another authority's")
	server, err := o.authority.ServerCertificate([]string{"alice"}, keyOf("alice").Public().(ed25519.PublicKey), start, time.Hour, rand.Reader)
	require.NoError(t, err)
	_, err = o.Admit(chain(t, auth.Grant{Certificate: server}), start)
	require.ErrorIs(t, err, auth.ErrCertificate, "a server's")
	_, err = o.Admit([]*x509.Certificate{o.authority.Certificate()}, start)
	require.ErrorIs(t, err, auth.ErrCertificate, "the authority's own")

	// One that the authority did sign, but the registry has lost.
	disk, err := mem.New(0).Open()
	require.NoError(t, err)
	empty, err := auth.OpenRegistry(o.authority, disk.Journal, rand.Reader)
	require.NoError(t, err)
	_, err = empty.Admit(alice, start)
	require.ErrorIs(t, err, auth.ErrCertificate)
}

func TestAuthorityIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "authority")
	a, err := auth.OpenAuthority(dir, start, rand.Reader)
	require.NoError(t, err)
	file := filepath.Join(dir, "authority.pem")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	b, err := auth.OpenAuthority(dir, start.Add(time.Hour), rand.Reader)
	require.NoError(t, err)
	require.Equal(t, a.Fingerprint(), b.Fingerprint())
	require.Equal(t, a.PublicKey(), b.PublicKey())
	given, err := auth.LoadAuthority(file, file)
	require.NoError(t, err)
	require.Equal(t, a.Fingerprint(), given.Fingerprint())

	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	cut := filepath.Join(dir, "cut.pem")
	require.NoError(t, os.WriteFile(cut, whole[:len(whole)/2], 0o600))
	_, err = auth.LoadAuthority(cut, cut)
	require.ErrorIs(t, err, auth.ErrAuthority)
	_, err = auth.LoadAuthority(filepath.Join(dir, "none"), file)
	require.ErrorIs(t, err, auth.ErrAuthority)
	_, err = auth.NewAuthority(a.Certificate(), keyOf("another"))
	require.ErrorIs(t, err, auth.ErrAuthority)
	leaf := newOffice(t).enrol(auth.RoleClient, "alice")[0]
	_, err = auth.NewAuthority(leaf, keyOf("alice"))
	require.ErrorIs(t, err, auth.ErrAuthority, "a client is no authority")
}

func TestRolesAreDeniedByDefault(t *testing.T) {
	for _, r := range []auth.Role{auth.RoleAnonymous, auth.RoleClient, auth.RoleOperator, 9} {
		require.ErrorIs(t, auth.Allow("/choir.v1.Operator/New", r), auth.ErrDenied)
		require.ErrorIs(t, auth.Allow("", r), auth.ErrDenied)
	}
	require.NoError(t, auth.Allow("/choir.v1.Round/Send", auth.RoleClient))
	require.ErrorIs(t, auth.Allow("/choir.v1.Round/Send", auth.RoleOperator), auth.ErrDenied)
}

// Whatever bytes ask for enrolment, they get a refusal, or a grant over the key
// that signed them.
func FuzzEnrol(f *testing.F) {
	a, err := auth.GenerateAuthority(start, rand.Reader)
	require.NoError(f, err)
	key := keyOf("alice")
	good, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "alice"}}, key)
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0))
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, der []byte) {
		disk, err := mem.New(0).Open()
		require.NoError(t, err)
		r, err := auth.OpenRegistry(a, disk.Journal, rand.Reader)
		require.NoError(t, err)
		token, _, err := r.NewToken(auth.RoleClient, "", time.Hour, start)
		require.NoError(t, err)
		g, err := r.Enrol(secretOf(t, token), der, start)
		if err != nil {
			require.ErrorIs(t, err, auth.ErrRequest)
			require.Empty(t, r.Enrolled(auth.RoleClient, start))
			return
		}
		csr, err := x509.ParseCertificateRequest(der)
		require.NoError(t, err)
		cert, err := x509.ParseCertificate(g.Certificate)
		require.NoError(t, err)
		require.Equal(t, csr.PublicKey, cert.PublicKey)
		require.Equal(t, csr.Subject.CommonName, string(g.Identity.ID))
	})
}
