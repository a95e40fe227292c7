package auth

import (
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of a caller and of a registry.
var (
	ErrCertificate = fault.New(fault.Unauthenticated, "auth/certificate", "certificate was not issued here", "enrol the device again (choir enroll)")
	ErrExpired     = fault.New(fault.Unauthenticated, "auth/expired", "certificate has expired", "enrol again with a new token (choir enroll); renew before it expires")
	ErrRevoked     = fault.New(fault.Denied, "auth/revoked", "this party or certificate was revoked", "ask the operator")
	ErrUnknown     = fault.New(fault.NotFound, "auth/unknown", "no such party is enrolled", "look at the name and the role")
	ErrRenewed     = fault.New(fault.Exhausted, "auth/renewed", "certificate was renewed within the last hour with another key", "use that one, or come back later")
	ErrTokens      = fault.New(fault.Exhausted, "auth/tokens", "too many tokens are waiting to be used", "let some expire")
	ErrTokenTerms  = fault.New(fault.Invalid, "auth/token-terms", "no token can be made on these terms", "name a role, at most 90 days, and a name of 1 to 64 characters a-z, 0-9, '.', '_', '-' or none")
)

const (
	segment = "enrolment"
	// renewPause is how soon a certificate may be renewed again with another key.
	renewPause = time.Hour
	// maxTokens is how many tokens may be waiting.
	maxTokens = 100_000
	// maxTokenLife is how long a token may last.
	maxTokenLife = 90 * 24 * time.Hour
	// maxReason is the longest reason of a revocation, in bytes.
	maxReason = 500
)

// Validity of the certificates that a registry issues.
const (
	ClientValidity   = 90 * 24 * time.Hour // and a decryptor's
	OperatorValidity = 30 * 24 * time.Hour
)

// Registry knows the parties that an authority has admitted. What it has promised
// is durable in its journal before it is answered. Safe for concurrent use.
type Registry struct {
	authority *Authority
	journal   store.Journal
	coins     io.Reader

	mu      sync.Mutex // owns the fields below
	parties map[Caller]*party
	keys    map[[32]byte]Caller // of parties that are not revoked
	tokens  map[[32]byte]*token
}

type party struct {
	revoked bool
	// issued holds the latest certificate and, while it may still be in use, the
	// one before it: a device may lose power before it has stored the new one.
	issued []certificate
}

type certificate struct {
	serial Serial
	key    [32]byte
	life   validity
}

type token struct {
	caller  Caller // what the holder becomes; the name may be empty
	expires time.Time
	used    *record // kindEnrol
}

// OpenRegistry reads the journal. coins must be cryptographically secure; they
// make token secrets and serial numbers.
func OpenRegistry(a *Authority, journal store.Journal, coins io.Reader) (*Registry, error) {
	r := &Registry{authority: a, journal: journal, coins: coins,
		parties: map[Caller]*party{}, keys: map[[32]byte]Caller{}, tokens: map[[32]byte]*token{}}
	err := journal.Read(segment, func(b []byte) error {
		rec, err := decodeRecord(b)
		if err == nil {
			r.apply(rec)
		}
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("registry of enrolments: %w", err)
	}
	return r, nil
}

// commit makes an event durable and then true.
func (r *Registry) commit(rec record) error {
	if err := r.journal.Append(segment, rec.encode()); err != nil {
		return fmt.Errorf("registry of enrolments: %w", err)
	}
	r.apply(rec)
	return nil
}

// apply changes the tables; it decides nothing.
func (r *Registry) apply(rec record) {
	switch rec.kind {
	case kindToken:
		r.tokens[rec.token] = &token{caller: rec.caller, expires: rec.life.to}
	case kindEnrol:
		if t := r.tokens[rec.token]; t != nil {
			t.used = &rec
		}
		if old := r.parties[rec.caller]; old != nil {
			for _, c := range old.issued {
				r.release(c.key, rec.caller)
			}
		}
		r.parties[rec.caller] = &party{issued: []certificate{{rec.serial, rec.key, rec.life}}}
		r.keys[rec.key] = rec.caller
	case kindRenew:
		p := r.parties[rec.caller]
		if p == nil {
			return
		}
		if len(p.issued) > 1 {
			r.release(p.issued[0].key, rec.caller, p.issued[1].key, rec.key)
			p.issued = p.issued[1:]
		}
		p.issued = append(p.issued, certificate{rec.serial, rec.key, rec.life})
		r.keys[rec.key] = rec.caller
	case kindRevoke:
		if p := r.parties[rec.caller]; p != nil {
			for _, c := range p.issued {
				r.release(c.key, rec.caller)
			}
			p.revoked, p.issued = true, nil
		}
	}
}

// release forgets a key of a party unless it is among those still in use.
func (r *Registry) release(key [32]byte, owner Caller, inUse ...[32]byte) {
	if r.keys[key] == owner && !slices.Contains(inUse, key) {
		delete(r.keys, key)
	}
}

// Authority returns the authority that signs for the registry.
func (r *Registry) Authority() *Authority { return r.authority }

// NewToken makes a one-time token. name may be empty: the holder then chooses one
// that nobody has had. Only the hash of its secret is stored.
func (r *Registry) NewToken(role Role, name string, life time.Duration, now time.Time) (string, time.Time, error) {
	if !role.named() || (name != "" && !secagg.PartyID(name).Valid()) || life <= 0 || life > maxTokenLife {
		return "", time.Time{}, ErrTokenTerms
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for h, t := range r.tokens {
		if now.After(t.expires.Add(maxTokenLife)) { // until then its holder is told that it has expired
			delete(r.tokens, h)
		}
	}
	if len(r.tokens) >= maxTokens {
		return "", time.Time{}, ErrTokens
	}
	var secret [secretSize]byte
	if _, err := io.ReadFull(r.coins, secret[:]); err != nil {
		return "", time.Time{}, fmt.Errorf("reading coins: %w", err)
	}
	expires := moment(now.Add(life).Unix())
	err := r.commit(record{kind: kindToken, token: hashSecret(secret[:]), caller: Caller{role, name}, life: validity{to: expires}})
	if err != nil {
		return "", time.Time{}, err
	}
	return formatToken(r.authority.Fingerprint(), secret), expires, nil
}

// Grant is what an enrolled party gets.
type Grant struct {
	Certificate []byte // X.509 in DER
	// Identity has the credential that clients show each other; zero for others.
	Identity secagg.Identity
}

// Enrol trades a token's secret for a certificate over the key that signed the
// request (PKCS #10 in DER). That the token was used is durable before the
// certificate exists. The same call again, until the token expires, gives the
// same grant again, so that a device may repeat it after a lost answer.
func (r *Registry) Enrol(secret, der []byte, now time.Time) (Grant, error) {
	req, err := parseRequest(der)
	if err != nil {
		return Grant{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	hash := hashSecret(secret)
	t := r.tokens[hash]
	switch {
	case t == nil || len(secret) != secretSize:
		return Grant{}, ErrToken
	case now.After(t.expires):
		return Grant{}, ErrTokenExpired
	case t.used != nil:
		return r.again(*t.used, req)
	}
	who := t.caller
	if who.Name == "" {
		who.Name = req.name
	}
	switch {
	case who.Name == "":
		return Grant{}, ErrRequest.Because(errors.New("it has no name and the token is bound to none"))
	case req.name != "" && req.name != who.Name:
		return Grant{}, ErrName
	}
	key := [32]byte(req.key)
	if old := r.parties[who]; old != nil && (t.caller.Name == "" || len(r.valid(old, now)) > 0) {
		return Grant{}, ErrTaken.At("%s %s", who.Role, who.Name)
	}
	if owner, taken := r.keys[key]; taken && owner != who {
		return Grant{}, ErrTaken.At("key of %s %s", who.Role, who.Name)
	}
	rec, err := r.issue(kindEnrol, who, key, now)
	if err != nil {
		return Grant{}, err
	}
	rec.token = hash
	if err := r.commit(rec); err != nil {
		return Grant{}, err
	}
	return r.grant(rec)
}

// again repeats a grant for the same key, unless it is no longer good.
func (r *Registry) again(used record, req request) (Grant, error) {
	if used.key != [32]byte(req.key) || (req.name != "" && req.name != used.caller.Name) {
		return Grant{}, ErrTokenUsed
	}
	p := r.parties[used.caller]
	if p == nil || !slices.ContainsFunc(p.issued, func(c certificate) bool { return c.serial == used.serial }) {
		return Grant{}, ErrTokenUsed
	}
	return r.grant(used)
}

// issue decides on the next certificate of a party.
func (r *Registry) issue(k kind, who Caller, key [32]byte, now time.Time) (record, error) {
	serial, err := drawSerial(r.coins)
	life := ClientValidity
	if who.Role == RoleOperator {
		life = OperatorValidity
	}
	return record{kind: k, caller: who, key: key, serial: serial,
		life: validity{moment(now.Add(-skew).Unix()), moment(now.Add(life).Unix())}}, err
}

// grant signs what a record says was granted.
func (r *Registry) grant(rec record) (Grant, error) {
	key := ed25519.PublicKey(rec.key[:])
	der, err := r.authority.partyCertificate(rec.caller, key, rec.serial, rec.life)
	if err != nil {
		return Grant{}, err
	}
	g := Grant{Certificate: der}
	if rec.caller.Role == RoleClient {
		g.Identity = r.authority.Enrol(secagg.PartyID(rec.caller.Name), key)
	}
	return g, nil
}

// Renew gives an admitted caller its next certificate, over the same key or a new
// one. The one before it stays good until it expires or the next renewal. A
// repetition within an hour gets the same grant again.
func (r *Registry) Renew(who Caller, der []byte, now time.Time) (Grant, error) {
	req, err := parseRequest(der)
	if err != nil {
		return Grant{}, err
	}
	if req.name != "" && req.name != who.Name {
		return Grant{}, ErrName
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.parties[who]
	if p == nil || p.revoked || len(p.issued) == 0 {
		return Grant{}, ErrRevoked.At("%s %s", who.Role, who.Name)
	}
	key := [32]byte(req.key)
	if owner, taken := r.keys[key]; taken && owner != who {
		return Grant{}, ErrTaken.At("key of %s %s", who.Role, who.Name)
	}
	latest := p.issued[len(p.issued)-1]
	if now.Before(latest.life.from.Add(skew + renewPause)) {
		if latest.key != key {
			return Grant{}, ErrRenewed
		}
		return r.grant(record{caller: who, key: key, serial: latest.serial, life: latest.life})
	}
	rec, err := r.issue(kindRenew, who, key, now)
	if err != nil {
		return Grant{}, err
	}
	if err := r.commit(rec); err != nil {
		return Grant{}, err
	}
	return r.grant(rec)
}

// Revoke refuses a party from now on. Revoking it again does nothing.
func (r *Registry) Revoke(who Caller, reason string, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.parties[who]
	if p == nil {
		return ErrUnknown.At("%s %.64q", who.Role, who.Name)
	}
	if p.revoked {
		return nil
	}
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	return r.commit(record{kind: kindRevoke, caller: who, life: validity{from: now}, reason: strings.ToValidUTF8(reason, "?")})
}

// Admit says who holds a certificate, the first of the chain that a TLS peer has
// shown and proven to own. No certificate is an anonymous caller.
func (r *Registry) Admit(chain []*x509.Certificate, now time.Time) (Caller, error) {
	if len(chain) == 0 {
		return Caller{}, nil
	}
	leaf := chain[0]
	_, err := leaf.Verify(x509.VerifyOptions{Roots: r.authority.roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			return Caller{}, ErrExpired
		}
		return Caller{}, ErrCertificate
	}
	who, ok := named(leaf)
	if !ok {
		return Caller{}, ErrCertificate
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.parties[who]
	if p == nil {
		return Caller{}, ErrCertificate.At("%s %s", who.Role, who.Name)
	}
	for _, c := range p.issued {
		if leaf.SerialNumber.Cmp(new(big.Int).SetBytes(c.serial[:])) == 0 {
			return who, nil
		}
	}
	return Caller{}, ErrRevoked.At("%s %s", who.Role, who.Name) // the party, or this certificate of it
}

// named reads a party's role and name from its certificate.
func named(leaf *x509.Certificate) (Caller, bool) {
	if len(leaf.URIs) != 1 || leaf.URIs[0].Scheme != uriScheme {
		return Caller{}, false
	}
	u := leaf.URIs[0]
	for _, role := range []Role{RoleClient, RoleOperator, RoleDecryptor} {
		if name := strings.TrimPrefix(u.Path, "/"); u.Host == role.String() && name == leaf.Subject.CommonName && secagg.PartyID(name).Valid() {
			return Caller{role, name}, true
		}
	}
	return Caller{}, false
}

// valid returns the certificates of a party that are good at a time.
func (r *Registry) valid(p *party, now time.Time) []certificate {
	var out []certificate
	for _, c := range p.issued {
		if now.Before(c.life.to) {
			out = append(out, c)
		}
	}
	return out
}

// Enrolled returns the parties of a role that hold a good certificate, sorted by name.
func (r *Registry) Enrolled(role Role, now time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for who, p := range r.parties {
		if who.Role == role && len(r.valid(p, now)) > 0 {
			out = append(out, who.Name)
		}
	}
	slices.Sort(out)
	return out
}
