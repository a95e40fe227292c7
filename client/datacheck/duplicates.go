package datacheck

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
)

// key stands for an example's features and label: examples with one key are equal.
type key [sha256.Size]byte

// keyOf hashes an example, its features rounded to multiples of grid unless that is 0.
// Zero has no sign, and there is one NaN.
func keyOf(features []float32, label int, grid float64) key {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+8*len(features)), uint64(label))
	for _, v := range features {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(rounded(v, grid)))
	}
	return sha256.Sum256(b)
}

// rounded is what of a value is compared: the value itself, or its nearest multiple of
// grid, in units of it, the upper of two.
func rounded(v float32, grid float64) float64 {
	x := float64(v)
	if grid > 0 {
		x = math.Floor(x/grid + 0.5)
	}
	switch {
	case x == 0:
		return 0
	case math.IsNaN(x):
		return math.NaN()
	}
	return x
}
