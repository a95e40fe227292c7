package filestate

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/choir-fl/choir/decryptor"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of Create, Open and a State.
var (
	ErrOpen    = fault.New(fault.Usage, "decryptor-filestate/open", "state directory is refused", "give the committee member a directory of its own that only its user can read (chmod 700)")
	ErrMissing = fault.New(fault.Usage, "decryptor-filestate/missing", "state directory is not there or not whole", "restore it as it was last; if it is lost, join the committee with a new key (choir decryptor init)")
	ErrExists  = fault.New(fault.Conflict, "decryptor-filestate/exists", "there is a state already", "use it, or choose another directory for a new member")
	ErrInUse   = fault.New(fault.Conflict, "decryptor-filestate/in-use", "state directory is in use", "stop the other process")
	ErrKey     = fault.New(fault.Usage, "decryptor-filestate/key", "key does not open the state", "give the key that the state was made with")
	ErrName    = fault.New(fault.Invalid, "decryptor-filestate/name", "not the name of a record", "")
	ErrSize    = fault.New(fault.Invalid, "decryptor-filestate/size", "longer than any record", "")
)

const (
	recordsDir = "records"
	checkName  = "check"
	lockName   = "lock"
	tmp        = ".tmp~" // in no record's name
	maxRecord  = 64 << 20
)

// State is a decryptor.State in a directory. Safe for concurrent use by one member.
type State struct {
	fs   fsys
	dir  string
	box  box
	held io.Closer
	mu   sync.Mutex
}

var _ decryptor.State = (*State)(nil)

// Create makes the state of a new member; the parent of dir must exist. What an earlier
// call left unfinished it finishes; a state that is there is ErrExists.
func Create(dir string, key []byte) error { return create(system{}, dir, key) }

func create(sys fsys, dir string, key []byte) error {
	b, err := newBox(key)
	if err != nil {
		return err
	}
	s := &State{fs: sys, dir: dir, box: b}
	if err := s.mkdir(dir); err != nil {
		return ErrOpen.At("%s", dir).Because(err)
	}
	if err := s.lock(); err != nil {
		return err
	}
	return errors.Join(s.fill(), s.held.Close())
}

func (s *State) fill() error {
	_, err := s.read(checkName)
	if !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(ErrExists.At("%s", s.dir), err)
	}
	if err := s.mkdir(s.path(recordsDir)); err != nil {
		return err
	}
	return s.write(".", checkName, s.box.seal(checkName, nil)) // last: it makes the state whole
}

// mkdir makes a directory durably, if it is not there.
func (s *State) mkdir(dir string) error {
	if err := s.fs.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return s.fs.SyncDir(filepath.Dir(dir))
}

// lock refuses a directory that others can read or hold.
func (s *State) lock() error {
	err := s.fs.Private(s.dir)
	if err == nil {
		s.held, err = s.fs.Lock(s.path(lockName))
	}
	return err
}

// Open opens the state in dir, which Create has made. key has KeySize bytes and is not
// kept. Close releases the directory.
func Open(dir string, key []byte) (*State, error) { return open(system{}, dir, key) }

func open(sys fsys, dir string, key []byte) (*State, error) {
	b, err := newBox(key)
	if err != nil {
		return nil, err
	}
	s := &State{fs: sys, dir: dir, box: b}
	if err := s.lock(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = ErrMissing.At("%s", dir)
		}
		return nil, err
	}
	sealed, err := s.read(checkName)
	if err == nil {
		err = s.fs.Private(s.path(recordsDir))
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrMissing.At("%s", dir)
	}
	if err == nil {
		if _, ok := s.box.open(checkName, sealed); !ok {
			err = ErrKey.At("%s", dir)
		}
	}
	if err != nil {
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

// write replaces a file atomically and durably. After an error the file is the old one
// or the new one.
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
		return err // the draft is overwritten by the next one
	}
	if err := s.fs.Rename(draft, s.path(dir, name)); err != nil {
		return err
	}
	return s.fs.SyncDir(s.path(dir))
}

func (s *State) read(name string) ([]byte, error) {
	f, err := s.fs.OpenFile(s.path(name), os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	_ = f.Close() // only read from
	if err == nil && len(b) > maxRecord {
		err = ErrSize.At("%s", name)
	}
	return b, err
}

// named refuses what is no record's name, and so no file's below the directory.
func named(name string) error {
	if name != decryptor.Epochs && !secagg.PartyID(name).Valid() {
		return ErrName.At("%.100q", name)
	}
	return nil
}

// Load implements decryptor.State. A record that was damaged is decryptor.ErrRecord.
func (s *State) Load(name string) ([]byte, error) {
	if err := named(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	file := filepath.Join(recordsDir, name)
	sealed, err := s.read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	content, ok := s.box.open(recordsDir+"/"+name, sealed)
	if !ok {
		return nil, decryptor.ErrRecord.At("%s", s.path(file))
	}
	return content, nil
}

// Save implements decryptor.State.
func (s *State) Save(name string, record []byte) error {
	if err := named(name); err != nil {
		return err
	}
	if len(record) == 0 || len(record) > maxRecord-boxExtra {
		return ErrSize.At("record %s of %d bytes", name, len(record))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(recordsDir, name, s.box.seal(recordsDir+"/"+name, record))
}
