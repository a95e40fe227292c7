// Package bucketed gives the view of bucket means to a scheme that opens one sum:
// one session of the scheme for each bucket, side by side in one attempt.
//
// The session of a bucket has the bucket's members as its roster, the context of
// the whole attempt in its binding, and is otherwise the attempt's. All sessions
// pass through the same phases together. A bucket whose session fails, because too
// few of its members are left or because one of them cheated, is left out; the
// attempt fails when no bucket is left, or when those that are hold fewer clients
// than its minimum.
//
// The partition is drawn from the attempt's context. Whoever decides who is admitted
// has a say in it: a scheme that uses this package must withstand all corrupt
// clients of an attempt being in one bucket.
package bucketed

import (
	"crypto/ed25519"
	"io"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// ErrSnapshot refuses what is no snapshot of all buckets.
var ErrSnapshot = fault.New(fault.Invalid, "bucketed/snapshot", "snapshot is cut or of another attempt", "restore the store from a backup")

// Partition is the bucket of each member of a session's roster.
func Partition(s secagg.Session) []int {
	return secagg.Partition(secagg.Hash("choir partition/1", s.Context[:]), s.Roster.Len(), s.Buckets)
}

// part returns the session of one bucket.
func part(s secagg.Session, members []int) (secagg.Session, error) {
	identities := make([]secagg.Identity, len(members))
	for i, m := range members {
		identities[i] = s.Roster.At(m)
	}
	roster, err := secagg.NewRoster(identities)
	if err != nil {
		return secagg.Session{}, err
	}
	out := s
	out.Roster, out.Minimum, out.Buckets = roster, s.BucketMinimum, 1
	out.Binding.Roster, out.Binding.Within = roster.Root(), s.Context
	out.Context = out.Binding.Context()
	return out, nil
}

// check refuses a session that does not have a bucket for each part, or whose parts
// are parts already.
func check(s secagg.Session, bucketOf []int) error {
	n := s.Roster.Len()
	if s.Buckets < 1 || s.BucketMinimum < 1 || len(bucketOf) != n || s.Buckets > n || s.Minimum < 1 || s.Minimum > n ||
		s.Binding.Within != (secagg.Digest{}) || s.Context != s.Binding.Context() || s.Binding.Roster != s.Roster.Root() {
		return secagg.ErrSession.At("%d buckets of %d clients", s.Buckets, n)
	}
	return nil
}

// own returns the session of the bucket that a member is in, and its place there.
func own(s secagg.Session, self int, bucketOf []int) (secagg.Session, int, error) {
	if err := check(s, bucketOf); err != nil {
		return secagg.Session{}, 0, err
	}
	if self < 0 || self >= len(bucketOf) {
		return secagg.Session{}, 0, secagg.ErrSession.At("member %d of %d", self, len(bucketOf))
	}
	members := secagg.Members(bucketOf, s.Buckets)[bucketOf[self]]
	p, err := part(s, members)
	return p, p.Roster.Index(s.Roster.At(self).ID), err
}

// NewParty makes the client's half for the member at index self: the inner scheme's
// party in the session of its bucket.
func NewParty(inner secagg.ClientScheme, s secagg.Session, self int, bucketOf []int, key ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	p, place, err := own(s, self, bucketOf)
	if err != nil {
		return nil, err
	}
	return inner.NewParty(p, place, key, coins)
}

// ResumeParty continues from a record, as the inner scheme does.
func ResumeParty(inner secagg.ClientScheme, s secagg.Session, self int, bucketOf []int, key ed25519.PrivateKey, record []byte) (secagg.Party, error) {
	p, place, err := own(s, self, bucketOf)
	if err != nil {
		return nil, err
	}
	return inner.ResumeParty(p, place, key, record)
}
