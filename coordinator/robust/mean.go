package robust

// Mean is the arithmetic mean: with bucket means, each bucket counts alike. It
// resists nobody.
type Mean struct{}

// Name returns "mean".
func (Mean) Name() string { return "mean" }

// Admits implements Rule.
func (Mean) Admits(n int) error {
	if n < 1 {
		return ErrPrecondition.At("%d vectors", n)
	}
	return nil
}

// Combine implements Rule.
func (Mean) Combine(dst []float64, in Input) (Outcome, error) {
	n := in.Vectors.Len()
	if n == 0 || len(dst) != in.Vectors.Dim() {
		return Outcome{}, ErrInput.At("%d vectors of %d values into %d", n, in.Vectors.Dim(), len(dst))
	}
	weights := make([]float64, n)
	for i := range weights {
		weights[i] = 1 / float64(n)
	}
	clear(dst)
	for i := range n {
		in.Vectors.add(dst, i)
	}
	if n > 1 {
		for j := range dst {
			dst[j] /= float64(n)
		}
	}
	return Outcome{Weights: weights}, nil
}

// add adds vector i to dst.
func (v Vectors) add(dst []float64, i int) {
	if v.f64 != nil {
		for j, x := range v.f64[i] {
			dst[j] += x
		}
		return
	}
	for j, x := range v.f32[i] {
		dst[j] += float64(x)
	}
}
