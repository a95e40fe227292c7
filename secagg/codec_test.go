package secagg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// form is the type of a field of a record.
type form int

const (
	formBytes form = iota
	formUint
	formBool
	formFloat
	formDigest
	formFixed
	formList
	formMessage
	formCount
)

const (
	fixedSize = 5
	listLimit = 4
)

// column is a field that a record may have.
type column struct {
	number uint64
	form   form
	inner  []column // formMessage
}

// value is what a field holds; which member counts depends on the form.
type value struct {
	bytes []byte // formBytes, formFixed, formDigest
	uint  uint64 // formUint, formBool
	float float64
	list  [][]byte
	inner []value
}

// drawColumns draws the declaration of a record.
func drawColumns(coins *rand.Rand, depth int) []column {
	var out []column
	number := uint64(0)
	for range coins.IntN(6) {
		number += 1 + coins.Uint64N([]uint64{1, 3, 200, 1 << 40}[coins.IntN(4)])
		c := column{number: number, form: form(coins.IntN(int(formCount)))}
		if c.form == formMessage {
			if depth == 0 {
				c.form = formUint
			} else {
				c.inner = drawColumns(coins, depth-1)
			}
		}
		out = append(out, c)
	}
	return out
}

// drawValue draws what a field holds; absent values are frequent.
func drawValue(coins *rand.Rand, c column) (v value) {
	if coins.IntN(3) == 0 && c.form != formMessage {
		if c.form == formFixed || c.form == formDigest {
			v.bytes = make([]byte, sizeOf(c.form))
		}
		return v
	}
	some := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(coins.Uint32())
		}
		return b
	}
	switch c.form {
	case formBytes:
		v.bytes = some(coins.IntN(300))
	case formUint:
		v.uint = coins.Uint64() >> coins.IntN(64)
	case formBool:
		v.uint = 1
	case formFloat:
		v.float = []float64{1, -1, 0.1, math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64, coins.NormFloat64()}[coins.IntN(7)]
	case formDigest, formFixed:
		v.bytes = some(sizeOf(c.form))
	case formList:
		for range 1 + coins.IntN(listLimit) {
			v.list = append(v.list, some(coins.IntN(200)))
		}
	case formMessage:
		for _, in := range c.inner {
			v.inner = append(v.inner, drawValue(coins, in))
		}
	}
	return v
}

func sizeOf(f form) int {
	if f == formDigest {
		return len(Digest{})
	}
	return fixedSize
}

// encodeColumns writes a record with the Encoder.
func encodeColumns(e *Encoder, columns []column, values []value) {
	for i, c := range columns {
		v := values[i]
		switch c.form {
		case formBytes:
			e.Bytes(c.number, v.bytes)
		case formUint:
			e.Uint(c.number, v.uint)
		case formBool:
			e.Bool(c.number, v.uint == 1)
		case formFloat:
			e.Float(c.number, v.float)
		case formDigest:
			e.Digest(c.number, Digest(v.bytes))
		case formFixed:
			e.Bytes(c.number, v.bytes)
		case formList:
			e.List(c.number, v.list)
		case formMessage:
			e.Message(c.number, func(e *Encoder) { encodeColumns(e, c.inner, v.inner) })
		}
	}
}

// decodeColumns reads a record with the Decoder.
func decodeColumns(b []byte, columns []column) ([]value, error) {
	d := NewDecoder(b)
	values := make([]value, len(columns))
	for i, c := range columns {
		v := &values[i]
		switch c.form {
		case formBytes:
			v.bytes = d.Bytes(c.number)
		case formUint:
			v.uint = d.Uint(c.number)
		case formBool:
			if d.Bool(c.number) {
				v.uint = 1
			}
		case formFloat:
			v.float = d.Float(c.number)
		case formDigest:
			got := d.Digest(c.number)
			v.bytes = got[:]
		case formFixed:
			v.bytes = make([]byte, fixedSize)
			d.Fixed(c.number, v.bytes)
		case formList:
			v.list = d.List(c.number, listLimit)
		case formMessage:
			inner, err := decodeColumns(d.Bytes(c.number), c.inner)
			if err != nil {
				return nil, err
			}
			v.inner = inner
		}
	}
	return values, d.Close()
}

// slowVarint is LEB128 by division.
func slowVarint(v uint64) []byte {
	n := new(big.Int).SetUint64(v)
	base := big.NewInt(128)
	var out []byte
	for {
		var digit big.Int
		n.DivMod(n, base, &digit)
		if n.Sign() == 0 {
			return append(out, byte(digit.Int64()))
		}
		out = append(out, byte(digit.Int64()+128))
	}
}

// slowEncode is the canonical encoding as the comment of Encoder describes it.
func slowEncode(columns []column, values []value) (out []byte) {
	for i, c := range columns {
		v := values[i]
		var b []byte
		switch c.form {
		case formBytes, formFixed:
			b = v.bytes
		case formDigest:
			if !bytes.Equal(v.bytes, make([]byte, 32)) {
				b = v.bytes
			}
		case formUint, formBool:
			b = new(big.Int).SetUint64(v.uint).Bytes() // big-endian, nothing for zero
		case formFloat:
			if text := fmt.Sprintf("%016x", math.Float64bits(v.float)); text != "0000000000000000" {
				_, _ = fmt.Sscanf(text, "%x", &b)
			}
		case formList:
			for _, item := range v.list {
				b = slices.Concat(b, slowVarint(uint64(len(item))), item)
			}
		case formMessage:
			b = slowEncode(c.inner, v.inner)
		}
		if len(b) > 0 {
			out = slices.Concat(out, slowVarint(c.number), slowVarint(uint64(len(b))), b)
		}
	}
	return out
}

// slowDecode reads loosely: any varint, any order, and skips what it does not
// know. What is canonical is whatever slowEncode gives back unchanged.
func slowDecode(b []byte, columns []column) ([]value, bool) {
	found := map[uint64][]byte{}
	for len(b) > 0 {
		number, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, false
		}
		size, m := binary.Uvarint(b[n:])
		if m <= 0 || size > uint64(len(b)-n-m) {
			return nil, false
		}
		found[number] = b[n+m : n+m+int(size)]
		b = b[n+m+int(size):]
	}
	values := make([]value, len(columns))
	for i, c := range columns {
		b, v := found[c.number], &values[i]
		switch c.form {
		case formBytes:
			v.bytes = b
		case formUint, formBool:
			n := new(big.Int).SetBytes(b)
			if !n.IsUint64() || c.form == formBool && n.Uint64() > 1 {
				return nil, false
			}
			v.uint = n.Uint64()
		case formFloat:
			if len(b) != 0 && len(b) != 8 {
				return nil, false
			}
			v.float = math.Float64frombits(new(big.Int).SetBytes(b).Uint64())
			if math.IsNaN(v.float) || math.IsInf(v.float, 0) {
				return nil, false
			}
		case formDigest, formFixed:
			if len(b) != 0 && len(b) != sizeOf(c.form) {
				return nil, false
			}
			v.bytes = append([]byte(nil), b...)
			if len(b) == 0 && c.form == formDigest {
				v.bytes = make([]byte, 32)
			}
		case formList:
			for len(b) > 0 {
				size, n := binary.Uvarint(b)
				if n <= 0 || size > uint64(len(b)-n) || len(v.list) == listLimit {
					return nil, false
				}
				v.list = append(v.list, b[n:n+int(size)])
				b = b[n+int(size):]
			}
		case formMessage:
			inner, ok := slowDecode(b, c.inner)
			if !ok {
				return nil, false
			}
			v.inner = inner
		}
	}
	return values, true
}

func TestEncodingEqualsTheSlowReferenceAndDecodesToTheSameValues(t *testing.T) {
	for seed := range uint64(3000) {
		coins := rand.New(rand.NewPCG(seed, 1))
		columns := drawColumns(coins, 2)
		values := make([]value, len(columns))
		for i, c := range columns {
			values[i] = drawValue(coins, c)
		}
		var e Encoder
		encodeColumns(&e, columns, values)
		want := slowEncode(columns, values)
		// A zero value of fixed size is a value like another one.
		require.True(t, bytes.Equal(want, e.Encoded()), "seed %d", seed)
		got, err := decodeColumns(e.Encoded(), columns)
		require.NoError(t, err, "seed %d", seed)
		var again Encoder
		encodeColumns(&again, columns, got)
		if !slices.ContainsFunc(columns, func(c column) bool { return c.form == formFixed || c.form == formMessage }) {
			require.True(t, bytes.Equal(want, again.Encoded()), "seed %d", seed)
		}
	}
}

// TestDecoderAcceptsExactlyWhatTheSlowReferenceCallsCanonical damages encodings.
func TestDecoderAcceptsExactlyWhatTheSlowReferenceCallsCanonical(t *testing.T) {
	accepted, refused := 0, 0
	for seed := range uint64(20_000) {
		coins := rand.New(rand.NewPCG(seed, 2))
		columns := drawColumns(coins, 1)
		values := make([]value, len(columns))
		for i, c := range columns {
			values[i] = drawValue(coins, c)
		}
		b := damage(coins, slowEncode(columns, values))
		loose, parsed := slowDecode(b, columns)
		canonical := parsed && bytes.Equal(slowEncode(columns, loose), b)
		_, err := decodeColumns(b, columns)
		require.Equal(t, canonical, err == nil, "seed %d, %x: %v", seed, b, err)
		if err == nil {
			accepted++
		} else {
			require.ErrorIs(t, err, ErrEncoding)
			refused++
		}
	}
	require.Greater(t, accepted, 2000)
	require.Greater(t, refused, 2000)
}

// damage changes an encoding a little, or not at all.
func damage(coins *rand.Rand, b []byte) []byte {
	b = slices.Clone(b)
	for range coins.IntN(3) {
		at := coins.IntN(len(b) + 1)
		switch coins.IntN(5) {
		case 0:
			b = b[:at]
		case 1:
			b = slices.Insert(b, at, byte(coins.Uint32()))
		case 2:
			b = slices.Insert(b, at, 0)
		case 3:
			if at < len(b) {
				b[at] = byte(coins.Uint32N(12))
			}
		default:
			if at < len(b) {
				b = slices.Delete(b, at, at+1)
			}
		}
	}
	return b
}

func TestDecoderRefusesEachWayOfNotBeingCanonical(t *testing.T) {
	long := bytes.Repeat([]byte{7}, 32)
	for name, b := range map[string][]byte{
		"field number zero":             {0, 1, 5},
		"field number in two bytes":     {0x81, 0, 1, 5},
		"length in two bytes":           {1, 0x81, 0, 5},
		"empty field":                   {1, 0},
		"cut value":                     {1, 3, 5, 5},
		"cut header":                    {1},
		"endless varint":                bytes.Repeat([]byte{0xff}, 11),
		"fields out of order":           {2, 1, 5, 1, 1, 5},
		"field twice":                   {1, 1, 5, 1, 1, 5},
		"unknown field before":          {1, 1, 5, 2, 1, 5},
		"unknown field after":           {2, 1, 5, 200, 1, 1, 5},
		"integer with a leading zero":   {2, 2, 0, 5},
		"integer of nine bytes":         {2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		"float of seven bytes":          {3, 7, 1, 0, 0, 0, 0, 0, 0},
		"float that is plus zero":       {3, 8, 0, 0, 0, 0, 0, 0, 0, 0},
		"float that is infinite":        {3, 8, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0},
		"float that is not a number":    {3, 8, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1},
		"flag of two":                   {4, 1, 2},
		"digest of 31 bytes":            append([]byte{5, 31}, long[:31]...),
		"zero digest":                   append([]byte{5, 32}, make([]byte, 32)...),
		"list item beyond the list":     {6, 2, 2, 9},
		"list item length in two bytes": {6, 3, 0x81, 0, 9},
		"list above its limit":          {6, 6, 1, 9, 1, 9, 1, 9},
		"integer above its limit":       {7, 1, 11},
		"size above its limit":          {8, 1, 11},
		"fixed value of another length": {9, 2, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder(b)
			d.Uint(2)
			d.Float(3)
			d.Bool(4)
			d.Digest(5)
			d.List(6, 2)
			d.Int(7, 10)
			d.Size(8, 10)
			d.Fixed(9, make([]byte, 3))
			require.ErrorIs(t, d.Close(), ErrEncoding)
			require.Zero(t, d.Uint(200), "nothing is read after a fault")
			require.ErrorIs(t, d.Close(), ErrEncoding)
		})
	}
	t.Run("longer than a message", func(t *testing.T) {
		var e Encoder
		e.Bytes(1, make([]byte, MaxMessage-5)) // number and length take five bytes
		d := NewDecoder(e.Encoded())
		require.Len(t, d.Bytes(1), MaxMessage-5)
		require.NoError(t, d.Close())
		e.Uint(2, 1)
		d = NewDecoder(e.Encoded())
		d.Bytes(1)
		d.Uint(2)
		require.ErrorIs(t, d.Close(), ErrEncoding)
	})
}

func TestLimitsAreInclusive(t *testing.T) {
	var e Encoder
	e.Uint(1, 10)
	e.Uint(2, 1<<63-1)
	e.Uint(3, math.MaxUint64)
	e.List(4, [][]byte{{1}, {}, {2}})
	d := NewDecoder(e.Encoded())
	require.Equal(t, 10, d.Int(1, 10))
	require.Equal(t, int64(math.MaxInt64), d.Size(2, 1<<63-1))
	require.Equal(t, uint64(math.MaxUint64), d.Uint(3))
	require.Equal(t, [][]byte{{1}, {}, {2}}, d.List(4, 3))
	require.NoError(t, d.Close())
}

func TestItemsOfAListCannotGrowIntoEachOther(t *testing.T) {
	var e Encoder
	e.List(1, [][]byte{{1}, {2}})
	items := NewDecoder(e.Encoded()).List(1, 2)
	_ = append(items[0], 9, 9)
	require.Equal(t, []byte{2}, items[1])
}

func TestFieldsMustAscend(t *testing.T) {
	for _, numbers := range [][2]uint64{{0, 0}, {1, 1}, {2, 1}} {
		require.Panics(t, func() {
			var e Encoder
			e.Uint(numbers[0], 1)
			e.Uint(numbers[1], 1)
		}, "%v", numbers)
	}
}

func TestAbsentValuesChangeNothing(t *testing.T) {
	var e Encoder
	e.Bytes(1, nil)
	e.Bytes(2, []byte{})
	e.String(3, "")
	e.Uint(4, 0)
	e.Bool(5, false)
	e.Float(6, 0)
	e.Digest(7, Digest{})
	e.List(8, nil)
	e.Message(9, func(e *Encoder) { e.Uint(1, 0) })
	require.Empty(t, e.Encoded())
	// Present, because they are not the zero value: -0, and a list of one empty item.
	e.Float(10, math.Copysign(0, -1))
	e.List(11, [][]byte{{}})
	require.Equal(t, []byte{10, 8, 0x80, 0, 0, 0, 0, 0, 0, 0, 11, 1, 0}, e.Encoded())
}

func TestHashSeparatesLabelsAndParts(t *testing.T) {
	a, b := []byte("a"), []byte("b")
	seen := map[Digest]string{}
	for name, d := range map[string]Digest{
		"none": Hash("x"), "one": Hash("x", a), "two": Hash("x", a, b), "joined": Hash("x", []byte("ab")), "turned": Hash("x", b, a),
		"empty part": Hash("x", a, nil), "empty before": Hash("x", nil, a), "other label": Hash("y", a), "label and part": Hash("xa"),
	} {
		require.NotContains(t, seen, d, name)
		seen[d] = name
	}
}
