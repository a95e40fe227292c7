package ddp_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/stretchr/testify/require"
)

func check(t *testing.T, p ddp.Parameters) ddp.Mechanism {
	m, err := p.Check()
	require.NoError(t, err)
	return m
}

// reference is entry 45 of the reference on differential privacy.
func reference() ddp.Parameters {
	return ddp.Parameters{Dimension: 1 << 18, Clients: 120, Survivors: 120, ClipNorm: 1, Scale: 1 << 14, Sigma: 1.2, Noise: dp.DiscreteGaussian}
}

// plans are mechanisms of every kind.
func plans() map[string]ddp.Parameters {
	bit := reference()
	bit.Dimension, bit.Corrupt = 1000, 10
	bit.Extras = []ddp.Extra{ddp.BitExtra(6, 110), {Name: "loss", Largest: 1 << 20, Bound: 1 << 19, Sigma: 3 << 20}}
	skellam := reference()
	skellam.Noise, skellam.Scale = dp.Skellam, 1<<10
	narrow := ddp.Parameters{Dimension: 64, Clients: 16, Survivors: 16, ClipNorm: 1, Scale: 8, Sigma: 1, Noise: dp.DiscreteGaussian}
	coarse := narrow
	coarse.Noise = dp.Skellam
	central := bit
	central.Central, central.Survivors, central.Corrupt = true, 1, 0
	return map[string]ddp.Parameters{"reference": reference(), "extras": bit, "skellam": skellam, "narrow": narrow, "coarse skellam": coarse, "central": central}
}

var unsampled = dp.Sampling{Mode: dp.SamplingNone}

// TestTheEventDominatesTheRelease: at every whole order an accountant that is given the
// event counts at least the divergence of the release, and hardly more.
func TestTheEventDominatesTheRelease(t *testing.T) {
	var orders []float64
	for a := 2; a <= 1024; a++ {
		orders = append(orders, float64(a))
	}
	for name, p := range plans() {
		m := check(t, p)
		for _, relation := range []dp.Relation{dp.ZeroOut, dp.ReplaceOne} {
			event, err := m.Event(relation, unsampled, 1)
			require.NoError(t, err)
			curve, err := account.NewCurveAt(orders, []dp.Event{event})
			require.NoError(t, err)
			rdp := m.RDP(relation)
			curve.Each(func(order, got float64) {
				want := rdp(int(order))
				require.GreaterOrEqual(t, got, want, "%s under %s at order %g", name, relation, order)
				require.InEpsilon(t, want, got, 1e-9, "%s under %s at order %g", name, relation, order)
			})
		}
	}
}

func TestZCDPDominatesTheRelease(t *testing.T) {
	for name, p := range plans() {
		m := check(t, p)
		most := 1024
		if p.Noise == dp.Skellam {
			most = 64
		}
		for _, relation := range []dp.Relation{dp.ZeroOut, dp.ReplaceOne} {
			rho, rdp, closest := m.ZCDP(relation), m.RDP(relation), math.Inf(1)
			for a := 2; a <= most; a++ {
				require.GreaterOrEqual(t, float64(a)*rho, rdp(a), "%s under %s at order %d", name, relation, a)
				closest = min(closest, float64(a)*rho/rdp(a))
			}
			require.InEpsilon(t, 1, closest, 1e-9, "%s under %s: no more than that", name, relation)
		}
	}
	p := plans()["skellam"]
	p.Corrupt = 60
	require.Greater(t, check(t, p).ZCDP(dp.ZeroOut), check(t, p).RDP(dp.ZeroOut)(1<<20)/(1<<20), "small orders cost Skellam more")
}

func TestTheEventStatesTheRelease(t *testing.T) {
	for name, p := range plans() {
		m := check(t, p)
		sampling := dp.Sampling{Mode: dp.SamplingPoisson, Rate: 0.01}
		event, err := m.Event(dp.ZeroOut, sampling, 7)
		require.NoError(t, err)
		s := event.Spec()
		require.Equal(t, p.Noise, s.Mechanism)
		require.Equal(t, dp.ZeroOut, s.Relation)
		require.Equal(t, sampling, s.Sampling)
		require.EqualValues(t, 7, s.Count)
		require.Equal(t, m.Sensitivity().Dimension+len(p.Extras), s.Dimension)
		variance := m.Shares().Variance()
		require.Zero(t, s.Variance.Cmp(variance.Mul(variance, big.NewRat(int64(p.Survivors-p.Corrupt), 1))), "%s: of the shares that are reckoned with", name)
		require.GreaterOrEqual(t, event.Sensitivity(), m.Sensitivity().L2, name)
		if p.Noise == dp.Skellam {
			require.GreaterOrEqual(t, s.L1, m.Sensitivity().L1)
			require.InEpsilon(t, m.Sensitivity().L1, s.L1, 1e-9)
		} else {
			require.InEpsilon(t, m.Multiplier(dp.ZeroOut), event.NoiseMultiplier(), 1e-9, "%s: update and extras are one event", name)
			require.LessOrEqual(t, event.NoiseMultiplier(), m.Multiplier(dp.ZeroOut)*(1+1e-15), name)
		}
	}
}

// TestAccountedEpsilonsAgreeWithTheReference: entry 45, through the event.
func TestAccountedEpsilonsAgreeWithTheReference(t *testing.T) {
	orders := []float64{256}
	for a := 2; a <= 128; a++ {
		orders = append(orders, float64(a))
	}
	event, err := check(t, reference()).Event(dp.ZeroOut, dp.Sampling{Mode: dp.SamplingPoisson, Rate: 120.0 / 3383}, 100)
	require.NoError(t, err)
	curve, err := account.NewCurveAt(orders, []dp.Event{event})
	require.NoError(t, err)
	bound, err := curve.Epsilon(1e-5)
	require.NoError(t, err)
	require.InDelta(t, 1.98957895, bound.Epsilon, 1e-8)
	require.EqualValues(t, 8, bound.Order)
}

// TestDevicesConvertAsAccountantsDo: 100 unsampled releases by ZCDP and dp.Epsilon, and by
// the accountant. Entry 47 is that of the continuous Gaussian.
func TestDevicesConvertAsAccountantsDo(t *testing.T) {
	m := check(t, reference())
	event, err := m.Event(dp.ZeroOut, unsampled, 100)
	require.NoError(t, err)
	rho, err := account.ZCDPRho([]dp.Event{event})
	require.NoError(t, err)
	require.InEpsilon(t, rho, 100*m.ZCDP(dp.ZeroOut), 1e-9)
	want, err := account.ZCDPEpsilon(rho, 1e-5)
	require.NoError(t, err)
	require.InEpsilon(t, want, dp.Epsilon(100*m.ZCDP(dp.ZeroOut), 1e-5, false), 1e-9)

	m = check(t, plans()["skellam"])
	event, err = m.Event(dp.ZeroOut, unsampled, 10)
	require.NoError(t, err)
	curve, err := account.NewCurve([]dp.Event{event})
	require.NoError(t, err)
	bound, err := curve.Epsilon(1e-5)
	require.NoError(t, err)
	got := dp.Epsilon(10*m.ZCDP(dp.ZeroOut), 1e-5, true)
	require.GreaterOrEqual(t, got, bound.Epsilon, "more orders are no worse")
	require.InEpsilon(t, bound.Epsilon, got, 0.05)
}

// TestTheClipBitSharesTheMultiplier: entry 46 of the reference.
func TestTheClipBitSharesTheMultiplier(t *testing.T) {
	const clients = 100
	for _, z := range []float64{0.5, 1, 2} {
		p := reference()
		p.Dimension, p.Clients, p.Survivors = 100, clients, clients
		bitSigma := ddp.DefaultBitSigma(clients)
		update, err := ddp.UpdateMultiplier(z, bitSigma)
		require.NoError(t, err)
		p.Sigma = update * check(t, p).Sensitivity().L2 / p.Scale
		p.Extras = []ddp.Extra{ddp.BitExtra(bitSigma, clients)}
		event, err := check(t, p).Event(dp.ZeroOut, unsampled, 1)
		require.NoError(t, err)
		require.InEpsilon(t, z, event.NoiseMultiplier(), 1e-9)
		require.Greater(t, update, z)
	}
}

func TestNoEventIsMadeOfWhatPromisesNothing(t *testing.T) {
	m := check(t, reference())
	for _, relation := range []dp.Relation{0, dp.AddRemove, 9} {
		_, err := m.Event(relation, unsampled, 1)
		require.ErrorIs(t, err, ddp.ErrRelation)
		require.Equal(t, math.Inf(1), m.ZCDP(relation))
	}
	_, err := ddp.Mechanism{}.Event(dp.ZeroOut, unsampled, 1)
	require.ErrorIs(t, err, ddp.ErrArgument)
	require.Equal(t, math.Inf(1), ddp.Mechanism{}.ZCDP(dp.ZeroOut))
	_, err = m.Event(dp.ZeroOut, unsampled, 0)
	require.ErrorIs(t, err, dp.ErrEvent)
	_, err = m.Event(dp.ZeroOut, dp.Sampling{Mode: dp.SamplingFixed, Population: 100, Size: 10}, 1)
	require.ErrorIs(t, err, dp.ErrSampling)
}
