package pairwise

import (
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/secagg/pairwise/graph"
)

// Name is the scheme's name in plans.
const Name = "pairwise"

const (
	// PrivacyBits: all attempts of a round together fail to be private with
	// probability at most 2^-PrivacyBits, computational assumptions aside.
	PrivacyBits = 40
	// FailureBits: an attempt fails for want of share holders with probability at
	// most 2^-FailureBits while no more clients drop out than declared.
	FailureBits = 20
	// MaxMembers is the most clients one attempt may admit.
	MaxMembers = 10_000

	million = 1_000_000
)

// Parameters are what a plan declares about the clients of the scheme. Degree,
// threshold and quorum are not among them: every party computes those for itself,
// from these and the length of the admitted roster.
type Parameters struct {
	// Corrupt is the largest share of the admitted clients that collude with the
	// coordinator, in parts per million.
	Corrupt int
	// Dropout is the largest share of them that vanish during an attempt, in parts
	// per million. It matters for success, not for privacy.
	Dropout int
	// CrossSilo admits fewer than 16 clients: every party is named and known.
	CrossSilo bool
	// Attempts is the most attempts at one round, 1 to 8: each draws another graph.
	Attempts int
}

// Encode returns the canonical encoding, for secagg.Binding.
func (p Parameters) Encode() []byte {
	var e secagg.Encoder
	e.Uint(1, uint64(p.Corrupt))
	e.Uint(2, uint64(p.Dropout))
	e.Bool(3, p.CrossSilo)
	e.Uint(4, uint64(p.Attempts))
	return e.Encoded()
}

// DecodeParameters parses what Encode wrote and checks it.
func DecodeParameters(b []byte) (Parameters, error) {
	d := secagg.NewDecoder(b)
	p := Parameters{Corrupt: d.Int(1, million), Dropout: d.Int(2, million), CrossSilo: d.Bool(3), Attempts: d.Int(4, graph.MaxAttempts)}
	if err := d.Close(); err != nil {
		return Parameters{}, ErrParameters.Because(err)
	}
	return p, p.Check()
}

// Check refuses values out of range, with ErrParameters.
func (p Parameters) Check() error {
	switch {
	case p.Corrupt < 0 || p.Corrupt >= million:
		return ErrParameters.At("corrupt share of %d parts per million", p.Corrupt)
	case p.Dropout < 0 || p.Dropout >= million:
		return ErrParameters.At("drop-out share of %d parts per million", p.Dropout)
	case p.Attempts < 1 || p.Attempts > graph.MaxAttempts:
		return ErrParameters.At("%d attempts, not 1 to %d", p.Attempts, graph.MaxAttempts)
	}
	return nil
}

// Find computes degree, threshold and quorum for a roster of n members. All
// parties get the same answer on every platform. It refuses with ErrCohort a
// roster that is too small and with ErrParameters shares that cannot be met.
func (p Parameters) Find(n int) (graph.Parameters, error) {
	if err := p.Check(); err != nil {
		return graph.Parameters{}, err
	}
	if n < graph.MinHonest || n > MaxMembers || n < graph.MinClients && !p.CrossSilo {
		return graph.Parameters{}, ErrCohort.At("%d clients", n)
	}
	found, err := graph.Find(graph.Spec{
		Clients: n, Corrupt: float64(p.Corrupt) / million, Dropout: float64(p.Dropout) / million, CrossSilo: p.CrossSilo,
		PrivacyBits: PrivacyBits, FailureBits: FailureBits, Attempts: p.Attempts,
	})
	if err != nil {
		return graph.Parameters{}, ErrParameters.At("%d clients", n).Because(err)
	}
	return found, nil
}

// attempt is what both halves compute from a session before anything else.
type attempt struct {
	secagg.Session
	graph.Parameters
	// least is the fewest members that a survivor set may have.
	least  int
	pieces secagg.Pieces
}

// members is the length of the roster.
func (a *attempt) members() int { return a.Roster.Len() }

// begin checks a session. Neither half trusts the other for any of this.
func begin(s secagg.Session) (*attempt, error) {
	if s.Binding.Scheme != Name || s.Binding.Context() != s.Context || s.Binding.Roster != s.Roster.Root() {
		return nil, secagg.ErrSession.At("binding of scheme %.40q", s.Binding.Scheme)
	}
	if s.Committee.Len() != 0 { // which a client might take for somebody that looks after it
		return nil, secagg.ErrSession.At("a committee, which scheme pairwise does not have")
	}
	p, err := DecodeParameters(s.Binding.Parameters)
	if err != nil {
		return nil, err
	}
	if int64(s.Binding.Round.Attempt) > int64(p.Attempts) {
		return nil, ErrParameters.At("attempt %d of at most %d", s.Binding.Round.Attempt, p.Attempts)
	}
	found, err := p.Find(s.Roster.Len())
	if err != nil {
		return nil, err
	}
	if s.Minimum < 1 || s.Minimum > found.Clients {
		return nil, secagg.ErrSession.At("minimum of %d among %d clients", s.Minimum, found.Clients)
	}
	if s.Words < 1 || s.Words > field.MaxWords-knownAnswers || field.PackedLen(s.Words, s.WordBits) < 0 {
		return nil, secagg.ErrSession.At("%d words of %d bits", s.Words, s.WordBits)
	}
	return &attempt{
		Session: s, Parameters: found,
		least:  max(s.Minimum, found.Quorum, found.MaxCorrupt+graph.MinHonest),
		pieces: piecesOf(s.Words+knownAnswers, s.WordBits),
	}, nil
}

// piecesOf cuts an upload of n packed words at the chunks of package field.
func piecesOf(n, width int) secagg.Pieces {
	total := field.PackedLen(n, width)
	return secagg.Pieces{Count: field.ChunkCount(n), Size: min(field.PackedLen(field.ChunkWords, width), total), Body: int64(total)}
}

// enough refuses a set of members that is too small to be summed.
func (a *attempt) enough(phase string, members int) error {
	if members < a.least {
		return secagg.ErrTooFew.At("phase %s: %d of at least %d", phase, members, a.least)
	}
	return nil
}

// Scheme implements secagg.ClientScheme and secagg.ServerScheme.
type Scheme struct{}

// Name returns "pairwise".
func (Scheme) Name() string { return Name }

// Roles returns the client alone.
func (Scheme) Roles() []secagg.Role { return []secagg.Role{secagg.RoleClient} }

// Views returns the sum, and the means of buckets by a session for each.
func (Scheme) Views() []secagg.View {
	return []secagg.View{secagg.ViewSum, secagg.ViewBucketMeans}
}

// Configure implements secagg.ServerScheme. It refuses a policy that a full
// cohort, or one of no more than the minimum, could not meet.
//
// The partition into buckets follows from the context, over which the coordinator
// has some power, so each bucket is configured for all corrupt clients of a cohort
// being in it.
func (s Scheme) Configure(policy secagg.Policy) ([]byte, error) {
	switch {
	case policy.Committee.Len() != 0:
		return nil, ErrParameters.At("a committee, which scheme pairwise does not have")
	case policy.View != secagg.ViewBucketMeans && policy.Buckets != secagg.Buckets{}:
		return nil, ErrParameters.At("a fallback on buckets, which scheme pairwise does not have")
	case policy.View == secagg.ViewBucketMeans:
		return s.configureBuckets(policy)
	}
	p := Parameters{Corrupt: policy.Corrupt, Dropout: policy.Dropout, CrossSilo: policy.CrossSilo, Attempts: policy.Attempts}
	found, err := p.Find(policy.Clients)
	if err != nil {
		return nil, err
	}
	if policy.Minimum > found.Clients-found.MaxDropouts {
		return nil, ErrParameters.At("minimum of %d survivors where %d of %d clients may drop out", policy.Minimum, found.MaxDropouts, found.Clients)
	}
	if policy.CloseAt != 0 && policy.CloseAt < found.Clients-found.MaxDropouts {
		return nil, ErrParameters.At("uploads close at %d of %d clients, where at most %d may be missing", policy.CloseAt, found.Clients, found.MaxDropouts)
	}
	return p.Encode(), nil
}

// configureBuckets configures the session of one bucket.
func (s Scheme) configureBuckets(policy secagg.Policy) ([]byte, error) {
	one := policy
	one.View, one.Buckets, one.CloseAt = secagg.ViewSum, secagg.Buckets{}, 0
	one.Minimum = policy.Buckets.Minimum
	if one.Corrupt = corruptInBucket(policy); one.Corrupt >= million {
		return nil, ErrParameters.At("all corrupt clients, %d in a million, may be in one bucket of %d", policy.Corrupt, policy.Buckets.Size)
	}
	count := policy.Buckets.Count(policy.Clients)
	one.Clients = (policy.Clients + count - 1) / count
	if _, err := s.Configure(one); err != nil {
		return nil, err
	}
	one.Clients = min(policy.Buckets.Size, policy.Clients)
	return s.Configure(one)
}

// corruptInBucket is the share of a bucket that is corrupt if all corrupt clients of a
// full cohort are in it, in parts per million.
func corruptInBucket(policy secagg.Policy) int {
	return (secagg.ShareOf(policy.Clients, policy.Corrupt)*million + policy.Buckets.Size - 1) / policy.Buckets.Size
}
