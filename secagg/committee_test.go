package secagg

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// joined makes m entries of a committee.
func joined(committee string, m int) []Decryptor {
	out := make([]Decryptor, m)
	for j := range out {
		out[j] = Join(signer(byte(0x40+j)), committee, PartyID(fmt.Sprintf("org-%02d", j)))
	}
	return out
}

func sampleCommittee(t testing.TB, m, corrupt int) Committee {
	t.Helper()
	c, err := NewCommittee("board", joined("board", m), corrupt)
	require.NoError(t, err)
	return c
}

// rosterOf enrols n clients.
func rosterOf(t testing.TB, n int) Roster {
	t.Helper()
	members := make([]Identity, n)
	for i := range members {
		members[i] = enrolled(PartyID(fmt.Sprintf("client-%05d", i)), byte(2+i))
	}
	r, err := NewRoster(members)
	require.NoError(t, err)
	return r
}

func TestQuorumsOfEverySizeAndCorruption(t *testing.T) {
	// DESIGN section 6: m = 4: c = 1, q = 3; m = 7: c = 2, q = 5; m = 16: c = 5, q = 11.
	for m, want := range map[int][2]int{4: {1, 3}, 7: {2, 5}, 16: {5, 11}} {
		c := sampleCommittee(t, m, (m-1)/3)
		require.Equal(t, want, [2]int{c.Corrupt(), c.Quorum()}, "m = %d", m)
	}
	for m := MinCommittee; m <= MaxCommittee; m++ {
		for corrupt := 1; corrupt <= (m-1)/3; corrupt++ {
			c := sampleCommittee(t, m, corrupt)
			q := c.Quorum()
			require.Greater(t, 2*q, m+corrupt, "two quorums of %d share more than the corrupt", m)
			require.LessOrEqual(t, 2*(q-1), m+corrupt, "and fewer would not")
			require.LessOrEqual(t, q, m-corrupt, "the honest alone are a quorum")
			require.GreaterOrEqual(t, q-corrupt, corrupt+1, "the honest in a quorum determine a share of degree c")
			require.Equal(t, [2]int{m, corrupt}, [2]int{c.Len(), c.Corrupt()})
		}
	}
}

func TestCommitteeIsSortedWhateverTheOrderOfItsFile(t *testing.T) {
	want := sampleCommittee(t, 7, 2)
	members := joined("board", 7)
	slices.Reverse(members)
	got, err := NewCommittee("board", members, 2)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, PartyID("org-06"), members[0].ID, "the caller's list is left as it was")
	require.Equal(t, "board", got.Name())
	for j := range 7 {
		require.Equal(t, j, got.Index(got.At(j).ID))
	}
	require.Equal(t, -1, got.Index("stranger"))
}

func TestCommitteesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		name    string
		members func() []Decryptor
		corrupt int
	}{
		"no name":           {"", func() []Decryptor { return joined("", 4) }, 1},
		"name out of form":  {"The Board", func() []Decryptor { return joined("The Board", 4) }, 1},
		"nobody":            {"board", func() []Decryptor { return nil }, 1},
		"three":             {"board", func() []Decryptor { return joined("board", 3) }, 1},
		"seventeen":         {"board", func() []Decryptor { return joined("board", 17) }, 1},
		"none corrupt":      {"board", func() []Decryptor { return joined("board", 4) }, 0},
		"negative":          {"board", func() []Decryptor { return joined("board", 4) }, -1},
		"two of four":       {"board", func() []Decryptor { return joined("board", 4) }, 2},
		"two of six":        {"board", func() []Decryptor { return joined("board", 6) }, 2},
		"three of nine":     {"board", func() []Decryptor { return joined("board", 9) }, 3},
		"other committee's": {"board", func() []Decryptor { return joined("other", 4) }, 1},
		"name twice": {"board", func() []Decryptor {
			return append(joined("board", 4), Join(signer(0x60), "board", "org-00"))
		}, 1},
		"key twice": {"board", func() []Decryptor {
			return append(joined("board", 4), Join(signer(0x40), "board", "org-09"))
		}, 1},
		"member out of form": {"board", func() []Decryptor {
			return append(joined("board", 4), Join(signer(0x60), "board", "Org"))
		}, 1},
		"member with the address of one": {"board", func() []Decryptor {
			return append(joined("board", 4), Join(signer(0x60), "board", "decryptor:org-00"))
		}, 1},
		"signature of another": {"board", func() []Decryptor {
			m := joined("board", 4)
			m[0].Signature = m[1].Signature
			return m
		}, 1},
		"name of another": {"board", func() []Decryptor {
			m := joined("board", 4)
			m[0].ID = "org-09"
			return m
		}, 1},
		"key of another": {"board", func() []Decryptor {
			m := joined("board", 4)
			m[0].Key = Join(signer(0x60), "board", "org-00").Key
			return m
		}, 1},
		"no signature": {"board", func() []Decryptor {
			m := joined("board", 4)
			m[3].Signature = [64]byte{}
			return m
		}, 1},
	} {
		_, err := NewCommittee(c.name, c.members(), c.corrupt)
		require.ErrorIs(t, err, ErrCommittee, name)
	}
}

func TestMembersSignUnderTheirOwnKeyAlone(t *testing.T) {
	c, context := sampleCommittee(t, 4, 1), Hash("context")
	sig := Sign(signer(0x40), "agree", context, []byte("set"))
	require.NoError(t, c.At(0).VerifyStatement(sig, "agree", context, []byte("set")))
	require.ErrorIs(t, c.At(1).VerifyStatement(sig, "agree", context, []byte("set")), ErrSignature, "another member")
	require.ErrorIs(t, c.At(0).VerifyStatement(sig, "agree", Hash("other"), []byte("set")), ErrSignature, "another context")
	require.ErrorIs(t, c.At(0).VerifyStatement(sig, "seed", context, []byte("set")), ErrSignature, "another label")
	require.ErrorIs(t, c.At(0).VerifyStatement(sig, "agree", context, []byte("tes")), ErrSignature, "other parts")
}

func TestCommitteeHasOneEncoding(t *testing.T) {
	for _, m := range []int{4, 5, 16} {
		c := sampleCommittee(t, m, 1)
		back, err := DecodeCommittee(c.Encode())
		require.NoError(t, err)
		require.Equal(t, c, back)
	}
	none, err := DecodeCommittee(nil)
	require.NoError(t, err)
	require.Equal(t, Committee{}, none)
	require.Empty(t, none.Encode())
	require.Zero(t, none.Quorum())

	encode := func(name string, corrupt uint64, members []Decryptor) []byte {
		items := make([][]byte, len(members))
		for i, d := range members {
			items[i] = Identity{ID: d.ID, Key: d.Key, Credential: d.Signature}.Encode()
		}
		var e Encoder
		e.String(1, name)
		e.Uint(2, corrupt)
		e.List(3, items)
		return e.Encoded()
	}
	members := joined("board", 5)
	require.Equal(t, sampleCommittee(t, 5, 1).Encode(), encode("board", 1, members))
	turned := slices.Clone(members)
	turned[1], turned[2] = turned[2], turned[1]
	for name, b := range map[string][]byte{
		"unsorted":        encode("board", 1, turned),
		"too few":         encode("board", 1, members[:3]),
		"too many":        encode("board", 1, joined("board", 17)),
		"none corrupt":    encode("board", 0, members),
		"many corrupt":    encode("board", 17, members),
		"other name":      encode("other", 1, members),
		"name alone":      encode("board", 0, nil),
		"something after": append(encode("board", 1, members), 4, 1, 1),
		"cut":             encode("board", 1, members)[:200],
	} {
		_, err := DecodeCommittee(b)
		require.Error(t, err, name)
	}
}

func TestRootChangesWithEachPartOfACommittee(t *testing.T) {
	seen := map[Digest]string{}
	for name, c := range map[string]func() (Committee, error){
		"sample":         func() (Committee, error) { return NewCommittee("board", joined("board", 7), 2) },
		"other name":     func() (Committee, error) { return NewCommittee("other", joined("other", 7), 2) },
		"less corrupt":   func() (Committee, error) { return NewCommittee("board", joined("board", 7), 1) },
		"a member fewer": func() (Committee, error) { return NewCommittee("board", joined("board", 7)[:6], 1) },
		"another key": func() (Committee, error) {
			return NewCommittee("board", append(joined("board", 6), Join(signer(0x60), "board", "org-06")), 2)
		},
		"another member": func() (Committee, error) {
			return NewCommittee("board", append(joined("board", 6), Join(signer(0x46), "board", "org-07")), 2)
		},
	} {
		made, err := c()
		require.NoError(t, err)
		require.NotEqual(t, Digest{}, made.Root())
		require.NotContains(t, seen, made.Root(), name)
		seen[made.Root()] = name
	}
	require.Equal(t, Hash("choir committee/1", sampleCommittee(t, 4, 1).Encode()), sampleCommittee(t, 4, 1).Root())
}

func TestRootOfAnnouncementsChangesWithEachOfThem(t *testing.T) {
	c := sampleCommittee(t, 4, 1)
	sample := Announcements{{Body: []byte("a")}, {}, {Body: []byte("c"), LeftOut: true}, {Body: []byte("d")}}
	seen := map[Digest]string{sample.Root(c): "sample"}
	for name, change := range map[string]func(Announcements){
		"another body":     func(a Announcements) { a[0].Body = []byte("b") },
		"one more there":   func(a Announcements) { a[1].Body = []byte("b") },
		"one fewer there":  func(a Announcements) { a[0].Body = nil },
		"two turned":       func(a Announcements) { a[0], a[3] = a[3], a[0] },
		"one more out":     func(a Announcements) { a[0].LeftOut = true },
		"one fewer out":    func(a Announcements) { a[2].LeftOut = false },
		"absent but out":   func(a Announcements) { a[1].LeftOut = true },
		"bodies run on":    func(a Announcements) { a[0].Body, a[3].Body = []byte("ad"), nil },
		"everybody absent": func(a Announcements) { clear(a) },
	} {
		a := slices.Clone(sample)
		change(a)
		require.NotContains(t, seen, a.Root(c), name)
		seen[a.Root(c)] = name
	}
	require.NotContains(t, seen, sample.Root(sampleCommittee(t, 5, 1)), "another committee")
	require.Equal(t, Digest{}, Announcements(nil).Root(Committee{}), "the context of schemes without a committee is as it was")
}

func TestAnnouncementsHaveOneEncoding(t *testing.T) {
	for _, a := range []Announcements{
		{{Body: []byte("a")}, {}, {LeftOut: true}, {Body: bytes.Repeat([]byte{1}, maxAnnouncement), LeftOut: true}},
		{{}, {}, {}, {}},
	} {
		back, err := DecodeAnnouncements(a.Encode())
		require.NoError(t, err)
		require.Equal(t, a.Present(), back.Present())
		require.Equal(t, a.Encode(), back.Encode())
		require.Len(t, back, len(a))
	}
	none, err := DecodeAnnouncements(nil)
	require.NoError(t, err)
	require.Nil(t, none)
	require.Empty(t, none.Encode())
	require.Equal(t, []int{0, 3}, Announcements{{Body: []byte("a")}, {}, {LeftOut: true, Body: []byte{}}, {Body: []byte("d")}}.Present(),
		"an empty body is none: it is not encoded")

	for name, b := range map[string][]byte{
		"too many":        make(Announcements, MaxCommittee+1).Encode(),
		"too long":        Announcements{{Body: make([]byte, maxAnnouncement+1)}}.Encode(),
		"unknown field":   {1, 4, 3, 3, 1, 1},
		"something after": append(Announcements{{Body: []byte("a")}}.Encode(), 2, 1, 1),
		"cut":             {1, 4, 3},
	} {
		_, err := DecodeAnnouncements(b)
		require.ErrorIs(t, err, ErrEncoding, name)
	}
}

func FuzzDecodeCommittee(f *testing.F) {
	f.Add(sampleCommittee(f, 4, 1).Encode())
	f.Add(sampleCommittee(f, 16, 5).Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := DecodeCommittee(b); err == nil {
			requireSame(t, b, c.Encode())
			for j := range c.Len() {
				require.NoError(t, c.At(j).Verify(c.Name()))
			}
		}
	})
}

func FuzzDecodeAnnouncements(f *testing.F) {
	f.Add(Announcements{{Body: []byte("a")}, {}, {LeftOut: true}, {Body: []byte("d"), LeftOut: true}}.Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := DecodeAnnouncements(b); err == nil {
			requireSame(t, b, a.Encode())
			require.LessOrEqual(t, len(a), MaxCommittee)
		}
	})
}
