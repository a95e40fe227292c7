package rlwe

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParametersFollowFromTheLiteral(t *testing.T) {
	for _, c := range []struct {
		literal             Literal
		set                 string
		kappa, slots        int
		chunks, chunkBytes  int
		lastWords, firstOne int
	}{
		{Literal{"", 1000, 1 << 20, 28}, "M", 19, 3, 86, 54272, 4096, 12288},
		{Literal{"", 1000, 1 << 20, 21}, "M", 19, 4, 64, 54272, 16384, 16384},
		{Literal{"", 10, 1, 32}, "S", 19, 1, 1, 13568, 1, 1},
		{Literal{"", 10, 8192, 16}, "S", 19, 2, 2, 13568, 4096, 4096},
		{Literal{"", 10, 16384, 16}, "M", 19, 5, 1, 54272, 16384, 16384}, // four chunks of S are as long
		{Literal{"M", 10, 12289, 28}, "M", 19, 3, 2, 54272, 1, 12288},
		{Literal{"M", 10, 1, 32}, "M", 19, 2, 1, 54272, 1, 1},
		{Literal{"S", 10, 1 << 20, 16}, "S", 19, 2, 256, 13568, 4096, 4096},
		{Literal{"", 65536, 100, 32}, "M", 23, 2, 1, 54272, 100, 100}, // no slot of S is so wide
	} {
		p := mustCheck(t, c.literal)
		require.Equal(t, c.set, p.Set(), "%+v", c.literal)
		require.Equal(t, []int{c.kappa, c.slots, c.chunks, c.chunkBytes, c.lastWords, c.firstOne},
			[]int{p.Kappa(), p.Slots(), p.Chunks(), p.ChunkBytes(), p.WordsOf(p.Chunks() - 1), p.WordsOf(0)}, "%+v", c.literal)
		require.Equal(t, c.literal.Clients, p.Clients())
		require.Equal(t, c.literal.Words, p.Words())
		require.Equal(t, c.literal.WordBits, p.Width())
		require.Equal(t, int64(c.chunks)*int64(c.chunkBytes), p.Bytes())
		require.Equal(t, p.N()*p.Slots(), p.ChunkWords())
		require.Zero(t, p.WordsOf(-1)+p.WordsOf(p.Chunks()))
	}
	p := mustCheck(t, Literal{"", 1000, 100, 20})
	require.Equal(t, []int{36, 51}, []int{p.SecretBound(), p.ErrorBound()})
}

// The words of all chunks are the words of the vector.
func TestChunksCoverTheVector(t *testing.T) {
	for _, words := range []int{1, 4095, 4096, 4097, 100_000} {
		p := mustCheck(t, Literal{"S", 10, words, 16})
		sum := 0
		for c := range p.Chunks() {
			sum += p.WordsOf(c)
		}
		require.Equal(t, words, sum)
	}
}

func TestKappaHoldsTheNoiseOfAllClients(t *testing.T) {
	for clients := 1; clients <= MaxClients; clients++ {
		p := mustCheck(t, Literal{"M", clients, 1, 8})
		enough := func(kappa int) bool { return 1<<(kappa-1) > 51*clients }
		require.True(t, enough(p.Kappa()))
		require.True(t, p.Kappa() == 19 || !enough(p.Kappa()-1))
		require.LessOrEqual(t, p.Slots()*8+p.Kappa()+1, 106)
	}
	for clients, kappa := range map[int]int{5000: 19, 5140: 19, 5141: 20, 10_000: 20, 10_280: 20, 10_281: 21, 65_536: 23} {
		require.Equal(t, kappa, mustCheck(t, Literal{"M", clients, 1, 8}).Kappa())
	}
}

func TestTheShorterSetIsTaken(t *testing.T) {
	for words := 1; words < 40_000; words += 97 {
		for _, width := range []int{8, 14, 16, 21, 28, 32} {
			l := Literal{"", 1000, words, width}
			m, s := l, l
			m.Set, s.Set = "M", "S"
			bytesM, bytesS := mustCheck(t, m).Bytes(), mustCheck(t, s).Bytes()
			want := "S"
			if bytesM <= bytesS {
				want = "M"
			}
			require.Equal(t, want, mustCheck(t, l).Set())
		}
	}
}

func TestCheckRefusesContradictions(t *testing.T) {
	for name, l := range map[string]Literal{
		"no clients":            {"", 0, 1, 16},
		"negative clients":      {"", -1, 1, 16},
		"too many clients":      {"", MaxClients + 1, 1, 16},
		"absurd clients":        {"", math.MaxInt, 1, 16},
		"no words":              {"", 1, 0, 16},
		"negative words":        {"", 1, math.MinInt, 16},
		"too many words":        {"", 1, MaxWords + 1, 16},
		"narrow words":          {"", 1, 1, 7},
		"wide words":            {"", 1, 1, 33},
		"unknown set":           {"L", 1, 1, 16},
		"set in lower case":     {"m", 1, 1, 16},
		"no word fits in set S": {"S", 65536, 1, 32},
	} {
		p, err := l.Check()
		require.ErrorIs(t, err, ErrParameters, name)
		require.Equal(t, Parameters{}, p)
	}
}

func TestZeroParametersAreRefused(t *testing.T) {
	var p Parameters
	require.Zero(t, p.N()+p.Chunks()+p.ChunkBytes()+p.WordsOf(0)+int(p.Bytes()))
	_, err := p.NewSecret(coinsOf(1))
	require.ErrorIs(t, err, ErrArgument)
	_, err = NewSealer(p, aContext, nil, coinsOf(1))
	require.ErrorIs(t, err, ErrArgument)
	_, err = NewOpener(p, aContext, nil, 1)
	require.ErrorIs(t, err, ErrArgument)
}
