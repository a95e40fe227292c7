package coordinator

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
)

// seen is the trend after models of such accuracies, each with a loss of one less that.
func seen(accuracies ...float64) (t trend) {
	for _, a := range accuracies {
		t, _, _ = t.follow(Measurement{Accuracy: a, Loss: 1 - a}, defaultCusum)
	}
	return t
}

// The same from the definitions, slowly: averages of all up to the fifth, moving ones after.
func TestTrendIsTheMovingAverageAndTheUsualError(t *testing.T) {
	values := []float64{0.1, 0.5, 0.4, 0.6, 0.65, 0.7, 0.68, 0.75, 0.74}
	mean, square := values[0], 0.0
	for i, x := range values[1:] {
		off := x - mean
		n := float64(i + 1)
		square = square*(1-math.Max(0.2, 1/n)) + off*off*math.Max(0.2, 1/n)
		mean = mean*(1-math.Max(0.2, 1/(n+1))) + x*math.Max(0.2, 1/(n+1))
		got := seen(values[:i+2]...)
		require.InDelta(t, mean, got.accuracy.mean, 1e-12)
		require.InDelta(t, square, got.accuracy.square, 1e-12)
		require.InDelta(t, 1-mean, got.loss.mean, 1e-12)
		require.InDelta(t, square, got.loss.square, 1e-12)
		require.EqualValues(t, i+2, got.models)
	}
	require.InDelta(t, (0.1+0.5+0.4+0.6+0.65)/5, seen(values[:5]...).accuracy.mean, 1e-12)
}

func TestFallOfTheHoldoutIsInDeviationsOfWhatWasUsual(t *testing.T) {
	before := seen(0.5, 0.52, 0.48, 0.51, 0.49, 0.5)
	expected, deviation := before.accuracy.mean, math.Sqrt(before.accuracy.square)
	_, drop, _ := before.follow(Measurement{Accuracy: expected - 3.5*deviation}, defaultCusum)
	require.InDelta(t, 3.5, drop, 1e-9)
	_, drop, _ = before.follow(Measurement{Accuracy: expected + 3.5*deviation}, defaultCusum)
	require.InDelta(t, -3.5, drop, 1e-9, "a rise is no fall")
	_, drop, cusum := seen(0.5, 0.6, 0.5, 0.6).follow(Measurement{Accuracy: 0, Loss: 9}, defaultCusum)
	require.Zero(t, drop, "after four models nobody knows what is usual")
	require.Zero(t, cusum)
	_, drop, _ = seen(0.5, 0.6, 0.5, 0.6, 0.5).follow(Measurement{Accuracy: 0, Loss: 9}, defaultCusum)
	require.Greater(t, drop, 3.)
	_, drop, cusum = seen(0.5, 0.5, 0.5, 0.5, 0.5).follow(Measurement{Accuracy: 0.5, Loss: 0.5}, defaultCusum)
	require.Zero(t, drop, "as expected, where nothing was ever off")
	require.Zero(t, cusum)
	_, drop, cusum = seen(0.5, 0.5, 0.5, 0.5, 0.5).follow(Measurement{Accuracy: 0.4, Loss: 0.6}, defaultCusum)
	require.Equal(t, mostSigmas, drop)
	require.InDelta(t, mostSigmas, cusum, 1)
}

func TestSmallRisesOfTheLossAddUp(t *testing.T) {
	now := seen(0.5, 0.52, 0.48, 0.51, 0.49, 0.5)
	want := now.cusum
	for round := 1; ; round++ {
		loss := now.loss.mean + 1.5*math.Sqrt(now.loss.square) // none of them stands out
		next, drop, cusum := now.follow(Measurement{Accuracy: now.accuracy.mean, Loss: loss}, 5)
		require.Zero(t, drop)
		want += 1.5 - 0.5
		require.InDelta(t, want, cusum, 1e-9)
		if now = next; cusum > 5 {
			require.Zero(t, now.cusum, "after an alert it begins anew")
			return
		}
		require.Equal(t, cusum, now.cusum)
		require.Less(t, round, 6)
	}
}

func TestFallsOfTheLossDoNotMakeUpForLaterRises(t *testing.T) {
	now := seen(0.5, 0.52, 0.48, 0.51, 0.49, 0.5)
	now, _, cusum := now.follow(Measurement{Loss: now.loss.mean - 50*math.Sqrt(now.loss.square)}, 5)
	require.Zero(t, cusum)
	_, _, cusum = now.follow(Measurement{Loss: now.loss.mean + 2.5*math.Sqrt(now.loss.square)}, 5)
	require.InDelta(t, 2, cusum, 1e-9)
}

// A head and a line of the history hold no number that cannot be written.
func TestTrendOfLossesBeyondAllMeasureCanBeWritten(t *testing.T) {
	now := trend{}
	for range 8 {
		for _, loss := range []float64{math.MaxFloat64, -math.MaxFloat64, 0} {
			now, _, _ = now.follow(Measurement{Loss: loss}, 5)
			h := fullHead()
			h.trend = now
			back, err := decodeHead(h.encode())
			require.NoError(t, err)
			require.Equal(t, now, back.trend)
			_, err = json.Marshal(now.shown())
			require.NoError(t, err)
		}
	}
	require.Nil(t, trend{}.shown())
}

func TestTrendAlertsBeginBeyondTheirThresholds(t *testing.T) {
	before := seen(0.5, 0.52, 0.48, 0.51, 0.49, 0.5)
	before.cusum = 4
	at := func(fall, rise float64) *Measurement {
		return &Measurement{Accuracy: before.accuracy.mean - fall*math.Sqrt(before.accuracy.square), Loss: before.loss.mean + rise*math.Sqrt(before.loss.square)}
	}
	for name, c := range map[string]struct {
		plan func(*plan.Literal)
		m    *Measurement
		want []string
	}{
		"as usual":          {func(*plan.Literal) {}, at(0, 0), nil},
		"almost":            {func(*plan.Literal) {}, at(2.99, 1.49), nil},
		"a fall":            {func(*plan.Literal) {}, at(3.01, 0), []string{AlertHoldout}},
		"a rise":            {func(*plan.Literal) {}, at(0, 1.51), []string{AlertCusum}},
		"both":              {func(*plan.Literal) {}, at(4, 4), []string{AlertHoldout, AlertCusum}},
		"as the plan says":  {func(l *plan.Literal) { l.Screening.Alerts.HoldoutSigma, l.Screening.Alerts.Cusum = 4.5, 8 }, at(4, 4), nil},
		"sooner, if wanted": {func(l *plan.Literal) { l.Screening.Alerts.HoldoutSigma, l.Screening.Alerts.Cusum = 1, 3 }, at(1.1, 0), []string{AlertHoldout, AlertCusum}},
	} {
		t.Run(name, func(t *testing.T) {
			e := alerting(t, c.plan)
			e.head.trend = before
			var got []string
			for _, a := range e.alerts(&result{measured: c.m, before: c.m}, 0) {
				got = append(got, a.Name)
				require.Greater(t, a.Value, a.Threshold)
				require.Nil(t, a.Bucket, "nobody is named")
			}
			require.Equal(t, c.want, got)
		})
	}
}

// Another plan may have another holdout in mind.
func TestTrendEndsWithItsPlan(t *testing.T) {
	e := alerting(t, func(*plan.Literal) {})
	e.head = fullHead()
	require.NotEqual(t, e.head.plan, e.cfg.Plan.Digest())
	require.Zero(t, e.resumed().trend)
	e.head.plan = e.cfg.Plan.Digest()
	require.Equal(t, e.head.trend, e.resumed().trend)
}

// The rates that docs/ROBUSTNESS.md states, on independent normal figures.
func TestTrendAlertsFalselyAndFindsAsOftenAsIsSaid(t *testing.T) {
	coins := rand.New(rand.NewPCG(1, 2))
	const runs = 2000
	// Of so many models, shifted by so much, it counts those after which each alert came.
	follow := func(models int, shift func(model int) float64) (drops, sums int, found bool) {
		now := trend{}
		for i := range models {
			var drop, cusum float64
			x := coins.NormFloat64() + shift(i)
			now, drop, cusum = now.follow(Measurement{Accuracy: -x, Loss: x}, defaultCusum)
			if drop > defaultHoldoutSigma {
				drops++
			}
			if cusum > defaultCusum {
				sums++
				found = found || i >= 40
			}
		}
		return drops, sums, found
	}
	drops, sums := 0, 0
	for range runs {
		d, s, _ := follow(100, func(int) float64 { return 0 })
		drops, sums = drops+d, sums+s
	}
	require.InDelta(t, 95*runs/155, drops, 150)
	require.InDelta(t, 95*runs/2600, sums, 30)
	within := func(shift func(since int) float64) float64 {
		found := 0
		for range runs {
			if _, _, ok := follow(60, func(i int) float64 {
				if i < 40 {
					return 0
				}
				return shift(i - 39)
			}); ok {
				found++
			}
		}
		return float64(found) / runs
	}
	require.InDelta(t, 0.97, within(func(since int) float64 { return float64(since) / 4 }), 0.02)
	for _, c := range []struct{ size, share float64 }{{1, 0.06}, {2, 0.37}, {4, 0.97}} {
		require.InDelta(t, c.share, within(func(int) float64 { return c.size }), 0.02, "%v", c.size)
	}
}
