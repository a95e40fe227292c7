package pairwise

import (
	"bytes"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// fuzzMembers is the length of the roster that the fuzzed decoders assume.
const fuzzMembers = 11

// reencoders decode and encode again, one for each form that comes from outside.
var reencoders = []struct {
	name  string
	again func(b []byte) ([]byte, error)
}{
	{"envelope", func(b []byte) ([]byte, error) {
		context, phase, body, err := openEnvelope(b)
		return envelope(context, phase, body), err
	}},
	{"parameters", func(b []byte) ([]byte, error) {
		p, err := DecodeParameters(b)
		if err != nil {
			return nil, err
		}
		return p.Encode(), nil
	}},
	{"advertisement", func(b []byte) ([]byte, error) { m, err := decodeAdvertisement(b); return m.encode(), err }},
	{"listing", func(b []byte) ([]byte, error) { m, err := decodeListing(b, fuzzMembers); return m.encode(), err }},
	{"choice", func(b []byte) ([]byte, error) { m, err := decodeChoice(b, fuzzMembers); return m.encode(), err }},
	{"introduction", func(b []byte) ([]byte, error) { m, err := decodeIntroduction(b, fuzzMembers); return m.encode(), err }},
	{"part", func(b []byte) ([]byte, error) { m, err := decodePart(b, fuzzMembers); return m.encode(), err }},
	{"sharing", func(b []byte) ([]byte, error) { m, err := decodeSharing(b, fuzzMembers); return m.encode(), err }},
	{"parcel", func(b []byte) ([]byte, error) { m, err := decodeParcel(b); return m.encode(), err }},
	{"delivery", func(b []byte) ([]byte, error) { m, err := decodeDelivery(b, fuzzMembers); return m.encode(), err }},
	{"survivors", func(b []byte) ([]byte, error) {
		s, err := decodeSurvivors(b, fuzzMembers)
		return encodeSurvivors(s), err
	}},
	{"agreement", func(b []byte) ([]byte, error) { s, err := decodeAgreement(b); return encodeAgreement(s), err }},
	{"quorum", func(b []byte) ([]byte, error) { m, err := decodeQuorum(b, fuzzMembers); return m.encode(), err }},
	{"answer", func(b []byte) ([]byte, error) { m, err := decodeAnswer(b, fuzzMembers); return m.encode(), err }},
}

// samples returns one valid encoding of each form.
func samples() map[string][]byte {
	fill := func(size int) []byte { return bytes.Repeat([]byte{5}, size) }
	some := setOf(fuzzMembers, 1, 8, 10)
	three := [][]byte{fill(3), fill(1), fill(200)}
	return map[string][]byte{
		"envelope":      envelope(secagg.Hash("x"), phaseShare, fill(9)),
		"parameters":    Parameters{Corrupt: 50_000, Dropout: 1, CrossSilo: true, Attempts: 3}.Encode(),
		"advertisement": (&advertisement{fill(publicKeySize), fill(publicKeySize), fill(keySize), fill(signatureSize)}).encode(),
		"listing":       (&listing{some, fill(3 * keySize)}).encode(),
		"choice":        (&choice{fill(keySize), some, fill(signatureSize)}).encode(),
		"introduction":  (&introduction{some, three, three}).encode(),
		"part":          (&part{0, fill(kemSize), fill(sealedSize), fill(kemSize)}).encode(),
		"sharing":       (&sharing{three, fill(signatureSize)}).encode(),
		"parcel":        (&parcel{fill(7), 5, fill(96), fill(signatureSize)}).encode(),
		"delivery":      (&delivery{some, three}).encode(),
		"survivors":     encodeSurvivors(some),
		"agreement":     encodeAgreement(fill(signatureSize)),
		"quorum":        (&quorum{some, fill(3 * signatureSize), some, three}).encode(),
		"answer":        (&answer{some, fill(3 * keySize)}).encode(),
	}
}

func TestEveryFormDecodesToTheSameBytes(t *testing.T) {
	all := samples()
	for _, r := range reencoders {
		b, ok := all[r.name]
		require.True(t, ok, r.name)
		again, err := r.again(b)
		require.NoError(t, err, r.name)
		require.Equal(t, b, again, r.name)
		// A field too many and every cut are refused.
		_, err = r.again(append(slices.Clone(b), 9, 1, 1))
		require.Error(t, err, r.name)
		for cut := range b {
			if got, err := r.again(b[:cut]); err == nil {
				require.Equal(t, b[:cut], got, "%s cut at %d", r.name, cut)
			}
		}
	}
}

// FuzzDecoders replays bytes into every decoder: what is accepted encodes to the
// same bytes again.
func FuzzDecoders(f *testing.F) {
	all := samples()
	for i, r := range reencoders {
		f.Add(uint8(i), all[r.name])
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		r := reencoders[int(which)%len(reencoders)]
		if again, err := r.again(b); err == nil && !bytes.Equal(again, b) {
			t.Fatalf("%s: %x became %x", r.name, b, again)
		}
	})
}

// FuzzRecord replays bytes into a resumed party.
func FuzzRecord(f *testing.F) {
	a := newAttempt(f, 1)
	var s secagg.Session = a.Session
	tombstone := inside(a, 1).tombstone()
	f.Add(tombstone)
	a.Answered = func(phase secagg.Phase, i int, reply secagg.Reply) secagg.Party {
		if i == 1 && reply.Record != nil {
			f.Add(reply.Record)
		}
		return a.Parties[i]
	}
	if _, err := a.Run(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Scheme{}.ResumeParty(s, 1, a.Cohort.Keys[1], b)
		if err != nil {
			require.ErrorIs(t, err, secagg.ErrTombstone)
			return
		}
		q := p.(*party)
		require.GreaterOrEqual(t, q.answered, phaseUpload)
		require.Equal(t, b, q.record(q.reply.Message))
	})
}

func TestSets(t *testing.T) {
	s := setOf(19, 0, 7, 8, 18)
	require.Equal(t, []int{0, 7, 8, 18}, s.members())
	require.Equal(t, 4, s.count())
	require.Equal(t, 0, s.before(0))
	require.Equal(t, 1, s.before(7))
	require.Equal(t, 3, s.before(18))
	require.True(t, setOf(19, 7).within(s))
	require.False(t, setOf(19, 6).within(s))
	require.Equal(t, 2, s.countBoth(setOf(19, 1, 7, 8)))
	s.remove(7)
	require.False(t, s.has(7))
	_, ok := decodeSet([]byte{0, 0, 8}, 19)
	require.False(t, ok, "a bit beyond the roster")
	_, ok = decodeSet([]byte{0, 0}, 19)
	require.False(t, ok)
	_, ok = decodeSet([]byte{1, 2, 4}, 19)
	require.True(t, ok)
}

func TestTreePathsLeadToTheRootFromTheirOwnPlaceOnly(t *testing.T) {
	for n := 1; n <= 9; n++ {
		parts := make([][]byte, n)
		for i := range parts {
			parts[i] = []byte{byte(i), 1}
		}
		tr := newTree(parts)
		for i := range parts {
			root, ok := rootOf(parts[i], i, tr.path(i))
			require.True(t, ok)
			require.Equal(t, tr.root(), root)
			other, ok := rootOf(parts[(i+1)%n], i, tr.path(i))
			require.True(t, ok)
			require.Equal(t, n == 1, other == root)
		}
		_, ok := rootOf(parts[0], 1<<len(tr), tr.path(0))
		require.False(t, ok, "a place outside the tree")
	}
	_, ok := rootOf([]byte("x"), 0, make([]byte, 32*(maxPath+1)))
	require.False(t, ok)
	// An inner node is no leaf.
	parts := [][]byte{{1}, {2}, {3}, {4}}
	tr := newTree(parts)
	root, _ := rootOf(slices.Concat(tr[0][0][:], tr[0][1][:]), 0, tr.path(0)[32:])
	require.NotEqual(t, tr.root(), root)
}
