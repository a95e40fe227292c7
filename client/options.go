package client

import (
	"crypto/ed25519"
	"log/slog"
	"slices"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// ErrOptions refuses what a client is made of.
var ErrOptions = fault.New(fault.Usage, "client/options", "client configuration is refused", "correct the call of client.New")

// Option configures a Client. WithIdentity and WithSchemes are required.
type Option func(*options)

type options struct {
	identity   secagg.Identity
	key        ed25519.PrivateKey
	authority  ed25519.PublicKey
	schemes    []secagg.ClientScheme
	consent    Consent
	state      State
	conditions func() Conditions
	job        string
	lifetime   int
	log        *slog.Logger
}

// WithIdentity says who the client is: the identity that the enrolment authority
// signed, its private key, and the authority's public key, to which everybody in
// a round is held.
func WithIdentity(identity secagg.Identity, key ed25519.PrivateKey, authority ed25519.PublicKey) Option {
	return func(o *options) { o.identity, o.key, o.authority = identity, key, authority }
}

// WithSchemes names the schemes that the app accepts. A plan with any other is
// refused. Scheme plain protects nothing: accept it only from a coordinator that
// may see every update.
func WithSchemes(schemes ...secagg.ClientScheme) Option {
	return func(o *options) { o.schemes = slices.Clone(schemes) }
}

// WithConsent sets the device's policy. The default is Limits{}, which refuses
// every plan whose coordinator sees exact sums. If it is a Budget too, that is asked.
func WithConsent(c Consent) Option { return func(o *options) { o.consent = c } }

// WithLifetime bounds the attempts to which the device contributes in its life,
// over all jobs; at the bound Run returns ErrLifetime. It needs WithState, and a
// State that lasts: NewMemory counts from zero after each restart. The default is
// no bound.
func WithLifetime(attempts int) Option { return func(o *options) { o.lifetime = attempts } }

// WithState sets where the client keeps what survives a restart. The default is
// NewMemory.
func WithState(s State) Option { return func(o *options) { o.state = s } }

// WithConditions is asked for the device's condition at each check-in. The
// default claims nothing, which plans with conditions take for a device that is
// not eligible.
func WithConditions(f func() Conditions) Option { return func(o *options) { o.conditions = f } }

// WithJob takes part in one job only. The default is any that is offered.
func WithJob(job string) Option { return func(o *options) { o.job = job } }

// WithLogger sets where the client says what it does: identifiers, sizes and
// reasons, never payloads or secrets. The default says nothing.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.log = l } }

// check completes the options and refuses those that cannot work.
func (o *options) check() error {
	if o.consent == nil {
		o.consent = Limits{}
	}
	if l, ok := o.consent.(*Limits); ok && l != nil {
		o.consent = *l // as it is now
	}
	if l, ok := o.consent.(Limits); ok {
		if err := l.check(); err != nil {
			return err
		}
		if l.LifetimeEpsilon > 0 && o.state == nil {
			return ErrOptions.At("a lifetime budget without a state that remembers what was spent")
		}
	}
	if o.lifetime < 0 || o.lifetime > 0 && o.state == nil {
		return ErrOptions.At("a lifetime of %d attempts without a state that remembers them", o.lifetime)
	}
	if o.state == nil {
		o.state = NewMemory()
	}
	if o.conditions == nil {
		o.conditions = func() Conditions { return Conditions{} }
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	if o.key == nil {
		return ErrOptions.At("WithIdentity is missing")
	}
	if len(o.key) != ed25519.PrivateKeySize || !o.key.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(o.identity.Key[:])) {
		return ErrOptions.At("the private key is not that of %q", o.identity.ID)
	}
	if err := o.identity.Verify(o.authority); err != nil {
		return ErrOptions.At("identity").Because(err)
	}
	names := map[string]bool{}
	for _, s := range o.schemes {
		if s == nil || names[s.Name()] {
			return ErrOptions.At("a scheme is nil or named twice")
		}
		names[s.Name()] = true
	}
	if len(names) == 0 {
		return ErrOptions.At("WithSchemes is missing")
	}
	if o.job != "" && !secagg.PartyID(o.job).Valid() {
		return ErrOptions.At("job %q", o.job)
	}
	return nil
}

func (o *options) policy(a Account) Policy {
	return Policy{Identity: o.identity, Key: o.key, Authority: o.authority, Consent: o.consent, Schemes: o.schemes, Account: a}
}
