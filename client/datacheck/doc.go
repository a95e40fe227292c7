// Package datacheck looks at a device's own training data before they are used: are they
// what the app says they are, are they whole, and which of them does the model find
// hard to believe.
//
// An app states [Rules], has them checked once by [New], and hands in its examples as a
// [Table]:
//
//	checks, err := datacheck.New(datacheck.Rules{Features: 784, Classes: 10,
//		Schema: datacheck.ModeRefuse, Finite: datacheck.ModeRefuse, Labels: datacheck.ModeRepair,
//		Duplicates: datacheck.Duplicates{Mode: datacheck.ModeRepair},
//		Losses:     datacheck.Losses{Mode: datacheck.ModeRepair, K: 4, FromRound: 5}})
//	clean, report, err := checks.Check(table)
//	// and in each round, on what is left:
//	if checks.AsksLosses(task.Round.Round) {
//		kept, report, err := checks.CheckLosses(clean, loss)
//	}
//
// # Checks
//
// In this order; a check does not see the examples that one before it left out.
//
//	schema      the number of features, and those of a kind (whole, binary) that are not
//	finite      a feature that is NaN or infinite
//	range       a feature outside the range of its column
//	labels      a label that is no class
//	duplicates  an example with the features and the label of one before it; exact, or
//	            nearly, by rounding the features to a grid first
//	balance     the share of the largest class, the classes there are, the fewest of each
//	losses      an example whose loss under the model is above median + k MAD of all
//
// # Modes
//
// Each check has a mode of its own. ModeOff is the zero value. ModeReport counts and
// changes nothing. ModeRepair leaves out the examples that are found, or moves values to
// the nearest end of their range where a column says so; it makes up nothing: no value is
// filled in, no label corrected. ModeRefuse is an error of class Refused: nothing is to be
// trained.
// Balance cannot be repaired: no example is at fault, and which of them to drop is not for
// a check to choose.
//
// # What leaves the device
//
// Nothing. A [Report] holds counts, per check, class and feature, and no example's
// contents. It is made for the device's owner; no part of the SDK sends it anywhere, and an
// app should not either: counts of few examples speak of people. What others can notice is
// what was trained: an update of fewer examples, or none.
//
// # What it is good for
//
// These checks help an honest device with bad data. They do not bind a dishonest one,
// which can leave them out; that is for robust rules at the coordinator. The loss check
// trusts the model that it is given: in early rounds, or under a poisoned model, the
// examples with high losses may be the right ones, and rare but right examples are hit
// most. The counts per class show that. Whoever chooses the model influences which
// examples are left out, and does not learn which.
//
// The package needs the standard library and package fault only; it has no clock, no
// coins and does no I/O.
package datacheck
