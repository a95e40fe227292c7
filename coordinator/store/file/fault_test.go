package file

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/stretchr/testify/require"
)

// operation is a call of the store whose every call of the operating system is made to fail in turn.
type operation struct {
	name     string
	before   func(t *testing.T, s *store.Store) // brings the store to the state "old"
	act      func(s *store.Store) error         // brings it to the state "new"
	state    func(s *store.Store) (string, error)
	points   []point
	again    map[string]error // of trying it again, by state of the running store; else store.ErrPoisoned for "poisoned" and nil
	unsynced bool             // its states concern bytes that are promised only after Sync
}

// point is what must hold after one fault: what the running store says, and what it says when it is opened again after a kill,
// after a power cut that loses all that is not durable, and after one that loses nothing that had been handed to the system.
type point struct {
	call                   string
	mode                   faultMode
	running                string
	killed, cut, cutLatest string
}

// publishPoints are the points of writing a file under another name and renaming it. The running store says before if the new name
// was not yet in play, after otherwise.
func publishPoints(name, write, dir, before, after string) []point {
	tmp := name + ".tmp"
	return []point{
		{"open " + tmp, failed, before, "old", "old", "old"},
		{"open " + tmp, persisted, before, "old", "old", "old"},
		{write + " " + tmp, failed, before, "old", "old", "old"},
		{write + " " + tmp, short, before, "old", "old", "old"},
		{write + " " + tmp, persisted, before, "old", "old", "old"},
		{"sync " + tmp, failed, before, "old", "old", "old"},
		{"sync " + tmp, persisted, before, "old", "old", "old"},
		{"close " + tmp, failed, before, "old", "old", "old"},
		{"close " + tmp, persisted, before, "old", "old", "old"},
		{"rename " + name, failed, after, "old", "old", "old"},
		{"rename " + name, persisted, after, "new", "old", "new"},
		{"syncdir " + dir, failed, after, "new", "old", "new"},
		{"syncdir " + dir, persisted, after, "new", "new", "new"},
	}
}

// removePoints are the points of removing a file durably.
func removePoints(name, dir, running, runningGone string) []point {
	return []point{
		{"remove " + name, failed, running, "old", "old", "old"},
		{"remove " + name, persisted, runningGone, "new", "old", "new"},
		{"syncdir " + dir, failed, runningGone, "new", "old", "new"},
		{"syncdir " + dir, persisted, runningGone, "new", "new", "new"},
	}
}

func operations() []operation {
	nothing := func(*testing.T, *store.Store) {}
	// segment says which of the appends "1" and "2"+"3" are there, and fails if one is there in part.
	segment := func(old, new string) func(*store.Store) (string, error) {
		return func(s *store.Store) (string, error) {
			var all []string
			err := s.Journal.Read("a", func(r []byte) error { all = append(all, string(r)); return nil })
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return "", err
			}
			return oldOrNew(strings.Join(all, " "), old, new)
		}
	}
	blob := store.Digest{0x2c, 0xf2, 0x4d, 0xba, 0x5f, 0xb0, 0xa3, 0x0e, 0x26, 0xe8, 0x3b, 0x2a, 0xc5, 0xb9, 0xe2, 0x9e,
		0x1b, 0x16, 0x1e, 0x5c, 0x1f, 0xa7, 0x42, 0x5e, 0x73, 0x04, 0x33, 0x62, 0x93, 0x8b, 0x98, 0x24} // of "hello"
	blobFile := "blobs/" + blob.String()
	blobState := func(old, new string) func(*store.Store) (string, error) {
		return func(s *store.Store) (string, error) {
			p, err := store.ReadBlob(s.Blobs, blob, 100)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return "", err
			}
			return oldOrNew(string(p), old, new)
		}
	}
	part := func(old, new string) func(*store.Store) (string, error) {
		return func(s *store.Store) (string, error) {
			r, err := s.Spool.Open("u")
			if errors.Is(err, store.ErrNotFound) {
				return oldOrNew("absent", old, new)
			}
			if err != nil {
				return "", err
			}
			p, err := io.ReadAll(r)
			return oldOrNew(string(p), old, new, errors.Join(err, r.Close()))
		}
	}
	begun := func(t *testing.T, s *store.Store) { require.NoError(t, s.Spool.Begin("u", 8)) }
	spooled := func(t *testing.T, s *store.Store) {
		begun(t, s)
		require.NoError(t, s.Spool.Append("u", 0, []byte("abcd")))
		require.NoError(t, s.Spool.Sync("u"))
	}

	return []operation{{
		name: "first append to a segment", before: nothing,
		act:    func(s *store.Store) error { return s.Journal.Append("a", []byte("2"), []byte("3")) },
		state:  segment("", "2 3"),
		points: publishPoints("journal/a.log", "write", "journal", "poisoned", "poisoned"),
	}, {
		name:   "append to a segment",
		before: func(t *testing.T, s *store.Store) { require.NoError(t, s.Journal.Append("a", []byte("1"))) },
		act:    func(s *store.Store) error { return s.Journal.Append("a", []byte("2"), []byte("3")) },
		state:  segment("1", "1 2 3"),
		points: []point{
			{"open journal/a.log", failed, "poisoned", "old", "old", "old"},
			{"open journal/a.log", persisted, "poisoned", "old", "old", "old"},
			{"writeat journal/a.log", failed, "poisoned", "old", "old", "old"},
			{"writeat journal/a.log", short, "poisoned", "old", "old", "old"},
			{"writeat journal/a.log", persisted, "poisoned", "new", "old", "new"},
			{"sync journal/a.log", failed, "poisoned", "new", "old", "old"}, // killed: still in the cache, and made durable by the reopening
			{"sync journal/a.log", persisted, "poisoned", "new", "new", "new"},
			{"close journal/a.log", failed, "poisoned", "new", "new", "new"},
			{"close journal/a.log", persisted, "poisoned", "new", "new", "new"},
		},
	}, {
		name:   "drop of a segment",
		before: func(t *testing.T, s *store.Store) { require.NoError(t, s.Journal.Append("a", []byte("1"))) },
		act:    func(s *store.Store) error { return s.Journal.Drop("a") },
		state:  segment("1", ""),
		points: removePoints("journal/a.log", "journal", "poisoned", "poisoned"),
		again:  map[string]error{"poisoned": nil},
	}, {
		name:   "swap of the head",
		before: func(t *testing.T, s *store.Store) { require.NoError(t, s.Head.Swap(0, []byte("one"))) },
		act:    func(s *store.Store) error { return s.Head.Swap(1, []byte("two, which is longer")) },
		state: func(s *store.Store) (string, error) {
			value, revision, err := s.Head.Load()
			return oldOrNew(fmt.Sprintf("%s@%d", value, revision), "one@1", "two, which is longer@2", err)
		},
		points: publishPoints("head", "write", ".", "old", "poisoned"),
	}, {
		name: "writing a blob", before: nothing,
		act:   func(s *store.Store) error { _, err := store.WriteBlob(s.Blobs, []byte("hello")); return err },
		state: blobState("", "hello"),
		points: func() []point {
			points := publishPoints(blobFile, "write", "blobs", "old", "new")
			for i := range points {
				points[i].call = strings.Replace(points[i].call, blobFile+".tmp", "blobs/1.tmp", 1)
				if points[i].call == "rename "+blobFile && points[i].mode == failed {
					points[i].running = "old"
				}
			}
			return points
		}(),
	}, {
		name: "deleting a blob",
		before: func(t *testing.T, s *store.Store) {
			_, err := store.WriteBlob(s.Blobs, []byte("hello"))
			require.NoError(t, err)
		},
		act:    func(s *store.Store) error { return s.Blobs.Delete(blob) },
		state:  blobState("hello", ""),
		points: removePoints(blobFile, "blobs", "old", "new"),
	}, {
		name: "beginning a part", before: nothing,
		act:   func(s *store.Store) error { return s.Spool.Begin("u", 8) },
		state: part("absent", ""),
		points: func() []point {
			points := publishPoints("spool/u.part", "write", "spool", "old", "old")
			for i, p := range points { // whatever was done is undone
				points[i] = point{p.call, p.mode, "old", "old", "old", "old"}
			}
			return points
		}(),
	}, {
		name: "appending to a part", before: spooled, unsynced: true,
		act:   func(s *store.Store) error { return s.Spool.Append("u", 4, []byte("efgh")) },
		state: part("abcd", "abcdefgh"),
		points: []point{
			{"open spool/u.part", failed, "old", "old", "old", "old"},
			{"open spool/u.part", persisted, "old", "old", "old", "old"},
			{"writeat spool/u.part", failed, "old", "old", "old", "old"},
			{"writeat spool/u.part", short, "old", "abcdef", "old", "abcdef"}, // the one thing that may be there in part: its offset says so
			{"writeat spool/u.part", persisted, "old", "new", "old", "new"},
			{"close spool/u.part", failed, "old", "new", "old", "new"},
			{"close spool/u.part", persisted, "old", "new", "old", "new"},
		},
	}, {
		name: "syncing a part", unsynced: true,
		before: func(t *testing.T, s *store.Store) {
			begun(t, s)
			require.NoError(t, s.Spool.Append("u", 0, []byte("abcd")))
		},
		act:   func(s *store.Store) error { return s.Spool.Sync("u") },
		state: part("absent", "abcd"), // a part whose flush has failed is removed
		again: map[string]error{"old": store.ErrNotFound},
		points: []point{
			{"open spool/u.part", failed, "new", "new", "empty", "new"}, // no flush was tried: as before the call
			{"open spool/u.part", persisted, "new", "new", "empty", "new"},
			{"sync spool/u.part", failed, "old", "old", "old", "old"},
			{"sync spool/u.part", persisted, "old", "old", "old", "old"},
			{"close spool/u.part", failed, "old", "old", "old", "old"},
			{"close spool/u.part", persisted, "old", "old", "old", "old"},
		},
	}, {
		name: "deleting a part", before: spooled,
		act:    func(s *store.Store) error { return s.Spool.Delete("u") },
		state:  part("abcd", "absent"),
		points: removePoints("spool/u.part", "spool", "poisoned", "poisoned"),
		again:  map[string]error{"poisoned": nil},
	}}
}

// oldOrNew names a state; one that is neither names itself.
func oldOrNew(got, old, new string, errs ...error) (string, error) {
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	switch got {
	case old:
		return "old", nil
	case new:
		return "new", nil
	case "":
		return "empty", nil
	}
	return got, nil
}

// stateOf is op.state with the state "poisoned".
func stateOf(t *testing.T, op operation, s *store.Store) string {
	t.Helper()
	state, err := op.state(s)
	if errors.Is(err, store.ErrPoisoned) {
		return "poisoned"
	}
	require.NoError(t, err)
	return state
}

func openCrash(t *testing.T, c *crashFS) *store.Store {
	t.Helper()
	s, err := open(c, crashDir, 1000)
	require.NoError(t, err)
	return s
}

// failAt returns a disk in state "old" and its store, after op has failed at a point.
func failAt(t *testing.T, op operation, calls []string, p point) (*crashFS, *store.Store) {
	c := newCrashFS()
	s := openCrash(t, c)
	op.before(t, s)
	c.arm(slices.Index(calls, p.call), p.mode)
	require.ErrorIs(t, op.act(s), errFault)
	return c, s
}

func TestFaultsLeaveTheOldStateOrTheNew(t *testing.T) {
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			c := newCrashFS()
			s := openCrash(t, c)
			op.before(t, s)
			c.arm(-1, failed)
			require.NoError(t, op.act(s))
			calls := c.calls()
			require.Equal(t, "new", stateOf(t, op, s))
			c.restart(lose)
			if !op.unsynced {
				require.Equal(t, "new", stateOf(t, op, openCrash(t, c)), "acknowledged, so durable")
			}

			for _, call := range calls {
				for _, mode := range []faultMode{failed, persisted} {
					require.True(t, slices.ContainsFunc(op.points, func(p point) bool { return p.call == call && p.mode == mode }), "no row for %s, %s", call, mode)
				}
			}
			for _, p := range op.points {
				require.Contains(t, calls, p.call)
				t.Run(fmt.Sprintf("%s %s", p.call, p.mode), func(t *testing.T) { testPoint(t, op, calls, p) })
			}
		})
	}
}

func testPoint(t *testing.T, op operation, calls []string, p point) {
	c, s := failAt(t, op, calls, p)
	require.Equal(t, p.running, stateOf(t, op, s))
	if p.running == "poisoned" {
		require.NoError(t, s.Journal.Append("other", []byte("x")), "other objects are not affected")
		require.NoError(t, s.Spool.Begin("other", 1))
	}
	again, ok := op.again[p.running]
	if !ok && p.running == "poisoned" {
		again = store.ErrPoisoned
	}
	c.arm(-1, failed)
	require.ErrorIs(t, op.act(s), again, "trying again")
	if again == store.ErrPoisoned {
		require.Empty(t, c.calls(), "what is poisoned is not touched")
	}
	if again == nil {
		require.Equal(t, "new", stateOf(t, op, s))
	}

	for how, want := range map[restart]string{kill: p.killed, lose: p.cut, keep: p.cutLatest} {
		c, _ := failAt(t, op, calls, p)
		c.restart(how)
		s := openCrash(t, c)
		require.Equal(t, want, stateOf(t, op, s), how)
		if op.unsynced {
			continue
		}
		c.restart(lose)
		s = openCrash(t, c)
		require.Equal(t, want, stateOf(t, op, s), "%s: what a store has shown stays", how)
		if want == "old" {
			require.NoError(t, op.act(s))
			c.restart(lose)
			require.Equal(t, "new", stateOf(t, op, openCrash(t, c)), how)
		}
	}
}
