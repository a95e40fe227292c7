package rpc_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"github.com/choir-fl/choir/coordinator/rpc"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
)

// measuring is a stream that notes its largest message.
type measuring struct {
	grpc.ClientStream
	largest *atomic.Int64
}

func (m measuring) RecvMsg(v any) error {
	err := m.ClientStream.RecvMsg(v)
	if err == nil {
		m.largest.Store(max(m.largest.Load(), int64(proto.Size(v.(proto.Message)))))
	}
	return err
}

// No message grows with the model on its way down. On its way up the server
// refuses larger parts (TestSizesAreLimited).
func TestNoMessageGrowsWithTheModel(t *testing.T) {
	const dimension = 3_000_000
	w := newWorld(t, rpc.Limits{})
	_, id, c := w.joined(dimension)
	var largest atomic.Int64
	conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(credentials.NewTLS(w.tls(&c))),
		grpc.WithStreamInterceptor(func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			s, err := streamer(ctx, d, cc, method, opts...)
			return measuring{s, &largest}, err
		}))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	model := ramp(t, dimension)
	digest := model.Digest()
	s, err := choirv1grpc.NewRoundClient(conn).Fetch(t.Context(), &choirv1.FetchRequest{Round: id, Model: digest[:]})
	require.NoError(t, err)
	total := 0
	for {
		m, err := s.Recv()
		if err != nil {
			break
		}
		total += len(m.GetData())
	}
	require.Equal(t, len(file(t, model)), total)
	require.Less(t, largest.Load(), int64(256<<10+64))
}
