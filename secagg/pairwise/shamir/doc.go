// Package shamir shares a 256-bit secret among holders so that any threshold
// of them can rebuild it and fewer learn nothing about it.
//
// It is Shamir's scheme (How to share a secret, CACM 22(11), 1979) over the
// prime field of p = 2^256 - 189, the largest prime below 2^256. A secret s is
// the constant term of a polynomial f of degree threshold-1 whose other
// coefficients are uniform below p; the holder at the public, non-zero point x
// gets f(x). Threshold points determine f and so s = f(0). With fewer points
// every s is consistent with exactly equally many polynomials, so the shares
// carry no information about s, whatever the holders can compute.
//
// # What is secret and what is not
//
// Points, thresholds and the number of shares are public; the package branches
// on them. Scalars are secret: arithmetic on them takes the same instructions
// whatever their value (64-bit limbs, multiply and add with carry, conditional
// subtraction without a branch). This assumes that the processor's 64-bit
// multiplication takes constant time. Coefficients are erased before Split
// returns; the caller erases the scalars it holds with Scalar.Erase. A Scalar
// never prints its value through package fmt.
//
// # What the package does not do
//
// It does not detect a wrong share: a changed value gives another, equally
// plausible secret. Whoever rebuilds a secret must hold a commitment to it (the
// hash of b, the public key of z) and compare.
//
// # Use
//
// Split makes shares. Recover rebuilds one secret. When many secrets are rebuilt
// from the same holders, a Basis does the work that depends only on the points
// once: one field inversion for all points together (Montgomery's trick), then
// one multiplication a share.
//
// All functions are pure: randomness comes from the reader passed in. They may
// be called concurrently on different data; a Basis may be shared.
package shamir
