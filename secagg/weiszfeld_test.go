package secagg

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg/field"
)

// weighedTask is a pass of rule rfa after the first.
func weighedTask(t testing.TB) Task {
	task := sampleTask(t)
	task.Terms.Weiszfeld = Weiszfeld{Smoothing: 0.25, Passes: 3}
	task.Centre = Hash("centre")
	return task
}

func TestWeighedTaskSurvivesItsEncoding(t *testing.T) {
	task := weighedTask(t)
	back, err := DecodeTask(task.Encode())
	require.NoError(t, err)
	require.Equal(t, task, back)
	session, err := task.Session(sampleRoster(t), nil)
	require.NoError(t, err)
	task.Centre = Digest{}
	first, err := task.Session(sampleRoster(t), nil)
	require.NoError(t, err)
	require.NotEqual(t, first.Context, session.Context, "who is shown another centre is in no sum with the rest")
}

func TestCentreThatNothingIsWeighedByIsRefused(t *testing.T) {
	task := sampleTask(t)
	task.Centre = Hash("centre")
	_, err := DecodeTask(task.Encode())
	require.ErrorIs(t, err, ErrTerms)
	require.ErrorContains(t, err, "a centre without weiszfeld")
}

func TestWeiszfeldWithoutASmoothingIsNotZeroInAnotherForm(t *testing.T) {
	var e Encoder
	e.Float(1, math.Copysign(0, -1))
	_, err := decodeWeiszfeld(e.Encoded())
	require.ErrorIs(t, err, ErrEncoding)
}

func TestTermsThatDoNotGoWithWeiszfeldAreRefused(t *testing.T) {
	for says, change := range map[string]func(*Terms){
		"smoothing 0,":                   func(x *Terms) { x.Weiszfeld.Smoothing = 0 },
		"smoothing 0.009":                func(x *Terms) { x.Weiszfeld.Smoothing = 0.009 },
		"smoothing 1.1":                  func(x *Terms) { x.Weiszfeld.Smoothing = 1.1 },
		"smoothing NaN":                  func(x *Terms) { x.Weiszfeld.Smoothing = math.NaN() },
		"in 0 passes":                    func(x *Terms) { x.Weiszfeld.Passes = 0 },
		"in -1 passes":                   func(x *Terms) { x.Weiszfeld.Passes = -1 },
		"in 17 passes":                   func(x *Terms) { x.Weiszfeld.Passes = 17 },
		"buckets or vectors are opened":  func(x *Terms) { x.View, x.Buckets = ViewBucketMeans, Buckets{Size: 5, Minimum: 3} },
		"sum to sum":                     func(x *Terms) { x.Fallback, x.Buckets = true, Buckets{Size: 5, Minimum: 3} },
		`privacy mode "distributed"`:     func(x *Terms) { x.Privacy = PrivacyDistributed },
		`denominator "fixed"`:            func(x *Terms) { x.Denominator = DenominatorFixed },
		"worker momentum, which changes": func(x *Terms) { x.Training.WorkerMomentum = 0.5 },
	} {
		terms := weighedTask(t).Terms
		require.NoError(t, terms.Check())
		change(&terms)
		require.ErrorContains(t, terms.Check(), says)
	}
}

// The weight is alpha min(1, nu C / |x - v|), in whole steps, against the same in other words.
func TestWeightFallsWithTheDistanceFromTheCentre(t *testing.T) {
	const clip, nu = 5.0, 0.1
	w := Weiszfeld{Smoothing: nu, Passes: 3}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		x, v := make([]float32, 37), make([]float32, 37)
		squares, scale := 0.0, math.Pow(10, 3*r.Float64()-2)
		for i := range x {
			x[i], v[i] = float32(scale*r.NormFloat64()), float32(r.NormFloat64())
			squares += math.Pow(float64(x[i])-float64(v[i]), 2)
		}
		alpha := r.Float64()
		want := alpha
		if d := math.Sqrt(squares); d > nu*clip {
			want = alpha * nu * clip / d
		}
		got := w.Weigh(alpha, x, v, clip)
		require.InDelta(t, want, got, 0.51/ExtraScale+1.0/ExtraScale*max(0, 1-want*ExtraScale))
		require.Equal(t, math.Trunc(got*ExtraScale), got*ExtraScale)
		require.GreaterOrEqual(t, got, 1.0/ExtraScale, "nobody with data weighs nothing")
	}
	x := []float32{3, 4}
	require.Equal(t, w.Weigh(1, x, []float32{0, 0}, clip), w.Weigh(1, x, nil, clip))
	require.InDelta(t, nu, w.Weigh(1, x, nil, clip), 0.5/ExtraScale)
	require.Equal(t, 1.0, w.Weigh(1, x, []float32{3, 4}, clip))
	require.Zero(t, w.Weigh(0, x, nil, clip))
	require.Equal(t, 1.0/ExtraScale, w.Weigh(1e-9, x, nil, clip))
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		require.Zero(t, w.Weigh(1, []float32{float32(bad)}, nil, clip))
	}
	require.Equal(t, []float32{3, 4}, x)
	require.Equal(t, 5.0, field.Norm(x))
}
