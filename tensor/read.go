package tensor

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// ReadSafetensors reads one safetensors file of float32 tensors to the end of
// r. The tensors come out in the order of their data; __metadata__ is checked
// for form and dropped. limit is the largest file accepted, in bytes.
//
// Refused, each with the error of that name: an untidy or oversized header,
// duplicate keys, other types, a shape that [NewSchema] refuses, offsets that
// leave holes, overlap or do not fit a shape, a file that ends early, goes on
// after its data or exceeds the limit, and values that are not finite. Errors
// of r are wrapped. r is read in pieces of at most 64 KiB; memory grows with
// what has arrived, whatever the header claims.
func ReadSafetensors(r io.Reader, limit int64) (Model, error) {
	header, err := readHeader(r, limit)
	if err != nil {
		return Model{}, err
	}
	entries, err := parseHeader(header)
	if err != nil {
		return Model{}, err
	}
	schema, err := layOut(entries)
	if err != nil {
		return Model{}, err
	}
	size := prefixBytes + int64(len(header)) + valueBytes*int64(schema.Total())
	if size > limit {
		return Model{}, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, size, limit)
	}
	values, err := readValues(r, schema.Total())
	if err != nil {
		return Model{}, err
	}
	m := Model{schema: schema, values: values}
	if err := m.CheckFinite(); err != nil {
		return Model{}, err
	}
	return m, nil
}

func readHeader(r io.Reader, limit int64) ([]byte, error) {
	var prefix [prefixBytes]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, truncated(err, "header length")
	}
	declared := binary.LittleEndian.Uint64(prefix[:])
	if declared > MaxHeader {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrHeaderTooLarge, declared, MaxHeader)
	}
	if size := prefixBytes + int64(declared); size > limit {
		return nil, fmt.Errorf("%w: the header alone ends at byte %d, the limit is %d", ErrTooLarge, size, limit)
	}
	var header bytes.Buffer // grows as bytes arrive
	if _, err := io.CopyN(&header, r, int64(declared)); err != nil {
		return nil, truncated(err, "header")
	}
	return header.Bytes(), nil
}

// layOut orders the entries by their data and checks that they tile it: each
// spans exactly its shape, the first begins at 0, each begins where the last
// ended.
func layOut(entries []entry) (Schema, error) {
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.lo, b.lo) })
	specs := make([]Spec, len(entries))
	var end int64
	for i, e := range entries {
		count, err := elements(e.shape)
		if err != nil {
			return Schema{}, fmt.Errorf("%w: tensor %s: %w", ErrSchema, quote(e.name), err)
		}
		switch {
		case e.hi-e.lo != valueBytes*int64(count): // both are at least 0, so no overflow
			return Schema{}, fmt.Errorf("%w: tensor %s: offsets [%d,%d] for shape %v", ErrSpan, quote(e.name), e.lo, e.hi, e.shape)
		case e.lo > end:
			return Schema{}, fmt.Errorf("%w: bytes %d to %d, before tensor %s", ErrHole, end, e.lo, quote(e.name))
		case e.lo < end:
			return Schema{}, fmt.Errorf("%w: tensor %s begins at byte %d, the one before it ends at %d", ErrOverlap, quote(e.name), e.lo, end)
		}
		end = e.hi
		specs[i] = Spec{Name: e.name, Shape: e.shape}
	}
	return NewSchema(specs)
}

// readValues reads total values and then demands the end of the file. The slice
// doubles up to exactly total, so a header that lies costs at most twice what
// was sent and a true one leaves no spare room.
func readValues(r io.Reader, total int) ([]float32, error) {
	buf := make([]byte, bufferBytes)
	var values []float32
	for len(values) < total {
		n := min(total-len(values), len(buf)/valueBytes)
		if _, err := io.ReadFull(r, buf[:valueBytes*n]); err != nil {
			return nil, truncated(err, fmt.Sprintf("data after value %d of %d", len(values), total))
		}
		if need := len(values) + n; need > cap(values) {
			grown := make([]float32, len(values), max(need, min(total, need+len(values))))
			copy(grown, values)
			values = grown
		}
		for i := range n {
			values = append(values, math.Float32frombits(binary.LittleEndian.Uint32(buf[valueBytes*i:])))
		}
	}
	switch _, err := io.ReadFull(r, buf[:1]); {
	case err == nil:
		return nil, fmt.Errorf("%w: the file should end after %d values", ErrTrailing, total)
	case !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("tensor: reading the end of the file: %w", err)
	}
	return values, nil
}

func truncated(err error, where string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: in the %s", ErrTruncated, where)
	}
	return fmt.Errorf("tensor: reading the %s: %w", where, err)
}
