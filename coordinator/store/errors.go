package store

import (
	"errors"
	"fmt"
)

// Errors that callers tell apart with errors.Is. The error of a call wraps one of them, or an error of the operating system.
var (
	// ErrNotFound: there is no such segment, blob or part.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the head has another revision, or the part another declared size.
	ErrConflict = errors.New("conflict")
	// ErrName: a segment name or spool id breaks the rules of CheckName.
	ErrName = errors.New("invalid name")
	// ErrSize: a value is longer than its limit.
	ErrSize = errors.New("size out of range")
	// ErrFull: the spool has no room until parts are deleted.
	ErrFull = errors.New("spool full")
	// ErrCorrupt: stored bytes are not those that were acknowledged. Nothing repairs it; restore the medium or give the object up.
	ErrCorrupt = errors.New("corrupt")
	// ErrVersion: stored bytes have a format that this version does not read.
	ErrVersion = errors.New("unknown format version")
	// ErrPoisoned: an earlier failure left a state that only reopening the store (or deleting the object) resolves.
	ErrPoisoned = errors.New("state unknown after a failure")
	// ErrLocked: another store is open over the same medium.
	ErrLocked = errors.New("in use by another process")
	// ErrClosed: the store was closed, or the writer is finished.
	ErrClosed = errors.New("closed")
)

// OffsetError is returned by Spool.Append when the chunk does not begin where the part ends.
type OffsetError struct {
	ID      string // the part
	Given   int64  // the offset of the chunk
	Present int64  // where the part ends, and the next chunk has to begin
}

// Error says where to go on.
func (e *OffsetError) Error() string {
	return fmt.Sprintf("store: part %q: chunk at offset %d refused; go on at %d", e.ID, e.Given, e.Present)
}
