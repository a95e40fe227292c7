package robust

import "slices"

// preaggregator is a linear map over the vectors.
type preaggregator struct {
	after func(n int) (int, error) // how many vectors it makes of n, or a refusal
	rows  func(s *scene) ([][]float64, error)
}

// clip shortens each vector to a length.
func clip(most float64) preaggregator {
	return preaggregator{after: same, rows: func(s *scene) ([][]float64, error) {
		return shortened(s.gram().norms(), most), nil
	}}
}

// arc shortens the floor(2f/n (n-f)) longest vectors to the length of the next one
// (Allouah et al., Adaptive Gradient Clipping for Robust Federated Learning, ICLR 2025).
func arc(f int) preaggregator {
	return preaggregator{after: majorityOf("arc", f), rows: func(s *scene) ([][]float64, error) {
		norms, n := s.gram().norms(), s.len()
		bound := slices.Sorted(slices.Values(norms))[n-2*f*(n-f)/n-1]
		return shortened(norms, bound), nil
	}}
}

// shortened is the map that clips vectors of these lengths.
func shortened(norms []float64, most float64) [][]float64 {
	rows := make([][]float64, len(norms))
	for i, x := range norms {
		rows[i] = make([]float64, len(norms))
		rows[i][i] = 1
		if x > most {
			rows[i][i] = most / x
		}
	}
	return rows
}

// nnm replaces each vector by the mean of the n-f nearest, itself among them (Allouah et
// al., Fixing by Mixing, AISTATS 2023).
func nnm(f int) preaggregator {
	return preaggregator{after: majorityOf("nnm", f), rows: func(s *scene) ([][]float64, error) {
		g := s.gram()
		rows := make([][]float64, g.n)
		s.in.Each(g.n, func(i int) { rows[i] = meanOf(g.n, around(g, i, g.n-f)) })
		return rows, nil
	}}
}

// bucketing replaces the vectors, in an order drawn at random, by the means of size at a
// time; the last may be of fewer (Karimireddy et al., ICLR 2022). f Byzantine vectors
// spoil f means at worst.
func bucketing(size int) preaggregator {
	return preaggregator{
		after: func(n int) (int, error) { return (n + size - 1) / size, nil },
		rows: func(s *scene) ([][]float64, error) {
			order, err := shuffled(s.in.Coins, s.len())
			if err != nil {
				return nil, err
			}
			var rows [][]float64
			for members := range slices.Chunk(order, size) {
				rows = append(rows, meanOf(len(order), members))
			}
			return rows, nil
		},
	}
}

func same(n int) (int, error) { return n, nil }

// majorityOf admits numbers of which fewer than half are Byzantine.
func majorityOf(name string, f int) func(n int) (int, error) {
	return func(n int) (int, error) {
		if n <= 2*f {
			return 0, ErrPrecondition.At("%s of %d vectors with f = %d needs n > 2f", name, n, f)
		}
		return n, nil
	}
}
