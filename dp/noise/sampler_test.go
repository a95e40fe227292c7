package noise

import (
	"errors"
	"io"
	"math"
	"math/big"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/fault"
)

// counted counts the bytes that were read.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// Computed with Python: rational numbers for the coins of the rejections, mpmath
// at 80 digits for the tables, and `openssl enc -aes-256-ctr` for the words.
func TestSamplesOfFixedCoins(t *testing.T) {
	for _, c := range []struct {
		name  string
		s     Sampler
		words int
		want  []int64
	}{
		{"gaussian 1", made(NewGaussian(1, 1)), 16, []int64{1, -1, 0, -1, 1, 0, 0, 0, 0, 0, 0, -1, -1, -1, -2, 1}},
		{"gaussian 10000/3", made(NewGaussian(10000, 3)), 16, []int64{33, -43, 11, -66, 39, 29, -26, -18, -13, 28, -27, -34, -43, -49, -110, 33}},
		{"split 3000^2", made(NewGaussian(9_000_000, 1)), 48, []int64{1737, -3444, -1357, 1453, -2249, 1719, 3025, -6138, -3132, 2725, 1840, -223, -914, -698, -6438, 4537}},
		{"skellam 4", made(NewSkellam(4, 1)), 16, []int64{1, -1, 0, -2, 1, 1, -1, -1, 0, 1, -1, -1, -1, -2, -4, 1}},
		{"laplace 10/3", made(NewLaplace(10, 3)), 189, []int64{1, -1, -3, 5, -2, -5, 0, 5, 6, -1, 1, -2, 2, 2, -4, 8}},
		{"rejection 1/4", made(NewRejection(1, 4)), 324, []int64{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"rejection 10000/3", made(NewRejection(10000, 3)), 299, []int64{25, -55, 9, -96, 43, -31, -55, 73, 64, 9, -23, -14, -30, -5, 41, -14}},
		{"rejection 2^40", made(NewRejection(1<<40, 1)), 112, []int64{459370, -1005805, 175408, -1738838, 782432, -570333}},
	} {
		got := make([]int64, len(c.want))
		coins := &counted{Reader: coinsOf(7)}
		require.NoError(t, c.s.Sample(got, coins))
		require.Equal(t, c.want, got, c.name)
		require.Equal(t, 8*c.words, coins.n, "%s: not a byte more than is used", c.name)

		one := iotest.OneByteReader(coinsOf(7))
		for i := range got {
			got[i] = 0
			require.NoError(t, c.s.Sample(got[i:i+1], one))
		}
		require.Equal(t, c.want, got, "%s: one at a time, from a reader that gives one byte at a time", c.name)
	}
}

func TestTieIsDecidedByFurtherDigits(t *testing.T) {
	g := made(NewGaussian(10000, 3))
	for _, k := range []int64{0, 1, 57, 200} {
		hi, lo := g.table.hi[k], g.table.lo[k]
		deep := digitsOf(t, int(k), 4)
		require.Equal(t, []uint64{hi, lo}, deep[:2])
		for _, c := range []struct {
			name  string
			more  []uint64
			below bool
		}{
			{"second digit below", []uint64{lo - 1}, true},
			{"second digit above", []uint64{lo + 1}, false},
			{"third digit below", []uint64{lo, deep[2] - 1}, true},
			{"third digit above", []uint64{lo, deep[2] + 1}, false},
			{"fourth digit below", []uint64{lo, deep[2], deep[3] - 1}, true},
			{"fourth digit above", []uint64{lo, deep[2], deep[3] + 1}, false},
		} {
			for sign := range uint64(2) {
				coins := &script{append([]uint64{hi<<1 | sign}, c.more...)}
				got := make([]int64, 1)
				require.NoError(t, g.Sample(got, coins), c.name)
				want := k
				if !c.below {
					want++
				}
				require.Equal(t, signed(want, sign), got[0], "%s of boundary %d", c.name, k)
				require.Empty(t, coins.words, c.name)
			}
		}
		require.Equal(t, k, draw(t, g, (hi-1)<<1), "the word below takes no more coins")
		require.Equal(t, k+1, draw(t, g, (hi+1)<<1))
	}
}

// digitsOf computes n digits of F_k from the slow reference of big.Float.
func digitsOf(t *testing.T, k, n int) []uint64 {
	t.Helper()
	p := refGaussian(10000, 3, 1, 692)
	p[0] = quo(p[0], ref(2))
	sum, total := ref(0), ref(0)
	for i, x := range p {
		if total.Add(total, x); i <= k {
			sum.Add(sum, x)
		}
	}
	f := quo(sum, total)
	x, _ := f.SetMantExp(f, 64*n-1).Int(nil)
	out, mask := make([]uint64, n), new(big.Int).SetUint64(math.MaxUint64)
	for i := n - 1; i >= 0; i-- {
		out[i] = new(big.Int).And(x, mask).Uint64()
		x.Rsh(x, 64)
	}
	return out
}

func draw(t *testing.T, s Sampler, words ...uint64) int64 {
	t.Helper()
	coins, got := &script{words}, make([]int64, 1)
	require.NoError(t, s.Sample(got, coins))
	require.Empty(t, coins.words)
	return got[0]
}

// Far out, many boundaries have the same first digit, and the second one decides among them.
func TestTieOfManyBoundariesFindsTheRightOne(t *testing.T) {
	g := made(NewGaussian(10000, 3))
	const ones = math.MaxInt64 // digit 0 of all boundaries beyond 9 sigma
	first := 0
	for g.table.hi[first] < ones {
		first++
	}
	require.Less(t, first, 600)
	for _, k := range []int{first, first + 1, 600, 690, 691} {
		require.Equal(t, int64(k), draw(t, g, ones<<1, g.table.lo[k]-1))
		require.Equal(t, -int64(k+1), draw(t, g, ones<<1|1, g.table.lo[k]+1))
	}
	require.Equal(t, int64(692), draw(t, g, ones<<1, math.MaxUint64), "the bound is never passed")
}

func TestTieWithoutEndIsAnError(t *testing.T) {
	g := made(NewGaussian(10000, 3))
	digits := digitsOf(t, 57, 9)
	digits[0] <<= 1
	require.ErrorIs(t, g.Sample(make([]int64, 1), &script{digits}), ErrCoins)
	require.ErrorIs(t, g.Sample(make([]int64, 1), &script{digits}), errStuck)
	digits = digitsOf(t, 57, 9)[:3]
	digits[0] <<= 1
	require.ErrorIs(t, g.Sample(make([]int64, 1), &script{digits}), io.ErrUnexpectedEOF)
}

// sigma 3000 is split at m = 8. With q = 700 and r = 5 the exponent is
// (2*5600+5)*5/(2*3000^2) = 56025/18000000.
func TestSplitKeepsWithExactlyTheProbabilityOfTheFinePart(t *testing.T) {
	g := made(NewGaussian(9_000_000, 1))
	require.Equal(t, uint(3), g.shift)
	at := func(q int) uint64 { return (g.table.hi[q-1] + 1) << 1 }
	edge := new(big.Int).Lsh(big.NewInt(56025), 64)
	threshold := edge.Quo(edge, big.NewInt(18_000_000)).Uint64()

	require.Equal(t, int64(5605), draw(t, g, at(700), 5, threshold+1))
	require.Equal(t, int64(-5605), draw(t, g, at(700)|1, 5, threshold+1))
	require.Equal(t, int64(5605), draw(t, g, at(700), 1<<3|5, threshold+1), "r is the low bits of its word")
	again := []uint64{at(10), 0, 0} // r = 0: kept whatever the coin
	require.Equal(t, int64(80), draw(t, g, again...))
	require.Equal(t, int64(80), draw(t, g, append([]uint64{at(700), 5, threshold - 1, math.MaxUint64}, again...)...), "the attempt failed")
	require.Equal(t, int64(80), draw(t, g, append([]uint64{1, 0, 0}, again...)...), "a negative zero is redrawn")
	require.Equal(t, int64(0), draw(t, g, 0, 0, 0))

	// 12 sigma of sqrt(9000001) is 36000.002: 4500 blocks of 8 and a block of one.
	g = made(NewGaussian(9_000_001, 1))
	require.Equal(t, 4501, len(g.table.hi))
	last := []uint64{math.MaxUint64 - 1, math.MaxUint64} // q = 4500, by a tie
	require.Equal(t, int64(36000), draw(t, g, append(last, 0, math.MaxUint64)...))
	again = []uint64{0, 0, 0}
	require.Equal(t, int64(0), draw(t, g, append(append(last, 1, math.MaxUint64), again...)...), "36001 is beyond the cut, and redrawn")
}

// sigma 1/4 is cut at 3, and its proposals are of scale 1: a proposal of 4 is redrawn.
func TestRejectionRedrawsTheTail(t *testing.T) {
	r := made(NewRejection(1, 16))
	samples := make([]int64, 1)
	proposal := func(v int, negative uint64) []uint64 {
		words := []uint64{1, 0} // uniform, exp(0)
		for range v {
			words = append(words, 0, 0, 0, 0, math.MaxUint64) // A_1, A_2: x and 1/2, A_3: x and not 1/3
		}
		return append(words, 0, 0, math.MaxUint64, negative) // A_1, A_2 false: the end
	}
	// exponent of y = 0: (0-1)^2/(2*16) = 1/32, false at once: kept.
	keep := []uint64{math.MaxUint64}
	coins := &script{append(append(proposal(4, 0), proposal(0, 0)...), keep...)}
	require.NoError(t, r.Sample(samples, coins))
	require.Empty(t, coins.words)
	require.Equal(t, int64(0), samples[0])

	l := made(NewLaplace(1, 1))
	require.Equal(t, int64(4), draw(t, l, proposal(4, 0)...))
	require.Equal(t, int64(-4), draw(t, l, proposal(4, 1)...))
	require.Equal(t, int64(2), draw(t, l, append(proposal(0, 1), proposal(2, 0)...)...), "a negative zero is redrawn")
}

func TestParametersOutsideTheRangeAreRefused(t *testing.T) {
	for _, c := range [][2]uint64{{0, 1}, {1, 0}, {0, 0}, {1, 17}, {1<<60 + 1, 1}, {math.MaxUint64, 1}, {1, math.MaxUint64},
		{1<<62 + 1, 1 << 40}, {math.MaxUint64, math.MaxUint64 - 1}} {
		_, err := NewGaussian(c[0], c[1])
		require.ErrorIs(t, err, ErrParameter, "%v", c)
		_, err = NewRejection(c[0], c[1])
		require.ErrorIs(t, err, ErrParameter, "%v", c)
		_, err = NewSkellam(c[0], c[1])
		require.ErrorIs(t, err, ErrParameter, "%v", c)
	}
	_, err := NewSkellam(1<<24+1, 1)
	require.ErrorIs(t, err, ErrParameter)
	_, err = NewSkellam(1<<25+1, 2)
	require.ErrorIs(t, err, ErrParameter)
	require.Equal(t, fault.Usage, fault.ClassOf(err))
	for _, c := range [][2]uint64{{0, 1}, {1, 0}, {1, 17}, {1<<48 + 1, 1}, {1 << 48, 1<<48 + 1}, {math.MaxUint64, math.MaxUint64}, {1 << 60, 16}} {
		_, err := NewLaplace(c[0], c[1])
		require.ErrorIs(t, err, ErrParameter, "%v", c)
	}
	_, err = NewGaussian(1<<63, 1<<63)
	require.NoError(t, err, "lowest terms count")
	_, err = NewGaussian(1<<62-1, 1<<20)
	require.NoError(t, err)
}

func TestTheWidestParametersDraw(t *testing.T) {
	samples := make([]int64, 5000)
	for name, s := range map[string]Sampler{
		"gaussian 2^60":             made(NewGaussian(1<<60, 1)),
		"gaussian of long fraction": made(NewGaussian(1<<62-1, 1<<38)),
		"gaussian at the table":     made(NewGaussian(2048*2048-1, 1)),
		"gaussian at the split":     made(NewGaussian(2048*2048, 1)),
		"skellam 2^24":              made(NewSkellam(1<<24, 1)),
		"laplace 2^48":              made(NewLaplace(1<<48, 1)),
		"laplace of long fraction":  made(NewLaplace(1<<48-1, 1<<48)),
		"rejection 2^60":            made(NewRejection(1<<60, 1)),
	} {
		require.NoError(t, s.Sample(samples, coinsOf(9)), name)
		sum := 0.0
		for _, x := range samples {
			sum += float64(x) * float64(x)
		}
		sigma := map[string]float64{"gaussian 2^60": 1 << 30, "rejection 2^60": 1 << 30, "gaussian of long fraction": 1 << 12,
			"gaussian at the table": 2048, "gaussian at the split": 2048, "skellam 2^24": 4096,
			"laplace 2^48": math.Sqrt2 * (1 << 48), "laplace of long fraction": math.Sqrt(2 * math.Exp(-1) / math.Pow(1-math.Exp(-1), 2))}[name]
		require.InDelta(t, 1, sum/5000/sigma/sigma, 0.15, name)
	}
}

func TestFailingCoinsAreReportedAndLeaveNoSamples(t *testing.T) {
	broken := errors.New("broken")
	for _, s := range []Sampler{made(NewGaussian(9, 1)), made(NewGaussian(1<<30, 1)), made(NewSkellam(9, 1)), made(NewLaplace(3, 1)), made(NewRejection(9, 1))} {
		for _, n := range []int{1, 7, 600} {
			for _, c := range []struct {
				coins io.Reader
				cause error
			}{
				{nil, errNoReader},
				{iotest.ErrReader(broken), broken},
				{iotest.ErrReader(io.EOF), io.ErrUnexpectedEOF},
				{io.LimitReader(coinsOf(1), int64(8*n-1)), io.ErrUnexpectedEOF},
				{idle{}, errNoProgress},
				{liar{}, errNoProgress},
			} {
				dst := make([]int64, n)
				for i := range dst {
					dst[i] = 99
				}
				err := s.Sample(dst, c.coins)
				require.ErrorIs(t, err, ErrCoins)
				require.ErrorIs(t, err, c.cause)
				require.Equal(t, make([]int64, n), dst)
			}
		}
		require.NoError(t, s.Sample(nil, coinsOf(1)), "nothing asked, nothing read")
	}
	for _, s := range []Sampler{made(NewLaplace(3, 1)), made(NewRejection(9, 1)), made(NewLaplace(1, 1))} {
		require.ErrorIs(t, s.Sample(make([]int64, 1), same(0)), errStuck, "coins that are all zero end in an error")
		_ = s.Sample(make([]int64, 1), same(0xff)) // and nothing hangs
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

type liar struct{}

func (liar) Read(p []byte) (int, error) { return len(p) + 1, nil }

type same byte

func (s same) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s)
	}
	return len(p), nil
}

func TestEmptySamplersAreRefused(t *testing.T) {
	for _, s := range []Sampler{Gaussian{}, Rejection{}, Laplace{}, Skellam{}} {
		dst := []int64{1, 2}
		require.ErrorIs(t, s.Sample(dst, coinsOf(1)), ErrSampler)
		require.Equal(t, []int64{0, 0}, dst)
	}
	require.Zero(t, Skellam{}.TailBits())
}

// A law whose ratios are never known better than to one half has no digits.
func TestTableWhoseDigitsDoNotSettleIsRefused(t *testing.T) {
	_, err := newTable(func(prec uint, n int) []interval {
		ratios := make([]interval, n)
		for k := range ratios {
			ratios[k] = interval{new(big.Int).Rsh(exactly(1, prec).lo, 2), new(big.Int).Rsh(exactly(1, prec).lo, 1)}
		}
		return ratios
	}, 3, false)
	require.ErrorIs(t, err, ErrPrecision)
}

func TestIntervalsHoldTheTrueNumber(t *testing.T) {
	const prec = 40
	inside := func(x interval, want *big.Float, ulps int64) {
		t.Helper()
		scaled := ref(0).SetMantExp(want, prec)
		require.LessOrEqual(t, ref(0).SetInt(x.lo).Cmp(scaled), 0)
		require.GreaterOrEqual(t, ref(0).SetInt(x.hi).Cmp(scaled), 0)
		require.LessOrEqual(t, new(big.Int).Sub(x.hi, x.lo).Cmp(big.NewInt(ulps)), 0)
	}
	for _, c := range [][2]int64{{1, 3}, {1, 1}, {5, 2}, {16, 1}, {1, 1000003}, {0, 1}} {
		inside(expMinus(big.NewInt(c[0]), big.NewInt(c[1]), prec), refExp(ref(0).Neg(quo(ref(c[0]), ref(c[1])))), 300)
		x, want := fraction(big.NewInt(c[0]), big.NewInt(c[1]), prec), quo(ref(c[0]), ref(c[1]))
		inside(x, want, 1)
		inside(x.half(), quo(want, ref(2)), 2)
		inside(x.mul(x, prec), ref(0).Mul(want, want), 40)
		inside(x.add(x), ref(0).Add(want, want), 2)
		if c[0] > 0 && c[1] < 10 {
			inside(x.inverse(prec), quo(ref(1), want), 20)
		}
	}
	inside(exactly(3, prec), ref(3), 0)
}
