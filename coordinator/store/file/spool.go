package file

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/choir-fl/choir/coordinator/store"
)

// spool implements store.Spool. No file stays open between calls.
type spool struct {
	*disk
	max int64

	mu    sync.Mutex // owns the fields below; held only for a moment, and never while a part's lock is awaited
	used  int64      // sum of the declared sizes of all parts
	parts map[string]*part
}

// part is one upload.
type part struct {
	mu         sync.Mutex // owns all fields, held to the end of every call for the part
	store.Part            // ID and Size never change
	file       string
	err        error // not nil: no use until deleted
	gone       bool  // deleted while the lock was awaited
}

func loadSpool(d *disk, max int64) (*spool, error) {
	names, err := d.names("spool", ".part")
	if err != nil {
		return nil, err
	}
	s := &spool{disk: d, max: max, parts: make(map[string]*part)}
	for _, encoded := range names {
		id, ok := decodeName(encoded)
		if !ok {
			return nil, d.stranger("spool", encoded+".part")
		}
		size, offset, err := s.measure(s.file(id))
		p := s.add(id, size)
		p.Offset = offset
		if err != nil {
			p.err = fmt.Errorf("store: part %q: delete it: %w", id, err)
		}
	}
	return s, nil
}

func (s *spool) file(id string) string { return s.path("spool", encodeName(id)+".part") }

// add enters a part into the table; s.mu is held.
func (s *spool) add(id string, size int64) *part {
	p := &part{Part: store.Part{ID: id, Size: size}, file: s.file(id)}
	s.parts[id] = p
	s.used += size
	return p
}

// measure returns the declared size of a part and how many bytes are there.
func (s *spool) measure(path string) (size, offset int64, err error) {
	f, err := s.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }() // only read from
	declared, err := readHeader(f, magicSpool)
	if err != nil {
		return 0, 0, err
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, 0, err
	}
	size, offset = int64(declared), end-headerSize
	if size < 0 || offset > size {
		return 0, 0, fmt.Errorf("%w: %d bytes in a part of declared size %d", store.ErrCorrupt, offset, size)
	}
	return size, offset, nil
}

// acquire begins a call for a part and returns the part locked; the call ends with release. An unknown part is store.ErrNotFound.
func (s *spool) acquire(id string) (*part, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	p := s.parts[id]
	s.mu.Unlock()
	if p != nil {
		p.mu.Lock()
		if !p.gone {
			return p, nil
		}
		p.mu.Unlock()
	}
	s.leave()
	return nil, fmt.Errorf("store: part %q: %w", id, store.ErrNotFound)
}

// acquireSound is acquire, but an error if the part is of no use.
func (s *spool) acquireSound(id string) (*part, error) {
	p, err := s.acquire(id)
	if err != nil {
		return nil, err
	}
	if err = p.err; err != nil {
		s.release(p)
		return nil, err
	}
	return p, nil
}

func (s *spool) release(p *part) {
	p.mu.Unlock()
	s.leave()
}

// discard removes a locked part and returns cause. If the part cannot be removed it is of no use until Delete succeeds.
func (s *spool) discard(p *part, cause error) error {
	if err := s.remove(p.file); err != nil {
		p.err = fmt.Errorf("store: part %q: delete it: %w: %w", p.ID, store.ErrPoisoned, errors.Join(cause, err))
		return p.err
	}
	p.gone = true
	s.mu.Lock()
	delete(s.parts, p.ID)
	s.used -= p.Size
	s.mu.Unlock()
	return cause
}

// reserve is acquire for a new part, whose file is still to be made. It returns nil and nil if the id is taken.
func (s *spool) reserve(id string, size int64) (*part, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts[id] != nil {
		s.leave()
		return nil, nil
	}
	if err := store.CheckBegin(id, size, s.max, s.used); err != nil {
		s.leave()
		return nil, err
	}
	p := s.add(id, size)
	p.mu.Lock() // nobody has it yet
	return p, nil
}

func (s *spool) Begin(id string, size int64) error {
	for { // again only if the part comes or goes at the same moment
		p, err := s.acquireSound(id)
		if err == nil {
			defer s.release(p)
			return p.CheckAgain(size)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		p, err = s.reserve(id, size)
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		defer s.release(p)
		if _, err := s.publish(p.file, encodeHeader(magicSpool, uint64(size))); err != nil {
			return s.discard(p, fmt.Errorf("store: part %q: %w", id, err))
		}
		return nil
	}
}

func (s *spool) Offset(id string) (int64, error) {
	p, err := s.acquireSound(id)
	if err != nil {
		return 0, err
	}
	defer s.release(p)
	return p.Offset, nil
}

func (s *spool) Append(id string, offset int64, data []byte) error {
	p, err := s.acquireSound(id)
	if err != nil {
		return err
	}
	defer s.release(p)
	if err := p.CheckChunk(offset, data); err != nil {
		return err
	}
	f, err := s.OpenFile(p.file, os.O_RDWR)
	if err == nil {
		_, err = f.WriteAt(data, headerSize+offset)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("store: part %q: append again: %w", id, err)
	}
	p.Offset += int64(len(data))
	return nil
}

func (s *spool) Sync(id string) error {
	p, err := s.acquireSound(id)
	if err != nil {
		return err
	}
	defer s.release(p)
	f, err := s.OpenFile(p.file, os.O_RDWR)
	if err != nil {
		return fmt.Errorf("store: part %q: sync again: %w", id, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		// A second fsync, even after a restart, might say yes to bytes that the first one lost: the part has to go.
		return s.discard(p, fmt.Errorf("store: part %q: not durable, so it was removed; begin again: %w", id, err))
	}
	return nil
}

func (s *spool) Open(id string) (store.Reader, error) {
	p, err := s.acquireSound(id)
	if err != nil {
		return nil, err
	}
	defer s.release(p)
	f, err := s.OpenFile(p.file, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("store: part %q: %w", id, err)
	}
	return newReader(f, headerSize, p.Offset), nil
}

func (s *spool) Delete(id string) error {
	p, err := s.acquire(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.release(p)
	return s.discard(p, nil)
}

func (s *spool) List() ([]store.Part, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.parts))
	s.mu.Unlock()
	var parts []store.Part
	for _, p := range all {
		p.mu.Lock()
		parts = append(parts, p.Part)
		p.mu.Unlock()
	}
	slices.SortFunc(parts, func(a, b store.Part) int { return strings.Compare(a.ID, b.ID) })
	return parts, nil
}
