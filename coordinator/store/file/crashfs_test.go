package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/choir-fl/choir/coordinator/store"
)

// crashFS is a file system in memory that remembers what is durable, can lose the rest, and fails on demand.
//
// Data and directory entries are durable separately: data after Sync of the file, entries after SyncDir of the directory. After a failed
// Sync the changed bytes count as written back, as on Linux: they can be read until the power goes, and no later Sync writes them.
type crashFS struct {
	mu      sync.Mutex
	now     map[string]*inode // what the process sees, by path; directories have no data
	durable map[string]*inode
	epoch   int // of the process; handles of earlier ones are dead
	locked  bool

	trace   []string // calls since arm
	faultAt int      // the index in trace that fails; -1 for none
	mode    faultMode
}

type inode struct {
	data    []byte
	dirty   []bool // of each byte: not written back
	durable []byte
}

type faultMode string

const (
	failed    faultMode = "failed"               // nothing was done
	persisted faultMode = "failed but persisted" // all was done, and durable if the call is one that makes things durable
	short     faultMode = "short write"          // half was written
)

type restart string

const (
	kill restart = "kill"      // the process dies, the machine goes on
	lose restart = "power cut" // all that is not durable is lost
	keep restart = "late cut"  // the power is cut after the system has written back all it knew of
)

// crashDir is where the tests have their store.
const crashDir = "/s"

var errFault = errors.New("injected fault")

func newCrashFS() *crashFS {
	root := map[string]*inode{"/": {}}
	return &crashFS{now: root, durable: maps.Clone(root), faultAt: -1}
}

// arm makes the call with index at fail from now on; -1 for none.
func (c *crashFS) arm(at int, mode faultMode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trace, c.faultAt, c.mode = nil, at, mode
}

// calls returns the trace since arm.
func (c *crashFS) calls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.trace)
}

// restart ends the process.
func (c *crashFS) restart(how restart) {
	c.arm(-1, failed)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.locked = false
	switch how {
	case lose:
		maps.DeleteFunc(c.durable, func(path string, _ *inode) bool { return !c.reachable(path) })
		c.now = maps.Clone(c.durable)
		for _, n := range c.now {
			n.data = slices.Clone(n.durable)
			n.dirty = make([]bool, len(n.data))
		}
	case keep:
		c.durable = maps.Clone(c.now)
		for _, n := range c.now {
			n.writeBack()
			n.data = slices.Clone(n.durable)
		}
	}
}

// reachable says whether the directories above a path are durable.
func (c *crashFS) reachable(path string) bool {
	for ; path != "/"; path = filepath.Dir(path) {
		if c.durable[path] == nil {
			return false
		}
	}
	return true
}

// writeBack makes the dirty bytes and the length durable. Bytes that are neither dirty nor durable become zeros.
func (n *inode) writeBack() {
	old := n.durable
	n.durable = make([]byte, len(n.data))
	copy(n.durable, old)
	for i, dirty := range n.dirty {
		if dirty {
			n.durable[i] = n.data[i]
		}
	}
	clear(n.dirty)
}

// do records a call, lets it fail if it is its turn, and otherwise does it. The lock is held during effect.
func (c *crashFS) do(op, path string, effect func(mode faultMode) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	rel, err := filepath.Rel(crashDir, path)
	if err != nil {
		return err
	}
	c.trace = append(c.trace, op+" "+rel)
	var mode faultMode
	if len(c.trace)-1 == c.faultAt {
		mode = c.mode
	}
	if mode == failed && op != "sync" {
		return errFault
	}
	err = effect(mode)
	if mode != "" {
		return errors.Join(err, errFault)
	}
	return err
}

func missing(path string) error { return fmt.Errorf("%s: %w", path, fs.ErrNotExist) }

func (c *crashFS) Mkdir(name string) error {
	return c.do("mkdir", name, func(faultMode) error {
		if c.now[name] != nil {
			return fs.ErrExist
		}
		if c.now[filepath.Dir(name)] == nil {
			return missing(name)
		}
		c.now[name] = &inode{}
		return nil
	})
}

func (c *crashFS) Rename(from, to string) error {
	return c.do("rename", to, func(faultMode) error {
		if c.now[from] == nil {
			return missing(from)
		}
		c.now[to] = c.now[from]
		delete(c.now, from)
		return nil
	})
}

func (c *crashFS) Remove(name string) error {
	return c.do("remove", name, func(faultMode) error {
		if c.now[name] == nil {
			return missing(name)
		}
		delete(c.now, name)
		return nil
	})
}

func (c *crashFS) ReadDir(name string) (names []string, err error) {
	err = c.do("readdir", name, func(faultMode) error {
		for path := range c.now {
			if filepath.Dir(path) == name && path != "/" {
				names = append(names, filepath.Base(path))
			}
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

func (c *crashFS) SyncDir(name string) error {
	return c.do("syncdir", name, func(faultMode) error {
		inDir := func(path string, _ *inode) bool { return filepath.Dir(path) == name && path != "/" }
		maps.DeleteFunc(c.durable, inDir)
		for path, n := range c.now {
			if inDir(path, n) {
				c.durable[path] = n
			}
		}
		return nil
	})
}

func (c *crashFS) Lock(name string) (io.Closer, error) {
	l := &crashLock{fs: c, name: name}
	err := c.do("lock", name, func(faultMode) error {
		if c.locked {
			return store.ErrLocked
		}
		c.locked = true
		l.epoch = c.epoch
		return nil
	})
	if errors.Is(err, errFault) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.locked = false // the descriptor is gone, and a lock that was taken with it
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

type crashLock struct {
	fs    *crashFS
	name  string
	epoch int
}

func (l *crashLock) Close() error {
	return l.fs.do("unlock", l.name, func(faultMode) error {
		if l.epoch == l.fs.epoch {
			l.fs.locked = false
		}
		return nil
	})
}

func (c *crashFS) OpenFile(name string, flag int) (handle, error) {
	h := &crashFile{fs: c, name: name}
	err := c.do("open", name, func(faultMode) error {
		h.inode, h.epoch = c.now[name], c.epoch
		if h.inode == nil {
			if flag&os.O_CREATE == 0 {
				return missing(name)
			}
			h.inode = &inode{}
			c.now[name] = h.inode
		}
		if flag&os.O_TRUNC != 0 {
			h.inode.data, h.inode.dirty = nil, nil
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

type crashFile struct {
	fs *crashFS
	*inode
	name  string
	epoch int
	pos   int64
}

func (f *crashFile) do(op string, effect func(mode faultMode) error) error {
	return f.fs.do(op, f.name, func(mode faultMode) error {
		if f.epoch != f.fs.epoch {
			return fs.ErrClosed
		}
		return effect(mode)
	})
}

func (f *crashFile) write(op string, p []byte, off int64) (n int, err error) {
	err = f.do(op, func(mode faultMode) error {
		if mode == short {
			p = p[:len(p)/2]
		}
		if grow := off + int64(len(p)) - int64(len(f.data)); grow > 0 {
			f.data = append(f.data, make([]byte, grow)...)
			f.dirty = append(f.dirty, make([]bool, grow)...)
		}
		n = copy(f.data[off:], p)
		for i := range p {
			f.dirty[off+int64(i)] = true
		}
		return nil
	})
	return n, err
}

func (f *crashFile) WriteAt(p []byte, off int64) (int, error) { return f.write("writeat", p, off) }

func (f *crashFile) Write(p []byte) (int, error) {
	n, err := f.write("write", p, f.pos)
	f.pos += int64(n)
	return n, err
}

func (f *crashFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.do("readat", func(faultMode) error {
		n = copy(p, f.data[min(off, int64(len(f.data))):])
		if n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *crashFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (f *crashFile) Seek(offset int64, whence int) (pos int64, err error) {
	err = f.do("seek", func(faultMode) error {
		f.pos = offset + map[int]int64{io.SeekStart: 0, io.SeekCurrent: f.pos, io.SeekEnd: int64(len(f.data))}[whence]
		return nil
	})
	return f.pos, err
}

func (f *crashFile) Truncate(size int64) error {
	return f.do("truncate", func(faultMode) error {
		f.data, f.dirty = f.data[:size], f.dirty[:size]
		return nil
	})
}

func (f *crashFile) Sync() error {
	return f.do("sync", func(mode faultMode) error {
		if mode == failed {
			clear(f.dirty)
			return errFault
		}
		f.writeBack()
		return nil
	})
}

func (f *crashFile) Close() error { return f.do("close", func(faultMode) error { return nil }) }
