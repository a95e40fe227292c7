package model

import (
	"math"

	"github.com/choir-fl/choir/sim/dataset"
)

// Evaluation is how a model did on some examples, as sums, so that those of
// several clients or parts can be added up.
type Evaluation struct {
	Examples int
	Correct  int
	LossSum  float64 // cross-entropy in nats
}

// Loss is the mean cross-entropy in nats; NaN without examples, and NaN or
// infinite for weights that are not finite or far too large.
func (e Evaluation) Loss() float64 { return e.LossSum / float64(e.Examples) }

// Accuracy is the share of examples classified rightly; NaN without examples.
func (e Evaluation) Accuracy() float64 { return float64(e.Correct) / float64(e.Examples) }

// Evaluate runs the weights over all examples. The class with the largest
// output counts, the first of equals. It refuses, with [ErrModel], weights or
// data made for another network, and data without examples.
func (n *Net) Evaluate(weights []float32, ds dataset.Dataset) (Evaluation, error) {
	if err := n.fits(weights, ds); err != nil {
		return Evaluation{}, err
	}
	e := Evaluation{Examples: ds.Len()}
	for lo := 0; lo < ds.Len(); lo += chunk {
		count := n.forward(weights, ds, lo)
		for i := range count {
			outputs := n.outputs(i)
			label := ds.Label(lo + i)
			if argmax(outputs) == label {
				e.Correct++
			}
			e.LossSum += crossEntropy(outputs, label, 0, nil)
		}
	}
	return e, nil
}

// Gradient sets grad to the gradient of the mean cross-entropy over all
// examples, the batch, and returns that mean. It refuses what Evaluate refuses,
// and a grad of another length than the weights.
func (n *Net) Gradient(weights []float32, batch dataset.Dataset, grad []float32) (loss float64, err error) {
	if err := n.fits(weights, batch); err != nil {
		return 0, err
	}
	if err := n.fits(grad, batch); err != nil {
		return 0, err
	}
	clear(grad)
	last := len(n.layers)
	for lo := 0; lo < batch.Len(); lo += chunk {
		count := n.forward(weights, batch, lo)
		for i := range count {
			delta := n.deltas[last][i*n.classes : (i+1)*n.classes]
			loss += crossEntropy(n.outputs(i), batch.Label(lo+i), 1/float64(batch.Len()), delta)
		}
		for k := last - 1; k >= 0; k-- {
			in, out := count*n.widths[k], count*n.widths[k+1]
			dx := n.deltas[k]
			if dx != nil {
				dx = dx[:in]
			}
			n.layers[k].backward(weights, n.values[k][:in], n.values[k+1][:out], n.deltas[k+1][:out], grad, dx, count)
		}
	}
	return loss / float64(batch.Len()), nil
}

// forward runs up to chunk examples from lo on and returns how many.
func (n *Net) forward(weights []float32, ds dataset.Dataset, lo int) int {
	count := min(chunk, ds.Len()-lo)
	for i := range count {
		n.load(n.values[0][i*n.widths[0]:(i+1)*n.widths[0]], ds.Features(lo+i))
	}
	for k, l := range n.layers {
		l.forward(weights, n.values[k][:count*n.widths[k]], n.values[k+1][:count*n.widths[k+1]], count)
	}
	return count
}

// load puts one example in, for a CNN with its channels apart.
func (n *Net) load(dst, features []float32) {
	channels := n.shape[2]
	if n.arch.Name != CNN || channels == 1 {
		copy(dst, features)
		return
	}
	area := n.shape[0] * n.shape[1]
	for i, v := range features {
		dst[i%channels*area+i/channels] = v
	}
}

// outputs is the last layer's row of example i of the chunk.
func (n *Net) outputs(i int) []float32 {
	return n.values[len(n.layers)][i*n.classes : (i+1)*n.classes]
}

func argmax(row []float32) int {
	best := 0
	for i, v := range row {
		if v > row[best] {
			best = i
		}
	}
	return best
}

// crossEntropy is -log softmax(outputs)[label]. If delta is given it is set to
// scale times the gradient by the outputs, softmax(outputs) - onehot(label).
func crossEntropy(outputs []float32, label int, scale float64, delta []float32) float64 {
	largest := float64(outputs[argmax(outputs)])
	sum := 0.0
	for _, v := range outputs {
		sum += exp(float64(v) - largest)
	}
	for i := range delta {
		p := exp(float64(outputs[i])-largest) / sum
		if i == label {
			p--
		}
		delta[i] = float32(scale * p)
	}
	return math.Log(sum) + largest - float64(outputs[label])
}

// exp is e^x for x <= 0, to about one unit in the last place; NaN stays NaN. It
// stands in for math.Exp, whose result depends on which instructions the
// processor has, for what it returns goes into the model.
func exp(x float64) float64 {
	const ln2Hi, ln2Lo = 6.93147180369123816490e-01, 1.90821492927058770002e-10
	if x < -700 {
		return 0
	}
	k := math.Floor(float64(x*math.Log2E) + 0.5)
	r := x - float64(k*ln2Hi) - float64(k*ln2Lo) // |r| <= ln(2)/2
	sum := taylor[len(taylor)-1]
	for i := len(taylor) - 2; i >= 0; i-- {
		sum = taylor[i] + float64(r*sum)
	}
	return math.Ldexp(sum, int(k))
}

// taylor holds 1/i!; the term after the last is below 1e-17 for |r| <= ln(2)/2.
var taylor = [...]float64{1, 1, 1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040, 1. / 40320,
	1. / 362880, 1. / 3628800, 1. / 39916800, 1. / 479001600, 1. / 6227020800}
