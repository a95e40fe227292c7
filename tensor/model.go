package tensor

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
)

// Model is a schema and its values. Copying a Model copies a reference: the
// values are shared until [Model.Clone]. The zero Model has no tensors.
type Model struct {
	schema Schema
	values []float32
}

// NewModel puts values under a schema. The slice is kept, not copied: the
// caller hands it over or accepts that later writes show in the model. A length
// other than the schema's total is refused with [ErrLength]. The values
// themselves are not looked at; see [Model.CheckFinite].
func NewModel(schema Schema, values []float32) (Model, error) {
	if len(values) != schema.Total() {
		return Model{}, fmt.Errorf("%w: %d, the schema declares %d", ErrLength, len(values), schema.Total())
	}
	return Model{schema: schema, values: values}, nil
}

// Zero is a model whose values are all zero.
func Zero(schema Schema) Model {
	return Model{schema: schema, values: make([]float32, schema.Total())}
}

// Schema is the model's declared shape.
func (m Model) Schema() Schema { return m.schema }

// Values is the flat vector itself, not a copy: writing to it writes to this
// model and to every Model copied from it.
func (m Model) Values() []float32 { return m.values }

// Tensor is the part of Values that holds the named tensor, row-major. It
// shares memory with the model and cannot be appended to in place. The second
// result is false if there is no such tensor.
func (m Model) Tensor(name string) ([]float32, bool) {
	i, ok := m.schema.index[name]
	if !ok {
		return nil, false
	}
	lo, hi := m.schema.Range(i)
	return m.values[lo:hi:hi], true
}

// Clone is a model with the same schema and its own copy of the values.
func (m Model) Clone() Model {
	return Model{schema: m.schema, values: slices.Clone(m.values)}
}

// CheckFinite returns an error wrapping [ErrNonFinite] that names the first
// tensor with a NaN or an infinity, or nil if there is none.
func (m Model) CheckFinite() error {
	for i := range m.schema.Len() {
		lo, hi := m.schema.Range(i)
		if at := firstNonFinite(m.values[lo:hi]); at >= 0 {
			return fmt.Errorf("%w: tensor %s, value %d", ErrNonFinite, quote(m.schema.specs[i].Name), at)
		}
	}
	return nil
}

// Digest is the SHA-256 of the model's canonical safetensors bytes, the bytes
// that [WriteSafetensors] writes. They are hashed as a stream. A model with
// non-finite values, which cannot be written, has a digest all the same.
func (m Model) Digest() [sha256.Size]byte {
	h := sha256.New()
	_ = writeCanonical(h, m) // a hash never returns an error
	return [sha256.Size]byte(h.Sum(nil))
}

func firstNonFinite(values []float32) int {
	const exponent = 0x7f800000 // all ones in NaN and infinity only
	for i, v := range values {
		if math.Float32bits(v)&exponent == exponent {
			return i
		}
	}
	return -1
}
