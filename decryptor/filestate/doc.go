// Package filestate keeps a committee member's state in a directory of its own. It
// implements decryptor.State.
//
// What a call reports as done is on the disk: a file is flushed before it gets its
// name, and the directory after. A call that fails has either happened or not, never
// half. One process at a time may hold the directory; a lock that dies with its
// process says so.
//
// Records are sealed with AES-256-GCM, each bound to its name, under a key of 32 bytes
// that the caller has; Key derives it from the member's signing key, so that the
// directory can be read by nobody who cannot also sign. A stolen or copied directory
// tells names of jobs, sizes and times. What is replaced is unlinked; a flash disk may
// keep the old blocks for a while, sealed.
//
// A missing directory is an error, and not made anew: Create makes one, once, when the
// member is new. A member that forgot what it promised could answer an attempt twice.
// Nothing here protects against one who can write to the directory and puts all of it
// back to an earlier state.
//
// Layout: lock, check, records/NAME. The directory and its files can be read by their
// owner only. Unix systems only.
package filestate
