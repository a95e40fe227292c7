package secaggtest

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// Scheme is both halves of a scheme. One with a committee is a
// secagg.CommitteeScheme and a secagg.CommitteeServer too.
type Scheme interface {
	secagg.ClientScheme
	secagg.ServerScheme
}

// Cohort is a roster with the members' signing keys and, for schemes that have one,
// a committee with its members' secrets.
type Cohort struct {
	Roster secagg.Roster
	Keys   []ed25519.PrivateKey // by roster index

	Committee  secagg.Committee
	Decryptors []secagg.DecryptorKeys // by index in the committee
}

// NewCohort enrols n members; the seed fixes their keys.
func NewCohort(t testing.TB, n int, seed uint64) Cohort {
	t.Helper()
	coins := Coins(seed, "cohort")
	_, authority, err := ed25519.GenerateKey(coins)
	require.NoError(t, err)
	c := Cohort{Keys: make([]ed25519.PrivateKey, n)}
	members := make([]secagg.Identity, n)
	for i := range members {
		public, private, err := ed25519.GenerateKey(coins)
		require.NoError(t, err)
		c.Keys[i] = private
		members[i] = secagg.Enrol(authority, secagg.PartyID(fmt.Sprintf("client-%05d", i)), public)
	}
	c.Roster, err = secagg.NewRoster(members)
	require.NoError(t, err)
	return c
}

// WithCommittee returns the cohort with a committee of m members, as many of them
// corrupt as is possible. The seed fixes their keys; each is in its third epoch, and
// still has the seed of the second.
func (c Cohort) WithCommittee(t testing.TB, m int, seed uint64) Cohort {
	t.Helper()
	const name = "committee"
	coins := Coins(seed, name)
	c.Decryptors = make([]secagg.DecryptorKeys, m)
	members := make([]secagg.Decryptor, m)
	for j := range members {
		_, private, err := ed25519.GenerateKey(coins)
		require.NoError(t, err)
		c.Decryptors[j] = secagg.DecryptorKeys{Sign: private, Epochs: []secagg.EpochSeed{{Number: 2}, {Number: 3}}}
		for e := range c.Decryptors[j].Epochs {
			_, err := coins.Read(c.Decryptors[j].Epochs[e].Seed[:])
			require.NoError(t, err)
		}
		members[j] = secagg.Join(private, name, secagg.PartyID(fmt.Sprintf("hospital-%02d", j)))
	}
	var err error
	c.Committee, err = secagg.NewCommittee(name, members, (m-1)/3)
	require.NoError(t, err)
	return c
}

// Shape is the session of a test.
type Shape struct {
	Members, Minimum, Words, WordBits int
	Round                             secagg.RoundID // job/1/1 if zero
	Model                             secagg.Digest
	// Absent lists members of the committee that announce nothing, LeftOut those
	// that held something back in an earlier attempt.
	Absent, LeftOut []int
}

// NewSession makes the session of one attempt. The policy says whether it has
// buckets; a committee is that of the cohort.
func NewSession(t testing.TB, scheme secagg.ServerScheme, policy secagg.Policy, c Cohort, shape Shape) secagg.Session {
	t.Helper()
	policy.Clients, policy.Minimum = c.Roster.Len(), shape.Minimum
	policy.Words, policy.WordBits, policy.Committee = shape.Words, shape.WordBits, c.Committee
	if policy.View == 0 {
		policy.View = secagg.ViewSum
	}
	parameters, err := scheme.Configure(policy)
	require.NoError(t, err)
	if shape.Round == (secagg.RoundID{}) {
		shape.Round = secagg.RoundID{Job: "job", Round: 1, Attempt: 1}
	}
	s := secagg.Session{
		Roster: c.Roster, Committee: c.Committee, Minimum: shape.Minimum,
		Buckets: 1, BucketMinimum: shape.Minimum, Words: shape.Words, WordBits: shape.WordBits,
	}
	if policy.View != secagg.ViewSum {
		s.Buckets, s.BucketMinimum = policy.Buckets.Count(c.Roster.Len()), policy.Buckets.Minimum
	}
	s.Announcements = make(secagg.Announcements, c.Committee.Len())
	for j := range s.Announcements {
		s.Announcements[j].LeftOut = slices.Contains(shape.LeftOut, j)
		if !slices.Contains(shape.Absent, j) {
			s.Announcements[j].Body = Announce(t, scheme, shape.Round, c, j).Message
		}
	}
	s.Binding = secagg.Binding{
		Round: shape.Round, Plan: secagg.Hash("plan"), Model: shape.Model, Roster: c.Roster.Root(),
		Committee: s.Announcements.Root(c.Committee), Scheme: scheme.Name(), Parameters: parameters,
	}
	s.Context = s.Binding.Context()
	return s
}

// Announce has a member of the committee announce itself for an attempt. It has the
// same coins whenever it is asked for the same attempt.
func Announce(t testing.TB, scheme secagg.ServerScheme, round secagg.RoundID, c Cohort, j int) secagg.Reply {
	t.Helper()
	return announceWith(t, scheme, round, c, j, "")
}

// announceWith draws from other coins for another label.
func announceWith(t testing.TB, scheme secagg.ServerScheme, round secagg.RoundID, c Cohort, j int, label string) secagg.Reply {
	t.Helper()
	reply, err := committeeOf(t, scheme).Announce(round, c.Committee, j, c.Decryptors[j], Coins(uint64(j), "announce "+round.String()+label))
	require.NoError(t, err)
	require.NotEmpty(t, reply.Message)
	require.NotEmpty(t, reply.Record)
	require.NoError(t, scheme.(secagg.CommitteeServer).CheckAnnouncement(round, c.Committee, j, reply.Message))
	return reply
}

// committeeOf returns the part of a scheme that its committee plays.
func committeeOf(t testing.TB, scheme secagg.ServerScheme) secagg.CommitteeScheme {
	t.Helper()
	require.Implements(t, (*secagg.CommitteeScheme)(nil), scheme)
	require.Implements(t, (*secagg.CommitteeServer)(nil), scheme)
	return scheme.(secagg.CommitteeScheme)
}
