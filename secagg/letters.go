package secagg

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/choir-fl/choir/fault"
)

// ErrLetters refuses a stream of letters.
var ErrLetters = fault.New(fault.Invalid, "secagg/letters", "not a stream of letters", "the coordinator must be repaired or updated")

// Letter is what a client's upload holds for one committee member, with the commit
// frame that came with the upload.
type Letter struct {
	Member int    // roster index of the client
	Frame  []byte // the upload's commit frame
	Body   []byte
}

// maxFrame and maxLetter bound what a reader of letters allocates.
const (
	maxFrame  = 1 << 14
	maxLetter = 1 << 20
)

// WriteLetter appends a letter to a stream: member, lengths of frame and body as
// 32-bit big-endian integers, then both.
func WriteLetter(w io.Writer, l Letter) error {
	head := make([]byte, 12, 12+len(l.Frame)+len(l.Body))
	binary.BigEndian.PutUint32(head, uint32(l.Member))
	binary.BigEndian.PutUint32(head[4:], uint32(len(l.Frame)))
	binary.BigEndian.PutUint32(head[8:], uint32(len(l.Body)))
	_, err := w.Write(append(append(head, l.Frame...), l.Body...))
	return err
}

// ReadLetter reads the next letter of a stream, and io.EOF at its end. A stream that
// ends within a letter, or names lengths that no letter has, is refused.
func ReadLetter(r io.Reader) (Letter, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return Letter{}, io.EOF
		}
		return Letter{}, cut(err).At("head")
	}
	member, frame, body := binary.BigEndian.Uint32(head[:]), binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:])
	if member >= MaxRoster || frame > maxFrame || body > maxLetter {
		return Letter{}, ErrLetters.At("letter of member %d, %d and %d bytes", member, frame, body)
	}
	b := make([]byte, frame+body)
	if _, err := io.ReadFull(r, b); err != nil {
		return Letter{}, cut(err).At("letter of member %d", member)
	}
	return Letter{Member: int(member), Frame: b[:frame:frame], Body: b[frame:]}, nil
}

// cut refuses a stream that ends within a letter. That is not the end that io.EOF
// stands for, even where not one byte of the body came.
func cut(err error) *fault.Error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return ErrLetters.Because(err)
}
