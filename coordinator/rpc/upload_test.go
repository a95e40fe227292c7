package rpc_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/fault"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/secagg"
)

// spooled returns how many bytes of the largest upload are on the server's disk,
// or 0 if there is none.
func (w *world) spooled() (most int64) {
	_ = filepath.WalkDir(filepath.Join(w.dir, "runs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".part") {
			if info, err := os.Stat(path); err == nil {
				most = max(most, info.Size())
			}
		}
		return nil
	})
	return most
}

// An upload whose connection breaks goes on where it stopped: less than one part
// crosses the network twice.
func TestInterruptedUploadGoesOnWhereItStopped(t *testing.T) {
	const dimension, part = 1_000_000, 256 << 10
	w := newWorld(t, rpc.Limits{})
	o, people := w.operator(), w.people(1)
	first, second := newProxy(t, w.address), newProxy(t, w.address)
	initial := ramp(t, dimension)

	run := func(p *proxy, job string) int64 {
		l := testPlan("plain", dimension, 1, 1, 1)
		l.Job = job
		w.begin(o, l, initial)
		before := p.passed()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, err := client.New(w.transportTo(p.address(), people[0]), adder(3), append(options(people[0]), client.WithJob(job))...)
		require.NoError(t, err)
		r, err := c.RunOnce(ctx)
		require.NoError(t, err)
		require.True(t, r.Completed, r.Reason)
		return p.passed() - before
	}
	whole := run(first, "whole")
	size := uploadSize(t, dimension)
	require.Greater(t, size, int64(11*part))
	require.Greater(t, whole, size)

	second.limit = 8*part + part/2 + 8<<10 // in the middle of the ninth part, about
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		<-second.held
		// The server gets all that was passed on before the line breaks.
		for deadline := time.Now().Add(20 * time.Second); w.spooled() < 8*part && time.Now().Before(deadline); {
		}
		second.cut()
	}()
	broken := run(second, "broken")
	<-cut
	require.Less(t, broken, whole+part, "bytes sent twice")

	a, b := w.exportOf(o, "whole"), w.exportOf(o, "broken")
	require.Equal(t, a.Digest(), b.Digest())
}

// A client that comes back while the server still waits on its broken stream ends
// that stream, and is told an offset that holds.
func TestLaterUploadReplacesTheEarlier(t *testing.T) {
	const dimension = 200_000
	w := newWorld(t, rpc.Limits{})
	stub, id, _ := w.joined(dimension)
	size := uint64(uploadSize(t, dimension))
	begin := func() uint64 {
		r, err := stub.UploadBegin(t.Context(), &choirv1.UploadBeginRequest{Round: id, Step: 1, Size: size})
		require.NoError(t, grpctransport.Fault(err))
		return r.GetOffset()
	}
	require.Zero(t, begin())
	s, err := stub.Upload(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Send(&choirv1.UploadRequest{Header: &choirv1.UploadHeader{Round: id}}))
	require.NoError(t, s.Send(&choirv1.UploadRequest{Data: make([]byte, 1000)}))
	for deadline := time.Now().Add(20 * time.Second); w.spooled() < 1000 && time.Now().Before(deadline); {
	}
	require.EqualValues(t, 1000, begin())
	require.ErrorIs(t, grpctransport.Fault(s.RecvMsg(&choirv1.UploadResponse{})), rpc.ErrReplaced)

	wrong, err := stub.Upload(t.Context())
	require.NoError(t, err)
	require.NoError(t, wrong.Send(&choirv1.UploadRequest{Header: &choirv1.UploadHeader{Round: id, Offset: 999}}))
	require.NoError(t, wrong.Send(&choirv1.UploadRequest{Data: make([]byte, 10)}))
	_, err = wrong.CloseAndRecv()
	require.ErrorIs(t, grpctransport.Fault(err), rpc.ErrOffset)
}

// What does not match its commit frame starts again from nothing, and is sent anew.
func TestDamagedUploadIsSentAnew(t *testing.T) {
	const dimension = 200_000
	w := newWorld(t, rpc.Limits{})
	o, people := w.operator(), w.people(1)
	w.begin(o, testPlan("plain", dimension, 1, 1, 1), ramp(t, dimension))
	tr := w.transport(people[0])
	damage := &damaging{Transport: tr}
	c, err := client.New(damage, adder(1), options(people[0])...)
	require.NoError(t, err)
	r, err := c.RunOnce(t.Context())
	require.NoError(t, err)
	require.True(t, r.Completed, r.Reason)
	require.Equal(t, 2, damage.read, "once with a flipped bit, once as it was sealed")
}

// damaging flips a bit of an upload the first time that it is read.
type damaging struct {
	client.Transport
	read int
}

func (d *damaging) Upload(ctx context.Context, m client.Message, sealed io.ReadSeeker, size int64) error {
	return d.Transport.Upload(ctx, m, &flipped{ReadSeeker: sealed, d: d}, size)
}

type flipped struct {
	io.ReadSeeker
	d *damaging
}

func (f *flipped) Seek(offset int64, whence int) (int64, error) {
	f.d.read++
	return f.ReadSeeker.Seek(offset, whence)
}

func (f *flipped) Read(p []byte) (int, error) {
	n, err := f.ReadSeeker.Read(p)
	if f.d.read == 1 && n > 0 {
		p[0] ^= 1
	}
	return n, err
}

// The model is fetched from any offset, for its own attempt, and nothing else is.
func TestFetchGivesTheAttemptsModelOnly(t *testing.T) {
	const dimension = 300_000
	w := newWorld(t, rpc.Limits{})
	_, id, c := w.joined(dimension)
	tr := w.transport(c)
	initial := ramp(t, dimension)
	want := file(t, initial)
	at := secagg.RoundID{Job: "job", Round: id.GetRound(), Attempt: id.GetAttempt()}
	for _, offset := range []int{0, 1, 256 << 10, len(want) - 1, len(want)} {
		var got bytes.Buffer
		require.NoError(t, tr.Fetch(t.Context(), at, initial.Digest(), int64(offset), &got))
		require.True(t, bytes.Equal(want[offset:], got.Bytes()), "from %d", offset)
	}
	var none bytes.Buffer
	require.ErrorIs(t, tr.Fetch(t.Context(), at, initial.Digest(), int64(len(want)+1), &none), rpc.ErrMessage)
	require.ErrorIs(t, tr.Fetch(t.Context(), at, secagg.Digest{1}, 0, &none), coordinator.ErrNoRound)
	at.Attempt++
	require.ErrorIs(t, tr.Fetch(t.Context(), at, initial.Digest(), 0, &none), coordinator.ErrNoRound)
	require.Zero(t, none.Len())
}

// A fetch whose connection breaks goes on with the next byte.
func TestInterruptedFetchGoesOnWhereItStopped(t *testing.T) {
	const dimension = 2_000_000
	w := newWorld(t, rpc.Limits{})
	_, id, c := w.joined(dimension)
	initial := ramp(t, dimension)
	want := file(t, initial)
	p := newProxy(t, w.address)
	var got bytes.Buffer
	w2 := writer(func(b []byte) (int, error) {
		if got.Len() < 3<<20 && got.Len()+len(b) >= 3<<20 {
			p.cut()
		}
		return got.Write(b)
	})
	at := secagg.RoundID{Job: "job", Round: id.GetRound(), Attempt: id.GetAttempt()}
	require.NoError(t, w.transportTo(p.address(), c).Fetch(t.Context(), at, initial.Digest(), 0, w2))
	require.True(t, bytes.Equal(want, got.Bytes()))

	full := writer(func([]byte) (int, error) { return 0, fs.ErrPermission })
	err := w.transport(c).Fetch(t.Context(), at, initial.Digest(), 0, full)
	require.ErrorIs(t, err, fs.ErrPermission, "a disk that is full is not tried again")
	require.Equal(t, fault.Internal, fault.ClassOf(err))
}
