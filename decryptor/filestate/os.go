package filestate

import (
	"io"
	"os"
)

// fsys is all that the state asks of the operating system. Errors for a missing file
// satisfy errors.Is(err, fs.ErrNotExist), for one that exists fs.ErrExist.
type fsys interface {
	Mkdir(name string) error
	OpenFile(name string, flag int) (handle, error)
	Rename(from, to string) error
	SyncDir(name string) error           // makes creation and renaming durable
	Private(name string) error           // refuses what others than the owner can read
	Lock(name string) (io.Closer, error) // ErrInUse if somebody else holds it
}

type handle interface {
	io.ReadWriteCloser
	Sync() error
}

// system is the operating system itself.
type system struct{}

func (system) Mkdir(name string) error      { return os.Mkdir(name, 0o700) }
func (system) Rename(from, to string) error { return os.Rename(from, to) }

func (system) OpenFile(name string, flag int) (handle, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err // not f: a nil *os.File in an interface is not nil
	}
	return f, nil
}

func (system) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	_ = d.Close() // only read from
	return err
}

func (system) Private(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); !info.IsDir() || mode&0o077 != 0 {
		return ErrOpen.At("%s has mode %s", name, info.Mode())
	}
	return nil
}

func (system) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil // closing it releases the lock, and so does the end of the process
}
