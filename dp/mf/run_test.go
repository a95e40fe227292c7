package mf

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
)

func running(t testing.TB, m Mechanism, n Noise) Run {
	r, err := m.Run(n)
	require.NoError(t, err)
	return r
}

var pattern = Participation{20, 3, 6}

func TestNoiseThatDoesNotFitIsRefused(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, m := range mechanisms(t, pattern) {
		for _, n := range []Noise{
			{0, 1, 1}, {MaxDimension + 1, 1, 1}, {1, 0, 1}, {1, -1, 1}, {1, nan, 1}, {1, inf, 1}, {1, 1, 0}, {1, 1, nan}, {1, 1, inf}, {1, 1, -1},
			{1, 1, minSigma / 2}, {1, 1 << 20, 1<<30 + 1},
		} {
			_, err := m.Run(n)
			require.ErrorIs(t, err, ErrNoise, "%s %+v", name, n)
		}
	}
	band := mechanisms(t, pattern)["bandmf"]
	_, err := band.Run(Noise{1, 1, 1<<20 + 1})
	require.ErrorIs(t, err, ErrNoise, "the lattice of BandMF has 2^10 steps to one of the grid")
	running(t, band, Noise{1, 1, 1 << 20})
	wide := made(t, Parameters{Family: BandMF, Participation: Participation{40, 1, 40}, Criterion: MaxError, Bands: 17})
	_, err = wide.Run(Noise{1 << 27, 1, 1})
	require.NoError(t, err)
	_, err = wide.Run(Noise{1<<27 + 1, 1, 1})
	require.ErrorIs(t, err, ErrNoise, "16 vectors of more than 2^27 coordinates")
	blt := mechanisms(t, pattern)["blt"]
	_, err = blt.Run(Noise{1 << 20, 1, 1 << 20})
	require.ErrorIs(t, err, ErrNoise, "roundings of a million coordinates drown a contribution of one step")
	running(t, blt, Noise{1 << 20, 1 << 20, 1 << 20})
}

func TestLatticeIsAsFineAsItMustBe(t *testing.T) {
	all := mechanisms(t, pattern)
	for sigma, shift := range map[float64]uint{1: 10, 1.99: 10, .5: 11, 1000: 1, 1024: 0, 1 << 29: 0} {
		require.Equal(t, shift, running(t, all["tree"], Noise{5, 10, sigma}).Shift(), sigma)
	}
	require.Equal(t, uint(10), running(t, all["bandmf"], Noise{5, 10, 1 << 19}).Shift())
	require.Equal(t, uint(12), running(t, all["bandmf"], Noise{5, 10, .25}).Shift())
	// BLT: roundings take no more than 2^-10 of the sensitivity, if the sampler allows.
	for _, c := range []struct {
		n    Noise
		most float64
	}{{Noise{1 << 16, 1 << 14, 1 << 16}, slackAim}, {Noise{1 << 10, 1, 100}, slackAim}, {Noise{1 << 28, 1 << 14, 1 << 20}, slackMost}} {
		r := running(t, all["blt"], c.n)
		exact := c.n.Clip * all["blt"].Sensitivity()
		roundings := drift * math.Sqrt(float64(c.n.Dimension)*float64(pattern.Steps-1)) / float64(int(1)<<r.Shift())
		require.GreaterOrEqual(t, r.Sensitivity(), exact+roundings)
		require.InEpsilon(t, exact+roundings, r.Sensitivity(), 1e-12)
		require.LessOrEqual(t, roundings/exact, c.most)
	}
	for _, name := range []string{"tree", "bandmf", "2 bands"} {
		r := running(t, all[name], Noise{1 << 20, 12345.678, 54321})
		require.GreaterOrEqual(t, r.Sensitivity(), 12345.678*all[name].Sensitivity(), name)
		require.InEpsilon(t, 12345.678*all[name].Sensitivity(), r.Sensitivity(), 1e-14, name)
	}
}

func TestNoiseIsNotBelowWhatWasAskedFor(t *testing.T) {
	all := mechanisms(t, pattern)
	for _, sigma := range []float64{minSigma, .1, 1, 7.3, 1234.5678, 1 << 18, 1<<19 + .123} {
		for name, m := range all {
			r := running(t, m, Noise{3, 1 << 10, sigma})
			asked := new(big.Rat).SetFloat64(math.Ldexp(sigma, int(r.Shift())))
			asked.Mul(asked, asked)
			require.GreaterOrEqual(t, r.Variance().Cmp(asked), 0, "%s %g", name, sigma)
			excess, _ := new(big.Rat).Quo(r.Variance(), asked).Float64()
			require.LessOrEqual(t, excess, 1+0x1p-52)
		}
	}
}

func TestEventIsTheWholeRun(t *testing.T) {
	for name, m := range mechanisms(t, pattern) {
		r := running(t, m, Noise{7, 1 << 14, 1 << 15})
		for relation, factor := range map[dp.Relation]float64{dp.ZeroOut: 1, dp.ReplaceOne: 2} {
			e, err := r.Event(relation)
			require.NoError(t, err, name)
			s := e.Spec()
			require.Equal(t, dp.DiscreteGaussian, s.Mechanism)
			require.Equal(t, dp.Sampling{Mode: dp.SamplingNone}, s.Sampling)
			require.Equal(t, int64(1), s.Count)
			require.Zero(t, s.Variance.Cmp(r.Variance()))
			require.InEpsilon(t, 2/(factor*m.Sensitivity()), e.NoiseMultiplier(), 0x1p-9, name)
			require.InEpsilon(t, math.Ldexp(factor*r.Sensitivity(), int(r.Shift())), e.Sensitivity(), 1e-14)
			rho, err := account.ZCDPRho([]dp.Event{e})
			require.NoError(t, err)
			require.InEpsilon(t, math.Pow(factor*r.Sensitivity()/(1<<15), 2)/2, rho, 1e-12)
		}
		_, err := r.Event(dp.AddRemove)
		require.ErrorIs(t, err, ErrRelation)
		_, err = r.Event(0)
		require.ErrorIs(t, err, ErrRelation)
	}
	_, err := Run{}.Event(dp.ZeroOut)
	require.ErrorIs(t, err, ErrArgument)
}

// No optimum comes near these; what they would do is wrap around.
func TestNoiseThatWouldWrapIsRefused(t *testing.T) {
	m := mechanisms(t, pattern)["2 bands"]
	m.gain = 1 << 40
	_, err := m.Run(Noise{1, 1, 1 << 15})
	require.ErrorIs(t, err, ErrNoise)
	m.gain = 1 << 20
	running(t, m, Noise{1, 1, 1})
	_, err = m.Run(Noise{1, 1, 1 << 20})
	require.ErrorIs(t, err, ErrNoise, "what is kept wraps before what is released")
	slow := made(t, Parameters{Family: BLT, Participation: Participation{2000, 6, 314}, Criterion: MaxError, Buffers: 4})
	slow.gain = 1 << 36
	_, err = slow.Run(Noise{1, 1 << 14, 1 << 14})
	require.ErrorIs(t, err, ErrNoise, "buffers are left too few fraction bits")
}

// One discrete Gaussian in one dimension has a loss distribution; an adaptive run has not.
func TestLossDistributionOfARunIsRefused(t *testing.T) {
	m := made(t, Parameters{Family: BandMF, Participation: Participation{4, 1, 1}, Criterion: MaxError, Bands: 1})
	e, err := running(t, m, Noise{1, 16, 64}).Event(dp.ZeroOut)
	require.NoError(t, err)
	require.Equal(t, 4, e.Spec().Dimension)
	_, err = account.NewPLD([]dp.Event{e})
	require.Error(t, err)
}

func TestTailDeltaCountsEveryDraw(t *testing.T) {
	all := mechanisms(t, pattern)
	require.InEpsilon(t, 7*20*0x1p-102, running(t, all["blt"], Noise{7, 1 << 14, 1 << 15}).TailDelta(), 1e-12)
	require.InEpsilon(t, 7*40*0x1p-102, running(t, all["tree"], Noise{7, 1 << 14, 1 << 15}).TailDelta(), 1e-12)
}

func TestAddMovesSumsToTheLattice(t *testing.T) {
	r := running(t, mechanisms(t, pattern)["bandmf"], Noise{3, 1, 1 << 12})
	require.Equal(t, uint(10), r.Shift())
	sums := []int64{5, -7, 1 << 52}
	require.NoError(t, r.Add(sums, []int64{1, -1, r.Bound()}))
	require.Equal(t, []int64{5*1024 + 1, -7*1024 - 1, 1<<62 + r.Bound()}, sums)
	for name, c := range map[string]struct{ sums, noise []int64 }{
		"few sums": {[]int64{1, 2}, []int64{1, 2, 3}}, "few values": {[]int64{1, 2, 3}, []int64{1, 2}},
		"sum": {[]int64{1, 2, 1<<52 + 1}, []int64{1, 2, 3}}, "sum below": {[]int64{1, 2, -1<<52 - 1}, []int64{1, 2, 3}},
		"noise": {[]int64{1, 2, 3}, []int64{1, 2, r.Bound() + 1}}, "noise below": {[]int64{1, 2, 3}, []int64{1, 2, -r.Bound() - 1}},
	} {
		before := append([]int64(nil), c.sums...)
		require.ErrorIs(t, r.Add(c.sums, c.noise), ErrArgument, name)
		require.Equal(t, before, c.sums, name)
	}
	require.ErrorIs(t, Run{}.Add(nil, nil), ErrArgument)
}
