// Package ddp is distributed differential privacy inside one secure sum: all of it
// that is neither a sampler (package dp/noise) nor an accountant over rounds
// (package dp/account).
//
// Each client adds a share of integer noise before its contribution is encrypted;
// only the sum of all shares protects it. After Kairouz, Liu and Steinke, "The
// Distributed Discrete Gaussian Mechanism for Federated Learning with Secure
// Aggregation" (ICML 2021), and Agarwal, Kairouz and Liu, "The Skellam Mechanism
// for Differentially Private Federated Learning" (NeurIPS 2021), below KLS and AKL.
//
// # What a client does
//
// [Parameters] is an unchecked literal; [Parameters.Check] makes a [Mechanism] of
// it, which is immutable and the same for all parties of a round.
//
//  1. [Mechanism.Draw], before it trains: all noise of its contribution, once.
//  2. [Mechanism.Prepare]: a non-finite update becomes zero, any other is weighted
//     and clipped to L2 norm C, padded, and rotated by a public [Rotation].
//  3. [Mechanism.Encode]: scaling by s, stochastic rounding to integers, clamping
//     to [-R, R], and the test ||x||^2 <= floor(D2^2) on those integers. Rounding is
//     repeated with fresh coins until the test passes, at most [RoundingAttempts]
//     times; then the vector is zero.
//  4. Still in Encode: the client's noise share is added to each coordinate and to
//     each extra, and the offset of package field.
//
// [Mechanism.Decode] takes the sum back to floats. Accountants take the release as one
// [dp.Event] from [Mechanism.Event]; a device charges itself [Mechanism.ZCDP].
//
// # Three modes
//
// Distributed: Survivors - Corrupt are the honest shares of the smallest sum that can be
// opened. Local: Survivors is 1 and Corrupt 0, so that each client's share alone
// suffices. Central, for those who trust their coordinator with exact sums: clients add
// nothing, and Decode adds one exact draw of the whole noise to the integers of the sum.
// No mode adds a float to a float, where rounding would show what noise was to hide.
//
// # What privacy rests on
//
// On the integers alone. Clipping, rotation and rounding are there for accuracy:
// whatever a float operation does, a vector that passes the test has norm at most
// D2, and [Sensitivity] is computed from the same number. The noise of the sum is
// reckoned for the fewest survivors less the corrupt, who can take their own shares
// off ([Shares]). Samplers are exact (package dp/noise), and a [Draw] serves once.
// Sensitivities are those of zero-out: a client's contribution against the zero vector
// (for an extra, against the centre of its interval). Replacing a contribution by
// another doubles them: [Sensitivity.ReplaceOne].
//
// Every number that a privacy statement is made from is rounded to the safe side:
// sensitivities and epsilons up, noise and multipliers down.
//
// The number of rounding attempts depends on the update and shows in the time that
// Encode takes. An update of norm at most C passes each attempt with probability at
// least 1 - e^-1/2, in practice nearly 1; whoever is timed from outside should send
// at an instant that does not depend on it.
//
// # Units
//
// Lower-case quantities of the plan (C, Sigma) are in units of the update. After
// multiplication by the scale s they are in grid units: one is one integer step.
// Sensitivities, share widths and modulus rules are in grid units.
//
// Nothing here reads a clock, starts a goroutine, logs or keeps state. Errors never
// contain a value of an update, an extra or a noise share.
package ddp
