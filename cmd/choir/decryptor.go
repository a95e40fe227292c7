package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/decryptor"
	"github.com/choir-fl/choir/decryptor/filestate"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// decryptorConfig is decryptor.yaml. Paths are relative to the file. A zero field
// takes the default named here.
type decryptorConfig struct {
	// Address is the coordinator's host and port.
	Address string `yaml:"address"`
	// Credentials is the file that choir enroll has written; the name in it is the
	// member's in the committee. Default choir.pem.
	Credentials string `yaml:"credentials"`
	// Committee is the member's own committee file. Default committee.yaml.
	Committee string `yaml:"committee"`
	// Key is the file with the member's signing key, which choir decryptor init has
	// made. Default decryptor.key.
	Key string `yaml:"key"`
	// PassphraseFile holds the passphrase of the key. Default: the file that
	// CHOIR_PASSPHRASE_FILE names, or else a person at the terminal.
	PassphraseFile string `yaml:"passphrase_file"`
	// State is the directory that choir decryptor init has made. Default state.
	State string `yaml:"state"`
	// Epoch is how long the keys live that clients encrypt to; longer than an attempt
	// lasts. Default 24h, at least 1h.
	Epoch   duration      `yaml:"epoch"`
	Consent memberConsent `yaml:"consent"`
	Log     logConfig     `yaml:"log"`
}

// memberConsent is the member's own floor. The coordinator is not trusted for it.
type memberConsent struct {
	Jobs          []string `yaml:"jobs"`           // at least one; no other is served
	Schemes       []string `yaml:"schemes"`        // default: all with a committee
	Minimum       int      `yaml:"minimum"`        // fewest clients in all opened sums; default 16
	BucketMinimum int      `yaml:"bucket_minimum"` // fewest clients in an opened bucket; default 12
	Exact         bool     `yaml:"exact"`          // allow plans whose exact sums the coordinator sees
	// NoiseMultiplier is the least noise in an opened sum, over the clip norm; default: any.
	NoiseMultiplier float64 `yaml:"noise_multiplier"`
}

// leastEpoch keeps an epoch longer than attempts.
const leastEpoch = time.Hour

func newDecryptorCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "decryptor -c decryptor.yaml",
		Short: "Serve as a member of a committee: help to open sums, and nothing else",
		Long: `Serve the jobs of the configuration until a signal, as a committee member that was
enrolled (choir enroll) and is named in the committee file (choir decryptor init).
Plans below the configuration's consent are refused. A member that was killed goes
on when it is started again with the same state directory; that directory must
never be replaced by an empty or an older one. The log is on standard error.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return errUsage.At("choir decryptor").Because(errors.New("-c is missing"))
			}
			var cfg decryptorConfig
			if err := readConfig(path, &cfg); err != nil {
				return err
			}
			return decrypt(cmd.Context(), cfg, path, cmd.InOrStdin(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file in YAML; see deploy/decryptor.yaml")
	cmd.AddCommand(newDecryptorInitCommand(), newDecryptorShowCommand())
	return cmd
}

// check completes the configuration and refuses what contradicts itself.
func (c *decryptorConfig) check(path string) error {
	c.Credentials = beside(path, cmp.Or(c.Credentials, "choir.pem"))
	c.Committee = beside(path, cmp.Or(c.Committee, "committee.yaml"))
	c.Key = beside(path, cmp.Or(c.Key, "decryptor.key"))
	c.State = beside(path, cmp.Or(c.State, "state"))
	c.PassphraseFile = beside(path, c.PassphraseFile)
	c.Epoch = cmp.Or(c.Epoch, duration(24*time.Hour))
	refuse := func(key, why string) error { return errConfig.At("%s: %s", path, key).Because(errors.New(why)) }
	switch {
	case c.Address == "":
		return refuse("address", "it is missing; name the coordinator's host and port")
	case len(c.Consent.Jobs) == 0:
		return refuse("consent.jobs", "it is missing; name the jobs to serve")
	case c.Consent.Minimum < 0:
		return refuse("consent.minimum", "it is negative")
	case c.Consent.BucketMinimum < 0:
		return refuse("consent.bucket_minimum", "it is negative")
	case !(c.Consent.NoiseMultiplier >= 0 && c.Consent.NoiseMultiplier <= math.MaxFloat64):
		return refuse("consent.noise_multiplier", "it is negative or no number")
	case time.Duration(c.Epoch) < leastEpoch:
		return refuse("epoch", "it is below "+leastEpoch.String()+", and may end before an attempt does")
	}
	for _, name := range c.Consent.Schemes {
		if !slices.ContainsFunc(committeeSchemes(), func(s secagg.CommitteeScheme) bool { return s.Name() == name }) {
			return refuse("consent.schemes", "no scheme with a committee is called "+name)
		}
	}
	return nil
}

// committeeSchemes are those of this binary that have a committee.
func committeeSchemes() (out []secagg.CommitteeScheme) {
	for _, s := range schemes {
		if c, ok := s.(secagg.CommitteeScheme); ok {
			out = append(out, c)
		}
	}
	return out
}

// decrypt runs a committee member until ctx ends.
func decrypt(ctx context.Context, cfg decryptorConfig, path string, in io.Reader, errOut io.Writer) (err error) {
	log, err := cfg.Log.open(errOut, path)
	if err != nil {
		return err
	}
	if err := cfg.check(path); err != nil {
		return err
	}
	creds, err := grpctransport.Load(cfg.Credentials)
	if err != nil {
		return err
	}
	if creds.Certificate.URIs[0].Host != "decryptor" {
		return errConfig.At("%s", cfg.Credentials).Because(errors.New("these are not a committee member's credentials; enrol with a token for one (choir token --decryptor)"))
	}
	committee, err := LoadCommittee(cfg.Committee)
	if err != nil {
		return err
	}
	passphrase, err := passphraseSource{file: cfg.PassphraseFile, in: in, out: errOut}.read(false)
	if err != nil {
		return err
	}
	key, err := readKey(cfg.Key, passphrase)
	if err != nil {
		return err
	}
	defer clear(key)
	stateKey, err := filestate.Key(key)
	if err != nil {
		return err
	}
	state, err := filestate.Open(cfg.State, stateKey)
	clear(stateKey)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	transport, err := grpctransport.New(grpctransport.Config{Address: cfg.Address, Credentials: creds, File: cfg.Credentials, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, transport.Close()) }()
	served := committeeSchemes()
	if names := cfg.Consent.Schemes; len(names) > 0 {
		served = slices.DeleteFunc(served, func(s secagg.CommitteeScheme) bool { return !slices.Contains(names, s.Name()) })
	}
	d, err := decryptor.New(decryptor.Config{
		Policy: decryptor.Policy{Committee: committee, Name: secagg.PartyID(creds.Name()), Keys: secagg.DecryptorKeys{Sign: key},
			Authority: creds.AuthorityKey(), Schemes: served,
			Limits: decryptor.Limits{Jobs: cfg.Consent.Jobs, Minimum: cfg.Consent.Minimum, BucketMinimum: cfg.Consent.BucketMinimum,
				Exact: cfg.Consent.Exact, NoiseMultiplier: cfg.Consent.NoiseMultiplier}},
		Transport: transport, State: state, Epoch: time.Duration(cfg.Epoch), Now: time.Now, Log: log,
	})
	if fault.ClassOf(err) == fault.Usage {
		err = errConfig.At("%s", path).Because(err)
	}
	if err != nil {
		return err
	}
	return runDecryptor(ctx, d, transport, creds, committee, log)
}

// runDecryptor serves and keeps the certificate good meanwhile. A signal is no failure.
func runDecryptor(ctx context.Context, d *decryptor.Decryptor, t *grpctransport.Transport, creds grpctransport.Credentials, c secagg.Committee, log *slog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	renewing := make(chan struct{})
	go func() {
		defer close(renewing)
		_ = t.KeepRenewed(ctx) // ends with ctx and logs what fails
	}()
	log.Info("serving", "member", creds.Name(), "committee", c.Name(), "root", c.Root(), "certificate_until", creds.Certificate.NotAfter)
	err := d.Run(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	stop()
	<-renewing
	log.Info("stopped")
	return err
}

func newDecryptorShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show committee.yaml",
		Short: "Verify a committee file and print its members, quorum and root",
		Long: `Verify a committee file and print its members with their keys, how many of them may
be corrupt, the quorum, and the root: the digest that clients pin. A committee whose
members are not all in it yet has none, which is an error after the list.`,
		Args: countArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return showCommittee(cmd.OutOrStdout(), args[0]) },
	}
}

// errInit is a member that cannot be made.
var errInit = fault.New(fault.Conflict, "choir/decryptor-init", "committee member is not made", "choose another name or another file")

// newMember is what choir decryptor init makes.
type newMember struct {
	name, committee, committeeName, key, state, passphraseFile string
}

func newDecryptorInitCommand() *cobra.Command {
	var m newMember
	cmd := &cobra.Command{
		Use:   "init --name NAME --committee committee.yaml",
		Short: "Make a committee member's key and state, and add its entry to the committee file",
		Long: `Make what a new committee member needs: a signing key, encrypted under a passphrase,
the directory of its state, and its signed entry in the committee file. The entries
of others are verified first. The members pass the file around; the first one names
the committee with --committee-name. Compare keys with the others on another way
than the file came (choir decryptor show). The state belongs to the key: a member
whose state is lost starts anew under another name.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if m.name == "" {
				return errUsage.At("choir decryptor init").Because(errors.New("--name is missing"))
			}
			c, err := m.make(passphraseSource{file: m.passphraseFile, in: cmd.InOrStdin(), out: cmd.ErrOrStderr()})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is member %d of committee %s in %s; its key is in %s and its state in %s\n",
				m.name, len(c.Members), c.Name, m.committee, m.key, m.state)
			return err
		},
	}
	cmd.Flags().StringVar(&m.name, "name", "", "name of the member: 1 to 64 characters a-z, 0-9, '.', '_', '-'")
	cmd.Flags().StringVar(&m.committee, "committee", "committee.yaml", "committee file to add the member to")
	cmd.Flags().StringVar(&m.committeeName, "committee-name", "", "name of a new committee, whose file is made")
	cmd.Flags().StringVar(&m.key, "key", "decryptor.key", "file for the signing key; must not exist")
	cmd.Flags().StringVar(&m.state, "state", "state", "directory for the state; must not exist")
	cmd.Flags().StringVar(&m.passphraseFile, "passphrase-file", "", "file with the passphrase, on one line (default: $CHOIR_PASSPHRASE_FILE, or a person at the terminal)")
	return cmd
}
