package ddp

import (
	"math"
	"math/big"
	"math/bits"
)

// maxReach bounds s*C: with it no square of a norm leaves 128 bits.
const maxReach = 1 << 45

// Sensitivity is by how much the integer sum can change when one client's
// contribution becomes zero, in grid units.
type Sensitivity struct {
	Dimension int     // coordinates: the padded dimension, or 1 for an extra
	L1        float64 // D1, rounded up
	L2        float64 // D2, rounded up
}

// NewSensitivity is that of a vector of that padded dimension, clipped to L2 norm C
// and scaled by s to reach = s*C in [1/2, 2^45], after conditional rounding with beta
// = e^-1/2 (KLS, where sqrt(2 ln(1/beta)) is 1 for this beta):
//
//	D2 = min( sC + sqrt d , sqrt( s^2C^2 + d/4 + sC + sqrt(d)/2 ) )
//	D1 = min( sqrt(d) D2 , D2^2 )
//
// Both are rounded up by a few units in the last place. The bound on D1 holds because
// the vectors are integer.
func NewSensitivity(dimension int, reach float64) (Sensitivity, error) {
	if dimension < 1 || PaddedDimension(dimension) != dimension {
		return Sensitivity{}, ErrParameters.At("dimension %d is not a padded one", dimension)
	}
	if !(reach >= 0.5 && reach <= maxReach) { // NaN fails
		return Sensitivity{}, ErrParameters.At("clip norm of %g grid steps, want 1/2 to 2^45", reach)
	}
	d, root := float64(dimension), up(math.Sqrt(float64(dimension)))
	wide := up(reach + root)
	square := up(up(up(float64(reach*reach))+d/4) + up(reach+root/2))
	l2 := min(wide, up(math.Sqrt(square)))
	return Sensitivity{Dimension: dimension, L1: min(up(root*l2), up(l2*l2)), L2: l2}, nil
}

// ReplaceOne is the sensitivity where a contribution is replaced by another one, and
// not by zero: twice as much.
func (s Sensitivity) ReplaceOne() Sensitivity {
	return Sensitivity{Dimension: s.Dimension, L1: 2 * s.L1, L2: 2 * s.L2}
}

// up and down give the next float64: a correctly rounded operation, taken up, is not
// below the exact result.
func up(x float64) float64   { return math.Nextafter(x, math.Inf(1)) }
func down(x float64) float64 { return math.Nextafter(x, math.Inf(-1)) }

// square is an unsigned 128-bit integer, a squared norm.
type square struct{ hi, lo uint64 }

// floorSquare is floor(x^2), exactly, for x in [0, 2^63].
func floorSquare(x float64) square {
	f := new(big.Float).SetPrec(128).SetFloat64(x)
	v, _ := f.Mul(f, f).Int(nil)
	return square{
		hi: new(big.Int).Rsh(v, 64).Uint64(),
		lo: new(big.Int).And(v, new(big.Int).SetUint64(math.MaxUint64)).Uint64(),
	}
}

// add adds v^2.
func (s *square) add(v int32) {
	w := int64(v)
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, uint64(w*w), 0)
	s.hi += carry
}

// atMost compares without a branch that depends on the values.
func (s square) atMost(limit square) bool {
	_, borrow := bits.Sub64(limit.lo, s.lo, 0)
	_, borrow = bits.Sub64(limit.hi, s.hi, borrow)
	return borrow == 0
}
