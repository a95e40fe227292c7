package store

import (
	"fmt"
	"strings"
)

// CheckName returns nil if name may name a segment or a spooled part, else an error that wraps [ErrName]. A name is 1 to MaxName bytes
// long and consists of parts joined by '/'; a part has at least one of a-z, A-Z, 0-9, '.', '_' and '-', and does not begin with '.'.
// Names that differ only in case are different names.
func CheckName(name string) error {
	if len(name) == 0 || len(name) > MaxName {
		return fmt.Errorf("store: %w: %d bytes long; it must have 1 to %d", ErrName, len(name), MaxName)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' {
			return fmt.Errorf("store: %w: %q has a part that is empty or begins with a dot", ErrName, name)
		}
		for _, c := range []byte(part) {
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
				return fmt.Errorf("store: %w: %q holds a byte other than letters, digits, '.', '_', '-' and '/'", ErrName, name)
			}
		}
	}
	return nil
}

// The checks below are those of the contracts, for implementations to call first, so that all of them refuse the same things.

// CheckAppend checks the arguments of Journal.Append.
func CheckAppend(segment string, records [][]byte) error {
	if err := CheckName(segment); err != nil {
		return err
	}
	size := int64(len(records)) * RecordOverhead
	for _, r := range records {
		size += int64(len(r))
	}
	if size > MaxAppend {
		return fmt.Errorf("store: segment %q: %w: %d bytes in one append, at most %d", segment, ErrSize, size, MaxAppend)
	}
	return nil
}

// CheckSwap checks the value given to Head.Swap, and the revision it replaces against the present one.
func CheckSwap(old, present uint64, value []byte) error {
	if len(value) > MaxHead {
		return fmt.Errorf("store: head: %w: %d bytes, at most %d", ErrSize, len(value), MaxHead)
	}
	if old != present {
		return fmt.Errorf("store: head: %w: revision is %d, not %d; load it again", ErrConflict, present, old)
	}
	return nil
}

// CheckBegin checks the arguments of Spool.Begin for a new part, in a spool of bound bytes of which used are reserved.
func CheckBegin(id string, size, bound, used int64) error {
	if err := CheckName(id); err != nil {
		return err
	}
	if size < 0 || size > bound {
		return fmt.Errorf("store: part %q: %w: %d bytes declared, at most %d", id, ErrSize, size, bound)
	}
	if size > bound-used {
		return fmt.Errorf("store: part %q: %w: %d bytes declared, %d of %d reserved; come back later", id, ErrFull, size, used, bound)
	}
	return nil
}

// CheckAgain checks a repeated Spool.Begin for this part.
func (p Part) CheckAgain(size int64) error {
	if size != p.Size {
		return fmt.Errorf("store: part %q: %w: declared with %d bytes before, now %d", p.ID, ErrConflict, p.Size, size)
	}
	return nil
}

// CheckChunk checks the arguments of Spool.Append for this part.
func (p Part) CheckChunk(offset int64, chunk []byte) error {
	if offset != p.Offset {
		return &OffsetError{ID: p.ID, Given: offset, Present: p.Offset}
	}
	if int64(len(chunk)) > p.Size-offset {
		return fmt.Errorf("store: part %q: %w: %d bytes at offset %d of %d", p.ID, ErrSize, len(chunk), offset, p.Size)
	}
	return nil
}
