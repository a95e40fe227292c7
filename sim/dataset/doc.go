// Package dataset holds labelled data in memory for the simulator, reads them
// from IDX files and deals them out to clients.
//
// A [Dataset] is a table of examples: each a row of float32 features in [0, 1]
// and a class label. [Dataset.Subset] gives a view that shares the features, so
// a hundred or ten thousand clients hold lists of row numbers and nothing else.
//
// # Where data come from
//
// [FashionSubset] is built into the binary: 6,000 training and 1,000 test
// images of Fashion-MNIST, balanced over the ten classes; fashion/PROVENANCE.md
// says where they come from and how the file was made. [LoadIDX] reads the full
// set, or any set in the same form, from a folder with the four IDX files;
// [DefaultDirs] lists where a distribution package puts them.
//
// # How data are dealt out
//
// [IID], [Dirichlet], [Shards] and [GammaSimilarity] deal the examples out to
// clients, from all alike to each with its own classes. They are pure functions
// of the labels, the number of clients and a seed, and share three promises:
// every example goes to exactly one client, no client is left empty, and the
// same arguments give the same result.
//
// A Dataset is never written to after it is made and may be shared between
// goroutines.
package dataset
