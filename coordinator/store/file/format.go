package file

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/choir-fl/choir/coordinator/store"
)

const (
	formatLine = "choir.store/1\n"

	magicJournal = "choirjnl"
	magicHead    = "choirhed"
	magicSpool   = "choirspl"
	version      = 1
	headerSize   = 8 + 1 + 8 + 4

	frameHeaderSize = 4 + 4 + 4
	minPayload      = store.RecordOverhead
)

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// encodeHeader returns the header of a file; value is the salt, revision or declared size.
func encodeHeader(magic string, value uint64) []byte {
	p := append(make([]byte, 0, headerSize), magic...)
	p = append(p, version)
	p = le.AppendUint64(p, value)
	return le.AppendUint32(p, checksum(p))
}

// decodeHeader is the inverse of encodeHeader for the first headerSize bytes of a file.
func decodeHeader(magic string, p []byte) (value uint64, err error) {
	switch {
	case len(p) < headerSize || string(p[:8]) != magic:
		return 0, fmt.Errorf("%w: no %s header", store.ErrCorrupt, magic)
	case p[8] != version:
		return 0, fmt.Errorf("%w: %d, this program reads %d", store.ErrVersion, p[8], version)
	case le.Uint32(p[17:]) != checksum(p[:17]):
		return 0, fmt.Errorf("%w: header", store.ErrCorrupt)
	}
	return le.Uint64(p[9:]), nil
}

// readHeader reads and decodes the header of r.
func readHeader(r io.ReaderAt, magic string) (uint64, error) {
	var p [headerSize]byte
	n, err := r.ReadAt(p[:], 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	return decodeHeader(magic, p[:n])
}

// encodeHead returns the bytes of the head file.
func encodeHead(revision uint64, value []byte) []byte {
	p := append(encodeHeader(magicHead, revision), value...)
	return le.AppendUint32(p, checksum(value))
}

// decodeHead is the inverse of encodeHead. The value is a part of p.
func decodeHead(p []byte) (revision uint64, value []byte, err error) {
	revision, err = decodeHeader(magicHead, p)
	if err != nil {
		return 0, nil, err
	}
	n := len(p) - headerSize - 4
	if n < 0 || n > store.MaxHead {
		return 0, nil, fmt.Errorf("%w: length %d", store.ErrCorrupt, len(p))
	}
	value = p[headerSize : headerSize+n]
	if le.Uint32(p[headerSize+n:]) != checksum(value) {
		return 0, nil, fmt.Errorf("%w: value", store.ErrCorrupt)
	}
	return revision, value, nil
}

// encodeName turns a name that store.CheckName accepts into one component of a path, of at most twice its length.
func encodeName(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		switch {
		case c == '/':
			b.WriteByte('+')
		case 'A' <= c && c <= 'Z':
			b.WriteByte('=')
			b.WriteByte(c - 'A' + 'a')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// decodeName is the inverse of encodeName; ok is false for anything that encodeName does not return.
func decodeName(s string) (name string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			c = '/'
		} else if c == '=' && i+1 < len(s) && 'a' <= s[i+1] && s[i+1] <= 'z' {
			i++
			c = s[i] - 'a' + 'A'
		}
		b.WriteByte(c)
	}
	name = b.String()
	return name, store.CheckName(name) == nil && encodeName(name) == s
}
