package store

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// Limits of the contracts, the same for every implementation. Larger values are refused with [ErrSize] before anything is written,
// and sizes read from a disk are compared with them before memory is allocated.
const (
	// MaxAppend bounds one call of Journal.Append: the lengths of its records, in bytes, plus RecordOverhead for each.
	MaxAppend = 16 << 20
	// RecordOverhead is what one record counts beyond its own length.
	RecordOverhead = 4
	// MaxHead is the length in bytes of the longest head value.
	MaxHead = 64 << 10
	// MaxName is the length in bytes of the longest segment name or spool id.
	MaxName = 120
)

// Store bundles the four contracts over one medium. The fields are set by the implementation and not changed afterwards.
// At most one Store is open over one medium at any time; a second open is refused with [ErrLocked].
// Close waits for running calls, makes nothing durable that was not, and every later call returns [ErrClosed].
type Store struct {
	Journal Journal
	Head    Head
	Blobs   Blobs
	Spool   Spool
	io.Closer
}

// Journal keeps append-only lists of records, one list for each named segment. A segment is one round attempt ("job/round/attempt");
// names follow [CheckName]. Records are opaque and may be empty. All methods are safe for concurrent use, also from within Read.
type Journal interface {
	// Append adds the records, in order, at the end of the segment, and creates the segment if there is none. When it returns nil they
	// are durable. After a crash either all records of one call are there or none is. No records: nothing happens. The slices are not
	// kept. Errors: [ErrName], [ErrSize] (see MaxAppend), both without effect.
	//
	// After any other error the state of these records is unknown (a failed flush leaves what was written in the cache, on the disk, or
	// nowhere), so the segment is poisoned: Append and Read return [ErrPoisoned] until the store is reopened, which decides whether the
	// records are there, or the segment is dropped. Other segments are not affected.
	Append(segment string, records ...[]byte) error

	// Read calls fn for each record of the segment, in order of Append, as of the start of the call. It stops at the first error of fn
	// and returns it. The record is fn's until fn returns, to look at and not to change. What Read shows is durable.
	//
	// An append that was cut short by a crash is removed when the store is opened and never shown. Damage with a sound append after it
	// is [ErrCorrupt], a segment of another format [ErrVersion]; fn may then have seen the records before it. Damage that reaches to
	// the end (by a failing medium, not by a crash) cannot be told from a cut: where it would be unsafe to lose the last records,
	// something else has to name them (see Head). An unknown segment is [ErrNotFound].
	Read(segment string, fn func(record []byte) error) error

	// Segments lists the names of all segments that hold records, damaged ones too, in ascending order.
	Segments() ([]string, error)

	// Drop removes a segment with its records, durable when it returns nil. Dropping an unknown segment does nothing. After an error
	// the segment is poisoned; Drop may be called again.
	Drop(segment string) error
}

// Head keeps one small value, replaced by compare-and-swap. All methods are safe for concurrent use.
type Head interface {
	// Load returns a copy of the value and its revision: nil and 0 before the first Swap.
	Load() (value []byte, revision uint64, err error)

	// Swap replaces the value if the present revision is old; the revision is then old+1. When it returns nil the new value is durable;
	// after a crash the head is the old or the new value, never a mixture. The slice is not kept.
	// Errors without effect: [ErrConflict] if the revision is another one, [ErrSize] above MaxHead, and any error that does not wrap
	// [ErrPoisoned]: the swap may be tried again. An error that wraps ErrPoisoned means that the new value may be there; Load
	// and Swap then refuse until the store is reopened.
	Swap(old uint64, value []byte) error
}

// Digest names a blob: the SHA-256 of its bytes.
type Digest [sha256.Size]byte

// String returns the digest in lower-case hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Blobs keeps immutable values under their digests. All methods are safe for concurrent use.
//
// The digest is computed when a blob is written. Readers return what the medium returns: who depends on a blob that this process has
// not written itself calls [Verify] or [ReadBlob] first.
type Blobs interface {
	// Create starts a new blob. Nothing of it can be seen before Commit.
	Create() (BlobWriter, error)
	// Open returns a reader of the blob, which may outlive Delete of the same blob. An unknown blob is [ErrNotFound].
	Open(Digest) (Reader, error)
	// Stat returns the length of the blob in bytes. An unknown blob is [ErrNotFound].
	Stat(Digest) (size int64, err error)
	// Delete removes the blob, durable when it returns nil. Deleting an unknown blob does nothing. After an error the blob may be
	// there or not.
	Delete(Digest) error
	// List returns the digests of all blobs in ascending order.
	List() ([]Digest, error)
}

// BlobWriter writes one blob, by one goroutine. Exactly one of Commit and Discard ends it, and it holds resources until then; a blob
// that was not committed is gone when the store is reopened.
type BlobWriter interface {
	// Write adds bytes. After an error the blob is given up, as by Discard.
	io.Writer
	// Commit makes the blob durable and visible, and returns its digest and length. A blob that exists already is made durable
	// again. After an error the blob may be there, whole, or not; the writer is finished either way.
	Commit() (digest Digest, size int64, err error)
	// Discard gives the blob up. After Commit or Discard it does nothing, so that it can be deferred.
	Discard() error
}

// Reader reads a blob or a spooled part from its beginning, by one goroutine. Size is its whole length in bytes.
type Reader interface {
	io.ReadSeekCloser
	Size() int64
}

// Spool keeps uploads that arrive in chunks and may be interrupted at any byte. An upload is a part with an id (see [CheckName]) and
// a size declared at its beginning; the declared sizes of all parts together never exceed the bound given when the store was made.
// All methods are safe for concurrent use; calls for one id happen one after another.
//
// Bytes are durable only after Sync. When the store is reopened, a part is there with at least the bytes that were synced and at most
// those that were given to Append. Bytes beyond the last Sync survive the death of the process; a power cut may lose some of them, and
// on some file systems replace them by zeros, so an upload must be checked as a whole against its digest before it is used.
//
// A part that cannot be removed after a failure wraps [ErrPoisoned] in the error of every method until Delete succeeds.
type Spool interface {
	// Begin declares a part of size bytes and reserves room for it, durable when it returns nil. Declaring the same id and size again
	// does nothing, so a client that resumes may always begin. Errors: [ErrName], [ErrConflict] if the part has another size,
	// [ErrSize] if size is negative or could never fit, [ErrFull] if there is no room until other parts are deleted. After any other
	// error the part is not there, and may be declared again.
	Begin(id string, size int64) error

	// Offset returns how many bytes of the part are there: where the upload goes on. An unknown part is [ErrNotFound].
	Offset(id string) (int64, error)

	// Append adds p, whose first byte is the byte at offset of the part. The offset must be the present one; if it is not, the error is
	// an [*OffsetError] that says where to go on, and nothing changes. Errors: [ErrNotFound] without Begin, [ErrSize]
	// if p reaches beyond the declared size. After any other error the present offset is the same as before and the same bytes may be
	// appended again; if the store is reopened first, some of them may be there.
	Append(id string, offset int64, p []byte) error

	// Sync makes all bytes that were appended durable: once, when the upload is complete. If the flush fails, what the medium holds
	// cannot be known and the part is removed: the upload starts again with Begin.
	Sync(id string) error

	// Open returns a reader of the bytes that are there now. It may outlive Delete. An unknown part is [ErrNotFound].
	Open(id string) (Reader, error)

	// Delete removes the part and its reservation, durable when it returns nil. Deleting an unknown part does nothing.
	Delete(id string) error

	// List returns all parts, damaged ones too, in ascending order of id.
	List() ([]Part, error)
}

// Part is what Spool.List says of one upload: its id, its declared size and how many bytes are there.
type Part struct {
	ID     string
	Size   int64
	Offset int64
}
