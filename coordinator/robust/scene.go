package robust

import (
	"encoding/binary"
	"io"
	"math"
	"slices"
)

// scene is what pre-aggregators and rules see of an input: the vectors as mixed so far,
// and their inner products, computed once something asks for them.
type scene struct {
	in    Input
	mixed mixing
	known *gram
}

func newScene(in Input) *scene {
	if in.Each == nil {
		in.Each = serially
	}
	return &scene{in: in, mixed: mixing{n: in.Vectors.Len()}}
}

// len is the number of vectors.
func (s *scene) len() int { return s.mixed.len() }

// gram returns the inner products of the vectors.
func (s *scene) gram() gram {
	if s.known == nil {
		g := s.in.Vectors.gram(s.in.Each)
		if s.mixed.rows != nil {
			g = g.mixed(s.mixed.rows, s.in.Each)
		}
		s.known = &g
	}
	return *s.known
}

// mix replaces the vectors by what rows of coefficients make of them.
func (s *scene) mix(rows [][]float64) {
	if s.known != nil {
		g := s.known.mixed(rows, s.in.Each)
		s.known = &g
	}
	s.mixed = s.mixed.then(rows)
}

// against returns the inner products of the vectors with another one, and its square.
// A vector of nil is zero.
func (s *scene) against(other []float64, name string) (cross []float64, square float64, err error) {
	if other == nil {
		return make([]float64, s.len()), 0, nil
	}
	if len(other) != s.in.Vectors.Dim() {
		return nil, 0, ErrInput.At("%s of %d values for vectors of %d", name, len(other), s.in.Vectors.Dim())
	}
	for j, x := range other {
		if !(math.Abs(x) <= most(mostDouble, len(other))) {
			return nil, 0, ErrNotFinite.At("%s, coordinate %d: %v", name, j, x)
		}
	}
	inputs, square := s.in.Vectors.against(other, s.in.Each)
	if s.mixed.rows == nil {
		return inputs, square, nil
	}
	cross = make([]float64, s.len())
	for i, row := range s.mixed.rows {
		cross[i] = double.dot(row, inputs)
	}
	return cross, square, nil
}

// sampled returns the inner products over count coordinates drawn at random; over all of
// them if count is 0 or there are no more.
func (s *scene) sampled(count int) (gram, error) {
	if count == 0 || count >= s.in.Vectors.Dim() {
		return s.gram(), nil
	}
	picked := make(map[int]bool, count)
	for top := s.in.Vectors.Dim() - count; top < s.in.Vectors.Dim(); top++ { // Floyd: each set alike
		at, err := below(s.in.Coins, top+1)
		if err != nil {
			return gram{}, err
		}
		if picked[at] {
			at = top
		}
		picked[at] = true
	}
	columns := make([]int, 0, count)
	for at := range picked {
		columns = append(columns, at)
	}
	slices.Sort(columns)
	part := Vectors{f32: gather(s.in.Vectors.f32, columns), f64: gather(s.in.Vectors.f64, columns)}
	g := part.gram(s.in.Each)
	if s.mixed.rows != nil {
		g = g.mixed(s.mixed.rows, s.in.Each)
	}
	return g, nil
}

func gather[T float32 | float64](rows [][]T, columns []int) [][]T {
	if rows == nil {
		return nil
	}
	out := make([][]T, len(rows))
	for i, row := range rows {
		out[i] = make([]T, len(columns))
		for k, j := range columns {
			out[i][k] = row[j]
		}
	}
	return out
}

// shuffled returns 0 to n-1 in an order of which each is as likely.
func shuffled(coins io.Reader, n int) ([]int, error) {
	order := make([]int, n)
	for i := range order {
		j, err := below(coins, i+1)
		if err != nil {
			return nil, err
		}
		order[i] = order[j]
		order[j] = i
	}
	return order, nil
}

// below draws one of 0 to n-1, each as likely.
func below(coins io.Reader, n int) (int, error) {
	if coins == nil {
		return 0, ErrMissing.At("coins")
	}
	limit := math.MaxUint64 - math.MaxUint64%uint64(n)
	var b [8]byte
	for {
		if _, err := io.ReadFull(coins, b[:]); err != nil {
			return 0, ErrMissing.At("coins").Because(err)
		}
		if x := binary.LittleEndian.Uint64(b[:]); x < limit {
			return int(x % uint64(n)), nil
		}
	}
}
