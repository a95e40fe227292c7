// Package sim runs the real coordinator, the real client SDK and the real schemes
// in one process, in virtual time: thousands of clients on modelled devices
// behind a modelled network, with drop-outs, crashes and restarts.
//
// The order of events is single-threaded; training and cryptography run in
// parallel and are delivered at modelled instants. A seed repeats a run exactly,
// measured times aside.
package sim

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/coordinator/store/file"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/sim/adversary"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/sim/model"
	"github.com/choir-fl/choir/tensor"
)

// Fidelity says how much of the cryptography runs.
type Fidelity string

const (
	// Full runs all of it.
	Full Fidelity = "full"
	// Fast replaces the scheme by the plain sum of the same integers: the same
	// model digest, none of the protection and none of its cost.
	Fast Fidelity = "fast"
)

// ErrConfig refuses a simulation.
var ErrConfig = fault.New(fault.Usage, "sim/config", "simulation is refused", "correct the flags or the plan")

// Config is a simulation. The zero values of models take their defaults.
type Config struct {
	// Plan is the job. Its model.tensors are filled in from the architecture.
	Plan    plan.Literal
	Schemes []Scheme
	// Train holds the clients' data, dealt out by Partition: one list of indices
	// for each client. Test is the coordinator's holdout.
	Train, Test dataset.Dataset
	Partition   [][]int
	Initial     *tensor.Model // default: the architecture's own, from Seed
	Seed        uint64
	Fidelity    Fidelity
	Network     Network
	Devices     Devices
	Faults      Faults
	// Workers is the number of computations at a time; default one for each core.
	Workers int
	// CheckpointBytes is the engine's setting of that name.
	CheckpointBytes int64
	// Scratch is an empty directory for what is too large for memory: the
	// coordinator's disk is there instead. A client's ciphertext is then gone once it
	// was acknowledged, so nothing may crash or restart. Empty: all in memory.
	Scratch string
	// Stopwatch returns the real time that has passed since some beginning. It feeds
	// the measured figures of the result and nothing else; nil leaves them out.
	Stopwatch func() time.Duration
	// Progress is called after each attempt, in order. May be nil.
	Progress func(Round)
	// Trainer replaces the training of a client, by its index: it may be called
	// concurrently. Nil trains the plan's architecture on the client's data. Worker
	// momentum, if the plan asks for it, is taken of what it returns.
	Trainer func(index int, global tensor.Model, task secagg.Task) (client.Update, error)
	// Released is given each released model, in order, to look at. May be nil.
	Released func(coordinator.Report, tensor.Model)
	// Audit replaces clients by canaries; zero for none.
	Audit Audit
	// Adversary makes some of the clients Byzantine; zero for none.
	Adversary Adversary
}

// simulation is a run under way.
type simulation struct {
	cfg         Config
	world       *world
	network     Network
	devices     Devices
	faults      Faults
	root        [32]byte // of all coins
	plan        plan.Plan
	net         *model.Net
	trainer     *trainer
	clients     []dataset.Dataset
	parties     []*device
	byID        map[secagg.PartyID]*device
	members     []*member // of the committee
	byAddress   map[secagg.PartyID]*member
	rosters     sync.Map              // read and verified, by digest
	auditor     *auditor              // nil if nobody audits
	adversaries *adversaries          // nil without Byzantine clients
	detection   *detection            // nil if nobody attacks
	probe       *dataset.Dataset      // what a backdoor is measured by; nil without one
	seen        func(adversary.Known) // by attackers, for tests; nil
	disk        *mem.Disk
	budgets     *mem.Disk     // of the privacy ledger
	ledger      ledger.Reader // of the coordinator's latest boot
	store       *store.Store
	engine      *coordinator.Engine // nil while it is down
	boot        int                 // counts the coordinator's starts
	initial     tensor.Model
	witness     *witness
	exposed     []secagg.RoundID // attempts that ended after sums of them were opened
	authority   ed25519.PrivateKey

	attempt   attempt // under way
	rounds    []Round
	evals     []chan evaluation
	crashes   int                    // coordinator crashes that have happened
	violation atomic.Pointer[string] // the first broken invariant
	stopped   atomic.Pointer[error]  // why the run cannot go on
	wake      int
}

// attempt collects what the report needs of the attempt under way.
type attempt struct {
	id                             secagg.RoundID
	drops                          map[secagg.PartyID]Point
	dropped                        int
	up, down                       int64
	acked                          map[secagg.PartyID]bool
	sealNanos, addNanos, openNanos int64
	seals                          int
	began                          time.Duration
}

var errNoPlace = round.ErrFull

// Run simulates a whole run.
func Run(cfg Config) (Result, error) {
	s := newSimulation(cfg)
	began := s.stopwatch()
	if err := s.prepare(); err != nil {
		return Result{}, err
	}
	return s.run(began)
}

func newSimulation(cfg Config) *simulation {
	return &simulation{cfg: cfg, world: newWorld(cfg.Workers), network: cfg.Network.withDefaults(), devices: cfg.Devices.withDefaults(),
		faults: cfg.Faults.withDefaults(), byID: map[secagg.PartyID]*device{},
		byAddress: map[secagg.PartyID]*member{}}
}

// run simulates what was prepared, since began on the stopwatch.
func (s *simulation) run(began time.Duration) (Result, error) {
	if err := s.start(); err != nil {
		return Result{}, err
	}
	for s.running() && s.violation.Load() == nil && s.stopped.Load() == nil {
		if !s.world.next() {
			return Result{}, errors.New("simulation stalled: no event is left and the run is not over")
		}
		s.check()
	}
	s.drain()
	s.checkLedger()
	return s.result(s.stopwatch() - began)
}

// drain lets the clients hear that the last round is over.
func (s *simulation) drain() {
	end := s.world.now.Add(10 * s.network.Retry)
	for s.violation.Load() == nil && s.stopped.Load() == nil && len(s.world.events) > 0 && s.world.events[0].at.Before(end) &&
		slices.ContainsFunc(s.parties, func(d *device) bool { return d.p != nil }) {
		s.world.next()
	}
}

// running reports whether the run goes on; a coordinator that is down will come back.
func (s *simulation) running() bool {
	return s.engine == nil || s.engine.State().Status == coordinator.Running && s.engine.State().Failed == nil
}

// prepare builds everything that exists before time begins.
func (s *simulation) prepare() error {
	cfg := &s.cfg
	s.root = rootOf(cfg.Seed)
	preset(&cfg.Fidelity, Full)
	if f := s.faults; cfg.Scratch != "" && (f.Restart > 0 || f.Crashes > 0) {
		return ErrConfig.At("crashes and restarts with a scratch directory")
	}
	if len(cfg.Partition) == 0 || cfg.Train.Len() == 0 {
		return ErrConfig.At("no client or no data")
	}
	arch, err := model.ParseArchitecture(cfg.Plan.Model.Architecture)
	if err != nil {
		return ErrConfig.Because(err)
	}
	if s.net, err = model.New(arch, cfg.Train.Shape(), cfg.Train.Classes()); err != nil {
		return ErrConfig.Because(err)
	}
	if cfg.Initial != nil {
		s.initial = *cfg.Initial
	} else {
		s.initial = s.net.Init(cfg.Seed)
	}
	if err := s.preparePlan(); err != nil {
		return err
	}
	for i, indices := range cfg.Partition {
		if len(indices) == 0 {
			return ErrConfig.At("client %d has no data", i)
		}
		s.clients = append(s.clients, cfg.Train.Subset(indices))
	}
	s.trainer = &trainer{net: s.net, clients: s.clients, seed: cfg.Seed, instead: cfg.Trainer}
	if err := errors.Join(s.prepareAudit(), s.prepareAdversary()); err != nil {
		return err
	}
	return s.prepareParties()
}

func rootOf(seed uint64) [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("choir simulation "), seed))
}

// witnessLimit is the largest number of words of a cohort's vectors that the
// witness keeps.
const witnessLimit = 1 << 26

func (s *simulation) preparePlan() error {
	lit := s.cfg.Plan
	FillTensors(&lit, s.net.Schema())
	schemes := s.cfg.Schemes
	if err := FillCommittee(&lit, schemes, s.cfg.Seed); err != nil {
		return err
	}
	switch s.cfg.Fidelity {
	case Full:
	case Fast:
		// The plan is checked under its own scheme first: fast never runs what full refuses.
		if _, err := lit.Check(serverSchemes(schemes)...); err != nil {
			return err
		}
		named := slices.IndexFunc(schemes, func(s Scheme) bool { return s.Name() == lit.Scheme.Name })
		schemes = []Scheme{stand{replaces: schemes[named]}}
		lit.Scheme.Name, lit.Scheme.Committee = plain.Name, plan.Committee{}
		lit.Aggregation.Fallback = "" // no sum is spoiled
		if lit.Aggregation.View == secagg.ViewSum.String() || lit.Aggregation.View == "" {
			lit.Aggregation.Buckets = plan.Buckets{}
		}
	default:
		return ErrConfig.At("fidelity %q is neither full nor fast", s.cfg.Fidelity)
	}
	for i, scheme := range schemes {
		if scheme.Name() != lit.Scheme.Name {
			continue
		}
		s.witness = &witness{Scheme: scheme, violate: s.violate, vectors: map[secagg.RoundID]map[int][]uint32{}, opened: map[secagg.RoundID]string{}}
		if s.net.Schema().Total()*lit.Cohort.Size <= witnessLimit {
			schemes = slices.Clone(schemes)
			schemes[i] = s.witness
		}
	}
	s.cfg.Schemes = schemes
	var err error
	if s.plan, err = lit.Check(serverSchemes(schemes)...); err != nil {
		return err
	}
	if t := s.plan.Terms(); t.Privacy == secagg.PrivacyDistributed {
		s.witness.shares = t.Noise.Survivors
	}
	return nil
}

// FillTensors declares in a plan the tensors of the model that it trains, in place
// of any that it names. Whoever loads a plan that leaves them out does so before Check.
func FillTensors(l *plan.Literal, s tensor.Schema) {
	l.Model.Tensors = nil
	for _, spec := range s.Specs() {
		l.Model.Tensors = append(l.Model.Tensors, plan.Tensor{Name: spec.Name, Shape: spec.Shape})
	}
}

func serverSchemes(schemes []Scheme) []secagg.ServerScheme {
	out := make([]secagg.ServerScheme, len(schemes))
	for i, s := range schemes {
		out[i] = s
	}
	return out
}

func (s *simulation) prepareParties() error {
	_, authority, err := ed25519.GenerateKey(s.coins("authority"))
	if err != nil {
		return err
	}
	s.authority = authority
	var accepted []secagg.ClientScheme
	for _, scheme := range s.cfg.Schemes {
		accepted = append(accepted, scheme)
	}
	for i := range s.clients {
		id := secagg.PartyID(clientName(i))
		seed := field.Derive(s.root, "identity "+string(id))
		key := ed25519.NewKeyFromSeed(seed[:])
		d := &device{sim: s, index: i, id: id, rng: s.rng("device " + string(id))}
		d.slow = float64(stretch(d.rng, time.Second, s.devices.Spread)) / float64(time.Second)
		d.policy = client.Policy{Identity: secagg.Enrol(authority, id, key.Public().(ed25519.PublicKey)), Key: key,
			Authority: authority.Public().(ed25519.PublicKey), Roster: s.readRoster, Consent: agree{}, Schemes: accepted, Mechanism: s.mechanism}
		s.adversaries.arm(d)
		s.parties = append(s.parties, d)
		s.byID[id] = d
	}
	return s.prepareCommittee()
}

func clientName(i int) string { return fmt.Sprintf("client-%05d", i) }

// readRoster reads and checks each roster once: in one process every client of a
// cohort would do so.
func (s *simulation) readRoster(encoded []byte) (secagg.Roster, error) {
	digest := sha256.Sum256(encoded)
	if r, ok := s.rosters.Load(digest); ok {
		return r.(secagg.Roster), nil
	}
	r, err := client.ReadRoster(encoded, s.authority.Public().(ed25519.PublicKey))
	if err == nil {
		s.rosters.Store(digest, r)
	}
	return r, err
}

// mechanism is the one of the plan: all clients draw from the same tables.
func (s *simulation) mechanism(secagg.Terms) (ddp.Mechanism, error) {
	return s.plan.Guarantee().Mechanism(), nil
}

// agree consents to everything: the simulator's clients are there to take part.
type agree struct{}

func (agree) Allow(secagg.Task) error { return nil }

// rng makes a source of modelled chance; it never feeds a protocol.
func (s *simulation) rng(label string) *rand.Rand {
	return rand.New(rand.NewChaCha8(field.Derive(s.root, "chance "+label)))
}

// start boots the coordinator on what its disk holds.
func (s *simulation) start() error {
	st, err := s.open()
	if err != nil {
		return err
	}
	s.boot++
	s.store = st
	if s.budgets == nil {
		s.budgets = mem.New(0)
	}
	b, err := s.budgets.Open()
	if err != nil {
		return err
	}
	s.ledger = b.Journal
	s.checkLedger()
	charges, err := coordinator.NewLedgers(b.Journal).Of(s.plan)
	if err != nil {
		return err
	}
	e, err := coordinator.Open(coordinator.Config{Plan: s.plan, Initial: s.initial, Store: st, Host: &host{s, s.boot}, Registry: s,
		Authority: s.authority.Public().(ed25519.PublicKey), Ledger: charges, Observer: s, Holdout: s.holdout(), Coins: s.coins("coordinator"), Workers: cap(s.world.slots), CheckpointBytes: s.cfg.CheckpointBytes})
	if err != nil {
		return err
	}
	s.engine = e
	return e.Start()
}

// spoolLimit bounds what uploads may take on the coordinator's disk.
const spoolLimit = 1 << 40

// open opens the coordinator's disk: in memory, where a crash loses what was not made
// durable, or in the scratch directory.
func (s *simulation) open() (*store.Store, error) {
	if s.cfg.Scratch != "" {
		return file.Open(s.cfg.Scratch, spoolLimit)
	}
	if s.disk == nil {
		s.disk = mem.New(spoolLimit)
	}
	return s.disk.Open()
}

// powerCut crashes the coordinator and brings it back later.
func (s *simulation) powerCut() {
	if s.engine == nil || !s.running() {
		return
	}
	s.crashes++
	s.engine = nil
	s.disk.Crash()
	s.budgets.Crash()
	s.world.after(s.faults.Outage, func() {
		if err := s.start(); err != nil {
			s.violate("coordinator cannot restart: %v", err)
			return
		}
		for _, d := range s.parties {
			if d.p != nil {
				d.poll()
			}
		}
		for _, m := range s.members {
			m.poke()
		}
	})
}

// Clients implements coordinator.Registry.
func (s *simulation) Clients() []secagg.PartyID {
	out := make([]secagg.PartyID, len(s.parties))
	for i, d := range s.parties {
		out[i] = d.id
	}
	return out
}

// model returns the bytes of a model that a client fetches.
func (s *simulation) model(digest secagg.Digest) ([]byte, error) {
	if s.engine == nil {
		return nil, errors.New("coordinator is down")
	}
	r, err := s.engine.Model(digest)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
