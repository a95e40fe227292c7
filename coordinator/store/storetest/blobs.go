package storetest

import (
	"bytes"
	"crypto/sha256"
	"io"
	"sync"
	"testing"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func testBlobs(t *testing.T, d Disk) {
	s := open(t, d)
	read := func(t *testing.T, digest store.Digest) string {
		t.Helper()
		r, err := s.Blobs.Open(digest)
		return string(bytesOf(t, r, err))
	}
	requireAbsent := func(t *testing.T, digest store.Digest) {
		t.Helper()
		_, err := s.Blobs.Open(digest)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = s.Blobs.Stat(digest)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = store.ReadBlob(s.Blobs, digest, 100)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.ErrorIs(t, store.Verify(s.Blobs, digest), store.ErrNotFound)
	}
	hello := store.Digest(sha256.Sum256([]byte("hello")))

	t.Run("nothing is seen before commit, and a crash before it leaves nothing", func(t *testing.T) {
		w, err := s.Blobs.Create()
		require.NoError(t, err)
		_, err = w.Write([]byte("hello"))
		require.NoError(t, err)
		requireAbsent(t, hello)
		digests, err := s.Blobs.List()
		require.NoError(t, err)
		require.Empty(t, digests)
		s = crash(t, d)
		requireAbsent(t, hello)
		_, _, err = w.Commit()
		require.Error(t, err, "commit into a store that is gone")
		requireAbsent(t, hello)
		digests, err = s.Blobs.List()
		require.NoError(t, err)
		require.Empty(t, digests)
	})

	t.Run("a committed blob has the digest of its bytes and survives a crash", func(t *testing.T) {
		w, err := s.Blobs.Create()
		require.NoError(t, err)
		for _, p := range []string{"he", "", "llo"} {
			n, err := w.Write([]byte(p))
			require.NoError(t, err)
			require.Equal(t, len(p), n)
		}
		digest, size, err := w.Commit()
		require.NoError(t, err)
		require.Equal(t, hello, digest)
		require.Equal(t, int64(5), size)
		s = crash(t, d)
		require.Equal(t, "hello", read(t, hello))
		size, err = s.Blobs.Stat(hello)
		require.NoError(t, err)
		require.Equal(t, int64(5), size)
		require.NoError(t, store.Verify(s.Blobs, hello))
	})

	t.Run("a writer is finished after commit", func(t *testing.T) {
		w, err := s.Blobs.Create()
		require.NoError(t, err)
		digest, _, err := w.Commit()
		require.NoError(t, err)
		require.Equal(t, store.Digest(sha256.Sum256(nil)), digest, "an empty blob")
		_, err = w.Write([]byte("more"))
		require.ErrorIs(t, err, store.ErrClosed)
		_, _, err = w.Commit()
		require.ErrorIs(t, err, store.ErrClosed)
		require.NoError(t, w.Discard())
		require.Empty(t, read(t, digest))
		require.NoError(t, s.Blobs.Delete(digest))
	})

	t.Run("a discarded blob leaves nothing", func(t *testing.T) {
		w, err := s.Blobs.Create()
		require.NoError(t, err)
		_, err = w.Write([]byte("unwanted"))
		require.NoError(t, err)
		require.NoError(t, w.Discard())
		require.NoError(t, w.Discard(), "discarding twice")
		_, _, err = w.Commit()
		require.ErrorIs(t, err, store.ErrClosed)
		requireAbsent(t, sha256.Sum256([]byte("unwanted")))
	})

	t.Run("the same bytes again are the same blob", func(t *testing.T) {
		again, err := store.WriteBlob(s.Blobs, []byte("hello"))
		require.NoError(t, err)
		require.Equal(t, hello, again)
		require.Equal(t, "hello", read(t, hello))
	})

	t.Run("a reader seeks", func(t *testing.T) {
		r, err := s.Blobs.Open(hello)
		require.NoError(t, err)
		at, err := r.Seek(-3, io.SeekEnd)
		require.NoError(t, err)
		require.Equal(t, int64(2), at)
		p, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, "llo", string(p))
		require.NoError(t, r.Close())
	})

	t.Run("a blob is read whole only within the limit", func(t *testing.T) {
		p, err := store.ReadBlob(s.Blobs, hello, 5)
		require.NoError(t, err)
		require.Equal(t, "hello", string(p))
		_, err = store.ReadBlob(s.Blobs, hello, 4)
		require.ErrorIs(t, err, store.ErrSize)
	})

	t.Run("many goroutines write blobs and list shows all in order", func(t *testing.T) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				_, err := store.WriteBlob(s.Blobs, bytes.Repeat([]byte{byte(i / 2)}, 100)) // each content twice
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		digests, err := s.Blobs.List()
		require.NoError(t, err)
		require.Len(t, digests, 1+4)
		for i, digest := range digests {
			require.NoError(t, store.Verify(s.Blobs, digest))
			require.True(t, i == 0 || bytes.Compare(digests[i-1][:], digest[:]) < 0)
		}
	})

	t.Run("a deleted blob is gone after a crash, but not for its reader", func(t *testing.T) {
		r, err := s.Blobs.Open(hello)
		require.NoError(t, err)
		require.NoError(t, s.Blobs.Delete(hello))
		require.NoError(t, s.Blobs.Delete(hello), "deleting what is not there")
		requireAbsent(t, hello)
		require.Equal(t, "hello", string(bytesOf(t, r, nil)))
		s = crash(t, d)
		requireAbsent(t, hello)
	})
}
