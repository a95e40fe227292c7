package grpctransport

import (
	"context"
	"errors"
	"io"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/fault"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/secagg"
)

// Fetch implements client.Bulk. After a broken connection it goes on with the byte
// after the last one written to w.
func (t *Transport) Fetch(ctx context.Context, round secagg.RoundID, model secagg.Digest, offset int64, w io.Writer) error {
	if offset < 0 {
		return ErrConfig.At("offset %d", offset)
	}
	return t.do(ctx, "Fetch", func(ctx context.Context) (bool, error) {
		stream, err := t.round().Fetch(ctx, &choirv1.FetchRequest{Round: wireRound(round), Model: model[:], Offset: uint64(offset)})
		if err != nil {
			return false, err
		}
		n, err := receiveFile(stream.Recv, offset, w)
		offset += n
		return n > 0, err
	})
}

// receiveFile writes a file's bytes from an offset on, and says how many.
func receiveFile(recv func() (*choirv1.FetchResponse, error), offset int64, w io.Writer) (n int64, err error) {
	m, err := recv()
	if errors.Is(err, io.EOF) {
		return 0, ErrAnswer.At("empty file")
	}
	if err != nil {
		return 0, err
	}
	size := m.GetSize()
	if size > secagg.MaxUpload || uint64(offset) > size {
		return 0, ErrAnswer.At("file of %d bytes from %d on", size, offset)
	}
	for {
		if uint64(offset+n)+uint64(len(m.GetData())) > size {
			return n, ErrAnswer.At("more than the file's %d bytes", size)
		}
		written, err := w.Write(m.GetData())
		n += int64(written)
		if err != nil {
			return n, ErrLocal.Because(err)
		}
		if m, err = recv(); errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return n, err
		}
	}
	if uint64(offset+n) != size {
		return n, ErrAnswer.At("%d bytes of a file of %d", offset+n, size)
	}
	return n, nil
}

// restarts is how often an upload begins anew after the coordinator found that
// what it has is not what was sent.
const restarts = 2

// Upload implements client.Bulk. An error of class Conflict means that the
// coordinator expects no upload from this client now: it was committed by an
// earlier call, or comes too late. The next envelope says which.
func (t *Transport) Upload(ctx context.Context, m client.Message, sealed io.ReadSeeker, size int64) error {
	for damaged := 0; ; damaged++ {
		err := t.do(ctx, "Upload", func(ctx context.Context) (bool, error) { return t.upload(ctx, m, sealed, size) })
		if !errors.Is(err, secagg.ErrUpload) && !errors.Is(err, secagg.ErrPiece) || damaged == restarts {
			return err
		}
	}
}

// upload asks where to go on, sends the rest and commits.
func (t *Transport) upload(ctx context.Context, m client.Message, sealed io.ReadSeeker, size int64) (progress bool, err error) {
	offset, err := t.uploadBegin(ctx, m, size)
	if err != nil {
		return false, err
	}
	if offset < size {
		sent, err := t.uploadBytes(ctx, m, sealed, offset, size)
		if err != nil {
			return sent > maxPart, err
		}
	}
	stream, err := t.round().UploadCommit(ctx)
	if err != nil {
		return true, err
	}
	err = stream.Send(&choirv1.UploadCommitRequest{Header: header(m)})
	if err == nil {
		err = parts(m.Body, func(p []byte) error { return stream.Send(&choirv1.UploadCommitRequest{Data: p}) })
	}
	_, err = finish(err, func() error { _, err := stream.CloseAndRecv(); return err })
	return false, err
}

func (t *Transport) uploadBegin(ctx context.Context, m client.Message, size int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	begun, err := t.round().UploadBegin(ctx, &choirv1.UploadBeginRequest{Round: wireRound(m.Round), Step: m.Step, Size: uint64(size)})
	if err != nil {
		return 0, err
	}
	if begun.GetOffset() > uint64(size) {
		return 0, ErrAnswer.At("%d bytes of an upload of %d", begun.GetOffset(), size)
	}
	return int64(begun.GetOffset()), nil
}

// uploadBytes sends the bytes from an offset on and says how many left.
func (t *Transport) uploadBytes(ctx context.Context, m client.Message, sealed io.ReadSeeker, offset, size int64) (sent int64, err error) {
	if _, err := sealed.Seek(offset, io.SeekStart); err != nil {
		return 0, ErrLocal.Because(err)
	}
	stream, err := t.round().Upload(ctx)
	if err != nil {
		return 0, err
	}
	err = stream.Send(&choirv1.UploadRequest{Header: &choirv1.UploadHeader{Round: wireRound(m.Round), Offset: uint64(offset)}})
	buf := make([]byte, maxPart)
	for err == nil && offset+sent < size {
		p := buf[:min(size-offset-sent, maxPart)]
		if _, err := io.ReadFull(sealed, p); err != nil {
			return sent, ErrLocal.Because(err)
		}
		if err = stream.Send(&choirv1.UploadRequest{Data: p}); err == nil {
			sent += int64(len(p))
		}
	}
	_, err = finish(err, func() error {
		done, err := stream.CloseAndRecv()
		if err == nil && done.GetOffset() != uint64(size) {
			return ErrAnswer.At("%d bytes of an upload of %d", done.GetOffset(), size)
		}
		return err
	})
	return sent, err
}

// errPlan is a plan that is not sent at all.
var errPlan = fault.New(fault.Usage, "grpctransport/plan", "plan or model cannot be sent", "correct the file")
