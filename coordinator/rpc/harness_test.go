package rpc_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/coordinator/store/mem"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/tensor"
)

// clock is the machine's, moved by a test.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// world is a real server on loopback with its authority.
type world struct {
	t        *testing.T
	dir      string
	clock    *clock
	registry *auth.Registry
	server   *rpc.Server
	address  string
	logs     *logs
	admin    grpctransport.Credentials
	change   func(*rpc.Config)
	stop     context.CancelFunc
	done     chan error
}

var schemes = []secagg.ServerScheme{plain.Scheme{}, pairwise.Scheme{}, oneshot.Scheme{}}

// logs collects what the server logs.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// has reports whether one line holds all words.
func (l *logs) has(words ...string) bool {
	for line := range strings.Lines(l.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return true
		}
	}
	return false
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newWorld(t *testing.T, limits rpc.Limits) *world {
	t.Helper()
	return newWorldWith(t, limits, func(*rpc.Config) {})
}

// newWorldWith lets a test change the configuration.
func newWorldWith(t *testing.T, limits rpc.Limits, change func(*rpc.Config)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), clock: &clock{}, logs: &logs{}, change: change}
	authority, err := auth.OpenAuthority(filepath.Join(w.dir, "authority"), w.clock.now(), rand.Reader)
	require.NoError(t, err)
	disk, err := mem.New(0).Open()
	require.NoError(t, err)
	w.registry, err = auth.OpenRegistry(authority, disk.Journal, rand.Reader)
	require.NoError(t, err)
	w.start(limits)
	t.Cleanup(func() { require.NoError(t, w.halt()) })
	return w
}

// start serves on a new port what the directory holds.
func (w *world) start(limits rpc.Limits) {
	w.t.Helper()
	var err error
	config := rpc.Config{Dir: filepath.Join(w.dir, "runs"), Registry: w.registry, Hosts: []string{"127.0.0.1", "localhost"},
		Schemes: schemes, Limits: limits, Workers: 2, Now: w.clock.now,
		Log: slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	w.change(&config)
	w.server, err = rpc.New(config)
	require.NoError(w.t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	w.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	w.stop, w.done = cancel, make(chan error, 1)
	go func() { w.done <- w.server.Serve(ctx, listener) }()
}

// halt stops the server and returns what Serve returned.
func (w *world) halt() error {
	if w.stop == nil {
		return nil
	}
	w.stop()
	w.stop = nil
	return <-w.done
}

// enrol goes the whole way: a token from the registry, a key of the party's own.
func (w *world) enrol(role auth.Role, name string) grpctransport.Credentials {
	w.t.Helper()
	token, _, err := w.registry.NewToken(role, name, time.Hour, w.clock.now())
	require.NoError(w.t, err)
	c, err := grpctransport.Enrol(w.t.Context(), grpctransport.Enrolment{Address: w.address, Token: token, Name: name,
		File: filepath.Join(w.t.TempDir(), "choir.pem")})
	require.NoError(w.t, err)
	return c
}

func (w *world) operator() *grpctransport.Operator {
	w.t.Helper()
	if w.admin.Certificate == nil {
		w.admin = w.enrol(auth.RoleOperator, "admin")
	}
	o, err := grpctransport.NewOperator(w.address, w.admin)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, o.Close()) })
	return o
}

func (w *world) transport(c grpctransport.Credentials) *grpctransport.Transport {
	w.t.Helper()
	return w.transportTo(w.address, c)
}

func (w *world) transportTo(address string, c grpctransport.Credentials) *grpctransport.Transport {
	w.t.Helper()
	t, err := grpctransport.New(grpctransport.Config{Address: address, Credentials: c, ShortestPause: time.Millisecond, LongestPause: 50 * time.Millisecond})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, t.Close()) })
	return t
}

// stub dials with a party's certificate, or without one, past the transport.
func (w *world) stub(c *grpctransport.Credentials) *grpc.ClientConn {
	w.t.Helper()
	conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(credentials.NewTLS(w.tls(c))))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, conn.Close()) })
	return conn
}

// step is the resolution of the encoding in these tests: updates that are
// multiples of it are encoded without rounding, so that sums are exact.
const step = 1.0 / 1024

// testPlan is a plan over a flat model.
func testPlan(scheme string, dimension, clients, minimum, rounds int) plan.Literal {
	return plan.Literal{
		Schema: secagg.PlanSchema, Job: "job",
		Model:     plan.Model{Architecture: "flat", Tensors: []plan.Tensor{{Name: "w", Shape: []int{dimension}}}},
		Scheme:    plan.Scheme{Name: scheme, CrossSilo: true},
		Cohort:    plan.Cohort{Size: clients, Minimum: minimum},
		Rounds:    plan.Rounds{Count: rounds, Attempts: 2},
		Deadlines: plan.Deadlines{Admission: time.Hour, Exchange: time.Hour, Upload: time.Hour},
		Encoding:  plan.Encoding{ClipNorm: 1 << 10, Bits: 24, Scale: 1 / step},
		Training:  plan.Training{Epochs: 1, BatchSize: 1, LearningRate: 0.1},
		Privacy:   plan.Privacy{Mode: "none", TrustCoordinator: true},
	}
}

// ramp is a model whose values are multiples of step.
func ramp(t *testing.T, dimension int) tensor.Model {
	t.Helper()
	s, err := tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{dimension}}})
	require.NoError(t, err)
	m := tensor.Zero(s)
	for i := range m.Values() {
		m.Values()[i] = float32(i%97) * step
	}
	return m
}

func file(t *testing.T, m tensor.Model) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, tensor.WriteSafetensors(&b, m))
	return b.Bytes()
}

// begin starts a run with an initial model.
func (w *world) begin(o *grpctransport.Operator, l plan.Literal, m tensor.Model) *choirv1.RunState {
	w.t.Helper()
	text, err := l.Format()
	require.NoError(w.t, err)
	b := file(w.t, m)
	state, err := o.StartRun(w.t.Context(), grpctransport.Run{Name: "plan.yaml", Plan: []byte(text), Model: bytes.NewReader(b), ModelSize: int64(len(b))})
	require.NoError(w.t, err)
	return state
}

// export returns the latest model of the run.
func (w *world) export(o *grpctransport.Operator) tensor.Model { return w.exportOf(o, "job") }

func (w *world) exportOf(o *grpctransport.Operator, job string) tensor.Model {
	w.t.Helper()
	var b bytes.Buffer
	require.NoError(w.t, o.Export(w.t.Context(), job, &b))
	m, err := tensor.ReadSafetensors(&b, 1<<30)
	require.NoError(w.t, err)
	return m
}

// adder is a trainer that adds its own number of steps to every value.
type adder int

func (a adder) Train(_ context.Context, m tensor.Model, _ secagg.Task) (client.Update, error) {
	for i := range m.Values() {
		m.Values()[i] += float32(int(a)+i%5) * step
	}
	return client.Update{Model: m, Examples: 1}, nil
}

// options is what all clients of these tests are made of.
func options(c grpctransport.Credentials, pinned ...secagg.Digest) []client.Option {
	return []client.Option{
		client.WithIdentity(c.Identity, c.Key, c.AuthorityKey()),
		client.WithSchemes(plain.Scheme{}, pairwise.Scheme{}, oneshot.Scheme{}),
		client.WithConsent(client.Limits{Minimum: 1, TrustCoordinator: true, Committees: pinned}),
	}
}

// crowd runs clients until the test ends, who pin committees.
func (w *world) crowd(transports []client.Transport, credentials []grpctransport.Credentials, pinned ...secagg.Digest) {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i, c := range credentials {
		cl, err := client.New(transports[i], adder(i+1), options(c, pinned...)...)
		require.NoError(w.t, err)
		all.Go(func() { _ = cl.Run(ctx) }) // ends with ctx
	}
	w.t.Cleanup(func() { stop(); all.Wait() })
}

// people enrols clients a0, a1, ... in the order of their names.
func (w *world) people(n int) (c []grpctransport.Credentials) {
	w.t.Helper()
	for i := range n {
		c = append(c, w.enrol(auth.RoleClient, fmt.Sprintf("a%02d", i)))
	}
	return c
}

// await watches a run until it is over and returns its last state and its reports.
func (w *world) await(o *grpctransport.Operator) (*choirv1.RunState, []*choirv1.RoundReport) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	var last *choirv1.RunState
	var reports []*choirv1.RoundReport
	err := o.Watch(ctx, "job", func(m *choirv1.WatchRunResponse) error {
		if m.GetState() != nil {
			last = m.GetState()
		} else {
			reports = append(reports, m.GetReport())
		}
		return nil
	})
	require.NoError(w.t, err, "%s\n%s", last, w.logs)
	return last, reports
}

// zeros is a source of coins for what need not be secret.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
