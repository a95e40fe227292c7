package shamir

import "fmt"

// Recover rebuilds the secret from the first threshold shares and ignores the
// rest. The threshold must be the one the secret was split with: with another
// one, or with a changed share, Recover returns a wrong secret and no error;
// compare the result with a commitment to the secret.
//
// Errors: ErrThreshold (below 1), ErrTooFewShares, ErrZeroPoint,
// ErrDuplicatePoint, ErrRange.
func Recover(shares []Share, threshold int) (Scalar, error) {
	if threshold < 1 {
		return Scalar{}, fmt.Errorf("%w: %d", ErrThreshold, threshold)
	}
	if len(shares) < threshold {
		return Scalar{}, fmt.Errorf("%w: %d of %d", ErrTooFewShares, len(shares), threshold)
	}
	points := make([]Point, threshold)
	values := make([]Scalar, threshold)
	defer clear(values)
	for i, share := range shares[:threshold] {
		points[i], values[i] = share.Point, share.Value
	}
	basis, err := NewBasis(points)
	if err != nil {
		return Scalar{}, err
	}
	return basis.Recover(values)
}

// Basis rebuilds secrets from shares at a fixed list of points, as many as the
// threshold the secrets were split with. It holds nothing secret, does not
// change once made, and may be used concurrently.
type Basis struct {
	// weights are the Lagrange coefficients at 0:
	// weights[i] = product over j != i of x_j / (x_j - x_i).
	weights []element
}

// NewBasis prepares recovery from shares at the given points. Its time is
// proportional to len(points)^2, with one field inversion. Errors:
// ErrTooFewShares (no points), ErrZeroPoint, ErrDuplicatePoint.
func NewBasis(points []Point) (*Basis, error) {
	if len(points) == 0 {
		return nil, fmt.Errorf("%w: no points", ErrTooFewShares)
	}
	if err := checkPoints(points); err != nil {
		return nil, err
	}
	// weights[i] = numerator / denominators[i] with numerator = product of all
	// x_j and denominators[i] = x_i * product over j != i of (x_j - x_i).
	numerator := element{1}
	denominators := make([]element, len(points))
	for i, x := range points {
		numerator = mulWord(&numerator, uint64(x))
		denominator := element{uint64(x)}
		negative := false
		for _, y := range points {
			switch {
			case y > x:
				denominator = mulWord(&denominator, uint64(y-x))
			case y < x:
				denominator = mulWord(&denominator, uint64(x-y))
				negative = !negative
			}
		}
		if negative {
			denominator = negate(&denominator)
		}
		denominators[i] = denominator
	}
	// Montgomery's trick: weights[i] first holds the numerator times the
	// denominators before i. With inverse = 1 / (denominators 0..i), going down
	// from the last i, weights[i]*inverse is the numerator over denominators[i].
	weights := make([]element, len(points))
	product := element{1}
	for i := range denominators {
		weights[i] = mul(&numerator, &product)
		product = mul(&product, &denominators[i])
	}
	inverse := invert(&product)
	for i := len(weights) - 1; i >= 0; i-- {
		weights[i] = mul(&weights[i], &inverse)
		inverse = mul(&inverse, &denominators[i])
	}
	return &Basis{weights: weights}, nil
}

// Recover rebuilds the secret whose share at the i-th point of the basis is
// values[i]. As with the function Recover, a changed value gives a wrong secret
// and no error. Errors: ErrShareCount, ErrRange.
func (b *Basis) Recover(values []Scalar) (Scalar, error) {
	if len(values) != len(b.weights) {
		return Scalar{}, fmt.Errorf("%w: %d values, %d points", ErrShareCount, len(values), len(b.weights))
	}
	var sum element
	for i := range values {
		value, err := values[i].element()
		if err != nil {
			return Scalar{}, fmt.Errorf("value %d: %w", i, err)
		}
		term := mul(&value, &b.weights[i])
		sum = add(&sum, &term)
	}
	var secret Scalar
	sum.encode((*[32]byte)(&secret))
	return secret, nil
}
