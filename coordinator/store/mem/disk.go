// Package mem keeps the coordinator's store in memory, for the simulator and for tests.
//
// A [Disk] is the medium: it outlives the stores that are opened over it, as a directory outlives a process. Crash does to it what a power
// cut does to a directory, in the strictest way that the contracts of package store allow: whatever was not durable is lost.
// Nothing here fails otherwise, takes time or reads a clock, so a simulation repeats exactly.
package mem

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/choir-fl/choir/coordinator/store"
)

// Disk is a medium for one store at a time. It is safe for concurrent use.
type Disk struct {
	spoolMax int64

	mu       sync.Mutex // owns everything below, held during every call of the store
	open     *session   // nil while no store is open
	segments map[string][][]byte
	revision uint64
	value    []byte
	blobs    map[store.Digest][]byte // values are never written to
	parts    map[string]*part
	used     int64 // sum of the declared sizes of all parts
}

// New returns an empty medium. spoolMax bounds the declared sizes of all spooled parts together, in bytes; the first chunk of a part
// takes memory for its whole declared size, so the spool takes no more than that either.
func New(spoolMax int64) *Disk {
	return &Disk{
		spoolMax: spoolMax,
		segments: make(map[string][][]byte),
		blobs:    make(map[store.Digest][]byte),
		parts:    make(map[string]*part),
	}
}

// Open opens the store on the disk. While it is open, further calls return store.ErrLocked.
func (d *Disk) Open() (*store.Store, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open != nil {
		return nil, fmt.Errorf("store: %w; close it or crash first", store.ErrLocked)
	}
	s := &session{d}
	d.open = s
	return &store.Store{Journal: journal{s}, Head: head{s}, Blobs: blobs{s}, Spool: spool{s}, Closer: s}, nil
}

// Crash ends the open store, if there is one, and loses what was not durable: uncommitted blobs and unsynced bytes of the spool.
// Calls of the store that has ended return store.ErrClosed. The disk can be opened again at once.
func (d *Disk) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = nil
	for _, p := range d.parts {
		p.Offset = p.synced
		p.data = p.data[:p.synced:p.synced] // its capacity too, so that an older reader never sees later bytes
	}
}

// session is one opening of a disk.
type session struct{ *Disk }

// enter begins a call of the store; if it returns nil, the call ends with s.mu.Unlock.
func (s *session) enter() error {
	s.mu.Lock()
	if s.open != s {
		s.mu.Unlock()
		return fmt.Errorf("store: %w", store.ErrClosed)
	}
	return nil
}

// Close implements the Closer of store.Store.
func (s *session) Close() error {
	if s.enter() == nil {
		s.open = nil
		s.mu.Unlock()
	}
	return nil
}

// head implements store.Head.
type head struct{ *session }

func (h head) Load() (value []byte, revision uint64, err error) {
	if err := h.enter(); err != nil {
		return nil, 0, err
	}
	defer h.mu.Unlock()
	return bytes.Clone(h.value), h.revision, nil
}

func (h head) Swap(old uint64, value []byte) error {
	if err := h.enter(); err != nil {
		return err
	}
	defer h.mu.Unlock()
	if err := store.CheckSwap(old, h.revision, value); err != nil {
		return err
	}
	h.revision, h.value = old+1, bytes.Clone(value)
	return nil
}
