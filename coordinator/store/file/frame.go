package file

import (
	"fmt"
	"hash/crc32"
	"io"

	"github.com/choir-fl/choir/coordinator/store"
)

// appendFrame appends to dst the frame of these records for position off of a segment. store.CheckAppend accepts them.
func appendFrame(dst []byte, salt uint64, off int64, records [][]byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, frameHeaderSize)...)
	for _, r := range records {
		dst = le.AppendUint32(dst, uint32(len(r)))
		dst = append(dst, r...)
	}
	head, payload := dst[start:start+frameHeaderSize], dst[start+frameHeaderSize:]
	le.PutUint32(head, uint32(len(payload)))
	le.PutUint32(head[4:], checksum(payload))
	le.PutUint32(head[8:], frameCheck(salt, off, head))
	return dst
}

// frameCheck is the third checksum of a frame header.
func frameCheck(salt uint64, off int64, head []byte) uint32 {
	var p [16]byte
	le.PutUint64(p[:], salt)
	le.PutUint64(p[8:], uint64(off))
	return crc32.Update(checksum(p[:]), castagnoli, head[:8])
}

// frameAt says whether head is the header of a frame at position off, and if so how long its payload is.
func frameAt(salt uint64, off int64, head []byte) (payload int64, ok bool) {
	payload = int64(le.Uint32(head))
	ok = payload >= minPayload && payload <= store.MaxAppend && le.Uint32(head[8:]) == frameCheck(salt, off, head)
	return payload, ok
}

// eachRecord calls fn for the records in a payload. It returns store.ErrCorrupt if the payload is not a sequence of records.
func eachRecord(payload []byte, fn func([]byte) error) error {
	for len(payload) > 0 {
		if len(payload) < store.RecordOverhead || int64(le.Uint32(payload)) > int64(len(payload)-store.RecordOverhead) {
			return fmt.Errorf("%w: records do not fill their frame", store.ErrCorrupt)
		}
		n := int(le.Uint32(payload))
		record := payload[store.RecordOverhead : store.RecordOverhead+n : store.RecordOverhead+n]
		if err := fn(record); err != nil {
			return err
		}
		payload = payload[store.RecordOverhead+n:]
	}
	return nil
}

// scanFrames reads a segment of size bytes and calls each with every whole frame and its position; the slice is valid until each
// returns. It returns the salt and where the whole frames end: size, or the start of a frame that was cut short. Damage before the last
// frame, and to the first one, which was complete before the file had its name, is store.ErrCorrupt.
// It allocates no more than the file is long, and at most a little above store.MaxAppend.
func scanFrames(r io.ReaderAt, size int64, each func(off int64, frame []byte) error) (salt uint64, end int64, err error) {
	if salt, err = readHeader(r, magicJournal); err != nil {
		return 0, 0, err
	}
	var buf []byte
	off := int64(headerSize)
	for size-off >= frameHeaderSize {
		var head [frameHeaderSize]byte
		if _, err := r.ReadAt(head[:], off); err != nil {
			return 0, 0, err
		}
		n, ok := frameAt(salt, off, head[:])
		if !ok {
			if err := noFrameAfter(r, salt, off, size); err != nil {
				return 0, 0, err
			}
			break
		}
		next := off + frameHeaderSize + n
		if next > size {
			break
		}
		if int64(cap(buf)) < next-off {
			buf = make([]byte, next-off)
		}
		buf = buf[:next-off]
		if _, err := r.ReadAt(buf, off); err != nil {
			return 0, 0, err
		}
		payload := buf[frameHeaderSize:]
		if checksum(payload) != le.Uint32(head[4:]) {
			if next < size {
				return 0, 0, corruptAt(off)
			}
			break
		}
		if err := eachRecord(payload, func([]byte) error { return nil }); err != nil {
			return 0, 0, fmt.Errorf("frame at byte %d: %w", off, err)
		}
		if err := each(off, buf); err != nil {
			return 0, 0, err
		}
		off = next
	}
	if off == headerSize {
		return 0, 0, corruptAt(off)
	}
	return salt, off, nil
}

// noFrameAfter returns store.ErrCorrupt if the bytes from a damaged frame header at off to size cannot be one frame that was cut short:
// if they are longer than any frame, or a later frame begins among them.
func noFrameAfter(r io.ReaderAt, salt uint64, off, size int64) error {
	if size-off > frameHeaderSize+store.MaxAppend {
		return corruptAt(off)
	}
	tail := make([]byte, size-off)
	if _, err := r.ReadAt(tail, off); err != nil {
		return err
	}
	for i := 1; i+frameHeaderSize <= len(tail); i++ {
		if _, ok := frameAt(salt, off+int64(i), tail[i:]); ok {
			return corruptAt(off)
		}
	}
	return nil
}

func corruptAt(off int64) error { return fmt.Errorf("%w: frame at byte %d", store.ErrCorrupt, off) }
