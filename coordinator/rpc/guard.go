package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"

	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
)

// call is one call under way. cancel aborts whatever it is waiting for.
type call struct {
	cancel context.CancelCauseFunc
}

type callKey struct{}
type callerKey struct{}

// long lists the calls that move bulk or wait; all others are short.
var long = map[string]bool{
	choirv1grpc.Round_Send_FullMethodName:         true,
	choirv1grpc.Round_Receive_FullMethodName:      true,
	choirv1grpc.Round_Fetch_FullMethodName:        true,
	choirv1grpc.Round_Upload_FullMethodName:       true,
	choirv1grpc.Round_UploadCommit_FullMethodName: true,
	choirv1grpc.Operator_StartRun_FullMethodName:  true,
	choirv1grpc.Operator_WatchRun_FullMethodName:  true,
	choirv1grpc.Operator_Export_FullMethodName:    true,
}

// tap runs when the headers of a call have arrived and before any message has. It
// bounds the life of the call here, and not in an interceptor, because gRPC reads
// the message of a unary call before it asks an interceptor: a peer that sends
// headers only would never be interrupted.
func (s *Server) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	life := s.limits.Call
	if long[info.FullMethodName] {
		life = s.limits.Stream
	}
	ctx, cancel := context.WithCancelCause(ctx)
	t := time.AfterFunc(life, func() { cancel(ErrTime) })
	context.AfterFunc(ctx, func() { t.Stop() })
	return context.WithValue(ctx, callKey{}, &call{cancel}), nil
}

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	err = s.guard(ctx, info.FullMethod, func(ctx context.Context, _ *call) error {
		resp, err = handle(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return s.guard(ss.Context(), info.FullMethod, func(ctx context.Context, c *call) error {
		return handle(srv, &watched{ServerStream: ss, ctx: ctx, call: c, idle: s.limits.Idle})
	})
}

// guard runs a call: it finds out who calls, whether that is allowed, and whether
// a limit is met; it turns a panic into an error, and an error into a status.
func (s *Server) guard(ctx context.Context, method string, do func(context.Context, *call) error) (err error) {
	began := s.cfg.Now()
	c := ctx.Value(callKey{}).(*call) // set by tap
	var who caller
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("panic in a call", "method", method, "panic", r, "stack", string(debug.Stack()))
			err = ErrInternal
		}
		if err != nil && ctx.Err() != nil {
			var why *fault.Error
			if errors.As(context.Cause(ctx), &why) {
				err = why // the reason for which we interrupted it
			}
		}
		s.record(ctx, method, who, s.cfg.Now().Sub(began), err)
		err = statusOf(err)
	}()
	if who, err = s.identify(ctx, began); err != nil {
		if !s.parties.allow(who, began) {
			err = ErrRate
		}
		return err
	}
	if err := auth.Allow(method, who.Role); err != nil {
		return err
	}
	if err := s.parties.enter(who, c, began); err != nil {
		return err
	}
	defer s.parties.leave(who, c)
	return do(context.WithValue(ctx, callerKey{}, who), c)
}

// identify says who is at the other end of the connection.
func (s *Server) identify(ctx context.Context, now time.Time) (caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{}, ErrInternal
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return caller{}, ErrInternal
	}
	who, err := s.cfg.Registry.Admit(info.State.PeerCertificates, now)
	if err == nil && who.Role != auth.RoleAnonymous {
		return caller{Caller: who}, nil
	}
	host, _, cut := net.SplitHostPort(p.Addr.String())
	if cut != nil {
		host = p.Addr.String()
	}
	return caller{address: host}, err
}

// record logs a call: who, what, how long, how it ended; never a payload.
func (s *Server) record(ctx context.Context, method string, who caller, took time.Duration, err error) {
	level := slog.LevelDebug
	attrs := []slog.Attr{slog.String("method", method), slog.String("role", who.Role.String()), slog.Duration("took", took)}
	if who.Name != "" {
		attrs = append(attrs, slog.String("party", who.Name))
	} else {
		attrs = append(attrs, slog.String("address", who.address))
	}
	if err != nil {
		f := faultOf(err)
		switch f.Class {
		case fault.Internal:
			level = slog.LevelError
		case fault.Exhausted, fault.Unavailable, fault.Aborted, fault.Conflict: // everyday, or a flood
		default:
			level = slog.LevelWarn
		}
		attrs = append(attrs, slog.String("class", f.Class.String()), slog.String("code", f.Code), slog.String("error", err.Error()))
	}
	s.log.LogAttrs(context.WithoutCancel(ctx), level, "call", attrs...)
}

// watched interrupts a call whose peer keeps it waiting: time counts only while
// the call is inside RecvMsg or SendMsg.
type watched struct {
	grpc.ServerStream
	ctx  context.Context
	call *call
	idle time.Duration
}

func (w *watched) Context() context.Context { return w.ctx }

func (w *watched) RecvMsg(m any) error {
	return w.watch(func() error { return w.ServerStream.RecvMsg(m) })
}

func (w *watched) SendMsg(m any) error {
	return w.watch(func() error { return w.ServerStream.SendMsg(m) })
}

func (w *watched) watch(do func() error) error {
	t := time.AfterFunc(w.idle, func() { w.call.cancel(ErrIdle) })
	defer t.Stop()
	return do()
}

// party returns the name of the client that makes a call.
func party(ctx context.Context) auth.Caller {
	who, _ := ctx.Value(callerKey{}).(caller) // always set by guard
	return who.Caller
}
