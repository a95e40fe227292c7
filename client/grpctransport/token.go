package grpctransport

import (
	"encoding/base64"
	"strings"

	"github.com/choir-fl/choir/fault"
)

// ErrToken is a token that cannot be one.
var ErrToken = fault.New(fault.Usage, "grpctransport/token", "this is not an enrolment token", "copy the whole token, from choir1- to its end")

const (
	tokenPrefix     = "choir1-"
	fingerprintSize = 32
	secretSize      = 32
)

// Token is a parsed enrolment token.
type Token struct {
	// Fingerprint is the SHA-256 of the certificate of the coordinator's authority.
	Fingerprint [fingerprintSize]byte
	// Secret is accepted once.
	Secret [secretSize]byte
}

// ParseToken reads what an operator handed out. There is one way to write a token;
// no other is accepted.
func ParseToken(s string) (Token, error) {
	body, ok := strings.CutPrefix(s, tokenPrefix)
	if !ok || len(body) != base64.RawURLEncoding.EncodedLen(fingerprintSize+secretSize) {
		return Token{}, ErrToken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(body)
	// The decoder skips line ends wherever they are.
	if err != nil || len(b) != fingerprintSize+secretSize {
		return Token{}, ErrToken
	}
	return Token{Fingerprint: [fingerprintSize]byte(b), Secret: [secretSize]byte(b[fingerprintSize:])}, nil
}

// String hides the secret.
func (t Token) String() string { return tokenPrefix + "(secret)" }
