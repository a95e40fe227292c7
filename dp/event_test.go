package dp

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

func valid() Spec {
	return Spec{Mechanism: Gaussian, Relation: ZeroOut, StdDev: 3, Clip: 1.5, Dimension: 7, Count: 10,
		Sampling: Sampling{Mode: SamplingPoisson, Rate: .1}}
}

func TestNoiseMultiplierFollowsTheRelation(t *testing.T) {
	for r, want := range map[Relation]float64{ZeroOut: 2, AddRemove: 2, ReplaceOne: 1} {
		s := valid()
		s.Relation = r
		e, err := NewEvent(s)
		require.NoError(t, err)
		require.InDelta(t, want, e.NoiseMultiplier(), 1e-15, r.String())
	}
}

func TestIncompleteEventsAreRefused(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, change := range map[string]func(*Spec){
		"no mechanism": func(s *Spec) { s.Mechanism = 0 }, "no relation": func(s *Spec) { s.Relation = 0 },
		"no sampling": func(s *Spec) { s.Sampling = Sampling{} }, "clip 0": func(s *Spec) { s.Clip = 0 },
		"clip below 0": func(s *Spec) { s.Clip = -1 }, "clip NaN": func(s *Spec) { s.Clip = nan }, "clip Inf": func(s *Spec) { s.Clip = inf },
		"noise 0": func(s *Spec) { s.StdDev = 0 }, "noise NaN": func(s *Spec) { s.StdDev = nan }, "noise Inf": func(s *Spec) { s.StdDev = inf },
		"rate 0": func(s *Spec) { s.Sampling.Rate = 0 }, "rate above 1": func(s *Spec) { s.Sampling.Rate = 1.01 },
		"rate NaN": func(s *Spec) { s.Sampling.Rate = nan }, "size of Poisson": func(s *Spec) { s.Sampling.Size = 3 },
		"count 0": func(s *Spec) { s.Count = 0 }, "count": func(s *Spec) { s.Count = MaxCount + 1 }, "dimension": func(s *Spec) { s.Dimension = 0 },
		"variance of gaussian": func(s *Spec) { s.Variance = big.NewRat(9, 1) }, "L1 of gaussian": func(s *Spec) { s.L1 = 2 },
		"dgauss without variance": func(s *Spec) { s.Mechanism, s.StdDev = DiscreteGaussian, 0 },
		"quotient":                func(s *Spec) { s.StdDev, s.Clip = 1e-300, 1e300 },
	} {
		s := valid()
		change(&s)
		_, err := NewEvent(s)
		require.ErrorIs(t, err, ErrEvent, name)
	}
}

func TestNoiseOfAnotherMechanismIsRefused(t *testing.T) {
	skellam := Spec{Mechanism: Skellam, Relation: ZeroOut, Sampling: Sampling{Mode: SamplingNone}, Variance: big.NewRat(9, 1), Clip: 2, L1: 3, Dimension: 1, Count: 1}
	e, err := NewEvent(skellam)
	require.NoError(t, err)
	require.Equal(t, 3., e.StdDev())
	require.Equal(t, 3., e.L1Sensitivity())
	skellam.Variance.SetInt64(1)
	e.Spec().Variance.SetInt64(1)
	require.Equal(t, 3., e.StdDev(), "the variance is a copy, in and out")
	for name, change := range map[string]func(*Spec){
		"variance 0": func(s *Spec) { s.Variance = new(big.Rat) }, "variance below 0": func(s *Spec) { s.Variance = big.NewRat(-1, 1) },
		"both": func(s *Spec) { s.StdDev = 1 }, "no L1": func(s *Spec) { s.L1 = 0 }, "L1 below L2": func(s *Spec) { s.L1 = 1.9 },
		"L1 NaN": func(s *Spec) { s.L1 = math.NaN() }, "L1 Inf": func(s *Spec) { s.L1 = math.Inf(1) },
		"L1 of dgauss": func(s *Spec) { s.Mechanism = DiscreteGaussian }, "variance of laplace": func(s *Spec) { s.Mechanism, s.L1 = Laplace, 0 },
		"no law of that number": func(s *Spec) { s.Mechanism = 9 },
	} {
		s := skellam
		change(&s)
		_, err := NewEvent(s)
		require.ErrorIs(t, err, ErrEvent, name)
	}
	s := valid()
	s.Mechanism, s.Relation, s.Sampling = Laplace, ReplaceOne, Sampling{Mode: SamplingNone}
	e, err = NewEvent(s)
	require.NoError(t, err)
	require.Equal(t, 3., e.L1Sensitivity(), "of Laplace the clip is in the L1 norm")
}

func TestSamplingThatMakesNoSenseIsRefused(t *testing.T) {
	for _, c := range []struct {
		sampling Sampling
		relation Relation
		want     error
	}{
		{Sampling{Mode: SamplingFixed, Population: 10, Size: 2}, ReplaceOne, nil},
		{Sampling{Mode: SamplingFixed, Population: 10, Size: 2}, ZeroOut, ErrSampling},
		{Sampling{Mode: SamplingFixed, Population: 10, Size: 2}, AddRemove, ErrSampling},
		{Sampling{Mode: SamplingFixed, Population: 10, Size: 0}, ReplaceOne, ErrEvent},
		{Sampling{Mode: SamplingFixed, Population: 10, Size: 11}, ReplaceOne, ErrEvent},
		{Sampling{Mode: SamplingFixed, Population: 10, Size: 2, Rate: .2}, ReplaceOne, ErrEvent},
		{Sampling{Mode: SamplingTruncatedPoisson, Rate: .2, Population: 10, Size: 3}, AddRemove, nil},
		{Sampling{Mode: SamplingTruncatedPoisson, Rate: .2, Population: 10, Size: 3}, ZeroOut, nil},
		{Sampling{Mode: SamplingTruncatedPoisson, Rate: .2, Population: 10, Size: 3}, ReplaceOne, ErrSampling},
		{Sampling{Mode: SamplingTruncatedPoisson, Rate: .2, Population: 10}, ZeroOut, ErrEvent},
		{Sampling{Mode: SamplingTruncatedPoisson, Population: 10, Size: 3}, ZeroOut, ErrEvent},
		{Sampling{Mode: SamplingPoisson, Rate: -.1}, ZeroOut, ErrEvent},
		{Sampling{Mode: SamplingPoisson, Rate: 1}, ReplaceOne, nil},
		{Sampling{Mode: SamplingNone, Rate: .1}, ZeroOut, ErrEvent},
		{Sampling{Mode: SamplingNone, Population: 10}, ZeroOut, ErrEvent},
		{Sampling{Mode: 9}, ZeroOut, ErrEvent},
	} {
		s := valid()
		s.Sampling, s.Relation = c.sampling, c.relation
		_, err := NewEvent(s)
		require.ErrorIs(t, err, c.want, "%+v", c)
	}
}

func TestTimesStaysBelowTheLargestCount(t *testing.T) {
	e, err := NewEvent(valid())
	require.NoError(t, err)
	more, err := e.Times(MaxCount / 10)
	require.NoError(t, err)
	require.EqualValues(t, MaxCount/10*10, more.Spec().Count)
	require.EqualValues(t, 10, e.Spec().Count)
	for _, n := range []int64{0, -1, MaxCount/10 + 1, math.MaxInt64} {
		_, err = e.Times(n)
		require.ErrorIs(t, err, ErrEvent, "%d", n)
	}
	_, err = Event{}.Times(1)
	require.ErrorIs(t, err, ErrEvent)
}

func TestNamesAreThoseOfPlans(t *testing.T) {
	for i, name := range []string{"zero-out", "add-remove", "replace-one"} {
		r, err := ParseRelation(name)
		require.NoError(t, err)
		require.Equal(t, Relation(i+1), r)
		require.Equal(t, name, r.String())
	}
	for i, name := range []string{"gaussian", "dgauss", "skellam", "laplace"} {
		m, err := ParseMechanism(name)
		require.NoError(t, err)
		require.Equal(t, Mechanism(i+1), m)
		require.Equal(t, name, m.String())
	}
	for i, name := range []string{"none", "poisson", "fixed", "truncated-poisson"} {
		m, err := ParseSamplingMode(name)
		require.NoError(t, err)
		require.Equal(t, SamplingMode(i+1), m)
		require.Equal(t, name, m.String())
	}
	for i, name := range []string{"client", "example"} {
		u, err := ParseUnit(name)
		require.NoError(t, err)
		require.Equal(t, Unit(i+1), u)
		require.Equal(t, name, u.String())
	}
	for _, bad := range []string{"", "Gaussian", "zero_out"} {
		_, err := ParseRelation(bad)
		require.ErrorIs(t, err, ErrName)
		_, err = ParseMechanism(bad)
		require.ErrorIs(t, err, ErrName)
		_, err = ParseSamplingMode(bad)
		require.ErrorIs(t, err, ErrName)
		_, err = ParseUnit(bad)
		require.ErrorIs(t, err, ErrName)
	}
	require.Equal(t, "releases coordinator", ObserverReleases.String()+" "+ObserverCoordinator.String())
	require.Empty(t, Unit(9).String()+Relation(9).String()+Mechanism(9).String()+SamplingMode(9).String()+Observer(9).String())
}

func TestRelationsDoNotMix(t *testing.T) {
	a, err := NewEvent(valid())
	require.NoError(t, err)
	s := valid()
	s.Relation = AddRemove
	b, err := NewEvent(s)
	require.NoError(t, err)
	_, err = CommonRelation([]Event{a, b})
	require.ErrorIs(t, err, ErrMixed)
	_, err = CommonRelation([]Event{a, {}})
	require.ErrorIs(t, err, ErrEvent)
	_, err = CommonRelation(nil)
	require.ErrorIs(t, err, ErrEvent)
}

func TestReportsSayEverything(t *testing.T) {
	e, err := NewEvent(valid())
	require.NoError(t, err)
	r := Report{Unit: UnitClient, Observer: ObserverReleases, Relation: ZeroOut, Vouched: "coordinator", Events: []Event{e},
		Epsilon: 2, EpsilonLower: 1.9, Delta: 1e-5, Accountant: "pld", Population: 1000}
	require.NoError(t, r.Check())
	for name, change := range map[string]func(*Report){
		"no events": func(r *Report) { r.Events = nil }, "no unit": func(r *Report) { r.Unit = 0 }, "NaN": func(r *Report) { r.Epsilon = math.NaN() },
		"lower above": func(r *Report) { r.EpsilonLower = 3 }, "delta": func(r *Report) { r.Delta = 1e-3 }, "voucher": func(r *Report) { r.Vouched = "" },
		"sampled for one who sees": func(r *Report) { r.Observer = ObserverCoordinator }, "relation": func(r *Report) { r.Relation = AddRemove },
	} {
		c := r
		change(&c)
		require.Error(t, c.Check(), name)
	}
}
