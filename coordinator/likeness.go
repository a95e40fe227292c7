package coordinator

import (
	"cmp"
	"encoding/binary"
	"io"
	"math"
	"slices"
)

// Bounds of what likeness costs: the most vectors, and products of coordinates in all.
const (
	mostCompared = 2048
	mostProducts = 1 << 30
)

// alike is how vectors compare with each other.
type alike struct {
	// top is the share of their variance that lies in one direction.
	top *float64
	// groups of duplicates, the largest first.
	groups [][]int
	// scores of Krum; nil if there are too few vectors for them.
	scores []float64
}

// rank is a vector's place in the order of the scores.
func (a alike) rank(i int) int {
	out := 1
	for _, s := range a.scores {
		if s < a.scores[i] {
			out++
		}
	}
	return out
}

// likeness compares the vectors with each other, of which f may be Byzantine. Where the
// model is too large for that, coordinates that the coins choose stand for all.
func likeness(vectors []opened, f int, coins io.Reader, each func(int, func(int))) (out alike) {
	n := len(vectors)
	if n < 2 || n > mostCompared {
		return out
	}
	d := len(vectors[0].mean)
	most := min(d, max(1, mostProducts/(n*n)))
	rows := centred(vectors, most, coins, each)
	gram := make([][]float64, n)
	longest := make([]float64, n) // squared lengths before they were centred
	each(n, func(i int) {
		gram[i], longest[i] = make([]float64, n), rows[i].squared
		for j := range i + 1 {
			gram[i][j] = dot(rows[i].values, rows[j].values)
		}
	})
	for i := range gram {
		for j := range i {
			gram[j][i] = gram[i][j]
		}
	}
	if n > 2 {
		out.top = topShare(gram)
	}
	out.groups, out.scores = duplicates(gram, longest), krumScores(gram, n-f-2, float64(d)/float64(most))
	return out
}

// krumScores returns for each row the sum of its squared distances to the nearest others,
// times scale; nil if there is none to count.
func krumScores(gram [][]float64, nearest int, scale float64) []float64 {
	if nearest < 1 {
		return nil
	}
	out, distances := make([]float64, len(gram)), make([]float64, 0, len(gram))
	for i := range gram {
		distances = distances[:0]
		for j := range gram {
			if j != i {
				distances = append(distances, squaredDistance(gram, i, j))
			}
		}
		slices.Sort(distances)
		for _, x := range distances[:min(nearest, len(distances))] {
			out[i] += x
		}
		out[i] *= scale
	}
	return out
}

// squaredDistance is that of two rows: rounding may take it below zero, and that is zero.
func squaredDistance(gram [][]float64, i, j int) float64 {
	return max(0, gram[i][i]+gram[j][j]-float64(2*gram[i][j]))
}

// row is a vector at the chosen coordinates, less the mean of all.
type row struct {
	values  []float64
	squared float64 // length before
}

func centred(vectors []opened, most int, coins io.Reader, each func(int, func(int))) []row {
	d := len(vectors[0].mean)
	var chosen []int // nil: all
	if most < d {
		chosen = make([]int, most)
		var b [8]byte
		for i := range chosen {
			_, _ = io.ReadFull(coins, b[:]) // a field.Stream never fails
			chosen[i] = int(binary.LittleEndian.Uint64(b[:]) % uint64(d))
		}
	}
	rows := make([]row, len(vectors))
	each(len(vectors), func(i int) {
		if chosen == nil {
			rows[i].values = slices.Clone(vectors[i].mean)
		} else {
			rows[i].values = make([]float64, most)
			for j, at := range chosen {
				rows[i].values[j] = vectors[i].mean[at]
			}
		}
		rows[i].squared = dot(rows[i].values, rows[i].values)
	})
	mean := make([]float64, most)
	for i := range rows {
		for j, x := range rows[i].values {
			mean[j] += x
		}
	}
	each(len(rows), func(i int) {
		for j := range mean {
			rows[i].values[j] -= mean[j] / float64(len(rows))
		}
	})
	return rows
}

// topShare is the largest eigenvalue of a Gram matrix over the sum of all, by power
// iteration from its longest row; nil if that is zero.
func topShare(gram [][]float64) *float64 {
	const iterations = 200
	trace, longest := 0.0, 0
	for i := range gram {
		trace += gram[i][i]
		if gram[i][i] > gram[longest][longest] {
			longest = i
		}
	}
	if !(trace > 0) {
		return nil
	}
	v, value := slices.Clone(gram[longest]), 0.0
	for range iterations {
		length := math.Sqrt(dot(v, v))
		if !(length > 0) {
			return nil
		}
		for i := range v {
			v[i] /= length
		}
		next := make([]float64, len(v))
		for i := range gram {
			next[i] = dot(gram[i], v)
		}
		value, v = dot(next, v), next
	}
	return figure(min(1, value/trace))
}

// duplicates groups rows by near equality: what is near one of a group belongs to it.
func duplicates(gram [][]float64, squared []float64) [][]int {
	group := make([]int, len(gram))
	for i := range group {
		group[i] = i
	}
	for i := range gram {
		for j := range i {
			if squaredDistance(gram, i, j) > duplicateDistance*duplicateDistance*max(squared[i], squared[j]) || group[i] == group[j] {
				continue
			}
			into, from := min(group[i], group[j]), max(group[i], group[j])
			for k := range group {
				if group[k] == from {
					group[k] = into
				}
			}
		}
	}
	members := map[int][]int{}
	for i, g := range group {
		members[g] = append(members[g], i)
	}
	var out [][]int
	for g := range gram {
		if len(members[g]) > 1 {
			out = append(out, members[g])
		}
	}
	slices.SortStableFunc(out, func(a, b []int) int { return cmp.Compare(len(b), len(a)) })
	return out
}
