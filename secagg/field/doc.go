// Package field turns a model update, a vector of floats, into a vector of
// ring elements that a secure-aggregation scheme can add, and turns the sum of
// such vectors back into floats.
//
// # The ring
//
// A ring vector is a []uint32 whose words stand for elements of Z_{2^w}, with
// 8 <= w <= 32. Because 2^w divides 2^32, words are added as plain uint32 and
// the reduction mod 2^w waits until the words are packed or decoded; bits above
// the w-th carry no meaning in between. [Add] and [Sub] work on ring vectors,
// [Pack], [Unpack] and [AddPacked] are their form on the wire, and [ChunkAt]
// cuts a long vector into pieces that can travel, and be added, on their own.
//
// # The quantiser
//
// A [Spec] is an unchecked literal. [Spec.Check] resolves its defaults and
// refuses its contradictions, all of them at once, and gives a [Quantizer],
// which is immutable. The overflow budget is part of that check: a sum over as
// many clients as the spec allows can neither wrap nor carry, whatever the
// clients' updates are, provided that each client stays within its bounds.
//
// [Quantizer.Encode] performs, on the client:
//
//  1. a non-finite value anywhere makes the update a zero vector, counted
//     nowhere; otherwise weight*update is clipped to L2 norm ClipNorm;
//  2. each coordinate is scaled, rounded stochastically to an integer and
//     clamped to [-Range, Range];
//  3. integer noise is added, if the spec allows for any;
//  4. 2^(Bits-1) is added, which makes the integer non-negative and at most
//     Bits bits wide.
//
// Rotation, when distributed differential privacy asks for it, happens before
// Encode, and the vector is then already padded. Rounding here bounds every
// single integer; it does not bound the norm of the integer vector, which the
// sensitivity of distributed differential privacy needs. That test belongs to
// the package that calibrates the noise.
//
// [Quantizer.Decode] inverts this on a sum, on the coordinator.
//
// # Layout
//
// The words of a vector are the main coordinates, then the extras: small
// non-negative integers with public bounds, such as a weight or a count, one
// word each, summed but neither scaled nor noised here. See [Layout].
//
// # Coins
//
// Randomness is always an argument. [Derive] and [Stream] make independent
// labelled streams of coins from one 32-byte root, so that a client can draw
// rounding, noise and keys from streams that do not disturb each other.
//
// # Reproducibility
//
// The same inputs and coins give the same bytes on every architecture: all
// float arithmetic is IEEE 754 double precision in a fixed order, and no
// product is fused with an addition.
//
// Nothing here reads a clock, starts a goroutine, logs or keeps state. Errors
// never contain a value of the update, of an extra, of a weight or of noise.
package field
