package coordinator_test

import (
	"errors"
	"fmt"

	"github.com/choir-fl/choir/coordinator/store"
)

var errInjected = errors.New("injected failure")

// faults fails the write number at of those made through wrap, counted from 1.
// Every variant is one that the contracts of package store allow.
type faults struct {
	at    int
	died  bool // the machine dies with the failed write: nothing works until revive
	kept  bool // the failed write has happened nevertheless
	n     int
	hit   string // the write that failed
	down  bool
	bad   map[string]bool // poisoned until revive
	names []string        // of all writes, in order
}

func (f *faults) revive() { f.down, f.bad = false, nil }

// write does one write, unless it is the one to fail. undo makes the part of a
// write that its contract does not let an error leave behind.
func (f *faults) write(name string, do func() error) (failed bool, err error) {
	if f.down {
		return true, fmt.Errorf("%s: %w: machine is down", name, errInjected)
	}
	f.n++
	f.names = append(f.names, name)
	if f.n != f.at {
		return false, do()
	}
	f.hit, f.down = name, f.died
	if f.kept {
		if err := do(); err != nil {
			return true, err
		}
	}
	return true, fmt.Errorf("%s: %w", name, errInjected)
}

func (f *faults) poison(key string) {
	if f.bad == nil {
		f.bad = map[string]bool{}
	}
	f.bad[key] = true
}

func (f *faults) check(key string) error {
	if f.down {
		return fmt.Errorf("%w: machine is down", errInjected)
	}
	if f.bad[key] {
		return fmt.Errorf("%s: %w", key, store.ErrPoisoned)
	}
	return nil
}

func (f *faults) wrap(s *store.Store) *store.Store {
	return &store.Store{Journal: badJournal{s.Journal, f}, Head: badHead{s.Head, f}, Blobs: badBlobs{s.Blobs, f}, Spool: badSpool{s.Spool, f}, Closer: s}
}

type badJournal struct {
	store.Journal
	f *faults
}

func (j badJournal) change(name, segment string, do func() error) error {
	if err := j.f.check("segment " + segment); err != nil {
		return err
	}
	failed, err := j.f.write(name, do)
	if failed {
		j.f.poison("segment " + segment)
	}
	return err
}

func (j badJournal) Append(segment string, records ...[]byte) error {
	return j.change("append to "+segment, segment, func() error { return j.Journal.Append(segment, records...) })
}

func (j badJournal) Drop(segment string) error {
	return j.change("drop "+segment, segment, func() error { return j.Journal.Drop(segment) })
}

func (j badJournal) Read(segment string, fn func([]byte) error) error {
	if err := j.f.check("segment " + segment); err != nil {
		return err
	}
	return j.Journal.Read(segment, fn)
}

type badHead struct {
	store.Head
	f *faults
}

func (h badHead) Load() ([]byte, uint64, error) {
	if err := h.f.check("head"); err != nil {
		return nil, 0, err
	}
	return h.Head.Load()
}

func (h badHead) Swap(old uint64, value []byte) error {
	if err := h.f.check("head"); err != nil {
		return err
	}
	failed, err := h.f.write("swap head", func() error { return h.Head.Swap(old, value) })
	if failed && h.f.kept { // without the wrapped ErrPoisoned a failed swap had no effect
		h.f.poison("head")
		err = errors.Join(err, store.ErrPoisoned)
	}
	return err
}

type badBlobs struct {
	store.Blobs
	f *faults
}

func (b badBlobs) Create() (store.BlobWriter, error) {
	if err := b.f.check("blobs"); err != nil {
		return nil, err
	}
	w, err := b.Blobs.Create()
	return badWriter{w, b.f}, err
}

func (b badBlobs) Delete(d store.Digest) error {
	_, err := b.f.write("delete blob", func() error { return b.Blobs.Delete(d) })
	return err
}

type badWriter struct {
	store.BlobWriter
	f *faults
}

func (w badWriter) Commit() (d store.Digest, n int64, err error) {
	_, err = w.f.write("commit blob", func() error {
		var err error
		d, n, err = w.BlobWriter.Commit()
		return err
	})
	if err != nil {
		return store.Digest{}, 0, errors.Join(err, w.Discard())
	}
	return d, n, nil
}

type badSpool struct {
	store.Spool
	f *faults
}

// change does a write of the spool. Without a reopening, a write that failed has
// not happened, but for a flush, which takes the part with it.
func (s badSpool) change(name string, do, undo func() error) error {
	failed, err := s.f.write(name, do)
	if failed && !s.f.down && undo != nil {
		err = errors.Join(err, undo())
	}
	return err
}

func (s badSpool) Begin(id string, size int64) error {
	_, known := s.Spool.Offset(id)
	return s.change("begin part", func() error { return s.Spool.Begin(id, size) }, func() error {
		if known == nil {
			return nil
		}
		return s.Spool.Delete(id)
	})
}

func (s badSpool) Append(id string, offset int64, p []byte) error {
	if s.f.kept && !s.f.died && s.f.n+1 == s.f.at {
		s.f.n++ // an append that failed and happened needs a reopening to be seen
	}
	return s.change("append to part", func() error { return s.Spool.Append(id, offset, p) }, nil)
}

func (s badSpool) Sync(id string) error {
	return s.change("sync part", func() error { return s.Spool.Sync(id) }, func() error { return s.Spool.Delete(id) })
}

func (s badSpool) Delete(id string) error {
	return s.change("delete part", func() error { return s.Spool.Delete(id) }, nil)
}
