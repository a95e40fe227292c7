package shamir

import (
	"fmt"
	"io"
	"slices"
)

// Point is where a holder's share lies on the polynomial: public and non-zero.
type Point uint32

// Share is one holder's part of a secret. Value is secret.
type Share struct {
	Point Point
	Value Scalar
}

// Split shares secret among the holders at points, which must be distinct and
// non-zero: any threshold of the shares rebuild it, fewer reveal nothing.
// The shares are in the order of points. 1 <= threshold <= len(points); with
// threshold 1 every share is the secret itself.
//
// Split draws threshold-1 scalars from coins with Random, the coefficients of
// x, x^2, ... in this order, and erases them before it returns. Its time is
// proportional to threshold * len(points).
//
// Errors: ErrThreshold, ErrZeroPoint, ErrDuplicatePoint, ErrRange (secret not
// below p), ErrCoins.
func Split(secret Scalar, threshold int, points []Point, coins io.Reader) ([]Share, error) {
	if threshold < 1 || threshold > len(points) {
		return nil, fmt.Errorf("%w: %d of %d", ErrThreshold, threshold, len(points))
	}
	if err := checkPoints(points); err != nil {
		return nil, err
	}
	coefficients := make([]element, threshold)
	defer clear(coefficients)
	var err error
	if coefficients[0], err = secret.element(); err != nil {
		return nil, err
	}
	for i := 1; i < threshold; i++ {
		drawn, err := Random(coins)
		if err != nil {
			return nil, err
		}
		coefficients[i], _ = decode((*[32]byte)(&drawn))
		drawn.Erase()
	}
	shares := make([]Share, len(points))
	for i, point := range points {
		// Horner's rule from the highest coefficient down.
		value := coefficients[threshold-1]
		for j := threshold - 2; j >= 0; j-- {
			value = mulWord(&value, uint64(point))
			value = add(&value, &coefficients[j])
		}
		shares[i].Point = point
		value.encode((*[32]byte)(&shares[i].Value))
	}
	return shares, nil
}

// checkPoints refuses a zero or repeated point.
func checkPoints(points []Point) error {
	sorted := slices.Sorted(slices.Values(points))
	for i, point := range sorted {
		if point == 0 {
			return ErrZeroPoint
		}
		if i > 0 && point == sorted[i-1] {
			return fmt.Errorf("%w: %d", ErrDuplicatePoint, point)
		}
	}
	return nil
}
