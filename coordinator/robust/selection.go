package robust

import (
	"math"
	"math/bits"
	"slices"
)

// What follows chooses by keys: integers in the order of the numbers, -0 before 0. Their
// comparison needs no branch, which a processor would guess wrong every other time.

// key maps a finite number to an integer such that order is kept.
func key(x float64) uint64 {
	u := math.Float64bits(x)
	return u ^ (uint64(int64(u)>>63) | 1<<63)
}

// number is the inverse of key.
func number(k uint64) float64 {
	return math.Float64frombits(k ^ (uint64(^int64(k)>>63) | 1<<63))
}

// less is 1 if a is less than b, and 0 otherwise.
func less(a, b uint64) uint64 {
	_, borrow := bits.Sub64(a, b, 0)
	return borrow
}

// nth returns what stands at k once keys are sorted, and leaves nothing larger before k
// and nothing smaller behind.
//
// It is Hoare's selection. Whoever knows the pivots could choose vectors for which it is
// slow, so that after more turns than chance has it take, it sorts.
func nth(keys []uint64, k int) uint64 {
	const few = 12
	from, to := 0, len(keys)
	for turns := 4 * bits.Len(uint(len(keys))); to-from > few; turns-- {
		if turns == 0 {
			slices.Sort(keys[from:to])
			return keys[k]
		}
		p := pivot(keys[from:to])
		at := from + partition(keys[from+1:to], p)
		keys[from], keys[at] = keys[at], p
		switch {
		case k < at:
			to = at
		case k == at:
			return p
		case at > from:
			from = at + 1
		default: // nothing is less: what is equal belongs in front too
			from++
			if from += partition(keys[from:to], p+1); k < from {
				return p
			}
		}
	}
	within := keys[from:to]
	for i, x := range within {
		for ; i > 0 && x < within[i-1]; i-- {
			within[i] = within[i-1]
		}
		within[i] = x
	}
	return keys[k]
}

// pivot moves the middle one of the first, the middle and the last key to the front.
func pivot(keys []uint64) uint64 {
	a, b, c := keys[0], keys[len(keys)/2], keys[len(keys)-1]
	low, high := min(a, b), max(a, b)
	p := max(low, min(high, c))
	keys[0], keys[len(keys)/2], keys[len(keys)-1] = p, min(low, c), max(high, c)
	return p
}

// partition moves the keys that are less than p to the front, and returns their number.
func partition(keys []uint64, p uint64) int {
	n := uint64(0)
	for i, x := range keys {
		keys[i] = keys[n]
		keys[n] = x
		n += less(x, p)
	}
	return int(n)
}

// scratch holds the keys of one column.
type scratch []uint64

// fill sets the scratch to the keys of a column.
func (s *scratch) fill(column []float64) []uint64 {
	*s = slices.Grow((*s)[:0], len(column))[:len(column)]
	for i, x := range column {
		(*s)[i] = key(x)
	}
	return *s
}

// medianOf is the median of keys: with an even number of them, the mean of the two in the
// middle. It reorders them.
func medianOf(keys []uint64) float64 {
	half := len(keys) / 2
	upper := number(nth(keys, half))
	if len(keys)%2 == 1 {
		return upper
	}
	return (number(slices.Max(keys[:half])) + upper) / 2
}

// newMedian makes a pick for columns: the median.
func newMedian() func(column []float64) float64 {
	var s scratch
	return func(column []float64) float64 { return medianOf(s.fill(column)) }
}

// newTrimmed makes a pick for columns: the mean without the f least and the f largest
// values, of more than 2f. What lies between the least and the largest that are kept is
// summed in the order of the column, then the ones equal to either are added.
func newTrimmed(f int) func() func(column []float64) float64 {
	return func() func([]float64) float64 {
		var s scratch
		return func(column []float64) float64 {
			n := len(column)
			keys := s.fill(column)
			low := nth(keys, f)
			if n == 2*f+1 {
				return number(low)
			}
			high := nth(keys[f+1:], n-2*f-2)
			if low == high {
				return number(low)
			}
			sum, above, below := 0.0, uint64(0), uint64(0)
			for _, x := range column {
				k := key(x)
				a, b := less(low, k), less(k, high)
				above += a
				below += b
				sum += math.Float64frombits(math.Float64bits(x) & -(a & b)) // x or 0
			}
			sum += float64(float64(n-f-int(above)) * number(low))
			sum += float64(float64(n-f-int(below)) * number(high))
			return sum / float64(n-2*f)
		}
	}
}

// newAround makes a pick for columns: the mean of the keep values that are nearest the
// median, at least one and no more than there are. Of values that are equally far those
// that come first are taken. The sum is in the order of the column.
func newAround(keep int) func() func(column []float64) float64 {
	return func() func([]float64) float64 {
		var s scratch
		return func(column []float64) float64 {
			centre := medianOf(s.fill(column))
			far := func(x float64) uint64 { return math.Float64bits(math.Abs(x - centre)) } // in order: none is negative
			for i, x := range column {
				s[i] = far(x)
			}
			most := nth(s, keep-1)
			ties := keep
			for _, k := range s[:keep] {
				ties -= int(less(k, most))
			}
			sum := 0.0
			for _, x := range column {
				k := far(x)
				if k == most && ties > 0 {
					ties--
				} else if k >= most {
					continue
				}
				sum += x
			}
			return sum / float64(keep)
		}
	}
}
