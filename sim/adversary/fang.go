package adversary

import (
	"math"
	"slices"
)

// fangKrum sends -lambda s, s the signs of the mean, with the largest lambda of a halving
// search at which Krum chooses it. All attackers send the same; the paper moves the
// others by a small random step, which jitter does.
func fangKrum(a Attack, k Known) ([][]float32, error) {
	rows, err := k.honest(a)
	if err != nil {
		return nil, err
	}
	if len(rows) < 3 {
		return nil, ErrKnown.At("attack %s, round %d: Krum has no neighbours for %d attackers among %d clients", a.Name(), k.Round, k.Byzantine, k.Clients)
	}
	s := signs(mean(k.seen(a)))
	return copies(len(k.Own), scaled(-krumReach(rows, s, k.Byzantine), s)), nil
}

// krumReach is lambda, of the attack on Krum by Fang et al.: from their upper bound on,
// halved until Krum (Blanchard et al., n-f-2 neighbours) gives -lambda s, sent f times,
// a lower score than every honest update. Below 1e-5 of the bound it gives up and returns
// the last value, as the paper does at 1e-5. The rows are at least three, f at least one.
func krumReach[T float](rows [][]T, s []float64, f int) float64 {
	h, d := len(rows), dot(s, s)
	if d == 0 {
		return 0
	}
	neighbours := h - 2 // n-f-2
	between := make([][]float64, h)
	for i := range between {
		between[i] = make([]float64, h)
	}
	least, farthest := math.Inf(1), 0.0
	norms, along := make([]float64, h), make([]float64, h)
	for i, row := range rows {
		norms[i], along[i] = dot(row, row), dot(row, s)
		farthest = max(farthest, norms[i])
		for j := range i {
			between[i][j] = distance2(row, rows[j])
			between[j][i] = between[i][j]
		}
	}
	for i := range rows {
		least = min(least, nearest(without(between[i], i), neighbours))
	}
	// Their m-2c-1; at fewer honest clients f copies alone make a score of zero
	// and Krum chooses them wherever they are.
	lambda := math.Sqrt(least/(float64(max(1, h-f-1))*d)) + math.Sqrt(farthest/d)
	chosen := func(lambda float64) bool {
		to := make([]float64, h) // squared distances of honest updates to -lambda s
		for i := range to {
			to[i] = max(0, norms[i]+float64(2*lambda*along[i])+float64(lambda*lambda*d))
		}
		score := nearest(slices.Concat(to, make([]float64, f-1)), neighbours)
		for i := range rows {
			if nearest(slices.Concat(without(between[i], i), slices.Repeat(to[i:i+1], f)), neighbours) <= score {
				return false
			}
		}
		return true
	}
	for end := lambda * 1e-5; lambda >= end && !chosen(lambda); {
		lambda /= 2
	}
	return lambda
}

// without is row with its i-th value left out.
func without(row []float64, i int) []float64 {
	return slices.Concat(row[:i], row[i+1:])
}

// nearest is the sum of the count least values; it reorders them.
func nearest(values []float64, count int) float64 {
	slices.Sort(values)
	sum := 0.0
	for _, x := range values[:min(count, len(values))] {
		sum += x
	}
	return sum
}

// fangTrim draws, for each attacker and coordinate, a value on the far side of the honest
// ones: below them where their mean is not negative, above them elsewhere. Fang et
// al., attack on trimmed mean: up to b times (or one b-th of) the extreme with full knowledge, between
// three and four deviations off the mean with partial knowledge.
func fangTrim(a Attack, k Known) ([][]float32, error) {
	var beyond func(j int) (from, to float64)
	rows := k.seen(a)
	centre := mean(rows)
	if a.Omniscient() {
		least, most := extremes(rows)
		b := a.Number("b")
		beyond = func(j int) (float64, float64) {
			if centre[j] >= 0 {
				return least[j], stretch(least[j], least[j] < 0, b)
			}
			return most[j], stretch(most[j], most[j] > 0, b)
		}
	} else {
		if _, err := k.spread(a); err != nil {
			return nil, err
		}
		std := deviation(rows, centre)
		beyond = func(j int) (float64, float64) {
			side := std[j]
			if centre[j] >= 0 {
				side = -side
			}
			return centre[j] + float64(3*side), centre[j] + float64(4*side)
		}
	}
	crafted := make([][]float32, len(k.Own))
	for i := range crafted {
		crafted[i] = make([]float32, len(centre))
		for j := range centre {
			from, to := beyond(j)
			crafted[i][j] = float32(from + float64((to-from)*k.Coins.Float64()))
		}
	}
	return crafted, nil
}

// stretch is x times b where that is farther out, and one b-th of it elsewhere.
func stretch(x float64, times bool, b float64) float64 {
	if times {
		return x * b
	}
	return x / b
}

// extremes are the least and greatest value at each coordinate.
func extremes[T float](rows [][]T) (least, most []float64) {
	least, most = scaled(1, rows[0]), scaled(1, rows[0])
	for _, row := range rows[1:] {
		for j, x := range row {
			least[j], most[j] = min(least[j], float64(x)), max(most[j], float64(x))
		}
	}
	return least, most
}
