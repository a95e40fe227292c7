package ddp

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/choir-fl/choir/secagg/field"
)

const (
	// RoundingAttempts is how often a vector is rounded before it is given up and
	// zero goes out instead. An attempt at an update of norm at most C fails with
	// probability at most e^-1/2, so all fail with at most e^-32: what that costs is
	// accuracy, never privacy. The limit does not depend on data.
	RoundingAttempts = 64

	chunk     = 1024 // coordinates handled at a time
	coinBytes = 4    // for one rounding
)

// Prepare writes weight*update, clipped to L2 norm C over the whole vector, padded and
// rotated, to dst, which has Quantizer().Spec().Dimension values. weight lies in
// [0, 1], and rotation is that of the round. A value that is not finite, or a norm of
// weight*update above Outlier*C, makes dst zero, and counted is false: the client goes
// on, with extras that say nothing.
//
// dst is as confidential as update; the caller erases both. It may run concurrently
// with itself on different dst.
func (m Mechanism) Prepare(dst, update []float32, weight float64, rotation Rotation) (counted bool, err error) {
	clear(dst)
	switch {
	case len(dst) != m.sensitivity.Dimension || len(update) != m.params.Dimension || len(dst) == 0:
		return false, ErrArgument.At("Prepare: %d values into %d, want %d into %d",
			len(update), len(dst), m.params.Dimension, m.sensitivity.Dimension)
	case rotation.Padded() != len(dst):
		return false, ErrArgument.At("Prepare: rotation of %d values, want %d", rotation.Padded(), len(dst))
	case !(weight >= 0 && weight <= 1): // NaN fails
		return false, ErrArgument.At("Prepare: weight is outside [0, 1]")
	}
	norm := field.Norm(update)
	if math.IsNaN(norm) || math.IsInf(norm, 1) {
		return false, nil
	}
	if m.params.Outlier != 0 && weight*norm > m.params.Outlier*m.params.ClipNorm {
		return false, nil
	}
	factor := weight
	if weight*norm > m.params.ClipNorm {
		factor = m.params.ClipNorm / norm
	}
	for i, x := range update {
		dst[i] = float32(float64(x) * factor)
	}
	return true, rotation.Forward(dst)
}

// Encode writes one client's contribution to dst, which has Quantizer().Layout().Len()
// words: each coordinate of prepared rounded, clamped, noised and offset, then the
// extras, noised.
//
// Rounding is stochastic: with y the scaled value, the integer is one of the two
// neighbours of y and its expectation is y, to 2^-32 towards zero, as in
// [field.Quantizer.Encode]. It takes 4 bytes of coins for each coordinate and attempt.
// The vector that goes out has ||x||^2 <= floor(D2^2), tested in integer arithmetic.
// rounded is false if no attempt met that and zero went out instead, which the client
// may count and must not publish.
//
// values are the extras, each at most its Largest. draw is a [Draw] of this mechanism
// that was not used: all of it is added, whatever the data, and erased, also after an
// error, unless it was refused or an argument was. Under central noise it is nil, and
// nothing is added. coins are for rounding alone, and independent of those of the draw.
//
// On an error dst is all zero and must not be sent. Encode may run concurrently with
// itself on different dst, coins and draws.
func (m Mechanism) Encode(dst []uint32, prepared []float32, values []uint64, coins io.Reader, draw *Draw) (rounded bool, err error) {
	clear(dst)
	if err := m.checkContribution(dst, prepared, values); err != nil {
		return false, err
	}
	if err := m.checkDraw(draw, !m.params.Central); err != nil {
		return false, err
	}
	if err := draw.take(); err != nil {
		return false, err
	}
	defer draw.Erase()
	main := dst[:len(prepared)]
	s := new(scratch)
	defer func() { *s = scratch{} }()
	if rounded, err = m.round(main, prepared, coins, s); err == nil {
		err = m.addNoise(main, draw, s)
	}
	if err == nil {
		err = m.encodeExtras(dst[len(main):], values, draw)
	}
	if err != nil {
		clear(dst)
		return false, err
	}
	return rounded, nil
}

// scratch is the working memory of one Encode.
type scratch struct {
	coins  [coinBytes * chunk]byte
	values [chunk]int32
}

func (m Mechanism) checkContribution(dst []uint32, prepared []float32, values []uint64) error {
	if m.sensitivity.Dimension == 0 || len(prepared) != m.sensitivity.Dimension || len(dst) != m.quantizer.Layout().Len() {
		return ErrArgument.At("Encode: %d values into %d words, want %d", len(prepared), len(dst), m.sensitivity.Dimension)
	}
	if len(values) != len(m.extras) {
		return ErrArgument.At("Encode: %d extras, want %d", len(values), len(m.extras))
	}
	for k, e := range m.params.Extras {
		if values[k] > e.Largest {
			return ErrArgument.At("Encode: extra %q is above its largest value %d", e.Name, e.Largest)
		}
	}
	return nil
}

// round rounds until the norm test passes; the integers are left in dst as int32.
func (m Mechanism) round(dst []uint32, prepared []float32, coins io.Reader, s *scratch) (bool, error) {
	for range RoundingAttempts {
		var norm square
		for first := 0; first < len(dst); first += chunk {
			n := min(chunk, len(dst)-first)
			if _, err := io.ReadFull(coins, s.coins[:coinBytes*n]); err != nil {
				return false, ErrCoins.At("Encode: rounding of coordinate %d and on", first).Because(err)
			}
			m.roundChunk(dst[first:first+n], prepared[first:first+n], s.coins[:], &norm)
		}
		if norm.atMost(m.limit) {
			return true, nil
		}
	}
	clear(dst)
	return false, nil
}

// roundChunk rounds and clamps, and adds the squares to norm. A NaN, which no Prepare
// leaves, becomes zero.
func (m Mechanism) roundChunk(dst []uint32, prepared []float32, coins []byte, norm *square) {
	step, limit := m.params.Scale*0x1p32, float64(m.params.Range)*0x1p32 // limit <= 2^62
	dst = dst[:len(prepared)]
	coins = coins[:coinBytes*len(prepared)]
	sum := *norm
	for i, x := range prepared {
		y := float64(x) * step
		switch {
		case y > limit:
			y = limit
		case y < -limit:
			y = -limit
		case math.IsNaN(y):
			y = 0
		}
		u := int64(binary.LittleEndian.Uint32(coins[coinBytes*i:]))
		v := int32((int64(y) + u) >> 32)
		sum.add(v)
		dst[i] = uint32(v)
	}
	*norm = sum
}

// addNoise adds the draw, if any, and the offset to the integers that round left in dst.
// With a share within its tail, which samplers see to, no sum leaves Bits bits.
func (m Mechanism) addNoise(dst []uint32, draw *Draw, s *scratch) error {
	offset := int32(1) << (m.quantizer.Spec().Bits - 1)
	for first := 0; first < len(dst); first += chunk {
		out := dst[first:min(len(dst), first+chunk)]
		values := s.values[:len(out)]
		for i, v := range out {
			values[i] = int32(v)
		}
		if draw != nil {
			if err := draw.pools[0].Add(values); err != nil {
				return ErrNoise.At("Encode: coordinate %d and on", first).Because(err)
			}
		}
		for i, v := range values {
			out[i] = uint32(v + offset)
		}
	}
	return nil
}

// encodeExtras writes value + share + tail for each extra.
func (m Mechanism) encodeExtras(dst []uint32, values []uint64, draw *Draw) error {
	for k, value := range values {
		noised := [1]int32{int32(value)} // value + 2 tail < 2^31
		if draw != nil {
			if err := draw.pools[1+k].Add(noised[:]); err != nil {
				return ErrNoise.At("Encode: extra %q", m.params.Extras[k].Name).Because(err)
			}
		}
		dst[k] = uint32(int64(noised[0]) + m.params.tail(m.extras[k]))
	}
	return nil
}
