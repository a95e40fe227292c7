// Package matrix compares defences: every one of a list against every attack of another,
// for several ways of dealing out the data, shares of Byzantine clients and seeds. Each
// combination is a cell, and each cell one deterministic simulation (package sim) by a
// single worker; several cells run at a time.
//
// A matrix is written in strict YAML:
//
//	schema: choir.matrix/1
//	name: softmax under attack
//	plan: plan.yaml                # relative to the matrix; or a plan as a section
//	data: embedded                 # or full, or a directory with IDX files
//	clients: 25
//	fidelity: full                 # or fast; default full
//	defences:                      # each replaces the plan's rule, f, pre, parameters and compat
//	  - {name: krum, rule: krum, f: 5}
//	  - {name: default, rule: trimmed-mean, f: byzantine, pre: [nnm], worker_momentum: 0.9}
//	attacks: [none, "sign-flip:scale=10"]
//	partitions: [iid, "gamma:0.33", "dirichlet:1"]
//	byzantine: [0.2]               # shares of all clients
//	seeds: [1, 2, 3]
//	last: 5                        # evaluations averaged at the end of a run; default 5
//
// A defence may also set worker_momentum, noise_multiplier, view and buckets: {size,
// minimum}; what it does not name stays as in the plan. f: byzantine stands for as many as attack in the cell,
// and no more than its cohort has.
//
// New checks all cells before the first one runs. Run appends what came of each cell as a
// line to results.jsonl, with the digest of everything that the cell depends on; a cell
// whose digest is there is not run again. So a run that was interrupted goes on where it
// stopped, and a changed matrix runs what changed. The digest does not cover the program:
// a line names the build that wrote it, and the report all builds that had a part.
//
// The accuracy of a cell is the mean over the last evaluations of its run. A cell that was
// refused, or whose run failed, has a reason in place of a number; so has every mean and
// every worst case that it would have been part of.
package matrix
