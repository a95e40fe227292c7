package rpc

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/store"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
	"github.com/choir-fl/choir/secagg"
)

// uploads sees to it that at most one call works on a client's upload: the latest.
// A stream that broke may not have noticed yet when its client comes back.
type uploads struct {
	slots chan struct{} // one for each stream that moves bytes

	mu     sync.Mutex // owns the field below
	active map[uploadKey]*claim
}

type uploadKey struct {
	client secagg.PartyID
	round  secagg.RoundID
}

// claim is a call that works on an upload.
type claim struct {
	call *call
	done chan struct{}
}

func newUploads(limit int) *uploads {
	return &uploads{slots: make(chan struct{}, limit), active: map[uploadKey]*claim{}}
}

// claim ends the call that works on the upload, waits until it has ended, and
// takes its place. release must be called.
func (u *uploads) claim(ctx context.Context, k uploadKey) (release func(), err error) {
	c := &claim{call: ctx.Value(callKey{}).(*call), done: make(chan struct{})} // set by tap
	for {
		u.mu.Lock()
		old := u.active[k]
		if old == nil {
			u.active[k] = c
			u.mu.Unlock()
			return func() {
				u.mu.Lock()
				delete(u.active, k)
				u.mu.Unlock()
				close(c.done)
			}, nil
		}
		u.mu.Unlock()
		old.call.end(ErrReplaced)
		select {
		case <-old.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// UploadBegin implements choirv1grpc.RoundServer.
func (t roundService) UploadBegin(ctx context.Context, req *choirv1.UploadBeginRequest) (*choirv1.UploadBeginResponse, error) {
	r, id, err := t.attempt(req.GetRound())
	if err != nil {
		return nil, err
	}
	if req.GetSize() > secagg.MaxUpload {
		return nil, ErrTooLarge.At("upload of %d bytes", req.GetSize())
	}
	client := secagg.PartyID(party(ctx).Name)
	release, err := t.s.uploads.claim(ctx, uploadKey{client, id})
	if err != nil {
		return nil, err
	}
	defer release()
	offset, err := r.engine.UploadBegin(client, id, req.GetStep(), int64(req.GetSize()))
	if err != nil {
		return nil, err
	}
	return &choirv1.UploadBeginResponse{Offset: uint64(offset)}, nil
}

// Upload implements choirv1grpc.RoundServer.
func (t roundService) Upload(stream choirv1grpc.Round_UploadServer) error {
	h, err := header[*choirv1.UploadRequest](stream.Recv)
	if err != nil {
		return err
	}
	r, id, err := t.attempt(h.GetRound())
	if err != nil {
		return err
	}
	if h.GetOffset() > math.MaxInt64 {
		return ErrMessage.At("offset")
	}
	ctx := stream.Context()
	client := secagg.PartyID(party(ctx).Name)
	release, err := t.s.uploads.claim(ctx, uploadKey{client, id})
	if err != nil {
		return err
	}
	defer release()
	select {
	case t.s.uploads.slots <- struct{}{}:
		defer func() { <-t.s.uploads.slots }()
	default:
		return ErrBusy
	}
	in := incoming[*choirv1.UploadRequest, *choirv1.UploadHeader]{recv: stream.Recv}
	meter := pace{rate: t.s.limits.UploadRate, began: t.s.cfg.Now()}
	offset := int64(h.GetOffset())
	for {
		data, err := in.next()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&choirv1.UploadResponse{Offset: uint64(offset)})
		}
		if err != nil {
			return err
		}
		if err := meter.wait(ctx, len(data), t.s.cfg.Now()); err != nil {
			return err
		}
		if err := r.engine.UploadChunk(client, id, offset, data); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				return coordinator.ErrNotOpen.At("client %s", client)
			}
			return err
		}
		offset += int64(len(data))
	}
}

// UploadCommit implements choirv1grpc.RoundServer.
func (t roundService) UploadCommit(stream choirv1grpc.Round_UploadCommitServer) error {
	h, err := header[*choirv1.UploadCommitRequest](stream.Recv)
	if err != nil {
		return err
	}
	r, id, err := t.attempt(h.GetRound())
	if err != nil {
		return err
	}
	in := &incoming[*choirv1.UploadCommitRequest, *choirv1.MessageHeader]{recv: stream.Recv}
	frame, free, err := whole(in, h.GetSize(), t.s.buffers)
	if err != nil {
		return err
	}
	defer free()
	ctx := stream.Context()
	client := secagg.PartyID(party(ctx).Name)
	release, err := t.s.uploads.claim(ctx, uploadKey{client, id})
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { // the upload stays claimed until it was verified, even if the client is gone
		defer release()
		verified := make(chan error, 1)
		r.engine.UploadDone(client, id, h.GetStep(), frame, func(err error) { verified <- err })
		select {
		case err := <-verified:
			done <- err
		case <-r.ended: // a run that is closing may not call back
			done <- ErrStopping
		}
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if errors.Is(err, store.ErrNotFound) {
		return coordinator.ErrNotOpen.At("client %s", client)
	}
	if err != nil {
		return err
	}
	return stream.SendAndClose(&choirv1.UploadCommitResponse{})
}
