package tensor

import "errors"

// What is wrong with a schema, a model or a safetensors file. Each error
// returned by this package wraps one of these and adds the place (tensor name,
// byte counts); test with errors.Is.
var (
	// ErrSchema: a declared shape breaks a rule of [NewSchema].
	ErrSchema = errors.New("tensor: bad schema")
	// ErrLength: a vector does not have as many values as its schema.
	ErrLength = errors.New("tensor: wrong number of values")
	// ErrNonFinite: a value is NaN or infinite.
	ErrNonFinite = errors.New("tensor: value is not finite")
	// ErrHeader: the header is not the JSON that the format asks for.
	ErrHeader = errors.New("tensor: malformed safetensors header")
	// ErrHeaderTooLarge: the header is longer than [MaxHeader].
	ErrHeaderTooLarge = errors.New("tensor: safetensors header too large")
	// ErrDuplicate: a JSON key occurs twice.
	ErrDuplicate = errors.New("tensor: duplicate key in safetensors header")
	// ErrDType: a tensor is not float32.
	ErrDType = errors.New("tensor: not a float32 tensor")
	// ErrSpan: a tensor's data offsets do not span exactly its shape.
	ErrSpan = errors.New("tensor: data offsets do not fit the shape")
	// ErrHole: bytes of the data belong to no tensor.
	ErrHole = errors.New("tensor: hole in safetensors data")
	// ErrOverlap: bytes of the data belong to two tensors.
	ErrOverlap = errors.New("tensor: overlap in safetensors data")
	// ErrTooLarge: the file is larger than the reader's limit.
	ErrTooLarge = errors.New("tensor: safetensors file too large")
	// ErrTruncated: the file ends before its header says it does.
	ErrTruncated = errors.New("tensor: safetensors file truncated")
	// ErrTrailing: the file goes on after the last tensor.
	ErrTrailing = errors.New("tensor: bytes after the last tensor")
)
