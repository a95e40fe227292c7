package main

import (
	"bufio"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/fault"
)

// errVectors is a file that holds no vectors which a rule can be applied to.
var errVectors = fault.New(fault.Usage, "choir/vectors", "vectors cannot be read",
	"name a CSV file with a vector on each line, or a two-dimensional array of float32 or float64 as NumPy saves it, a vector in each row")

// Bounds of a file of vectors.
const (
	maxVectorFile = 16 << 30 // bytes
	maxNPYHeader  = 1 << 16  // bytes; NumPy's own is about a hundred
	maxVectorDim  = 1 << 30
)

// npyMagic begins every file of NumPy.
const npyMagic = "\x93NUMPY"

// openVectors reads the vectors of a file, from what it begins with as NPY or as CSV.
func openVectors(path string) (robust.Vectors, error) {
	v, err := func() (v robust.Vectors, err error) {
		f, err := os.Open(path)
		if err != nil {
			return v, err
		}
		defer f.Close()
		info, err := f.Stat()
		switch {
		case err != nil:
			return v, err
		case !info.Mode().IsRegular():
			return v, errors.New("it is not a regular file")
		case info.Size() > maxVectorFile:
			return v, fmt.Errorf("it has %d bytes, more than %d", info.Size(), int64(maxVectorFile))
		}
		rows, err := readVectors(f, info.Size())
		if err != nil {
			return v, err
		}
		return rows.vectors()
	}()
	if err != nil {
		return robust.Vectors{}, errVectors.At("%s", path).Because(err)
	}
	return v, nil
}

// vectorRows are the rows of a file, in the precision that it has; they may be anything.
type vectorRows struct {
	single [][]float32
	double [][]float64
}

// vectors checks that rows can be combined.
func (r vectorRows) vectors() (robust.Vectors, error) {
	if r.single != nil {
		return robust.Float32(r.single)
	}
	return robust.Float64(r.double)
}

// readVectors reads a file of size bytes.
func readVectors(file io.Reader, size int64) (vectorRows, error) {
	r := bufio.NewReaderSize(file, 1<<16)
	if begin, err := r.Peek(len(npyMagic)); err == nil && string(begin) == npyMagic {
		return readNPY(r, size)
	}
	return readCSV(r)
}

// readCSV reads a vector from each line.
func readCSV(r io.Reader) (vectorRows, error) {
	lines := csv.NewReader(r)
	lines.FieldsPerRecord = -1 // lengths that differ are found once all are there
	lines.ReuseRecord = true
	var rows [][]float64
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return vectorRows{double: rows}, nil
		}
		if err != nil {
			return vectorRows{}, err
		}
		if len(rows) == robust.MaxVectors {
			return vectorRows{}, fmt.Errorf("there are more than %d vectors", robust.MaxVectors)
		}
		row := make([]float64, len(fields))
		for i, field := range fields {
			row[i], err = strconv.ParseFloat(strings.TrimSpace(field), 64)
			if err != nil && !errors.Is(err, strconv.ErrRange) { // beyond range it is infinite, and found below
				line, column := lines.FieldPos(i)
				return vectorRows{}, fmt.Errorf("line %d, column %d: %.40q is not a number", line, column, field)
			}
		}
		rows = append(rows, row)
	}
}

// npyHeader is the header that NumPy writes, a dictionary in Python's notation.
var npyHeader = regexp.MustCompile(`^\{ *'descr': *'([^']*)', *'fortran_order': *(True|False), *'shape': *\(([0-9, ]*)\),? *\} *\n?$`)

// readNPY reads the rows of an array from a file of size bytes.
func readNPY(r io.Reader, size int64) (vectorRows, error) {
	var none vectorRows
	const before = len(npyMagic) + 2 // magic and version
	prefix := make([]byte, before+4)
	if _, err := io.ReadFull(r, prefix[:before+2]); err != nil {
		return none, errors.New("it ends in the header")
	}
	header := int(binary.LittleEndian.Uint16(prefix[before:]))
	read := before + 2
	switch major := prefix[before-2]; major {
	case 1:
	case 2, 3:
		read += 2
		if _, err := io.ReadFull(r, prefix[before+2:]); err != nil {
			return none, errors.New("it ends in the header")
		}
		if n := binary.LittleEndian.Uint32(prefix[before:]); n > maxNPYHeader {
			return none, fmt.Errorf("the header has %d bytes", n)
		}
		header = int(binary.LittleEndian.Uint32(prefix[before:]))
	default:
		return none, fmt.Errorf("version %d of the format is not known", major)
	}
	text := make([]byte, header)
	if _, err := io.ReadFull(r, text); err != nil {
		return none, errors.New("it ends in the header")
	}
	found := npyHeader.FindSubmatch(text)
	if found == nil {
		return none, fmt.Errorf("the header %.100q is not NumPy's", text)
	}
	width := map[string]int{"<f4": 4, "<f8": 8}[string(found[1])]
	if width == 0 {
		return none, fmt.Errorf("its values are %q, not <f4 or <f8: little-endian float32 or float64", found[1])
	}
	if string(found[2]) == "True" {
		return none, errors.New("it is in column order: save numpy.ascontiguousarray of it")
	}
	n, d, err := npyShape(string(found[3]))
	if err != nil {
		return none, err
	}
	if rest := size - int64(read+header); rest != int64(n)*int64(d)*int64(width) {
		return none, fmt.Errorf("%d bytes follow the header, %d vectors of %d values of %d bytes were wanted", rest, n, d, width)
	}
	if width == 4 {
		rows, err := readRows(r, n, d, width, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) })
		return vectorRows{single: rows}, err
	}
	rows, err := readRows(r, n, d, width, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) })
	return vectorRows{double: rows}, err
}

// npyShape reads the shape of an array of vectors.
func npyShape(text string) (n, d int, err error) {
	sizes := strings.Split(strings.TrimSuffix(strings.ReplaceAll(text, " ", ""), ","), ",")
	if len(sizes) != 2 {
		return 0, 0, fmt.Errorf("its shape is (%s): two dimensions are wanted, a vector in each row", text)
	}
	if n, err = strconv.Atoi(sizes[0]); err == nil {
		d, err = strconv.Atoi(sizes[1])
	}
	if err != nil || n < 1 || n > robust.MaxVectors || d < 1 || d > maxVectorDim {
		return 0, 0, fmt.Errorf("its shape is (%s): 1 to %d vectors of 1 to %d values are wanted", text, robust.MaxVectors, maxVectorDim)
	}
	return n, d, nil
}

// readRows reads n rows of d values of so many bytes each.
func readRows[T float32 | float64](r io.Reader, n, d, width int, value func(b []byte) T) ([][]T, error) {
	buffer := make([]byte, min(d, 1<<13)*width)
	rows := make([][]T, n)
	for i := range rows {
		rows[i] = make([]T, d)
		for rest := rows[i]; len(rest) > 0; {
			part := rest[:min(len(rest), len(buffer)/width)]
			if _, err := io.ReadFull(r, buffer[:len(part)*width]); err != nil {
				return nil, err
			}
			for j := range part {
				part[j] = value(buffer[j*width:])
			}
			rest = rest[len(part):]
		}
	}
	return rows, nil
}
