package model

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/tensor"
)

func TestArchitecturesHaveTheDocumentedTensors(t *testing.T) {
	for text, want := range map[string][]tensor.Spec{
		"softmax": {{Name: "dense1.weight", Shape: []int{784, 10}}, {Name: "dense1.bias", Shape: []int{10}}},
		"mlp": {{Name: "dense1.weight", Shape: []int{784, 200}}, {Name: "dense1.bias", Shape: []int{200}},
			{Name: "dense2.weight", Shape: []int{200, 10}}, {Name: "dense2.bias", Shape: []int{10}}},
		"mlp:30,20": {{Name: "dense1.weight", Shape: []int{784, 30}}, {Name: "dense1.bias", Shape: []int{30}},
			{Name: "dense2.weight", Shape: []int{30, 20}}, {Name: "dense2.bias", Shape: []int{20}},
			{Name: "dense3.weight", Shape: []int{20, 10}}, {Name: "dense3.bias", Shape: []int{10}}},
		"cnn": {{Name: "conv1.weight", Shape: []int{8, 1, 3, 3}}, {Name: "conv1.bias", Shape: []int{8}},
			{Name: "conv2.weight", Shape: []int{16, 8, 3, 3}}, {Name: "conv2.bias", Shape: []int{16}},
			{Name: "dense1.weight", Shape: []int{400, 10}}, {Name: "dense1.bias", Shape: []int{10}}},
	} {
		arch, err := ParseArchitecture(text)
		require.NoError(t, err)
		require.Equal(t, text, arch.String())
		net := mustNew(t, small{arch, [3]int{28, 28, 1}, 10})
		require.Equal(t, want, net.Schema().Specs())
		require.Equal(t, arch, net.Architecture())
		require.True(t, net.Clone().Schema().Equal(net.Schema()))
	}
}

func TestUnknownOrImpossibleArchitecturesAreRefused(t *testing.T) {
	for _, text := range []string{"", "resnet", "MLP", "mlp:", "mlp:0", "mlp:-5", "mlp:10,,5", "mlp:x", "mlp:65537", "softmax:10", "cnn:3",
		"mlp:1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"} {
		_, err := ParseArchitecture(text)
		require.ErrorIs(t, err, ErrModel, text)
		require.NotContains(t, err.Error(), "\n")
	}
	for name, s := range map[string]small{
		"unknown":               {Architecture{Name: "x"}, [3]int{1, 2, 1}, 2},
		"no height":             {Architecture{Name: Softmax}, [3]int{0, 2, 1}, 2},
		"shape wraps":           {Architecture{Name: Softmax}, [3]int{1 << 30, 1 << 30, 16}, 2},
		"one class":             {Architecture{Name: Softmax}, [3]int{1, 2, 1}, 1},
		"too small for a cnn":   {Architecture{Name: CNN}, [3]int{28, 9, 1}, 2},
		"more than 2^31 values": {Architecture{Name: MLP, Hidden: []int{1 << 16, 1 << 16}}, [3]int{1, 2, 1}, 2},
	} {
		_, err := New(s.arch, s.shape, s.classes)
		require.ErrorIs(t, err, ErrModel, name)
	}
}

func TestInitIsHeUniformAndDependsOnTheSeedOnly(t *testing.T) {
	net := mustNew(t, small{Architecture{Name: CNN}, [3]int{28, 28, 1}, 10})
	m := net.Init(5)
	require.Equal(t, m.Values(), net.Clone().Init(5).Values())
	require.NotEqual(t, m.Values(), net.Init(6).Values())
	for name, fanIn := range map[string]float64{"conv1.weight": 9, "conv2.weight": 72, "dense1.weight": 400} {
		values, ok := m.Tensor(name)
		require.True(t, ok)
		limit := math.Sqrt(6 / fanIn)
		var square float64
		for _, v := range values {
			require.LessOrEqual(t, math.Abs(float64(v)), limit)
			square += float64(v) * float64(v) / float64(len(values))
		}
		// The square of a uniform variable has standard deviation 2/sqrt(5) of its mean.
		require.InDelta(t, 2/fanIn, square, 5*2/fanIn*0.9/math.Sqrt(float64(len(values))), name)
	}
	for _, name := range []string{"conv1.bias", "conv2.bias", "dense1.bias"} {
		values, _ := m.Tensor(name)
		require.Equal(t, make([]float32, len(values)), values)
	}
}

func TestEvaluationCountsAndSums(t *testing.T) {
	s := small{Architecture{Name: Softmax}, [3]int{1, 1, 1}, 2}
	net, ds := mustNew(t, s), randomData(t, s, 50, 1)
	ones := 0
	for _, label := range ds.Labels() {
		ones += label
	}
	weights := []float32{0, 0, 0, 3} // says class 1, with odds e^3
	e, err := net.Evaluate(weights, ds)
	require.NoError(t, err)
	p := math.Exp(3) / (1 + math.Exp(3))
	require.Equal(t, 50, e.Examples)
	require.Equal(t, ones, e.Correct)
	require.InDelta(t, -float64(ones)*math.Log(p)-float64(50-ones)*math.Log(1-p), e.LossSum, 1e-9)
	require.InDelta(t, e.LossSum/50, e.Loss(), 1e-15)
	require.InDelta(t, float64(ones)/50, e.Accuracy(), 1e-15)

	tie, err := net.Evaluate([]float32{0, 0, 0, 0}, ds)
	require.NoError(t, err)
	require.Equal(t, 50-ones, tie.Correct, "the first of equals")
}

func TestExpIsExact(t *testing.T) {
	require.Equal(t, 1.0, exp(0))
	for x := 0.0; x > -699; x -= 0.0137 {
		require.InEpsilon(t, math.Exp(x), exp(x), 4e-16, "%v", x)
	}
	require.Zero(t, exp(-701))
	require.Zero(t, exp(math.Inf(-1)))
	require.True(t, math.IsNaN(exp(math.NaN())))
}
