package share

import "encoding/binary"

// ElementBytes is the size of one encoded element.
const ElementBytes = 4

// Encode writes v into dst, four little-endian bytes an element. Every vector
// has one encoding. It refuses a dst of another length than
// ElementBytes*len(v) with [ErrLength] and an element that [Decode] would not
// take with [ErrRange]; dst is then untouched. It takes the same time whatever
// the elements are, unless it refuses.
func Encode(dst []byte, v []uint32) error {
	if len(dst) != ElementBytes*len(v) {
		return ErrLength.At("%d elements into %d bytes", len(v), len(dst))
	}
	if !canonical(v) {
		return ErrRange.At("encoding of %d elements", len(v))
	}
	for k, x := range v {
		binary.LittleEndian.PutUint32(dst[ElementBytes*k:], x)
	}
	return nil
}

// Decode fills v from b, which must be exactly ElementBytes*len(v) bytes
// ([ErrLength]) of elements below p ([ErrRange]). After a refusal v is zero. It
// takes the same time whatever the elements are, unless it refuses.
func Decode(v []uint32, b []byte) error {
	if len(b) != ElementBytes*len(v) {
		clear(v)
		return ErrLength.At("%d elements from %d bytes", len(v), len(b))
	}
	for k := range v {
		v[k] = binary.LittleEndian.Uint32(b[ElementBytes*k:])
	}
	if !canonical(v) {
		clear(v)
		return ErrRange.At("decoding of %d elements", len(v))
	}
	return nil
}
