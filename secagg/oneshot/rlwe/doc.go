// Package rlwe adds long vectors of integers that nobody can read one by one. It
// is the long layer of scheme oneshot: each client encrypts its vector under a
// secret of its own, the coordinator adds the ciphertexts, and whoever has the sum
// of the secrets, a few thousand small integers, opens the sum of the vectors. How
// that sum of secrets comes about is the key layer's business.
//
// A client draws a secret ([Parameters.NewSecret]) and seals its vector chunk by
// chunk ([Sealer]). The coordinator checks and adds chunks ([Sum]) and, given the
// sum of the secrets of exactly those members, opens them ([Opener]). Nothing here
// reads a clock, starts a goroutine or keeps more than a chunk beside the vector.
//
// # Arithmetic
//
// Ring elements are polynomials over Z_Q modulo X^N + 1. Chunk j of a client is
//
//	c_j = a_j*s + e_j + 2^kappa*m_j
//
// with a_j public and common to all, s the secret, e_j fresh errors and m_j the
// words. Sums of such chunks have the same form, which is all that is needed.
//
//	set  N     Q                                    residues of a chunk
//	M    4096  0x1ffffffffb4001 * 0x1ffffffffa4001  2 limbs of N
//	S    2048  0x1ffffffffe1001                     1 limb of N
//
// The primes are the largest below 2^53 that are 1 mod 2N. kappa is the smallest
// integer, at least 19, with 2^(kappa-1) > 51*Clients: 19 up to 5,140 clients, 20
// up to 10,280, 23 up to 65,536. A coefficient of m_j holds the most slots with
// slots*WordBits + kappa + 1 <= 106 (M) or 53 (S): word i of a chunk has the bits
// from WordBits*(i mod slots) of coefficient i/slots, rounded down. Coefficients
// without words are zero. The caller sees to it that no word of a sum reaches
// 2^WordBits; it would carry into the next one.
//
// If a plan names no set, the one with fewer bytes for the whole vector is taken,
// M if they are equal.
//
// # On the wire
//
// A chunk is its limbs one after the other, a limb its N residues, each 53 bits, as
// one little-endian bit stream: bit k of residue i is bit (53i+k) mod 8, counted
// from the least significant, of byte (53i+k)/8. 8 divides N, so limbs and chunks
// end with a byte: 54,272 bytes (M) or 13,568 (S) exactly, and no spare bits. A
// residue that is not below its prime is refused. A vector is its chunks, a
// snapshot of a sum likewise; each has one form only.
//
// Residues are values of the number-theoretic transform: residue i of a limb is the
// polynomial at psi^(2r+1), where r is i with its log2(N) binary digits reversed,
// and psi is this 2N-th root of unity:
//
//	M, limb 0  0x00c6de3d6e8536 = 3^((q-1)/2N)
//	M, limb 1  0x1eb4f20a488574 = 31^((q-1)/2N)
//	S          0x16b89b6fa92c12 = 3^((q-1)/2N)
//
// Order and roots are those of lattigo v5, whose transforms are the reference of the
// tests. Of lattigo this package uses modular products and their constants; the
// transforms are its own (transform.go says why), and peer bytes and coins never
// reach a decoder or a sampler of lattigo.
//
// # The common polynomials
//
// key = HKDF-SHA256 (RFC 5869) of the 32-byte context, without salt, with info
// "choir oneshot a/1", 32 bytes. Limb l of a_j is read from the AES-256-CTR
// keystream of that key whose first counter block is j and l as big-endian 32-bit
// integers, then eight zero bytes; the block is incremented as one big-endian
// integer. Of each 64-bit little-endian word the low 53 bits are taken; those not
// below the prime are skipped; the first N that remain are residues 0 to N-1 as
// they are, in the transform's domain.
//
// The context must name the round, the attempt, the members and all parameters: it
// is what makes a_j common to those who mean the same sum and fresh for it. Chunks
// of two contexts do not add up to anything that opens.
//
// # Distributions
//
// Secrets are discrete Gaussian, P(x) proportional to e^(-x^2/(2 sigma^2)), of sigma
// 4.5, cut at 36; errors of sigma 4.5*sqrt(2) = 6.36396..., not rounded, cut at 51.
// N samples take N/8 + 8N bytes of coins in one read: sign bits first, sample i in
// bit i mod 8 of byte i/8, set for negative; then for each sample a 64-bit
// little-endian word u, and the magnitude is the number of k with u < T_k, where
// T_k = 2^64 P(|x| > k) rounded to the nearest integer.
//
// Each word is compared with the whole table by additions with carry. Sampling,
// packing, transforming and encoding neither branch on secrets, errors or words nor
// index memory by them; only words of the public a_j are rejected. What the Go
// compiler and the processor make of it is not verified.
//
// How far the samples are from the laws: a test recomputes the tables and these
// bounds with 400-bit numbers. Let P be the uncut law, C the cut one and T the law of
// the table. T against C has a Renyi divergence of order 100 below 1 + 2^-76 a sample,
// C against P one of infinite order below 1 + 2^-50. Over 2^40 samples, those of
// 65,536 clients with vectors of 2^25 words, they multiply to less than 1 + 2^-36 and
// 1 + 2^-9. By the probability preservation property (Bai, Langlois, Lepoint, Stehle,
// Steinfeld, "Improved security proofs in lattice-based cryptography", 2015) what
// happens with probability p under T does so with at least p^(100/99)/(1 + 2^-8)
// under P. That bounds attacks which find something. For attacks which only
// distinguish, the statistical distances, below 2^-60 and 2^-50 a sample, add up: to
// less than 2^-29 over the 2^20 samples of a client with 3 million words.
//
// # Opening
//
// With C_j the sum of n chunks and S that of their secrets, C_j - a_j*S is
// E + 2^kappa*M, E the sum of n errors, |E| <= 51n < 2^(kappa-1), and M < 2^(slots*
// WordBits) the packed sums. Adding 2^(kappa-1) makes it non-negative and below
// 2^(kappa + slots*WordBits) <= 2^105 (or 2^52) < Q, so its residues determine it and
// its low kappa bits are E + 2^(kappa-1).
//
// [NewOpener] refuses an S with |S| > 36n, [Opener.Open] any coefficient with
// |E| > 51n or M >= 2^(slots*WordBits). A uniform element of Z_Q passes the second of
// these in less than half of its cases and has N coefficients: a wrong S, a chunk of
// another context, a missing or changed residue are found with all but 2^-N of
// certainty. What is not found: a client that adds multiples of 2^kappa has merely
// chosen other words. Nor do the unused slots at the vector's end have to be zero; a
// client that fills them harms nobody, and they are not looked at.
//
// # Security
//
// The coordinator learns S, and from the opened sums all E_j. With two honest members
// in the sum the law of one's secret given the sum of both is a discrete Gaussian of
// width 4.5/sqrt(2) = 3.18 around half of it, and that of its errors one of width 4.5:
// what is left is the RLWE problem of secret width 3.18 and error width 4.5, known as
// Hint-RLWE (Kim, Lee, Seo, Song, CRYPTO 2023) and used so in ACORN (USENIX Security
// 2023) and Willow (CRYPTO 2025). Hence no flooding noise, and hence two conditions
// that this package cannot see and the key layer must enforce:
//
//   - every sum whose secrets are opened has at least two honest members: the sum of
//     one client is its vector in clear;
//   - a secret serves one vector of one context, and each chunk of it is sealed once:
//     the difference of two encryptions of a chunk under one secret shows the
//     difference of the words. A client resumes with the finished ciphertext, never
//     by sealing again.
//
// The level is read from tables, not from an estimator run for these parameters. The
// Homomorphic Encryption Standard (2018) allows 54 bits of modulus at N = 2048 and 109
// at N = 4096 for 128 bits against classical attacks, with ternary secrets and error
// width 3.19; the guidelines of 2024 (eprint 2024/463) 53 and 106. The sets have 53 and
// 106. Secrets of width 3.18 are wider than ternary ones (0.82), which does not help
// attacks.
//
// # Errors, concurrency, erasure
//
// Errors are of package fault and hold no secret. [Parameters] and the tables behind
// them are immutable and shared. A [Sealer] and an [Opener] serve one goroutine; a
// [Sum] takes calls on different chunks at once. Errors, words and coins are erased
// after each chunk, keys by Erase; copies that the compiler keeps in registers or on
// the stack are beyond reach, as is the state of the caller's coins.
package rlwe
