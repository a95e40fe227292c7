package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/client/datacheck"
	"github.com/choir-fl/choir/client/filestate"
	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/client/process"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/sim"
)

// clientConfig is client.yaml. Paths are relative to the file. A zero field takes
// the default named here.
type clientConfig struct {
	// Address is the coordinator's host and port.
	Address string `yaml:"address"`
	// Credentials is the file that choir enroll has written. Default choir.pem.
	Credentials string `yaml:"credentials"`
	// State is a directory of this client's own for what survives a restart.
	State string `yaml:"state"`
	// Job is the job to take part in. Default: any that is offered.
	Job string `yaml:"job"`
	// Trainer is a program that trains, with its arguments; see docs/TRAINER.md.
	Trainer string `yaml:"trainer"`
	// TempDir is where models pass to and from that program. Default: the system's.
	TempDir string `yaml:"temp_dir"`
	// Data are what a built-in model is trained on, where there is no Trainer.
	Data *dataConfig `yaml:"data"`
	// DataChecks look at Data before they are used. Default: none are made. Features and
	// classes that it leaves out are those of the data set.
	DataChecks datacheck.Rules  `yaml:"data_checks"`
	Consent    consentConfig    `yaml:"consent"`
	Conditions conditionsConfig `yaml:"conditions"`
	Log        logConfig        `yaml:"log"`
}

// consentConfig is the device's own floor. The coordinator is not trusted for it.
type consentConfig struct {
	Schemes []string `yaml:"schemes"` // default [oneshot, pairwise]
	// Committees pins who may open a sum: committee files, or roots in hexadecimal.
	// Default: none, which refuses every plan with a committee.
	Committees       []string `yaml:"committees"`
	Jobs             []string `yaml:"jobs"`    // default: any
	Minimum          int      `yaml:"minimum"` // fewest clients in a sum; default 16
	MaxClipNorm      float64  `yaml:"max_clip_norm"`
	MaxModel         byteSize `yaml:"max_model"`         // default 512MiB
	TrustCoordinator bool     `yaml:"trust_coordinator"` // allow plans whose exact sums the coordinator sees
	// NoiseMultiplier is the least noise in an opened sum, over the clip norm, and
	// MinShares the fewest honest clients that share it. Default: any.
	NoiseMultiplier float64 `yaml:"noise_multiplier"`
	MinShares       int     `yaml:"min_shares"`
	// Lifetime bounds the attempts in the device's life; LifetimeEpsilon and
	// LifetimeDelta what all of them together spend. Default: no bound.
	Lifetime        int     `yaml:"lifetime"`
	LifetimeEpsilon float64 `yaml:"lifetime_epsilon"`
	LifetimeDelta   float64 `yaml:"lifetime_delta"`
}

// conditionsConfig is what the client says of its device at each check-in.
type conditionsConfig struct {
	Charging  bool `yaml:"charging"`
	Unmetered bool `yaml:"unmetered"`
	Idle      bool `yaml:"idle"`
}

func newClientCommand() *cobra.Command {
	var path, trainer string
	cmd := &cobra.Command{
		Use:   "client -c client.yaml",
		Short: "Take part: train on local data and contribute to sums nobody can take apart",
		Long: `Take part in rounds until a signal, as a device that was enrolled (choir enroll).
The trainer is a built-in model on a local data set, or a program of yours in any
language. Plans below the configuration's consent are refused before any byte of an
update leaves. A client that was killed goes on where that is safe when it is
started again with the same state directory. The log is on standard error.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return errUsage.At("choir client").Because(errors.New("-c is missing"))
			}
			var cfg clientConfig
			if err := readConfig(path, &cfg); err != nil {
				return err
			}
			if trainer != "" {
				cfg.Trainer, cfg.Data = trainer, nil // checks of data are refused with a program
			}
			return takePart(cmd.Context(), cfg, path, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file in YAML; see deploy/client.yaml")
	cmd.Flags().StringVar(&trainer, "trainer", "", "program that trains, with its arguments, run without a shell (overrides trainer and data of the configuration)")
	return cmd
}

// check completes the configuration and refuses what contradicts itself.
func (c *clientConfig) check(path string) error {
	c.Credentials = beside(path, cmp.Or(c.Credentials, "choir.pem"))
	c.State, c.TempDir = beside(path, c.State), beside(path, c.TempDir)
	refuse := func(key, why string) error { return errConfig.At("%s: %s", path, key).Because(errors.New(why)) }
	switch {
	case c.Address == "":
		return refuse("address", "it is missing; name the coordinator's host and port")
	case c.State == "":
		return refuse("state", "it is missing; name a directory of this client's own")
	case c.Trainer == "" && c.Data == nil:
		return refuse("trainer", "it is missing, and so is data; give one of them")
	case c.Trainer != "" && c.Data != nil:
		return refuse("trainer", "data are for a built-in model; give one of them")
	case c.Trainer != "" && !reflect.DeepEqual(c.DataChecks, datacheck.Rules{}):
		return refuse("data_checks", "they are for the data of a built-in model; a trainer program checks its own")
	case c.Job != "" && !secagg.PartyID(c.Job).Valid():
		return refuse("job", fmt.Sprintf("%q is not 1 to 64 characters a-z, 0-9, '.', '_', '-'", c.Job))
	case c.Consent.Minimum < 0:
		return refuse("consent.minimum", "it is negative")
	case !(c.Consent.MaxClipNorm >= 0):
		return refuse("consent.max_clip_norm", "it is negative or no number")
	case c.Consent.Lifetime < 0:
		return refuse("consent.lifetime", "it is negative")
	case !(c.Consent.NoiseMultiplier >= 0 && c.Consent.NoiseMultiplier <= math.MaxFloat64):
		return refuse("consent.noise_multiplier", "it is negative or no number")
	case c.Consent.MinShares < 0:
		return refuse("consent.min_shares", "it is negative")
	case !(c.Consent.LifetimeEpsilon >= 0 && c.Consent.LifetimeEpsilon <= math.MaxFloat64):
		return refuse("consent.lifetime_epsilon", "it is negative or no number")
	case !(c.Consent.LifetimeDelta >= 0 && c.Consent.LifetimeDelta < 1):
		return refuse("consent.lifetime_delta", "it is not in (0,1)")
	case (c.Consent.LifetimeEpsilon == 0) != (c.Consent.LifetimeDelta == 0):
		return refuse("consent.lifetime_epsilon", "it belongs with lifetime_delta; give both or none")
	}
	for _, name := range c.Consent.Schemes {
		if !slices.ContainsFunc(schemes, func(s sim.Scheme) bool { return s.Name() == name }) {
			return refuse("consent.schemes", "no scheme is called "+name)
		}
	}
	return nil
}

// accepted returns the schemes that the device accepts.
func (c consentConfig) accepted() (out []secagg.ClientScheme) {
	names := c.Schemes
	if len(names) == 0 {
		names = []string{oneshot.Name, pairwise.Name}
	}
	for _, s := range schemes {
		if slices.Contains(names, s.Name()) {
			out = append(out, s)
		}
	}
	return out
}

// pinned returns the roots of the committees that the device accepts; files are
// beside the configuration.
func (c consentConfig) pinned(path string) ([]secagg.Digest, error) {
	var roots []secagg.Digest
	for _, pin := range c.Committees {
		root, err := hex.DecodeString(pin)
		if err == nil && len(root) == len(secagg.Digest{}) {
			roots = append(roots, secagg.Digest(root))
			continue
		}
		committee, err := LoadCommittee(beside(path, pin))
		if err != nil {
			return nil, errConfig.At("%s: consent.committees %.70q is no root of %d hexadecimal digits, and no committee file",
				path, pin, 2*len(secagg.Digest{})).Because(err)
		}
		roots = append(roots, committee.Root())
	}
	return roots, nil
}

// takePart runs a client until ctx ends.
func takePart(ctx context.Context, cfg clientConfig, path string, logs io.Writer) (err error) {
	log, err := cfg.Log.open(logs, path)
	if err != nil {
		return err
	}
	if err := cfg.check(path); err != nil {
		return err
	}
	committees, err := cfg.Consent.pinned(path)
	if err != nil {
		return err
	}
	creds, err := grpctransport.Load(cfg.Credentials)
	if err != nil {
		return err
	}
	if creds.Identity == (secagg.Identity{}) {
		return errConfig.At("%s", cfg.Credentials).Because(errors.New("these are an operator's credentials; enrol this client (choir enroll)"))
	}
	trainer, done, err := openTrainer(cfg, path, logs, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	transport, err := grpctransport.New(grpctransport.Config{Address: cfg.Address, Credentials: creds, File: cfg.Credentials, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, transport.Close()) }()
	state, err := filestate.Open(cfg.State, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	consent, device := cfg.Consent, client.Conditions(cfg.Conditions)
	c, err := client.New(transport, trainer,
		client.WithIdentity(creds.Identity, creds.Key, creds.AuthorityKey()),
		client.WithSchemes(consent.accepted()...),
		client.WithConsent(client.Limits{Jobs: consent.Jobs, Minimum: consent.Minimum, MaxClipNorm: consent.MaxClipNorm,
			MaxModelBytes: int64(consent.MaxModel), TrustCoordinator: consent.TrustCoordinator, Committees: committees,
			NoiseMultiplier: consent.NoiseMultiplier, MinShares: consent.MinShares,
			LifetimeEpsilon: consent.LifetimeEpsilon, LifetimeDelta: consent.LifetimeDelta}),
		client.WithLifetime(consent.Lifetime),
		client.WithState(state),
		client.WithConditions(func() client.Conditions { return device }),
		client.WithJob(cfg.Job),
		client.WithLogger(log))
	if err != nil {
		return errConfig.At("%s", path).Because(err)
	}
	return runClient(ctx, c, transport, creds, log)
}

// runClient takes part and keeps the certificate good meanwhile. A signal is no failure.
func runClient(ctx context.Context, c *client.Client, t *grpctransport.Transport, creds grpctransport.Credentials, log *slog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	renewing := make(chan struct{})
	go func() {
		defer close(renewing)
		_ = t.KeepRenewed(ctx) // ends with ctx and logs what fails
	}()
	log.Info("taking part", "client", creds.Name(), "certificate_until", creds.Certificate.NotAfter)
	err := c.Run(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	stop()
	<-renewing
	log.Info("stopped")
	return err
}

// trainerGrace is how long a trainer program may take to end.
const trainerGrace = 10 * time.Second

// openTrainer makes the configured trainer and what ends it.
func openTrainer(cfg clientConfig, path string, messages io.Writer, log *slog.Logger) (client.Trainer, func() error, error) {
	if cfg.Trainer == "" {
		t, err := newLocalTrainer(*cfg.Data, cfg.DataChecks, cfg.State, path, log)
		return t, func() error { return nil }, err
	}
	command, err := process.Words(cfg.Trainer)
	if err != nil {
		return nil, nil, err
	}
	t, err := process.New(process.Config{Command: command, TempDir: cfg.TempDir, Stderr: messages})
	if err != nil {
		return nil, nil, err
	}
	return t, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), trainerGrace)
		defer cancel()
		return t.Close(ctx)
	}, nil
}
