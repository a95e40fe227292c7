package rpc

import (
	"bufio"
	"errors"
	"io"
	"math"
	"time"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/store"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
	"github.com/choir-fl/choir/secagg"
)

// Letters implements choirv1grpc.RoundServer. It waits as Receive does; only what
// moves bytes takes one of the places that Limits.Letters are.
func (t roundService) Letters(req *choirv1.LettersRequest, stream choirv1grpc.Round_LettersServer) error {
	r, id, err := t.attempt(req.GetRound())
	if err != nil {
		return err
	}
	if req.GetFirst() > math.MaxInt32 {
		return ErrMessage.At("letter %d", req.GetFirst())
	}
	to := address(stream.Context())
	poll := time.NewTimer(t.s.limits.Poll)
	defer poll.Stop()
	for {
		mail := r.awaitMail(to)
		n, err := t.sendLetters(r, to, id, int(req.GetFirst()), stream)
		if n > 0 || err != nil {
			return err
		}
		select {
		case <-mail:
		case <-poll.C:
			return nil
		case <-t.s.stopping:
			return ErrStopping
		case <-r.ended: // replaced under another plan: ask that one
			return nil
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// sendLetters streams the letters that are there now, and says how many there are.
func (t roundService) sendLetters(r *run, to secagg.PartyID, id secagg.RoundID, first int, stream choirv1grpc.Round_LettersServer) (int, error) {
	letters, n, err := r.engine.Letters(to, id, first)
	if err != nil {
		return 0, err
	}
	defer func() { _ = letters.Close() }() // only read from
	if n == 0 {
		return 0, nil
	}
	select {
	case t.s.letters <- struct{}{}:
		defer func() { <-t.s.letters }()
	default:
		return n, ErrBusy
	}
	out := bufio.NewWriterSize(outgoing{func(p []byte) error { return stream.Send(&choirv1.LettersResponse{Data: p}) }}, maxPart)
	if _, err = io.Copy(out, letters); err == nil {
		err = out.Flush()
	}
	if errors.Is(err, store.ErrNotFound) { // the attempt ended meanwhile
		err = coordinator.ErrNoRound.At("letters of attempt %s", id)
	}
	return n, err
}
