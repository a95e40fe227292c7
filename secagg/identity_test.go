package secagg

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// signer makes a key from one byte; the same byte gives the same key.
func signer(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// enrolled makes an identity whose authority is signer(1).
func enrolled(id PartyID, b byte) Identity { return Enrol(signer(1), id, public(signer(b))) }

func sampleRoster(t testing.TB) Roster {
	t.Helper()
	r, err := NewRoster([]Identity{enrolled("bob", 3), enrolled("alice", 2), enrolled("carol-2.x_y", 4)})
	require.NoError(t, err)
	return r
}

func TestPartyNamesHaveOneForm(t *testing.T) {
	for _, good := range []PartyID{"a", "0", "client-00001", "a.b_c-d", "a..b", PartyID(strings.Repeat("z", MaxPartyID))} {
		require.True(t, good.Valid(), "%q", good)
	}
	for _, bad := range []PartyID{"", ".", "..", "-a", "_a", ".a", "A", "aB", "a b", "a/b", "a\\b", "a\n", "a\x00", "ä", "a\xff", "a:b",
		PartyID(strings.Repeat("z", MaxPartyID+1))} {
		require.False(t, bad.Valid(), "%q", bad)
	}
}

func TestIdentityIsVerifiedAgainstItsAuthorityAlone(t *testing.T) {
	good := enrolled("alice", 2)
	require.NoError(t, good.Verify(public(signer(1))))

	for name, change := range map[string]func(*Identity){
		"other name":       func(i *Identity) { i.ID = "bob" },
		"name out of form": func(i *Identity) { *i = Enrol(signer(1), "Alice", public(signer(2))) },
		"other key":        func(i *Identity) { copy(i.Key[:], public(signer(3))) },
		"changed key":      func(i *Identity) { i.Key[0] ^= 1 },
		"changed signature": func(i *Identity) {
			i.Credential[0] ^= 1
		},
		"no signature":          func(i *Identity) { i.Credential = [64]byte{} },
		"signed by itself":      func(i *Identity) { *i = Enrol(signer(2), "alice", public(signer(2))) },
		"credential of another": func(i *Identity) { i.Credential = enrolled("alice2", 2).Credential },
		"name and key run on":   func(i *Identity) { i.ID = "alic" },
		"the zero identity":     func(i *Identity) { *i = Identity{} },
		"signature as if no hash": func(i *Identity) {
			copy(i.Credential[:], ed25519.Sign(signer(1), append([]byte("alice"), i.Key[:]...)))
		},
	} {
		bad := good
		change(&bad)
		require.ErrorIs(t, bad.Verify(public(signer(1))), ErrIdentity, name)
	}
	require.ErrorIs(t, good.Verify(public(signer(9))), ErrIdentity, "another authority")
	require.ErrorIs(t, good.Verify(nil), ErrIdentity, "no authority")
	require.ErrorIs(t, good.Verify(public(signer(1))[:31]), ErrIdentity, "half an authority")
}

func TestIdentitySurvivesItsEncodingAndNothingElseDoes(t *testing.T) {
	id := enrolled("alice", 2)
	back, err := DecodeIdentity(id.Encode())
	require.NoError(t, err)
	require.Equal(t, id, back)

	encode := func(name string, key, credential []byte) []byte {
		var e Encoder
		e.String(1, name)
		e.Bytes(2, key)
		e.Bytes(3, credential)
		return e.Encoded()
	}
	for name, b := range map[string][]byte{
		"nothing":           {},
		"no name":           encode("", id.Key[:], id.Credential[:]),
		"name out of form":  encode("Alice", id.Key[:], id.Credential[:]),
		"no key":            encode("alice", nil, id.Credential[:]),
		"short key":         encode("alice", id.Key[:31], id.Credential[:]),
		"no credential":     encode("alice", id.Key[:], nil),
		"long credential":   encode("alice", id.Key[:], append(id.Credential[:], 1)),
		"something after":   append(id.Encode(), 4, 1, 1),
		"half of it":        id.Encode()[:50],
		"of another record": sampleRoster(t).Encode(),
	} {
		_, err := DecodeIdentity(b)
		require.ErrorIs(t, err, ErrEncoding, name)
	}
}

func TestRosterIsSortedAndNamesNobodyTwice(t *testing.T) {
	r := sampleRoster(t)
	require.Equal(t, 3, r.Len())
	for i, id := range []PartyID{"alice", "bob", "carol-2.x_y"} {
		require.Equal(t, id, r.At(i).ID)
		require.Equal(t, i, r.Index(id))
	}
	for _, id := range []PartyID{"", "aaron", "alicf", "zed"} {
		require.Equal(t, -1, r.Index(id), "%q", id)
	}
	require.Equal(t, -1, Roster{}.Index("alice"))

	turned, err := NewRoster([]Identity{r.At(2), r.At(1), r.At(0)})
	require.NoError(t, err)
	require.Equal(t, r.Root(), turned.Root(), "who came first does not matter")
	require.Equal(t, r.Encode(), turned.Encode())

	for name, members := range map[string][]Identity{
		"nobody":         nil,
		"the same twice": {enrolled("alice", 2), enrolled("alice", 2)},
		"a name twice":   {enrolled("alice", 2), enrolled("alice", 3)},
		"a key twice":    {enrolled("alice", 2), enrolled("bob", 2)},
	} {
		_, err := NewRoster(members)
		require.ErrorIs(t, err, ErrRoster, name)
	}
}

func TestRosterRootChangesWithEachPartOfEachMember(t *testing.T) {
	roots := map[Digest]string{sampleRoster(t).Root(): "sample"}
	for name, members := range map[string][]Identity{
		"one less":        {enrolled("alice", 2), enrolled("bob", 3)},
		"one more":        {enrolled("alice", 2), enrolled("bob", 3), enrolled("carol-2.x_y", 4), enrolled("dave", 5)},
		"another name":    {enrolled("alice", 2), enrolled("bob", 3), enrolled("carol", 4)},
		"another key":     {enrolled("alice", 2), enrolled("bob", 3), enrolled("carol-2.x_y", 5)},
		"another enroler": {enrolled("alice", 2), enrolled("bob", 3), Enrol(signer(9), "carol-2.x_y", public(signer(4)))},
	} {
		r, err := NewRoster(members)
		require.NoError(t, err, name)
		require.NotContains(t, roots, r.Root(), name)
		roots[r.Root()] = name
	}
}

func TestRosterSurvivesItsEncodingAndRefusesAnotherOrder(t *testing.T) {
	r := sampleRoster(t)
	back, err := DecodeRoster(r.Encode())
	require.NoError(t, err)
	require.Equal(t, r, back)

	encode := func(items ...[]byte) []byte {
		var e Encoder
		e.List(1, items)
		return e.Encoded()
	}
	a, b := r.At(0).Encode(), r.At(1).Encode()
	for name, c := range map[string]struct {
		b   []byte
		err error
	}{
		"nobody":         {nil, ErrRoster},
		"unsorted":       {encode(b, a), ErrRoster},
		"the same twice": {encode(a, a), ErrRoster},
		"an empty item":  {encode(a, nil), ErrEncoding},
		"not a member":   {encode(a, []byte{1}), ErrEncoding},
		"cut":            {encode(a, b)[:100], ErrEncoding},
	} {
		_, err := DecodeRoster(c.b)
		require.ErrorIs(t, err, c.err, name)
	}
}

func TestLargestRosterFitsIntoOneEnvelope(t *testing.T) {
	members := make([]Identity, MaxRoster)
	for i := range members {
		members[i] = Identity{ID: PartyID(fmt.Sprintf("%064d", i)), Credential: [64]byte{1}}
		copy(members[i].Key[:], fmt.Sprintf("%032d", i))
	}
	r, err := NewRoster(members)
	require.NoError(t, err)
	env := Envelope{Round: RoundID{"job", 1, 1}, Step: 1, Roster: r.Encode(), Body: make([]byte, 1<<20)}
	back, err := DecodeEnvelope(env.Encode())
	require.NoError(t, err)
	got, err := DecodeRoster(back.Roster)
	require.NoError(t, err)
	require.Equal(t, r.Root(), got.Root())

	_, err = NewRoster(append(members, Identity{ID: "one-more", Credential: [64]byte{1}}))
	require.ErrorIs(t, err, ErrRoster)
}
