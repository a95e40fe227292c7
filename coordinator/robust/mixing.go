package robust

// mixing is the linear map of the pre-aggregators: what a rule sees is rows times the
// input vectors. No rows stand for the identity.
type mixing struct {
	n    int         // input vectors
	rows [][]float64 // m rows of n coefficients; nil: identity
}

// len is the number of vectors that the map makes.
func (m mixing) len() int {
	if m.rows == nil {
		return m.n
	}
	return len(m.rows)
}

// row returns row i of the map as coefficients over the input vectors.
func (m mixing) row(i int) []float64 {
	if m.rows != nil {
		return m.rows[i]
	}
	row := make([]float64, m.n)
	row[i] = 1
	return row
}

// back turns weights over the vectors that the map makes into weights over the inputs.
func (m mixing) back(weights []float64) []float64 {
	out := make([]float64, m.n)
	if m.rows == nil {
		copy(out, weights)
		return out
	}
	for i, row := range m.rows {
		w := weights[i]
		if w == 0 {
			continue
		}
		for j, a := range row {
			out[j] += float64(w * a)
		}
	}
	return out
}

// then is the map that first applies m, and then next to what m makes.
func (m mixing) then(next [][]float64) mixing {
	rows := make([][]float64, len(next))
	for i, row := range next {
		rows[i] = m.back(row)
	}
	return mixing{n: m.n, rows: rows}
}

// chunk is how many columns are worked on at a time: 16 KiB of a sum, small enough to
// stay in the nearest cache while every vector is added to it.
const chunk = 2048

// serially is the Each of an Input that has none.
func serially(n int, do func(i int)) {
	for i := range n {
		do(i)
	}
}

// chunks calls do for each range of chunk columns of d.
func chunks(d int, each func(int, func(int)), do func(from, to int)) {
	if each == nil {
		each = serially
	}
	each((d+chunk-1)/chunk, func(k int) { do(k*chunk, min(d, (k+1)*chunk)) })
}

// weighted writes the sum of weights[i] times vector i into dst, which it overwrites.
// Each coordinate is summed in the order of the vectors; weights of zero are passed over.
func (v Vectors) weighted(dst, weights []float64, each func(int, func(int))) {
	chunks(len(dst), each, func(from, to int) {
		part := dst[from:to]
		clear(part)
		for i, w := range weights {
			switch {
			case w == 0:
			case v.f64 != nil:
				axpy(part, w, v.f64[i][from:to])
			default:
				axpy(part, w, v.f32[i][from:to])
			}
		}
	})
}

// axpy adds w times x to dst.
func axpy[T float32 | float64](dst []float64, w float64, x []T) {
	x = x[:len(dst)]
	for j := range dst {
		dst[j] += float64(w * float64(x[j]))
	}
}
