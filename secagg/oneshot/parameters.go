package oneshot

import (
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot/rlwe"
	"github.com/choir-fl/choir/secagg/oneshot/share"
)

// Name is the scheme's name in plans.
const Name = "oneshot"

const (
	// minClients is the fewest admitted clients unless the plan is cross_silo.
	minClients = 16

	million = 1_000_000
)

// Parameters are what a plan declares about the scheme. Everything else follows
// from these, the committee, and the length of the admitted roster.
type Parameters struct {
	// Corrupt is the largest share of the admitted clients that collude with the
	// coordinator, in parts per million.
	Corrupt int
	// Clients is the most clients that one attempt admits; it fixes the noise budget.
	Clients int
	// Set is the name of the ring's parameter set, "M" or "S".
	Set string
	// CrossSilo admits fewer than 16 clients: every party is named and known.
	CrossSilo bool
	// Attempts is the most attempts at one round, 1 to MaxAttempts.
	Attempts int
}

// Encode returns the canonical encoding, for secagg.Binding.
func (p Parameters) Encode() []byte {
	var e secagg.Encoder
	e.Uint(1, uint64(p.Corrupt))
	e.Uint(2, uint64(p.Clients))
	e.String(3, p.Set)
	e.Bool(4, p.CrossSilo)
	e.Uint(5, uint64(p.Attempts))
	return e.Encoded()
}

// DecodeParameters parses what Encode wrote and checks it.
func DecodeParameters(b []byte) (Parameters, error) {
	d := secagg.NewDecoder(b)
	p := Parameters{Corrupt: d.Int(1, million), Clients: d.Int(2, secagg.MaxRoster), Set: d.String(3), CrossSilo: d.Bool(4), Attempts: d.Int(5, MaxAttempts)}
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
	case p.Clients < 1 || p.Clients > secagg.MaxRoster:
		return ErrParameters.At("%d clients, not 1 to %d", p.Clients, secagg.MaxRoster)
	case p.Set != "M" && p.Set != "S":
		return ErrParameters.At("set %.20q", p.Set)
	case p.Attempts < 1 || p.Attempts > MaxAttempts:
		return ErrParameters.At("%d attempts, not 1 to %d", p.Attempts, MaxAttempts)
	}
	return nil
}

// cohort refuses a number of admitted clients.
func (p Parameters) cohort(n int) error {
	if n > p.Clients || n < minClients && !p.CrossSilo {
		return ErrCohort.At("%d clients, of at most %d", n, p.Clients)
	}
	return nil
}

// ring returns the parameters of the long layer.
func (p Parameters) ring(words, wordBits int) (rlwe.Parameters, error) {
	r, err := rlwe.Literal{Set: p.Set, Clients: p.Clients, Words: words, WordBits: wordBits}.Check()
	if err != nil {
		return rlwe.Parameters{}, ErrParameters.At("%d words of %d bits in sums of %d clients", words, wordBits, p.Clients).Because(err)
	}
	return r, nil
}

// honest returns c* and refuses minima under which fewer than two honest clients
// may be in an opened sum.
func (p Parameters) honest(n, minimum, buckets, bucketMinimum int) (corrupt int, err error) {
	f := secagg.ShareOf(n, p.Corrupt)
	if minimum-f < minHonest {
		return 0, ErrHonest.At("minimum of %d of %d clients, %d of them corrupt", minimum, n, f)
	}
	if corrupt = corruptInBucket(n, f, buckets); bucketMinimum-corrupt < minHonest {
		return corrupt, ErrHonest.At("minimum of %d in each of %d buckets of %d clients, up to %d corrupt ones in one", bucketMinimum, buckets, n, corrupt)
	}
	return corrupt, nil
}

// answerSize is the length of the sums that a member sends for so many buckets.
func answerSize(ring rlwe.Parameters, buckets int) int {
	return buckets * ring.N() * share.ElementBytes
}

// checkAnswer refuses more buckets than fit into a member's message.
func checkAnswer(ring rlwe.Parameters, buckets int) error {
	if size := answerSize(ring, buckets); size > secagg.MaxMessage-1024 {
		return ErrParameters.At("%d buckets: a member's answer has %d bytes, at most %d are possible", buckets, size, secagg.MaxMessage-1024)
	}
	return nil
}

// Scheme implements secagg.ClientScheme, secagg.ServerScheme,
// secagg.CommitteeScheme and secagg.CommitteeServer.
type Scheme struct{}

// Name returns "oneshot".
func (Scheme) Name() string { return Name }

// Roles returns the client and the decryptor.
func (Scheme) Roles() []secagg.Role { return []secagg.Role{secagg.RoleClient, secagg.RoleDecryptor} }

// Views returns the sum and the means of buckets.
func (Scheme) Views() []secagg.View {
	return []secagg.View{secagg.ViewSum, secagg.ViewBucketMeans}
}

// Configure implements secagg.ServerScheme. It refuses a policy that a full cohort
// could not meet with the declared drop-outs, corrupt clients and corrupt members.
func (Scheme) Configure(policy secagg.Policy) ([]byte, error) {
	p, _, err := configure(policy)
	if err != nil {
		return nil, err
	}
	return p.Encode(), nil
}

func configure(policy secagg.Policy) (Parameters, rlwe.Parameters, error) {
	refused := func(err error) (Parameters, rlwe.Parameters, error) { return Parameters{}, rlwe.Parameters{}, err }
	if policy.Committee.Len() == 0 {
		return refused(ErrParameters.At("no committee, without which scheme oneshot cannot open a sum"))
	}
	ring, err := rlwe.Literal{Clients: policy.Clients, Words: policy.Words, WordBits: policy.WordBits}.Check()
	if err != nil {
		return refused(ErrParameters.At("%d words of %d bits in sums of %d clients", policy.Words, policy.WordBits, policy.Clients).Because(err))
	}
	p := Parameters{Corrupt: policy.Corrupt, Clients: policy.Clients, Set: ring.Set(), CrossSilo: policy.CrossSilo, Attempts: policy.Attempts}
	if err := p.Check(); err != nil {
		return refused(err)
	}
	if err := p.cohort(policy.Clients); err != nil {
		return refused(err)
	}
	c := policy.Committee.Corrupt()
	if p.Attempts < c+1 {
		return refused(ErrParameters.At("%d attempts, each of which one of %d corrupt committee members may end", p.Attempts, c))
	}
	if policy.View != secagg.ViewBucketMeans {
		if _, err := p.honest(policy.Clients, policy.Minimum, 1, policy.Minimum); err != nil {
			return refused(err)
		}
	}
	if count, bucketMinimum := divided(policy); count > 0 {
		if _, err := p.honest(policy.Clients, policy.Minimum, count, bucketMinimum); err != nil {
			return refused(err)
		}
		if err := checkAnswer(ring, count); err != nil {
			return refused(err)
		}
	}
	f := secagg.ShareOf(policy.Clients, policy.Corrupt)
	left := policy.Clients - secagg.ShareOf(policy.Clients, policy.Dropout)
	if policy.CloseAt != 0 {
		left = min(left, policy.CloseAt)
	}
	if policy.Minimum > left-c*f {
		return refused(ErrParameters.At("minimum of %d survivors, where %d clients may be all that upload and corrupt committee members may have %d of them left out", policy.Minimum, left, c*f))
	}
	return p, ring, nil
}

// divided returns the number of buckets of a full cohort and the fewest clients in
// an opened one; zero if the plan divides no cohort, not even to fall back on it.
func divided(policy secagg.Policy) (count, minimum int) {
	if policy.Buckets == (secagg.Buckets{}) {
		return 0, 0
	}
	return policy.Buckets.Count(policy.Clients), policy.Buckets.Minimum
}
