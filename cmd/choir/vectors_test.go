package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/robust"
)

// npy writes an array as NumPy does, except that the header may say anything.
func npy(version byte, header string, values any) []byte {
	var b bytes.Buffer
	b.WriteString(npyMagic)
	b.Write([]byte{version, 0})
	if version == 1 {
		b.Write(binary.LittleEndian.AppendUint16(nil, uint16(len(header))))
	} else {
		b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(header))))
	}
	b.WriteString(header)
	if err := binary.Write(&b, binary.LittleEndian, values); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func npyDict(descr, order, shape string) string {
	return fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }   \n", descr, order, shape)
}

// read reads a file's bytes into vectors.
func read(b []byte) (robust.Vectors, error) {
	rows, err := readVectors(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return robust.Vectors{}, err
	}
	return rows.vectors()
}

// meanOf makes vectors visible.
func meanOf(t *testing.T, v robust.Vectors) []float64 {
	t.Helper()
	out := make([]float64, v.Dim())
	_, err := robust.Mean{}.Combine(out, robust.Input{Vectors: v})
	require.NoError(t, err)
	return out
}

// numpySaved is what numpy.save wrote of float32 [[1,2,3],[4,5,7]] (NumPy 2.4).
var numpySaved = []byte("\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" + strings.Repeat(" ", 58) + "\n" +
	"\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40\x00\x00\xa0\x40\x00\x00\xe0\x40")

func TestVectorsAreReadFromEachKindOfFile(t *testing.T) {
	long := make([]float32, 2*20_000)
	for i := range long {
		long[i] = float32(i)
	}
	for name, b := range map[string][]byte{
		"CSV":               []byte("1,2,3\n4,5,7\n"),
		"CSV, spaces":       []byte("1, 2,\t3\r\n\n 4,5 ,7e0"),
		"NumPy":             numpySaved,
		"version 1, double": npy(1, npyDict("<f8", "False", "(2, 3)"), []float64{1, 2, 3, 4, 5, 7}),
		"version 2, single": npy(2, npyDict("<f4", "False", "(2, 3)"), []float32{1, 2, 3, 4, 5, 7}),
		"version 3, double": npy(3, npyDict("<f8", "False", "(2,3)"), []float64{1, 2, 3, 4, 5, 7}),
		"no last comma":     npy(1, "{'descr':'<f8','fortran_order':False,'shape':(2,3)}", []float64{1, 2, 3, 4, 5, 7}),
	} {
		v, err := read(b)
		require.NoError(t, err, name)
		require.Equal(t, 2, v.Len(), name)
		require.Equal(t, []float64{2.5, 3.5, 5}, meanOf(t, v), name)
	}
	v, err := read(npy(1, npyDict("<f4", "False", "(2, 20000)"), long)) // longer than is read at once
	require.NoError(t, err)
	require.Equal(t, []float64{10_000, 29_999}, []float64{meanOf(t, v)[0], meanOf(t, v)[19_999]})
}

func TestFilesThatHoldNoVectorsAreRefused(t *testing.T) {
	six := []float64{1, 2, 3, 4, 5, 7}
	for name, c := range map[string]struct {
		file []byte
		is   error
		says string
	}{
		"nothing":            {nil, robust.ErrInput, "0 vectors"},
		"empty lines":        {[]byte("\n\n"), robust.ErrInput, "0 vectors"},
		"NaN":                {[]byte("1,2\n3,NaN\n"), robust.ErrNotFinite, "vector 1, coordinate 1"},
		"infinite":           {[]byte("1,-inf\n3,4\n"), robust.ErrNotFinite, "vector 0, coordinate 1"},
		"beyond range":       {[]byte("1,2\n1e999,4\n"), robust.ErrNotFinite, "vector 1, coordinate 0"},
		"NaN in NPY":         {npy(1, npyDict("<f4", "False", "(2, 1)"), []float32{1, float32(math.NaN())}), robust.ErrNotFinite, "vector 1, coordinate 0"},
		"of several lengths": {[]byte("1,2\n3\n"), robust.ErrInput, "vector 1 has 1 values"},
		"heading":            {[]byte("a,b\n1,2\n"), nil, `line 1, column 1: "a" is not a number`},
		"missing value":      {[]byte("1,2\n3,\n"), nil, `line 2, column 3: "" is not a number`},
		"bad quotes":         {[]byte("1,\"2\n"), nil, "quote"},
		"too many":           {[]byte(strings.Repeat("1\n", robust.MaxVectors+1)), nil, "more than 16384"},
		"only a magic":       {[]byte(npyMagic), nil, "ends in the header"},
		"half a length":      {[]byte(npyMagic + "\x02\x00\x10\x00"), nil, "ends in the header"},
		"half a header":      {numpySaved[:40], nil, "ends in the header"},
		"version 4":          {npy(4, npyDict("<f8", "False", "(2, 3)"), six), nil, "version 4"},
		"endless header":     {[]byte(npyMagic + "\x02\x00\xff\xff\xff\xff"), nil, "4294967295 bytes"},
		"pickled":            {npy(1, npyDict("|O", "False", "(2, 3)"), six), nil, `"|O"`},
		"half precision":     {npy(1, npyDict("<f2", "False", "(2, 3)"), six), nil, `"<f2"`},
		"big-endian":         {npy(1, npyDict(">f8", "False", "(2, 3)"), six), nil, `">f8"`},
		"column order":       {npy(1, npyDict("<f8", "True", "(2, 3)"), six), nil, "ascontiguousarray"},
		"one dimension":      {npy(1, npyDict("<f8", "False", "(6,)"), six), nil, "two dimensions"},
		"three dimensions":   {npy(1, npyDict("<f8", "False", "(1, 2, 3)"), six), nil, "two dimensions"},
		"no vectors":         {npy(1, npyDict("<f8", "False", "(0, 3)"), []float64{}), nil, "1 to 16384"},
		"no values":          {npy(1, npyDict("<f8", "False", "(3, 0)"), []float64{}), nil, "1 to 16384"},
		"many vectors":       {npy(1, npyDict("<f8", "False", "(16385, 1)"), make([]float64, 16385)), nil, "1 to 16384"},
		"beyond integers":    {npy(1, npyDict("<f8", "False", "(2, 99999999999999999999)"), six), nil, "1 to 16384"},
		"no dictionary":      {npy(1, "[]", six), nil, "not NumPy's"},
		"file too short":     {npy(1, npyDict("<f8", "False", "(2, 4)"), six), nil, "48 bytes follow"},
		"file too long":      {npy(1, npyDict("<f8", "False", "(2, 2)"), six), nil, "48 bytes follow"},
	} {
		path := filepath.Join(t.TempDir(), "vectors")
		require.NoError(t, os.WriteFile(path, c.file, 0o600))
		_, err := openVectors(path)
		require.ErrorIs(t, err, errVectors, name)
		require.ErrorContains(t, err, c.says, name)
		if c.is != nil {
			require.ErrorIs(t, err, c.is, name)
		}
	}
	_, err := openVectors(t.TempDir())
	require.ErrorContains(t, err, "not a regular file")
	_, err = openVectors("nothing.csv")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAFileTooLargeIsRefusedBeforeItIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vectors")
	require.NoError(t, os.WriteFile(path, []byte("1"), 0o600))
	require.NoError(t, os.Truncate(path, maxVectorFile+1)) // sparse
	_, err := openVectors(path)
	require.ErrorContains(t, err, "more than 17179869184")
}

func TestAHeaderDoesNotMakeUsAllocate(t *testing.T) {
	b := npy(1, npyDict("<f8", "False", "(16384, 1073741824)"), []float64{1})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := read(b)
	runtime.ReadMemStats(&after)
	require.ErrorContains(t, err, "8 bytes follow")
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func FuzzVectors(f *testing.F) {
	f.Add(numpySaved)
	f.Add(npy(2, npyDict("<f8", "False", "(1, 2)"), []float64{1e150, -2.5}))
	f.Add(npy(1, npyDict("<f8", "False", "(16384, 1073741824)"), []float64{}))
	f.Add([]byte("1,-2.5e-300\n3,4\n"))
	f.Add([]byte("\"1\",0x1p-3\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := readVectors(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		v, err := rows.vectors()
		if err != nil {
			return
		}
		shape := fmt.Sprintf("(%d, %d)", v.Len(), v.Dim())
		written := npy(1, npyDict("<f4", "False", shape), slices.Concat(rows.single...))
		if rows.single == nil {
			written = npy(1, npyDict("<f8", "False", shape), slices.Concat(rows.double...))
		}
		again, err := readVectors(bytes.NewReader(written), int64(len(written)))
		require.NoError(t, err)
		require.Equal(t, rows, again)
		if bytes.HasPrefix(b, []byte(npyMagic)) { // the values are the end of the file
			values := written[len(written)-v.Len()*v.Dim()*(4<<b2i(rows.single == nil)):]
			require.Equal(t, values, b[len(b)-len(values):])
		}
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
