package model

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/sim/dataset"
)

func benchmarkTrain(b *testing.B, name string, t Training) {
	train, _, err := dataset.FashionSubset()
	require.NoError(b, err)
	arch, err := ParseArchitecture(name)
	require.NoError(b, err)
	net, err := New(arch, train.Shape(), train.Classes())
	require.NoError(b, err)
	global := net.Init(1)
	client := train.Subset(firstIndices(600))
	b.ReportAllocs()
	for b.Loop() {
		_, _, err := Train(net, global, client, t, 1)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*client.Len()*t.Epochs), "ns/example")
}

func firstIndices(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func BenchmarkTrainMLP(b *testing.B) {
	benchmarkTrain(b, MLP, Training{Epochs: 1, Batch: 32, LearningRate: 0.05})
}

func BenchmarkTrainMLPMomentumProx(b *testing.B) {
	benchmarkTrain(b, MLP, Training{Epochs: 1, Batch: 32, LearningRate: 0.05, Momentum: 0.9, Prox: 0.01})
}

func BenchmarkTrainMLPBatch10(b *testing.B) {
	benchmarkTrain(b, MLP, Training{Epochs: 1, Batch: 10, LearningRate: 0.05})
}

func BenchmarkTrainSoftmax(b *testing.B) {
	benchmarkTrain(b, Softmax, Training{Epochs: 1, Batch: 32, LearningRate: 0.05})
}

func BenchmarkTrainCNN(b *testing.B) {
	benchmarkTrain(b, CNN, Training{Epochs: 1, Batch: 32, LearningRate: 0.05})
}

func BenchmarkEvaluateMLP(b *testing.B) {
	_, test, err := dataset.FashionSubset()
	require.NoError(b, err)
	net, err := New(Architecture{Name: MLP}, test.Shape(), test.Classes())
	require.NoError(b, err)
	weights := net.Init(1).Values()
	for b.Loop() {
		_, err := net.Evaluate(weights, test)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*test.Len()), "ns/example")
}
