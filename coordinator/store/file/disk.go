package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/choir-fl/choir/coordinator/store"
)

// Open opens the store in directory dir for this process alone, and makes the directory if there is none (its parent must exist).
// It finishes or undoes what a crash has interrupted; everything found is durable when Open returns.
// spoolMax bounds the declared sizes of all spooled parts together, in bytes; parts found count, and are kept even above it.
//
// Errors: store.ErrLocked if the store is open elsewhere, store.ErrVersion for a format this program does not read,
// store.ErrCorrupt for a damaged head or a file that does not belong there. A damaged segment or part does not fail Open but
// every use of it.
func Open(dir string, spoolMax int64) (*store.Store, error) { return open(osFS{}, dir, spoolMax) }

func open(sys fsys, dir string, spoolMax int64) (*store.Store, error) {
	if spoolMax < 0 {
		return nil, fmt.Errorf("store: %w: spool bound %d; it must not be negative", store.ErrSize, spoolMax)
	}
	d := &disk{fsys: sys, dir: dir}
	if err := sys.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("store: %w; make the directory or its parent first", err)
	}
	var err error
	if d.held, err = sys.Lock(d.path("lock")); err != nil {
		return nil, fmt.Errorf("store: %s: %w; stop the other process or choose another directory", dir, err)
	}
	s, err := d.load(spoolMax)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: %s: %w", dir, err), d.held.Close())
	}
	return s, nil
}

// disk is what the four parts share: the directory, its lock, and whether the store is still open.
type disk struct {
	fsys
	dir  string
	held io.Closer // the lock on the directory

	mu     sync.RWMutex // held for reading by every call that touches the directory
	closed bool
}

func (d *disk) path(elem ...string) string { return filepath.Join(append([]string{d.dir}, elem...)...) }

// enter begins a call; if it returns nil, the call ends with leave.
func (d *disk) enter() error {
	d.mu.RLock()
	if d.closed {
		d.mu.RUnlock()
		return fmt.Errorf("store: %s: %w", d.dir, store.ErrClosed)
	}
	return nil
}

func (d *disk) leave() { d.mu.RUnlock() }

// lock is enter for a call that also needs a mutex to its end; the call ends with unlock.
func (d *disk) lock(mu *sync.Mutex) error {
	err := d.enter()
	if err == nil {
		mu.Lock()
	}
	return err
}

func (d *disk) unlock(mu *sync.Mutex) {
	mu.Unlock()
	d.leave()
}

// Close implements the Closer of store.Store.
func (d *disk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.held.Close()
}

// load checks the format, or lays the directory out, and loads the four parts.
func (d *disk) load(spoolMax int64) (*store.Store, error) {
	format, err := d.readFile(d.path("format"), int64(len(formatLine)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := d.layOut(); err != nil {
			return nil, err
		}
	case err != nil && !errors.Is(err, store.ErrSize):
		return nil, err
	case string(format) != formatLine:
		return nil, fmt.Errorf("%w in the file format; this program reads %s", store.ErrVersion, strings.TrimSpace(formatLine))
	}
	h, err := loadHead(d)
	if err != nil {
		return nil, err
	}
	j, err := loadJournal(d)
	if err != nil {
		return nil, err
	}
	b, err := loadBlobs(d)
	if err != nil {
		return nil, err
	}
	s, err := loadSpool(d, spoolMax)
	if err != nil {
		return nil, err
	}
	return &store.Store{Journal: j, Head: h, Blobs: b, Spool: s, Closer: d}, nil
}

// layOut makes the directories. The file format comes last: where it exists, all else is in place and durable.
func (d *disk) layOut() error {
	for _, name := range []string{"journal", "blobs", "spool"} {
		if err := d.Mkdir(d.path(name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err := d.SyncDir(filepath.Dir(filepath.Clean(d.dir))); err != nil {
		return err
	}
	_, err := d.publish(d.path("format"), []byte(formatLine))
	return err
}

// names returns what comes before suffix in the names of all files in a directory, after removing temporary files and making the
// entries that are left durable. Other names are an error.
func (d *disk) names(dir, suffix string) ([]string, error) {
	entries, err := d.ReadDir(d.path(dir))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range entries {
		stem, ok := strings.CutSuffix(name, suffix)
		switch {
		case strings.HasSuffix(name, ".tmp"):
			if err := d.Remove(d.path(dir, name)); err != nil {
				return nil, err
			}
		case ok:
			names = append(names, stem)
		default:
			return nil, d.stranger(dir, name)
		}
	}
	return names, d.SyncDir(d.path(dir))
}

func (d *disk) stranger(dir, name string) error {
	return fmt.Errorf("%w: %s is not a file of this store; move it away", store.ErrCorrupt, d.path(dir, name))
}

// publish writes a file so that it is there whole and durable, or not at all, whatever happens; an older file of that name is replaced.
// If it fails, unsure says whether the new file may nevertheless be there.
func (d *disk) publish(name string, data []byte) (unsure bool, err error) {
	tmp := name + ".tmp"
	f, err := d.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return false, err
	}
	if _, err := f.Write(data); err != nil {
		return false, errors.Join(err, f.Close(), d.Remove(tmp))
	}
	return d.finish(f, tmp, name)
}

// finish gives the open, completely written file tmp its name, in the same directory. It closes the file in every case.
func (d *disk) finish(f handle, tmp, name string) (unsure bool, err error) {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return false, errors.Join(err, d.Remove(tmp))
	}
	if err := d.Rename(tmp, name); err != nil {
		return true, err
	}
	if err := d.SyncDir(filepath.Dir(name)); err != nil {
		return true, err
	}
	return false, nil
}

// remove removes a file durably. A file that is not there is removed already.
func (d *disk) remove(name string) error {
	if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.SyncDir(filepath.Dir(name))
}

// readFile returns the bytes of a file of at most limit bytes; a longer one is store.ErrSize.
func (d *disk) readFile(name string, limit int64) ([]byte, error) {
	f, err := d.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from: closing it cannot lose anything
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, expected at most %d", store.ErrSize, name, size, limit)
	}
	p := make([]byte, size)
	if _, err := f.ReadAt(p, 0); err != nil {
		return nil, err
	}
	return p, nil
}
