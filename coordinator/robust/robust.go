// Package robust holds the rules that make one update of several vectors, some of which
// may have been chosen by an adversary.
//
// A rule sees vectors: the mean of each opened bucket, or each client's update where a
// plan trusts its coordinator with them. It is set for f Byzantine vectors of n, and
// refuses n and f for which it withstands nothing: no rule ever falls back on the mean.
//
// Rules that go by distances, norms or angles, and all pre-aggregators, work on one matrix
// of inner products and return weights; the result is one weighted sum of the vectors.
// Rules by coordinates select in blocks of columns. Rules and Preaggregators list what
// there is, with its precondition and cost; Spec.Check makes a Rule of names and numbers.
//
// The package is pure. Sums run in an order that depends on the input alone, so that the
// same input gives the same bits on every machine of one architecture and with any number
// of workers. Between architectures inner products may differ in their last digits.
package robust

import (
	"io"
	"math"

	"github.com/choir-fl/choir/fault"
)

// Refusals.
var (
	// ErrInput is a list of vectors that nothing can combine: none, or of several lengths,
	// or more than MaxVectors.
	ErrInput = fault.New(fault.Invalid, "robust/input", "vectors cannot be combined", "hand in at least one, all of one length of at least 1")
	// ErrNotFinite names a vector with a value that is infinite or not a number, or too
	// large to be squared.
	ErrNotFinite = fault.New(fault.Invalid, "robust/not-finite", "a vector is not finite", "leave it out before a rule sees it")
	// ErrPrecondition is a number of vectors and of Byzantine ones under which the rule
	// promises nothing.
	ErrPrecondition = fault.New(fault.Refused, "robust/precondition", "the rule withstands nothing at these numbers", "lower f, or combine more vectors")
	// ErrTooMany is a number of vectors, and of Byzantine ones, under which the rule would
	// compute for too long or need too much memory.
	ErrTooMany = fault.New(fault.Refused, "robust/too-many", "the rule costs too much at these numbers", "combine fewer vectors, in larger buckets, lower f where the rule tries subsets, or name another rule")
	// ErrSpec is a rule, pre-aggregator or parameter that is not known or out of range.
	ErrSpec = fault.New(fault.Refused, "robust/spec", "not a rule that is known", "see choir robust list")
	// ErrMissing is something a rule cannot do without: coins, a root update.
	ErrMissing = fault.New(fault.Invalid, "robust/missing", "the rule lacks an input", "hand it in")
	// ErrNoneLeft is a list of vectors none of which the rule takes: nobody agrees with the
	// root of fltrust, or all resemble each other under foolsgold.
	ErrNoneLeft = fault.New(fault.Refused, "robust/none-left", "the rule takes none of the vectors", "refuse the round")
)

// MaxVectors is the most vectors that are combined at once: every distance rule keeps a
// matrix of them by them.
const MaxVectors = 1 << 14

// The largest magnitudes of a value.
const (
	mostSingle = 1e15
	mostDouble = 1e150
)

// most is the largest magnitude of a value of a vector of d, such that the squared
// distances of all vectors from one do not overflow.
func most(limit float64, d int) float64 { return min(limit, math.Sqrt(1e304/float64(d))) }

// Rule combines vectors into one. Implementations are immutable and safe for concurrent
// use; what one carries from round to round is handed in.
type Rule interface {
	// Name is the rule's name in plans.
	Name() string
	// Admits refuses a number of vectors that the rule cannot be applied to, with
	// ErrPrecondition where there are too few and with ErrTooMany where there are too many.
	// A run asks before each Combine and a plan for every number that can occur.
	Admits(n int) error
	// Combine writes the combination of at least one vector into dst, of their length. The
	// vectors are not changed.
	Combine(dst []float64, in Input) (Outcome, error)
}

// Input is what a rule is applied to.
type Input struct {
	Vectors Vectors
	// Reference is what the rule made in the last round, for centered-clipping; nil in
	// the first.
	Reference []float64
	// Root is an update learned from data that is trusted, for fltrust.
	Root []float64
	// Past holds, for foolsgold, the sum of what each vector's sender sent in earlier
	// rounds and now; without it the vectors themselves serve.
	Past *Vectors
	// Coins feed the rules that draw: bucketing, and dnc with a subsample. They must not be known to
	// whoever sent the vectors.
	Coins io.Reader
	// Each calls do for 0 to n-1, several at a time if it likes, and returns when all are
	// done. Nil calls one after another. Results do not depend on it.
	Each func(n int, do func(i int))
}

// Outcome says what became of each vector.
type Outcome struct {
	// Weights, if the rule has any, are such that the result is their sum of the vectors,
	// and of what is in Carried. Nil for rules by coordinates. With Carried they add up to 1,
	// except under fltrust and flame and after clip and arc, which change lengths.
	Weights []float64
	// Carried is the weight of Input.Reference in the result of centered-clipping, where no
	// reference counts as zero. 0 under other rules.
	Carried float64
	// Excluded are the vectors, in ascending order, that have no part in the result. Empty
	// for rules by coordinates, each of which leaves out others at each coordinate; bulyan
	// lists those that its first phase did not choose.
	Excluded []int
}

// Vectors are n vectors of one length, in single or double precision. The zero value is
// none.
type Vectors struct {
	f32 [][]float32
	f64 [][]float64
}

// Float32 and Float64 check vectors, and keep the slices. They refuse with ErrInput
// what differs in length, and with ErrNotFinite, naming it, a vector with a value that is
// not finite, or above 1e15 in magnitude: in double precision above 1e150,
// or 1e152 over the root of the length if that is less.
func Float32(rows [][]float32) (Vectors, error) {
	return Vectors{f32: rows}, check(rows, mostSingle)
}

// Float64 is Float32 in double precision.
func Float64(rows [][]float64) (Vectors, error) {
	return Vectors{f64: rows}, check(rows, mostDouble)
}

func check[T float32 | float64](rows [][]T, limit float64) error {
	if len(rows) == 0 || len(rows) > MaxVectors || len(rows[0]) == 0 {
		return ErrInput.At("%d vectors", len(rows))
	}
	limit = most(limit, len(rows[0]))
	for i, row := range rows {
		if len(row) != len(rows[0]) {
			return ErrInput.At("vector %d has %d values, vector 0 has %d", i, len(row), len(rows[0]))
		}
		for j, x := range row {
			if !(math.Abs(float64(x)) <= limit) {
				return ErrNotFinite.At("vector %d, coordinate %d: %v", i, j, x)
			}
		}
	}
	return nil
}

// Len is the number of vectors.
func (v Vectors) Len() int { return max(len(v.f32), len(v.f64)) }

// Dim is their length.
func (v Vectors) Dim() int {
	switch {
	case len(v.f32) > 0:
		return len(v.f32[0])
	case len(v.f64) > 0:
		return len(v.f64[0])
	}
	return 0
}
