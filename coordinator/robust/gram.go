package robust

import (
	"gonum.org/v1/gonum/blas/gonum"
)

// gram holds the inner products of n vectors. Every rule that goes by distances, norms or
// angles needs nothing else, and returns weights.
type gram struct {
	n  int
	at []float64 // n rows of n, symmetric
}

func newGram(n int) gram { return gram{n: n, at: make([]float64, n*n)} }

// row is row i: the inner products of vector i with each.
func (g gram) row(i int) []float64 { return g.at[i*g.n : (i+1)*g.n] }

// dot is the inner product of vectors i and j.
func (g gram) dot(i, j int) float64 { return g.at[i*g.n+j] }

// set stores the inner product of vectors i and j.
func (g gram) set(i, j int, x float64) { g.at[i*g.n+j], g.at[j*g.n+i] = x, x }

// distance is the squared distance of vectors i and j. What rounding leaves below zero
// is zero.
func (g gram) distance(i, j int) float64 {
	if i == j {
		return 0
	}
	return max(0, g.dot(i, i)+g.dot(j, j)-2*g.dot(i, j))
}

// kernel is how inner products of short pieces are computed. The pieces begin where
// chunks of scratch memory do: some kernels of gonum sum in another order where a slice
// begins between two words of 16 bytes, and a result may not depend on that.
type kernel[T float32 | float64] struct {
	dot   func(x, y []T) float64 // between two vectors
	exact func(x, y []T) float64 // of a vector with itself, and where much cancels
}

var blas gonum.Implementation

// single sums float32 products in float32 within a chunk, which leaves a relative error
// of about 1e-6 of the norms, and in float64 from chunk to chunk.
var single = kernel[float32]{
	dot:   func(x, y []float32) float64 { return float64(blas.Sdot(len(x), x, 1, y, 1)) },
	exact: func(x, y []float32) float64 { return blas.Dsdot(len(x), x, 1, y, 1) },
}

var double = kernel[float64]{
	dot:   func(x, y []float64) float64 { return blas.Ddot(len(x), x, 1, y, 1) },
	exact: func(x, y []float64) float64 { return blas.Ddot(len(x), x, 1, y, 1) },
}

// gram computes the inner products of the vectors. It streams over the columns once.
func (v Vectors) gram(each func(int, func(int))) gram {
	if each == nil {
		each = serially
	}
	if v.f64 != nil {
		return double.gram(v.f64, each)
	}
	g := single.gram(v.f32, each)
	single.refine(g, v.f32, each)
	return g
}

// gram adds up stripes of columns, whose number depends on the shape of the input alone,
// in the order of the stripes, however many workers there are.
func (k kernel[T]) gram(rows [][]T, each func(int, func(int))) gram {
	n, blocks := len(rows), (len(rows[0])+chunk-1)/chunk
	stripes := min(blocks, 16, max(2, (1<<23)/(n*n)))
	parts := make([][]float64, stripes)
	each(stripes, func(s int) {
		parts[s] = k.stripe(rows, s*blocks/stripes*chunk, (s+1)*blocks/stripes*chunk)
	})
	g := newGram(n)
	at := 0
	for i := range n {
		for j := range i + 1 {
			sum := 0.
			for _, part := range parts {
				sum += part[at]
			}
			g.set(i, j, sum)
			at++
		}
	}
	return g
}

// tile is how many vectors' chunks are kept near while others are multiplied with them.
const tile = 16

// stripe returns the lower triangle of the inner products over the columns from..to.
func (k kernel[T]) stripe(rows [][]T, from, to int) []float64 {
	n := len(rows)
	sums := make([]float64, n*(n+1)/2)
	scratch := make([]T, n*chunk)
	for ; from < min(to, len(rows[0])); from += chunk {
		width := min(chunk, len(rows[0])-from)
		for i, row := range rows {
			copy(scratch[i*chunk:], row[from:from+width])
		}
		for first := 0; first < n; first += tile {
			for i := first; i < n; i++ {
				x, line := scratch[i*chunk:i*chunk+width], sums[i*(i+1)/2:]
				for j := first; j < min(first+tile, i); j++ {
					line[j] += k.dot(scratch[j*chunk:j*chunk+width], x)
				}
				if i < first+tile {
					line[i] += k.exact(x, x)
				}
			}
		}
	}
	return sums
}

// refine computes anew, in float64, the inner products of vectors so close to each other
// that their distance would be lost in the rounding of float32: those closer than a tenth
// of their norms, or so small that products vanish.
func (k kernel[T]) refine(g gram, rows [][]T, each func(int, func(int))) {
	d := len(rows[0])
	each(g.n, func(i int) {
		var near []int
		for j := range i {
			if g.distance(i, j) < 1e-2*(g.dot(i, i)+g.dot(j, j))+1e-36*float64(d) {
				near = append(near, j)
			}
		}
		if near == nil {
			return
		}
		sums := make([]float64, len(near))
		scratch := make([]T, 2*chunk)
		for from := 0; from < d; from += chunk {
			width := min(chunk, d-from)
			x, y := scratch[:width], scratch[chunk:chunk+width]
			copy(x, rows[i][from:])
			for c, j := range near {
				copy(y, rows[j][from:])
				sums[c] += k.exact(x, y)
			}
		}
		for c, j := range near {
			g.set(i, j, sums[c])
		}
	})
}

// against returns the inner products of the vectors with another, and its square.
func (v Vectors) against(other []float64, each func(int, func(int))) (cross []float64, square float64) {
	if each == nil {
		each = serially
	}
	cross = make([]float64, v.Len())
	each(len(cross), func(i int) {
		wide := make([]float64, chunk)
		for from := 0; from < len(other); from += chunk {
			part := other[from:min(len(other), from+chunk)]
			if v.f64 != nil {
				copy(wide, v.f64[i][from:])
			} else {
				for j, x := range v.f32[i][from : from+len(part)] {
					wide[j] = float64(x)
				}
			}
			cross[i] += double.dot(wide[:len(part)], part)
		}
	})
	for from := 0; from < len(other); from += chunk {
		part := other[from:min(len(other), from+chunk)]
		square += double.dot(part, part)
	}
	return cross, square
}

// mixed returns the inner products of what rows of coefficients make of the vectors:
// A G A^T.
func (g gram) mixed(rows [][]float64, each func(int, func(int))) gram {
	if each == nil {
		each = serially
	}
	half := make([][]float64, len(rows))
	each(len(rows), func(i int) { half[i] = g.times(rows[i]) })
	out := newGram(len(rows))
	each(len(rows), func(i int) {
		for j := range i + 1 {
			out.set(i, j, double.dot(half[i], rows[j]))
		}
	})
	return out
}

// times returns G w: the inner product of each vector with the sum that w weighs.
func (g gram) times(w []float64) []float64 {
	out := make([]float64, g.n)
	for k, x := range w {
		if x != 0 {
			axpy(out, x, g.row(k))
		}
	}
	return out
}

// from returns the squared distances of the vectors from the sum that w weighs.
func (g gram) from(w []float64) []float64 {
	gw := g.times(w)
	square := double.dot(w, gw)
	for i, x := range gw {
		gw[i] = max(0, g.dot(i, i)+square-2*x)
	}
	return gw
}

// norms returns the lengths of the vectors. A negative rest of rounding counts as zero.
func (g gram) norms() []float64 {
	out := make([]float64, g.n)
	for i := range out {
		out[i] = norm(g.dot(i, i))
	}
	return out
}

// cosine is the cosine of the angle between vectors i and j, 0 if one of them is zero.
func (g gram) cosine(i, j int) float64 {
	return cosine(g.dot(i, j), norm(g.dot(i, i)), norm(g.dot(j, j)))
}
