package model

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/tensor"
)

// chunk is how many examples pass through a network at once: enough to use each
// weight many times while it is in cache, few enough for the activations to be
// there too. It does not influence any result: sums run over the examples in
// order, across chunks as within them.
const chunk = 32

// Net is an architecture for examples of one shape and a number of classes. It
// holds scratch but no weights. It must not be used by two goroutines at once;
// give each its own [Net.Clone].
type Net struct {
	arch    Architecture
	shape   [3]int
	classes int
	schema  tensor.Schema
	fanIn   []int // per tensor; 0 for a bias
	layers  []layer
	// values[i] goes into layer i and values[i+1] comes out, widths[i] values for
	// each of chunk examples; deltas[i] is the gradient by values[i], and
	// deltas[0] is nil because nobody asks for it.
	widths         []int
	values, deltas [][]float32
}

// New builds a network for examples of the given shape (height, width,
// channels; see dataset.New) and labels below classes, at least 2.
//
// Its tensors, in order: for an MLP dense1.weight [inputs, 200], dense1.bias
// [200], dense2.weight [200, classes], dense2.bias; for softmax only dense1; for
// a CNN conv1.weight [8, channels, 3, 3], conv1.bias, conv2.weight [16, 8, 3, 3],
// conv2.bias, dense1.weight, dense1.bias. A dense weight is inputs x outputs,
// the transpose of PyTorch's. A CNN needs examples of at least 10 x 10.
func New(arch Architecture, shape [3]int, classes int) (*Net, error) {
	if err := arch.check(); err != nil {
		return nil, err
	}
	const mostInputs, mostClasses = 1 << 20, 1 << 16
	inputs := 1
	for _, side := range shape {
		if side < 1 || side > mostInputs/inputs {
			return nil, fmt.Errorf("%w: examples of shape %v", ErrModel, shape)
		}
		inputs *= side
	}
	if classes < 2 || classes > mostClasses {
		return nil, fmt.Errorf("%w: %d classes, not between 2 and %d", ErrModel, classes, mostClasses)
	}
	b := builder{net: &Net{arch: arch, shape: shape, classes: classes, widths: []int{inputs}}, width: inputs}
	switch arch.Name {
	case MLP:
		hidden := arch.Hidden
		if hidden == nil {
			hidden = []int{200}
		}
		for _, width := range hidden {
			b.dense(width)
			b.push(relu{}, width)
		}
	case CNN:
		if shape[0] < 10 || shape[1] < 10 {
			return nil, fmt.Errorf("%w: a %s needs examples of at least 10 x 10, not %d x %d", ErrModel, CNN, shape[0], shape[1])
		}
		rows, cols := b.conv(shape[2], 8, shape[0], shape[1])
		b.conv(8, 16, rows, cols)
	}
	b.dense(classes)
	return b.finish()
}

// builder strings layers together and gives each its place in the flat vector.
type builder struct {
	net           *Net
	width         int // outputs of the last layer
	total         int // values of all tensors so far; may wrap, but then finish refuses
	specs         []tensor.Spec
	denses, convs int
}

func (b *builder) dense(out int) {
	b.denses++
	l := &dense{in: b.width, out: out, first: len(b.net.layers) == 0}
	l.weight = b.tensor(fmt.Sprintf("dense%d.weight", b.denses), l.in, l.in, out)
	l.bias = b.tensor(fmt.Sprintf("dense%d.bias", b.denses), 0, out)
	b.push(l, out)
}

func (b *builder) conv(in, out, height, width int) (rows, cols int) {
	b.convs++
	l := &conv{in: in, out: out, height: height, width: width}
	l.weight = b.tensor(fmt.Sprintf("conv%d.weight", b.convs), 9*in, out, in, 3, 3)
	l.bias = b.tensor(fmt.Sprintf("conv%d.bias", b.convs), 0, out)
	rows, cols = l.pooled()
	b.push(l, out*rows*cols)
	return rows, cols
}

// tensor declares a tensor and returns where it begins.
func (b *builder) tensor(name string, fanIn int, shape ...int) int {
	at, count := b.total, 1
	for _, dim := range shape {
		count *= dim
	}
	b.total += count
	b.specs = append(b.specs, tensor.Spec{Name: name, Shape: shape})
	b.net.fanIn = append(b.net.fanIn, fanIn)
	return at
}

func (b *builder) push(l layer, out int) {
	b.net.layers = append(b.net.layers, l)
	b.net.widths = append(b.net.widths, out)
	b.width = out
}

// finish checks the sizes and only then allocates scratch.
func (b *builder) finish() (*Net, error) {
	n := b.net
	schema, err := tensor.NewSchema(b.specs)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrModel, n.arch, err)
	}
	n.schema = schema
	for i, width := range n.widths {
		n.values = append(n.values, make([]float32, chunk*width))
		n.deltas = append(n.deltas, nil)
		if i > 0 {
			n.deltas[i] = make([]float32, chunk*width)
			n.layers[i-1].allocate(chunk)
		}
	}
	return n, nil
}

// Architecture is what the network was built from.
func (n *Net) Architecture() Architecture { return n.arch }

// Schema is the layout of its weights.
func (n *Net) Schema() tensor.Schema { return n.schema }

// Clone is the same network with scratch of its own.
func (n *Net) Clone() *Net {
	clone, err := New(n.arch, n.shape, n.classes)
	if err != nil {
		panic("model: a network that was built cannot be built again: " + err.Error()) //nolint:forbidigo // the same arguments were accepted before
	}
	return clone
}

// Init draws initial weights: uniform with variance 2/fan-in, biases zero (He et
// al., "Delving Deep into Rectifiers", 2015, equation 10). The same seed gives
// the same weights on every platform.
func (n *Net) Init(seed uint64) tensor.Model {
	m := tensor.Zero(n.schema)
	rng := rand.New(rand.NewPCG(seed, streamInit))
	for i, fanIn := range n.fanIn {
		if fanIn == 0 {
			continue
		}
		limit := math.Sqrt(6 / float64(fanIn))
		lo, hi := n.schema.Range(i)
		for j := range m.Values()[lo:hi] {
			m.Values()[lo+j] = float32(limit * (2*rng.Float64() - 1))
		}
	}
	return m
}

// Random streams of one seed.
const (
	streamInit = 1 + iota
	streamTrain
)

// fits checks that weights and data are for this network.
func (n *Net) fits(weights []float32, ds dataset.Dataset) error {
	switch {
	case len(weights) != n.schema.Total():
		return fmt.Errorf("%w: %d weights, the %s has %d", ErrModel, len(weights), n.arch, n.schema.Total())
	case ds.Len() == 0:
		return fmt.Errorf("%w: no examples", ErrModel)
	case ds.Shape() != n.shape || ds.Classes() != n.classes:
		return fmt.Errorf("%w: examples of shape %v in %d classes, the %s is for %v in %d", ErrModel,
			ds.Shape(), ds.Classes(), n.arch, n.shape, n.classes)
	}
	return nil
}
