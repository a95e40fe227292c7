package model

import "gonum.org/v1/gonum/blas/gonum"

// layer is one step of a network. n examples pass through it at once, row by
// row: x holds n*inputs values, y n*outputs. Weights and gradient are the whole
// flat vectors of the network; a layer knows its place in them. Layers keep
// scratch between forward and backward of the same batch.
type layer interface {
	// allocate makes the scratch for n examples.
	allocate(n int)
	// forward sets y from x.
	forward(weights, x, y []float32, n int)
	// backward adds to grad the gradient by its weights and sets dx to that by
	// x, given dy, the gradient by y; x and y are those of the last forward. dx
	// is nil where nobody needs it.
	backward(weights, x, y, dy, grad, dx []float32, n int)
}

// axpy is y += a*x over the length of y, the one vector kernel of the package.
// It works element by element, so that its result does not depend on how the
// slices lie in memory.
func axpy(a float32, x, y []float32) {
	gonum.Implementation{}.Saxpy(len(y), a, x, 1, y, 1)
}

// dense is y = x W + b, with W as in x out, row-major: row i is what input i
// adds to the outputs.
type dense struct {
	in, out      int
	weight, bias int       // where W and b begin in the flat vector
	first        bool      // of the network: nobody asks for dx
	transposed   []float32 // W as out x in, scratch of backward
}

func (l *dense) allocate(int) {
	if !l.first {
		l.transposed = make([]float32, l.in*l.out)
	}
}

func (l *dense) forward(weights, x, y []float32, n int) {
	bias := weights[l.bias : l.bias+l.out]
	for e := range n {
		row := y[e*l.out : (e+1)*l.out]
		copy(row, bias)
		for i, v := range x[e*l.in : (e+1)*l.in] {
			if v != 0 {
				axpy(v, weights[l.weight+i*l.out:l.weight+(i+1)*l.out], row)
			}
		}
	}
}

func (l *dense) backward(weights, x, y, dy, grad, dx []float32, n int) {
	for e := range n {
		axpy(1, dy[e*l.out:(e+1)*l.out], grad[l.bias:l.bias+l.out])
	}
	for i := range l.in { // one row of the gradient at a time stays in cache
		row := grad[l.weight+i*l.out : l.weight+(i+1)*l.out]
		for e := range n {
			if v := x[e*l.in+i]; v != 0 {
				axpy(v, dy[e*l.out:(e+1)*l.out], row)
			}
		}
	}
	if dx == nil {
		return
	}
	for i := range l.in { // transpose, so that dy W' is made of long sums of rows
		for o, w := range weights[l.weight+i*l.out : l.weight+(i+1)*l.out] {
			l.transposed[o*l.in+i] = w
		}
	}
	for e := range n {
		row := dx[e*l.in : (e+1)*l.in]
		clear(row)
		for o, d := range dy[e*l.out : (e+1)*l.out] {
			if d != 0 {
				axpy(d, l.transposed[o*l.in:(o+1)*l.in], row)
			}
		}
	}
}

// relu is y = max(x, 0). NaN passes through, so that a model gone wrong shows.
type relu struct{}

func (relu) allocate(int) {}

func (relu) forward(_, x, y []float32, _ int) {
	for i, v := range x {
		if v < 0 {
			v = 0
		}
		y[i] = v
	}
}

func (relu) backward(_, _, y, dy, _, dx []float32, _ int) {
	for i, v := range y {
		if v == 0 {
			dx[i] = 0
		} else {
			dx[i] = dy[i]
		}
	}
}
