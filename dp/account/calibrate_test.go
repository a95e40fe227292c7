package account

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
)

// dp_accounting's calibrations [ran], tolerance of its root finder 1e-6; row 27 of
// pld/accountant_test.
func TestCalibrationMatchesTheAnchor(t *testing.T) {
	for _, g := range []struct {
		q              float64
		steps          int64
		epsilon, delta float64
		rdp, pld       float64
	}{
		{.04, 2000, 8, 1e-5, 1.35623958, 1.28996901},
		{.01, 1000, 2, 1e-5, 1.02228983, 0.95910329},
		{.01, 1e4, 8, 1e-5, 0.91688122, 0.88253022},
		{1. / 34, 1500, 10, 1. / 3400, 0.83312208, 0.79128765},
		{100. / 342477, 1500, 10, 1. / 342477, 0.35346149, 0.32933020},
	} {
		plan := func(z float64) ([]dp.Event, error) { return []dp.Event{gaussian(t, g.q, z, g.steps)}, nil }
		z, err := Noise(g.epsilon, g.delta, ByRDP, plan)
		require.NoError(t, err)
		require.LessOrEqual(t, z, g.rdp+3e-6)
		require.InDelta(t, g.rdp, z, 3e-3, "the anchor overcounts between whole orders")
		e, err := ByRDP([]dp.Event{gaussian(t, g.q, z, g.steps)}, g.delta)
		require.NoError(t, err)
		require.LessOrEqual(t, e, g.epsilon, "the safe side")
		z, err = Noise(g.epsilon, g.delta, ByPLD(1e-4), plan)
		require.NoError(t, err)
		t.Logf("%.9f, anchor %.9f", z, g.pld)
		require.InDelta(t, g.pld, z, 5e-6)
	}
	z, err := Noise(1, 1e-5, ByPLD(1e-4), func(z float64) ([]dp.Event, error) { return []dp.Event{gaussian(t, .01, z, 1)}, nil })
	require.NoError(t, err)
	require.InDelta(t, 0.67379294682, z, 2e-6)
	z, err = Noise(1, 1e-5, ByPLD(1e-4), func(sigma float64) ([]dp.Event, error) {
		return []dp.Event{gaussian(t, .001, sigma/6, 25)}, nil
	})
	require.NoError(t, err)
	require.InDelta(t, 3.20956502598, z, 2e-5)
	// The anchor's search stops short of the least level: at its levels epsilon is below 1.
	for q, g := range map[float64]struct {
		z     float64
		steps int64
	}{.01: {.67379294682, 1}, .001: {3.20956502598 / 6, 25}} {
		e, err := ByPLD(1e-4)([]dp.Event{gaussian(t, q, g.z, g.steps)}, 1e-5)
		require.NoError(t, err)
		require.Less(t, e, 1.)
		require.Greater(t, e, 1-1e-5)
	}
}

func TestMostRoundsStayWithinTheTarget(t *testing.T) {
	plan := func(n int64) ([]dp.Event, error) { return []dp.Event{gaussian(t, .01, 1, n)}, nil }
	n, err := Most(1e6, 2, 1e-5, ByRDP, plan)
	require.NoError(t, err)
	for k, ok := range map[int64]bool{n: true, n + 1: false} {
		e, err := ByRDP([]dp.Event{gaussian(t, .01, 1, k)}, 1e-5)
		require.NoError(t, err)
		require.Equal(t, ok, e <= 2)
	}
	n, err = Most(7, 2, 1e-5, ByRDP, plan)
	require.NoError(t, err)
	require.EqualValues(t, 7, n)
	_, err = Most(7, 1e-3, 1e-5, ByRDP, plan)
	require.ErrorIs(t, err, ErrNoSolution)
	for _, limit := range []int64{0, -1, dp.MaxCount + 1, math.MaxInt64} {
		_, err = Most(limit, 2, 1e-5, ByRDP, plan)
		require.ErrorIs(t, err, ErrNoSolution, "%d", limit)
	}
}

func TestTargetsThatNoNoiseMeetsAreRefused(t *testing.T) {
	unsampled := func(count int64) func(z float64) ([]dp.Event, error) {
		return func(z float64) ([]dp.Event, error) { return []dp.Event{gaussian(t, 1, z, count)}, nil }
	}
	_, err := Noise(1e-9, 1e-12, ByGDP, unsampled(dp.MaxCount))
	require.ErrorIs(t, err, ErrNoSolution, "too little")
	_, err = Noise(1e9, .1, ByGDP, unsampled(1))
	require.ErrorIs(t, err, ErrNoSolution, "more than any noise spends")
	broken := errors.New("broken")
	_, err = Noise(1, 1e-5, ByGDP, func(float64) ([]dp.Event, error) { return nil, broken })
	require.ErrorIs(t, err, broken)
	_, err = Most(7, 1, 1e-5, ByGDP, func(int64) ([]dp.Event, error) { return nil, broken })
	require.ErrorIs(t, err, broken)
	_, err = GDPNoise(1e-300, 1e-300)
	require.ErrorIs(t, err, ErrNoSolution)
}

func TestFiltersStopAtTheBudget(t *testing.T) {
	e := gaussian(t, 1, 10, 1)
	rdp, err := NewRDPFilter(dp.ZeroOut, 5.4, 4.7286, 1e-5)
	require.NoError(t, err)
	zcdp, err := NewZCDPFilter(dp.ZeroOut, 4.73, 1e-5)
	require.NoError(t, err)
	gdp, err := NewGDPFilter(dp.ZeroOut, 4.3772, 1e-5)
	require.NoError(t, err)
	for _, f := range []*Filter{rdp, zcdp, gdp} {
		for range 100 {
			require.NoError(t, f.Charge(e))
		}
		require.ErrorIs(t, f.Charge(e), ErrBudget, "row 24: 100 of noise 10 are as one of noise 1")
		require.Less(t, f.Left(), .01)
		s := e.Spec()
		s.Relation = dp.AddRemove
		require.ErrorIs(t, f.Charge(event(t, s)), dp.ErrMixed)
		require.ErrorIs(t, f.Charge(dp.Event{}), dp.ErrEvent)
	}
}

func TestFiltersThatAllowNothingAreRefused(t *testing.T) {
	_, err := NewRDPFilter(dp.ZeroOut, 2, 1, 1e-5)
	require.ErrorIs(t, err, ErrTarget, "the conversion alone costs more at this order")
	for name, f := range map[string]func(relation dp.Relation, epsilon, delta float64) (*Filter, error){
		"rdp":  func(r dp.Relation, e, d float64) (*Filter, error) { return NewRDPFilter(r, 30, e, d) },
		"zcdp": NewZCDPFilter, "gdp": NewGDPFilter,
	} {
		_, err := f(dp.ZeroOut, 1, 1e-5)
		require.NoError(t, err, name)
		_, err = f(0, 1, 1e-5)
		require.ErrorIs(t, err, dp.ErrEvent, "%s without a relation", name)
		for _, bad := range [][2]float64{{0, 1e-5}, {-1, 1e-5}, {math.NaN(), 1e-5}, {math.Inf(1), 1e-5}, {1, 0}, {1, 1}, {1, math.NaN()}} {
			_, err = f(dp.ZeroOut, bad[0], bad[1])
			require.ErrorIs(t, err, ErrTarget, "%s: %v", name, bad)
		}
	}
	f, err := NewGDPFilter(dp.ZeroOut, 1, 1e-5)
	require.NoError(t, err)
	require.ErrorIs(t, f.Charge(gaussian(t, .1, 10, 1)), ErrUnsupported, "what has no price is not admitted")
	require.Equal(t, 1., f.Left())
}

func TestBestOrderIsThatOfThePlan(t *testing.T) {
	order, err := BestOrder([]dp.Event{gaussian(t, .02, 2, 500)}, 1e-5)
	require.NoError(t, err)
	require.Equal(t, 17., order, "row 14")
	_, err = BestOrder(nil, 1e-5)
	require.ErrorIs(t, err, dp.ErrEvent)
	_, err = BestOrder([]dp.Event{gaussian(t, 1, 1, 1)}, 0)
	require.ErrorIs(t, err, ErrTarget)
	_, err = BestOrder([]dp.Event{gaussian(t, 1, 1e-300, 1)}, 1e-5)
	require.ErrorIs(t, err, ErrTarget, "no order is finite")
}

// As many uses of one event and one event of as many uses are the same.
func TestTimesIsTheCount(t *testing.T) {
	one, err := NewCurve([]dp.Event{gaussian(t, .01, 1, 1)})
	require.NoError(t, err)
	many, err := NewCurve([]dp.Event{gaussian(t, .01, 1, 1000)})
	require.NoError(t, err)
	got, err := one.Times(1000)
	require.NoError(t, err)
	require.InDeltaSlice(t, many.rdp, got.rdp, 1e-12*many.rdp[len(many.rdp)-1])
	require.NotEqual(t, one, got, "a copy")
	for _, n := range []int64{0, -1, dp.MaxCount + 1} {
		_, err = one.Times(n)
		require.ErrorIs(t, err, dp.ErrEvent)
	}
}

func TestFilterDoesNotLoseSmallSpends(t *testing.T) {
	f, err := NewGDPFilter(dp.ZeroOut, 1, 1e-5)
	require.NoError(t, err)
	require.NoError(t, f.Charge(gaussian(t, 1, 5, 1)))
	before := f.spent
	require.NoError(t, f.Charge(gaussian(t, 1, 1e30, 1)))
	require.Greater(t, f.spent, before)
}

func BenchmarkNoise(b *testing.B) {
	for _, g := range []struct {
		q              float64
		steps          int64
		epsilon, delta float64
	}{{.04, 2000, 8, 1e-5}, {.01, 1000, 2, 1e-5}, {.01, 1e4, 8, 1e-5}, {1. / 34, 1500, 10, 1. / 3400}, {100. / 342477, 1500, 10, 1. / 342477}} {
		b.Run(fmt.Sprintf("q=%.4g/steps=%d", g.q, g.steps), func(b *testing.B) {
			for b.Loop() {
				_, err := Noise(g.epsilon, g.delta, ByPLD(1e-4), func(z float64) ([]dp.Event, error) { return []dp.Event{gaussian(b, g.q, z, g.steps)}, nil })
				require.NoError(b, err)
			}
		})
	}
}
