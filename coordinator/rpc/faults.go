package rpc

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/fault"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
)

// Refusals of the server itself.
var (
	ErrInternal  = fault.New(fault.Internal, "rpc/internal", "the coordinator failed", "look at the coordinator's log")
	ErrMessage   = fault.New(fault.Invalid, "rpc/message", "message is not one that this call takes", "update the program that sent it")
	ErrTooLarge  = fault.New(fault.Invalid, "rpc/too-large", "message is larger than allowed", "send it in smaller parts, or less of it")
	ErrOffset    = fault.New(fault.Unavailable, "rpc/offset", "bytes do not begin where the upload ends", "ask where to go on")
	ErrReplaced  = fault.New(fault.Conflict, "rpc/replaced", "another call of the same client took this upload over", "let the other call finish")
	ErrIdle      = fault.New(fault.Unavailable, "rpc/idle", "peer kept the stream waiting for too long", "call again; what arrived is kept")
	ErrTime      = fault.New(fault.Unavailable, "rpc/time", "call lasted too long", "call again; what arrived is kept")
	ErrStopping  = fault.New(fault.Unavailable, "rpc/stopping", "the coordinator is stopping", "call again after its restart")
	ErrBusy      = fault.New(fault.Exhausted, "rpc/busy", "the coordinator serves as many calls as it can", "come back later")
	ErrParty     = fault.New(fault.Exhausted, "rpc/party", "this party has too many calls under way", "let some finish")
	ErrRate      = fault.New(fault.Exhausted, "rpc/rate", "this party calls too often", "come back later")
	ErrNoRun     = fault.New(fault.NotFound, "rpc/no-run", "there is no run of this job", "look at choir run list")
	ErrRunExists = fault.New(fault.Conflict, "rpc/run-exists", "there is a run of this job", "resume it on purpose, or choose another job name")
	ErrRuns      = fault.New(fault.Exhausted, "rpc/runs", "the coordinator hosts as many runs as it can", "finish some and move their directories away")
	ErrRun       = fault.New(fault.Usage, "rpc/run", "run cannot be opened", "repair it, or move its directory away")
	ErrNoModel   = fault.New(fault.Usage, "rpc/no-model", "plan names no model that the coordinator can make", "send an initial model in safetensors")
)

// codeOf is the gRPC code that stands for a class, for peers that know no faults.
var codeOf = map[fault.Class]codes.Code{
	fault.Internal:        codes.Internal,
	fault.Usage:           codes.InvalidArgument,
	fault.Invalid:         codes.InvalidArgument,
	fault.Refused:         codes.FailedPrecondition,
	fault.Conflict:        codes.FailedPrecondition,
	fault.NotFound:        codes.NotFound,
	fault.Unauthenticated: codes.Unauthenticated,
	fault.Denied:          codes.PermissionDenied,
	fault.Exhausted:       codes.ResourceExhausted,
	fault.Unavailable:     codes.Unavailable,
	fault.Aborted:         codes.Aborted,
}

// retryAfter says which limits pass with time. Others of class Exhausted, such as
// a complete cohort, do not pass within the attempt.
var retryAfter = map[*fault.Error]time.Duration{
	coordinator.ErrBusy: 5 * time.Second,
	ErrBusy:             5 * time.Second,
	ErrParty:            time.Second,
	ErrRate:             time.Second,
}

// faultOf reduces an error to what may be told to a peer: the outermost fault
// without its cause, and of a fault of our own nothing but that there was one.
func faultOf(err error) *fault.Error {
	var f *fault.Error
	var offset *store.OffsetError
	switch {
	case errors.As(err, &f) && f.Class != fault.Internal:
		return &fault.Error{Class: f.Class, Code: f.Code, What: f.What, Where: f.Where, Do: f.Do}
	case errors.As(err, &offset):
		return ErrOffset
	case errors.Is(err, store.ErrSize):
		return ErrTooLarge
	case errors.Is(err, store.ErrClosed):
		return ErrStopping
	}
	switch status.Code(err) { // what gRPC itself found wrong while receiving
	case codes.ResourceExhausted:
		return ErrTooLarge
	case codes.Internal, codes.InvalidArgument, codes.Unimplemented:
		return ErrMessage
	case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable:
		return ErrTime
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return ErrTime
	}
	return ErrInternal
}

// maxText is the most of one field of a fault that travels, in bytes.
const maxText = 2000

// statusOf renders an error for the wire.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	f := faultOf(err)
	text := func(s string) string {
		if len(s) > maxText {
			s = s[:maxText]
		}
		return strings.ToValidUTF8(s, "?")
	}
	detail := &choirv1.Fault{Class: uint32(f.Class), Code: text(f.Code), What: text(f.What), Where: text(f.Where), Do: text(f.Do)}
	for limit, after := range retryAfter {
		if errors.Is(f, limit) {
			detail.RetryMillis = uint64(after.Milliseconds())
		}
	}
	st := status.New(codeOf[f.Class], text(f.Error()))
	if with, err := st.WithDetails(detail); err == nil {
		st = with
	}
	return st.Err()
}

// spellOut folds the causes of a fault into its text, for operators, whose plan
// is refused for reasons that are not secret from them.
func spellOut(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Class == fault.Internal {
		return err
	}
	text := strings.TrimSuffix(strings.ReplaceAll(err.Error(), "\n", " | "), "; "+f.Do)
	return &fault.Error{Class: f.Class, Code: f.Code, What: text, Do: f.Do}
}
