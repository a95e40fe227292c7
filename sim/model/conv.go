package model

// conv is a block of 3x3 convolution without padding, ReLU, and 2x2 max pooling
// that drops an odd last row or column. Examples are planes: channel, row,
// column. Kernels are out x in x 3 x 3.
//
// The convolution of a plane is nine shifted copies of it, each times one
// weight, added up as one long vector with the rows end to end; the two last
// values of each row of the result straddle two rows and are never looked at.
// Backward visits only the positions that won their pool and passed the ReLU,
// at most one in four.
type conv struct {
	in, out       int // channels
	height, width int // of an input plane
	weight, bias  int // where kernels and biases begin in the flat vector
	plane         []float32
	winners       []int32 // per output value, the place in the plane it came from, or -1
}

func (l *conv) allocate(n int) {
	rows, cols := l.pooled()
	l.plane = make([]float32, (l.height-3)*l.width+l.width-2)
	l.winners = make([]int32, n*l.out*rows*cols)
}

// pooled is the size of an output plane.
func (l *conv) pooled() (rows, cols int) { return (l.height - 2) / 2, (l.width - 2) / 2 }

func (l *conv) forward(weights, x, y []float32, n int) {
	rows, cols := l.pooled()
	for e := range n {
		example := x[e*l.in*l.height*l.width : (e+1)*l.in*l.height*l.width]
		for o := range l.out {
			at := (e*l.out + o) * rows * cols
			l.convolve(weights, example, o)
			l.pool(y[at:at+rows*cols], l.winners[at:at+rows*cols])
		}
	}
}

// convolve fills the plane with output channel o of one example.
func (l *conv) convolve(weights, example []float32, o int) {
	bias := weights[l.bias+o]
	for i := range l.plane {
		l.plane[i] = bias
	}
	for c := range l.in {
		kernel := weights[l.weight+9*(o*l.in+c):]
		for k := range 9 {
			axpy(kernel[k], example[(c*l.height+k/3)*l.width+k%3:], l.plane)
		}
	}
}

// pool takes the largest of each 2x2 square, the first of equals, and puts zero
// and no winner where it is not positive. NaN wins, so that it shows.
func (l *conv) pool(y []float32, winners []int32) {
	rows, cols := l.pooled()
	for r := range rows {
		for c := range cols {
			at := 2*r*l.width + 2*c
			best, from := l.plane[at], at
			for _, i := range [3]int{at + 1, at + l.width, at + l.width + 1} {
				if v := l.plane[i]; v > best || v != v {
					best, from = v, i
				}
			}
			if best <= 0 {
				best, from = 0, -1
			}
			y[r*cols+c], winners[r*cols+c] = best, int32(from)
		}
	}
}

func (l *conv) backward(weights, x, _, dy, grad, dx []float32, n int) {
	rows, cols := l.pooled()
	size := l.height * l.width
	clear(dx)
	for e := range n {
		for o := range l.out {
			at := (e*l.out + o) * rows * cols
			for i, d := range dy[at : at+rows*cols] {
				from := int(l.winners[at+i])
				if from < 0 || d == 0 {
					continue
				}
				grad[l.bias+o] += d
				for c := range l.in {
					kernel := l.weight + 9*(o*l.in+c)
					corner := (e*l.in+c)*size + from
					scatter(d, x[corner:], grad[kernel:kernel+9], l.width)
					if dx != nil {
						gather(d, weights[kernel:kernel+9], dx[corner:], l.width)
					}
				}
			}
		}
	}
}

// scatter adds d times the 3x3 window of x to the nine kernel gradients.
func scatter(d float32, x, grad []float32, width int) {
	for k := range 3 {
		g, v := grad[3*k:3*k+3:3*k+3], x[k*width:k*width+3:k*width+3]
		g[0] += float32(d * v[0])
		g[1] += float32(d * v[1])
		g[2] += float32(d * v[2])
	}
}

// gather adds d times the kernel to the 3x3 window of dx.
func gather(d float32, kernel, dx []float32, width int) {
	for k := range 3 {
		g, v := dx[k*width:k*width+3:k*width+3], kernel[3*k:3*k+3:3*k+3]
		g[0] += float32(d * v[0])
		g[1] += float32(d * v[1])
		g[2] += float32(d * v[2])
	}
}
