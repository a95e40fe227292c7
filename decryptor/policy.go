package decryptor

import (
	"crypto/ed25519"
	"math"
	"slices"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of a policy and of what it does not allow.
var (
	ErrPolicy    = fault.New(fault.Usage, "decryptor/policy", "the committee member's configuration is refused", "correct the configuration")
	ErrLimits    = fault.New(fault.Refused, "decryptor/limits", "the plan asks for more than this committee member allows", "change the plan, or the limits of this member")
	ErrCommittee = fault.New(fault.Refused, "decryptor/committee", "the plan is under another committee than this member's", "use the same committee file in the plan, for the members and for the clients")
	ErrScheme    = fault.New(fault.Refused, "decryptor/scheme", "the plan's scheme is not among those this member serves", "change the plan, or the schemes of this member")
)

// Defaults of Limits (DESIGN section 8).
const (
	// DefaultMinimum is the fewest clients in all opened sums of an attempt together.
	DefaultMinimum = 16
	// DefaultBucketMinimum is the fewest clients in an opened bucket.
	DefaultBucketMinimum = 12
)

// maxAttempt is the last attempt at a round for which a member announces: each
// attempt lets a corrupt member choose between two partitions (DESIGN section 6).
const maxAttempt = 8

// Limits is a member's own floor. The zero value of a number is its default.
type Limits struct {
	// Jobs lists the jobs that the member serves. Nothing else is served.
	Jobs []string
	// Minimum is the fewest clients in all opened sums of an attempt together, and
	// so in the one sum of an attempt without buckets. Zero means DefaultMinimum.
	Minimum int
	// BucketMinimum is the fewest clients in an opened bucket. Zero means
	// DefaultBucketMinimum.
	BucketMinimum int
	// Exact allows plans whose coordinator sees exact sums: privacy modes none and
	// central, and distributed where the plan says that it trusts its coordinator, as
	// then no client holds the shares of noise against the session. Without it they are
	// refused, whatever the plan says.
	Exact bool
	// NoiseMultiplier is the least standard deviation of the noise in an opened sum, over
	// by how much one contribution can change that (secagg.Terms.NoiseMultiplier). Zero
	// means any.
	NoiseMultiplier float64
}

// check refuses limits that would read as none, and fills in the defaults.
func (l Limits) check() (Limits, error) {
	if l.Minimum < 0 || l.BucketMinimum < 0 {
		return l, ErrPolicy.At("limits: a number is negative")
	}
	if !(l.NoiseMultiplier >= 0 && l.NoiseMultiplier <= math.MaxFloat64) { // NaN fails
		return l, ErrPolicy.At("limits: noise multiplier %v", l.NoiseMultiplier)
	}
	if len(l.Jobs) == 0 {
		return l, ErrPolicy.At("limits: no job to serve")
	}
	for i, job := range l.Jobs {
		if !secagg.PartyID(job).Valid() || slices.Contains(l.Jobs[:i], job) {
			return l, ErrPolicy.At("limits: job %.70q is no name or there twice", job)
		}
	}
	if l.Minimum == 0 {
		l.Minimum = DefaultMinimum
	}
	if l.BucketMinimum == 0 {
		l.BucketMinimum = DefaultBucketMinimum
	}
	return l, nil
}

// allow says which limit a plan breaks.
func (l Limits) allow(t secagg.Terms) error {
	switch {
	case !slices.Contains(l.Jobs, t.Job):
		return ErrLimits.At("job %q is not among those served", t.Job)
	case t.Minimum < l.Minimum:
		return ErrLimits.At("sums of as few as %d clients, at least %d allowed", t.Minimum, l.Minimum)
	case t.Buckets != (secagg.Buckets{}) && t.Buckets.Minimum < l.BucketMinimum:
		return ErrLimits.At("buckets of as few as %d clients, at least %d allowed", t.Buckets.Minimum, l.BucketMinimum)
	case exact(t) && !l.Exact:
		return ErrLimits.At("privacy mode %q opens exact sums to the coordinator", t.Privacy)
	case l.NoiseMultiplier > 0 && !(t.NoiseMultiplier() >= l.NoiseMultiplier):
		return ErrLimits.At("noise multiplier %.4g, at least %g allowed", t.NoiseMultiplier(), l.NoiseMultiplier)
	}
	return nil
}

// exact reports whether terms let the coordinator see sums without noise, or without
// all of it.
func exact(t secagg.Terms) bool {
	switch t.Privacy {
	case secagg.PrivacyLocal:
		return false
	case secagg.PrivacyDistributed:
		return t.TrustCoordinator
	}
	return true
}

// Policy is who a member is and what it takes part in.
type Policy struct {
	// Committee is the member's own, pinned: plans under another are refused.
	Committee secagg.Committee
	// Name is the member's name in it.
	Name secagg.PartyID
	// Keys are the member's secrets.
	Keys secagg.DecryptorKeys
	// Authority is the pinned enrolment authority: a roster with a client that it did
	// not enrol is refused.
	Authority ed25519.PublicKey
	// Roster replaces the reading of a roster and the check of its members'
	// credentials against Authority, for a simulator that remembers the rosters that
	// it has checked. Nil otherwise.
	Roster func(encoded []byte) (secagg.Roster, error)
	// Schemes are those that the member serves.
	Schemes []secagg.CommitteeScheme
	Limits  Limits
}

// check fills in the defaults and returns the member's index in its committee. The
// error is ErrPolicy.
func (p Policy) check() (Policy, int, error) {
	var err error
	if p.Limits, err = p.Limits.check(); err != nil {
		return p, 0, err
	}
	self := p.Committee.Index(p.Name)
	switch {
	case self < 0:
		return p, 0, ErrPolicy.At("%q is no member of committee %q", p.Name, p.Committee.Name())
	case len(p.Keys.Sign) != ed25519.PrivateKeySize:
		return p, 0, ErrPolicy.At("the signing key of %q has %d bytes", p.Name, len(p.Keys.Sign))
	}
	if key := p.Committee.At(self).Key; !ed25519.PublicKey(key[:]).Equal(p.Keys.Sign.Public()) {
		return p, 0, ErrPolicy.At("the signing key is not that of member %q", p.Name)
	}
	if len(p.Authority) != ed25519.PublicKeySize {
		return p, 0, ErrPolicy.At("the enrolment authority's key has %d bytes", len(p.Authority))
	}
	names := map[string]bool{}
	for _, s := range p.Schemes {
		if s == nil || names[s.Name()] {
			return p, 0, ErrPolicy.At("a scheme is nil or named twice")
		}
		names[s.Name()] = true
	}
	if len(names) == 0 {
		return p, 0, ErrPolicy.At("no scheme to serve")
	}
	return p, self, nil
}
