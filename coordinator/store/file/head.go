package file

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/choir-fl/choir/coordinator/store"
)

// head implements store.Head.
type head struct {
	*disk
	mu       sync.Mutex // owns the fields below, held by Swap to its end
	revision uint64
	value    []byte
	err      error // not nil: no use until reopened
}

func loadHead(d *disk) (*head, error) {
	h := &head{disk: d}
	if err := d.Remove(h.path("head.tmp")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := d.SyncDir(d.dir); err != nil {
		return nil, err
	}
	p, err := d.readFile(h.path("head"), headerSize+store.MaxHead+4)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h, nil
	case errors.Is(err, store.ErrSize):
		return nil, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	case err != nil:
		return nil, err
	}
	if h.revision, h.value, err = decodeHead(p); err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	return h, nil
}

func (h *head) Load() (value []byte, revision uint64, err error) {
	if err := h.lock(&h.mu); err != nil {
		return nil, 0, err
	}
	defer h.unlock(&h.mu)
	if h.err != nil {
		return nil, 0, h.err
	}
	return bytes.Clone(h.value), h.revision, nil
}

func (h *head) Swap(old uint64, value []byte) error {
	if err := h.lock(&h.mu); err != nil {
		return err
	}
	defer h.unlock(&h.mu)
	if h.err != nil {
		return h.err
	}
	if err := store.CheckSwap(old, h.revision, value); err != nil {
		return err
	}
	unsure, err := h.publish(h.path("head"), encodeHead(old+1, value))
	if unsure {
		h.err = fmt.Errorf("store: head: swap failed; reopen the store: %w: %w", store.ErrPoisoned, err)
		return h.err
	}
	if err != nil {
		return fmt.Errorf("store: head: swap had no effect: %w", err)
	}
	h.revision, h.value = old+1, bytes.Clone(value)
	return nil
}
