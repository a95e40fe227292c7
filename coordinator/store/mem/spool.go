package mem

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/choir-fl/choir/coordinator/store"
)

// spool implements store.Spool.
type spool struct{ *session }

// part is one upload. Its fields are owned by Disk.mu; bytes of data that are there are never written to.
type part struct {
	store.Part
	data   []byte
	synced int64 // how much of data a crash leaves
}

func (s spool) Begin(id string, size int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if p := s.parts[id]; p != nil {
		return p.CheckAgain(size)
	}
	if err := store.CheckBegin(id, size, s.spoolMax, s.used); err != nil {
		return err
	}
	s.parts[id] = &part{Part: store.Part{ID: id, Size: size}}
	s.used += size
	return nil
}

// acquire begins a call for a part; if it returns no error, the call ends with s.mu.Unlock.
func (s spool) acquire(id string) (*part, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	p := s.parts[id]
	if p == nil {
		s.mu.Unlock()
		return nil, fmt.Errorf("store: part %q: %w", id, store.ErrNotFound)
	}
	return p, nil
}

func (s spool) Offset(id string) (int64, error) {
	p, err := s.acquire(id)
	if err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	return p.Offset, nil
}

func (s spool) Append(id string, offset int64, data []byte) error {
	p, err := s.acquire(id)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if err := p.CheckChunk(offset, data); err != nil {
		return err
	}
	if p.data == nil {
		p.data = make([]byte, 0, p.Size) // reserved by Begin, so the whole of it at once: later chunks copy nothing but themselves
	}
	p.data = append(p.data, data...)
	p.Offset += int64(len(data))
	return nil
}

func (s spool) Sync(id string) error {
	p, err := s.acquire(id)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	p.synced = p.Offset
	return nil
}

func (s spool) Open(id string) (store.Reader, error) {
	p, err := s.acquire(id)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return reader{bytes.NewReader(p.data)}, nil
}

func (s spool) Delete(id string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if p := s.parts[id]; p != nil {
		s.used -= p.Size
		delete(s.parts, id)
	}
	return nil
}

func (s spool) List() ([]store.Part, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	parts := make([]store.Part, 0, len(s.parts))
	for _, id := range slices.Sorted(maps.Keys(s.parts)) {
		parts = append(parts, s.parts[id].Part)
	}
	return parts, nil
}
