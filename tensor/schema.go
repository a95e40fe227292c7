package tensor

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// MaxValues is the largest number of values in a model, over all tensors.
	MaxValues = math.MaxInt32
	// MaxRank is the largest number of dimensions of a tensor.
	MaxRank = 64
	// MaxHeader is the largest safetensors header, in bytes, without its
	// length prefix.
	MaxHeader = 8 << 20

	metadataKey = "__metadata__"
)

// Spec names one tensor and gives its dimensions, outermost first. A tensor
// without dimensions is one value.
type Spec struct {
	Name  string
	Shape []int
}

// Schema is the declared shape of a model: named float32 tensors in a fixed
// order. It is immutable. The zero Schema has no tensors and no values.
type Schema struct {
	specs  []Spec
	bounds []int // tensor i holds values bounds[i] to bounds[i+1]
	index  map[string]int
	header []byte // canonical, padded; one-to-one with the specs
}

// NewSchema checks the specs and keeps them in the order given, which is the
// order of the values in the flat vector. It refuses, with [ErrSchema]: no
// tensors; a name that is empty, repeated, reserved (__metadata__), not UTF-8
// or holds U+FFFD (what decoders put in the place of bad text); a dimension
// that is not positive; more than [MaxRank] dimensions; more than [MaxValues]
// values in all; a header above [MaxHeader]. The specs are copied.
func NewSchema(specs []Spec) (Schema, error) {
	if len(specs) == 0 {
		return Schema{}, fmt.Errorf("%w: no tensors", ErrSchema)
	}
	s := Schema{bounds: []int{0}, index: make(map[string]int, len(specs))}
	for i, spec := range specs {
		if err := checkName(spec.Name); err != nil {
			return Schema{}, fmt.Errorf("%w: tensor %d: %w", ErrSchema, i, err)
		}
		if _, taken := s.index[spec.Name]; taken {
			return Schema{}, fmt.Errorf("%w: two tensors are called %s", ErrSchema, quote(spec.Name))
		}
		count, err := elements(spec.Shape)
		if err != nil {
			return Schema{}, fmt.Errorf("%w: tensor %s: %w", ErrSchema, quote(spec.Name), err)
		}
		lo := s.bounds[i]
		if count > MaxValues-lo {
			return Schema{}, fmt.Errorf("%w: more than %d values up to tensor %s", ErrSchema, MaxValues, quote(spec.Name))
		}
		s.index[spec.Name] = i
		s.specs = append(s.specs, Spec{Name: spec.Name, Shape: slices.Clone(spec.Shape)})
		s.bounds = append(s.bounds, lo+count)
		s.header = appendEntry(s.header, spec, lo, lo+count)
		if len(s.header)+1 > MaxHeader {
			return Schema{}, fmt.Errorf("%w: names and shapes need a header above %d bytes", ErrSchema, MaxHeader)
		}
	}
	s.header = closeHeader(s.header)
	return s, nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("empty name")
	case name == metadataKey:
		return fmt.Errorf("the name %s is reserved by the file format", metadataKey)
	case !utf8.ValidString(name) || strings.ContainsRune(name, utf8.RuneError):
		return fmt.Errorf("name %s is not clean UTF-8", quote(name))
	}
	return nil
}

// elements multiplies the dimensions, refusing anything that is not a positive
// count of at most MaxValues. It divides instead of multiplying to test the
// limit, so it cannot overflow where int has 32 bits.
func elements(shape []int) (int, error) {
	if len(shape) > MaxRank {
		return 0, fmt.Errorf("%d dimensions, at most %d are possible", len(shape), MaxRank)
	}
	count := 1
	for _, dim := range shape {
		if dim <= 0 {
			return 0, fmt.Errorf("dimension %d of shape %v is not positive", dim, shape)
		}
		if count > MaxValues/dim {
			return 0, fmt.Errorf("shape %v has more than %d values", shape, MaxValues)
		}
		count *= dim
	}
	return count, nil
}

// Len is the number of tensors.
func (s Schema) Len() int { return len(s.specs) }

// Total is the number of values over all tensors, the length of the flat
// vector.
func (s Schema) Total() int {
	if len(s.bounds) == 0 {
		return 0
	}
	return s.bounds[len(s.bounds)-1]
}

// Specs returns a deep copy of the tensors, in order.
func (s Schema) Specs() []Spec {
	specs := make([]Spec, len(s.specs))
	for i, spec := range s.specs {
		specs[i] = Spec{Name: spec.Name, Shape: slices.Clone(spec.Shape)}
	}
	return specs
}

// Range gives the half-open interval of the flat vector that holds tensor i.
// Like an index into a slice, i must be at least 0 and below Len.
func (s Schema) Range(i int) (lo, hi int) { return s.bounds[i], s.bounds[i+1] }

// Equal reports whether both schemas declare the same names and shapes in the
// same order.
func (s Schema) Equal(other Schema) bool { return bytes.Equal(s.header, other.header) }
