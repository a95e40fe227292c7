package rlwe

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSealerRefusesOtherSecrets(t *testing.T) {
	p := small(t)
	for _, bad := range []int32{37, -37, 1 << 20, -1 << 31, 1<<31 - 1} {
		secret := make([]int32, p.N())
		secret[p.N()-1] = bad
		_, err := NewSealer(p, aContext, secret, coinsOf(1))
		require.ErrorIs(t, err, ErrArgument, "%d", bad)
	}
	for _, n := range []int{0, p.N() - 1, p.N() + 1} {
		_, err := NewSealer(p, aContext, make([]int32, n), coinsOf(1))
		require.ErrorIs(t, err, ErrArgument)
	}
	secret := make([]int32, p.N())
	secret[0], secret[1] = 36, -36
	_, err := NewSealer(p, aContext, secret, coinsOf(1))
	require.NoError(t, err)
}

func TestOpenerRefusesSumsBeyondTheBound(t *testing.T) {
	p := small(t)
	for _, members := range []int{1, 3, 100} {
		for _, bad := range []int{36*members + 1, -36*members - 1, -1 << 31, 1<<31 - 1} {
			sum := make([]int32, p.N())
			sum[5] = int32(bad)
			_, err := NewOpener(p, aContext, sum, members)
			require.ErrorIs(t, err, ErrKey, "%d of %d", bad, members)
		}
		sum := make([]int32, p.N())
		sum[0], sum[1] = int32(36*members), int32(-36*members)
		_, err := NewOpener(p, aContext, sum, members)
		require.NoError(t, err)
	}
	for _, members := range []int{0, -1, 101, 1 << 30} {
		_, err := NewOpener(p, aContext, make([]int32, p.N()), members)
		require.ErrorIs(t, err, ErrArgument)
	}
	_, err := NewOpener(p, aContext, make([]int32, p.N()-1), 1)
	require.ErrorIs(t, err, ErrArgument)
}

func TestSealRefusesOtherChunks(t *testing.T) {
	p := small(t)
	s, err := NewSealer(p, aContext, make([]int32, p.N()), coinsOf(1))
	require.NoError(t, err)
	for _, c := range []struct{ chunk, bytes, words int }{
		{0, p.ChunkBytes() - 1, p.WordsOf(0)}, {0, p.ChunkBytes() + 1, p.WordsOf(0)},
		{0, p.ChunkBytes(), p.WordsOf(0) - 1}, {0, p.ChunkBytes(), p.WordsOf(0) + 1},
		{1, p.ChunkBytes(), p.WordsOf(0)}, {2, p.ChunkBytes(), 0}, {-1, p.ChunkBytes(), 0},
	} {
		require.ErrorIs(t, s.Seal(make([]byte, c.bytes), c.chunk, make([]uint32, c.words)), ErrArgument, "%+v", c)
	}
	for _, at := range []int{0, 1, p.WordsOf(1) - 1} {
		words := make([]uint32, p.WordsOf(1))
		words[at] = 1 << p.Width()
		require.ErrorIs(t, s.Seal(make([]byte, p.ChunkBytes()), 1, words), ErrArgument)
		words[at]--
		require.NoError(t, s.Seal(make([]byte, p.ChunkBytes()), 1, words))
	}
}

func TestOpenRefusesOtherChunks(t *testing.T) {
	p := small(t)
	o, err := NewOpener(p, aContext, make([]int32, p.N()), 1)
	require.NoError(t, err)
	sum := NewSum(p)
	for _, c := range []struct{ chunk, words int }{{0, p.WordsOf(0) - 1}, {0, p.WordsOf(0) + 1}, {1, p.WordsOf(0)}, {2, 0}, {-1, 0}} {
		require.ErrorIs(t, o.Open(sum, c.chunk, make([]uint32, c.words)), ErrArgument, "%+v", c)
	}
	other := NewSum(mustCheck(t, Literal{Set: "S", Clients: 101, Words: 3000, WordBits: 20}))
	require.ErrorIs(t, o.Open(other, 0, make([]uint32, p.WordsOf(0))), ErrArgument)
	require.NoError(t, o.Open(sum, 0, make([]uint32, p.WordsOf(0))), "an empty sum is zero")
}

// The sealer keeps a copy of the secret, and nothing of it once it is erased.
func TestEraseDestroysTheSecret(t *testing.T) {
	for _, p := range []Parameters{small(t), smallM(t)} {
		secret, err := p.NewSecret(coinsOf(1))
		require.NoError(t, err)
		s, err := NewSealer(p, aContext, secret, coinsOf(2))
		require.NoError(t, err)
		clear(secret)
		out, words := make([]byte, p.ChunkBytes()), make([]uint32, p.WordsOf(0))
		require.NoError(t, s.Seal(out, 0, words))
		require.Equal(t, make([]int32, p.N()), s.errors, "errors are erased after each chunk")
		for _, row := range s.rows {
			require.Equal(t, make([]uint64, p.N()), row, "so are the words")
		}
		key := s.key
		require.NotEqual(t, make([]uint64, p.N()), key[0])
		s.Erase()
		s.Erase()
		for _, k := range key {
			require.Equal(t, make([]uint64, p.N()), k)
		}
		require.ErrorIs(t, s.Seal(out, 0, words), ErrArgument)
	}
}

func TestEraseDestroysTheSumOfTheSecrets(t *testing.T) {
	p := smallM(t)
	secret, err := p.NewSecret(coinsOf(1))
	require.NoError(t, err)
	o, err := NewOpener(p, aContext, secret, 1)
	require.NoError(t, err)
	key, rows, out := o.key, o.rows, make([]uint32, p.WordsOf(0))
	require.ErrorIs(t, o.Open(NewSum(p), 0, out), ErrNoise) // not the key of an empty sum
	require.NotEqual(t, make([]uint64, p.N()), rows[0])
	o.Erase()
	for i := range key {
		require.Equal(t, make([]uint64, p.N()), key[i])
		require.Equal(t, make([]uint64, p.N()), rows[i])
	}
	require.ErrorIs(t, o.Open(NewSum(p), 0, out), ErrArgument)
}
