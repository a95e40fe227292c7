package grpctransport

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

const (
	// maxMessage is the largest gRPC message in either direction, in bytes.
	maxMessage = 1 << 20
	// maxPart is the most data in one message of a stream, in bytes.
	maxPart = 256 << 10
)

// hybrid lists the key exchanges that are offered: each combines an elliptic curve
// with ML-KEM. A coordinator that knows none of them is not talked to.
var hybrid = []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}

var (
	errExchange  = errors.New("key exchange is not post-quantum")
	errAuthority = errors.New("its authority is not that of the token")
)

func baseTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, CurvePreferences: hybrid}
}

func verifyExchange(cs tls.ConnectionState) error {
	if !slices.Contains(hybrid, cs.CurveID) {
		return errExchange
	}
	return nil
}

// partyTLS trusts one authority and shows the party's certificate.
func partyTLS(c Credentials) *tls.Config {
	t := baseTLS()
	t.RootCAs = x509.NewCertPool()
	t.RootCAs.AddCert(c.Authority)
	t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.tls(), nil }
	t.VerifyConnection = verifyExchange
	return t
}

// tokenTLS trusts the authority whose certificate has a fingerprint, and shows
// none. found is told what was found: gRPC hides it in a connection that failed.
func tokenTLS(fingerprint [32]byte, found func(error)) *tls.Config {
	t := baseTLS()
	// The authority is not known yet, only its fingerprint: VerifyConnection finds
	// it in the chain and verifies the rest as TLS would.
	t.InsecureSkipVerify = true
	t.VerifyConnection = func(cs tls.ConnectionState) error {
		if err := verifyExchange(cs); err != nil {
			return err
		}
		for _, authority := range cs.PeerCertificates[1:] {
			if sha256.Sum256(authority.Raw) == fingerprint {
				roots := x509.NewCertPool()
				roots.AddCert(authority)
				_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: cs.ServerName})
				found(err)
				return err
			}
		}
		found(errAuthority)
		return errAuthority
	}
	return t
}

// dial prepares a connection. It is made when the first call needs it, and made
// again whenever it is lost.
func dial(address string, t *tls.Config, shortest, longest time.Duration) (*grpc.ClientConn, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, ErrConfig.At("address %q", address).Because(err)
	}
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(credentials.NewTLS(t)),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 20 * time.Second,
			Backoff: backoff.Config{BaseDelay: shortest, Multiplier: 2, Jitter: 0.5, MaxDelay: longest}}),
		// Often enough for a NAT to remember the connection, while calls are under way.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
	)
}
