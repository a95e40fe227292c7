package store

import (
	"crypto/sha256"
	"fmt"
	"io"
)

// Verify reads the whole blob and returns an error that wraps [ErrCorrupt] unless its bytes have the digest that names it.
// Its memory does not depend on the size of the blob.
func Verify(b Blobs, digest Digest) error {
	r, err := b.Open(digest)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // only read from: closing it cannot lose anything
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return fmt.Errorf("store: blob %v: %w", digest, err)
	}
	if Digest(h.Sum(nil)) != digest {
		return fmt.Errorf("store: blob %v: %w: its bytes have another digest", digest, ErrCorrupt)
	}
	return nil
}

// ReadBlob returns the bytes of a blob of at most limit bytes, verified. A longer blob is [ErrSize], and nothing is allocated for it.
func ReadBlob(b Blobs, digest Digest, limit int64) ([]byte, error) {
	r, err := b.Open(digest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // as above
	if r.Size() > limit {
		return nil, fmt.Errorf("store: blob %v: %w: %d bytes, expected at most %d", digest, ErrSize, r.Size(), limit)
	}
	p := make([]byte, r.Size())
	if _, err := io.ReadFull(r, p); err != nil {
		return nil, fmt.Errorf("store: blob %v: %w", digest, err)
	}
	if sha256.Sum256(p) != digest {
		return nil, fmt.Errorf("store: blob %v: %w: its bytes have another digest", digest, ErrCorrupt)
	}
	return p, nil
}

// WriteBlob stores p as one blob, durable when it returns nil.
func WriteBlob(b Blobs, p []byte) (Digest, error) {
	w, err := b.Create()
	if err != nil {
		return Digest{}, err
	}
	defer func() { _ = w.Discard() }() // does nothing after Commit; an uncommitted blob is removed at the next open at the latest
	if _, err := w.Write(p); err != nil {
		return Digest{}, err
	}
	digest, _, err := w.Commit()
	return digest, err
}
