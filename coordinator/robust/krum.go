package robust

// neighbours is how many others count in a Krum score of n vectors. Krum leaves out the
// vector itself, f, and one more (Blanchard et al., NeurIPS 2017, section 3); ByzFL does
// not leave out the one more.
type neighbours struct {
	f     int
	byzfl bool
	least int // never fewer than this; Flower: 1
}

func (k neighbours) of(n int) int {
	if k.byzfl {
		return max(k.least, n-k.f-1)
	}
	return max(k.least, n-k.f-2)
}

// ranked lists for each vector the others by distance, nearest first, the lower index
// first where two are equally far.
func ranked(g gram) [][]int {
	out := make([][]int, g.n)
	distances := make([]float64, g.n)
	for i := range out {
		for j := range distances {
			distances[j] = g.distance(i, j)
		}
		distances[i] = -1 // before its duplicates
		out[i] = nearest(distances)[1:]
	}
	return out
}

// scores returns the Krum score of each vector that is not gone: the sum of its squared
// distances to the k nearest others that are not gone.
func scores(g gram, ranks [][]int, gone []bool, k int) []float64 {
	out := make([]float64, g.n)
	for i := range out {
		left := k
		for _, j := range ranks[i] {
			if left == 0 {
				break
			}
			if !gone[j] {
				out[i] += g.distance(i, j)
				left--
			}
		}
	}
	return out
}

// krum returns the keep vectors of least score, the best first; of equals the lower index.
func krum(g gram, k neighbours, keep int) []int {
	return nearest(scores(g, ranked(g), make([]bool, g.n), k.of(g.n)))[:keep]
}

// successive returns theta vectors, in the order in which Krum chooses one after another
// among those that are left (El Mhamdi et al., ICML 2018, section 4). Distances are sorted
// once; only sums are made anew.
func successive(g gram, k neighbours, theta int) []int {
	ranks, gone := ranked(g), make([]bool, g.n)
	var chosen []int
	for left := g.n; len(chosen) < theta; left-- {
		best := -1
		all := scores(g, ranks, gone, k.of(left))
		for i, score := range all {
			if !gone[i] && (best < 0 || score < all[best]) {
				best = i
			}
		}
		gone[best] = true
		chosen = append(chosen, best)
	}
	return chosen
}

// around returns the keep vectors nearest vector i, itself among them.
func around(g gram, i, keep int) []int {
	distances := make([]float64, g.n)
	for j := range distances {
		distances[j] = g.distance(i, j)
	}
	distances[i] = -1
	return nearest(distances)[:keep]
}
