package ddp

import (
	"math"
	"math/bits"

	"github.com/choir-fl/choir/secagg/field"
)

const (
	// BlockSize is the number of coordinates that are rotated together.
	BlockSize = 1 << 14
	// minBlock is the smallest last block.
	minBlock = 64
	// signLabel names the stream of sign bits under a rotation's seed.
	signLabel = "ddp/signs"
)

// PaddedDimension is the length of a rotated vector: dimension cut into blocks of
// BlockSize, the last one padded to a power of two of at least 64. It is 0 if
// dimension is below 1, or the result above field.MaxWords.
func PaddedDimension(dimension int) int {
	if dimension < 1 || dimension > field.MaxWords {
		return 0
	}
	full, rest := dimension/BlockSize*BlockSize, dimension%BlockSize
	if rest > 0 {
		full += max(minBlock, 1<<bits.Len(uint(rest-1)))
	}
	return full // at most MaxWords, which is a multiple of BlockSize
}

// Rotation is a public random orthogonal map: a sign flip of every coordinate, then
// the normalised Walsh-Hadamard transform of each block (KLS). It spreads
// the energy of a vector over all coordinates of a block, so that few integers are
// large. It hides nothing. A Rotation is immutable; any number of goroutines may use
// it at once. The zero Rotation refuses every vector.
//
// The result is the same bit for bit on every architecture: signs are flipped and
// the norm is scaled in one float32 product for each coordinate, the rest is
// additions and subtractions in the order of the textbook transform (strides 1, 2,
// 4, ...), so that no compiler finds a product to fuse with a sum.
type Rotation struct {
	padded int
	key    [32]byte
}

// NewRotation makes the rotation of vectors of that dimension under a public seed.
// Coordinate i is flipped if bit i mod 8 of byte i/8 of the stream
// field.NewStream(field.Derive(seed, "ddp/signs")) is set.
func NewRotation(dimension int, seed [32]byte) (Rotation, error) {
	padded := PaddedDimension(dimension)
	if padded == 0 {
		return Rotation{}, ErrParameters.At("rotation of dimension %d, want 1 to %d", dimension, field.MaxWords)
	}
	return Rotation{padded: padded, key: field.Derive(seed, signLabel)}, nil
}

// Padded is the length of the vectors that Forward and Inverse take.
func (r Rotation) Padded() int { return r.padded }

// Forward rotates x in place. The caller has put zeros after the dimension.
func (r Rotation) Forward(x []float32) error {
	return r.apply(x, func(block []float32, signs []byte, norm float32) {
		flip(block, signs, norm)
		hadamard(block)
	})
}

// Inverse undoes Forward, up to float error, on a vector or on a sum of vectors.
func (r Rotation) Inverse(x []float32) error {
	return r.apply(x, func(block []float32, signs []byte, norm float32) {
		hadamard(block)
		flip(block, signs, norm)
	})
}

func (r Rotation) apply(x []float32, block func(x []float32, signs []byte, norm float32)) error {
	if r.padded == 0 || len(x) != r.padded {
		return ErrArgument.At("rotation of %d values, want %d", len(x), r.padded)
	}
	r.blocks(func(first, n int, signs []byte, norm float32) { block(x[first:first+n], signs, norm) })
	return nil
}

// blocks calls each with the place of every block in turn, its signs and its norm.
func (r Rotation) blocks(each func(first, n int, signs []byte, norm float32)) {
	var signs [BlockSize / 8]byte
	stream := field.NewStream(r.key)
	for first := 0; first < r.padded; first += BlockSize {
		n := min(r.padded-first, BlockSize)
		_, _ = stream.Read(signs[:n/8]) // never fails
		each(first, n, signs[:n/8], float32(1/math.Sqrt(float64(n))))
	}
}

// flip multiplies each value by norm, or by -norm where its bit is set.
func flip(x []float32, signs []byte, norm float32) {
	for _, s := range signs {
		v := (*[8]float32)(x)
		b := uint32(s)
		v[0] = math.Float32frombits(math.Float32bits(v[0])^b<<31) * norm
		v[1] = math.Float32frombits(math.Float32bits(v[1])^b>>1<<31) * norm
		v[2] = math.Float32frombits(math.Float32bits(v[2])^b>>2<<31) * norm
		v[3] = math.Float32frombits(math.Float32bits(v[3])^b>>3<<31) * norm
		v[4] = math.Float32frombits(math.Float32bits(v[4])^b>>4<<31) * norm
		v[5] = math.Float32frombits(math.Float32bits(v[5])^b>>5<<31) * norm
		v[6] = math.Float32frombits(math.Float32bits(v[6])^b>>6<<31) * norm
		v[7] = math.Float32frombits(math.Float32bits(v[7])^b>>7<<31) * norm
		x = x[8:]
	}
}
