package model

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/tensor"
)

// referenceLoss is the mean cross-entropy written out in float64, index by
// index, from the named tensors.
func referenceLoss(arch Architecture, schema tensor.Schema, weights []float64, ds dataset.Dataset) float64 {
	named := map[string][]float64{}
	for i, spec := range schema.Specs() {
		lo, hi := schema.Range(i)
		named[spec.Name] = weights[lo:hi]
	}
	var total float64
	for e := range ds.Len() {
		x := make([]float64, ds.Dim())
		for i, v := range ds.Features(e) {
			x[i] = float64(v)
		}
		denses := 1
		switch arch.Name {
		case MLP:
			for range arch.Hidden {
				x = rectify(referenceDense(named, denses, x))
				denses++
			}
		case CNN:
			s := ds.Shape()
			planes := make([][][]float64, s[2])
			for c := range planes {
				planes[c] = make([][]float64, s[0])
				for r := range planes[c] {
					planes[c][r] = make([]float64, s[1])
					for w := range planes[c][r] {
						planes[c][r][w] = x[(r*s[1]+w)*s[2]+c]
					}
				}
			}
			planes = referenceBlock(named["conv1.weight"], named["conv1.bias"], planes)
			planes = referenceBlock(named["conv2.weight"], named["conv2.bias"], planes)
			x = nil
			for _, plane := range planes {
				for _, row := range plane {
					x = append(x, row...)
				}
			}
		}
		x = referenceDense(named, denses, x)
		var sum float64
		for _, v := range x {
			sum += math.Exp(v)
		}
		total += math.Log(sum) - x[ds.Label(e)]
	}
	return total / float64(ds.Len())
}

func referenceDense(named map[string][]float64, k int, x []float64) []float64 {
	weight, bias := named["dense"+string(rune('0'+k))+".weight"], named["dense"+string(rune('0'+k))+".bias"]
	y := make([]float64, len(bias))
	for o := range y {
		y[o] = bias[o]
		for i := range x {
			y[o] += x[i] * weight[i*len(bias)+o]
		}
	}
	return y
}

func rectify(x []float64) []float64 {
	for i := range x {
		x[i] = max(x[i], 0)
	}
	return x
}

// referenceBlock is convolution, ReLU and pooling in that order.
func referenceBlock(weight, bias []float64, x [][][]float64) [][][]float64 {
	height, width := len(x[0])-2, len(x[0][0])-2
	y := make([][][]float64, len(bias))
	for o := range y {
		plane := make([][]float64, height)
		for r := range plane {
			plane[r] = make([]float64, width)
			for c := range plane[r] {
				sum := bias[o]
				for in := range x {
					for i := range 3 {
						for j := range 3 {
							sum += x[in][r+i][c+j] * weight[((o*len(x)+in)*3+i)*3+j]
						}
					}
				}
				plane[r][c] = max(sum, 0)
			}
		}
		y[o] = make([][]float64, height/2)
		for r := range y[o] {
			y[o][r] = make([]float64, width/2)
			for c := range y[o][r] {
				y[o][r][c] = max(plane[2*r][2*c], plane[2*r][2*c+1], plane[2*r+1][2*c], plane[2*r+1][2*c+1])
			}
		}
	}
	return y
}

type small struct {
	arch    Architecture
	shape   [3]int
	classes int
}

func smallNets() map[string]small {
	return map[string]small{
		"softmax":          {Architecture{Name: Softmax}, [3]int{2, 3, 2}, 4},
		"mlp":              {Architecture{Name: MLP, Hidden: []int{7}}, [3]int{1, 9, 1}, 3},
		"mlp two layers":   {Architecture{Name: MLP, Hidden: []int{8, 5}}, [3]int{3, 3, 1}, 3},
		"cnn":              {Architecture{Name: CNN}, [3]int{10, 11, 1}, 3},
		"cnn two channels": {Architecture{Name: CNN}, [3]int{12, 10, 2}, 2},
	}
}

// randomData has some features that are zero, as images do.
func randomData(t testing.TB, s small, examples int, seed uint64) dataset.Dataset {
	rng := rand.New(rand.NewPCG(seed, 0))
	features := make([]float32, examples*s.shape[0]*s.shape[1]*s.shape[2])
	for i := range features {
		features[i] = max(0, rng.Float32()*1.5-0.5)
	}
	labels := make([]int, examples)
	for i := range labels {
		labels[i] = rng.IntN(s.classes)
	}
	ds, err := dataset.New(features, labels, s.shape, s.classes)
	require.NoError(t, err)
	return ds
}

// randomWeights are initial weights with biases that are not zero.
func randomWeights(n *Net, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 0))
	weights := n.Init(seed).Values()
	for i := range weights {
		weights[i] += 0.2 * (rng.Float32() - 0.5)
	}
	return weights
}

func widen(v []float32) []float64 {
	wide := make([]float64, len(v))
	for i := range v {
		wide[i] = float64(v[i])
	}
	return wide
}

func TestGradientsAgreeWithFiniteDifferencesOfAFloat64Reference(t *testing.T) {
	const h = 1e-6
	for name, s := range smallNets() {
		t.Run(name, func(t *testing.T) {
			net, err := New(s.arch, s.shape, s.classes)
			require.NoError(t, err)
			ds := randomData(t, s, 2, 3)
			weights := randomWeights(net, 4)
			grad := make([]float32, len(weights))
			loss, err := net.Gradient(weights, ds, grad)
			require.NoError(t, err)
			wide := widen(weights)
			require.InDelta(t, referenceLoss(s.arch, net.Schema(), wide, ds), loss, 1e-6)
			e, err := net.Evaluate(weights, ds)
			require.NoError(t, err)
			require.InDelta(t, loss, e.Loss(), 1e-12)

			var largest float64
			for i, w := range wide {
				wide[i] = w + h
				up := referenceLoss(s.arch, net.Schema(), wide, ds)
				wide[i] = w - h
				down := referenceLoss(s.arch, net.Schema(), wide, ds)
				wide[i] = w
				want := (up - down) / (2 * h)
				require.InDelta(t, want, grad[i], 1e-6, "weight %d", i)
				largest = max(largest, math.Abs(want))
			}
			require.Greater(t, largest, 0.01, "the gradient is not zero everywhere")
		})
	}
}

func TestTheGradientOfABatchIsTheMeanOverItsExamples(t *testing.T) {
	for name, s := range smallNets() {
		net, err := New(s.arch, s.shape, s.classes)
		require.NoError(t, err)
		ds := randomData(t, s, 2*chunk+3, 3)
		weights := randomWeights(net, 4)
		whole, one, mean := make([]float32, len(weights)), make([]float32, len(weights)), make([]float64, len(weights))
		loss, err := net.Gradient(weights, ds, whole)
		require.NoError(t, err)
		for e := range ds.Len() {
			l, err := net.Gradient(weights, ds.Subset([]int{e}), one)
			require.NoError(t, err)
			loss -= l / float64(ds.Len())
			for i, g := range one {
				mean[i] += float64(g) / float64(ds.Len())
			}
		}
		require.InDelta(t, 0, loss, 1e-12, name)
		require.InDeltaSlice(t, mean, widen(whole), 1e-6, name)
	}
}

func TestTheProximalGradientAgreesWithFiniteDifferences(t *testing.T) {
	const h, mu = 1e-6, 0.7
	for name, s := range smallNets() {
		t.Run(name, func(t *testing.T) {
			net, err := New(s.arch, s.shape, s.classes)
			require.NoError(t, err)
			ds := randomData(t, s, 3, 5)
			anchor, weights := randomWeights(net, 6), randomWeights(net, 7)
			grad := make([]float32, len(weights))
			_, err = net.Gradient(weights, ds, grad)
			require.NoError(t, err)
			moved := append([]float32(nil), weights...)
			o := sgd{Training: Training{LearningRate: 1, Prox: mu}, weights: moved, anchor: anchor, grad: grad}
			o.step()

			wide := widen(weights)
			objective := func() float64 {
				sum := referenceLoss(s.arch, net.Schema(), wide, ds)
				for i := range wide {
					sum += mu / 2 * (wide[i] - float64(anchor[i])) * (wide[i] - float64(anchor[i]))
				}
				return sum
			}
			for i := 0; i < len(wide); i += 1 + len(wide)/300 {
				w := wide[i]
				wide[i] = w + h
				up := objective()
				wide[i] = w - h
				down := objective()
				wide[i] = w
				require.InDelta(t, (up-down)/(2*h), float64(weights[i])-float64(moved[i]), 2e-6, "weight %d", i)
			}
		})
	}
}
