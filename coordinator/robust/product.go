package robust

import "math/bits"

// product multiplies blocks of columns by a mixing.
//
// The pre-aggregators make maps in which a vector counts alike in every sum that it is a
// part of: nnm and bucketing choose, clip and arc shorten what they choose from. Then a
// block is multiplied by these coefficients once, and all that is left is sums of some of
// its vectors. With the sums of every subset of each four at hand, a row of the map costs
// an addition for four vectors. Other maps are multiplied as they are.
//
// Nothing is subtracted to save additions: a vector that no row takes in does not
// disturb the sums, however large it is.
type product struct {
	rows [][]float64
	// scale is the coefficient of each vector, and subsets says for each row which of each
	// four vectors it takes in, by bits; nil for other maps.
	scale   []float64
	subsets [][]uint8
}

// groups is how many fours are added at a time: their subsets' sums stay in the nearest cache.
const groups = 4

// fours is the number of fours for n vectors, a multiple of groups.
func fours(n int) int { return (n + 4*groups - 1) / (4 * groups) * groups }

// product prepares the multiplication by a map that has rows.
func (m mixing) product() product {
	p := product{rows: m.rows, scale: make([]float64, m.n)}
	for _, row := range m.rows {
		subset := make([]uint8, fours(m.n))
		for j, a := range row {
			switch {
			case a == 0:
				continue
			case p.scale[j] == 0:
				p.scale[j] = a
			case p.scale[j] != a:
				return product{rows: m.rows}
			}
			subset[j/4] |= 1 << (j % 4)
		}
		p.subsets = append(p.subsets, subset)
	}
	return p
}

// workspace is what a product works on: in is filled with a block of each vector, and out
// is then one for each row.
type workspace struct{ in, out, sums []float64 }

// workspace makes one for n vectors.
func (p product) workspace(n int) workspace {
	return workspace{make([]float64, 4*fours(n)*block), make([]float64, len(p.rows)*block), make([]float64, groups*16*block)}
}

// multiply sets out. It changes in.
func (p product) multiply(w workspace) {
	clear(w.out)
	if p.scale == nil {
		for i, row := range p.rows {
			for j, a := range row {
				if a != 0 {
					axpy(w.out[i*block:(i+1)*block], a, w.in[j*block:(j+1)*block])
				}
			}
		}
		return
	}
	for j, a := range p.scale {
		x := w.in[j*block : (j+1)*block]
		for k := range x {
			x[k] *= a
		}
	}
	for four := 0; four*4*block < len(w.in); four += groups {
		for g := range groups {
			sumSubsets(w.sums[g*16*block:(g+1)*16*block], w.in[(four+g)*4*block:(four+g+1)*4*block])
		}
		for i, subset := range p.subsets {
			addSums(w.out[i*block:(i+1)*block], w.sums, [groups]uint8(subset[four:four+groups]))
		}
	}
}

// sumSubsets sets 16 blocks to the sums of the subsets of four, each in order.
func sumSubsets(sums, four []float64) {
	for subset := 1; subset < 16; subset++ {
		last := bits.Len(uint(subset)) - 1
		rest := subset ^ 1<<last
		a, b := sums[rest*block:(rest+1)*block], four[last*block:(last+1)*block]
		to := sums[subset*block : (subset+1)*block]
		for k, x := range a {
			to[k] = x + b[k]
		}
	}
}

// addSums adds to a block one sum of each group, one after another.
func addSums(out, sums []float64, subset [groups]uint8) {
	of := func(g int) []float64 {
		at := (g*16 + int(subset[g])) * block
		return sums[at : at+block]
	}
	a, b, c, d := of(0), of(1), of(2), of(3)
	for k, s := range out[:block] {
		s += a[k]
		s += b[k]
		s += c[k]
		s += d[k]
		out[k] = s
	}
}
