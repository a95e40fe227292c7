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
	s := valid()
	s.Sampling = Sampling{Mode: SamplingFixed, Population: 10, Size: 2}
	_, err := NewEvent(s)
	require.ErrorIs(t, err, ErrSampling, "fixed size needs replace-one")
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
