// Package storetest holds the one test suite that every implementation of package store passes.
package storetest

import (
	"io"
	"testing"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/stretchr/testify/require"
)

// Disk is a medium that one store at a time can be opened over.
type Disk interface {
	// Open opens the store, as the constructor of the implementation does.
	Open() (*store.Store, error)
	// Crash ends the open store without closing it; what was not durable may be lost.
	Crash()
}

// Run tests an implementation. makeDisk returns an empty medium whose spool is bounded to spoolMax bytes; Crash is the last call for each.
func Run(t *testing.T, makeDisk func(t *testing.T, spoolMax int64) Disk) {
	newDisk := func(t *testing.T, spoolMax int64) Disk {
		d := makeDisk(t, spoolMax)
		t.Cleanup(d.Crash)
		return d
	}
	for name, test := range map[string]func(*testing.T, Disk){
		"store": testStore, "journal": testJournal, "head": testHead, "blobs": testBlobs,
	} {
		t.Run(name, func(t *testing.T) { test(t, newDisk(t, 1<<20)) })
	}
	t.Run("spool", func(t *testing.T) { testSpool(t, newDisk) })
}

func open(t *testing.T, d Disk) *store.Store {
	t.Helper()
	s, err := d.Open()
	require.NoError(t, err)
	return s
}

// crash loses what is not durable and opens the store again.
func crash(t *testing.T, d Disk) *store.Store {
	t.Helper()
	d.Crash()
	return open(t, d)
}

// bytesOf reads a reader to its end and closes it.
func bytesOf(t *testing.T, r store.Reader, err error) []byte {
	t.Helper()
	require.NoError(t, err)
	p, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, r.Size(), int64(len(p)))
	require.NoError(t, r.Close())
	return p
}

func testStore(t *testing.T, d Disk) {
	s := open(t, d)
	require.NoError(t, s.Journal.Append("a", []byte("one")))
	require.NoError(t, s.Head.Swap(0, []byte("value")))
	blob, err := store.WriteBlob(s.Blobs, []byte("blob"))
	require.NoError(t, err)
	require.NoError(t, s.Spool.Begin("part", 3))
	require.NoError(t, s.Spool.Append("part", 0, []byte("abc")))
	require.NoError(t, s.Spool.Sync("part"))

	t.Run("a second open is refused while the first lasts", func(t *testing.T) {
		_, err := d.Open()
		require.ErrorIs(t, err, store.ErrLocked)
	})

	w, err := s.Blobs.Create()
	require.NoError(t, err)
	_, err = w.Write([]byte("late"))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "closing twice")

	t.Run("every call after close is refused", func(t *testing.T) {
		_, _, commit := w.Commit()
		_, segments := s.Journal.Segments()
		_, _, load := s.Head.Load()
		_, create := s.Blobs.Create()
		_, openBlob := s.Blobs.Open(blob)
		_, stat := s.Blobs.Stat(blob)
		_, listBlobs := s.Blobs.List()
		_, offset := s.Spool.Offset("part")
		_, openPart := s.Spool.Open("part")
		_, listParts := s.Spool.List()
		for name, err := range map[string]error{
			"append": s.Journal.Append("a", []byte("two")), "read": s.Journal.Read("a", nil), "segments": segments, "drop": s.Journal.Drop("a"),
			"load": load, "swap": s.Head.Swap(1, nil),
			"commit": commit, "create": create, "open": openBlob, "stat": stat, "delete": s.Blobs.Delete(blob), "list": listBlobs,
			"begin": s.Spool.Begin("other", 1), "offset": offset, "append chunk": s.Spool.Append("part", 0, nil), "sync": s.Spool.Sync("part"),
			"open part": openPart, "delete part": s.Spool.Delete("part"), "list parts": listParts,
		} {
			require.ErrorIs(t, err, store.ErrClosed, name)
		}
	})

	t.Run("all is there after opening again", func(t *testing.T) {
		s := open(t, d)
		require.Equal(t, []string{"one"}, records(t, s, "a"))
		value, revision, err := s.Head.Load()
		require.NoError(t, err)
		require.Equal(t, "value", string(value))
		require.Equal(t, uint64(1), revision)
		digests, err := s.Blobs.List()
		require.NoError(t, err)
		require.Equal(t, []store.Digest{blob}, digests)
		r, err := s.Spool.Open("part")
		require.Equal(t, "abc", string(bytesOf(t, r, err)))
	})
}
