package rpc_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Waiting calls end at once with a word about why; the stores are closed, so that
// the next process can open them.
func TestShutdownEndsWaitingCallsAndClosesStores(t *testing.T) {
	w := newWorld(t, rpc.Limits{Grace: 20 * time.Second})
	_, _, c := w.joined(10)
	tr := w.transport(c)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	waiting := make(chan error, 1)
	go func() { // step 1 came; nothing follows
		_, err := tr.Receive(ctx, secagg.RoundID{Job: "job", Round: 1, Attempt: 1}, 1)
		waiting <- err
	}()
	for deadline := time.Now().Add(20 * time.Second); !w.logs.has("Round/Send") && time.Now().Before(deadline); {
	}
	began := time.Now()
	require.NoError(t, w.halt())
	require.Less(t, time.Since(began), 15*time.Second, "the grace is not used up")
	cancel()
	err := <-waiting
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, fault.Unavailable, fault.ClassOf(err))

	w.start(rpc.Limits{})
	health, err := healthgrpc.NewHealthClient(w.stub(nil)).Check(t.Context(), &healthgrpc.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthgrpc.HealthCheckResponse_SERVING, health.GetStatus())
}

// A coordinator that is stopped in mid-run and started again on the same
// directory finishes the run; the clients notice a pause and nothing else.
func TestRunGoesOnAfterARestart(t *testing.T) {
	const dimension, rounds = 50_000, 3
	w := newWorld(t, rpc.Limits{})
	o, people := w.operator(), w.people(3)
	p := newProxy(t, w.address)
	initial := ramp(t, dimension)
	w.begin(o, testPlan("plain", dimension, 3, 3, rounds), initial)
	var transports []client.Transport
	for _, c := range people {
		transports = append(transports, w.transportTo(p.address(), c))
	}

	// The second round's first committed upload brings the coordinator down.
	gate := make(chan struct{})
	transports[0] = &gated{Transport: transports[0], round: 2, committed: gate}
	w.crowd(transports, people)
	<-gate
	require.NoError(t, w.halt())
	w.start(rpc.Limits{})
	p.retarget(w.address)

	o2 := w.operator()
	state, _ := w.await(o2)
	require.Equal(t, "finished", state.GetStatus(), state.GetReason())
	want := initial.Clone()
	for range rounds {
		for i := range want.Values() {
			want.Values()[i] = float32(float64(want.Values()[i]) + float64(6+3*(i%5))*step/3)
		}
	}
	require.Equal(t, want.Values(), w.export(o2).Values())
}

// gated tells when an upload of a round was committed.
type gated struct {
	client.Transport
	round     uint32
	committed chan struct{}
}

func (g *gated) Upload(ctx context.Context, m client.Message, sealed io.ReadSeeker, size int64) error {
	err := g.Transport.Upload(ctx, m, sealed, size)
	if err == nil && m.Round.Round == g.round && g.committed != nil {
		close(g.committed)
		g.committed = nil
	}
	return err
}

// What was begun and never finished is gone at the next start; what is whole stays.
func TestHalfMadeRunIsRemoved(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	o := w.operator()
	w.begin(o, testPlan("plain", 10, 2, 2, 1), ramp(t, 10))
	require.NoError(t, w.halt())
	half := filepath.Join(w.dir, "runs", ".new-other")
	require.NoError(t, os.MkdirAll(filepath.Join(half, "store"), 0o700))
	w.start(rpc.Limits{})
	_, err := os.Stat(half)
	require.True(t, errors.Is(err, os.ErrNotExist))
	runs, err := w.operator().Runs(t.Context())
	require.NoError(t, err)
	require.Len(t, runs, 1)
}

// A change of plan that a crash interrupts is either made or not: the run's own head
// says which, and the server starts either way.
func TestInterruptedChangeOfPlan(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	o := w.operator()
	l := testPlan("plain", 10, 2, 2, 5)
	w.begin(o, l, ramp(t, 10))
	dir := filepath.Join(w.dir, "runs", "job")
	before, err := os.ReadFile(filepath.Join(dir, "plan.yaml"))
	require.NoError(t, err)
	l.Rounds.Count = 7
	text, err := l.Format()
	require.NoError(t, err)
	planned := func() uint32 {
		runs, err := w.operator().Runs(t.Context())
		require.NoError(t, err)
		require.Len(t, runs, 1)
		return runs[0].GetRoundsPlanned()
	}

	// The next plan was written, and no more.
	require.NoError(t, w.halt())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "next.yaml"), []byte(text), 0o600))
	w.start(rpc.Limits{})
	require.EqualValues(t, 5, planned())
	require.NoFileExists(t, filepath.Join(dir, "next.yaml"))

	// The head was changed too, and the file was not yet put in its place.
	_, err = w.operator().StartRun(t.Context(), grpctransport.Run{Name: "plan.yaml", Plan: []byte(text), Resume: true})
	require.NoError(t, err)
	require.NoError(t, w.halt())
	require.NoError(t, os.Rename(filepath.Join(dir, "plan.yaml"), filepath.Join(dir, "next.yaml")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plan.yaml"), before, 0o600))
	w.start(rpc.Limits{})
	require.EqualValues(t, 7, planned())
	require.NoFileExists(t, filepath.Join(dir, "next.yaml"))

	// A plan that is no plan keeps the server from starting, with the place and a remedy.
	require.NoError(t, w.halt())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plan.yaml"), []byte("nonsense"), 0o600))
	_, err = rpc.New(rpc.Config{Dir: filepath.Join(w.dir, "runs"), Registry: w.registry, Hosts: []string{"localhost"}, Schemes: schemes})
	require.ErrorIs(t, err, rpc.ErrRun)
	require.ErrorContains(t, err, dir)
}
