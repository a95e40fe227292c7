package filestate

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
)

var errDisk = errors.New("injected fault")

// faulty is the operating system, of which one call fails: before its effect, or
// after it.
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

func (f *faulty) Remove(name string) error {
	return f.do("remove "+filepath.Base(name), func() error { return f.system.Remove(name) })
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

// contents is all that a state holds, for comparison.
type contents struct {
	records map[secagg.RoundID]string
	sealed  string
	account client.Account
}

func contentsOf(t *testing.T, s *State) contents {
	all, err := s.All()
	require.NoError(t, err)
	c := contents{records: map[secagg.RoundID]string{}}
	for id, r := range all {
		c.records[id] = string(r)
	}
	if r, _, err := s.Open(roundA); err == nil {
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		c.sealed = string(b)
	}
	c.account, err = s.Account()
	require.NoError(t, err)
	return c
}

// prepare makes a state with a record, its ciphertext and a charge.
func prepare(t *testing.T, sys fsys, dir string) *State {
	s, err := open(sys, dir, nil)
	require.NoError(t, err)
	require.NoError(t, s.Put(roundA, []byte("record")))
	require.NoError(t, seal(s, roundA, "ciphertext"))
	require.NoError(t, charge(s, roundA))
	return s
}

var operations = map[string]struct {
	op    func(*State) error
	calls []string // in their order, for durability
}{
	"a new record": {func(s *State) error { return s.Put(roundB, []byte("new")) },
		[]string{"open a.job@12@3.tmp", "write", "sync", "close", "rename a.job@12@3", "syncdir records"}},
	"a replaced record": {func(s *State) error { return s.Put(roundA, []byte("new")) },
		[]string{"open a.job@1@1.tmp", "write", "sync", "close", "rename a.job@1@1", "syncdir records"}},
	"an erased record": {func(s *State) error { return s.Put(roundA, nil) },
		[]string{"remove a.job@1@1", "syncdir records"}},
	"a charge": {func(s *State) error { return charge(s, roundB) },
		[]string{"open tally", "close", "open tally.tmp", "write", "sync", "close", "rename tally", "syncdir state"}},
	"a ledger head": {func(s *State) error { return see(s, 7) },
		[]string{"open tally", "close", "open tally.tmp", "write", "sync", "close", "rename tally", "syncdir state"}},
	"a removed ciphertext": {func(s *State) error { return s.Remove(roundA) },
		[]string{"remove a.job@1@1", "syncdir sealed"}},
}

func TestAFailedCallHasHappenedOrNot(t *testing.T) {
	for name, row := range operations {
		t.Run(name, func(t *testing.T) {
			sys := &faulty{at: -1}
			s := prepare(t, sys, filepath.Join(t.TempDir(), "state"))
			before := contentsOf(t, s)
			sys.on = true
			require.NoError(t, row.op(s))
			sys.on = false
			after := contentsOf(t, s)
			require.NotEqual(t, before, after)
			require.Equal(t, row.calls, sys.log)

			for at, call := range row.calls {
				for _, persisted := range []bool{false, true} {
					where := call + " failed"
					if persisted {
						where += " but persisted"
					}
					dir := filepath.Join(t.TempDir(), "state")
					sys := &faulty{at: at, persisted: persisted}
					s := prepare(t, sys, dir)
					sys.on = true
					err := row.op(s)
					sys.on = false
					if call == "close" && at == 1 {
						require.NoError(t, err, "closing what was only read cannot lose anything")
					} else {
						require.ErrorIs(t, err, errDisk, where)
					}
					require.Contains(t, []contents{before, after}, contentsOf(t, s), where)
					require.NoError(t, s.Close())
					s = mustOpen(t, dir, nil)
					now := contentsOf(t, s)
					if name != "an erased record" { // whose ciphertext a restart removes
						require.Contains(t, []contents{before, after}, now, where)
					}
					require.NoError(t, row.op(s), "again")
					if name != "an erased record" {
						require.Equal(t, after, contentsOf(t, s), where)
					}
				}
			}
		})
	}
}

func TestACiphertextIsReportedDurableOnlyWhenItIs(t *testing.T) {
	calls := []string{"open a.job@1@1", "write", "sync", "close", "syncdir sealed"}
	for at := -1; at < len(calls); at++ {
		for _, persisted := range []bool{false, true} {
			sys := &faulty{at: at, persisted: persisted}
			s, err := open(sys, filepath.Join(t.TempDir(), "state"), nil)
			require.NoError(t, err)
			sys.on = true
			err = seal(s, roundA, "ciphertext")
			sys.on = false
			if at < 0 {
				require.NoError(t, err)
				require.Equal(t, calls, sys.log)
			} else {
				require.ErrorIs(t, err, errDisk, calls[at])
			}
			require.NoError(t, s.Close())
		}
	}
}

func TestAFailedOpenCanBeRepeated(t *testing.T) {
	sys := &faulty{at: -1, on: true}
	s, err := open(sys, filepath.Join(t.TempDir(), "state"), nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	for at, call := range sys.log {
		for _, persisted := range []bool{false, true} {
			dir := filepath.Join(t.TempDir(), "state")
			sys := &faulty{at: at, persisted: persisted, on: true}
			if s, err := open(sys, dir, nil); err == nil {
				require.NoError(t, s.Close())
				require.Contains(t, []string{"close"}, call)
			}
			key, _ := os.ReadFile(filepath.Join(dir, keyName))
			s := mustOpen(t, dir, nil)
			require.NoError(t, s.Put(roundA, []byte("record")), call)
			if key != nil {
				again, err := os.ReadFile(filepath.Join(dir, keyName))
				require.NoError(t, err)
				require.Equal(t, key, again, "a key that was made is kept")
			}
			require.NoError(t, s.Close())
		}
	}
}
