package filestate

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var errDisk = errors.New("injected fault")

// faulty is the operating system, of which one call fails: before its effect, or after
// it.
type faulty struct {
	system
	log       []string
	at        int // index into the log; -1 for never
	persisted bool
	on        bool
}

func (f *faulty) do(call string, op func() error) error {
	if !f.on {
		return op()
	}
	f.log = append(f.log, call)
	if len(f.log)-1 != f.at {
		return op()
	}
	if f.persisted {
		_ = op()
	}
	return errDisk
}

func (f *faulty) Mkdir(name string) error {
	return f.do("mkdir "+filepath.Base(name), func() error { return f.system.Mkdir(name) })
}

func (f *faulty) Rename(from, to string) error {
	return f.do("rename "+filepath.Base(to), func() error { return f.system.Rename(from, to) })
}

func (f *faulty) SyncDir(name string) error {
	return f.do("syncdir "+filepath.Base(name), func() error { return f.system.SyncDir(name) })
}

func (f *faulty) OpenFile(name string, flag int) (handle, error) {
	var h handle
	err := f.do("open "+filepath.Base(name), func() (err error) { h, err = f.system.OpenFile(name, flag); return err })
	if err != nil {
		if h != nil {
			_ = h.Close()
		}
		return nil, err
	}
	return &faultyFile{h, f}, nil
}

type faultyFile struct {
	handle
	f *faulty
}

func (h *faultyFile) Write(p []byte) (n int, err error) {
	err = h.f.do("write", func() error { n, err = h.handle.Write(p); return err })
	return n, err
}

func (h *faultyFile) Sync() error { return h.f.do("sync", h.handle.Sync) }

func (h *faultyFile) Close() error {
	if err := h.f.do("close", h.handle.Close); err != nil {
		_ = h.handle.Close()
		return err
	}
	return nil
}

// A Save that fails has happened or not, and can be repeated.
func TestAFailedSaveHasHappenedOrNot(t *testing.T) {
	calls := []string{"open job.tmp~", "write", "sync", "close", "rename job", "syncdir records"}
	for at := -1; at < len(calls); at++ {
		for _, persisted := range []bool{false, true} {
			dir := filepath.Join(t.TempDir(), "state")
			sys := &faulty{at: at, persisted: persisted}
			s := made(t, sys, dir)
			require.NoError(t, s.Save("job", []byte("old")))
			sys.on = true
			err := s.Save("job", []byte("new"))
			sys.on = false
			if at < 0 {
				require.NoError(t, err)
				require.Equal(t, calls, sys.log, "in this order, for durability")
				continue
			}
			require.ErrorIs(t, err, errDisk, calls[at])
			require.Contains(t, []string{"old", "new"}, loaded(t, s, "job"))
			require.NoError(t, s.Close())
			s = opened(t, system{}, dir)
			require.Contains(t, []string{"old", "new"}, loaded(t, s, "job"))
			require.NoError(t, s.Save("job", []byte("newer")))
			require.Equal(t, "newer", loaded(t, s, "job"))
		}
	}
}

// A Create that failed can be repeated, until the state is whole.
func TestAFailedCreateCanBeRepeated(t *testing.T) {
	sys := &faulty{at: -1, on: true}
	require.NoError(t, create(sys, filepath.Join(t.TempDir(), "state"), testKey))
	require.Greater(t, len(sys.log), 8)
	for at, call := range sys.log {
		for _, persisted := range []bool{false, true} {
			dir := filepath.Join(t.TempDir(), "state")
			require.ErrorIs(t, create(&faulty{at: at, persisted: persisted, on: true}, dir, testKey), errDisk, call)
			if err := Create(dir, testKey); err != nil {
				require.ErrorIs(t, err, ErrExists, "%s: it was whole", call)
			}
			require.NoError(t, opened(t, system{}, dir).Save("job", []byte("record")))
		}
	}
}
