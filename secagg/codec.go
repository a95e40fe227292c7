package secagg

import (
	"encoding/binary"
	"math"

	"github.com/choir-fl/choir/fault"
)

// ErrEncoding is returned by every decoder of this module for bytes that are not
// the canonical encoding of anything.
var ErrEncoding = fault.New(fault.Invalid, "secagg/encoding", "not a canonical encoding", "the sender must be repaired or updated")

// MaxMessage is the largest canonical message a peer may send, in bytes. A
// message is read into memory only after its length was checked against it.
const MaxMessage = 16 << 20

// An Encoder builds the canonical encoding of a record: for each present field,
// in ascending order of field number, uvarint(number) uvarint(length) value.
// Absent values (zero, empty, false) are left out, so a field added later changes
// no old digest. Integers are minimal big-endian, floats the eight big-endian
// bytes of their IEEE 754 bits, lists the concatenation of uvarint(length) value.
// There is exactly one encoding of a record, and the Decoder accepts no other.
//
// The zero Encoder is ready to use; it is not safe for concurrent use.
type Encoder struct {
	buf  []byte
	last uint64
}

func (e *Encoder) field(number uint64, value []byte) {
	if number <= e.last {
		panic("secagg: fields are encoded in ascending order") //nolint:forbidigo // a programmer's error, never data
	}
	e.last = number
	e.buf = binary.AppendUvarint(e.buf, number)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(value)))
	e.buf = append(e.buf, value...)
}

// Bytes adds a byte string; an empty one is absent.
func (e *Encoder) Bytes(number uint64, v []byte) {
	if len(v) > 0 {
		e.field(number, v)
	}
}

// String adds a string; an empty one is absent.
func (e *Encoder) String(number uint64, v string) { e.Bytes(number, []byte(v)) }

// Uint adds an unsigned integer; zero is absent.
func (e *Encoder) Uint(number, v uint64) {
	if v == 0 {
		return
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v)
	i := 0
	for b[i] == 0 {
		i++
	}
	e.field(number, b[i:])
}

// Bool adds a flag; false is absent.
func (e *Encoder) Bool(number uint64, v bool) {
	if v {
		e.Uint(number, 1)
	}
}

// Float adds a finite float64; +0 is absent.
func (e *Encoder) Float(number uint64, v float64) {
	if bits := math.Float64bits(v); bits != 0 {
		e.field(number, binary.BigEndian.AppendUint64(nil, bits))
	}
}

// Digest adds a digest; a zero one is absent.
func (e *Encoder) Digest(number uint64, v Digest) {
	if v != (Digest{}) {
		e.field(number, v[:])
	}
}

// List adds a list of byte strings; an empty list is absent.
func (e *Encoder) List(number uint64, items [][]byte) {
	if len(items) == 0 {
		return
	}
	var b []byte
	for _, it := range items {
		b = binary.AppendUvarint(b, uint64(len(it)))
		b = append(b, it...)
	}
	e.field(number, b)
}

// Message adds a nested record; one without fields is absent.
func (e *Encoder) Message(number uint64, build func(*Encoder)) {
	var n Encoder
	build(&n)
	e.Bytes(number, n.buf)
}

// Encoded returns the bytes built so far.
func (e *Encoder) Encoded() []byte { return e.buf }

// A Decoder reads what an Encoder wrote. Fields are asked for in ascending order;
// an absent one reads as zero. The first fault sticks and is returned by Close,
// which also refuses fields that were not asked for. Byte slices alias the input.
// Not safe for concurrent use.
type Decoder struct {
	rest   []byte
	number uint64 // field number of the pending value, 0 if none
	value  []byte
	last   uint64
	err    error
}

// NewDecoder starts reading one record.
func NewDecoder(b []byte) *Decoder {
	d := &Decoder{rest: b}
	if len(b) > MaxMessage {
		d.fail("longer than %d bytes", MaxMessage)
	}
	d.next()
	return d
}

func (d *Decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = ErrEncoding.At(format, args...)
	}
	d.rest, d.number, d.value = nil, 0, nil
}

// uvarint reads a minimal unsigned varint.
func (d *Decoder) uvarint(b []byte) (uint64, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || (n > 1 && b[n-1] == 0) {
		d.fail("bad length")
		return 0, nil, false
	}
	return v, b[n:], true
}

func (d *Decoder) next() {
	d.number, d.value = 0, nil
	if d.err != nil || len(d.rest) == 0 {
		return
	}
	number, rest, ok := d.uvarint(d.rest)
	if !ok {
		return
	}
	size, rest, ok := d.uvarint(rest)
	if !ok {
		return
	}
	if number <= d.last || size == 0 || size > uint64(len(rest)) {
		d.fail("field %d out of order, empty or cut", number)
		return
	}
	d.last, d.number, d.value, d.rest = number, number, rest[:size], rest[size:]
}

// Bytes reads a byte string.
func (d *Decoder) Bytes(number uint64) []byte {
	if d.number == 0 || d.number > number {
		return nil
	}
	if d.number < number {
		d.fail("unknown field %d", d.number)
		return nil
	}
	v := d.value
	d.next()
	return v
}

// String reads a string.
func (d *Decoder) String(number uint64) string { return string(d.Bytes(number)) }

// Uint reads an unsigned integer.
func (d *Decoder) Uint(number uint64) uint64 {
	b := d.Bytes(number)
	if len(b) == 0 {
		return 0
	}
	if len(b) > 8 || b[0] == 0 {
		d.fail("field %d is not a minimal integer", number)
		return 0
	}
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

// Int reads an unsigned integer that must not exceed limit.
func (d *Decoder) Int(number uint64, limit int) int {
	v := d.Uint(number)
	if v > uint64(limit) {
		d.fail("field %d exceeds %d", number, limit)
		return 0
	}
	return int(v)
}

// Size reads an unsigned integer that must not exceed limit, for values past an int's range.
func (d *Decoder) Size(number, limit uint64) int64 {
	v := d.Uint(number)
	if v > limit {
		d.fail("field %d exceeds %d", number, limit)
		return 0
	}
	return int64(v)
}

// Bool reads a flag.
func (d *Decoder) Bool(number uint64) bool { return d.Int(number, 1) == 1 }

// Float reads a float64 and refuses NaN and infinities.
func (d *Decoder) Float(number uint64) float64 {
	b := d.Bytes(number)
	if len(b) == 0 {
		return 0
	}
	if len(b) != 8 {
		d.fail("field %d is not a float", number)
		return 0
	}
	bits := binary.BigEndian.Uint64(b)
	v := math.Float64frombits(bits)
	if bits == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		d.fail("field %d is not a finite float in canonical form", number)
		return 0
	}
	return v
}

// Digest reads a 32-byte value; absent reads as zero.
func (d *Decoder) Digest(number uint64) (out Digest) {
	present := d.number == number
	d.Fixed(number, out[:])
	if present && out == (Digest{}) {
		d.fail("field %d is a zero digest", number)
	}
	return out
}

// Fixed reads a value of exactly len(out) bytes, or leaves out as it is if absent.
func (d *Decoder) Fixed(number uint64, out []byte) {
	b := d.Bytes(number)
	if b == nil {
		return
	}
	if len(b) != len(out) {
		d.fail("field %d must have %d bytes", number, len(out))
		return
	}
	copy(out, b)
}

// List reads a list of at most limit byte strings.
func (d *Decoder) List(number uint64, limit int) [][]byte {
	b := d.Bytes(number)
	var items [][]byte
	for len(b) > 0 {
		size, rest, ok := d.uvarint(b)
		if !ok {
			return nil
		}
		if size > uint64(len(rest)) || len(items) == limit {
			d.fail("list %d is cut or longer than %d", number, limit)
			return nil
		}
		items = append(items, rest[:size:size])
		b = rest[size:]
	}
	return items
}

// Close returns the first fault, counting fields that were never asked for.
func (d *Decoder) Close() error {
	if d.err == nil && d.number != 0 {
		d.fail("unknown field %d", d.number)
	}
	return d.err
}
