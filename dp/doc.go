// Package dp is the vocabulary of differential privacy: who is protected (Unit),
// what neighbouring data sets are (Relation), how a cohort is drawn (Sampling), one
// use of a mechanism (Event) and what is claimed in the end (Report).
//
// A noise multiplier is never written down. An Event holds the standard deviation
// of the noise and the bound of one contribution in the same units, and derives the
// multiplier from these and the relation: the same noise protects half as well when
// a contribution may be replaced as when it may be left out. Events of different
// relations have no common meaning and are not composed.
//
// Nothing here has a default: the zero value of every enumeration is refused.
// Values are immutable once made and safe for concurrent use. Accounting is in
// dp/account, samplers in dp/noise.
package dp
