package ddp

import (
	"io"
	"math"
	"testing"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/noise"
	"github.com/stretchr/testify/require"
)

// noiseOf is the noise of a sum of zero updates: that many clients encode with their draws, and under central noise one draw is added to the sum.
func noiseOf(t *testing.T, m Mechanism, clients int, draw func(client int) *Draw) []float64 {
	padded := m.Sensitivity().Dimension
	sum, extras := make([]int64, padded), make([]int64, len(m.extras))
	if m.Parameters().Central {
		require.NoError(t, draw(0).addTo(sum, extras))
	} else {
		words := make([]uint32, m.Quantizer().Layout().Len())
		for client := range clients {
			_, err := m.Encode(words, make([]float32, padded), make([]uint64, len(m.extras)), coins(byte(client)), draw(client))
			require.NoError(t, err)
			for i := range sum {
				sum[i] += int64(words[i]) - 1<<(m.Quantizer().Spec().Bits-1)
			}
		}
	}
	out := make([]float64, padded)
	for i, v := range sum {
		out[i] = float64(v)
	}
	return out
}

// deviation is how many standard errors the variance of x is from variance: for nearly
// normal x, sum x^2/variance is chi-square with len(x) degrees of freedom.
func deviation(x []float64, variance float64) float64 {
	chi := 0.0
	for _, v := range x {
		chi += v * v / variance
	}
	return (chi - float64(len(x))) / math.Sqrt(2*float64(len(x)))
}

// TestTheSumOfDrawsHasTheVarianceOfTheEvent: what clients add is what accountants count,
// and a member that adds too little is seen by the same test.
func TestTheSumOfDrawsHasTheVarianceOfTheEvent(t *testing.T) {
	base := Parameters{Dimension: 1 << 17, Clients: 20, Survivors: 16, Corrupt: 2, ClipNorm: 2, Scale: 64, Sigma: 1, Noise: dp.DiscreteGaussian}
	for name, change := range map[string]func(*Parameters){
		"distributed": func(*Parameters) {},
		"skellam":     func(p *Parameters) { p.Noise = dp.Skellam },
		"local":       func(p *Parameters) { p.Survivors, p.Corrupt = 1, 0 },
		"central":     func(p *Parameters) { p.Central, p.Survivors, p.Corrupt = true, 1, 0 },
		"split":       func(p *Parameters) { p.Scale = 1 << 14 },
	} {
		t.Run(name, func(t *testing.T) {
			p := base
			change(&p)
			m := mustCheck(t, p)
			event, err := m.Event(dp.ZeroOut, dp.Sampling{Mode: dp.SamplingNone}, 1)
			require.NoError(t, err)
			stated, _ := event.Spec().Variance.Float64()
			require.InEpsilon(t, math.Pow(p.Sigma*p.Scale, 2), stated, 1e-12)
			clients := m.Shares().Count()
			honest := func(client int) *Draw { return mustDraw(t, m, coins(byte(100+client))) }
			x := noiseOf(t, m, clients, honest)
			require.Less(t, math.Abs(deviation(x, stated)), 5.0)
			mean, neighbours := 0.0, 0.0
			for i, v := range x {
				mean += v
				neighbours += v * x[(i+1)%len(x)]
			}
			require.Less(t, math.Abs(mean)/math.Sqrt(stated*float64(len(x))), 5.0, "no bias")
			require.Less(t, math.Abs(neighbours)/(stated*math.Sqrt(float64(len(x)))), 5.0, "coordinates are independent")

			// The attacks: one member halves the variance of its share, or leaves out every other coordinate.
			half := p
			half.Sigma /= math.Sqrt2
			lazy := mustCheck(t, half)
			x = noiseOf(t, m, clients, func(client int) *Draw {
				if client > 0 {
					return honest(client)
				}
				d := mustDraw(t, lazy, coins(99))
				d.of = m.params
				return d
			})
			require.Less(t, deviation(x, stated), -5.0, "a halved share is seen")
			x = noiseOf(t, m, clients, func(client int) *Draw {
				if client > 0 {
					return honest(client)
				}
				d := mustDraw(t, m, coins(99))
				drawn := make([]int32, len(x))
				require.NoError(t, d.pools[0].Take(drawn))
				for i := 0; i < len(drawn); i += 2 {
					drawn[i] = 0
				}
				require.NoError(t, d.pools[0].Fill(&given{drawn}, coins(1), len(drawn)))
				return d
			})
			require.Less(t, deviation(x, stated), -5.0, "so is noise on half of the coordinates")
		})
	}
}

// given is a sampler of what it holds, in order.
type given struct{ left []int32 }

func (g *given) Sample(dst []int64, _ io.Reader) error {
	for i := range dst {
		dst[i] = int64(g.left[i])
	}
	g.left = g.left[len(dst):]
	return nil
}

func TestExtrasHaveNoiseOfTheirOwn(t *testing.T) {
	p := goodParameters()
	p.Dimension, p.Survivors, p.Corrupt, p.Extras = 64, 2, 0, []Extra{{"a", 16, 8, 40}, {"b", 1000, 500, 5000}}
	m := mustCheck(t, p)
	a, b := make([]float64, 3000), make([]float64, 3000)
	source := coins(1)
	for i := range a {
		sum := make([]int64, 2)
		for range m.Shares().Count() {
			require.NoError(t, mustDraw(t, m, source).addTo(make([]int64, 64), sum))
		}
		a[i], b[i] = float64(sum[0]), float64(sum[1])
	}
	require.Less(t, math.Abs(deviation(a, 40*40)), 5.0)
	require.Less(t, math.Abs(deviation(b, 5000*5000)), 5.0)
	require.Greater(t, math.Abs(deviation(a, 2*40*40)), 5.0)
}

func TestADrawServesOnce(t *testing.T) {
	m := mustCheck(t, goodParameters())
	x, dst := make([]float32, 128), make([]uint32, 129)
	encode := func(d *Draw) error {
		_, err := m.Encode(dst, x, []uint64{0}, coins(1), d)
		return err
	}
	d := mustDraw(t, m, coins(2))
	require.Equal(t, 128, d.pools[0].Left())
	require.Equal(t, 1, d.pools[1].Left())
	require.NoError(t, encode(d))
	for k := range d.pools {
		require.Zero(t, d.pools[k].Left(), "erased")
	}
	require.ErrorIs(t, encode(d), ErrNoise, "a second use")
	require.Equal(t, make([]uint32, 129), dst)

	d = mustDraw(t, m, coins(2))
	_, err := m.Encode(dst[1:], x, []uint64{0}, coins(1), d)
	require.ErrorIs(t, err, ErrArgument)
	require.NoError(t, encode(d), "a call that was refused for its arguments used nothing")

	d = mustDraw(t, m, coins(2))
	_, err = m.Encode(dst, x, []uint64{0}, broken{}, d)
	require.ErrorIs(t, err, ErrCoins)
	require.Zero(t, d.pools[0].Left(), "erased")
	require.ErrorIs(t, encode(d), ErrNoise, "used, although nothing went out")

	d = mustDraw(t, m, coins(2))
	d.Erase()
	d.Erase()
	require.Zero(t, d.pools[0].Left()+d.pools[1].Left())
	require.ErrorIs(t, encode(d), ErrNoise, "erased")
	(*Draw)(nil).Erase()
	require.ErrorIs(t, encode(&Draw{of: m.params}), ErrNoise, "the zero draw")
}

// TestAUsedDrawIsRefusedWhateverItHolds: not only because nothing is left in it.
func TestAUsedDrawIsRefusedWhateverItHolds(t *testing.T) {
	m := mustCheck(t, goodParameters())
	for _, spoil := range []func(*Draw){func(d *Draw) { require.NoError(t, d.take()) }, (*Draw).Erase} {
		d := mustDraw(t, m, coins(2))
		spoil(d)
		fresh := drawOf(t, m, constant(1), constant(1))
		d.pools = fresh.pools
		_, err := m.Encode(make([]uint32, 129), make([]float32, 128), []uint64{0}, coins(1), d)
		require.ErrorIs(t, err, ErrNoise)
	}
}

func TestADrawOfAnotherMechanismIsRefused(t *testing.T) {
	m := mustCheck(t, goodParameters())
	for name, change := range map[string]func(*Parameters){
		"less noise":        func(p *Parameters) { p.Sigma = 0.9 },
		"more honest":       func(p *Parameters) { p.Corrupt = 1 },
		"noise of an extra": func(p *Parameters) { p.Extras[0].Sigma = 39 },
		"law":               func(p *Parameters) { p.Noise, p.Extras = dp.Skellam, nil },
		"dimension":         func(p *Parameters) { p.Dimension = 200 },
		"scale":             func(p *Parameters) { p.Scale, p.Sigma = 128, 0.5 },
		"central":           func(p *Parameters) { p.Central, p.Survivors, p.Corrupt = true, 1, 0 },
	} {
		p := goodParameters()
		change(&p)
		d := mustDraw(t, mustCheck(t, p), coins(1))
		_, err := m.Encode(make([]uint32, 129), make([]float32, 128), []uint64{0}, coins(1), d)
		require.ErrorIs(t, err, ErrNoise, name)
		require.Equal(t, "a draw of another mechanism: "+ErrNoise.Error(), err.Error(), name)
		require.Positive(t, d.pools[0].Left(), "not used: %s", name)
	}
	same := goodParameters()
	same.Extras = append([]Extra{}, same.Extras...)
	_, err := m.Encode(make([]uint32, 129), make([]float32, 128), []uint64{0}, coins(1), mustDraw(t, mustCheck(t, same), coins(1)))
	require.NoError(t, err, "another Check of the same parameters")
	p := goodParameters()
	p.Extras = []Extra{}
	q := p
	q.Extras = nil
	_, err = mustCheck(t, p).Encode(make([]uint32, 128), make([]float32, 128), nil, coins(1), mustDraw(t, mustCheck(t, q), coins(1)))
	require.NoError(t, err, "no extras either way")
}

func TestDrawRefusesWithoutMechanismOrCoins(t *testing.T) {
	_, err := Mechanism{}.Draw(coins(1))
	require.ErrorIs(t, err, ErrArgument)
	for _, left := range []int64{0, 128*8 + 3} { // the extra has no coins
		d, err := mustCheck(t, goodParameters()).Draw(io.LimitReader(coins(1), left))
		require.ErrorIs(t, err, ErrCoins)
		require.ErrorIs(t, err, noise.ErrCoins)
		require.Nil(t, d)
	}
}

// TestSamplersStayWithinTheTail: words have room for Tail, and no share is held against
// it one by one.
func TestSamplersStayWithinTheTail(t *testing.T) {
	for _, law := range []dp.Mechanism{dp.DiscreteGaussian, dp.Skellam} {
		for _, sigma := range []float64{0.13, 0.7, 1.01, 7} {
			p := goodParameters()
			p.Sigma, p.Noise = sigma, law
			if law == dp.Skellam {
				p.Extras = nil
			}
			m := mustCheck(t, p)
			samplers, err := m.samplers()
			require.NoError(t, err)
			require.Len(t, samplers, 1+len(p.Extras))
			for k, s := range append([]Shares{m.shares}, m.extras...) {
				bound := samplers[k].(interface{ Bound() int64 }).Bound()
				require.LessOrEqual(t, bound, s.Tail())
				require.GreaterOrEqual(t, bound+2, s.Tail())
			}
		}
	}
}
