package rpc

import (
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/fault"
)

// hybrid lists the key exchanges that are accepted: each combines an elliptic
// curve with ML-KEM, so that what is recorded today stays secret from a quantum
// computer of tomorrow. A peer that knows none of them is refused.
var hybrid = []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}

// errExchange is a connection whose key exchange is not one of them. TLS should
// not have made it.
var errExchange = fault.New(fault.Invalid, "rpc/key-exchange", "key exchange is not post-quantum", "update the TLS library of the peer")

// certificateLife is how long a certificate of the server lasts. It is renewed
// when half of that is over.
const certificateLife = 30 * 24 * time.Hour

// serverKey holds the server's TLS key, which lives as long as the process, and
// its present certificate.
type serverKey struct {
	authority *auth.Authority
	hosts     []string
	now       func() time.Time
	coins     io.Reader
	key       ed25519.PrivateKey

	mu      sync.Mutex // owns the fields below
	present *tls.Certificate
	renewal time.Time
}

func newServerKey(a *auth.Authority, hosts []string, now func() time.Time, coins io.Reader) (*serverKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(coins, seed); err != nil {
		return nil, fmt.Errorf("reading coins: %w", err)
	}
	k := &serverKey{authority: a, hosts: hosts, now: now, coins: coins, key: ed25519.NewKeyFromSeed(seed)}
	clear(seed)
	_, err := k.certificate(nil)
	return k, err
}

// certificate implements tls.Config.GetCertificate. The chain ends in the
// authority's certificate: a device that enrols compares it with its token.
func (k *serverKey) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if k.present != nil && now.Before(k.renewal) {
		return k.present, nil
	}
	der, err := k.authority.ServerCertificate(k.hosts, k.key.Public().(ed25519.PublicKey), now, certificateLife, k.coins)
	if err != nil {
		return nil, err
	}
	k.present = &tls.Certificate{Certificate: [][]byte{der, k.authority.Certificate().Raw}, PrivateKey: k.key}
	k.renewal = now.Add(certificateLife / 2)
	return k.present, nil
}

// config is the server's TLS: nothing below 1.3, hybrid key exchange only.
//
// A client's certificate is asked for, and TLS makes the client prove that it has
// the key. The chain is verified for each call (auth.Registry.Admit) and not in the
// handshake: a refusal there reaches the client as a broken connection, which it
// would retry for ever, and a device that enrols has no certificate yet.
func (k *serverKey) config() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		CurvePreferences:       hybrid,
		GetCertificate:         k.certificate,
		ClientAuth:             tls.RequestClientCert,
		SessionTicketsDisabled: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			if !slices.Contains(hybrid, cs.CurveID) {
				return errExchange
			}
			return nil
		},
	}
}
