// Package coordinator owns the rounds of a run: it feeds events to the round
// machine and performs the effects that come back, against a store, a ledger and
// a host. The server and the simulator use the same engine; they differ in the
// host only.
package coordinator

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// Refusals of the engine.
var (
	ErrConfig    = fault.New(fault.Usage, "coordinator/config", "engine configuration is refused", "correct the configuration")
	ErrOtherRun  = fault.New(fault.Conflict, "coordinator/other-run", "the store holds a run of another plan", "resume it on purpose, or choose another directory")
	ErrNoRound   = fault.New(fault.Aborted, "coordinator/no-round", "that attempt is over", "check in again")
	ErrNotOpen   = fault.New(fault.Conflict, "coordinator/not-open", "no upload is expected from this client now", "ask for the present instruction")
	ErrBusy      = fault.New(fault.Exhausted, "coordinator/busy", "the upload spool is full", "try again later")
	ErrVerifying = fault.New(fault.Exhausted, "coordinator/verifying", "this client's upload is being verified already", "try again later")
	ErrStatus    = fault.New(fault.Conflict, "coordinator/status", "the run is not in a status that allows this", "look at choir run list")
	ErrOlder     = fault.New(fault.Conflict, "coordinator/older", "the privacy ledger holds an attempt that the run knows nothing of", "restore the newest copy of the run; a new run needs a name that no job of the population had")
	ErrFailed    = fault.New(fault.Internal, "coordinator/failed", "the engine stopped after a failure of its store", "restart the coordinator")
)

// Config is what an engine is made of. All fields but Initial and Observer are
// required, Ledger where the plan has noise.
type Config struct {
	Plan plan.Plan
	// Initial is the model that a new run starts from.
	Initial tensor.Model
	// Resume lets an existing run go on under a changed plan, from its last model. If
	// the server optimiser is another one, it begins without moments.
	Resume    bool
	Store     *store.Store
	Host      Host
	Registry  Registry
	Authority ed25519.PublicKey // enrolment authority
	Ledger    Ledger
	Observer  Observer
	// Coins must be cryptographically secure; it seeds a run's sampling and its own noise.
	Coins io.Reader
	// Holdout measures new models before they are accepted; nil if the coordinator has no
	// data of its own, which a plan with a gate is refused without.
	Holdout Holdout
	// Workers is the number of goroutines that open a sum; at least 1.
	Workers int
	// CheckpointBytes is how many bytes of uploads are added before the sum is
	// checkpointed, which frees their place in the spool; it must leave room for
	// as much again, and for the letters to a committee, which stay. Zero means that
	// uploads stay spooled until the attempt ends.
	CheckpointBytes int64
}

// Engine runs one plan. Safe for concurrent use.
type Engine struct {
	cfg Config

	mu       sync.Mutex
	head     head
	revision uint64
	failed   error // the store failed: nothing goes on until a restart

	machine *round.Machine
	set     round.Settings
	invited map[secagg.PartyID]bool // nil: anybody
	drawn   []secagg.PartyID        // the same, in order
	bytes   int64                   // of one client's upload
	acc     secagg.Accumulator
	adds    []round.Task            // waiting, one after another
	adding  bool                    // the accumulator is in use
	checks  map[secagg.PartyID]bool // clients whose uploads are being verified
	pending *result                 // of TaskOpen, until it is committed
	dirty   int64                   // bytes added since the last checkpoint
	added   []int                   // members in the accumulator
	last    lastAttempt
	taken   participations
	// correlated noise of the run; used by the opening under way.
	correlated correlated
	noted      []secagg.PartyID // who takes part in the attempt under way, as far as it counts
	// exhausted says why the ledger has no room for the attempt under way.
	exhausted string
	resuming  bool // what the journal says was done is done again

	quarantines []QuarantineChange // oldest first
	alerted     []Alert            // of the latest attempt that ended

	gating sync.Mutex                    // held while the holdout measures
	good   atomic.Pointer[measuredModel] // the latest accepted model that was measured
}

// lastAttempt remembers how the latest attempt ended, for clients that ask late.
type lastAttempt struct {
	id        secagg.RoundID
	survivors map[secagg.PartyID]bool
	reason    string
}

// Open loads a run from its store, or begins it. Nothing happens until Start.
func Open(cfg Config) (*Engine, error) {
	if cfg.Store == nil || cfg.Host == nil || cfg.Registry == nil || cfg.Coins == nil || cfg.Workers < 1 || cfg.Plan.Scheme() == nil {
		return nil, ErrConfig.At("a required field is missing")
	}
	noisy := cfg.Plan.Guarantee().Stated()
	if (cfg.Ledger != nil) != noisy {
		return nil, ErrConfig.At("job %s: a ledger belongs to a plan with noise, and to no other", cfg.Plan.Job())
	}
	if cfg.Ledger == nil {
		cfg.Ledger = noLedger{}
	}
	if cfg.Observer == nil {
		cfg.Observer = silent{}
	}
	if err := checkGate(cfg); err != nil {
		return nil, err
	}
	if cfg.Plan.Screening() == (plan.Screening{}) {
		cfg.Holdout = nil // nobody asks, and an attempt that cannot be measured fails
	}
	e := &Engine{cfg: cfg}
	value, revision, err := cfg.Store.Head.Load()
	if err != nil {
		return nil, err
	}
	e.revision = revision
	if err := e.loadQuarantines(); err != nil {
		return nil, err
	}
	if value == nil {
		return e, e.begin()
	}
	if e.head, err = decodeHead(value); err != nil {
		return nil, err
	}
	if e.head.plan != cfg.Plan.Digest() && !cfg.Resume {
		return nil, ErrOtherRun.At("job %s", cfg.Plan.Job())
	}
	if (e.head.ledger != secagg.LedgerHead{}) != noisy {
		return nil, ErrConfig.At("job %s: a run with noise does not go on without, nor the other way round", cfg.Plan.Job())
	}
	if err := e.reconcile(); err != nil {
		return nil, err
	}
	if e.head.plan != cfg.Plan.Digest() {
		if m, err := e.loadModel(e.head); err != nil {
			return nil, err
		} else if !m.Schema().Equal(cfg.Plan.Terms().Tensors) {
			return nil, ErrConfig.At("the run's model has another shape than the plan's")
		}
		if _, ok := cfg.Plan.Guarantee().Correlated(); ok && e.head.rounds > 0 {
			return nil, ErrConfig.At("job %s: noise that is correlated between rounds was accounted for under the plan that the run began with", cfg.Plan.Job())
		}
		return e, e.swap(e.resumed())
	}
	if cfg.Resume && e.head.status != Running {
		return e, e.swap(e.resumed())
	}
	return e, nil
}

// resumed is the head of the run going on. A round that failed in all its
// attempts is not tried again: attempts are counted against what an attacker
// gains from each. The run goes on with the next number.
func (e *Engine) resumed() head {
	next := e.head
	next.status, next.reason = Running, ""
	if digest := e.cfg.Plan.Digest(); digest != next.plan {
		next.plan = digest
		next.fallback, next.leftOut, next.absent = false, nil, nil // lessons of the old plan's attempts
		next.clipNorm = e.firstClipNorm()
		next.refused, next.opposed, next.trend = 0, 0, trend{}
		e.afresh(&next)
		if e.head.status != Finished {
			next.next(next.round, next.attempt+1) // one under the old plan is not continued
		}
	}
	if int(next.attempt) > e.cfg.Plan.Attempts() {
		next.next(next.round+1, 1)
		next.fallback, next.leftOut = false, nil
	}
	return next
}

// begin writes a new run's first head.
func (e *Engine) begin() error {
	m := e.cfg.Initial
	if !m.Schema().Equal(e.cfg.Plan.Terms().Tensors) {
		return ErrConfig.At("initial model has another shape than the plan's")
	}
	if err := m.CheckFinite(); err != nil {
		return ErrConfig.At("initial model").Because(err)
	}
	digest, size, err := e.writeBlob(func(w io.Writer) error { return tensor.WriteSafetensors(w, m) })
	if err != nil {
		return err
	}
	h := head{plan: e.cfg.Plan.Digest(), status: Running, round: 1, attempt: 1, model: digest, modelSize: size, bestLoss: math.MaxFloat64,
		ledger: e.cfg.Ledger.Head(), clipNorm: e.firstClipNorm()}
	err = e.toss(&h.seed)
	if e.cfg.Plan.Guarantee().Stated() {
		err = errors.Join(err, e.toss(&h.noise))
	}
	if err != nil {
		return err
	}
	return e.swap(h)
}

func (e *Engine) toss(secret *secagg.Digest) error {
	if _, err := io.ReadFull(e.cfg.Coins, secret[:]); err != nil {
		return fmt.Errorf("reading coins: %w", err)
	}
	return nil
}

// swap replaces the head durably.
func (e *Engine) swap(h head) error {
	if err := e.cfg.Store.Head.Swap(e.revision, h.encode()); err != nil {
		return fmt.Errorf("head: %w", err)
	}
	e.revision++
	e.head = h
	return nil
}

// Start begins or resumes the run's present attempt.
func (e *Engine) Start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.resume(); err != nil {
		return err
	}
	return e.failed
}

// id is that of the attempt under way.
func (e *Engine) id() secagg.RoundID {
	return secagg.RoundID{Job: e.cfg.Plan.Job(), Round: e.head.round, Attempt: e.head.attempt}
}

// segment names the journal of the attempt under way.
func (e *Engine) segment() string { return fmt.Sprintf("%d/%d", e.head.round, e.head.attempt) }

// resume continues the attempt that the journal holds, or begins a new one.
func (e *Engine) resume() error {
	if err := errors.Join(e.remember(), e.loadParticipations()); err != nil {
		return err
	}
	segments, err := e.cfg.Store.Journal.Segments()
	if err != nil {
		return err
	}
	var records [][]byte
	for _, s := range segments {
		switch s {
		case historySegment, participationSegment, quarantineSegment:
		case e.segment():
			err = e.cfg.Store.Journal.Read(s, func(r []byte) error {
				records = append(records, append([]byte(nil), r...))
				return nil
			})
		default: // an attempt that the head has left behind
			err = e.cfg.Store.Journal.Drop(s)
		}
		if err != nil {
			return err
		}
	}
	if len(records) == 0 {
		e.dropSpool()
		return e.attempt()
	}
	began, err := decodeBegan(records[0])
	if err != nil {
		return err
	}
	e.settle(began)
	m, fx, err := round.Restore(e.set, records[1:])
	if err != nil {
		return err
	}
	e.machine = m
	_, e.added = m.Checkpointed()
	if err := errors.Join(e.free(e.added), e.sweep()); err != nil {
		return err
	}
	if err := e.makeAccumulator(); err != nil {
		return err
	}
	if e.head.status != Running && !m.State().Over() { // it was stopped just before the restart
		return e.step(round.Abort{At: e.now(), Reason: e.head.reason})
	}
	e.resuming = true
	e.perform(fx)
	e.resuming = false
	if e.machine == nil {
		return nil
	}
	return e.step(round.Tick{At: e.now()})
}

// settle fixes the settings of the attempt under way.
func (e *Engine) settle(b began) {
	e.set = round.Settings{Plan: e.cfg.Plan,
		ID: e.id(), Model: e.head.model, ModelSize: e.head.modelSize, Began: b.at, ClipNorm: e.head.clipNorm, Ledger: b.ledger,
		Authority: secagg.AuthorityDigest(e.cfg.Authority), Fallback: e.head.fallback, LeftOut: e.head.leftOut, Absent: e.head.absent, Centre: e.centre(e.head)}
	e.invite(b.drawn)
	e.acc, e.adds, e.adding, e.pending = nil, nil, false, nil
	e.checks = map[secagg.PartyID]bool{}
	e.dirty, e.added, e.bytes, e.exhausted, e.noted = 0, nil, 0, "", nil
}

// attempt begins the next attempt, if the run goes on.
func (e *Engine) attempt() error {
	e.machine = nil
	if err := e.sweep(); err != nil {
		return err
	}
	if e.head.status != Running {
		return nil
	}
	if int(e.head.rounds) >= e.cfg.Plan.Rounds() {
		return e.finish(Finished, "all rounds are done")
	}
	if int(e.head.attempt) > e.cfg.Plan.Attempts() {
		return e.finish(Stopped, fmt.Sprintf("round %d failed in all its attempts", e.head.round))
	}
	id := e.id()
	if e.cfg.Ledger.Has(id) { // what it was reserved for is not what would come now
		return ErrOlder.At("attempt %s", id)
	}
	err := e.cfg.Ledger.Room()
	if fault.ClassOf(err) == fault.Refused {
		return e.finish(BudgetExhausted, err.Error())
	}
	if err != nil {
		return err
	}
	first := began{at: e.now(), ledger: e.cfg.Ledger.Head()}
	if first.drawn, err = e.draw(id); err != nil {
		return e.finish(Stopped, err.Error())
	}
	e.settle(first)
	if err := e.cfg.Store.Journal.Append(e.segment(), first.encode()); err != nil {
		return err
	}
	m, fx := round.New(e.set)
	e.machine = m
	e.perform(fx)
	e.cfg.Observer.RoundBegan(e.set.ID, e.drawn)
	return nil
}

func (e *Engine) finish(s Status, reason string) error {
	next := e.head
	next.status, next.reason = s, reason
	if err := e.forgetNoise(&next); err != nil {
		return err
	}
	return e.swap(next)
}

func (e *Engine) now() round.Instant { return round.Instant(e.cfg.Host.Now().UnixNano()) }

// step feeds one event to the machine and performs its effects.
func (e *Engine) step(ev round.Event) error {
	if e.failed != nil {
		return ErrFailed.Because(e.failed)
	}
	if e.machine == nil {
		return ErrNoRound
	}
	fx, err := e.machine.Step(ev)
	if err != nil {
		return err
	}
	e.perform(fx)
	if e.failed != nil {
		return ErrFailed.Because(e.failed)
	}
	return nil
}

// perform carries out effects in their order. If the store fails the engine stops:
// what was not made durable must not be acted upon.
func (e *Engine) perform(fx round.Effects) {
	if e.failed != nil {
		return
	}
	if fx.Persist != nil {
		if e.fail(e.cfg.Store.Journal.Append(e.segment(), fx.Persist)) {
			return
		}
	}
	for _, a := range fx.Audit {
		e.cfg.Observer.Audit(e.set.ID, a)
	}
	if fx.Charge == round.ChargeReserve && !e.charge() {
		return
	}
	if _, open := e.machine.Session(); open && e.acc == nil && !e.machine.State().Over() {
		if err := e.makeAccumulator(); err != nil {
			e.fail(e.step(round.Abort{At: e.now(), Reason: err.Error()}))
			return
		}
	}
	for _, t := range fx.Tasks {
		e.run(t)
	}
	e.notify(fx.Notify)
	if len(fx.Dismiss) > 0 {
		e.cfg.Host.Notify(fx.Dismiss)
	}
	if fx.Commit {
		e.commit()
		return
	}
	if fx.Outcome != nil {
		e.over(fx)
		return
	}
	if fx.Wake != 0 {
		e.cfg.Host.Wake(time.Unix(0, int64(fx.Wake)))
	}
}

// fail stops the engine if err is not nil.
func (e *Engine) fail(err error) bool {
	if err != nil && e.failed == nil {
		e.failed = err
	}
	return err != nil
}

func (e *Engine) notify(members []int) {
	s, ok := e.machine.Session()
	if !ok || len(members) == 0 {
		return
	}
	ids := make([]secagg.PartyID, len(members))
	for i, m := range members {
		ids[i] = s.Party(m)
	}
	e.cfg.Host.Notify(ids)
}

func (e *Engine) makeAccumulator() error {
	s, ok := e.machine.Session()
	if !ok {
		return nil
	}
	acc, err := e.cfg.Plan.Scheme().NewAccumulator(s)
	if err != nil {
		return err
	}
	e.acc, e.bytes = acc, acc.Pieces().Total()
	return nil
}

type silent struct{}

func (silent) RoundBegan(secagg.RoundID, []secagg.PartyID) {}

func (silent) RoundOver(Report, tensor.Model) {}
func (silent) Audit(secagg.RoundID, string)   {}
