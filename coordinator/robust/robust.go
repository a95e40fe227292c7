// Package robust holds the rules that make one update of what a secure scheme opens.
//
// A rule sees vectors: the mean of each opened bucket, or one mean where the view is
// the sum. It is pure, and its float sums run in the order of its input, so that the
// same input gives the same bits on every machine.
package robust

import "github.com/choir-fl/choir/fault"

// ErrInput refuses vectors that a rule cannot combine.
var ErrInput = fault.New(fault.Invalid, "robust/input", "vectors cannot be combined", "at least one is needed, all of one length")

// Rule combines vectors of one length into dst of that length. Implementations are
// stateless and safe for concurrent use.
type Rule interface {
	// Name is the rule's name in plans.
	Name() string
	// Combine may use vectors as scratch.
	Combine(dst []float64, vectors [][]float64) error
}

// Mean is the arithmetic mean: with bucket means, each bucket counts alike. It
// resists nobody.
type Mean struct{}

// Name returns "mean".
func (Mean) Name() string { return "mean" }

// Combine implements Rule.
func (Mean) Combine(dst []float64, vectors [][]float64) error {
	if err := check(dst, vectors); err != nil {
		return err
	}
	copy(dst, vectors[0])
	for _, v := range vectors[1:] {
		for i, x := range v {
			dst[i] += x
		}
	}
	if n := float64(len(vectors)); n > 1 {
		for i := range dst {
			dst[i] /= n
		}
	}
	return nil
}

func check(dst []float64, vectors [][]float64) error {
	if len(vectors) == 0 {
		return ErrInput.At("no vector")
	}
	for i, v := range vectors {
		if len(v) != len(dst) {
			return ErrInput.At("vector %d has %d values, not %d", i, len(v), len(dst))
		}
	}
	return nil
}
