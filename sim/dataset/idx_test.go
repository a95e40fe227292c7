package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// idx is an IDX stream: 32-bit words, then bytes.
func idx(words []uint32, data ...byte) []byte {
	var b []byte
	for _, w := range words {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return append(b, data...)
}

func zipped(t *testing.T, data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// folder writes a good set of files, changed as asked; a nil file is left out.
func folder(t *testing.T, changes map[string][]byte) string {
	t.Helper()
	files := map[string][]byte{
		"train-images-idx3-ubyte": idx([]uint32{0x803, 2, 1, 3}, 0, 51, 255, 1, 2, 3),
		"train-labels-idx1-ubyte": idx([]uint32{0x801, 2}, 9, 0),
		"t10k-images-idx3-ubyte":  idx([]uint32{0x803, 1, 1, 3}, 4, 5, 6),
		"t10k-labels-idx1-ubyte":  idx([]uint32{0x801, 1}, 3),
	}
	for name, data := range changes {
		files[name] = data
	}
	dir := t.TempDir()
	for name, data := range files {
		if data != nil {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
		}
	}
	return dir
}

func TestLoadIDXReadsTheFourFiles(t *testing.T) {
	train, test, err := LoadIDX(folder(t, nil))
	require.NoError(t, err)
	require.Equal(t, [3]int{1, 3, 1}, train.Shape())
	require.Equal(t, 10, train.Classes())
	require.Equal(t, []int{9, 0}, train.Labels())
	require.Equal(t, []float32{0, 0.2, 1}, train.Features(0))
	require.Equal(t, []int{3}, test.Labels())
	require.Equal(t, []float32{4. / 255, 5. / 255, 6. / 255}, test.Features(0))
}

func TestLoadIDXKnowsAllSpellings(t *testing.T) {
	images, labels := idx([]uint32{0x803, 1, 1, 1}, 7), idx([]uint32{0x801, 1}, 7)
	for _, change := range []map[string][]byte{
		{"train-images-idx3-ubyte": nil, "train-images.idx3-ubyte": images, "train-labels-idx1-ubyte": nil, "train-labels.idx1-ubyte": labels},
		{"train-images-idx3-ubyte": nil, "train-images-idx3-ubyte.gz": zipped(t, images), "train-labels-idx1-ubyte": nil, "train-labels-idx1-ubyte.gz": zipped(t, labels)},
		{"train-images-idx3-ubyte": nil, "train-images.idx3-ubyte.gz": zipped(t, images), "train-labels-idx1-ubyte": nil, "train-labels.idx1-ubyte.gz": zipped(t, labels)},
	} {
		change["t10k-images-idx3-ubyte"], change["t10k-labels-idx1-ubyte"] = images, labels
		train, _, err := LoadIDX(folder(t, change))
		require.NoError(t, err)
		require.Equal(t, []int{7}, train.Labels())
	}
}

func TestLoadIDXNamesFileAndFaultInOneLine(t *testing.T) {
	const images, labels, testImages = "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"
	good := idx([]uint32{0x803, 2, 1, 3}, 0, 51, 255, 1, 2, 3)
	for name, c := range map[string]struct {
		file  string
		data  []byte
		fault string
	}{
		"empty file":          {images, []byte{}, "file ends in the header"},
		"cut header":          {images, good[:15], "file ends in the header"},
		"no pixels":           {images, good[:16], "file ends in the data, at byte 0 of 6"},
		"one pixel short":     {images, good[:21], "file ends in the data, at byte 5 of 6"},
		"one pixel over":      {images, append(bytes.Clone(good), 0), "longer than its header says"},
		"labels for images":   {images, idx([]uint32{0x801, 2}, 1, 2, 3, 4, 5, 6, 7, 8), "magic number 0x00000801"},
		"no images":           {images, idx([]uint32{0x803, 0, 1, 3}), "not between 1 and"},
		"no height":           {images, idx([]uint32{0x803, 2, 0, 3}), "not between 1 and"},
		"no width":            {images, idx([]uint32{0x803, 2, 1, 0}), "not between 1 and"},
		"too many pixels":     {images, idx([]uint32{0x803, 1 << 20, 1 << 8, 2}), "not between 1 and"},
		"sizes wrap to 6":     {images, idx([]uint32{0x803, 1 << 31, 1 << 31, 4}, 1, 2, 3, 4, 5, 6), "not between 1 and"},
		"images for labels":   {labels, good, "magic number 0x00000803"},
		"cut label header":    {labels, []byte{0, 0, 8}, "file ends in the header"},
		"no labels":           {labels, idx([]uint32{0x801, 0}), "0 labels"},
		"too many labels":     {labels, idx([]uint32{0x801, 1 << 31}), "2147483648 labels"},
		"label missing":       {labels, idx([]uint32{0x801, 2}, 1), "file ends in the data, at byte 1 of 2"},
		"label over":          {labels, idx([]uint32{0x801, 2}, 1, 2, 3), "longer than its header says"},
		"label ten":           {labels, idx([]uint32{0x801, 2}, 1, 10), "label 1 is 10, must be below 10"},
		"counts disagree":     {labels, idx([]uint32{0x801, 3}, 1, 2, 3), "3 labels for 2 images"},
		"not gzip":            {images + ".gz", good, "not a gzip file"},
		"cut gzip":            {images + ".gz", zipped(t, good)[:20], images + ".gz"},
		"gzip with a tail":    {images + ".gz", append(zipped(t, good), 1, 2, 3), "after the data"},
		"gzip, wrong sum":     {images + ".gz", spoil(zipped(t, good), -8), "after the data"},
		"test shape differs":  {testImages, idx([]uint32{0x803, 1, 3, 1}, 4, 5, 6), "training images are 1 x 3, test images 3 x 1"},
		"gzip larger than it": {images + ".gz", zipped(t, append(bytes.Clone(good), 0)), "longer than its header says"},
	} {
		t.Run(name, func(t *testing.T) {
			change := map[string][]byte{c.file: c.data}
			if strings.HasSuffix(c.file, ".gz") {
				change[images] = nil
			}
			dir := folder(t, change)
			train, test, err := LoadIDX(dir)
			require.ErrorIs(t, err, ErrFormat)
			require.ErrorContains(t, err, c.fault)
			require.ErrorContains(t, err, dir)
			if name != "test shape differs" {
				require.ErrorContains(t, err, c.file)
			}
			require.NotContains(t, err.Error(), "\n")
			require.Zero(t, train.Len()+test.Len())
		})
	}
}

func spoil(b []byte, at int) []byte {
	b[len(b)+at] ^= 1
	return b
}

func TestLoadIDXSaysWhichFileIsMissing(t *testing.T) {
	for _, name := range []string{"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"} {
		dir := folder(t, map[string][]byte{name: nil})
		_, _, err := LoadIDX(dir)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorContains(t, err, dir+" has no "+name)
	}
	_, _, err := LoadIDX(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestLyingHeadersAllocateNothingToSpeakOf(t *testing.T) {
	before := allocatedBytes()
	_, err := readImages(bytes.NewReader(idx([]uint32{0x803, 1 << 14, 1 << 7, 1 << 7}, 1, 2, 3)))
	require.ErrorIs(t, err, ErrFormat)
	_, err = readLabels(bytes.NewReader(idx([]uint32{0x801, maxValues}, 1, 2, 3)))
	require.ErrorIs(t, err, ErrFormat)
	require.Less(t, allocatedBytes()-before, uint64(1<<20))
}

// allocatedBytes is what the process has allocated so far.
func allocatedBytes() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

func FuzzReadImages(f *testing.F) {
	f.Add(idx([]uint32{0x803, 2, 1, 3}, 0, 51, 255, 1, 2, 3))
	f.Add(idx([]uint32{0x803, 1 << 31, 1 << 31, 4}, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readImages(bytes.NewReader(b))
		if err != nil {
			return
		}
		again := idx([]uint32{idxImages, uint32(m.count), uint32(m.height), uint32(m.width)}, m.pixels...)
		require.Equal(t, b[:len(again)], again)
		d, err := m.labelled(make([]byte, m.count))
		require.NoError(t, err)
		require.Equal(t, m.count, d.Len())
	})
}

func FuzzReadLabels(f *testing.F) {
	f.Add(idx([]uint32{0x801, 3}, 0, 9, 1))
	f.Add(idx([]uint32{0x801, 1 << 31}, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		labels, err := readLabels(bytes.NewReader(b))
		if err != nil {
			return
		}
		again := idx([]uint32{idxLabels, uint32(len(labels))}, labels...)
		require.Equal(t, b[:len(again)], again)
		for _, label := range labels {
			require.Less(t, label, byte(10))
		}
	})
}
