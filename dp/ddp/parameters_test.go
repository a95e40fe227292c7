package ddp

import (
	"math"
	"testing"

	"github.com/choir-fl/choir/dp"
	"github.com/stretchr/testify/require"
)

func TestParametersThatContradictThemselvesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Parameters)
		want   error
	}{
		"no dimension":             {func(p *Parameters) { p.Dimension = 0 }, ErrParameters},
		"more survivors":           {func(p *Parameters) { p.Survivors = 21 }, ErrParameters},
		"no honest survivor":       {func(p *Parameters) { p.Corrupt = 16 }, ErrHonest},
		"no clip norm":             {func(p *Parameters) { p.ClipNorm = 0 }, ErrParameters},
		"clip norm not a number":   {func(p *Parameters) { p.ClipNorm = math.NaN() }, ErrParameters},
		"scale not a number":       {func(p *Parameters) { p.Scale = math.NaN() }, ErrParameters},
		"negative scale":           {func(p *Parameters) { p.Scale = -1 }, ErrParameters},
		"less than half a step":    {func(p *Parameters) { p.Scale = 0.2 }, ErrParameters},
		"scale too fine":           {func(p *Parameters) { p.Scale = 1 << 31 }, ErrParameters},
		"negative range":           {func(p *Parameters) { p.Range = -1 }, ErrParameters},
		"range too wide":           {func(p *Parameters) { p.Range = 1<<30 + 1 }, ErrParameters},
		"range that always clamps": {func(p *Parameters) { p.Range = 1 }, ErrParameters},
		"no noise":                 {func(p *Parameters) { p.Sigma = 0 }, ErrParameters},
		"narrow noise":             {func(p *Parameters) { p.Sigma = 0.1 }, ErrNarrow},
		"no law":                   {func(p *Parameters) { p.Noise = 0 }, ErrParameters},
		"a continuous law":         {func(p *Parameters) { p.Noise = dp.Gaussian }, ErrParameters},
		"no room in a word":        {func(p *Parameters) { p.Clients = 1 << 25 }, ErrParameters},
		"extra without noise":      {func(p *Parameters) { p.Extras[0].Sigma = 0 }, ErrParameters},
		"extra with narrow noise":  {func(p *Parameters) { p.Extras[0].Sigma = 7 }, ErrNarrow},
		"extra without a bound":    {func(p *Parameters) { p.Extras[0].Bound = 0 }, ErrParameters},
		"extra of a low bound":     {func(p *Parameters) { p.Extras[0].Bound = 7.9 }, ErrParameters},
		"extra of no bound":        {func(p *Parameters) { p.Extras[0].Bound = math.NaN() }, ErrParameters},
		"extra without values":     {func(p *Parameters) { p.Extras[0].Largest = 0 }, ErrParameters},
		"extra too large":          {func(p *Parameters) { p.Extras[0].Largest, p.Extras[0].Bound = 1<<31-100, 1<<31 }, ErrParameters},
		"extra twice":              {func(p *Parameters) { p.Extras = append(p.Extras, p.Extras[0]) }, ErrParameters},
	} {
		p := goodParameters()
		c.change(&p)
		_, err := p.Check()
		require.ErrorIs(t, err, c.want, name)
	}
}

func TestDefaultsAreResolvedOnce(t *testing.T) {
	p := goodParameters()
	p.Scale, p.Range = 0, 0
	m := mustCheck(t, p)
	got := m.Parameters()
	require.Equal(t, AdvisedScale(128, 2), got.Scale)
	require.EqualValues(t, math.Ceil(got.Scale*2)+1, got.Range)
	require.Equal(t, got, mustCheck(t, got).Parameters())
	spec := m.Quantizer().Spec()
	require.Equal(t, 128, spec.Dimension)
	require.Equal(t, m.Shares().Tail(), spec.NoiseTail)
	require.Equal(t, got.Range, spec.Range)
	require.Greater(t, int64(1)<<(spec.Bits-1), spec.Range+spec.NoiseTail+1)
	require.LessOrEqual(t, int64(1)<<(spec.Bits-2), spec.Range+spec.NoiseTail+1, "no bit to spare")
	got.Extras[0].Sigma = 1
	require.EqualValues(t, 40, m.Parameters().Extras[0].Sigma, "a copy")
	p.Extras[0].Sigma = 1
	require.EqualValues(t, 40, m.Parameters().Extras[0].Sigma, "a copy of what was checked")
}

func TestExtrasArePartOfTheEvent(t *testing.T) {
	p := goodParameters()
	with := mustCheck(t, p)
	p.Extras = nil
	without := mustCheck(t, p)
	s := with.Sensitivity()
	want := 1 / math.Sqrt(math.Pow(s.L2/64, 2)+math.Pow(8.0/40, 2))
	require.InEpsilon(t, want, with.Multiplier(dp.ZeroOut), 1e-9)
	require.Less(t, with.Multiplier(dp.ZeroOut), without.Multiplier(dp.ZeroOut))
	require.InEpsilon(t, 64/s.L2, without.Multiplier(dp.ZeroOut), 1e-9)
	for a := 2; a < 50; a++ {
		require.InEpsilon(t, float64(a)/2/(want*want), with.RDP(dp.ZeroOut)(a), 1e-9, "of wide shares the bound is a/2 z^-2")
		require.Greater(t, with.RDP(dp.ZeroOut)(a), without.RDP(dp.ZeroOut)(a)*1.005)
	}
	require.Greater(t, with.TailDelta(), without.TailDelta())
}

func TestReplacingCostsTwiceTheSensitivity(t *testing.T) {
	for _, law := range []dp.Mechanism{dp.DiscreteGaussian, dp.Skellam} {
		p := goodParameters()
		p.Noise = law
		m := mustCheck(t, p)
		require.InEpsilon(t, m.Multiplier(dp.ZeroOut)/2, m.Multiplier(dp.ReplaceOne), 1e-9)
		require.Greater(t, m.RDP(dp.ReplaceOne)(2), 3.9*m.RDP(dp.ZeroOut)(2))
	}
	p := goodParameters()
	p.Extras[0].Bound = 16 // not centred: replaced, it changes by 16 all the same
	require.Equal(t, mustCheck(t, goodParameters()).RDP(dp.ReplaceOne)(2), mustCheck(t, p).RDP(dp.ReplaceOne)(2))
}

func TestOtherRelationsArePromisedNothing(t *testing.T) {
	m := mustCheck(t, goodParameters())
	for _, r := range []dp.Relation{0, dp.AddRemove, 9} {
		require.Zero(t, m.Multiplier(r))
		require.Equal(t, math.Inf(1), m.RDP(r)(2))
	}
	require.Equal(t, math.Inf(1), Mechanism{}.RDP(dp.ZeroOut)(2))
	require.Zero(t, Mechanism{}.Multiplier(dp.ZeroOut))
}

func TestExtraSumsLoseTheirTails(t *testing.T) {
	m := mustCheck(t, goodParameters())
	tail := uint64(m.ExtraShares(0).Tail())
	sums, err := m.ExtraSums([]uint64{5*tail + 7}, 5)
	require.NoError(t, err)
	require.Equal(t, []int64{7}, sums)
	for _, n := range []int{0, 21} {
		_, err = m.ExtraSums([]uint64{1}, n)
		require.ErrorIs(t, err, ErrArgument)
	}
	_, err = m.ExtraSums(nil, 5)
	require.ErrorIs(t, err, ErrArgument)
	require.Zero(t, m.ExtraShares(1).Count())
	require.Zero(t, m.ExtraShares(-1).Count())
}
