package robust

import (
	"cmp"
	"math"
	"slices"
)

// trusted weighs each vector by its cosine with a root update, 0 if that is negative, and
// gives it the root's length (FLTrust; Cao et al., NDSS 2021, section IV). Weights do not
// add up to 1. cross and square are the root's inner products.
func trusted(g gram, cross []float64, square float64) ([]float64, error) {
	root := norm(square)
	if root == 0 {
		return nil, ErrInput.At("the root update is zero")
	}
	norms, w := g.norms(), make([]float64, g.n)
	for i := range w {
		w[i] = max(0, cosine(cross[i], norms[i], root))
	}
	sum := total(w)
	if sum == 0 {
		return nil, ErrNoneLeft.At("no vector points where the root update points")
	}
	for i, trust := range w {
		if trust > 0 {
			w[i] = trust / sum * (root / norms[i])
		}
	}
	return w, nil
}

// majority returns the first cluster of more than half of the vectors that forms when
// ever farther pairs are joined, by 1 - cosine; nil if there is none.
//
// That is what HDBSCAN finds under FLAME's settings (Nguyen et al., USENIX Security 2022,
// section 4.2: clusters of at least n/2+1, min_samples 1, one cluster allowed). Distances
// are plain then, no split leaves two clusters, and the members are those of the last
// cluster that is still large enough. Pairs that are equally far are joined together.
func majority(g gram) []int {
	type pair struct {
		i, j   int
		cosine float64
	}
	pairs := make([]pair, 0, g.n*(g.n-1)/2)
	for i := range g.n {
		for j := range i {
			pairs = append(pairs, pair{i, j, g.cosine(i, j)})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(b.cosine, a.cosine) })
	cluster, sizes := make([]int, g.n), make([]int, g.n)
	for i := range cluster {
		cluster[i], sizes[i] = i, 1
	}
	found := -1
	for k, p := range pairs {
		if found >= 0 && p.cosine < pairs[k-1].cosine {
			break
		}
		a, b := cluster[p.i], cluster[p.j]
		if a == b {
			continue
		}
		for i, c := range cluster {
			if c == b {
				cluster[i] = a
			}
		}
		sizes[a] += sizes[b]
		if 2*sizes[a] > g.n {
			found = a
		}
	}
	if g.n == 1 {
		found = 0
	}
	var members []int
	for i, c := range cluster {
		if c == found {
			members = append(members, i)
		}
	}
	return members
}

// clustered is FLAME without its noise: the mean of the majority by direction, each
// clipped to the median length of all.
func clustered(g gram) []float64 {
	members, norms := majority(g), g.norms()
	bound := median(norms)
	w := meanOf(g.n, members)
	for i, x := range norms {
		if x > bound {
			w[i] *= bound / x
		}
	}
	return w
}

// unlike weighs vectors by how little what their sender sent so far resembles what others
// sent (FoolsGold; Fung et al., RAID 2020, algorithm 1, with confidence 1). It refuses
// where all are the same.
func unlike(past gram) ([]float64, error) {
	n := past.n
	closest := make([]float64, n)
	for i := range n {
		for j := range n {
			if i != j {
				closest[i] = max(closest[i], past.cosine(i, j))
			}
		}
	}
	w, most := make([]float64, n), 0.
	for i := range n {
		pardoned := 0.
		for j := range n {
			if i == j {
				continue
			}
			c := past.cosine(i, j)
			if closest[i] < closest[j] {
				c *= closest[i] / closest[j]
			}
			pardoned = max(pardoned, c)
		}
		w[i] = min(1, max(0, 1-pardoned))
		most = max(most, w[i])
	}
	for i, x := range w {
		if most > 0 {
			x /= most
		}
		switch {
		case x >= 1:
			x = 0.99
		case x <= 0:
			w[i] = 0
			continue
		}
		w[i] = min(1, max(0, math.Log(x/(1-x))+0.5))
	}
	if total(w) == 0 {
		return nil, ErrNoneLeft.At("every vector resembles another")
	}
	return scaled(w), nil
}
