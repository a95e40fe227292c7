// Package audit measures, in the simulator, how much a run gave away: a lower bound
// on epsilon to set beside the upper bound that was claimed. A lower bound above the
// claim proves the claim wrong; one below it proves nothing.
//
// # One run
//
// m canary clients take part. A fair coin decides for each whether it contributes a
// vector along a direction of its own or zero, so the coins are m experiments in one
// run (relation zero-out). [Canaries] deals the coins and directions and scores what
// was released. Whoever sees the release guesses some coins by the scores: 1 for the
// highest, 0 for the lowest, nothing for those between. If the run is private, few
// guesses more than half can be right, and two theorems say how many:
//
//   - [Count.EpsilonOneRun]: Steinke, Nasr and Jagielski, "Privacy Auditing with One
//     (1) Training Run" (NeurIPS 2023). It assumes nothing about the mechanism.
//   - [Count.EpsilonFDP]: Mahloujifar, Melis and Chaudhuri, "Auditing f-Differential
//     Privacy in One Run" (ICML 2025). It finds far more, and refutes a stronger
//     hypothesis: that the release is mu-GDP, which is what Gaussian noise on an
//     unsampled sum is. It says nothing about an (epsilon, delta) claim of a sampled
//     or otherwise different mechanism, whose trade-off curve has another shape.
//
// # What the confidence covers
//
// Both theorems are about a number of guesses that was fixed before the scores were
// seen. [Scores] tries a list of numbers and divides the significance by its length
// (a union bound), so the list must not depend on the scores either: [Grid] is such a
// list. [Scores.Corners] is the search of jax_privacy, for comparison with it; its
// list is chosen by the scores, and the confidence that it states is not proven.
//
// # Noise
//
// A canary audit has its power from the noise being far too small. [NoiseChiSquare]
// looks at the noise itself, which only a simulator can know, and sees a few per cent.
//
// All functions are pure. Values may be shared between goroutines, except Canaries
// while it scores.
package audit
