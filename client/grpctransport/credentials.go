package grpctransport

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of credentials.
var (
	ErrNotEnrolled = fault.New(fault.Unauthenticated, "grpctransport/not-enrolled", "there are no credentials", "enrol first (choir enroll)")
	ErrCredentials = fault.New(fault.Usage, "grpctransport/credentials", "credentials cannot be used", "enrol again into another file (choir enroll)")
)

const (
	pemKey         = "PRIVATE KEY" // PKCS #8
	pemCertificate = "CERTIFICATE" // the party's own, then the authority's
	pemIdentity    = "CHOIR IDENTITY"
	maxFile        = 1 << 20
)

// Credentials are what a party proves itself with, and whom it trusts. Read-only.
type Credentials struct {
	// Key is the party's own key. It speaks in TLS and, for a client, in rounds.
	Key ed25519.PrivateKey
	// Certificate is the party's, signed by Authority.
	Certificate *x509.Certificate
	// Authority is the enrolment authority, pinned.
	Authority *x509.Certificate
	// Identity is what a client shows to other clients; zero for an operator.
	Identity secagg.Identity
}

// AuthorityKey verifies the credentials of other clients.
func (c Credentials) AuthorityKey() ed25519.PublicKey {
	key, _ := c.Authority.PublicKey.(ed25519.PublicKey) // check refuses others
	return key
}

// Name is the name under which the party was enrolled.
func (c Credentials) Name() string { return c.Certificate.Subject.CommonName }

// RenewAt is when the certificate should be renewed: two thirds into its life.
func (c Credentials) RenewAt() time.Time {
	life := c.Certificate.NotAfter.Sub(c.Certificate.NotBefore)
	return c.Certificate.NotBefore.Add(life / 3 * 2)
}

// check refuses credentials whose parts do not belong together.
func (c Credentials) check() error {
	public, ok := c.Key.Public().(ed25519.PublicKey)
	switch {
	case !ok || !public.Equal(c.Certificate.PublicKey):
		return ErrCredentials.Because(errors.New("the certificate is over another key"))
	case c.AuthorityKey() == nil || !c.Authority.IsCA:
		return ErrCredentials.Because(errors.New("the authority's certificate is none"))
	case c.Certificate.CheckSignatureFrom(c.Authority) != nil:
		return ErrCredentials.Because(errors.New("the certificate was not signed by the authority"))
	case len(c.Certificate.URIs) != 1:
		return ErrCredentials.Because(errors.New("the certificate names no role"))
	case c.Certificate.URIs[0].Host != "client" && c.Identity == (secagg.Identity{}):
		return nil
	case string(c.Identity.ID) != c.Name() || !public.Equal(ed25519.PublicKey(c.Identity.Key[:])):
		return ErrCredentials.Because(errors.New("the identity is another party's"))
	}
	return c.Identity.Verify(c.AuthorityKey())
}

// tls returns the certificate as TLS wants it.
func (c Credentials) tls() *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{c.Certificate.Raw}, PrivateKey: c.Key, Leaf: c.Certificate}
}

// Load reads the credentials that Enrol has written.
func Load(file string) (Credentials, error) {
	key, c, err := readFile(file)
	switch {
	case err != nil:
		return Credentials{}, err
	case c == nil || key == nil:
		return Credentials{}, ErrNotEnrolled.At("%s", file)
	}
	if err := c.check(); err != nil {
		return Credentials{}, err
	}
	return *c, nil
}

// readFile reads a file of credentials: nothing if there is none, or a key alone
// while an enrolment is under way.
func readFile(file string) (ed25519.PrivateKey, *Credentials, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, ErrCredentials.Because(err)
	}
	defer func() { _ = f.Close() }() // only read from
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, nil, ErrCredentials.Because(err)
	}
	defer clear(b)
	key, c, err := decode(b)
	if err != nil {
		return nil, nil, ErrCredentials.At("%s", file).Because(err)
	}
	return key, c, nil
}

func decode(b []byte) (key ed25519.PrivateKey, c *Credentials, err error) {
	var certificates []*x509.Certificate
	var identity secagg.Identity
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		switch block.Type {
		case pemKey:
			parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			clear(block.Bytes)
			k, ok := parsed.(ed25519.PrivateKey)
			if err != nil || !ok || key != nil {
				return nil, nil, errors.New("not one Ed25519 key")
			}
			key = k
		case pemCertificate:
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, err
			}
			certificates = append(certificates, cert)
		case pemIdentity:
			if identity, err = secagg.DecodeIdentity(block.Bytes); err != nil {
				return nil, nil, err
			}
		}
	}
	switch {
	case key == nil:
		return nil, nil, errors.New("no key")
	case len(certificates) == 0:
		return key, nil, nil
	case len(certificates) != 2:
		return nil, nil, errors.New("not two certificates")
	}
	return key, &Credentials{Key: key, Certificate: certificates[0], Authority: certificates[1], Identity: identity}, nil
}

// encode renders credentials, or a key alone.
func encode(key ed25519.PrivateKey, c *Credentials) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	blocks := []*pem.Block{{Type: pemKey, Bytes: der}}
	if c != nil {
		blocks = append(blocks, &pem.Block{Type: pemCertificate, Bytes: c.Certificate.Raw}, &pem.Block{Type: pemCertificate, Bytes: c.Authority.Raw})
		if c.Identity != (secagg.Identity{}) {
			blocks = append(blocks, &pem.Block{Type: pemIdentity, Bytes: c.Identity.Encode()})
		}
	}
	var b bytes.Buffer
	for _, block := range blocks {
		if err := pem.Encode(&b, block); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// save writes credentials, or a key alone, so that the file is there whole and
// durable, or as it was before. Only its owner may read it.
func save(file string, key ed25519.PrivateKey, c *Credentials) error {
	b, err := encode(key, c)
	if err != nil {
		return err
	}
	defer clear(b)
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, ".choir-*") // mode 0600
	if err != nil {
		return ErrCredentials.Because(err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already, unless something failed
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return ErrCredentials.Because(err)
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return ErrCredentials.Because(err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return ErrCredentials.Because(err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// newRequest makes a certificate request: proof that the party has the key.
func newRequest(name string, key ed25519.PrivateKey) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
}
