// Package layers holds the test of the shape of the code: which package may
// import which. It has no code of its own to import.
//
// The rules stand as data in rules_test.go, in the words of ARCHITECTURE.md; the
// checker is in check_test.go and is itself tested on made-up graphs. The rules
// hold for what a package needs to be built, transitively where they say so.
// Test files are free to import what they like, except where .golangci.yml says
// otherwise.
//
// A new package fails the test until it has a place in the order. That is meant:
// where it belongs is the first thing to decide about it.
package layers
