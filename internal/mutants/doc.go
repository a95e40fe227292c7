// Command mutants shows that each guard of the product is held by a test.
//
// A mutant is a committed patch under testdata/mutants that takes one guard out
// of the product. For each of them the command
//
//  1. applies the patch to a copy of the files that it touches; a patch that no
//     longer applies is an error, never skipped;
//  2. runs the test that the patch names, with the patched copies laid over the
//     tree by the -overlay flag of go test, so the working tree is not touched;
//  3. requires that test to fail. A test that still passes means that the guard
//     or the test is decoration.
//
// The same test must also pass without the patch, else its failure says nothing.
// A patch that does not compile and a name that matches no test are errors of the
// mutant, not kills.
//
// Use, from the root of the module:
//
//	go run ./internal/mutants             # all
//	go run ./internal/mutants pairwise    # those with "pairwise" in the file name
//
// The exit code is 0 when each mutant was killed, and 1 otherwise.
// The format of a patch is described in testdata/mutants/README.md.
package main
