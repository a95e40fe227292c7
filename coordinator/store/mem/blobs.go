package mem

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"github.com/choir-fl/choir/coordinator/store"
)

// blobs implements store.Blobs. Readers share the committed bytes.
type blobs struct{ *session }

func (b blobs) Create() (store.BlobWriter, error) {
	if err := b.enter(); err != nil {
		return nil, err
	}
	defer b.mu.Unlock()
	return &blobWriter{blobs: b}, nil
}

func (b blobs) Open(digest store.Digest) (store.Reader, error) {
	if err := b.enter(); err != nil {
		return nil, err
	}
	defer b.mu.Unlock()
	data, ok := b.blobs[digest]
	if !ok {
		return nil, fmt.Errorf("store: blob %v: %w", digest, store.ErrNotFound)
	}
	return reader{bytes.NewReader(data)}, nil
}

func (b blobs) Stat(digest store.Digest) (int64, error) {
	r, err := b.Open(digest)
	if err != nil {
		return 0, err
	}
	return r.Size(), nil
}

func (b blobs) Delete(digest store.Digest) error {
	if err := b.enter(); err != nil {
		return err
	}
	defer b.mu.Unlock()
	delete(b.blobs, digest)
	return nil
}

func (b blobs) List() ([]store.Digest, error) {
	if err := b.enter(); err != nil {
		return nil, err
	}
	defer b.mu.Unlock()
	return slices.SortedFunc(maps.Keys(b.blobs), func(x, y store.Digest) int { return bytes.Compare(x[:], y[:]) }), nil
}

// blobWriter implements store.BlobWriter.
type blobWriter struct {
	blobs
	data []byte
	done bool
}

func (w *blobWriter) Write(p []byte) (int, error) {
	if w.done {
		return 0, fmt.Errorf("store: blob writer: %w", store.ErrClosed)
	}
	w.data = append(w.data, p...)
	return len(p), nil
}

func (w *blobWriter) Commit() (store.Digest, int64, error) {
	if w.done {
		return store.Digest{}, 0, fmt.Errorf("store: blob writer: %w", store.ErrClosed)
	}
	digest := store.Digest(sha256.Sum256(w.data))
	w.done = true
	if err := w.enter(); err != nil {
		return store.Digest{}, 0, err
	}
	defer w.mu.Unlock()
	w.blobs.blobs[digest] = w.data
	return digest, int64(len(w.data)), nil
}

func (w *blobWriter) Discard() error {
	w.done, w.data = true, nil
	return nil
}

// reader implements store.Reader.
type reader struct{ *bytes.Reader }

// Close does nothing.
func (reader) Close() error { return nil }
