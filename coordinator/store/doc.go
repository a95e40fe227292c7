// Package store says what the coordinator needs of its disk.
//
// Four small contracts, each with its own promise, because each part of a round asks for something else:
//
//   - [Journal]: the records of one round attempt, in order. A record is durable before anything that follows from it is sent.
//   - [Head]: one small value under compare-and-swap: which round, which model, which ledger. The single source of truth.
//   - [Blobs]: large immutable values named by their SHA-256: models, accumulators, checkpoints.
//   - [Spool]: uploads that are still arriving, resumable, within a total bound of bytes.
//
// A commit is made in this order, so that a crash at any instant leaves a state to go on from: stage the large bytes
// (Blobs, Spool.Sync), append the record that names them (Journal), swap the head, and only then delete what is no longer named.
//
// [Store] bundles the four. Package mem keeps them in memory, for the simulator, and can lose what a power cut would lose;
// package file keeps them in a directory; package storetest holds the one test suite that every implementation passes.
//
// # Words
//
// Durable: still there, byte for byte, after the process is killed or the machine loses power, on hardware that does not lie about a
// completed flush. Acknowledged: the call returned nil. Reopened: closed (or the process died) and opened again.
//
// A call that returned an error has not been acknowledged; what it was to write may nevertheless be there, in whole, after the store is
// reopened. Where the error leaves a state that cannot be known without reopening, the object refuses further use with [ErrPoisoned].
//
// # Trust
//
// The store lies within the coordinator. Checksums find accidents of the hardware, not malice: whoever can write to the store is the
// coordinator, in every sense of the threat model. Nothing is encrypted at rest, and nothing that must stay secret from the operator
// may be put here; deleting a value does not erase its traces from the medium.
package store
