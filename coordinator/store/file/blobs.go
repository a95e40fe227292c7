package file

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/choir-fl/choir/coordinator/store"
)

// blobs implements store.Blobs. The directory is its only state.
type blobs struct {
	*disk
	writers atomic.Uint64 // numbers the temporary files
}

func loadBlobs(d *disk) (*blobs, error) {
	b := &blobs{disk: d}
	names, err := d.names("blobs", "")
	if err != nil {
		return nil, err
	}
	_, err = b.digests(names)
	return b, err
}

func (b *blobs) file(digest store.Digest) string { return b.path("blobs", digest.String()) }

// digests decodes the names of blobs, ascending as the names are.
func (b *blobs) digests(names []string) ([]store.Digest, error) {
	digests := make([]store.Digest, 0, len(names))
	for _, name := range names {
		p, err := hex.DecodeString(name)
		if err != nil || len(p) != len(store.Digest{}) || hex.EncodeToString(p) != name {
			return nil, b.stranger("blobs", name)
		}
		digests = append(digests, store.Digest(p))
	}
	return digests, nil
}

func (b *blobs) List() ([]store.Digest, error) {
	if err := b.enter(); err != nil {
		return nil, err
	}
	defer b.leave()
	entries, err := b.ReadDir(b.path("blobs"))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	names := make([]string, 0, len(entries))
	for _, name := range entries {
		if len(name) == hex.EncodedLen(sha256.Size) { // else a blob that is being written
			names = append(names, name)
		}
	}
	return b.digests(names)
}

func (b *blobs) Open(digest store.Digest) (store.Reader, error) {
	if err := b.enter(); err != nil {
		return nil, err
	}
	defer b.leave()
	f, err := b.OpenFile(b.file(digest), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: blob %v: %w", digest, store.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), f.Close())
	}
	return newReader(f, 0, size), nil
}

func (b *blobs) Stat(digest store.Digest) (int64, error) {
	r, err := b.Open(digest)
	if err != nil {
		return 0, err
	}
	return r.Size(), r.Close()
}

func (b *blobs) Delete(digest store.Digest) error {
	if err := b.enter(); err != nil {
		return err
	}
	defer b.leave()
	if err := b.remove(b.file(digest)); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

func (b *blobs) Create() (store.BlobWriter, error) {
	if err := b.enter(); err != nil {
		return nil, err
	}
	defer b.leave()
	tmp := b.path("blobs", strconv.FormatUint(b.writers.Add(1), 10)+".tmp")
	f, err := b.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &blobWriter{blobs: b, f: f, tmp: tmp, hash: sha256.New()}, nil
}

// blobWriter implements store.BlobWriter.
type blobWriter struct {
	*blobs
	f    handle // nil when finished
	tmp  string
	hash hash.Hash
	size int64
}

func (w *blobWriter) Write(p []byte) (int, error) {
	if w.f == nil {
		return 0, fmt.Errorf("store: blob writer: %w", store.ErrClosed)
	}
	n, err := w.f.Write(p)
	if err != nil {
		return n, errors.Join(fmt.Errorf("store: blob given up: %w", err), w.Discard())
	}
	w.hash.Write(p)
	w.size += int64(n)
	return n, nil
}

func (w *blobWriter) Commit() (store.Digest, int64, error) {
	if w.f == nil {
		return store.Digest{}, 0, fmt.Errorf("store: blob writer: %w", store.ErrClosed)
	}
	if err := w.enter(); err != nil {
		return store.Digest{}, 0, errors.Join(err, w.Discard())
	}
	defer w.leave()
	f := w.f
	w.f = nil
	digest := store.Digest(w.hash.Sum(nil))
	if _, err := w.finish(f, w.tmp, w.file(digest)); err != nil {
		return store.Digest{}, 0, fmt.Errorf("store: blob %v not committed: %w", digest, err)
	}
	return digest, w.size, nil
}

func (w *blobWriter) Discard() error {
	if w.f == nil {
		return nil
	}
	err := w.f.Close()
	w.f = nil
	if closed := w.enter(); closed != nil {
		return nil // the next open removes the file, and may have done so
	}
	defer w.leave()
	return errors.Join(err, w.Remove(w.tmp))
}

// reader implements store.Reader over the bytes of a file from some position.
type reader struct {
	*io.SectionReader
	io.Closer
}

func newReader(f handle, from, size int64) reader {
	return reader{io.NewSectionReader(f, from, size), f}
}
