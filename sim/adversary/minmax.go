package adversary

import "math"

// The attacks of Shejwalkar and Houmansadr, NDSS 2021, send mean + gamma p with the
// largest gamma that a bound on distances to the honest updates admits. The paper halves
// a step down to a tolerance; here the quadratic is solved, which is where that search ends.

func minMax(a Attack, k Known) ([][]float32, error) {
	rows, err := k.spread(a)
	if err != nil {
		return nil, err
	}
	centre := mean(rows)
	p := push(rows, centre, a.word("direction"))
	return copies(len(k.Own), plus(centre, minMaxGamma(rows, centre, p), p)), nil
}

func minSum(a Attack, k Known) ([][]float32, error) {
	rows, err := k.spread(a)
	if err != nil {
		return nil, err
	}
	centre := mean(rows)
	p := push(rows, centre, a.word("direction"))
	return copies(len(k.Own), plus(centre, minSumGamma(rows, centre, p, a.word("bound") == "paper"), p)), nil
}

// push is the direction p: against the mean with length 1, against its signs, or minus
// the deviation. It is zero where the mean, or the deviation, is.
func push[T float](rows [][]T, centre []float64, direction string) []float64 {
	switch direction {
	case "sign":
		return scaled(-1, signs(centre))
	case "std":
		return scaled(-1, deviation(rows, centre))
	}
	norm := math.Sqrt(dot(centre, centre))
	if norm == 0 {
		return centre
	}
	return scaled(-1/norm, centre)
}

// minMaxGamma is the largest gamma at which no row is farther from centre + gamma p than
// two rows are from each other.
func minMaxGamma[T float](rows [][]T, centre, p []float64) float64 {
	bound := 0.0
	for i := range rows {
		for j := range i {
			bound = max(bound, distance2(rows[i], rows[j]))
		}
	}
	gamma := math.Inf(1)
	for _, row := range rows {
		along := dot(p, centre) - dot(row, p)
		gamma = min(gamma, upperRoot(dot(p, p), along, distance2(row, centre)-bound))
	}
	return gamma
}

// minSumGamma is the largest gamma at which squared distances of centre + gamma p to the
// rows add up to no more than those of a row to all: of the row with the greatest sum, or
// else of that with the least.
func minSumGamma[T float](rows [][]T, centre, p []float64, greatest bool) float64 {
	sums := make([]float64, len(rows))
	inner, along := 0.0, 0.0
	for i, row := range rows {
		for j := range i {
			d := distance2(row, rows[j])
			sums[i] += d
			sums[j] += d
		}
		inner += distance2(row, centre)
		along += dot(p, centre) - dot(row, p)
	}
	bound := sums[0]
	for _, s := range sums[1:] {
		if greatest == (s > bound) {
			bound = s
		}
	}
	return upperRoot(float64(len(rows))*dot(p, p), along, inner-bound)
}

// upperRoot is the greater root of a x^2 + 2 b x + c for a >= 0 and c <= 0, and 0 where a
// is 0 or rounding leaves no root.
func upperRoot(a, b, c float64) float64 {
	if a == 0 {
		return 0
	}
	root := math.Sqrt(max(0, float64(b*b)-float64(a*c)))
	if b > 0 {
		return max(0, -c/(b+root))
	}
	return max(0, (root-b)/a)
}
