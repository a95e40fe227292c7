// Package noise draws the integer noise of differential privacy, exactly: the
// discrete Gaussian, the discrete Laplace and the Skellam distribution, from an
// [io.Reader] of coins. No sampling decision uses floating point; there is none
// in the package.
//
// # Exactness
//
// A sampler has the distribution that its comment states and not one close to
// it, provided the coins are independent uniform bits. Two ways lead there.
//
// Rejection ([Rejection], [Laplace]) is that of Canonne, Kamath and Steinke,
// "The Discrete Gaussian for Differential Privacy" (2020, arXiv:2004.00010):
// everything is reduced to coins that are true with probability a/b, and such a
// coin compares the digits of a uniform real, in base 2^64, with those of a/b.
// The first digit decides but for a probability of 2^-64.
//
// A table ([Gaussian], [Skellam]) inverts the cumulative distribution. It holds
// 127 bits of every boundary, computed in integer interval arithmetic of 256 bits
// and more with outward rounding, and kept only if both ends of the interval agree on
// them, so they are the digits of the true number. Sampling compares the digits
// of a uniform real with them, computes further digits on a tie, and so never
// has to round. Large sigmas are split into a coarse part by table and a fine
// part by rejection; see [Gaussian].
//
// # Tails
//
// A share of noise must fit its slot of a secure sum, so [Gaussian], [Rejection] and
// [Skellam] redraw what is beyond 12 standard deviations: the law is the named
// one under that condition. TailBits bounds the probability of a redraw, which
// times clients times coordinates is added to delta. Bound is the largest
// magnitude. [Laplace] has no cut.
//
// # Coins
//
// Coins are consumed as 64-bit little-endian words, in order, and not a byte
// more than is used, so that the same stream gives the same noise whatever the
// number of samples drawn at a time, and serves the next sampler
// afterwards. Table samplers know their need and read by blocks; the rejection
// samplers read word by word, and gain from a bufio.Reader around the coins.
// Coins that fail, end, or are stuck are an [ErrCoins], never a hang, a short result or a
// repeated sample. Coins come from a cryptographic stream that was never used
// before; each sampler's constructor is free of secrets.
//
// # Timing
//
// The time of a rejection depends on the sample, that of a table a little (which
// part of it is cached). Draw before the data arrive, into a [Pool], and no
// release tells the time of its noise (Jin and others, 2022).
package noise
