package ddp

import (
	"io"
	"math"
	"math/big"
	"testing"

	"github.com/choir-fl/choir/dp"
	"github.com/stretchr/testify/require"
)

// A sum of few clients with shares added is noised as one of many clients is.
func TestSumsAreFilledUpToTheNoiseOfAsManyShares(t *testing.T) {
	const padded, whole = 1 << 14, 12
	p := Parameters{Dimension: padded, Clients: whole, Survivors: 4, ClipNorm: 1, Scale: 64, Sigma: 1, Noise: dp.DiscreteGaussian,
		Extras: []Extra{BitExtra(3, 4)}}
	m, err := p.Check()
	require.NoError(t, err)
	sums, bits := make([]int64, padded), make([]int64, 1)
	require.NoError(t, m.AddShares(sums, bits, whole, whole, coins(5)))
	variance, squares := m.Shares().Variance(), 0.0
	one, _ := variance.Float64()
	for _, v := range sums {
		squares += float64(v) * float64(v)
	}
	want := whole * one
	require.InEpsilon(t, want, squares/padded, 5*math.Sqrt(2.0/padded))
	before := bits[0]
	require.NoError(t, m.AddShares(sums, bits, 0, whole, coins(6)), "nothing is missing")
	require.Equal(t, before, bits[0])
	require.ErrorIs(t, m.AddShares(sums, bits, -1, whole, coins(6)), ErrArgument, "more took part than there is room for")
	require.ErrorIs(t, m.AddShares(sums, bits, whole+1, whole, coins(6)), ErrArgument, "more are missing than there are")
	require.ErrorIs(t, m.AddShares(sums[1:], bits, 1, whole, coins(6)), ErrArgument)
	require.ErrorIs(t, m.AddShares(sums, nil, 1, whole, coins(6)), ErrArgument)
}

// The extras of a sum tell as much of how many took part as its coordinates do.
func TestExtrasAreFilledUpToo(t *testing.T) {
	const whole, times = 9, 2000
	m, err := Parameters{Dimension: 1, Clients: whole, Survivors: 4, ClipNorm: 1, Scale: 64, Sigma: 1, Noise: dp.DiscreteGaussian,
		Extras: []Extra{BitExtra(3, 4)}}.Check()
	require.NoError(t, err)
	variance, _ := m.ExtraShares(0).Variance().Float64()
	for _, missing := range []int{2, whole} {
		squares, sums, source := 0.0, make([]int64, m.Sensitivity().Dimension), coins(byte(missing))
		for range times {
			bits := make([]int64, 1)
			require.NoError(t, m.AddShares(sums, bits, missing, 60, source))
			squares += float64(bits[0]) * float64(bits[0])
		}
		require.InEpsilon(t, float64(missing)*variance, squares/times, 5*math.Sqrt(2.0/times))
	}
}

// What is accounted for are the shares themselves, as many as are in a sum that was filled
// up less those of corrupt clients, to the last digit of their variance.
func TestTheEventOfFilledSumsIsOfAllTheirSharesLessTheCorrupt(t *testing.T) {
	for name, p := range map[string]Parameters{
		"shares":  {Dimension: 1000, Clients: 50, Survivors: 10, Corrupt: 3, ClipNorm: 1, Scale: 100.7, Sigma: 1.3, Noise: dp.DiscreteGaussian},
		"narrow":  {Dimension: 100, Clients: 50, Survivors: 36, ClipNorm: 1, Scale: 12, Sigma: 1, Noise: dp.DiscreteGaussian},
		"skellam": {Dimension: 100, Clients: 50, Survivors: 10, ClipNorm: 1, Scale: 100, Sigma: 1, Noise: dp.Skellam},
		"extras": {Dimension: 100, Clients: 50, Survivors: 36, ClipNorm: 1, Scale: 100, Sigma: 1, Noise: dp.DiscreteGaussian,
			Extras: []Extra{BitExtra(6, 36), {Name: "other", Largest: 100, Bound: 100, Sigma: 333.3}}},
	} {
		m, err := p.Check()
		require.NoError(t, err, name)
		for _, corrupt := range []int{0, 7, 49} {
			full, err := m.Filled(50, corrupt)
			require.NoError(t, err, name)
			require.Equal(t, m.Shares().Variance(), full.Shares().Variance(), "%s: the same shares", name)
			require.Equal(t, 50-corrupt, full.Shares().Count())
			event, err := full.Event(dp.ZeroOut, dp.Sampling{Mode: dp.SamplingNone}, 1)
			require.NoError(t, err)
			want := m.Shares().Variance()
			want.Mul(want, big.NewRat(int64(50-corrupt), 1))
			require.Zero(t, want.Cmp(event.Spec().Variance), name)
			for k := range p.Extras {
				require.Equal(t, m.ExtraShares(k).Variance(), full.ExtraShares(k).Variance())
				require.Equal(t, 50-corrupt, full.ExtraShares(k).Count())
			}
			// The joint multiplier, coordinate by coordinate.
			terms := []Term{{m.Sensitivity().L2, m.Shares().Width() * math.Sqrt(float64(50-corrupt))}}
			for k, e := range p.Extras {
				terms = append(terms, Term{e.Bound, m.ExtraShares(k).Width() * math.Sqrt(float64(50-corrupt))})
			}
			require.InEpsilon(t, JointMultiplier(terms...), full.Multiplier(dp.ZeroOut), 1e-12, name)
		}
		same, err := m.Filled(p.Survivors, p.Corrupt)
		require.NoError(t, err)
		require.Equal(t, m.Multiplier(dp.ZeroOut), same.Multiplier(dp.ZeroOut))
		for _, c := range [][2]int{{51, 0}, {p.Survivors - 1, 0}, {50, -1}, {-1, 0}} {
			_, err = m.Filled(c[0], c[1])
			require.ErrorIs(t, err, ErrArgument, "%s: %v", name, c)
		}
		_, err = m.Filled(50, 50)
		require.ErrorIs(t, err, ErrHonest)
	}
	central, err := Parameters{Dimension: 10, Clients: 3, Survivors: 1, ClipNorm: 1, Scale: 256, Sigma: 1, Noise: dp.DiscreteGaussian, Central: true}.Check()
	require.NoError(t, err)
	_, err = central.Filled(3, 0)
	require.ErrorIs(t, err, ErrArgument, "one draw is no share")
	require.ErrorIs(t, central.AddShares(make([]int64, 16), nil, 1, 1, coins(1)), ErrArgument)
	_, err = Mechanism{}.Filled(0, 0)
	require.Error(t, err)
}

// counted counts what is read of coins.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// Who times the opening of a sum learns nothing of how many took part: as many shares are
// drawn whoever is missing, and the first of them are those that are added.
func TestAsManySharesAreDrawnHoweverManyAreMissing(t *testing.T) {
	const whole = 6
	m, err := Parameters{Dimension: 16, Clients: whole, Survivors: 4, ClipNorm: 1, Scale: 64, Sigma: 1, Noise: dp.DiscreteGaussian,
		Extras: []Extra{BitExtra(3, 4)}}.Check()
	require.NoError(t, err)
	want, wantBits, one := make([]int64, m.Sensitivity().Dimension), make([]int64, 1), coins(9)
	all := 0
	for missing := range whole + 1 {
		sums, bits, source := make([]int64, len(want)), make([]int64, 1), &counted{Reader: coins(9)}
		require.NoError(t, m.AddShares(sums, bits, missing, whole, source))
		if missing == 0 {
			all = source.n
			require.Positive(t, all)
		} else {
			require.NoError(t, m.AddShares(want, wantBits, 1, 1, one))
		}
		require.Equal(t, all, source.n, "coins for %d shares", missing)
		require.Equal(t, want, sums)
		require.Equal(t, wantBits, bits)
	}
}
