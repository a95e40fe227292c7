package filestate

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of Open and of a State.
var (
	ErrOpen  = fault.New(fault.Usage, "filestate/open", "state directory is refused", "give the client a directory of its own that only its user can read (chmod 700)")
	ErrInUse = fault.New(fault.Conflict, "filestate/in-use", "state directory is in use", "stop the other client or choose another directory")
	ErrKey   = fault.New(fault.Usage, "filestate/key", "key does not open the state", "give the key that the state was made with, or a new directory")
	ErrSize  = fault.New(fault.Invalid, "filestate/size", "file is longer than any record", "remove the state directory")
)

const (
	recordsDir = "records"
	sealedDir  = "sealed"
	tallyName  = "tally"
	keyName    = "key"
	maxRecord  = 64 << 20
)

// State is a client.State in a directory. Safe for concurrent use by one client.
type State struct {
	fs   fsys
	dir  string
	box  box
	held io.Closer
	mu   sync.Mutex // held by every call but those on an open ciphertext
}

var _ client.State = (*State)(nil)

// Open opens the state in dir, and makes the directory if there is none; its
// parent must exist. key has KeySize bytes and is not kept; nil means a key file
// in the directory. Close releases the directory.
func Open(dir string, key []byte) (*State, error) { return open(system{}, dir, key) }

func open(sys fsys, dir string, key []byte) (*State, error) {
	s := &State{fs: sys, dir: dir}
	err := sys.Mkdir(dir)
	if err == nil {
		err = sys.SyncDir(filepath.Dir(dir))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, ErrOpen.At("%s", dir).Because(err)
	}
	if err := sys.Private(dir); err != nil {
		return nil, err
	}
	if s.held, err = sys.Lock(s.path("lock")); err != nil {
		return nil, err
	}
	if err := s.load(key); err != nil {
		return nil, errors.Join(err, s.held.Close())
	}
	return s, nil
}

// Close releases the directory. The state must not be used afterwards.
func (s *State) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held.Close()
}

func (s *State) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// load prepares the directory: it removes what a crash left half done, and
// ciphertexts whose attempts have no record.
func (s *State) load(key []byte) error {
	records, err := s.sweep(recordsDir)
	fresh := errors.Is(err, fs.ErrNotExist) // the directory of records is made last
	if err != nil && !fresh {
		return err
	}
	if err := s.setKey(key, fresh); err != nil {
		return err
	}
	if err := s.checkTally(fresh); err != nil {
		return err
	}
	for _, d := range []string{sealedDir, recordsDir} {
		if err := s.fs.Mkdir(s.path(d)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := s.fs.SyncDir(s.dir); err != nil {
			return err
		}
	}
	kept := map[string]bool{}
	for _, name := range records {
		kept[name] = true
	}
	sealed, err := s.sweep(sealedDir)
	for _, name := range sealed {
		if !kept[name] {
			err = errors.Join(err, s.remove(sealedDir, name))
		}
	}
	return err
}

// sweep removes unfinished files from a directory and lists the others. A file
// that does not belong there is refused: the directory is not the client's own.
func (s *State) sweep(dir string) ([]string, error) {
	names, err := s.fs.ReadDir(s.path(dir))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		id, unfinished := strings.CutSuffix(name, tmp)
		if _, ok := parseName(id); !ok {
			return nil, ErrOpen.At("%s does not belong there", s.path(dir, name))
		}
		if unfinished {
			if err := s.remove(dir, name); err != nil {
				return nil, err
			}
			continue
		}
		out = append(out, name)
	}
	return out, nil
}

// setKey takes the app's key, or that of the key file, which is made in a fresh state.
func (s *State) setKey(key []byte, fresh bool) error {
	if key == nil {
		var err error
		key, err = s.readFile(s.path(keyName), KeySize)
		if errors.Is(err, fs.ErrNotExist) && fresh {
			key = make([]byte, KeySize)
			_, _ = rand.Read(key) // never fails
			err = s.write(".", keyName, key)
		}
		if err == nil {
			err = s.fs.Private(s.path(keyName))
		}
		if err != nil {
			return ErrKey.At("%s", s.path(keyName)).Because(err)
		}
		defer clear(key)
	}
	if len(key) != KeySize {
		return ErrKey.At("%d bytes, expected %d", len(key), KeySize)
	}
	var err error
	s.box, err = newBox(key)
	return err
}

// checkTally makes the tally in a fresh state, and otherwise proves the key on it.
func (s *State) checkTally(fresh bool) error {
	t, err := s.loadTally()
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !fresh {
		return ErrOpen.At("%s is missing", s.path(tallyName))
	}
	return s.storeTally(t)
}

// write replaces a file atomically and durably. After an error the file is the
// old one or the new one.
func (s *State) write(dir, name string, content []byte) error {
	draft := s.path(dir, name+tmp)
	f, err := s.fs.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, s.fs.Remove(draft))
	}
	if err := s.fs.Rename(draft, s.path(dir, name)); err != nil {
		return err
	}
	return s.fs.SyncDir(s.path(dir))
}

// remove removes a file durably; one that is not there is removed already.
func (s *State) remove(dir, name string) error {
	if err := s.fs.Remove(s.path(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.fs.SyncDir(s.path(dir))
}

// readFile reads a file of at most limit bytes.
func (s *State) readFile(name string, limit int64) ([]byte, error) {
	f, err := s.fs.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	_ = f.Close() // only read from
	if err == nil && int64(len(b)) > limit {
		err = ErrSize.At("%s", name)
	}
	return b, err
}

// Put implements client.Records.
func (s *State) Put(round secagg.RoundID, record []byte) error {
	name, err := nameOf(round)
	if err != nil {
		return err
	}
	if len(record) > maxRecord-boxExtra {
		return ErrSize.At("record of round %s", round)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if record == nil {
		return s.remove(recordsDir, name)
	}
	return s.write(recordsDir, name, s.box.seal(recordsDir+"/"+name, record))
}

// All implements client.Records. A record that was damaged comes as an empty one.
func (s *State) All() (map[secagg.RoundID][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, err := s.fs.ReadDir(s.path(recordsDir))
	if err != nil {
		return nil, err
	}
	out := map[secagg.RoundID][]byte{}
	for _, name := range names {
		id, ok := parseName(name)
		if !ok {
			continue // a draft
		}
		b, err := s.readFile(s.path(recordsDir, name), maxRecord)
		if err != nil && !errors.Is(err, ErrSize) {
			return nil, err
		}
		out[id] = []byte{}
		if content, ok := s.box.open(recordsDir+"/"+name, b); ok && err == nil {
			out[id] = content
		}
	}
	return out, nil
}

// sealedFile is a ciphertext that is being written.
type sealedFile struct {
	handle
	s *State
}

// Close makes the ciphertext durable.
func (f sealedFile) Close() error {
	err := f.Sync()
	if err = errors.Join(err, f.handle.Close()); err != nil {
		return err
	}
	return f.s.fs.SyncDir(f.s.path(sealedDir))
}

// Create implements client.Sealed.
func (s *State) Create(round secagg.RoundID) (io.WriteCloser, error) {
	name, err := nameOf(round)
	if err != nil {
		return nil, err
	}
	f, err := s.fs.OpenFile(s.path(sealedDir, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	return sealedFile{f, s}, nil
}

// Open implements client.Sealed.
func (s *State) Open(round secagg.RoundID) (io.ReadSeekCloser, int64, error) {
	name, err := nameOf(round)
	if err != nil {
		return nil, 0, err
	}
	f, err := s.fs.OpenFile(s.path(sealedDir, name), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, client.ErrSealed.At("round %s", round)
	}
	if err != nil {
		return nil, 0, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

// Remove implements client.Sealed.
func (s *State) Remove(round secagg.RoundID) error {
	name, err := nameOf(round)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(sealedDir, name)
}
