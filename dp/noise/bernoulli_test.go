package noise

import (
	"encoding/binary"
	"io"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// script is a reader of the given words, which then ends.
type script struct{ words []uint64 }

func (s *script) Read(p []byte) (int, error) {
	n := 0
	for ; n+8 <= len(p) && len(s.words) > 0; n += 8 {
		binary.LittleEndian.PutUint64(p[n:], s.words[0])
		s.words = s.words[1:]
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func scripted(words ...uint64) *peekable { return &peekable{newWords(&script{words}, 0)} }

// peekable is a reader of words with a look at what is left.
type peekable struct{ *words }

func (w *peekable) left() int { return len(w.coins.(*script).words) }

// trueBelow is the slow obvious answer: is the number whose digits are given,
// followed by anything, below num/den? It is unsettled if the digits tie.
func trueBelow(num, den uint64, digits ...uint64) (below, settled bool) {
	n := new(big.Int).SetUint64(num)
	u := new(big.Int)
	for _, d := range digits {
		u.Add(u.Lsh(u, 64), new(big.Int).SetUint64(d))
		n.Lsh(n, 64)
	}
	d := new(big.Int).SetUint64(den)
	low := new(big.Int).Mul(u, d)
	high := new(big.Int).Add(low, d)
	return high.Cmp(n) <= 0, high.Cmp(n) <= 0 || low.Cmp(n) >= 0
}

func FuzzBernoulliIsTheDigitComparison(f *testing.F) {
	f.Add(uint64(1), uint64(3), uint64(0x5555555555555555), uint64(0x5555555555555555), uint64(0x5555555555555554))
	f.Add(uint64(1), uint64(3), uint64(0x5555555555555555), uint64(0x5555555555555556), uint64(0))
	f.Add(uint64(0), uint64(1), uint64(0), uint64(0), uint64(0))
	f.Add(uint64(7), uint64(7), uint64(math.MaxUint64), uint64(0), uint64(0))
	f.Add(uint64(1), uint64(2), uint64(1<<63), uint64(0), uint64(0))
	f.Add(uint64(1), uint64(2), uint64(1<<63-1), uint64(0), uint64(0))
	f.Add(uint64(math.MaxUint64-1), uint64(math.MaxUint64), uint64(math.MaxUint64-1), uint64(math.MaxUint64-1), uint64(5))
	f.Fuzz(func(t *testing.T, num, den, a, b, c uint64) {
		if den == 0 {
			den = 1
		}
		if num > den {
			num, den = den, num
		}
		words := []uint64{a, b, c}
		want, used, settled := false, 0, false
		for used < len(words) && !settled {
			used++
			want, settled = trueBelow(num, den, words[:used]...)
		}
		w := scripted(words...)
		got := w.bernoulli(num, den)
		v := scripted(words...)
		gotBig := v.bernoulliBig(new(big.Int).SetUint64(num), new(big.Int).SetUint64(den))
		if !settled {
			require.Error(t, w.err, "the coins end before the answer is known")
			require.Error(t, v.err)
			return
		}
		require.Equal(t, want, got)
		require.Equal(t, want, gotBig)
		require.Equal(t, len(words)-used, w.left(), "no word more than it takes")
		require.NoError(t, w.err)
	})
}

func TestBernoulliTiesGoOnToTheNextDigit(t *testing.T) {
	const third = 0x5555555555555555 // every digit of 1/3 in base 2^64
	for _, large := range []bool{false, true} {
		coin := func(w *peekable) bool {
			if large {
				return w.bernoulliBig(big.NewInt(1), big.NewInt(3))
			}
			return w.bernoulli(1, 3)
		}
		w := scripted(third, third, third-1)
		require.True(t, coin(w))
		require.Zero(t, w.left())
		w = scripted(third, third, third+1)
		require.False(t, coin(w))
		require.Zero(t, w.left())
		w = scripted(third - 1)
		require.True(t, coin(w))
		require.NoError(t, w.err)

		stuck := make([]uint64, 100)
		for i := range stuck {
			stuck[i] = third
		}
		w = scripted(stuck...)
		coin(w)
		require.ErrorIs(t, w.err, errStuck, "ties do not go on for ever")
	}
}

// frequency of a coin over n draws, as the number of standard deviations from p.
func deviation(n int, p float64, coin func() bool) float64 {
	hits := 0
	for range n {
		if coin() {
			hits++
		}
	}
	return (float64(hits) - float64(n)*p) / math.Sqrt(float64(n)*p*(1-p))
}

func TestExponentialCoinsHaveTheirProbability(t *testing.T) {
	w := newWords(coinsOf(2), 1<<30)
	for _, c := range []struct{ num, den uint64 }{{1, 1}, {1, 2}, {9, 10}, {1, 1000}, {1 << 62, 1<<63 - 1}} {
		p := math.Exp(-float64(c.num) / float64(c.den))
		require.Less(t, math.Abs(deviation(200_000, p, func() bool { return w.bernoulliExp(c.num, c.den) })), 4.0, "%d/%d", c.num, c.den)
	}
	for _, c := range []struct{ num, den int64 }{{1, 1}, {5, 2}, {3, 1}, {1, 3}} {
		p := math.Exp(-float64(c.num) / float64(c.den))
		coin := func() bool { return w.bernoulliExpBig(big.NewInt(c.num), big.NewInt(c.den)) }
		require.Less(t, math.Abs(deviation(100_000, p, coin)), 4.0, "%d/%d", c.num, c.den)
	}
	require.True(t, w.bernoulliExp(0, 1), "exp(0) is 1")
	require.NoError(t, w.err)
}

// With n = 3*2^62, 2^64 mod n = 2^62 of the words are one too many.
func TestUniformRedrawsTheWordsThatWouldFavourSomeValues(t *testing.T) {
	const n = 3 << 62
	w := scripted(0, 0, 5)
	require.Equal(t, uint64(3), w.uniform(n), "word 0 would make 0 likelier; 5*3/4 is 3")
	require.Zero(t, w.left())
	for word, want := range map[uint64]uint64{1: 0, 1<<63 + 1: 5, math.MaxUint64: 9} {
		w := scripted(word)
		require.Equal(t, want, w.uniform(10))
		require.NoError(t, w.err)
	}
	w = scripted(make([]uint64, 2*maxRejected)...)
	w.uniform(n)
	require.ErrorIs(t, w.err, errStuck)
}
