package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	idxImages  = 0x0803 // unsigned bytes in three dimensions
	idxLabels  = 0x0801 // unsigned bytes in one
	idxClasses = 10
	maxValues  = 1 << 28 // features in one file: 1 GiB as float32
)

// DefaultDirs are the folders where a distribution installs Fashion-MNIST, to be
// given to [LoadIDX]: that of Debian's package dataset-fashion-mnist.
func DefaultDirs() []string { return []string{"/usr/share/datasets/fashion-mnist"} }

// LoadIDX reads a training and a test set of grey images in ten classes from
// the four IDX files that MNIST and its successors come in: train-images,
// train-labels, t10k-images and t10k-labels, each with the ending -idx3-ubyte
// or .idx3-ubyte (labels idx1) and possibly .gz. Plain files go before
// compressed ones. Pixels are scaled from 0..255 to [0, 1].
//
// It is strict: magic numbers, counts, sizes to the byte, labels below ten. An
// error is one line that names the file and the fault; it wraps [ErrFormat], or
// the operating system's error if a file cannot be read. Memory grows with what
// was read, not with what a header claims; a set of more than 2^28 pixels is
// refused.
//
// Format: http://yann.lecun.com/exdb/mnist/, "the IDX file format".
func LoadIDX(dir string) (train, test Dataset, err error) {
	if train, err = loadPair(dir, "train"); err != nil {
		return Dataset{}, Dataset{}, err
	}
	if test, err = loadPair(dir, "t10k"); err != nil {
		return Dataset{}, Dataset{}, err
	}
	if train.shape != test.shape {
		return Dataset{}, Dataset{}, fmt.Errorf("%s: %w: training images are %d x %d, test images %d x %d", dir, ErrFormat,
			train.shape[0], train.shape[1], test.shape[0], test.shape[1])
	}
	return train, test, nil
}

func loadPair(dir, set string) (Dataset, error) {
	var pixels images
	err := readFile(dir, set+"-images", "idx3-ubyte", func(r io.Reader) (err error) {
		pixels, err = readImages(r)
		return err
	})
	if err != nil {
		return Dataset{}, err
	}
	var labels []byte
	err = readFile(dir, set+"-labels", "idx1-ubyte", func(r io.Reader) (err error) {
		labels, err = readLabels(r)
		if err == nil && len(labels) != pixels.count {
			err = fmt.Errorf("%w: %d labels for %d images", ErrFormat, len(labels), pixels.count)
		}
		return err
	})
	if err != nil {
		return Dataset{}, err
	}
	return pixels.labelled(labels)
}

// readFile finds the file in its possible spellings, has it parsed and demands
// that nothing follows.
func readFile(dir, stem, kind string, parse func(io.Reader) error) error {
	f, err := openAny(dir, stem, kind)
	if err != nil {
		return err
	}
	defer f.Close() // read only: nothing to lose
	var r io.Reader = f
	if strings.HasSuffix(f.Name(), ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return fmt.Errorf("%s: %w: not a gzip file: %w", f.Name(), ErrFormat, err)
		}
	}
	if err := parse(r); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return fmt.Errorf("%s: %w: longer than its header says", f.Name(), ErrFormat)
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("%s: %w: after the data: %w", f.Name(), ErrFormat, err)
	}
	return nil
}

func openAny(dir, stem, kind string) (*os.File, error) {
	for _, name := range []string{stem + "-" + kind, stem + "." + kind, stem + "-" + kind + ".gz", stem + "." + kind + ".gz"} {
		f, err := os.Open(filepath.Join(dir, name))
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, fmt.Errorf("dataset: %s has no %s-%s, plain or .gz; name a folder with the four IDX files: %w", dir, stem, kind, fs.ErrNotExist)
}

// images are the bytes of an IDX file of images.
type images struct {
	count, height, width int
	pixels               []byte
}

// readImages reads one IDX stream of images and stops after its last pixel.
func readImages(r io.Reader) (images, error) {
	var header [16]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return images{}, short(err, "header")
	}
	if magic := binary.BigEndian.Uint32(header[:]); magic != idxImages {
		return images{}, fmt.Errorf("%w: magic number %#08x, images have %#08x", ErrFormat, magic, idxImages)
	}
	size := uint64(1)
	var dims [3]int
	for i := range dims {
		n := uint64(binary.BigEndian.Uint32(header[4+4*i:]))
		if n == 0 || n > maxValues/size {
			return images{}, fmt.Errorf("%w: count, height and width % x are not between 1 and %d pixels in all", ErrFormat, header[4:], maxValues)
		}
		size *= n
		dims[i] = int(n)
	}
	pixels, err := readExactly(r, int64(size))
	return images{dims[0], dims[1], dims[2], pixels}, err
}

// readLabels reads one IDX stream of labels and stops after the last.
func readLabels(r io.Reader) ([]byte, error) {
	var header [8]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, short(err, "header")
	}
	if magic := binary.BigEndian.Uint32(header[:]); magic != idxLabels {
		return nil, fmt.Errorf("%w: magic number %#08x, labels have %#08x", ErrFormat, magic, idxLabels)
	}
	count := binary.BigEndian.Uint32(header[4:])
	if count == 0 || count > maxValues {
		return nil, fmt.Errorf("%w: %d labels, not between 1 and %d", ErrFormat, count, maxValues)
	}
	labels, err := readExactly(r, int64(count))
	if err != nil {
		return nil, err
	}
	for i, label := range labels {
		if label >= idxClasses {
			return nil, fmt.Errorf("%w: label %d is %d, must be below %d", ErrFormat, i, label, idxClasses)
		}
	}
	return labels, nil
}

// readExactly reads n bytes into a buffer that grows as they arrive.
func readExactly(r io.Reader, n int64) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, r, n); err != nil {
		return nil, short(err, fmt.Sprintf("data, at byte %d of %d", buf.Len(), n))
	}
	return buf.Bytes(), nil
}

func short(err error, where string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: file ends in the %s", ErrFormat, where)
	}
	return fmt.Errorf("%w: %s: %w", ErrFormat, where, err)
}

// labelled turns bytes into a Dataset; both must be of the same count.
func (m images) labelled(labels []byte) (Dataset, error) {
	features := make([]float32, len(m.pixels))
	for i, p := range m.pixels {
		features[i] = float32(p) / 255
	}
	classes := make([]int, len(labels))
	for i, label := range labels {
		classes[i] = int(label)
	}
	return New(features, classes, [3]int{m.height, m.width, 1}, idxClasses)
}
