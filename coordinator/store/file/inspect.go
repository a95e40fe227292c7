package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/choir-fl/choir/coordinator/store"
)

// Inspection reads the journal in a directory without taking its lock and without
// changing anything, also while another process has the store open: for commands
// that look. It holds no resources and is safe for concurrent use.
type Inspection struct{ d *disk }

// Inspect looks at the store in directory dir.
//
// Errors: those of the file system for a directory without a store, store.ErrVersion for a
// format that this program does not read.
func Inspect(dir string) (Inspection, error) { return inspect(osFS{}, dir) }

func inspect(sys fsys, dir string) (Inspection, error) {
	i := Inspection{&disk{fsys: sys, dir: dir}}
	format, err := i.d.readFile(i.d.path("format"), int64(len(formatLine)))
	switch {
	case err != nil && !errors.Is(err, store.ErrSize):
		return i, fmt.Errorf("store: %s: %w", dir, err)
	case string(format) != formatLine:
		return i, fmt.Errorf("store: %s: %w in the file format; this program reads %s", dir, store.ErrVersion, strings.TrimSpace(formatLine))
	}
	return i, nil
}

// Segments is Segments of store.Journal.
func (i Inspection) Segments() ([]string, error) {
	files, err := i.d.ReadDir(i.d.path("journal"))
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", i.d.dir, err)
	}
	var names []string
	for _, f := range files {
		encoded, ok := strings.CutSuffix(f, ".log")
		if name, valid := decodeName(encoded); ok && valid {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Read is Read of store.Journal. An append that is under way, or that a crash has cut short,
// is not shown; whether the last one shown is durable only its writer knows.
func (i Inspection) Read(name string, fn func(record []byte) error) error {
	if err := store.CheckName(name); err != nil {
		return err
	}
	f, err := i.d.OpenFile(i.d.path("journal", encodeName(name)+".log"), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		err = store.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("store: segment %q: %w", name, err)
	}
	defer func() { _ = f.Close() }() // only read from
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("store: segment %q: %w", name, err)
	}
	var stopped error
	_, _, err = scanFrames(f, size, func(_ int64, frame []byte) error {
		stopped = eachRecord(frame[frameHeaderSize:], fn)
		return stopped
	})
	if stopped == nil && err != nil {
		return fmt.Errorf("store: segment %q: %w", name, err)
	}
	return stopped
}
