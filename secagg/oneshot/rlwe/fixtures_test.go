package rlwe

import (
	"math/rand/v2"
	"testing"

	"github.com/choir-fl/choir/secagg/field"
	"github.com/stretchr/testify/require"
)

func mustCheck(t testing.TB, l Literal) Parameters {
	t.Helper()
	p, err := l.Check()
	require.NoError(t, err)
	return p
}

func coinsOf(b byte) *field.Stream { return field.NewStream([32]byte{b, 0xc0}) }

var aContext = [32]byte{1, 2, 3}

// member is one client: its words and its secret.
type member struct {
	words  []uint32
	secret []int32
	vector []byte
}

// randomMembers seals n vectors whose sums stay below 2^Width.
func randomMembers(t testing.TB, p Parameters, context [32]byte, n int, rng *rand.Rand) []member {
	t.Helper()
	out := make([]member, n)
	for i := range out {
		m := &out[i]
		m.words = make([]uint32, p.Words())
		for j := range m.words {
			m.words[j] = uint32(rng.Uint64N(1<<p.Width()) / uint64(n))
		}
		m.secret = drawSecret(t, p, rng)
		m.vector = sealVector(t, p, context, m.secret, m.words, rng)
	}
	return out
}

func seeded(rng *rand.Rand) *field.Stream {
	var key [32]byte
	for i := range key {
		key[i] = byte(rng.Uint32())
	}
	return field.NewStream(key)
}

func drawSecret(t testing.TB, p Parameters, rng *rand.Rand) []int32 {
	t.Helper()
	secret, err := p.NewSecret(seeded(rng))
	require.NoError(t, err)
	return secret
}

func sealVector(t testing.TB, p Parameters, context [32]byte, secret []int32, words []uint32, rng *rand.Rand) []byte {
	t.Helper()
	s, err := NewSealer(p, context, secret, seeded(rng))
	require.NoError(t, err)
	defer s.Erase()
	out := make([]byte, p.Bytes())
	for c := range p.Chunks() {
		first := c * p.ChunkWords()
		require.NoError(t, s.Seal(pieceOf(p, out, c), c, words[first:first+p.WordsOf(c)]))
	}
	return out
}

func pieceOf(p Parameters, vector []byte, chunk int) []byte {
	return vector[chunk*p.ChunkBytes() : (chunk+1)*p.ChunkBytes()]
}

func addVector(t testing.TB, s *Sum, vector []byte) {
	t.Helper()
	for c := range s.p.Chunks() {
		require.NoError(t, s.Check(c, pieceOf(s.p, vector, c)))
		require.NoError(t, s.Add(c, pieceOf(s.p, vector, c)))
	}
}

// totals are the plain sums of the members' words and secrets.
func totals(members []member) (words []uint32, secret []int32) {
	words, secret = make([]uint32, len(members[0].words)), make([]int32, len(members[0].secret))
	for _, m := range members {
		for i, x := range m.words {
			words[i] += x
		}
		for i, x := range m.secret {
			secret[i] += x
		}
	}
	return words, secret
}

// openSum opens all chunks and stops at the first refusal.
func openSum(t testing.TB, s *Sum, context [32]byte, secret []int32, members int) ([]uint32, error) {
	t.Helper()
	o, err := NewOpener(s.p, context, secret, members)
	require.NoError(t, err)
	defer o.Erase()
	out := make([]uint32, s.p.Words())
	for c := range s.p.Chunks() {
		first := c * s.p.ChunkWords()
		if err := o.Open(s, c, out[first:first+s.p.WordsOf(c)]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// small is a vector of two chunks, the second one short, in the smaller ring.
func small(t testing.TB) Parameters {
	return mustCheck(t, Literal{Set: "S", Clients: 100, Words: 3000, WordBits: 20})
}

func smallM(t testing.TB) Parameters {
	return mustCheck(t, Literal{Set: "M", Clients: 100, Words: 12500, WordBits: 28})
}
