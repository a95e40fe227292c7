package rlwe

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

const precision = 400 // bits

func number(x int64) *big.Float { return new(big.Float).SetPrec(precision).SetInt64(x) }

func blank() *big.Float { return new(big.Float).SetPrec(precision) }

// exponential is e^(-num/den) by its series; num/den is below 40.
func exponential(num, den int64) *big.Float {
	x := blank().Quo(number(-num), number(den))
	sum, term := number(1), number(1)
	for k := int64(1); k < 600; k++ {
		term.Quo(term.Mul(term, x), number(k))
		sum.Add(sum, term)
	}
	return sum
}

// exactLaw is P(|x| = k), k = 0 to cut, of the discrete Gaussian with
// 2 sigma^2 = num/den, and the weight of what lies beyond the cut, relative to it.
func exactLaw(cut int, num, den int64) (probability []*big.Float, beyond *big.Float) {
	weight := func(k int) *big.Float {
		w := exponential(int64(k)*int64(k)*den, num)
		if k > 0 {
			w.Mul(w, number(2))
		}
		return w
	}
	total := number(0)
	for k := 0; k <= cut; k++ {
		probability = append(probability, weight(k))
		total.Add(total, probability[k])
	}
	for _, p := range probability {
		p.Quo(p, total)
	}
	beyond = number(0)
	for k := cut + 1; k < cut+40; k++ {
		beyond.Add(beyond, weight(k))
	}
	return probability, beyond.Quo(beyond, total)
}

type knownLaw struct {
	name     string
	law      *law
	cut      int
	num, den int64 // 2 sigma^2
}

// sigma^2 = 4.5^2 and 2 * 4.5^2.
var knownLaws = []knownLaw{{"secret", &secretLaw, secretBound, 81, 2}, {"error", &errorLaw, errorBound, 81, 1}}

func TestTablesAreTheExactLawsRounded(t *testing.T) {
	for _, c := range knownLaws {
		p, _ := exactLaw(c.cut, c.num, c.den)
		want := law{}
		tail := number(0)
		for k := c.cut - 1; k >= 0; k-- {
			tail.Add(tail, p[k+1])
			scaled := blank().SetMantExp(tail, 64)
			want[k], _ = scaled.Add(scaled, big.NewFloat(0.5)).Uint64()
		}
		require.Equal(t, want, *c.law, c.name)
	}
}

// The numbers that the package comment argues with.
func TestTablesAreAsCloseToTheLawsAsStated(t *testing.T) {
	power := func(e int) *big.Float { return blank().SetMantExp(number(1), e) }
	for _, c := range knownLaws {
		p, beyond := exactLaw(c.cut, c.num, c.den)
		const order = 100
		moment, distance := number(0), number(0) // of the density: the sum of T (T/C)^(order-1)
		for k := range p {
			above := power(64)
			if k > 0 {
				above.SetUint64(c.law[k-1])
			}
			below := number(0)
			if k < c.cut {
				below.SetUint64(c.law[k])
			}
			q := above.Sub(above, below)
			q.SetMantExp(q, -64)
			require.Positive(t, q.Sign())
			difference := blank().Sub(q, p[k])
			distance.Add(distance, difference.Abs(difference))
			ratio, term := blank().Quo(q, p[k]), q
			for range order - 1 {
				term.Mul(term, ratio)
			}
			moment.Add(moment, term)
		}
		// The divergence is the moment to the power of 1/(order-1): below 1 + excess/(order-1).
		excess := moment.Sub(moment, number(1))
		excess.Quo(excess, number(order-1))
		require.Negative(t, excess.Cmp(power(-76)), "%s: divergence of the table, less 1", c.name)
		require.Negative(t, distance.Cmp(power(-59)), "%s: twice the statistical distance", c.name)
		require.Negative(t, beyond.Cmp(power(-50)), "%s: weight beyond the cut", c.name)
	}
}

func TestSamplesFollowTheExactLaw(t *testing.T) {
	const n = 1 << 18
	for i, c := range knownLaws {
		samples, s := make([]int32, n), new(sampler)
		require.NoError(t, s.sample(samples, c.law, coinsOf(byte(40+i))))
		counts := make(map[int32]float64)
		for _, x := range samples {
			counts[x]++
		}
		p, _ := exactLaw(c.cut, c.num, c.den)
		// A cell for each value that is expected 20 times, one for all others.
		chi, cells, otherWant, otherGot := 0.0, 0, float64(n), float64(n)
		for x := int32(-c.cut); x <= int32(c.cut); x++ {
			want, _ := p[max(x, -x)].Float64()
			if want *= n; x != 0 {
				want /= 2
			}
			if want >= 20 {
				chi += (counts[x] - want) * (counts[x] - want) / want
				otherWant, otherGot = otherWant-want, otherGot-counts[x]
				cells++
			}
		}
		chi += (otherGot - otherWant) * (otherGot - otherWant) / otherWant
		// Mean cells, variance 2*cells: within five deviations.
		require.Less(t, math.Abs(chi-float64(cells)), 5*math.Sqrt(2*float64(cells)), "%s: chi^2 = %g of %d cells", c.name, chi, cells)
	}
}

func TestSamplesAtTheEdgesOfTheTable(t *testing.T) {
	for _, c := range knownLaws {
		for k, tail := range c.law[:c.cut] {
			for _, edge := range []struct {
				word      uint64
				magnitude int32
			}{{tail - 1, int32(k + 1)}, {tail, int32(k)}, {0, int32(c.cut)}, {math.MaxUint64, 0}} {
				coins := make([]byte, coinBytes(8))
				coins[0] = 0b10 // only the second is negative
				for i := range 8 {
					binary.LittleEndian.PutUint64(coins[1+8*i:], edge.word)
				}
				got := make([]int32, 8)
				require.NoError(t, new(sampler).sample(got, c.law, bytes.NewReader(coins)))
				m := edge.magnitude
				require.Equal(t, []int32{m, -m, m, m, m, m, m, m}, got, "%s %d", c.name, k)
			}
		}
	}
}

func TestCoinsAreReadAtOnceAndCleared(t *testing.T) {
	s, dst := new(sampler), make([]int32, 64)
	coins := &countingReader{}
	require.NoError(t, s.sample(dst, &errorLaw, coins))
	require.Equal(t, []int{coinBytes(64)}, coins.reads)
	require.Equal(t, make([]byte, coinBytes(64)), s.coins)
}

// countingReader gives ones.
type countingReader struct{ reads []int }

func (r *countingReader) Read(p []byte) (int, error) {
	r.reads = append(r.reads, len(p))
	for i := range p {
		p[i] = 1
	}
	return len(p), nil
}

func TestMissingCoinsAreAnError(t *testing.T) {
	p := small(t)
	secret, err := p.NewSecret(bytes.NewReader(make([]byte, coinBytes(p.N())-1)))
	require.ErrorIs(t, err, ErrCoins)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Nil(t, secret)

	s, err := NewSealer(p, aContext, make([]int32, p.N()), bytes.NewReader(make([]byte, 100)))
	require.NoError(t, err)
	dst := make([]byte, p.ChunkBytes())
	require.ErrorIs(t, s.Seal(dst, 0, make([]uint32, p.WordsOf(0))), ErrCoins)
	require.Equal(t, make([]byte, p.ChunkBytes()), dst)
}
