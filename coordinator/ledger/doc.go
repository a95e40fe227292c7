// Package ledger keeps the privacy budget of one population: what was stated at its
// beginning, and each use of it, in an append-only chain of records that several jobs
// may share.
//
// A [Book] is opened over a [Log], which store.Journal satisfies. The life of an attempt
// in it is short:
//
//	Reserve   before clients are asked for shares or keys; durable when it returns. It
//	          charges the worst case, whatever becomes of the attempt: an empty cohort
//	          costs as much as a full one.
//	Commit    when the sum is released: the charge may become lower, never higher. The
//	          same bytes may be released again for nothing, other bytes never.
//	Void      only if the attempt ended before anything could be unmasked.
//
// A reservation that was neither committed nor voided stays charged in full, after a
// crash too. So what is on record is never below what was released.
//
// # What is enforced
//
// Two observers have a budget each (package dp): those who see released models, and
// those who see rosters too. For each, the Renyi divergences of all charges at one order,
// fixed at the beginning, must stay within what (epsilon, delta - slack) allows: a
// filter, valid though noise and cohorts are chosen as runs go (Feldman and Zrnic
// 2021). The slack is a part of delta that charges draw on by plain addition, for events
// of small probability such as a bucket with too few honest clients.
//
// Records hold events, as facts, never epsilons: what they cost is computed anew from
// them, grouped by equality, counted, and added in exact arithmetic, so that the order
// of additions means nothing and no charge is too small to count. Beside each charge
// stands what it was priced at, for one purpose: a later accountant under which the
// same facts cost less is refused until somebody has looked.
//
// # What is noticed
//
// Each record holds its number, the epoch of its writer and the hash of the record
// before. Each opening begins a new epoch, and a Book that another one has overtaken
// writes nothing more. [Book.Head] is published with each round and model, and
// [Book.NotOlder] refuses a ledger that was replaced by an earlier copy of itself.
//
// The package is pure: it reads no clock and no disk but through Log.
package ledger

import "strings"

// A Log keeps append-only segments of records. store.Journal is one.
type Log interface {
	Reader
	// Append adds records at the end of a segment, all of them or none, durable when it
	// returns nil. After an error their state is unknown.
	Append(segment string, records ...[]byte) error
	// Segments lists the names of all segments that hold records, damaged ones too.
	Segments() ([]string, error)
}

// A Reader shows what a Log holds.
type Reader interface {
	// Read calls f with each record of a segment in order and stops at its first error.
	Read(segment string, f func(record []byte) error) error
}

const segmentPrefix = "ledger/"

// Segment is the segment in which the ledger of a population is kept.
func Segment(population string) string { return segmentPrefix + population }

// Population returns the population whose ledger a segment is, or false for other segments.
func Population(segment string) (string, bool) { return strings.CutPrefix(segment, segmentPrefix) }
