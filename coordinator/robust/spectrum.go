package robust

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// direction is the largest eigenvalue of a covariance, and how far each vector lies from
// the mean along its eigenvector.
type direction struct {
	value float64
	along []float64 // squared projections; those of vectors without weight as well
}

// principal finds the direction in which vectors weighed by w, which add up to 1, differ
// most. With X the vectors and m their mean, sum w_i (x_i-m)(x_i-m)^T has the eigenvalues
// of the matrix of sqrt(w_i w_j) (x_i-m)(x_j-m), which the Gram matrix gives; if u is an
// eigenvector there, sum sqrt(w_i) u_i (x_i-m) is one here.
func principal(g gram, w []float64) (direction, error) {
	centred := g.centred(w)
	n := g.n
	sym := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			sym.SetSym(i, j, math.Sqrt(w[i])*math.Sqrt(w[j])*centred.dot(i, j))
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(sym, true) {
		return direction{}, ErrNotFinite.At("no eigenvalue found")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	u := make([]float64, n)
	for i := range u {
		u[i] = math.Sqrt(w[i]) * vectors.At(i, n-1)
	}
	d := direction{value: max(0, eigen.Values(nil)[n-1]), along: centred.times(u)}
	for i, x := range d.along {
		d.along[i] = 0
		if d.value > 0 {
			d.along[i] = x / d.value * x
		}
	}
	return d, nil
}

// centred returns the inner products of the vectors less their mean weighed by w.
func (g gram) centred(w []float64) gram {
	gw := g.times(w)
	square := double.dot(w, gw)
	out := newGram(g.n)
	for i := range g.n {
		for j := range i + 1 {
			out.set(i, j, (g.dot(i, j)-gw[i])-(gw[j]-square))
		}
	}
	return out
}
