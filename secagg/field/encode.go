package field

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// Noise adds one client's share of integer noise.
type Noise interface {
	// Add adds a fresh share to each value in place. Encode calls it with
	// the main coordinates in order, cut into blocks; how they are cut must
	// not change the noise. It must not keep the slice.
	Add(values []int32) error
}

// block is the number of coordinates that Encode and Norm handle at a time.
const block = 1024

// coinBytes is the number of bytes of coins that one coordinate takes.
const coinBytes = 4

// scratch is the working memory of one Encode.
type scratch struct {
	coins   [coinBytes * block]byte
	values  [block]int32
	rounded [block]int32
}

// Norm is the L2 norm of update. It is NaN or +Inf if and only if update holds a
// value that is not finite. Squares are exact in float64 and are added in a fixed order: blocks
// of 1024, within a block four interleaved sums; at MaxWords coordinates the
// relative error is below 2^-34.
func Norm(update []float32) float64 {
	var total float64
	for len(update) > 0 {
		n := min(len(update), block)
		total += sumSquares(update[:n])
		update = update[n:]
	}
	return math.Sqrt(total)
}

// sumSquares adds the squares of x with index i mod 4 into four sums, and
// those pairwise.
func sumSquares(x []float32) float64 {
	var s0, s1, s2, s3 float64
	for len(x) >= 4 {
		a, b, c, d := float64(x[0]), float64(x[1]), float64(x[2]), float64(x[3])
		s0 += float64(a * a)
		s1 += float64(b * b)
		s2 += float64(c * c)
		s3 += float64(d * d)
		x = x[4:]
	}
	var rest [4]float64
	for i, v := range x {
		rest[i] = float64(float64(v) * float64(v))
	}
	return ((s0 + rest[0]) + (s1 + rest[1])) + ((s2 + rest[2]) + s3)
}

// Encode writes one client's contribution to dst, which has Layout().Len()
// words: the main coordinates, each in [0, 2^Bits), then the extras.
//
// The update has Dimension values. It is multiplied by weight, in [0, 1], and
// the product is clipped to L2 norm ClipNorm: with norm = Norm(update), each
// value is multiplied by weight if weight*norm <= ClipNorm, and by
// ClipNorm/norm otherwise; the result exceeds ClipNorm by less than the relative
// error of Norm. Scaling, rounding, clamping, noise and offset follow
// as the package comment says. There is one extra for each of the layout's, at
// most its Bound.
//
// If update holds a value that is not finite, the contribution is that of a
// zero update with all extras zero, still with its noise, and counted is
// false: the client takes part, and counts for nothing. A caller whose extras
// carry noise of their own must find that out beforehand, by [Norm], and pass a
// zero update and its noised extras instead.
//
// Rounding is stochastic and takes 4 bytes of coins for each coordinate, in
// order and little-endian as u, so exactly 4*Dimension bytes in every call that
// succeeds, whatever the update. With y the scaled value and Y =
// y*2^32 truncated towards zero, the integer is floor((Y + u) / 2^32): one of
// the two neighbours of y, and its expectation is Y/2^32, towards zero from y
// by less than 2^-32. Over 10,000 clients that bias is below 3e-6 of one
// integer, far below the standard deviation of the rounding itself (up to 50),
// so 53-bit coins would double the cost and buy nothing. A y beyond Range is clamped first, which gives the
// same integers as clamping afterwards and can not overflow.
//
// A noise must be given exactly if the spec's NoiseTail is not zero. A share
// beyond NoiseTail in magnitude is an [ErrNoise]; it is not clamped, because
// that would not be post-processing of the sum.
//
// On an error dst is all zero and must not be sent. Encode may run
// concurrently with itself on different dst, coins and noise. It allocates a
// fixed few kilobytes.
func (q Quantizer) Encode(dst []uint32, update []float32, weight float64, extras []uint64,
	coins io.Reader, noise Noise) (counted bool, err error) {
	clear(dst)
	if err := q.checkContribution(dst, update, weight, extras, noise); err != nil {
		return false, err
	}
	step, counted := q.step(update, weight)
	main := dst[:q.spec.Dimension]
	if err := q.encodeMain(main, update, step, counted, coins, noise); err != nil {
		clear(dst)
		return false, err
	}
	if counted {
		for i, v := range extras {
			dst[q.spec.Dimension+i] = uint32(v)
		}
	}
	return counted, nil
}

// checkContribution holds the arguments of Encode against the spec.
func (q Quantizer) checkContribution(dst []uint32, update []float32, weight float64, extras []uint64, noise Noise) error {
	s := &q.spec
	switch {
	case s.Dimension == 0:
		return fmt.Errorf("%w: zero Quantizer: make one with Spec.Check", ErrSpec)
	case len(dst) != q.Layout().Len():
		return fmt.Errorf("%w: Encode: dst has %d words, want %d (Layout.Len)", ErrArgument, len(dst), q.Layout().Len())
	case len(update) != s.Dimension:
		return fmt.Errorf("%w: Encode: update has %d values, want %d (Spec.Dimension)", ErrArgument, len(update), s.Dimension)
	case len(extras) != len(s.Extras):
		return fmt.Errorf("%w: Encode: %d extras, want %d (Spec.Extras)", ErrArgument, len(extras), len(s.Extras))
	case !(weight >= 0 && weight <= 1): // NaN fails
		return fmt.Errorf("%w: Encode: weight is outside [0, 1]: divide by the largest weight", ErrArgument)
	case noise == nil && s.NoiseTail != 0:
		return fmt.Errorf("%w: Encode: no noise, but NoiseTail = %d: pass the client's noise", ErrNoise, s.NoiseTail)
	case noise != nil && s.NoiseTail == 0:
		return fmt.Errorf("%w: Encode: noise, but NoiseTail = 0: state the tail in the spec", ErrNoise)
	}
	for i, e := range s.Extras {
		if extras[i] > e.Bound {
			return fmt.Errorf("%w: Encode: extra %q is above its bound %d: cap it", ErrArgument, e.Name, e.Bound)
		}
	}
	return nil
}

// step gives the factor that takes a value of update to 2^32 times its scaled
// and clipped value, and whether all values are finite.
func (q Quantizer) step(update []float32, weight float64) (step float64, finite bool) {
	norm := Norm(update)
	if math.IsNaN(norm) || math.IsInf(norm, 1) {
		return 0, false
	}
	factor := weight
	if weight*norm > q.spec.ClipNorm {
		factor = q.spec.ClipNorm / norm
	}
	return factor * q.spec.Scale * 0x1p32, true
}

// encodeMain writes the main coordinates block by block.
func (q Quantizer) encodeMain(dst []uint32, update []float32, step float64, finite bool, coins io.Reader, noise Noise) error {
	s := new(scratch)
	defer func() { *s = scratch{} }()
	limit := float64(q.spec.Range) * 0x1p32
	offset := int32(1) << (q.spec.Bits - 1)
	for first := 0; first < len(dst); first += block {
		n := min(len(dst)-first, block)
		values := s.values[:n]
		if _, err := io.ReadFull(coins, s.coins[:coinBytes*n]); err != nil {
			return fmt.Errorf("field: Encode: coins for coordinate %d and on: %w", first, err)
		}
		if finite {
			roundBlock(values, update[first:first+n], s.coins[:], step, limit)
		} else {
			clear(values)
		}
		if noise != nil {
			if err := q.addNoise(s, n, first, noise); err != nil {
				return err
			}
		}
		out := dst[first : first+n]
		for i, v := range values {
			out[i] = uint32(v + offset)
		}
	}
	return nil
}

// roundBlock rounds and clamps; limit is Range*2^32, at most 2^62.
func roundBlock(values []int32, update []float32, coins []byte, step, limit float64) {
	values = values[:len(update)]
	coins = coins[:coinBytes*len(update)]
	for i, x := range update {
		y := float64(x) * step
		if y > limit {
			y = limit
		} else if y < -limit {
			y = -limit
		}
		u := int64(binary.LittleEndian.Uint32(coins[coinBytes*i:]))
		values[i] = int32((int64(y) + u) >> 32)
	}
}

// addNoise adds noise to the first n values of s and holds each share against
// the tail. The difference also shows a share that overflowed an int32.
func (q Quantizer) addNoise(s *scratch, n, first int, noise Noise) error {
	before, values := s.rounded[:n], s.values[:n]
	copy(before, values)
	if err := noise.Add(values); err != nil {
		return fmt.Errorf("field: Encode: noise for coordinate %d and on: %w", first, err)
	}
	tail := q.spec.NoiseTail
	for i, v := range values {
		if share := int64(v) - int64(before[i]); share > tail || share < -tail {
			return fmt.Errorf("%w: Encode: share of coordinate %d is beyond NoiseTail = %d: redraw such shares at their source",
				ErrNoise, first+i, tail)
		}
	}
	return nil
}
