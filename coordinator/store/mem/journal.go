package mem

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/choir-fl/choir/coordinator/store"
)

// journal implements store.Journal. Records are copied once, by Append, and never written to again.
type journal struct{ *session }

func (j journal) Append(segment string, records ...[]byte) error {
	if err := store.CheckAppend(segment, records); err != nil {
		return err
	}
	if err := j.enter(); err != nil {
		return err
	}
	defer j.mu.Unlock()
	for _, r := range records {
		j.segments[segment] = append(j.segments[segment], bytes.Clone(r))
	}
	return nil
}

func (j journal) Read(segment string, fn func(record []byte) error) error {
	if err := j.enter(); err != nil {
		return err
	}
	records, ok := j.segments[segment]
	j.mu.Unlock()
	if !ok {
		return fmt.Errorf("store: segment %q: %w", segment, store.ErrNotFound)
	}
	for _, r := range records {
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

func (j journal) Segments() ([]string, error) {
	if err := j.enter(); err != nil {
		return nil, err
	}
	defer j.mu.Unlock()
	return slices.Sorted(maps.Keys(j.segments)), nil
}

func (j journal) Drop(segment string) error {
	if err := j.enter(); err != nil {
		return err
	}
	defer j.mu.Unlock()
	delete(j.segments, segment)
	return nil
}
