package ddp

import (
	"math"
	"math/big"
	"testing"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg/field"
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
		"outlier below the clip":   {func(p *Parameters) { p.Outlier = 0.99 }, ErrParameters},
		"outlier not a number":     {func(p *Parameters) { p.Outlier = math.NaN() }, ErrParameters},
		"infinite outlier":         {func(p *Parameters) { p.Outlier = math.Inf(1) }, ErrParameters},
		"extra under skellam":      {func(p *Parameters) { p.Noise = dp.Skellam }, ErrParameters},
		"wide skellam":             {func(p *Parameters) { p.Noise, p.Extras, p.Scale = dp.Skellam, nil, 1<<14 }, ErrParameters},
		"central with survivors":   {func(p *Parameters) { p.Central, p.Survivors, p.Corrupt = true, 2, 0 }, ErrParameters},
		"central with corrupt":     {func(p *Parameters) { p.Central, p.Survivors, p.Corrupt = true, 1, 1 }, ErrParameters},
		"central skellam":          {func(p *Parameters) { *p = centralParameters(); p.Noise, p.Extras = dp.Skellam, nil }, ErrParameters},
		"central without noise":    {func(p *Parameters) { *p = centralParameters(); p.Sigma = 0 }, ErrParameters},
		"central below samplers":   {func(p *Parameters) { *p = centralParameters(); p.Sigma = 0.24 / 64 }, ErrNarrow},
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
		if p.Noise = law; law == dp.Skellam {
			p.Extras = nil
		}
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

// centralParameters are goodParameters with all noise in one draw.
func centralParameters() Parameters {
	p := goodParameters()
	p.Central, p.Survivors, p.Corrupt = true, 1, 0
	return p
}

func TestCentralNoiseTakesNoRoomInAWord(t *testing.T) {
	p := centralParameters()
	m := mustCheck(t, p)
	spec := m.Quantizer().Spec()
	require.Zero(t, spec.NoiseTail)
	require.Equal(t, []field.Extra{{Name: "bit", Bound: 16}}, spec.Extras)
	require.Less(t, spec.Bits, mustCheck(t, goodParameters()).Quantizer().Spec().Bits)
	require.Equal(t, 1, m.Shares().Count())
	require.InEpsilon(t, 64, m.Shares().Sigma(), 1e-12)
	require.InEpsilon(t, mustCheck(t, goodParameters()).Multiplier(dp.ZeroOut), m.Multiplier(dp.ZeroOut), 1e-12, "the same noise in the sum")
	require.InEpsilon(t, m.TailDelta(), mustCheck(t, goodParameters()).TailDelta()/20, 1e-9, "one draw, and not one for each of 20 clients")
	p.Sigma, p.Extras[0].Sigma = 0.25/64, 0.25
	m = mustCheck(t, p)
	require.Equal(t, big.NewRat(1, 16), m.Shares().Variance(), "one draw is a discrete Gaussian however narrow")
	mustDraw(t, m, coins(1))
}

func TestExtraSharesAreThoseOfExtras(t *testing.T) {
	m := mustCheck(t, goodParameters())
	require.Equal(t, 14, m.ExtraShares(0).Count())
	require.Zero(t, m.ExtraShares(1).Count())
	require.Zero(t, m.ExtraShares(-1).Count())
}

func TestBitExtraIsAsCoarseAsItsNoiseAllows(t *testing.T) {
	for _, c := range []struct {
		sigma  float64
		shares int
		want   uint64
	}{{5, 100, 4}, {5, 101, 8}, {1.25, 25, 8}, {1000, 100, 2}, {0.001, 10, 8192}} {
		e := BitExtra(c.sigma, c.shares)
		require.Equal(t, Extra{Name: ClipBit, Largest: c.want, Bound: float64(c.want) / 2, Sigma: c.sigma * float64(c.want)}, e)
		p := goodParameters()
		p.Clients, p.Survivors, p.Corrupt, p.Extras = 200, c.shares+3, 3, []Extra{e}
		mustCheck(t, p)
	}
	for _, sigma := range []float64{0, -1, math.NaN(), math.Inf(1), 1e-12} {
		p := goodParameters()
		p.Extras = []Extra{BitExtra(sigma, 14)}
		_, err := p.Check()
		require.ErrorIs(t, err, ErrParameters, "%g", sigma)
	}
}
