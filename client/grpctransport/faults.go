package grpctransport

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/choir-fl/choir/fault"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
)

// Refusals of the transport itself.
var (
	ErrConfig      = fault.New(fault.Usage, "grpctransport/config", "transport configuration is refused", "correct the configuration")
	ErrUnreachable = fault.New(fault.Unavailable, "grpctransport/unreachable", "coordinator cannot be reached", "check the address, the network and the coordinator")
	ErrAnswer      = fault.New(fault.Invalid, "grpctransport/answer", "coordinator gave an answer that makes no sense", "update this program or the coordinator")
	ErrLarge       = fault.New(fault.Invalid, "grpctransport/too-large", "message is larger than allowed", "send less")
	ErrCall        = fault.New(fault.Invalid, "grpctransport/call", "coordinator does not know this call", "update the coordinator or this program")
	ErrRejected    = fault.New(fault.Denied, "grpctransport/rejected", "something on the way rejected the call", "look at proxies and the address")
	ErrLocal       = fault.New(fault.Internal, "grpctransport/local", "reading or writing on this device failed", "look at the device's storage")
)

// Fault returns the fault.Error that a coordinator sent, with its class and code,
// or one of this package if the coordinator never saw the call. It is for code
// that uses the generated stubs on a connection of its own; a Transport and an
// Operator return nothing else.
func Fault(err error) error {
	f, _ := faultOf(err)
	if f == nil {
		return nil
	}
	return f
}

// faultOf also says after which time the call may be repeated; -1 for never.
func faultOf(err error) (f *fault.Error, again time.Duration) {
	if err == nil {
		return nil, -1
	}
	if errors.As(err, &f) { // already one of ours
		return f, -1
	}
	st, _ := status.FromError(err)
	for _, d := range st.Details() {
		if w, ok := d.(*choirv1.Fault); ok {
			f = &fault.Error{Class: fault.Class(min(w.GetClass(), 255)), Code: w.GetCode(), What: w.GetWhat(), Where: w.GetWhere(), Do: w.GetDo()}
			if f.Class > fault.Aborted {
				f.Class = fault.Internal
			}
			switch {
			case w.GetRetryMillis() > 0:
				return f, time.Duration(min(w.GetRetryMillis(), maxHint)) * time.Millisecond
			case f.Class == fault.Unavailable:
				return f, 0
			}
			return f, -1
		}
	}
	// The coordinator's own refusals have details. What comes without is gRPC's, or
	// that of a proxy.
	cause := errors.New(st.Message())
	switch st.Code() {
	case codes.ResourceExhausted:
		return ErrLarge.Because(cause), -1
	case codes.Unimplemented:
		return ErrCall.Because(cause), -1
	case codes.InvalidArgument:
		return ErrAnswer.Because(cause), -1
	case codes.Unauthenticated, codes.PermissionDenied:
		return ErrRejected.Because(cause), -1
	case codes.Canceled:
		return ErrUnreachable.Because(errors.Join(context.Canceled, cause)), 0
	case codes.DeadlineExceeded:
		return ErrUnreachable.Because(errors.Join(context.DeadlineExceeded, cause)), 0
	}
	return ErrUnreachable.Because(cause), 0
}

// maxHint is the longest pause that a coordinator may ask for, in milliseconds.
const maxHint = 60 * 60 * 1000
