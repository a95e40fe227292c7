package model

import (
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/tensor"
)

func mustNew(t testing.TB, s small) *Net {
	t.Helper()
	net, err := New(s.arch, s.shape, s.classes)
	require.NoError(t, err)
	return net
}

// With one example per client there is no order to draw, so the whole run can
// be written out.
func TestTrainIsMomentumSGDWithAProximalTerm(t *testing.T) {
	for name, s := range smallNets() {
		for _, tr := range []Training{
			{Epochs: 4, Batch: 1, LearningRate: 0.1},
			{Epochs: 4, Batch: 3, LearningRate: 0.1, Momentum: 0.9},
			{Epochs: 4, Batch: 1, LearningRate: 0.1, Prox: 0.5},
			{Epochs: 4, Batch: 1, LearningRate: 0.05, Momentum: 0.5, Prox: 2},
		} {
			net := mustNew(t, s)
			ds := randomData(t, s, 1, 8)
			global := net.Init(9)
			before := global.Digest()
			got, stats, err := Train(net, global, ds, tr, 1)
			require.NoError(t, err)
			require.Equal(t, before, global.Digest(), "the global model is left alone")

			want := widen(global.Values())
			velocity, grad, narrow := make([]float64, len(want)), make([]float32, len(want)), make([]float32, len(want))
			var loss float64
			for range tr.Epochs {
				for i := range want {
					narrow[i] = float32(want[i])
				}
				loss, err = net.Gradient(narrow, ds, grad)
				require.NoError(t, err)
				for i := range want {
					velocity[i] = tr.Momentum*velocity[i] + float64(grad[i]) + tr.Prox*(want[i]-float64(global.Values()[i]))
				}
				for i := range want {
					want[i] -= tr.LearningRate * velocity[i]
				}
			}
			for i := range want {
				require.InDelta(t, want[i], got[i], 2e-6, "%s %+v weight %d", name, tr, i)
			}
			require.Equal(t, 1, stats.Examples)
			require.Equal(t, 4, stats.Steps)
			require.InDelta(t, loss, stats.Loss, 1e-5)
			require.NotEqual(t, global.Values(), got)
		}
	}
}

// Each example lights a pixel of its own, so that its row of weights moves if
// and only if it was visited.
func TestEachEpochVisitsEveryExampleOnceInAnOrderOfItsOwn(t *testing.T) {
	const n = 7
	features := make([]float32, n*n)
	for i := range n {
		features[i*n+i] = 1
	}
	ds, err := dataset.New(features, make([]int, n), [3]int{1, n, 1}, 2)
	require.NoError(t, err)
	net := mustNew(t, small{Architecture{Name: Softmax}, [3]int{1, n, 1}, 2})
	global := tensor.Zero(net.Schema())
	tr := Training{Epochs: 1, Batch: 1, LearningRate: 0.5}
	first, stats, err := Train(net, global, ds, tr, 1)
	require.NoError(t, err)
	require.Equal(t, n, stats.Steps)
	var pulls []float32
	for i := range n {
		require.Greater(t, first[2*i], float32(0), "example %d was visited", i)
		pulls = append(pulls, first[2*i])
	}
	// The bias grows with every step, so later visits pull less: the pulls tell
	// the order.
	slices.Sort(pulls)
	require.Len(t, slices.Compact(pulls), n)
	second, _, err := Train(net, global, ds, tr, 2)
	require.NoError(t, err)
	require.NotEqual(t, first, second, "another seed, another order")

	tr.Batch, tr.Epochs = 3, 2
	_, stats, err = Train(net, global, ds, tr, 1)
	require.NoError(t, err)
	require.Equal(t, 6, stats.Steps, "3, 3 and 1 examples, twice")
}

func TestResultsDependOnNeitherGOMAXPROCSNorAlignmentNorEarlierUse(t *testing.T) {
	train, test, err := dataset.FashionSubset()
	require.NoError(t, err)
	train, test = train.Subset(firstIndices(70)), test.Subset(firstIndices(100))
	tr := Training{Epochs: 2, Batch: 33, LearningRate: 0.05, Momentum: 0.9, Prox: 0.1}
	for _, name := range []string{Softmax, MLP, CNN} {
		net := mustNew(t, small{Architecture{Name: name}, train.Shape(), 10})
		global := net.Init(1)
		want, wantStats, err := Train(net, global, train, tr, 2)
		require.NoError(t, err)
		wantResult, err := net.Evaluate(want, test)
		require.NoError(t, err)
		before := runtime.GOMAXPROCS(1)
		for shift := range 4 { // by 0, 4, 8 and 12 bytes
			runtime.GOMAXPROCS(1 + shift)
			moved := append(make([]float32, shift, shift+len(want)), global.Values()...)[shift:]
			m, err := tensor.NewModel(net.Schema(), moved)
			require.NoError(t, err)
			got, stats, err := Train(net, m, train, tr, 2)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, wantStats, stats)
			moved = append(make([]float32, shift, shift+len(want)), want...)[shift:]
			result, err := net.Clone().Evaluate(moved, test)
			require.NoError(t, err)
			require.Equal(t, wantResult, result)
			grad := make([]float32, shift+len(want))[shift:]
			_, err = net.Gradient(moved, train, grad)
			require.NoError(t, err)
			aligned := make([]float32, len(want))
			_, err = net.Gradient(want, train, aligned)
			require.NoError(t, err)
			require.Equal(t, aligned, grad)
		}
		runtime.GOMAXPROCS(before)
	}
}

func TestEachModelLearnsTheEmbeddedImages(t *testing.T) {
	train, test, err := dataset.FashionSubset()
	require.NoError(t, err)
	for _, c := range []struct {
		name     string
		training Training
		floor    float64
	}{
		{Softmax, Training{Epochs: 10, Batch: 64, LearningRate: 0.05}, 0.78},
		{MLP, Training{Epochs: 5, Batch: 16, LearningRate: 0.05}, 0.82},
		{CNN, Training{Epochs: 4, Batch: 16, LearningRate: 0.02, Momentum: 0.9}, 0.80},
	} {
		t.Run(c.name, func(t *testing.T) {
			net := mustNew(t, small{Architecture{Name: c.name}, train.Shape(), train.Classes()})
			local, stats, err := Train(net, net.Init(1), train, c.training, 2)
			require.NoError(t, err)
			result, err := net.Evaluate(local, test)
			require.NoError(t, err)
			t.Logf("accuracy %.3f, loss %.3f, training loss %.3f", result.Accuracy(), result.Loss(), stats.Loss)
			require.GreaterOrEqual(t, result.Accuracy(), c.floor)
			require.Equal(t, test.Len(), result.Examples)
			require.Less(t, stats.Loss, 0.6)
		})
	}
}

func TestProxHoldsTheLocalModelNearTheGlobalOne(t *testing.T) {
	s := smallNets()["mlp"]
	net, ds := mustNew(t, s), randomData(t, s, 40, 1)
	global := net.Init(1)
	distance := func(mu float64) (sum float64) {
		local, _, err := Train(net, global, ds, Training{Epochs: 30, Batch: 10, LearningRate: 0.1, Prox: mu}, 1)
		require.NoError(t, err)
		for i, w := range global.Values() {
			sum += float64(local[i]-w) * float64(local[i]-w)
		}
		return math.Sqrt(sum)
	}
	require.Less(t, distance(1), distance(0.1))
	require.Less(t, distance(0.1), distance(0))
}

func TestTrainRefusesWhatDoesNotFit(t *testing.T) {
	s := smallNets()["mlp"]
	net, ds := mustNew(t, s), randomData(t, s, 5, 1)
	good := Training{Epochs: 1, Batch: 2, LearningRate: 0.1}
	_, _, err := Train(net, net.Init(1), ds, good, 1)
	require.NoError(t, err)

	for name, bad := range map[string]Training{
		"nothing set":       {},
		"no epochs":         {Batch: 2, LearningRate: 0.1},
		"no batch":          {Epochs: 1, LearningRate: 0.1},
		"no rate":           {Epochs: 1, Batch: 2},
		"negative rate":     {Epochs: 1, Batch: 2, LearningRate: -0.1},
		"infinite rate":     {Epochs: 1, Batch: 2, LearningRate: math.Inf(1)},
		"rate NaN":          {Epochs: 1, Batch: 2, LearningRate: math.NaN()},
		"momentum one":      {Epochs: 1, Batch: 2, LearningRate: 0.1, Momentum: 1},
		"negative momentum": {Epochs: 1, Batch: 2, LearningRate: 0.1, Momentum: -0.1},
		"momentum NaN":      {Epochs: 1, Batch: 2, LearningRate: 0.1, Momentum: math.NaN()},
		"negative prox":     {Epochs: 1, Batch: 2, LearningRate: 0.1, Prox: -1},
		"prox NaN":          {Epochs: 1, Batch: 2, LearningRate: 0.1, Prox: math.NaN()},
	} {
		_, _, err := Train(net, net.Init(1), ds, bad, 1)
		require.ErrorIs(t, err, ErrModel, name)
	}

	_, _, err = Train(net, net.Init(1), ds.Subset(nil), good, 1)
	require.ErrorIs(t, err, ErrModel, "no data")
	_, _, err = Train(net, mustNew(t, smallNets()["softmax"]).Init(1), ds, good, 1)
	require.ErrorIs(t, err, ErrModel, "weights of another model")
	flat, err := tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{net.Schema().Total()}}})
	require.NoError(t, err)
	_, _, err = Train(net, tensor.Zero(flat), ds, good, 1)
	require.ErrorIs(t, err, ErrModel, "as many weights under another schema")
	other := randomData(t, small{s.arch, [3]int{9, 1, 1}, s.classes}, 5, 1)
	_, _, err = Train(net, net.Init(1), other, good, 1)
	require.ErrorIs(t, err, ErrModel, "data of another shape")
	more := randomData(t, small{s.arch, s.shape, s.classes + 1}, 5, 1)
	_, _, err = Train(net, net.Init(1), more, good, 1)
	require.ErrorIs(t, err, ErrModel, "data with more classes")

	weights := net.Init(1).Values()
	_, err = net.Evaluate(weights[1:], ds)
	require.ErrorIs(t, err, ErrModel)
	_, err = net.Evaluate(weights, ds.Subset(nil))
	require.ErrorIs(t, err, ErrModel)
	_, err = net.Gradient(weights, ds, weights[1:])
	require.ErrorIs(t, err, ErrModel)
	_, err = net.Gradient(weights, other, make([]float32, len(weights)))
	require.ErrorIs(t, err, ErrModel)
}

func TestWeightsThatAreNotFiniteShowInTheLoss(t *testing.T) {
	for name, s := range smallNets() {
		net, ds := mustNew(t, s), randomData(t, s, 40, 1)
		for i := range net.Schema().Len() {
			weights := net.Init(1).Values()
			lo, _ := net.Schema().Range(i)
			weights[lo] = float32(math.NaN())
			e, err := net.Evaluate(weights, ds)
			require.NoError(t, err)
			require.True(t, math.IsNaN(e.Loss()), "%s, tensor %d", name, i)
		}
	}
}

func TestPoolingTakesTheLargestPositiveValueAndLetsNaNThrough(t *testing.T) {
	nan := float32(math.NaN())
	l := &conv{in: 1, out: 1, height: 4, width: 4}
	l.allocate(1)
	y, winners := make([]float32, 1), make([]int32, 1)
	for _, c := range []struct {
		square [4]float32
		y      float32
		winner int32
	}{
		{[4]float32{1, 2, 3, 4}, 4, 5},
		{[4]float32{1, 2, 3, -4}, 3, 4},
		{[4]float32{2, 2, 2, 2}, 2, 0},
		{[4]float32{-1, -2, -3, -4}, 0, -1},
		{[4]float32{0, 0, 0, 0}, 0, -1},
		{[4]float32{nan, 2, 3, 4}, nan, 0},
		{[4]float32{1, nan, 3, 4}, nan, 1},
		{[4]float32{-1, -1, nan, -1}, nan, 4},
		{[4]float32{1, 2, 3, nan}, nan, 5},
	} {
		l.plane[0], l.plane[1], l.plane[4], l.plane[5] = c.square[0], c.square[1], c.square[2], c.square[3]
		l.pool(y, winners)
		require.Equal(t, math.Float32bits(c.y), math.Float32bits(y[0]), "%v", c.square)
		require.Equal(t, c.winner, winners[0], "%v", c.square)
	}
}
