package rpc

import (
	"errors"
	"io"
	"sync"

	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/secagg"
)

// roundID converts a round's id and refuses one without the canonical form.
func roundID(r *choirv1.RoundId) (secagg.RoundID, error) {
	id := secagg.RoundID{Job: r.GetJob(), Round: r.GetRound(), Attempt: r.GetAttempt()}
	if !secagg.PartyID(id.Job).Valid() || id.Round == 0 || id.Attempt == 0 || id.Round >= 1<<31 || id.Attempt >= 1<<31 {
		return secagg.RoundID{}, ErrMessage.At("round id")
	}
	return id, nil
}

func wireRoundID(id secagg.RoundID) *choirv1.RoundId {
	return &choirv1.RoundId{Job: id.Job, Round: id.Round, Attempt: id.Attempt}
}

// request is a message that carries the next data of a stream, after its header.
type request[H any] interface {
	comparable
	GetHeader() H
	GetData() []byte
}

// incoming reads the data of a stream whose first message was its header.
type incoming[M request[H], H comparable] struct {
	recv func() (M, error)
	rest []byte
	end  bool
}

// header reads the first message, which holds the header alone.
func header[M request[H], H comparable](recv func() (M, error)) (H, error) {
	var none H
	m, err := recv()
	if errors.Is(err, io.EOF) {
		return none, ErrMessage.At("empty stream")
	}
	if err != nil {
		return none, err
	}
	if m.GetHeader() == none || len(m.GetData()) != 0 {
		return none, ErrMessage.At("first message of a stream")
	}
	return m.GetHeader(), nil
}

// next returns the data of the next message: 1 byte to maxPart. io.EOF ends it.
func (in *incoming[M, H]) next() ([]byte, error) {
	m, err := in.recv()
	if err != nil {
		return nil, err
	}
	var none H
	if m.GetHeader() != none || len(m.GetData()) == 0 {
		return nil, ErrMessage.At("a later message of a stream")
	}
	if len(m.GetData()) > maxPart {
		return nil, ErrTooLarge.At("%d bytes of data in a message, at most %d", len(m.GetData()), maxPart)
	}
	return m.GetData(), nil
}

// Read implements io.Reader.
func (in *incoming[M, H]) Read(p []byte) (int, error) {
	for len(in.rest) == 0 {
		if in.end {
			return 0, io.EOF
		}
		var err error
		if in.rest, err = in.next(); err != nil {
			in.end = errors.Is(err, io.EOF)
			return 0, err
		}
	}
	n := copy(p, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}

// buffers bounds the memory that messages take while they arrive.
type buffers struct {
	mu   sync.Mutex
	free int64
}

func (b *buffers) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.free {
		return false
	}
	b.free -= n
	return true
}

func (b *buffers) put(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
}

// whole reads a canonical message of a declared size. Memory grows with what
// arrives, not with what was declared.
func whole(in io.Reader, size uint32, b *buffers) (message []byte, release func(), err error) {
	if size == 0 || size > secagg.MaxMessage {
		return nil, nil, ErrTooLarge.At("message of %d bytes, 1 to %d are possible", size, secagg.MaxMessage)
	}
	if !b.take(int64(size)) {
		return nil, nil, ErrBusy
	}
	release = sync.OnceFunc(func() { b.put(int64(size)) })
	message, err = io.ReadAll(io.LimitReader(in, int64(size)+1))
	if err == nil && len(message) != int(size) {
		err = ErrMessage.At("%d bytes of a message of %d", len(message), size)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return message, release, nil
}

// outgoing cuts what is written into parts of at most maxPart bytes.
type outgoing struct {
	send func(part []byte) error
}

// Write implements io.Writer.
func (o outgoing) Write(p []byte) (int, error) {
	sent := 0
	for len(p) > 0 {
		n := min(len(p), maxPart)
		if err := o.send(p[:n]); err != nil {
			return sent, err
		}
		sent += n
		p = p[n:]
	}
	return sent, nil
}

// sendFile streams a reader of size bytes from an offset on; the first message has
// the size of the whole.
func sendFile(r io.ReadSeeker, size, offset int64, send func(*choirv1.FetchResponse) error) error {
	if offset < 0 || offset > size {
		return ErrMessage.At("offset %d of %d bytes", offset, size)
	}
	if _, err := r.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	return sendRest(r, size, offset, send)
}

// sendRest streams what is left of a file of size bytes after an offset.
func sendRest(r io.Reader, size, offset int64, send func(*choirv1.FetchResponse) error) error {
	first := uint64(size)
	buf := make([]byte, min(size-offset, maxPart))
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 || first != 0 {
			if err := send(&choirv1.FetchResponse{Size: first, Data: buf[:n]}); err != nil {
				return err
			}
			first = 0
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || len(buf) == 0:
			return nil
		case err != nil:
			return err
		}
	}
}
