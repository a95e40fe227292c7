package rpc

import (
	"context"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"

	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
	"github.com/choir-fl/choir/secagg"
)

// call is one call under way.
type call struct {
	cancel context.CancelFunc // of the call's context, which gRPC itself waits on

	mu        sync.Mutex // owns the fields below
	guarded   bool       // guard watches over it
	why       error
	interrupt chan struct{} // closed once why is set
}

// end interrupts a call. The peer is told why: guard returns, which ends the stream
// and with it whatever the handler waits for. Were the context cancelled instead,
// gRPC would say that it was, and nothing else, as soon as the handler receives.
func (c *call) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil {
		return
	}
	c.why = why
	close(c.interrupt)
	if !c.guarded {
		c.cancel()
	}
}

// guard takes a call over from gRPC, which has read the message of a unary one.
func (c *call) guard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.guarded = true
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
	choirv1grpc.Round_Letters_FullMethodName:      true,
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
	ctx, cancel := context.WithCancel(ctx)
	c := &call{cancel: cancel, interrupt: make(chan struct{})}
	t := time.AfterFunc(life, func() { c.end(ErrTime) })
	context.AfterFunc(ctx, func() { t.Stop() })
	return context.WithValue(ctx, callKey{}, c), nil
}

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	answer := make(chan any, 1)
	err := s.guard(ctx, info.FullMethod, func(ctx context.Context, _ *call) error {
		resp, err := handle(ctx, req)
		answer <- resp
		return err
	})
	if err != nil {
		return nil, err
	}
	return <-answer, nil
}

func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return s.guard(ss.Context(), info.FullMethod, func(ctx context.Context, c *call) error {
		return handle(srv, &watched{ServerStream: ss, ctx: ctx, call: c, idle: s.limits.Idle})
	})
}

// guard runs a call: it finds out who calls, whether that is allowed, and whether
// a limit is met; it returns when the call is interrupted; it turns a panic into
// an error, and an error into a status.
func (s *Server) guard(ctx context.Context, method string, do func(context.Context, *call) error) error {
	began := s.cfg.Now()
	c := ctx.Value(callKey{}).(*call) // set by tap
	c.guard()
	who, err := s.admit(ctx, method, c, began)
	if err == nil {
		done := make(chan error, 1)
		s.handlers.Go(func() {
			defer s.parties.leave(who, c)
			done <- s.run(context.WithValue(ctx, callerKey{}, who), method, c, do)
		})
		select {
		case err = <-done:
		case <-c.interrupt:
			err = c.why
		}
	}
	s.record(ctx, method, who, s.cfg.Now().Sub(began), err)
	return statusOf(err)
}

// admit says who calls, if the call may begin; then parties.leave ends it.
func (s *Server) admit(ctx context.Context, method string, c *call, now time.Time) (caller, error) {
	who, err := s.identify(ctx, now)
	if err != nil {
		if !s.parties.allow(who, now) {
			err = ErrRate
		}
		return who, err
	}
	if err := auth.Allow(method, who.Role); err != nil {
		return who, err
	}
	return who, s.parties.enter(who, c, now)
}

// run handles a call. What panics in it ends this call and nothing else.
func (s *Server) run(ctx context.Context, method string, c *call, do func(context.Context, *call) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("panic in a call", "method", method, "panic", r, "stack", string(debug.Stack()))
			err = ErrInternal
		}
	}()
	return do(ctx, c)
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
	t := time.AfterFunc(w.idle, func() { w.call.end(ErrIdle) })
	defer t.Stop()
	return do()
}

// party returns who makes a call.
func party(ctx context.Context) auth.Caller {
	who, _ := ctx.Value(callerKey{}).(caller) // always set by guard
	return who.Caller
}

// address returns the name under which engines know who makes a call.
func address(ctx context.Context) secagg.PartyID { return addressOf(party(ctx)) }

func addressOf(who auth.Caller) secagg.PartyID {
	if who.Role == auth.RoleDecryptor {
		return secagg.DecryptorAddress(secagg.PartyID(who.Name))
	}
	return secagg.PartyID(who.Name)
}
