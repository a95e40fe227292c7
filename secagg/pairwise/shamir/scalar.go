package shamir

import (
	"errors"
	"fmt"
	"io"
)

// Refusals of this package. Errors wrap one of them; none carries a secret.
var (
	// ErrLength: bytes offered as a scalar are not 32 long.
	ErrLength = errors.New("shamir: a scalar is 32 bytes")
	// ErrRange: a scalar is not below p = 2^256 - 189.
	ErrRange = errors.New("shamir: scalar not below 2^256-189")
	// ErrCoins: the source of randomness failed or is not random.
	ErrCoins = errors.New("shamir: no randomness")
	// ErrThreshold: a threshold is below 1 or above the number of points.
	ErrThreshold = errors.New("shamir: threshold outside 1..number of points")
	// ErrZeroPoint: a point is 0, where the secret itself lies.
	ErrZeroPoint = errors.New("shamir: point 0 would be the secret itself")
	// ErrDuplicatePoint: two shares lie at the same point.
	ErrDuplicatePoint = errors.New("shamir: two shares at one point")
	// ErrTooFewShares: fewer shares than the threshold.
	ErrTooFewShares = errors.New("shamir: fewer shares than the threshold")
	// ErrShareCount: a Basis was given another number of values than it has points.
	ErrShareCount = errors.New("shamir: number of values differs from number of points")
)

// Scalar is an integer below p = 2^256 - 189 as 32 big-endian bytes: a secret
// or a share of one. The zero value is the integer 0. Scalars made by Random,
// Parse, Split and Recover are below p; a Scalar filled in by hand may not be,
// and is then refused with ErrRange wherever it is used.
type Scalar [32]byte

// sources that miss the range this often are broken: one miss has probability
// 189/2^256.
const maxDraws = 4

// Random draws a uniform scalar by rejection from 32-byte reads of coins.
// It fails with ErrCoins if coins fails or yields four values out of range.
func Random(coins io.Reader) (Scalar, error) {
	var s Scalar
	for range maxDraws {
		if _, err := io.ReadFull(coins, s[:]); err != nil {
			s.Erase()
			return Scalar{}, fmt.Errorf("%w: %w", ErrCoins, err)
		}
		if _, canonical := decode((*[32]byte)(&s)); canonical == 1 {
			return s, nil
		}
	}
	s.Erase()
	return Scalar{}, fmt.Errorf("%w: %d draws in a row out of range", ErrCoins, maxDraws)
}

// Parse reads a scalar from exactly 32 bytes, big-endian, of a value below p:
// each scalar has one encoding, which is s[:]. It fails with ErrLength or
// ErrRange.
func Parse(b []byte) (Scalar, error) {
	if len(b) != len(Scalar{}) {
		return Scalar{}, fmt.Errorf("%w, not %d", ErrLength, len(b))
	}
	s := Scalar(b)
	if _, canonical := decode((*[32]byte)(&s)); canonical == 0 {
		return Scalar{}, ErrRange
	}
	return s, nil
}

// Erase overwrites the scalar with zeros.
func (s *Scalar) Erase() {
	clear(s[:])
}

// Format prints a placeholder for every verb, so that no log or error shows a
// secret by accident.
func (Scalar) Format(state fmt.State, _ rune) {
	_, _ = io.WriteString(state, "shamir.Scalar(hidden)")
}

// element returns the scalar as a field element, or ErrRange.
func (s *Scalar) element() (element, error) {
	e, canonical := decode((*[32]byte)(s))
	if canonical == 0 {
		return element{}, ErrRange
	}
	return e, nil
}
