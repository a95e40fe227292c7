package auth

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of an enrolment. They do not say more than the holder of a token must know.
var (
	ErrToken        = fault.New(fault.Unauthenticated, "auth/token", "token is not known here", "ask the operator for a new one (choir token)")
	ErrTokenUsed    = fault.New(fault.Unauthenticated, "auth/token-used", "token was used before with another key", "ask the operator for a new one (choir token); if nobody used it on your behalf, say so")
	ErrTokenExpired = fault.New(fault.Unauthenticated, "auth/token-expired", "token has expired", "ask the operator for a new one (choir token)")
	ErrRequest      = fault.New(fault.Invalid, "auth/request", "certificate request is refused", "send a PKCS #10 request signed by an Ed25519 key, with the party's name as common name")
	ErrName         = fault.New(fault.Denied, "auth/name", "token is bound to another name", "enrol under the token's name")
	ErrTaken        = fault.New(fault.Conflict, "auth/taken", "a party of this name or key is enrolled", "choose another name, or have the old party revoked and ask for a token bound to its name")
)

// tokenPrefix begins every token; the digit is its version.
const tokenPrefix = "choir1-"

// secretSize is the length of a token's secret in bytes.
const secretSize = 32

// formatToken renders a token: what proves the authority to the device, and the
// device to the authority. client/grpctransport parses it.
func formatToken(fingerprint [32]byte, secret [secretSize]byte) string {
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(fingerprint[:], secret[:]...))
}

func hashSecret(secret []byte) [32]byte { return sha256.Sum256(secret) }

// maxRequest is the largest certificate request in bytes.
const maxRequest = 2048

// request is a verified certificate request.
type request struct {
	name string // empty, or of the form of a PartyID
	key  ed25519.PublicKey
}

// parseRequest checks a PKCS #10 request: its signature proves possession of the key.
func parseRequest(der []byte) (request, error) {
	if len(der) > maxRequest {
		return request{}, ErrRequest.Because(errors.New("too long"))
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return request{}, ErrRequest.Because(errors.New("cannot be parsed"))
	}
	key, ok := csr.PublicKey.(ed25519.PublicKey)
	if !ok {
		return request{}, ErrRequest.Because(errors.New("its key is not of Ed25519"))
	}
	if csr.CheckSignature() != nil {
		return request{}, ErrRequest.Because(errors.New("its signature does not verify"))
	}
	name := csr.Subject.CommonName
	if name != "" && !secagg.PartyID(name).Valid() {
		return request{}, ErrRequest.Because(errors.New("its name is not 1 to 64 characters a-z, 0-9, '.', '_', '-'"))
	}
	return request{name: name, key: key}, nil
}
