package client_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
)

// panel is a committee of four.
func panel(t testing.TB, name string) secagg.Committee {
	members := make([]secagg.Decryptor, 4)
	for j := range members {
		id := fmt.Sprintf("org-%d", j)
		members[j] = secagg.Join(keyOf(id), name, secagg.PartyID(id))
	}
	c, err := secagg.NewCommittee(name, members, 1)
	require.NoError(t, err)
	return c
}

func TestConsentPinsTheCommittee(t *testing.T) {
	ours, other := panel(t, "ours"), panel(t, "other")
	task := secagg.Task{Round: secagg.RoundID{Job: "job", Round: 1, Attempt: 1}, Terms: testPlan(t, 30, 20, 1).Terms(), ModelSize: 1000}
	allow := func(c secagg.Committee, pinned ...secagg.Digest) error {
		task.Terms.Committee = c
		return client.Limits{TrustCoordinator: true, Committees: pinned}.Allow(task)
	}
	require.NoError(t, allow(ours, ours.Root()))
	require.NoError(t, allow(ours, other.Root(), ours.Root()))
	require.NoError(t, allow(secagg.Committee{}, ours.Root()), "a plan without a committee opens its sums without one")
	require.NoError(t, allow(secagg.Committee{}))
	for name, pinned := range map[string][]secagg.Digest{"none pinned": nil, "another pinned": {other.Root()}, "no committee pinned": {{}}} {
		err := allow(ours, pinned...)
		require.ErrorIs(t, err, client.ErrConsent, name)
		require.ErrorContains(t, err, "committee ours with root "+ours.Root().String())
	}
}

func TestConsentCountsTheSmallestSumThatMayBeOpened(t *testing.T) {
	task := secagg.Task{Round: secagg.RoundID{Job: "job", Round: 1, Attempt: 1}, Terms: testPlan(t, 30, 20, 1).Terms(), ModelSize: 1000}
	limits := client.Limits{TrustCoordinator: true, Minimum: 12}
	task.Terms.Buckets = secagg.Buckets{Size: 15, Minimum: 12}
	for _, fallback := range []bool{false, true} { // the fallback counts before it is needed
		task.Terms.View, task.Terms.Fallback = secagg.ViewBucketMeans, fallback
		if fallback {
			task.Terms.View = secagg.ViewSum
		}
		task.Terms.Buckets.Minimum = 12
		require.NoError(t, limits.Allow(task))
		task.Terms.Buckets.Minimum = 11
		require.ErrorContains(t, limits.Allow(task), "as few as 11 clients")
	}
}

// witness keeps the sessions that its parties are made for.
type witness struct {
	phased
	made, resumed *secagg.Session
}

func (w *witness) NewParty(s secagg.Session, self int, key ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	w.made = &s
	return w.phased.NewParty(s, self, key, coins)
}

func (w *witness) ResumeParty(s secagg.Session, self int, key ed25519.PrivateKey, record []byte) (secagg.Party, error) {
	w.resumed = &s
	return w.phased.ResumeParty(s, self, key, record)
}

// announcing is the script's task under a committee, and what its members announced.
func announcing(t testing.TB) (*script, secagg.Task, secagg.Announcements) {
	s := newScript(t, whole...)
	task := *s.offers[0].Task
	task.Terms.Committee = panel(t, "ours")
	task.Authority = secagg.AuthorityDigest(authority.Public().(ed25519.PublicKey))
	return s, task, secagg.Announcements{{Body: []byte("first")}, {}, {Body: []byte("third"), LeftOut: true}, {Body: []byte("fourth")}}
}

func TestAnnouncementsReachTheSessionBeforeAndAfterACrash(t *testing.T) {
	s, task, announced := announcing(t)
	seen := &witness{}
	policy := policyOf("c0")
	policy.Consent = client.Limits{Minimum: 1, TrustCoordinator: true, Committees: []secagg.Digest{task.Terms.Committee.Root()}}
	policy.Schemes = []secagg.ClientScheme{seen}
	p, err := client.Accept(policy, task, bytes.NewReader(make([]byte, 32)))
	require.NoError(t, err)
	s.announced = announced.Encode()
	fx := sealed(t, s, p)
	want, err := task.Session(s.roster, announced)
	require.NoError(t, err)
	require.Equal(t, &want, seen.made)
	require.Equal(t, announced.Root(task.Terms.Committee), seen.made.Binding.Committee)

	_, again, err := client.Resume(policy, fx.Record)
	require.NoError(t, err)
	require.Equal(t, client.Effects{Send: fx.Send, Upload: true}, again)
	require.Equal(t, &want, seen.resumed)
}

func TestAnnouncementsThatAreNotTheCommitteesAreRefused(t *testing.T) {
	_, _, announced := announcing(t)
	for name, c := range map[string]struct {
		said []byte
		err  error
	}{
		"none":      {nil, secagg.ErrCommittee},
		"too few":   {announced[:3].Encode(), secagg.ErrCommittee},
		"too many":  {append(announced[:4:4], secagg.Announcement{}).Encode(), secagg.ErrCommittee},
		"no coding": {[]byte("garbage"), secagg.ErrEncoding},
	} {
		t.Run(name, func(t *testing.T) {
			s, task, _ := announcing(t)
			policy := policyOf("c0")
			policy.Consent = client.Limits{Minimum: 1, TrustCoordinator: true, Committees: []secagg.Digest{task.Terms.Committee.Root()}}
			p, err := client.Accept(policy, task, bytes.NewReader(make([]byte, 32)))
			require.NoError(t, err)
			s.announced = c.said
			_, err = p.Envelope(s.envelope(s.id(), 1))
			require.ErrorIs(t, err, c.err)
		})
	}
	s := newScript(t, whole...)
	s.announced = announced.Encode()
	_, err := accepted(t, s).Envelope(s.envelope(s.id(), 1))
	require.ErrorIs(t, err, secagg.ErrCommittee, "announcements of no committee")
}

// Under a committee the client leaves the credentials to its members, and so must know
// that they hold them against the authority that it pinned itself.
func TestRosterUnderACommitteeIsHeldAgainstTheAuthorityThatTheClientPinned(t *testing.T) {
	s, task, announced := announcing(t)
	policy := policyOf("c0")
	policy.Consent = client.Limits{Minimum: 1, TrustCoordinator: true, Committees: []secagg.Digest{task.Terms.Committee.Root()}}
	other := task
	other.Authority = secagg.AuthorityDigest(keyOf("another authority").Public().(ed25519.PublicKey))
	_, err := client.Accept(policy, other, bytes.NewReader(make([]byte, 32)))
	require.ErrorIs(t, err, client.ErrRoster)

	want, err := task.Session(s.roster, announced)
	require.NoError(t, err)
	otherwise, err := other.Session(s.roster, announced)
	require.NoError(t, err)
	require.NotEqual(t, want.Context, otherwise.Context, "the context binds the authority")
}

// asking is a scheme that asks its committee.
type asking struct{ phased }

func (asking) Announce(secagg.RoundID, secagg.Committee, int, secagg.DecryptorKeys, io.Reader) (secagg.Reply, error) {
	return secagg.Reply{}, secagg.ErrDead
}

func (asking) NewCommitteeParty(secagg.Session, int, secagg.DecryptorKeys, []byte) (secagg.CommitteeParty, error) {
	return nil, secagg.ErrDead
}

// A coordinator may name the pinned committee in a plan whose scheme has no use for it,
// and fill the roster with clients of its own making.
func TestInventedClientsAreRefusedUnlessTheSchemeAsksTheCommittee(t *testing.T) {
	for name, c := range map[string]struct {
		scheme secagg.ClientScheme
		want   error
	}{"scheme without a committee": {phased{}, client.ErrRoster}, "scheme with a committee": {asking{}, nil}} {
		t.Run(name, func(t *testing.T) {
			s, task, announced := announcing(t)
			policy := policyOf("c0")
			policy.Consent = client.Limits{Minimum: 1, TrustCoordinator: true, Committees: []secagg.Digest{task.Terms.Committee.Root()}}
			policy.Schemes = []secagg.ClientScheme{c.scheme}
			p, err := client.Accept(policy, task, bytes.NewReader(make([]byte, 32)))
			require.NoError(t, err)
			invented := secagg.Enrol(keyOf("another authority"), "c1", keyOf("c1").Public().(ed25519.PublicKey))
			s.roster, err = secagg.NewRoster([]secagg.Identity{identityOf("c0"), invented, identityOf("c2")})
			require.NoError(t, err)
			s.announced = announced.Encode()
			_, err = p.Envelope(s.envelope(s.id(), 1))
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestAttemptFallsBackOnlyUnderTermsThatSaySo(t *testing.T) {
	s := newScript(t, whole...)
	task := *s.offers[0].Task
	task.Fallback = true
	_, err := client.Accept(policyOf("c0"), task, bytes.NewReader(make([]byte, 32)))
	require.ErrorIs(t, err, secagg.ErrTerms)
	task.Terms.Fallback, task.Terms.Buckets = true, secagg.Buckets{Size: 2, Minimum: 1}
	_, err = client.Accept(policyOf("c0"), task, bytes.NewReader(make([]byte, 32)))
	require.NoError(t, err)
}
