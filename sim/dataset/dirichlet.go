package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Dirichlet deals out each class in proportions drawn from a symmetric
// Dirichlet distribution over the clients: for large alpha all clients see the
// same mix, for small alpha few clients hold most of a class, and sizes differ
// as much as mixes do. A client that drew nothing is given one example of the
// largest. alpha must lie in [1e-6, 1e6]. Yurochkin et al., "Bayesian
// Nonparametric Federated Learning of Neural Networks", 2019, section 4; Li et
// al., "Federated Learning on Non-IID Data Silos", 2022, section 4.
func Dirichlet(labels []int, clients int, alpha float64, seed uint64) ([][]int, error) {
	if err := checkClients(labels, clients); err != nil {
		return nil, err
	}
	if !(alpha >= 1e-6 && alpha <= 1e6) { // refuses NaN too
		return nil, fmt.Errorf("%w: alpha %v is not in [1e-6, 1e6]", ErrPartition, alpha)
	}
	rng := source(seed, streamDirichlet)
	parts := make([][]int, clients)
	for sorted := byLabel(labels, indices(len(labels))); len(sorted) > 0; {
		n := slices.IndexFunc(sorted, func(i int) bool { return labels[i] != labels[sorted[0]] })
		if n < 0 {
			n = len(sorted)
		}
		class := sorted[:n]
		sorted = sorted[n:]
		rng.Shuffle(n, func(a, b int) { class[a], class[b] = class[b], class[a] })
		sum, lo := 0.0, 0
		for k, share := range dirichlet(rng, clients, alpha) {
			sum += share
			hi := min(n, int(sum*float64(n)))
			if k == clients-1 {
				hi = n // whatever the shares add up to in floating point
			}
			parts[k] = append(parts[k], class[lo:hi]...)
			lo = hi
		}
	}
	feedEmpty(parts)
	return finish(parts), nil
}

// dirichlet draws n shares that add up to 1: gamma variables over their sum. It
// works with logarithms, because for small alpha the variables themselves fall
// below the smallest float.
func dirichlet(rng *rand.Rand, n int, alpha float64) []float64 {
	shares := make([]float64, n)
	for i := range shares {
		shares[i] = logGamma(rng, alpha)
	}
	largest := slices.Max(shares)
	sum := 0.0
	for i := range shares {
		shares[i] = math.Exp(shares[i] - largest)
		sum += shares[i]
	}
	for i := range shares {
		shares[i] /= sum
	}
	return shares
}

// logGamma draws the logarithm of a gamma variable of the given shape and scale
// 1: Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables",
// 2000, section 2 for shape + 1, and its section 6 to come down to shape.
func logGamma(rng *rand.Rand, shape float64) float64 {
	d := shape + 1 - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		logV := 3 * math.Log(v)
		u := 1 - rng.Float64() // in (0, 1]
		if math.Log(u) < 0.5*x*x+d-d*v*v*v+d*logV {
			return math.Log(d) + logV + math.Log(1-rng.Float64())/shape
		}
	}
}
