// Package tensor holds the declared shape of a model and its values, and moves
// models in and out as safetensors files.
//
// A [Schema] is an ordered list of named float32 tensors; a [Model] is a schema
// and one flat vector that lays the tensors out one after another in that
// order, each in row-major order. Everything else in the system (clipping,
// quantising, masking, aggregating) works on the flat vector and never needs to
// know where one tensor ends. Only float32 is supported: a file with any other
// type is refused, never converted.
//
// # Files
//
// [WriteSafetensors] writes one canonical form, so the same model always gives
// the same bytes and [Model.Digest] can be the SHA-256 of the file:
//
//	8 bytes   length of the header, little-endian
//	header    {"name":{"dtype":"F32","shape":[r,c],"data_offsets":[lo,hi]},...}
//	          keys in schema order, no white space, no __metadata__, offsets
//	          contiguous from 0; strings escape only ", \ and characters below
//	          U+0020 (\b \t \n \f \r by letter, others as \u00xx in lower case);
//	          then spaces up to a multiple of 8 bytes
//	data      float32, little-endian
//
// For names in byte order this is, byte for byte, what the Python package
// safetensors writes. [ReadSafetensors] accepts any well-formed file of float32
// tensors, canonical or not, and refuses everything else with one of the errors
// below. It takes bytes from anybody: it allocates no more than a small
// multiple of what has actually arrived.
//
// Format: https://github.com/huggingface/safetensors#format.
//
// The package does no I/O of its own and keeps no global state. A Schema may be
// shared freely between goroutines; a Model shares its values and is as safe
// as a slice is.
package tensor
