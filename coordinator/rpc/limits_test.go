package rpc_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/fault"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// joined starts a run of one client that has been admitted, and returns its attempt.
func (w *world) joined(dimension int) (choirv1grpc.RoundClient, *choirv1.RoundId, grpctransport.Credentials) {
	w.t.Helper()
	o, people := w.operator(), w.people(1)
	w.begin(o, testPlan("plain", dimension, 1, 1, 1), ramp(w.t, dimension))
	stub := choirv1grpc.NewRoundClient(w.stub(&people[0]))
	id := &choirv1.RoundId{Job: "job", Round: 1, Attempt: 1}
	require.NoError(w.t, w.send(stub, id, 0, people[0].Identity.Encode()))
	return stub, id, people[0]
}

func (w *world) send(stub choirv1grpc.RoundClient, id *choirv1.RoundId, step uint32, body []byte) error {
	s, err := stub.Send(w.t.Context())
	require.NoError(w.t, err)
	require.NoError(w.t, s.Send(&choirv1.SendRequest{Header: &choirv1.MessageHeader{Round: id, Step: step, Size: uint32(len(body))}}))
	for len(body) > 0 {
		n := min(len(body), 256<<10)
		if s.Send(&choirv1.SendRequest{Data: body[:n]}) != nil {
			break
		}
		body = body[n:]
	}
	_, err = s.CloseAndRecv()
	return grpctransport.Fault(err)
}

func TestSizesAreLimited(t *testing.T) {
	w := newWorld(t, rpc.Limits{CallBurst: 1000})
	stub, id, _ := w.joined(10)
	head := func(size uint32) *choirv1.SendRequest {
		return &choirv1.SendRequest{Header: &choirv1.MessageHeader{Round: id, Step: 1, Size: size}}
	}
	data := func(n int) *choirv1.SendRequest { return &choirv1.SendRequest{Data: make([]byte, n)} }
	for name, x := range map[string]struct {
		messages []*choirv1.SendRequest
		want     error
	}{
		"message above 1 MiB":             {[]*choirv1.SendRequest{head(2 << 20), data(2 << 20)}, grpctransport.ErrLarge}, // said by gRPC
		"part above 256 KiB":              {[]*choirv1.SendRequest{head(2 << 20), data(256<<10 + 1)}, rpc.ErrTooLarge},
		"declared above the longest":      {[]*choirv1.SendRequest{head(secagg.MaxMessage + 1)}, rpc.ErrTooLarge},
		"declared as nothing":             {[]*choirv1.SendRequest{head(0)}, rpc.ErrTooLarge},
		"more than declared":              {[]*choirv1.SendRequest{head(10), data(11)}, rpc.ErrMessage},
		"less than declared":              {[]*choirv1.SendRequest{head(10), data(9)}, rpc.ErrMessage},
		"no header":                       {[]*choirv1.SendRequest{data(9)}, rpc.ErrMessage},
		"header and data":                 {[]*choirv1.SendRequest{{Header: head(1).GetHeader(), Data: []byte{1}}}, rpc.ErrMessage},
		"two headers":                     {[]*choirv1.SendRequest{head(10), head(10)}, rpc.ErrMessage},
		"empty part":                      {[]*choirv1.SendRequest{head(10), data(0)}, rpc.ErrMessage},
		"nothing":                         {nil, rpc.ErrMessage},
		"longest, but no canonical bytes": {append([]*choirv1.SendRequest{head(secagg.MaxMessage)}, parts(secagg.MaxMessage)...), secagg.ErrEncoding},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := stub.Send(t.Context())
			require.NoError(t, err)
			for _, m := range x.messages {
				if err := s.Send(m); err != nil {
					require.ErrorIs(t, err, io.EOF)
					break
				}
			}
			_, err = s.CloseAndRecv()
			require.ErrorIs(t, grpctransport.Fault(err), x.want)
			require.Equal(t, fault.Invalid, fault.ClassOf(grpctransport.Fault(err)))
		})
	}
}

func parts(n int) (out []*choirv1.SendRequest) {
	for ; n > 0; n -= 256 << 10 {
		out = append(out, &choirv1.SendRequest{Data: make([]byte, min(n, 256<<10))})
	}
	return out
}

// A peer that says nothing is hung up on, in whatever call it does so.
func TestPeerThatKeepsAStreamWaitingIsInterrupted(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	_, id, c := w.joined(1000)
	l := testPlan("plain", 4<<20, 1, 1, 1) // a model of 16 MiB, more than any window
	l.Job = "large"
	w.begin(w.operator(), l, ramp(t, 4<<20))
	require.NoError(t, w.halt())
	w.start(rpc.Limits{Idle: 100 * time.Millisecond, Call: 2 * time.Second, Stream: time.Minute})
	stub := choirv1grpc.NewRoundClient(w.stub(&c))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	t.Run("before the header", func(t *testing.T) {
		s, err := stub.Upload(ctx)
		require.NoError(t, err)
		require.ErrorIs(t, grpctransport.Fault(s.RecvMsg(&choirv1.UploadResponse{})), rpc.ErrIdle)
	})
	t.Run("between two parts", func(t *testing.T) {
		begin := func() uint64 {
			begun, err := stub.UploadBegin(ctx, &choirv1.UploadBeginRequest{Round: id, Step: 1, Size: uint64(uploadSize(t, 1000))})
			require.NoError(t, grpctransport.Fault(err))
			return begun.GetOffset()
		}
		for begin() == 0 { // once, unless this machine is slower than the limit
			s, err := stub.Upload(ctx)
			require.NoError(t, err)
			require.NoError(t, s.Send(&choirv1.UploadRequest{Header: &choirv1.UploadHeader{Round: id}}))
			require.NoError(t, s.Send(&choirv1.UploadRequest{Data: make([]byte, 100)}))
			err = grpctransport.Fault(s.RecvMsg(&choirv1.UploadResponse{}))
			require.ErrorIs(t, err, rpc.ErrIdle)
			require.Equal(t, fault.Unavailable, fault.ClassOf(err))
		}
		require.EqualValues(t, 100, begin(), "what arrived is kept")
	})
	t.Run("headers of a unary call alone", func(t *testing.T) {
		s, err := w.stub(&c).NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, choirv1grpc.Round_UploadBegin_FullMethodName)
		require.NoError(t, err)
		require.Error(t, s.RecvMsg(&choirv1.UploadBeginResponse{}))
		require.NoError(t, ctx.Err(), "the server must end the call")
	})
	t.Run("one that does not read", func(t *testing.T) {
		blocked := make(chan struct{})
		err := w.operator().Export(ctx, "large", writer(func(p []byte) (int, error) {
			select {
			case <-blocked:
			case <-ctx.Done():
			}
			return len(p), nil
		}).until(w, blocked))
		require.ErrorIs(t, err, rpc.ErrIdle)
	})
}

type writer func([]byte) (int, error)

func (f writer) Write(p []byte) (int, error) { return f(p) }

// until closes event once the server has logged that it interrupted a call.
func (f writer) until(w *world, event chan struct{}) writer {
	go func() {
		defer close(event)
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
			if w.logs.has("Operator/Export", "rpc/idle") {
				return
			}
		}
	}()
	return f
}

func uploadSize(t *testing.T, dimension int) int64 {
	t.Helper()
	p, err := testPlan("plain", dimension, 1, 1, 1).Check(schemes...)
	require.NoError(t, err)
	q := p.Quantizer()
	return int64(packed(q.Layout().Len(), q.WordBits()))
}

func packed(words, bits int) int { return (words*bits + 7) / 8 }

func TestCallsUnderWayAreLimited(t *testing.T) {
	w := newWorld(t, rpc.Limits{StreamsPerParty: 2, Streams: 4})
	people := w.people(2)
	var held []choirv1grpc.Round_UploadClient
	for range 2 {
		s, err := choirv1grpc.NewRoundClient(w.stub(&people[0])).Upload(t.Context())
		require.NoError(t, err)
		held = append(held, s)
	}
	third := func(c grpctransport.Credentials) error { // an upload of nothing, which ends at once
		s, err := choirv1grpc.NewRoundClient(w.stub(&c)).Upload(t.Context())
		require.NoError(t, err)
		_, err = s.CloseAndRecv()
		return grpctransport.Fault(err)
	}
	var err error
	for deadline := time.Now().Add(10 * time.Second); !errors.Is(err, rpc.ErrParty) && time.Now().Before(deadline); {
		err = third(people[0]) // until the server has seen the two
	}
	require.ErrorIs(t, err, rpc.ErrParty)
	require.Equal(t, fault.Exhausted, fault.ClassOf(err))
	require.ErrorIs(t, third(people[1]), rpc.ErrMessage, "another party is not concerned")
	for _, s := range held {
		require.NoError(t, s.CloseSend())
		require.Error(t, s.RecvMsg(&choirv1.UploadResponse{}))
	}
	for deadline := time.Now().Add(10 * time.Second); !errors.Is(err, rpc.ErrMessage) && time.Now().Before(deadline); {
		err = third(people[0])
	}
	require.ErrorIs(t, err, rpc.ErrMessage, "calls that ended make room")
}

func TestCallsAreMetered(t *testing.T) {
	w := newWorld(t, rpc.Limits{CallBurst: 3, CallsPerSecond: 0.001})
	people := w.people(2)
	call := func(c grpctransport.Credentials) error {
		s, err := choirv1grpc.NewRoundClient(w.stub(&c)).CheckIn(t.Context(), &choirv1.CheckInRequest{})
		require.NoError(t, err)
		_, err = s.Recv()
		return grpctransport.Fault(err)
	}
	for range 3 {
		require.NoError(t, call(people[0]))
	}
	require.ErrorIs(t, call(people[0]), rpc.ErrRate)
	require.NoError(t, call(people[1]))
	w.clock.advance(2000 * time.Second)
	require.NoError(t, call(people[0]))
}

// Somebody without a certificate is metered by address, so tokens cannot be guessed
// at any speed.
func TestGuessesAreMetered(t *testing.T) {
	w := newWorld(t, rpc.Limits{CallBurst: 3, CallsPerSecond: 0.001})
	stub := choirv1grpc.NewEnrolmentClient(w.stub(nil))
	guess := func() error {
		_, err := stub.Enrol(t.Context(), &choirv1.EnrolRequest{Secret: make([]byte, 32), Request: []byte{1}})
		return grpctransport.Fault(err)
	}
	for range 3 {
		require.ErrorIs(t, guess(), auth.ErrRequest)
	}
	require.ErrorIs(t, guess(), rpc.ErrRate)
}

// Whatever panics in a call ends that call alone, without a word about why.
func TestPanicEndsTheCallAlone(t *testing.T) {
	w := newWorldWith(t, rpc.Limits{}, func(c *rpc.Config) {
		c.Complete = func(plan.Literal) (plan.Literal, tensor.Model, error) { panic("secret of the inside") }
	})
	o := w.operator()
	text, err := testPlan("plain", 10, 1, 1, 1).Format()
	require.NoError(t, err)
	_, err = o.StartRun(t.Context(), grpctransport.Run{Name: "plan.yaml", Plan: []byte(text)})
	require.Equal(t, fault.Internal, fault.ClassOf(err))
	require.NotContains(t, err.Error(), "secret of the inside")
	require.Contains(t, w.logs.String(), "secret of the inside")
	_, err = o.Runs(t.Context())
	require.NoError(t, err)
}

func TestLimitsThatContradict(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	for name, l := range map[string]rpc.Limits{"negative": {Streams: -1}, "negative time": {Idle: -1}, "no number": {CallsPerSecond: -1}} {
		_, err := rpc.New(rpc.Config{Dir: t.TempDir(), Registry: w.registry, Hosts: []string{"localhost"}, Schemes: schemes, Limits: l})
		require.ErrorIs(t, err, rpc.ErrConfig, name)
	}
	_, err := rpc.New(rpc.Config{Dir: t.TempDir(), Registry: w.registry, Hosts: []string{"bad host"}, Schemes: schemes})
	require.ErrorIs(t, err, auth.ErrHost)
	_, err = rpc.New(rpc.Config{Dir: t.TempDir(), Hosts: []string{"localhost"}, Schemes: schemes})
	require.ErrorIs(t, err, rpc.ErrConfig)
}
