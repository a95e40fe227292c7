package rpc

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// Config is what a server is made of.
type Config struct {
	// Dir holds the runs, one directory each. It is made if it is not there.
	Dir string
	// Registry says who the callers are, and its authority signs the server's own
	// certificate.
	Registry *auth.Registry
	// Hosts are the names and addresses under which clients reach the server; they
	// are in its certificate.
	Hosts []string
	// Schemes are those that plans may use.
	Schemes []secagg.ServerScheme
	// Complete fills in the tensors of a plan whose model is built in and makes its
	// initial values. Nil: every new run must bring an initial model.
	Complete func(plan.Literal) (plan.Literal, tensor.Model, error)
	// Ledgers keeps the privacy budgets that all runs are charged to. Nil: no run has noise.
	Ledgers *coordinator.Ledgers
	// Holdout returns what measures a run's models before they are accepted; nil for none,
	// without which plans with a gate are refused.
	Holdout func(plan.Plan) (coordinator.Holdout, error)
	// Observe returns who else is told what happens in a run; nil for nobody.
	Observe func(job string) coordinator.Observer
	Limits  Limits
	// Workers is the number of goroutines for vector work; 0 for one per processor.
	Workers int
	// CheckpointBytes is coordinator.Config's: bytes of uploads that are added before
	// the sum is checkpointed and their place in the spool is freed. 0: never.
	CheckpointBytes int64
	// Log gets what happens, without payloads and secrets; nil for nobody.
	Log *slog.Logger
	// Now is the clock; nil for the machine's.
	Now func() time.Time
	// Coins must be cryptographically secure and safe for concurrent use; nil for
	// the machine's.
	Coins io.Reader
}

// Server is a coordinator on the network. Safe for concurrent use.
type Server struct {
	cfg     Config
	limits  Limits
	log     *slog.Logger
	grpc    *grpc.Server
	runs    *runs
	parties *parties
	buffers *buffers
	uploads *uploads
	letters chan struct{} // one for each stream that moves letters
	slots   chan struct{}

	handlers sync.WaitGroup // of calls, also those that were interrupted
	stopping chan struct{}  // closed when the server begins to stop
	stop     func()
	close    func() error
}

// New opens all runs below Config.Dir. Nothing happens in them until Serve. Either
// Serve or Close ends the server.
func New(cfg Config) (*Server, error) {
	limits, err := cfg.Limits.check()
	if err != nil {
		return nil, err
	}
	switch {
	case cfg.Dir == "" || cfg.Registry == nil || len(cfg.Schemes) == 0:
		return nil, ErrConfig.At("a required field is missing")
	case cfg.Workers < 0:
		return nil, ErrConfig.At("%d workers", cfg.Workers)
	case cfg.CheckpointBytes < 0 || cfg.CheckpointBytes > limits.Spool/2:
		return nil, ErrConfig.At("checkpoints every %d bytes leave no room for as much again in a spool of %d", cfg.CheckpointBytes, limits.Spool)
	}
	cfg.Workers = cmp.Or(cfg.Workers, runtime.GOMAXPROCS(0))
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Coins == nil {
		cfg.Coins = rand.Reader
	}
	key, err := newServerKey(cfg.Registry.Authority(), cfg.Hosts, cfg.Now, cfg.Coins)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, limits: limits, log: cfg.Log, parties: newParties(limits), buffers: &buffers{free: limits.Buffered},
		uploads: newUploads(limits.Uploads), letters: make(chan struct{}, limits.Letters), slots: make(chan struct{}, cfg.Workers), stopping: make(chan struct{})}
	s.stop = sync.OnceFunc(func() { close(s.stopping) })
	s.runs = &runs{s: s, all: map[string]*run{}}
	s.close = sync.OnceValue(s.runs.close)
	if err := s.runs.load(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.grpc = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(key.config())),
		grpc.InTapHandle(s.tap),
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream),
		grpc.ConnectionTimeout(limits.Handshake),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(streamsPerConnection),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connectionWindow),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 10 * time.Minute, Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 15 * time.Second}),
	)
	choirv1grpc.RegisterRoundServer(s.grpc, roundService{s: s})
	choirv1grpc.RegisterEnrolmentServer(s.grpc, enrolmentService{s: s})
	choirv1grpc.RegisterOperatorServer(s.grpc, operatorService{s: s})
	healthgrpc.RegisterHealthServer(s.grpc, health{s: s})
	return s, nil
}

// Serve starts the runs and serves until ctx ends or the listener fails. Then it
// takes no more calls, lets those under way finish for Limits.Grace, and closes
// the runs. It closes the listener and is called once.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	for _, r := range s.runs.list() {
		if err := r.engine.Start(); err != nil {
			return errors.Join(err, listener.Close(), s.Close())
		}
	}
	failed := make(chan error, 1)
	go func() { failed <- s.grpc.Serve(newBounded(listener, s.limits.Connections)) }()
	s.log.Info("serving", "address", listener.Addr().String(), "runs", len(s.runs.list()))
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.log.Info("stopping")
	return errors.Join(err, s.Close())
}

// Close stops the server as the end of Serve's context does, and returns when it
// has stopped.
func (s *Server) Close() error {
	s.stop()
	t := time.AfterFunc(s.limits.Grace, s.grpc.Stop)
	s.grpc.GracefulStop()
	t.Stop()
	s.handlers.Wait()
	s.runs.starting.Lock()
	defer s.runs.starting.Unlock()
	return s.close()
}

func (s *Server) stopped() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// health implements the gRPC health service: serving, unless the server is
// stopping or the store of a run has failed.
type health struct {
	healthgrpc.UnimplementedHealthServer
	s *Server
}

// Check implements healthgrpc.HealthServer.
func (h health) Check(context.Context, *healthgrpc.HealthCheckRequest) (*healthgrpc.HealthCheckResponse, error) {
	status := healthgrpc.HealthCheckResponse_SERVING
	for _, r := range h.s.runs.list() {
		if err := r.failure(); err != nil {
			h.s.log.Error("run failed", "error", err)
			status = healthgrpc.HealthCheckResponse_NOT_SERVING
		}
	}
	if h.s.stopped() {
		status = healthgrpc.HealthCheckResponse_NOT_SERVING
	}
	return &healthgrpc.HealthCheckResponse{Status: status}, nil
}

// bounded is a listener that closes what comes beyond a number of open connections.
type bounded struct {
	net.Listener
	slots chan struct{}
}

func newBounded(l net.Listener, limit int) *bounded { return &bounded{l, make(chan struct{}, limit)} }

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.slots <- struct{}{}:
			return &counted{Conn: c, release: sync.OnceFunc(func() { <-b.slots })}, nil
		default:
			_ = c.Close() // nothing was sent on it
		}
	}
}

type counted struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.release()
	return c.Conn.Close()
}

// Addresses returns the host names and addresses of this machine, for a
// certificate when the operator named none.
func Addresses() []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return hosts
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			hosts = append(hosts, n.IP.String())
		}
	}
	return hosts
}
