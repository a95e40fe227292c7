package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func testSpool(t *testing.T, newDisk func(*testing.T, int64) Disk) {
	d := newDisk(t, 100)
	s := open(t, d)
	requireOffset := func(t *testing.T, id string, want int64) {
		t.Helper()
		offset, err := s.Spool.Offset(id)
		require.NoError(t, err)
		require.Equal(t, want, offset)
	}
	read := func(t *testing.T, id string) string {
		t.Helper()
		r, err := s.Spool.Open(id)
		return string(bytesOf(t, r, err))
	}

	t.Run("nothing can be done with a part before begin", func(t *testing.T) {
		_, err := s.Spool.Offset("a/1")
		require.ErrorIs(t, err, store.ErrNotFound)
		require.ErrorIs(t, s.Spool.Append("a/1", 0, []byte("x")), store.ErrNotFound)
		require.ErrorIs(t, s.Spool.Sync("a/1"), store.ErrNotFound)
		_, err = s.Spool.Open("a/1")
		require.ErrorIs(t, err, store.ErrNotFound)
		require.NoError(t, s.Spool.Delete("a/1"))
	})

	t.Run("chunks add up, and begin may be repeated at any time", func(t *testing.T) {
		require.NoError(t, s.Spool.Begin("a/1", 10))
		requireOffset(t, "a/1", 0)
		require.NoError(t, s.Spool.Append("a/1", 0, []byte("0123")))
		require.NoError(t, s.Spool.Begin("a/1", 10))
		require.NoError(t, s.Spool.Append("a/1", 4, nil))
		require.NoError(t, s.Spool.Append("a/1", 4, []byte("45")))
		requireOffset(t, "a/1", 6)
		require.Equal(t, "012345", read(t, "a/1"))
	})

	t.Run("a chunk out of place is told where to go on and changes nothing", func(t *testing.T) {
		for _, offset := range []int64{-1, 0, 4, 7} {
			err := s.Spool.Append("a/1", offset, []byte("x"))
			var wrong *store.OffsetError
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, store.OffsetError{ID: "a/1", Given: offset, Present: 6}, *wrong)
		}
		require.Equal(t, "012345", read(t, "a/1"))
	})

	t.Run("bytes beyond the declared size are refused", func(t *testing.T) {
		require.ErrorIs(t, s.Spool.Append("a/1", 6, []byte("67890")), store.ErrSize)
		require.Equal(t, "012345", read(t, "a/1"))
	})

	t.Run("another size for the same part is a conflict", func(t *testing.T) {
		require.ErrorIs(t, s.Spool.Begin("a/1", 11), store.ErrConflict)
	})

	t.Run("synced bytes survive a crash, later ones perhaps, and the upload goes on where it is", func(t *testing.T) {
		require.NoError(t, s.Spool.Sync("a/1"))
		require.NoError(t, s.Spool.Append("a/1", 6, []byte("78")))
		s = crash(t, d)
		offset, err := s.Spool.Offset("a/1")
		require.NoError(t, err)
		require.Contains(t, []int64{6, 7, 8}, offset)
		require.Equal(t, "01234578"[:offset], read(t, "a/1"))
		require.NoError(t, s.Spool.Append("a/1", offset, []byte("01234578ab")[offset:]))
		require.NoError(t, s.Spool.Sync("a/1"))
		s = crash(t, d)
		require.Equal(t, "01234578ab", read(t, "a/1"))
		require.NoError(t, s.Spool.Sync("a/1"), "syncing what is durable")
	})

	t.Run("a reader shows what was there when it was opened, and outlives the part", func(t *testing.T) {
		require.NoError(t, s.Spool.Begin("b", 4))
		require.NoError(t, s.Spool.Append("b", 0, []byte("ab")))
		r, err := s.Spool.Open("b")
		require.NoError(t, err)
		require.NoError(t, s.Spool.Append("b", 2, []byte("cd")))
		require.NoError(t, s.Spool.Delete("b"))
		require.Equal(t, "ab", string(bytesOf(t, r, nil)))
	})

	t.Run("declared sizes count against the bound, also after a crash, until they are deleted", func(t *testing.T) {
		require.ErrorIs(t, s.Spool.Begin("c", 101), store.ErrSize, "could never fit")
		require.ErrorIs(t, s.Spool.Begin("c", -1), store.ErrSize)
		require.ErrorIs(t, s.Spool.Begin("c", 91), store.ErrFull)
		require.NoError(t, s.Spool.Begin("c", 90))
		require.NoError(t, s.Spool.Begin("zero", 0))
		s = crash(t, d)
		require.ErrorIs(t, s.Spool.Begin("e", 1), store.ErrFull)
		parts, err := s.Spool.List()
		require.NoError(t, err)
		require.Equal(t, []store.Part{{ID: "a/1", Size: 10, Offset: 10}, {ID: "c", Size: 90}, {ID: "zero"}}, parts)
		require.NoError(t, s.Spool.Delete("c"))
		require.NoError(t, s.Spool.Delete("c"), "deleting what is not there")
		require.NoError(t, s.Spool.Begin("e", 90))
		require.NoError(t, s.Spool.Delete("e"))
		s = crash(t, d)
		_, err = s.Spool.Offset("e")
		require.ErrorIs(t, err, store.ErrNotFound)
		require.NoError(t, s.Spool.Begin("e", 90))
	})

	t.Run("a deleted part begins anew with another size", func(t *testing.T) {
		require.NoError(t, s.Spool.Delete("a/1"))
		require.NoError(t, s.Spool.Begin("a/1", 5))
		requireOffset(t, "a/1", 0)
		require.NoError(t, s.Spool.Append("a/1", 0, []byte("fresh")))
		require.Equal(t, "fresh", read(t, "a/1"))
	})

	t.Run("names that could leave their place are refused", func(t *testing.T) {
		for _, id := range badNames() {
			require.ErrorIs(t, s.Spool.Begin(id, 1), store.ErrName, "%q", id)
			require.NoError(t, s.Spool.Delete(id), "%q", id)
		}
	})

	t.Run("of the same chunk sent twice at the same time one is taken", func(t *testing.T) { testSpoolRace(t, newDisk(t, 1000)) })
}

func testSpoolRace(t *testing.T, d Disk) {
	s := open(t, d)
	const ids, chunks = 3, 10
	var taken atomic.Int64
	var wg sync.WaitGroup
	for i := range 2 * ids {
		id := fmt.Sprintf("client-%d", i%ids)
		wg.Go(func() {
			assert.NoError(t, s.Spool.Begin(id, 2*chunks))
			for at := int64(0); at < 2*chunks; {
				err := s.Spool.Append(id, at, fmt.Appendf(nil, "%02d", at))
				var wrong *store.OffsetError
				switch {
				case err == nil:
					taken.Add(1)
					at += 2
				case errors.As(err, &wrong):
					at = wrong.Present
				default:
					assert.NoError(t, err)
					return
				}
			}
			assert.NoError(t, s.Spool.Sync(id))
			_, err := s.Spool.List()
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	require.Equal(t, int64(ids*chunks), taken.Load())
	for i := range ids {
		r, err := s.Spool.Open(fmt.Sprintf("client-%d", i))
		require.Equal(t, "00020406081012141618", string(bytesOf(t, r, err)))
	}
	for range ids { // parts that come and go while others look
		wg.Go(func() {
			for range chunks {
				assert.NoError(t, s.Spool.Begin("brief", 1))
				if err := s.Spool.Append("brief", 0, []byte("x")); err != nil {
					var wrong *store.OffsetError
					assert.True(t, errors.As(err, &wrong) || errors.Is(err, store.ErrNotFound), err)
				}
				assert.NoError(t, s.Spool.Delete("brief"))
			}
		})
	}
	wg.Wait()
	require.NoError(t, s.Spool.Begin("rest", 1000-ids*2*chunks), "no reservation is left behind")
}
