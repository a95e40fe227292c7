package file

import (
	"io"
	"os"
)

// fsys is all that the store asks of the operating system. Errors for a missing file satisfy errors.Is(err, fs.ErrNotExist), for one
// that exists already fs.ErrExist.
type fsys interface {
	Mkdir(name string) error
	OpenFile(name string, flag int) (handle, error)
	Rename(from, to string) error
	Remove(name string) error
	ReadDir(name string) ([]string, error) // names in ascending order
	SyncDir(name string) error             // makes creation, renaming and removal of entries durable
	Lock(name string) (io.Closer, error)   // store.ErrLocked if somebody else has it
}

// handle is an open file.
type handle interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Seeker
	io.Closer
	Sync() error
	Truncate(size int64) error
}

// osFS is the operating system itself.
type osFS struct{}

func (osFS) Mkdir(name string) error      { return os.Mkdir(name, 0o700) }
func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) Remove(name string) error     { return os.Remove(name) }

func (osFS) OpenFile(name string, flag int) (handle, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err // not f: a nil *os.File in an interface is not nil
	}
	return f, nil
}

func (osFS) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	_ = d.Close() // only read from
	return err
}

func (osFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil // closing the descriptor releases the lock, and so does the death of the process
}
