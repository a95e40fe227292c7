// Package mf is the matrix-factorisation family of mechanisms (DP-FTRL): noise that is
// correlated over the steps of a run, for fleets whose cohorts are not drawn at random. It
// claims nothing from sampling; its guarantee rests on how rarely one client takes part.
//
// The workload is A, the prefix sums of the rounds' sums: what a model is after each round.
// A = B C. Releasing g + C^-1 z, with z independent noise, gives prefix sums the noise B z
// and costs the privacy of the Gaussian mechanism on C g. C is a binary tree ([Tree]), a
// banded Toeplitz matrix ([BandMF]) or a Toeplitz matrix whose coefficients are a few
// geometric sequences ([BLT]).
//
//	mechanism, err := mf.Parameters{Family: mf.BLT, Buffers: 4, Criterion: mf.MaxError,
//		Participation: mf.Participation{Steps: 2000, Participations: 6, Separation: 314}}.Check()
//	run, err := mechanism.Run(mf.Noise{Dimension: d, Clip: d2, Sigma: z * d2})
//	event, err := run.Event(dp.ZeroOut)  // charged once, before step 0
//	generator, err := run.Generator(seed)
//	for each step: persist generator.Snapshot(), generator.Step(t, noise), run.Add(sums, noise)
//
// [Run.Add] leaves lattice steps: a value is the float64 of it, times 2^-[Run.Shift], in
// grid units.
//
// # Who may use it
//
// Central noise only: whoever holds a [Generator] can take the noise off. All else is for a
// coordinator that is trusted with exact sums. Amplification by sampling is not offered:
// neither the variant of BandMF that allows for it, nor any other. [Run.Event] takes no
// sampling.
//
// # Steps
//
// A step is one vector of noise. It is spent when a sum with this noise was released, or
// might have been. Noise is never added to two different sums: their difference would be
// exact. So
//
//   - an attempt of a round that failed before its sum was opened needs no step of its own;
//   - an attempt that may have been released has spent its step; a further attempt takes
//     the next;
//   - a round that releases nothing spends a step all the same, without using its noise.
//
// Then steps are never fewer than rounds, and clients kept apart by a number of rounds are
// kept apart by as many steps. Steps of a run must allow for the attempts. The cap counts
// all attempts that a client's contribution may have gone into.
//
// # What is proved
//
// Let a grid step be 2^p lattice steps. All vectors are integers in lattice steps. g_t is
// the sum of step t, a multiple of 2^p; o_t the release; w_t = o_t - g_t. Neighbours differ
// in the contributions x_t of one client, which are zero but for steps that fit the
// pattern, and of L2 norm at most D there (dp.ZeroOut). All coins but those of z are fixed
// and the same. Rosters, and the contributions of others, may depend on what was released,
// as may x.
//
// Toeplitz families. z_t is drawn from the discrete Gaussian of variance V per coordinate,
// and
//
//	w_t = z_t - round(sum_{j>=1} c_j w_(t-j)),    o_t = g_t + w_t.
//
// Fix the releases. They and g give all w, so the draw that gives o_t is z_t = o_t - g_t +
// round(sum c_j (o_(t-j) - g_(t-j))). Between neighbours it differs by an integer vector
//
//	s_t = -(x_t + sum_{j>=1} c_j x_(t-j)) + e_t = -(C x)_t + e_t,
//
// which depends on the past only: given the past, step t is the discrete Gaussian mechanism
// with shift s_t.
//
//   - BandMF: c_j is a multiple of 2^-10 and p >= 10, so c_j x_(t-j) is a whole number of
//     lattice steps and passes through round unchanged: e_t = 0.
//   - BLT: the sum is that of buffers s_i <- round(decay_i s_i) + w_t, kept with f fraction
//     bits; the parameters are exact fractions of 2^53. One rounding differs between
//     neighbours by less than its step. Those of the buffers add up to at most 2^-f sum_i
//     scale_i min(T, 1/(1-decay_i)), which Run refuses above 1/16; then there is one of a
//     lattice step. So |e_t| <= 17/16 in each coordinate, and e_t = 0 up to the first
//     participation, before which all is equal: ||e|| <= 17/16 sqrt(d (T-1)).
//
// Tree. Each node has a draw z_N; its noisy sum is that of its steps plus z_N, and becomes
// known at its last step, when it is shifted by the sum of the x in it. Nothing but noisy
// sums goes into a release: the estimate of a node is w (its noisy sum) + (1-w) (sum of the
// estimates of its halves), rounded, with w a multiple of 2^-16. Its true sum is in both
// parts with weights that add up to 1, so the estimate is the true sum plus the rounded
// mean of noises, and that is what is computed. e = 0.
//
// In all cases the squares of the shifts add up along every path of releases to at most
// Delta^2 = (D 2^p S + ||e||)^2, with S of [Mechanism.Sensitivity]. For order a > 1 let L_t
// be the likelihood ratio of step t given the past. Under the second of the two laws
// E[L_t^a | past] <= exp(a(a-1)||s_t||^2/(2V)) (Canonne, Kamath and Steinke 2020, theorem
// 14), so the product of L_t^a exp(-a(a-1)||s_t||^2/(2V)) is a supermartingale and its mean
// at most 1. Hence E[prod L_t^a] <= exp(a(a-1)Delta^2/(2V)): the run is Delta^2/(2V)-zCDP,
// as one release of sensitivity Delta (fully adaptive composition: Feldman and Zrnic 2021;
// Whitehouse and others 2023). Under dp.ReplaceOne the two clients may even have taken part
// in different steps that each fit the pattern; C x changes by at most 2 D S, and twice
// Delta covers it.
//
// Draws beyond 12 sigma are redrawn; see [Run.TailDelta].
//
// # Numbers
//
// Sensitivities are rounded up. Optimised coefficients may be a little worse than the
// optimum; figures and guarantees are those of the coefficients in use, not of the optimum.
// The same parameters give the same bits on one architecture; between architectures the
// last digits of BLT may differ, and a snapshot of one is then refused by the other.
//
// Nothing here reads a clock, starts a goroutine, logs or keeps state outside a Generator.
package mf
