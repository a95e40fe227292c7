package rpc

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/coordinator/store"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
	"github.com/choir-fl/choir/secagg"
)

// roundService is what clients and committee members call. The caller is the one that
// the certificate names, whatever a message says.
type roundService struct {
	choirv1grpc.UnimplementedRoundServer
	s *Server
}

// attempt finds the run of a round's id.
func (t roundService) attempt(wire *choirv1.RoundId) (*run, secagg.RoundID, error) {
	id, err := roundID(wire)
	if err != nil {
		return nil, id, err
	}
	r, err := t.s.runs.get(id.Job)
	if err != nil {
		return nil, id, coordinator.ErrNoRound.At("attempt %s", id)
	}
	return r, id, nil
}

// CheckIn implements choirv1grpc.RoundServer.
func (t roundService) CheckIn(req *choirv1.CheckInRequest, stream choirv1grpc.Round_CheckInServer) error {
	var candidates []*run
	if req.GetJob() != "" {
		r, err := t.s.runs.get(req.GetJob())
		if err != nil {
			return err
		}
		candidates = []*run{r}
	} else {
		candidates = t.s.runs.list()
	}
	from := address(stream.Context())
	device := coordinator.Conditions{Charging: req.GetCharging(), Unmetered: req.GetUnmetered(), Idle: req.GetIdle()}
	wait := time.Duration(math.MaxInt64)
	for _, r := range candidates {
		offer, err := r.engine.CheckIn(from, device)
		if errors.Is(err, round.ErrNotMember) && req.GetJob() == "" {
			continue // a run under another committee than the caller's
		}
		if err != nil {
			return err
		}
		if offer.Task != nil {
			_, err := outgoing{func(p []byte) error { return stream.Send(&choirv1.CheckInResponse{Task: p}) }}.Write(offer.Task.Encode())
			return err
		}
		wait = min(wait, offer.Wait)
	}
	if wait == math.MaxInt64 {
		wait = noRuns
	}
	return stream.Send(&choirv1.CheckInResponse{WaitMillis: uint64(max(wait.Milliseconds(), 1))})
}

// noRuns is when a party comes back that found no run at all.
const noRuns = time.Minute

// Send implements choirv1grpc.RoundServer.
func (t roundService) Send(stream choirv1grpc.Round_SendServer) error {
	h, err := header[*choirv1.SendRequest](stream.Recv)
	if err != nil {
		return err
	}
	r, id, err := t.attempt(h.GetRound())
	if err != nil {
		return err
	}
	in := &incoming[*choirv1.SendRequest, *choirv1.MessageHeader]{recv: stream.Recv}
	message, release, err := whole(in, h.GetSize(), t.s.buffers)
	if err != nil {
		return err
	}
	defer release()
	err = r.engine.Message(address(stream.Context()), id, h.GetStep(), message)
	// An answer to a step that is over was taken before or comes too late; either
	// way the client goes on with what is due now.
	superseded := errors.Is(err, round.ErrStep) || errors.Is(err, round.ErrState)
	if err != nil && !superseded {
		return err
	}
	return stream.SendAndClose(&choirv1.SendResponse{Superseded: superseded})
}

// Receive implements choirv1grpc.RoundServer.
func (t roundService) Receive(req *choirv1.ReceiveRequest, stream choirv1grpc.Round_ReceiveServer) error {
	r, id, err := t.attempt(req.GetRound())
	if err != nil {
		return err
	}
	to := address(stream.Context())
	poll := time.NewTimer(t.s.limits.Poll)
	defer poll.Stop()
	for {
		mail := r.awaitMail(to)
		if env, ok := r.engine.Envelope(to, id, req.GetAfter()); ok {
			_, err := outgoing{func(p []byte) error { return stream.Send(&choirv1.ReceiveResponse{Data: p}) }}.Write(env.Encode())
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

// Fetch implements choirv1grpc.RoundServer. Only the model that the attempt starts
// from, and the centre of its pass, are given out: other blobs of a run are not for clients.
func (t roundService) Fetch(req *choirv1.FetchRequest, stream choirv1grpc.Round_FetchServer) error {
	r, id, err := t.attempt(req.GetRound())
	if err != nil {
		return err
	}
	state := r.engine.State()
	wanted := state.Model
	if slices.Equal(req.GetModel(), state.Centre[:]) {
		wanted = state.Centre
	}
	if state.ID != id || !slices.Equal(req.GetModel(), wanted[:]) {
		return coordinator.ErrNoRound.At("model of attempt %s", id)
	}
	blob, err := r.engine.Model(wanted)
	if errors.Is(err, store.ErrNotFound) {
		return coordinator.ErrNoRound.At("model of attempt %s", id)
	}
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }() // only read from
	if req.GetOffset() > uint64(blob.Size()) {
		return ErrMessage.At("offset %d of %d bytes", req.GetOffset(), blob.Size())
	}
	return sendFile(blob, blob.Size(), int64(req.GetOffset()), stream.Send)
}
