package grpctransport

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
)

// credentialsOf makes credentials as an authority would.
func credentialsOf(t testing.TB, name, role string) Credentials {
	t.Helper()
	public, authority, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, root, root, public, authority)
	require.NoError(t, err)
	root, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	own, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now(), NotAfter: time.Now().Add(3 * time.Hour),
		URIs: []*url.URL{{Scheme: "choir", Host: role, Path: "/" + name}}}
	der, err = x509.CreateCertificate(rand.Reader, leaf, root, own, authority)
	require.NoError(t, err)
	leaf, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	c := Credentials{Key: key, Certificate: leaf, Authority: root}
	if role == "client" {
		c.Identity = secagg.Enrol(authority, secagg.PartyID(name), own)
	}
	return c
}

func TestCredentialsAreReadAsTheyWereWritten(t *testing.T) {
	for _, role := range []string{"client", "operator"} {
		file := filepath.Join(t.TempDir(), "choir.pem")
		c := credentialsOf(t, "alice", role)
		require.NoError(t, save(file, c.Key, &c))
		got, err := Load(file)
		require.NoError(t, err)
		require.Equal(t, c, got)
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.EqualValues(t, 0o600, info.Mode().Perm())
		entries, err := os.ReadDir(filepath.Dir(file))
		require.NoError(t, err)
		require.Len(t, entries, 1, "nothing temporary is left")
		require.WithinDuration(t, c.Certificate.NotBefore.Add(2*time.Hour), c.RenewAt(), time.Second)
	}
}

// Parts of different parties are not mistaken for one.
func TestCredentialsMustBelongTogether(t *testing.T) {
	a, b := credentialsOf(t, "alice", "client"), credentialsOf(t, "bob", "client")
	for name, change := range map[string]func(*Credentials){
		"key":         func(c *Credentials) { c.Key = b.Key },
		"certificate": func(c *Credentials) { c.Certificate = b.Certificate },
		"authority":   func(c *Credentials) { c.Authority = b.Authority },
		"identity":    func(c *Credentials) { c.Identity = b.Identity },
		"no identity": func(c *Credentials) { c.Identity = secagg.Identity{} },
		"credential":  func(c *Credentials) { c.Identity.Credential[0] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := a
			change(&c)
			require.Error(t, c.check())
			file := filepath.Join(t.TempDir(), "choir.pem")
			require.NoError(t, save(file, c.Key, &c))
			_, err := Load(file)
			require.Error(t, err)
		})
	}
	require.NoError(t, a.check())
	_, err := New(Config{Address: "localhost:1"})
	require.ErrorIs(t, err, ErrNotEnrolled)
	_, err = New(Config{Address: "localhost", Credentials: a})
	require.ErrorIs(t, err, ErrConfig)
}

func TestFilesWithoutCredentials(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, ErrNotEnrolled)
	half := filepath.Join(dir, "half")
	require.NoError(t, save(half, credentialsOf(t, "alice", "client").Key, nil))
	_, err = Load(half)
	require.ErrorIs(t, err, ErrNotEnrolled, "an enrolment that was not finished")
	other := filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(other, []byte("something else"), 0o600))
	_, err = Load(other)
	require.ErrorIs(t, err, ErrCredentials)
	_, err = Enrol(t.Context(), Enrolment{Address: "localhost:1", Token: tokenPrefix + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), File: other})
	require.ErrorIs(t, err, ErrCredentials, "a file of somebody else is not overwritten")
	b, err := os.ReadFile(other)
	require.NoError(t, err)
	require.Equal(t, "something else", string(b))
}

func TestPausesGrowWithinTheirBounds(t *testing.T) {
	r := newRetrier(time.Second, 30*time.Second, nil)
	for failures := range 100 {
		full := min(time.Second<<min(failures, 20), 30*time.Second)
		for range 20 {
			d := r.pause(failures)
			require.GreaterOrEqual(t, d, full/2)
			require.LessOrEqual(t, d, full)
		}
	}
}

// A token has one form: what parses is written again as it was.
func FuzzParseToken(f *testing.F) {
	good := tokenPrefix + base64.RawURLEncoding.EncodeToString(append(make([]byte, 63), 0xff))
	f.Add(good)
	f.Add(good[:len(good)-1] + "_") // other bits after the last byte
	f.Add(good[:50] + "\n" + good[51:])
	f.Add("choir1-")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		token, err := ParseToken(s)
		if err != nil {
			require.ErrorIs(t, err, ErrToken)
			return
		}
		require.Equal(t, s, tokenPrefix+base64.RawURLEncoding.EncodeToString(append(token.Fingerprint[:], token.Secret[:]...)))
		require.NotContains(t, token.String(), s[len(tokenPrefix):])
	})
}

// Whatever a file of credentials holds, reading it ends in credentials that can be
// written, or in an error.
func FuzzCredentials(f *testing.F) {
	for _, role := range []string{"client", "operator"} {
		c := credentialsOf(f, "alice", role)
		b, err := encode(c.Key, &c)
		require.NoError(f, err)
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		key, c, err := decode(b)
		if err != nil || c == nil || c.check() != nil {
			return
		}
		canonical, err := encode(key, c)
		require.NoError(t, err)
		_, again, err := decode(canonical)
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}
