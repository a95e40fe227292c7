package coordinator_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/coordinator/store/file"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/tensor"
)

var serverSchemes = []secagg.ServerScheme{plain.Scheme{}, pairwise.Scheme{}, oneshot.Scheme{}}

func seeded(label string) *field.Stream { return field.NewStream(sha256.Sum256([]byte(label))) }

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("key of " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

var authority = keyOf("the authority")

// literal is a plan for n clients and as many weights: in each round client i
// adds step to weight i alone, so that the model tells who was counted.
func literal(scheme string, n, rounds int) plan.Literal {
	return plan.Literal{
		Schema: secagg.PlanSchema, Job: "job",
		Model:     plan.Model{Architecture: "points", Tensors: []plan.Tensor{{Name: "w", Shape: []int{n}}}},
		Scheme:    plan.Scheme{Name: scheme, CrossSilo: true},
		Cohort:    plan.Cohort{Size: n, Minimum: max(n-1, 1)},
		Rounds:    plan.Rounds{Count: rounds, Attempts: 3},
		Deadlines: plan.Deadlines{Admission: time.Minute, Exchange: time.Minute, Upload: time.Minute},
		Encoding:  plan.Encoding{ClipNorm: 10, Bits: 18},
		Training:  plan.Training{Epochs: 1, BatchSize: 1, LearningRate: 0.1},
		Privacy:   plan.Privacy{Mode: "none", TrustCoordinator: true},
	}
}

const (
	step = 0.5
	tiny = 1e-3 // more than the encoding's resolution in all rounds together
)

// world is a coordinator and its clients in virtual time, on one goroutine.
type world struct {
	t       *testing.T
	plan    plan.Plan
	reopen  func() (*store.Store, error) // after the death of the process
	budgets *mem.Disk                    // of the privacy ledger; nil without noise
	purse   *store.Store                 // on it
	open    *coordinator.Ledgers         // shared with another world; nil for a ledger of this process
	faults  *faults
	change  func(*coordinator.Config)
	devices []*device
	members []*decryptor // of the committee

	now    time.Time
	wake   time.Time
	boot   int
	boots  int // engines started so far
	works  []work
	hold   map[string]bool // kinds of work that do not begin
	store  *store.Store
	engine *coordinator.Engine

	acked   map[secagg.RoundID][]secagg.PartyID
	began   []draw
	reports []coordinator.Report
	models  []tensor.Model
}

type draw struct {
	id      secagg.RoundID
	invited []secagg.PartyID
}

type work struct {
	name string
	run  func() func()
}

func newWorld(t *testing.T, l plan.Literal) *world {
	t.Helper()
	p, err := l.Check(serverSchemes...)
	require.NoError(t, err)
	w := &world{t: t, plan: p, faults: &faults{}, now: time.Unix(1e9, 0), hold: map[string]bool{}, acked: map[secagg.RoundID][]secagg.PartyID{}}
	w.onDisk(mem.New(1 << 20))
	for i := range p.Invited() {
		w.devices = append(w.devices, newDevice(w, i))
	}
	if p.Guarantee().Stated() {
		w.budgets = mem.New(0)
	}
	for j := range p.Terms().Committee.Len() {
		w.members = append(w.members, &decryptor{w: w, index: j})
	}
	return w
}

// onDisk puts the store on a medium in memory.
func (w *world) onDisk(d *mem.Disk) {
	w.reopen = func() (*store.Store, error) {
		d.Crash()
		return d.Open()
	}
}

// onFiles puts the store into a directory.
func (w *world) onFiles(dir string) {
	w.reopen = func() (*store.Store, error) { return file.Open(dir, 1<<20) }
	w.t.Cleanup(w.halt)
}

// start boots the coordinator, once more if the injected failure stops it.
func (w *world) start() {
	w.t.Helper()
	err := w.tryStart()
	if errors.Is(err, errInjected) {
		err = w.tryStart()
	}
	require.NoError(w.t, err)
}

func (w *world) tryStart() error {
	w.halt()
	s, err := w.reopen()
	if err != nil {
		return err
	}
	w.faults.revive()
	w.boot++
	w.store = w.faults.wrap(s)
	cfg := coordinator.Config{Plan: w.plan, Initial: tensor.Zero(w.plan.Terms().Tensors), Store: w.store, Host: host{w, w.boot}, Registry: w,
		Authority: authority.Public().(ed25519.PublicKey), Observer: w, Coins: seeded("coordinator"), Workers: 1}
	if w.budgets != nil {
		ledgers := w.open
		if ledgers == nil {
			ledgers = w.ledgers()
		}
		if cfg.Ledger, err = ledgers.Of(w.plan); err != nil {
			return err
		}
	}
	if w.change != nil {
		w.change(&cfg)
	}
	e, err := coordinator.Open(cfg)
	if err == nil {
		err = e.Start()
	}
	if err == nil {
		w.engine = e
		w.boots++
	}
	return err
}

// ledgers are those of a process that has just begun.
func (w *world) ledgers() *coordinator.Ledgers {
	w.t.Helper()
	w.budgets.Crash()
	var err error
	w.purse, err = w.budgets.Open()
	require.NoError(w.t, err)
	return coordinator.NewLedgers(w.faults.wrap(w.purse).Journal)
}

// halt ends the coordinator's process.
func (w *world) halt() {
	w.engine, w.works, w.wake = nil, nil, time.Time{}
	if w.store != nil {
		_ = w.store.Close()
	}
	for _, d := range w.devices {
		d.waiting = false
	}
}

// host is one process of the coordinator.
type host struct {
	w    *world
	boot int
}

func (h host) Now() time.Time { return h.w.now }

func (h host) Wake(at time.Time) {
	if h.w.boot == h.boot {
		h.w.wake = at
	}
}

func (h host) Work(w coordinator.Work, run func() func()) {
	if h.w.boot == h.boot {
		h.w.works = append(h.w.works, work{w.Name, run})
	}
}

func (h host) Notify([]secagg.PartyID) {}

// Clients implements coordinator.Registry.
func (w *world) Clients() (ids []secagg.PartyID) {
	for _, d := range w.devices {
		ids = append(ids, d.policy.Identity.ID)
	}
	return ids
}

// RoundBegan implements coordinator.Observer.
func (w *world) RoundBegan(id secagg.RoundID, invited []secagg.PartyID) {
	w.began = append(w.began, draw{id, invited})
}

func (w *world) Audit(secagg.RoundID, string) {}

// RoundOver implements coordinator.Observer and holds what must hold of every release.
func (w *world) RoundOver(r coordinator.Report, m tensor.Model) {
	w.reports, w.models = append(w.reports, r), append(w.models, m)
	if !r.Released {
		require.NotEmpty(w.t, r.Reason)
		return
	}
	members := slices.Concat(r.Members...)
	slices.Sort(members)
	require.Len(w.t, slices.Compact(slices.Clone(members)), len(members), "a client is counted twice")
	require.GreaterOrEqual(w.t, len(members), w.plan.Minimum())
	if r.Short == 0 && r.Spoiled == 0 {
		require.Subset(w.t, members, w.acked[r.ID], "an acknowledged upload is left out")
	}
	require.Equal(w.t, r.Model, secagg.Digest(m.Digest()))
}

// drain runs the work that may begin, in order, and reports whether there was any.
func (w *world) drain() (any bool) {
	for w.work() {
		any = true
	}
	return any
}

// work runs one piece of the work that may begin.
func (w *world) work() bool {
	i := slices.IndexFunc(w.works, func(x work) bool { return !w.hold[x.name] })
	if i < 0 {
		return false
	}
	x := w.works[i]
	w.works = slices.Delete(w.works, i, i+1)
	x.run()()
	return true
}

// pass lets everybody do what can be done now.
func (w *world) pass() bool {
	any := w.drain()
	for _, a := range w.actors() {
		any = a.act() || any
		any = w.drain() || any
	}
	return any
}

// actor is somebody who talks to the coordinator.
type actor interface {
	act() (moved bool)
	repeat()
}

func (w *world) actors() []actor {
	var out []actor
	for _, m := range w.members {
		out = append(out, m)
	}
	for _, d := range w.devices {
		out = append(out, d)
	}
	return out
}

// quiet passes until nothing happens any more without the clock.
func (w *world) quiet() {
	w.t.Helper()
	for range 200 {
		if !w.pass() {
			return
		}
	}
	require.FailNow(w.t, "the world does not come to rest")
}

// until goes on until done, and not one thing further.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	for range 1000 {
		for _, a := range w.actors() {
			for again := true; again; again = w.work() {
				if done() {
					return
				}
			}
			a.act()
		}
	}
	require.FailNow(w.t, "never came: "+what)
}

// tick moves the clock to the time that the engine waits for.
func (w *world) tick() {
	w.t.Helper()
	require.False(w.t, w.wake.IsZero(), "the engine waits for nothing: %+v", w.engine.State())
	if w.wake.After(w.now) {
		w.now = w.wake
	}
	w.engine.Tick()
}

// run goes on until the run has ended. A coordinator that failed is restarted,
// after its clients had time to talk to what is left of it.
func (w *world) run() coordinator.State {
	w.t.Helper()
	for range 200 {
		if w.faults.down || w.engine.State().Failed != nil {
			w.pass()
			w.pass()
			w.start()
			continue
		}
		if s := w.engine.State(); s.Status != coordinator.Running {
			w.quiet()
			return s
		}
		if w.pass() {
			continue
		}
		for _, a := range w.actors() {
			a.repeat()
		}
		if !w.drain() && !w.pass() && !w.faults.down && w.engine.State().Failed == nil {
			w.tick()
		}
	}
	require.FailNow(w.t, "the run does not end")
	return coordinator.State{}
}

// values returns the run's present model.
func (w *world) values() []float32 {
	w.t.Helper()
	file, size, err := w.engine.Export()
	require.NoError(w.t, err)
	m, err := tensor.ReadSafetensors(file, size)
	require.NoError(w.t, err)
	require.NoError(w.t, file.Close())
	require.Equal(w.t, w.engine.State().Model, secagg.Digest(m.Digest()))
	return m.Values()
}

// requireModel requires the model after rounds in which all clients took part.
func (w *world) requireModel(rounds int) {
	w.t.Helper()
	n := len(w.devices)
	for i, v := range w.values() {
		require.InDelta(w.t, float64(rounds)*step/float64(n), v, tiny, "client %d of %d after %d rounds", i, n, rounds)
	}
}

func (w *world) history() []coordinator.Ended {
	w.t.Helper()
	h, err := w.engine.History()
	require.NoError(w.t, err)
	return h
}
