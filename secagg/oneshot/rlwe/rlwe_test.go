package rlwe

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSealIsWhatTheManualSays(t *testing.T) {
	for _, p := range []Parameters{small(t), smallM(t)} {
		t.Run(p.Set(), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			secret := drawSecret(t, p, rng)
			chunk := p.Chunks() - 1 // the short one
			words := make([]uint32, p.WordsOf(chunk))
			for i := range words {
				words[i] = rng.Uint32() >> (32 - p.Width())
			}
			coins := make([]byte, coinBytes(p.N()))
			_, err := coinsOf(7).Read(coins)
			require.NoError(t, err)
			s, err := NewSealer(p, aContext, secret, coinsOf(7))
			require.NoError(t, err)
			got := make([]byte, p.ChunkBytes())
			require.NoError(t, s.Seal(got, chunk, words))
			require.Equal(t, slowSeal(t, p, aContext, secret, coins, chunk, words), got)
		})
	}
}

func TestOpenedSumsAreThePlainSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, set := range []string{"M", "S"} {
		for width := MinWordBits; width <= MaxWordBits; width += 1 + rng.IntN(4) {
			l := Literal{Set: set, Clients: 1 + rng.IntN(5000), Words: 1, WordBits: width}
			full := mustCheck(t, l).ChunkWords()
			for _, words := range []int{1, full - 1, full, full + 1, 1 + rng.IntN(2*full)} {
				l.Words = words
				p := mustCheck(t, l)
				n := 1 + rng.IntN(min(4, l.Clients))
				t.Run(fmt.Sprintf("%s/w=%d/words=%d/n=%d", set, width, words, n), func(t *testing.T) {
					members := randomMembers(t, p, aContext, n, rng)
					sum := NewSum(p)
					for _, m := range members {
						addVector(t, sum, m.vector)
					}
					want, secret := totals(members)
					got, err := openSum(t, sum, aContext, secret, n)
					require.NoError(t, err)
					require.Equal(t, want, got)
				})
			}
		}
	}
}

// The worst that honest clients can do: all errors and all words at their bounds.
func TestSumsOpenAtTheBounds(t *testing.T) {
	for _, l := range []Literal{
		{Set: "M", Clients: 5140, Words: 3 * 4096, WordBits: 28},
		{Set: "M", Clients: 5141, Words: 3 * 4096, WordBits: 28},
		{Set: "M", Clients: MaxClients, Words: 5 * 4096, WordBits: 16},
		{Set: "S", Clients: 5140, Words: 2048, WordBits: 32},
		{Set: "S", Clients: 10280, Words: 2048, WordBits: 16},
	} {
		for _, noise := range []int64{-1, 0, 1} {
			p := mustCheck(t, l)
			sum, key := NewSum(p), make([]int32, p.N())
			want := make([]uint32, p.Words())
			for i := range want {
				want[i] = uint32(1<<p.Width() - 1)
			}
			setChunk(t, sum, noise*int64(errorBound*l.Clients), want)
			got, err := openSum(t, sum, aContext, key, l.Clients)
			require.NoError(t, err, "%+v", l)
			require.Equal(t, want, got)

			// One more in the noise is refused.
			if noise != 0 {
				setChunk(t, sum, noise*int64(errorBound*l.Clients+1), want)
				_, err = openSum(t, sum, aContext, key, l.Clients)
				require.ErrorIs(t, err, ErrNoise)
			}
		}
	}
}

// setChunk makes chunk 0 the encryption of words under the zero key with the same
// noise in each coefficient.
func setChunk(t *testing.T, sum *Sum, noise int64, words []uint32) {
	t.Helper()
	p := sum.p
	s, err := NewSealer(p, aContext, make([]int32, p.N()), coinsOf(1))
	require.NoError(t, err)
	for i := range s.errors {
		s.errors[i] = int32(noise)
	}
	s.encode(words)
	row := sum.chunk(0)
	for i := range s.limbs {
		s.limbs[i].transform(s.rows[i])
		copy(row[i*p.N():], s.rows[i])
	}
}

func TestMoreThanTheSlotsHoldIsRefused(t *testing.T) {
	for _, set := range []string{"M", "S"} {
		p := mustCheck(t, Literal{Set: set, Clients: 5, Words: 100, WordBits: 32})
		// Two words whose sum does not fit the last slot of a coefficient.
		words := make([]uint32, 100)
		words[p.Slots()-1] = 1 << 31
		sum, secret := NewSum(p), make([]int32, p.N())
		vector := sealVector(t, p, aContext, secret, words, rand.New(rand.NewPCG(1, 1)))
		addVector(t, sum, vector)
		_, err := openSum(t, sum, aContext, secret, 2)
		require.NoError(t, err)
		addVector(t, sum, vector)
		_, err = openSum(t, sum, aContext, secret, 2)
		require.ErrorIs(t, err, ErrNoise)
	}
}

func TestWordsBeyondTheVectorDoNoHarm(t *testing.T) {
	p := small(t)
	longer := mustCheck(t, Literal{Set: "S", Clients: 100, Words: 4096, WordBits: 20})
	rng := rand.New(rand.NewPCG(8, 8))
	m := randomMembers(t, longer, aContext, 1, rng)[0]
	sum := NewSum(p)
	addVector(t, sum, m.vector)
	got, err := openSum(t, sum, aContext, m.secret, 1)
	require.NoError(t, err)
	require.Equal(t, m.words[:3000], got)
}

func TestWrongKeysDoNotOpen(t *testing.T) {
	for _, p := range []Parameters{small(t), smallM(t)} {
		rng := rand.New(rand.NewPCG(5, 6))
		members := randomMembers(t, p, aContext, 3, rng)
		sum := NewSum(p)
		for _, m := range members {
			addVector(t, sum, m.vector)
		}
		_, secret := totals(members)
		for _, c := range []struct {
			name   string
			change func([]int32)
		}{
			{"one value off by one", func(s []int32) { s[rng.IntN(len(s))]++ }},
			{"a member's secret missing", func(s []int32) {
				for i, x := range members[0].secret {
					s[i] -= x
				}
			}},
			{"all zero", func(s []int32) { clear(s) }},
			{"turned by one place", func(s []int32) { copy(s, append(s[1:], -s[0])) }},
		} {
			t.Run(p.Set()+"/"+c.name, func(t *testing.T) {
				wrong := append([]int32(nil), secret...)
				c.change(wrong)
				_, err := openSum(t, sum, aContext, wrong, 3)
				require.ErrorIs(t, err, ErrNoise)
			})
		}
		t.Run(p.Set()+"/another context", func(t *testing.T) {
			_, err := openSum(t, sum, [32]byte{9}, secret, 3)
			require.ErrorIs(t, err, ErrNoise)
		})
	}
}

// Even where nearly every noise is within the bound of the largest cohort.
func TestWrongKeyDoesNotOpenTheFullestSum(t *testing.T) {
	for _, set := range []string{"M", "S"} {
		p := mustCheck(t, Literal{Set: set, Clients: 5140, Words: 100, WordBits: 16})
		rng := rand.New(rand.NewPCG(5, 7))
		m := randomMembers(t, p, aContext, 1, rng)[0]
		sum := NewSum(p)
		addVector(t, sum, m.vector)
		m.secret[5]++
		_, err := openSum(t, sum, aContext, m.secret, 5140)
		require.ErrorIs(t, err, ErrNoise)
	}
}

func TestTwoContextsDoNotMix(t *testing.T) {
	p := smallM(t)
	rng := rand.New(rand.NewPCG(6, 6))
	a, b := randomMembers(t, p, aContext, 1, rng)[0], randomMembers(t, p, [32]byte{4}, 1, rng)[0]
	sum := NewSum(p)
	addVector(t, sum, a.vector)
	addVector(t, sum, b.vector)
	_, secret := totals([]member{a, b})
	for _, context := range [][32]byte{aContext, {4}} {
		_, err := openSum(t, sum, context, secret, 2)
		require.ErrorIs(t, err, ErrNoise)
	}
}

// Every bit of a chunk counts: flipped, it leaves the field or shows as noise.
func TestFlippedBitsAreFound(t *testing.T) {
	for _, set := range []string{"M", "S"} {
		p := mustCheck(t, Literal{Set: set, Clients: 5000, Words: 100, WordBits: 16})
		rng := rand.New(rand.NewPCG(7, 7))
		m := randomMembers(t, p, aContext, 1, rng)[0]
		o, err := NewOpener(p, aContext, m.secret, 1)
		require.NoError(t, err)
		out := make([]uint32, 100)
		refused := 0
		positions := []int{0, 52, 53, 8*p.limbBytes() - 1, 8*p.ChunkBytes() - 1}
		for range 300 {
			positions = append(positions, rng.IntN(8*p.ChunkBytes()))
		}
		for _, at := range positions {
			m.vector[at/8] ^= 1 << (at % 8)
			sum := NewSum(p)
			if sum.Check(0, m.vector) != nil {
				refused++
			} else {
				require.NoError(t, sum.Add(0, m.vector))
				require.ErrorIs(t, o.Open(sum, 0, out), ErrNoise, "bit %d", at)
				require.Equal(t, make([]uint32, 100), out)
			}
			m.vector[at/8] ^= 1 << (at % 8)
		}
		require.Less(t, refused, len(positions)/10)
		sum := NewSum(p)
		addVector(t, sum, m.vector)
		require.NoError(t, o.Open(sum, 0, out))
		require.Equal(t, m.words, out)
	}
}

func TestWorkersShareVectorAndSum(t *testing.T) {
	p := mustCheck(t, Literal{Set: "S", Clients: 10, Words: 12000, WordBits: 20})
	rng := rand.New(rand.NewPCG(9, 9))
	words, secret := make([]uint32, p.Words()), drawSecret(t, p, rng)
	for i := range words {
		words[i] = uint32(i)
	}
	sum, vector, out := NewSum(p), make([]byte, p.Bytes()), make([]uint32, p.Words())
	var group sync.WaitGroup
	for w := range 3 {
		group.Go(func() {
			s, err := NewSealer(p, aContext, secret, coinsOf(byte(w)))
			if err != nil {
				t.Error(err)
				return
			}
			o, err := NewOpener(p, aContext, secret, 1)
			if err != nil {
				t.Error(err)
				return
			}
			for c := w; c < p.Chunks(); c += 3 {
				first := c * p.ChunkWords()
				piece := pieceOf(p, vector, c)
				for _, err := range []error{
					s.Seal(piece, c, words[first:first+p.WordsOf(c)]),
					sum.Check(c, piece), sum.Add(c, piece),
					o.Open(sum, c, out[first:first+p.WordsOf(c)]),
				} {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	require.Equal(t, words, out)
}
