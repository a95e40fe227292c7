package tensor

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

const (
	prefixBytes = 8
	valueBytes  = 4
	bufferBytes = 64 << 10
)

// Size is the exact length in bytes of the canonical file of any model with
// this schema.
func Size(schema Schema) int64 {
	return HeaderSize(schema) + valueBytes*int64(schema.Total())
}

// WriteSafetensors writes the canonical file of the model (see the package
// comment), [Size] bytes, using a bounded buffer. A model with a value that is
// not finite is refused with [ErrNonFinite] before anything is written: the
// file could not be read again. Errors of w are returned as they are; what w
// holds then is not a model.
func WriteSafetensors(w io.Writer, m Model) error {
	if err := m.CheckFinite(); err != nil {
		return err
	}
	return writeCanonical(w, m)
}

// HeaderSize is the length in bytes of what comes before the values in the canonical
// file of any model with this schema.
func HeaderSize(schema Schema) int64 { return prefixBytes + int64(len(schema.canonicalHeader())) }

// HeaderWithMetadata returns what comes before the values in a file that says something
// about its model: the canonical one with __metadata__ added in front, keys in byte
// order. Such a file is not canonical; readers of the format take it as they do any
// other. Keys and values are UTF-8 text: ErrHeader if one is not, ErrHeaderTooLarge if
// the header is longer than [MaxHeader].
func HeaderWithMetadata(schema Schema, metadata map[string]string) ([]byte, error) {
	header := appendString([]byte{'{'}, metadataKey)
	header = append(header, ':', '{')
	for i, key := range slices.Sorted(maps.Keys(metadata)) {
		if !utf8.ValidString(key) || !utf8.ValidString(metadata[key]) {
			return nil, fmt.Errorf("%w: metadata %s is not UTF-8", ErrHeader, quote(key))
		}
		if i > 0 {
			header = append(header, ',')
		}
		header = appendString(header, key)
		header = append(header, ':')
		header = appendString(header, metadata[key])
	}
	header = append(header, '}')
	if rest := bytes.TrimRight(schema.canonicalHeader(), " "); len(rest) > len("{}") {
		header = append(append(header, ','), rest[1:len(rest)-1]...)
	}
	header = closeHeader(header)
	if len(header) > MaxHeader {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrHeaderTooLarge, len(header), MaxHeader)
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), nil
}

func writeCanonical(w io.Writer, m Model) error {
	header := m.schema.canonicalHeader()
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))); err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	buf := make([]byte, min(bufferBytes, valueBytes*len(m.values)))
	for rest := m.values; len(rest) > 0; {
		n := min(len(rest), len(buf)/valueBytes)
		for i, v := range rest[:n] {
			binary.LittleEndian.PutUint32(buf[valueBytes*i:], math.Float32bits(v))
		}
		if _, err := w.Write(buf[:valueBytes*n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// canonicalHeader is the padded header; the zero Schema has one too, so that a
// zero Model has a digest.
func (s Schema) canonicalHeader() []byte {
	if s.header == nil {
		return []byte("{}      ")
	}
	return s.header
}

// appendEntry adds one tensor to a header under construction, with the brace or
// comma that comes before it.
func appendEntry(header []byte, spec Spec, lo, hi int) []byte {
	separator := byte(',')
	if len(header) == 0 {
		separator = '{'
	}
	header = append(header, separator)
	header = appendString(header, spec.Name)
	header = append(header, `:{"dtype":"F32","shape":[`...)
	for i, dim := range spec.Shape {
		if i > 0 {
			header = append(header, ',')
		}
		header = strconv.AppendInt(header, int64(dim), 10)
	}
	header = append(header, `],"data_offsets":[`...)
	header = strconv.AppendInt(header, valueBytes*int64(lo), 10)
	header = append(header, ',')
	header = strconv.AppendInt(header, valueBytes*int64(hi), 10)
	return append(header, "]}"...)
}

// closeHeader ends the JSON object and pads it so that the data are aligned.
func closeHeader(header []byte) []byte {
	header = append(header, '}')
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	return header
}

// appendString quotes a string in one fixed way. encoding/json is not used for
// it: what it escapes has changed between Go releases, and these bytes are
// hashed.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
