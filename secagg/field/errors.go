package field

import "errors"

// The classes of error of this package; compare with errors.Is. An error of
// the coins' reader or of the noise is wrapped as it came.
var (
	// ErrSpec is a Spec that contradicts itself or leaves the allowed
	// ranges, or a Quantizer that no Spec.Check made.
	ErrSpec = errors.New("field: bad spec")

	// ErrArgument is a call that breaks its contract: a slice of the wrong
	// length, a weight outside [0, 1], an extra above its bound, a number of
	// clients outside the spec.
	ErrArgument = errors.New("field: bad argument")

	// ErrPacking is packed words that are not in canonical form: of the
	// wrong length, or with spare bits that are not zero.
	ErrPacking = errors.New("field: bad packed words")

	// ErrNoise is a noise share that is missing, not provided for, or
	// outside the spec's tail.
	ErrNoise = errors.New("field: bad noise")

	// ErrRange is a sum that no set of honest contributions can have: a
	// wrong key, a lost mask, a wrong number of clients, or a client that
	// did not keep to its bounds.
	ErrRange = errors.New("field: sum out of range")
)
