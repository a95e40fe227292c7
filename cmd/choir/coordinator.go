package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/coordinator/store/file"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

var (
	errListen    = fault.New(fault.Unavailable, "choir/listen", "the coordinator cannot listen there", "stop what does, or choose another address")
	errDataDir   = fault.New(fault.Conflict, "choir/data-dir", "the data directory cannot be used", "stop the other coordinator, or choose another directory")
	errAuthority = fault.New(fault.Conflict, "choir/authority", "the data directory belongs to another enrolment authority", "give that authority's files, or choose another data directory and enrol everybody anew")
)

// coordinatorConfig is coordinator.yaml. Paths are relative to the file. A zero
// field takes the default named here.
type coordinatorConfig struct {
	// Listen is where clients and operators reach the coordinator. Default :8443.
	// Port 0 takes a free one, which the log names.
	Listen string `yaml:"listen"`
	// DataDir holds everything that lasts. It is made if it is not there.
	DataDir string `yaml:"data_dir"`
	// Hosts are the names and addresses under which the coordinator is reached; they
	// are in its certificate, beside those of loopback. Default: this machine's.
	Hosts []string `yaml:"hosts"`
	// Authority is a given enrolment authority. Default: one is made at the first
	// start, in DATA_DIR/authority/authority.pem.
	Authority *struct {
		Certificate string `yaml:"certificate"` // PEM, a CA certificate over an Ed25519 key
		Key         string `yaml:"key"`         // PEM, PKCS #8
	} `yaml:"authority"`
	// Operator is the operator for whom credentials are made, in
	// DATA_DIR/operators/NAME.pem, whenever nobody of that name holds good ones.
	// Default operator.
	Operator string `yaml:"operator"`
	// Workers is how many computations run at a time. Default: one for each core.
	Workers int `yaml:"workers"`
	// Spool bounds the uploads of a run that are under way or not yet in a sum.
	// Default 64GiB.
	Spool byteSize `yaml:"spool"`
	// Checkpoint is how many bytes of uploads are added before the sum so far is
	// stored, which frees their place in the spool; at most half of it. Default:
	// uploads stay spooled until their attempt ends.
	Checkpoint byteSize `yaml:"checkpoint"`
	// Holdout is a directory with the four IDX files of a data set, or embedded. Its test
	// set measures the models of built-in architectures where a plan has screening.
	// Default: none, and plans with a gate are refused.
	Holdout string       `yaml:"holdout"`
	Limits  limitsConfig `yaml:"limits"`
	Log     logConfig    `yaml:"log"`
}

// limitsConfig bounds what peers can use; see rpc.Limits for the defaults.
type limitsConfig struct {
	Connections     int      `yaml:"connections"`
	Streams         int      `yaml:"streams"`
	StreamsPerParty int      `yaml:"streams_per_party"`
	Uploads         int      `yaml:"uploads"`
	UploadRate      byteSize `yaml:"upload_rate"` // a second, of one upload
	CallsPerSecond  float64  `yaml:"calls_per_second"`
	CallBurst       int      `yaml:"call_burst"`
	Buffered        byteSize `yaml:"buffered"`
	Model           byteSize `yaml:"model"`
	Idle            duration `yaml:"idle"`
	Grace           duration `yaml:"grace"`
}

func newCoordinatorCommand() *cobra.Command {
	var path, dataDir string
	cmd := &cobra.Command{
		Use:   "coordinator -c coordinator.yaml",
		Short: "Serve: host runs, admit clients, sum what they upload",
		Long: `Serve clients and operators over gRPC, until a signal. All runs in the data
directory go on where they stopped.

The first start makes an enrolment authority, unless the configuration gives one,
and credentials for an operator; the log says where. Whoever holds the
authority's key can admit anybody: back it up and keep it secret. The log, on
standard error, names parties, sizes and times, never payloads or secrets.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg coordinatorConfig
			if path != "" {
				if err := readConfig(path, &cfg); err != nil {
					return err
				}
			}
			if cfg.DataDir = beside(path, cfg.DataDir); dataDir != "" {
				cfg.DataDir = dataDir
			}
			if cfg.Holdout != "embedded" {
				cfg.Holdout = beside(path, cfg.Holdout)
			}
			if a := cfg.Authority; a != nil {
				a.Certificate, a.Key = beside(path, a.Certificate), beside(path, a.Key)
			}
			return serve(cmd.Context(), cfg, cmp.Or(path, "coordinator"), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file in YAML; see deploy/coordinator.yaml (default: all defaults)")
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "directory for everything that lasts (overrides the configuration)")
	return cmd
}

// check completes the configuration and refuses what contradicts itself.
func (c *coordinatorConfig) check(where string) error {
	c.Listen, c.Operator = cmp.Or(c.Listen, ":8443"), cmp.Or(c.Operator, "operator")
	host, _, err := net.SplitHostPort(c.Listen)
	switch a := c.Authority; {
	case c.DataDir == "":
		return errConfig.At("%s", where).Because(errors.New("data_dir is missing; --data-dir gives it too"))
	case err != nil:
		return errConfig.At("%s: listen %q", where, c.Listen).Because(err)
	case !secagg.PartyID(c.Operator).Valid():
		return errConfig.At("%s: operator %q", where, c.Operator).Because(errors.New("use 1 to 64 characters a-z, 0-9, '.', '_', '-'"))
	case c.Workers < 0:
		return errConfig.At("%s: workers %d", where, c.Workers).Because(errors.New("it is negative"))
	case a != nil && (a.Certificate == "" || a.Key == ""):
		return errConfig.At("%s: authority", where).Because(errors.New("it needs certificate and key, which may be the same file"))
	}
	if len(c.Hosts) == 0 {
		c.Hosts = rpc.Addresses()
	}
	for _, h := range []string{"localhost", "127.0.0.1", "::1", host} {
		if ip := net.ParseIP(h); h != "" && (ip == nil || !ip.IsUnspecified()) && !slices.Contains(c.Hosts, h) {
			c.Hosts = append(c.Hosts, h)
		}
	}
	if err := c.Limits.check(where); err != nil {
		return err
	}
	return checkHosts(c.Hosts, where)
}

// check refuses what is negative: rpc does too, but later.
func (l limitsConfig) check(where string) error {
	for key, v := range map[string]float64{"connections": float64(l.Connections), "streams": float64(l.Streams),
		"streams_per_party": float64(l.StreamsPerParty), "uploads": float64(l.Uploads), "calls_per_second": l.CallsPerSecond,
		"call_burst": float64(l.CallBurst)} {
		if !(v >= 0) {
			return errConfig.At("%s: limits.%s", where, key).Because(errors.New("it is negative or no number"))
		}
	}
	return nil
}

// checkHosts refuses names and addresses that no certificate can have, by making
// one of an authority that nobody will ever know.
func checkHosts(hosts []string, where string) error {
	a, err := auth.GenerateAuthority(time.Now(), rand.Reader)
	if err != nil {
		return err
	}
	if _, err := a.ServerCertificate(hosts, a.PublicKey(), time.Now(), time.Hour, rand.Reader); err != nil {
		return errConfig.At("%s: hosts", where).Because(err)
	}
	return nil
}

// serve runs a coordinator until ctx ends. Nothing is written before the
// configuration was checked and the address was free.
func serve(ctx context.Context, cfg coordinatorConfig, where string, logs io.Writer) (err error) {
	log, err := cfg.Log.open(logs, where)
	if err != nil {
		return err
	}
	if err := cfg.check(where); err != nil {
		return err
	}
	var given *auth.Authority
	if a := cfg.Authority; a != nil {
		if given, err = auth.LoadAuthority(a.Certificate, a.Key); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return errListen.Because(err)
	}
	defer func() { _ = listener.Close() }() // Serve has closed it, unless something failed before
	enrolments, err := openEnrolments(cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, enrolments.Close()) }()
	registry, err := openRegistry(cfg.DataDir, given, enrolments)
	if err != nil {
		return err
	}
	budgets, err := openLedgers(cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, budgets.Close()) }()
	holdout, err := holdouts(cfg.Holdout)
	if err != nil {
		return err
	}
	l := cfg.Limits
	server, err := rpc.New(rpc.Config{
		Dir: filepath.Join(cfg.DataDir, "runs"), Registry: registry, Hosts: cfg.Hosts, Schemes: serverSchemes(), Workers: cfg.Workers, Log: log,
		CheckpointBytes: int64(cfg.Checkpoint), Ledgers: coordinator.NewLedgers(budgets.Journal), Holdout: holdout,
		Limits: rpc.Limits{Spool: int64(cfg.Spool), Connections: l.Connections, Streams: l.Streams, StreamsPerParty: l.StreamsPerParty,
			Uploads: l.Uploads, UploadRate: int64(l.UploadRate), CallsPerSecond: l.CallsPerSecond, CallBurst: l.CallBurst,
			Buffered: int64(l.Buffered), Model: int64(l.Model), Idle: time.Duration(l.Idle), Grace: time.Duration(l.Grace)},
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	err = enrolOperator(ctx, registry, cfg, reach(listener.Addr()), log)
	if ctx.Err() != nil {
		err = nil // a signal came first
	}
	if err != nil {
		stop()
	}
	return errors.Join(err, <-served)
}

// openEnrolments opens the store of enrolments, which also keeps another
// coordinator out of the data directory.
func openEnrolments(dir string) (*store.Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, errDataDir.Because(err)
	}
	s, err := file.Open(filepath.Join(dir, "enrolments"), 1) // nothing is spooled there
	if err != nil {
		return nil, errDataDir.At("%s", dir).Because(err)
	}
	return s, nil
}

// openLedgers opens the store of privacy ledgers: what choir ledger shows.
func openLedgers(dir string) (*store.Store, error) {
	s, err := file.Open(filepath.Join(dir, "ledger"), 1) // nothing is spooled there
	if err != nil {
		return nil, errDataDir.At("%s", dir).Because(err)
	}
	return s, nil
}

// openRegistry opens the registry under a given authority, or under one of the
// directory's own. The store remembers which, so that a data directory does not
// come under another authority, in whose name nobody in it was admitted.
func openRegistry(dir string, authority *auth.Authority, enrolments *store.Store) (_ *auth.Registry, err error) {
	if authority == nil {
		if authority, err = auth.OpenAuthority(filepath.Join(dir, "authority"), time.Now(), rand.Reader); err != nil {
			return nil, err
		}
	}
	mark := authority.Fingerprint()
	known, revision, err := enrolments.Head.Load()
	switch {
	case err != nil:
		return nil, errDataDir.At("%s", dir).Because(err)
	case known == nil:
		if err := enrolments.Head.Swap(revision, mark[:]); err != nil {
			return nil, errDataDir.At("%s", dir).Because(err)
		}
	case !slices.Equal(known, mark[:]):
		return nil, errAuthority.At("%s", dir)
	}
	return auth.OpenRegistry(authority, enrolments.Journal, rand.Reader)
}

// reach is the address under which this process reaches its own listener.
func reach(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return a.String()
	}
	host := "127.0.0.1"
	if tcp.IP.To4() == nil {
		host = "localhost"
	}
	return net.JoinHostPort(host, strconv.Itoa(tcp.Port))
}

// enrolOperator makes credentials for the configured operator if nobody of that
// name holds good ones: at the first start, and after they have run out. It enrols
// as any device does, over the network.
func enrolOperator(ctx context.Context, registry *auth.Registry, cfg coordinatorConfig, address string, log *slog.Logger) error {
	dir := filepath.Join(cfg.DataDir, "operators")
	name := filepath.Join(dir, cfg.Operator+".pem")
	if slices.Contains(registry.Enrolled(auth.RoleOperator, time.Now()), cfg.Operator) {
		_, err := os.Stat(name)
		_, incomplete := grpctransport.Load(name)
		if err != nil || !errors.Is(incomplete, grpctransport.ErrNotEnrolled) {
			return nil // the file may have been moved to where the operator works
		}
		// An earlier start was cut short after the certificate was made and before it was kept.
		who := auth.Caller{Role: auth.RoleOperator, Name: cfg.Operator}
		if err := registry.Revoke(who, "credentials were lost before they were kept", time.Now()); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return errDataDir.Because(err)
	}
	// What is there cannot be used: it ran out, was revoked, or never got complete.
	if err := os.Rename(name, name+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errDataDir.Because(err)
	}
	token, _, err := registry.NewToken(auth.RoleOperator, cfg.Operator, time.Hour, time.Now())
	if err != nil {
		return err
	}
	if _, err := grpctransport.Enrol(ctx, grpctransport.Enrolment{Address: address, Token: token, Name: cfg.Operator, File: name, Log: log}); err != nil {
		return err
	}
	log.Info("operator enrolled", "operator", cfg.Operator, "file", name)
	return nil
}
