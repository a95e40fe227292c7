package rpc_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"

	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
)

// methods lists all calls of all services that the server offers.
func methods() (unary, streams []string) {
	for _, d := range []grpc.ServiceDesc{choirv1grpc.Round_ServiceDesc, choirv1grpc.Enrolment_ServiceDesc, choirv1grpc.Operator_ServiceDesc, healthgrpc.Health_ServiceDesc} {
		for _, m := range d.Methods {
			unary = append(unary, "/"+d.ServiceName+"/"+m.MethodName)
		}
		for _, m := range d.Streams {
			streams = append(streams, "/"+d.ServiceName+"/"+m.StreamName)
		}
	}
	return unary, streams
}

// raw is a codec that sends bytes as they are.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

var _ encoding.CodecV2 = raw{}

// exchange sends raw messages to a method and returns how the call ended.
func exchange(ctx context.Context, conn *grpc.ClientConn, method string, messages ...[]byte) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method, grpc.ForceCodecV2(raw{}))
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := s.SendMsg(&m); err != nil {
			break // the answer says why
		}
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	for {
		var answer []byte
		if err := s.RecvMsg(&answer); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// What each role may call, said once more and apart from the product's table.
func TestEachRoleMayCallItsOwnMethodsOnly(t *testing.T) {
	w := newWorld(t, rpc.Limits{CallBurst: 1000})
	alice, admin, member := w.enrol(auth.RoleClient, "alice"), w.enrol(auth.RoleOperator, "admin"), w.enrol(auth.RoleDecryptor, "member")
	callers := map[string]*grpc.ClientConn{"anonymous": w.stub(nil), "client": w.stub(&alice), "operator": w.stub(&admin), "decryptor": w.stub(&member)}
	unary, streams := methods()
	all := append(unary, streams...)
	require.Greater(t, len(all), 18)
	for _, method := range all {
		var may []string
		switch service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/"); {
		case name == "CheckIn" || name == "Send" || name == "Receive":
			may = []string{"client", "decryptor"}
		case name == "Letters":
			may = []string{"decryptor"}
		case service == "choir.v1.Round":
			may = []string{"client"}
		case service == "choir.v1.Operator":
			may = []string{"operator"}
		case name == "Enrol":
			may = []string{"anonymous"}
		case name == "Renew":
			may = []string{"client", "operator", "decryptor"}
		case method == "/grpc.health.v1.Health/Check":
			may = []string{"anonymous", "client", "operator", "decryptor"}
		}
		for role, conn := range callers {
			err := grpctransport.Fault(exchange(t.Context(), conn, method, nil))
			if slices.Contains(may, role) {
				require.NotErrorIs(t, err, auth.ErrDenied, "%s calling %s", role, method)
			} else {
				require.ErrorIs(t, err, auth.ErrDenied, "%s calling %s", role, method)
				require.Equal(t, fault.Denied, fault.ClassOf(err))
			}
		}
	}
	for _, method := range auth.Methods() {
		require.Contains(t, all, method, "the table names a call that does not exist")
	}
}

// Bytes that are no message, on each call, end the call and nothing else.
func TestGarbageEndsTheCallAndNothingElse(t *testing.T) {
	w := newWorld(t, rpc.Limits{CallBurst: 10000, CallsPerSecond: 10000})
	alice, admin, member := w.enrol(auth.RoleClient, "alice"), w.enrol(auth.RoleOperator, "admin"), w.enrol(auth.RoleDecryptor, "member")
	callers := []*grpc.ClientConn{w.stub(nil), w.stub(&alice), w.stub(&admin), w.stub(&member)}
	coins := rand.New(rand.NewPCG(1, 2))
	unary, streams := methods()
	for _, method := range append(unary, streams...) {
		if method == choirv1grpc.Operator_ListRuns_FullMethodName || method == "/grpc.health.v1.Health/Check" {
			continue // answers that nothing can be wrong with
		}
		for _, conn := range callers {
			for range 20 {
				garbage := make([]byte, coins.IntN(300))
				for i := range garbage {
					garbage[i] = byte(coins.Uint32())
				}
				// A field that looks like a header, so that some get further.
				err := exchange(t.Context(), conn, method, append([]byte{10, 2, 8, 1}, garbage...), garbage, []byte{18, 1, 7})
				if method != choirv1grpc.Round_CheckIn_FullMethodName {
					require.Error(t, err, method)
				}
			}
		}
	}
	conn, err := tls.Dial("tcp", w.address, w.tls(nil))
	require.NoError(t, err)
	garbage := make([]byte, 1<<16)
	for i := range garbage {
		garbage[i] = byte(coins.Uint32())
	}
	_, _ = conn.Write(garbage) // the server may hang up at any byte
	_ = conn.Close()

	health, err := healthgrpc.NewHealthClient(w.stub(nil)).Check(t.Context(), &healthgrpc.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthgrpc.HealthCheckResponse_SERVING, health.GetStatus())
	require.NotContains(t, w.logs.String(), "panic")
}
