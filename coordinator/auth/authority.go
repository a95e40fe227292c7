package auth

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"time"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of an authority.
var (
	ErrAuthority = fault.New(fault.Usage, "auth/authority", "this is not an enrolment authority", "give a CA certificate and its own Ed25519 key in PEM")
	ErrHost      = fault.New(fault.Usage, "auth/host", "not a host name or address", "name the hosts under which clients reach the coordinator")
)

const (
	// authorityValidity is how long a generated authority lasts. It is pinned by
	// every device, so it outlives them; its key is changed by enrolling anew.
	authorityValidity = 30 * 365 * 24 * time.Hour
	// skew is how much earlier than now a certificate begins, for devices whose
	// clocks are slow.
	skew = time.Hour
)

// Authority signs certificates and credentials. Immutable; safe for concurrent use.
type Authority struct {
	cert  *x509.Certificate
	key   ed25519.PrivateKey
	roots *x509.CertPool
}

// NewAuthority makes an authority of a given CA certificate and its key, which
// must be of Ed25519: credentials in rosters are Ed25519 signatures.
func NewAuthority(cert *x509.Certificate, key ed25519.PrivateKey) (*Authority, error) {
	switch public, ok := cert.PublicKey.(ed25519.PublicKey); {
	case !ok || len(key) != ed25519.PrivateKeySize:
		return nil, ErrAuthority.Because(errors.New("its key is not of Ed25519"))
	case !public.Equal(key.Public()):
		return nil, ErrAuthority.Because(errors.New("the key is not that of the certificate"))
	case !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, ErrAuthority.Because(errors.New("the certificate may not sign others"))
	}
	a := &Authority{cert: cert, key: key, roots: x509.NewCertPool()}
	a.roots.AddCert(cert)
	return a, nil
}

// GenerateAuthority makes an authority with a new key. coins must be
// cryptographically secure.
func GenerateAuthority(now time.Time, coins io.Reader) (*Authority, error) {
	key, serial, err := draw(coins)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial[:]),
		Subject:               pkix.Name{CommonName: "Choir enrolment authority"},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(authorityValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return NewAuthority(cert, key)
}

// draw reads a key and a serial number from coins.
func draw(coins io.Reader) (ed25519.PrivateKey, Serial, error) {
	var seed [ed25519.SeedSize]byte
	if _, err := io.ReadFull(coins, seed[:]); err != nil {
		return nil, Serial{}, fmt.Errorf("reading coins: %w", err)
	}
	serial, err := drawSerial(coins)
	key := ed25519.NewKeyFromSeed(seed[:])
	clear(seed[:])
	return key, serial, err
}

// Serial is a certificate's serial number: 126 random bits below a fixed one, so
// that it is never zero and always 16 bytes long.
type Serial [16]byte

func drawSerial(coins io.Reader) (s Serial, err error) {
	if _, err := io.ReadFull(coins, s[:]); err != nil {
		return s, fmt.Errorf("reading coins: %w", err)
	}
	s[0] = s[0]&0x3f | 0x40
	return s, nil
}

// Certificate returns the authority's own certificate, which clients pin.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// PublicKey verifies credentials: coordinator.Config.Authority.
func (a *Authority) PublicKey() ed25519.PublicKey { return a.key.Public().(ed25519.PublicKey) }

// Fingerprint is the SHA-256 of the authority's certificate, which tokens carry.
func (a *Authority) Fingerprint() [32]byte { return sha256.Sum256(a.cert.Raw) }

// Enrol signs a client's credential.
func (a *Authority) Enrol(id secagg.PartyID, key ed25519.PublicKey) secagg.Identity {
	return secagg.Enrol(a.key, id, key)
}

// validity is the life of one certificate.
type validity struct{ from, to time.Time }

// ServerCertificate signs the certificate of a coordinator that is reached under
// the given host names and addresses, and returns it in DER.
func (a *Authority) ServerCertificate(hosts []string, key ed25519.PublicKey, now time.Time, life time.Duration, coins io.Reader) ([]byte, error) {
	serial, err := drawSerial(coins)
	if err != nil {
		return nil, err
	}
	t := a.template("coordinator", serial, validity{now.Add(-skew), now.Add(life)}, x509.ExtKeyUsageServerAuth)
	for _, h := range hosts {
		switch ip := net.ParseIP(h); {
		case ip != nil:
			t.IPAddresses = append(t.IPAddresses, ip)
		case validHost(h):
			t.DNSNames = append(t.DNSNames, h)
		default:
			return nil, ErrHost.At("%.80q", h)
		}
	}
	if len(hosts) == 0 {
		return nil, ErrHost.At("no host")
	}
	return a.sign(t, key)
}

// validHost accepts letters, digits, hyphens and dots in the form of a DNS name.
func validHost(h string) bool {
	if len(h) == 0 || len(h) > 253 || h[0] == '.' || h[0] == '-' {
		return false
	}
	for _, c := range []byte(h) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}

// partyCertificate signs the certificate of a party that is enrolled. The same
// arguments give the same bytes.
func (a *Authority) partyCertificate(c Caller, key ed25519.PublicKey, serial Serial, life validity) ([]byte, error) {
	t := a.template(c.Name, serial, life, x509.ExtKeyUsageClientAuth)
	t.URIs = []*url.URL{{Scheme: uriScheme, Host: c.Role.String(), Path: "/" + c.Name}}
	return a.sign(t, key)
}

func (a *Authority) template(name string, serial Serial, life validity, usage x509.ExtKeyUsage) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial[:]),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             life.from.UTC(),
		NotAfter:              life.to.UTC(),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{usage},
		BasicConstraintsValid: true,
	}
}

func (a *Authority) sign(t *x509.Certificate, key ed25519.PublicKey) ([]byte, error) {
	return x509.CreateCertificate(rand.Reader, t, a.cert, key, a.key)
}

// uriScheme begins the name of a party in its certificate: choir://client/NAME.
const uriScheme = "choir"
