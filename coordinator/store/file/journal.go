package file

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/choir-fl/choir/coordinator/store"
)

// journal implements store.Journal. No file stays open between calls.
type journal struct {
	*disk
	mu       sync.Mutex // held by Append and Drop to their end: one write at a time
	segments map[string]*segment
}

// segment is what is known of one file. All fields are owned by journal.mu.
type segment struct {
	salt uint64
	end  int64 // acknowledged bytes of the file; 0 if there is none yet
	err  error // not nil: no use until reopened
}

func loadJournal(d *disk) (*journal, error) {
	names, err := d.names("journal", ".log")
	if err != nil {
		return nil, err
	}
	j := &journal{disk: d, segments: make(map[string]*segment)}
	for _, encoded := range names {
		name, ok := decodeName(encoded)
		if !ok {
			return nil, d.stranger("journal", encoded+".log")
		}
		s := &segment{}
		if s.salt, s.end, err = j.recover(j.file(name)); err != nil {
			s.end = headerSize // the file exists
			s.err = fmt.Errorf("store: segment %q: %w", name, err)
		}
		j.segments[name] = s
	}
	return j, nil
}

func (j *journal) file(name string) string { return j.path("journal", encodeName(name)+".log") }

// recover cuts an append that was not finished and makes all that is left durable. The last frame is written again, the same bytes in
// the same place: if an fsync has failed since, the system may hold it in memory as already written though it never reached the disk.
func (j *journal) recover(path string) (salt uint64, end int64, err error) {
	f, err := j.OpenFile(path, os.O_RDWR)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, 0, err
	}
	var last []byte
	salt, end, err = scanFrames(f, size, func(_ int64, frame []byte) error {
		last = append(last[:0], frame...)
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	if end < size {
		if err := f.Truncate(end); err != nil {
			return 0, 0, err
		}
	}
	if _, err := f.WriteAt(last, end-int64(len(last))); err != nil {
		return 0, 0, err
	}
	return salt, end, f.Sync()
}

func (j *journal) Append(name string, records ...[]byte) error {
	if err := store.CheckAppend(name, records); err != nil {
		return err
	}
	if err := j.lock(&j.mu); err != nil {
		return err
	}
	defer j.unlock(&j.mu)
	if len(records) == 0 {
		return nil
	}
	s := j.segments[name]
	if s == nil {
		s = &segment{}
		j.segments[name] = s
	}
	if s.err != nil {
		return s.err
	}
	var err error
	if s.end == 0 {
		err = j.create(s, name, records)
	} else {
		err = j.extend(s, name, records)
	}
	if err != nil {
		s.err = fmt.Errorf("store: segment %q: append failed; reopen the store or drop the segment: %w: %w", name, store.ErrPoisoned, err)
	}
	return s.err
}

// create writes a new segment with its first frame.
func (j *journal) create(s *segment, name string, records [][]byte) error {
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return err
	}
	s.salt = le.Uint64(salt[:])
	data := appendFrame(encodeHeader(magicJournal, s.salt), s.salt, headerSize, records)
	if _, err := j.publish(j.file(name), data); err != nil {
		return err
	}
	s.end = int64(len(data))
	return nil
}

// extend writes a frame at the end of a segment.
func (j *journal) extend(s *segment, name string, records [][]byte) error {
	f, err := j.OpenFile(j.file(name), os.O_RDWR)
	if err != nil {
		return err
	}
	frame := appendFrame(nil, s.salt, s.end, records)
	if _, err := f.WriteAt(frame, s.end); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	s.end += int64(len(frame))
	return nil
}

func (j *journal) Read(name string, fn func(record []byte) error) error {
	f, end, err := j.openToRead(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read from
	var stopped error
	_, got, err := scanFrames(f, end, func(_ int64, frame []byte) error {
		stopped = eachRecord(frame[frameHeaderSize:], fn)
		return stopped
	})
	switch {
	case stopped != nil:
		return stopped
	case err != nil:
		return fmt.Errorf("store: segment %q: %w", name, err)
	case got != end:
		return fmt.Errorf("store: segment %q: %w", name, corruptAt(got))
	}
	return nil
}

// openToRead returns the file of a segment and how much of it is acknowledged.
func (j *journal) openToRead(name string) (handle, int64, error) {
	if err := j.lock(&j.mu); err != nil {
		return nil, 0, err
	}
	defer j.unlock(&j.mu)
	s := j.segments[name]
	if s == nil {
		return nil, 0, fmt.Errorf("store: segment %q: %w", name, store.ErrNotFound)
	}
	if s.err != nil {
		return nil, 0, s.err
	}
	f, err := j.OpenFile(j.file(name), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: its file is gone", store.ErrCorrupt)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("store: segment %q: %w", name, err)
	}
	return f, s.end, nil
}

func (j *journal) Segments() ([]string, error) {
	if err := j.lock(&j.mu); err != nil {
		return nil, err
	}
	defer j.unlock(&j.mu)
	names := slices.Sorted(maps.Keys(j.segments))
	return slices.DeleteFunc(names, func(name string) bool { return j.segments[name].end == 0 }), nil
}

func (j *journal) Drop(name string) error {
	if err := j.lock(&j.mu); err != nil {
		return err
	}
	defer j.unlock(&j.mu)
	s := j.segments[name]
	if s == nil {
		return nil
	}
	if err := j.remove(j.file(name)); err != nil {
		s.err = fmt.Errorf("store: segment %q: drop failed; drop it again or reopen the store: %w: %w", name, store.ErrPoisoned, err)
		return s.err
	}
	delete(j.segments, name)
	return nil
}
