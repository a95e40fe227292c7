package rpc

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// run is one hosted run: an engine, its store, and the host that the engine runs
// on. It implements coordinator.Host and coordinator.Observer: the engine calls it
// while it is locked, so these methods only note what is to be done.
type run struct {
	job    string
	plan   plan.Plan
	engine *coordinator.Engine
	store  *store.Store
	slots  chan struct{} // one for each worker of the server
	now    func() time.Time
	log    *slog.Logger
	next   coordinator.Observer // nil if nobody else observes

	work  sync.WaitGroup
	ended chan struct{} // closed when the run closes

	mu      sync.Mutex // owns the fields below
	closed  bool
	alarm   *time.Timer
	mail    map[secagg.PartyID]chan struct{} // closed when there may be something new
	changed chan struct{}                    // closed when an attempt is over
	reports []coordinator.Report             // latest ones, without the models
	seen    int                              // reports so far
}

// maxReports is how many reports a run remembers for those who watch it.
const maxReports = 100

func newRun(p plan.Plan, slots chan struct{}, now func() time.Time, log *slog.Logger, next coordinator.Observer) *run {
	return &run{job: p.Job(), plan: p, slots: slots, now: now, log: log.With("job", p.Job()), next: next,
		mail: map[secagg.PartyID]chan struct{}{}, changed: make(chan struct{}), ended: make(chan struct{})}
}

// Now implements coordinator.Host.
func (r *run) Now() time.Time { return r.now() }

// Wake implements coordinator.Host.
func (r *run) Wake(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if r.alarm != nil {
		r.alarm.Stop()
	}
	r.alarm = time.AfterFunc(at.Sub(r.now()), r.tick)
}

func (r *run) tick() {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	r.work.Add(1)
	r.mu.Unlock()
	defer r.work.Done()
	r.engine.Tick()
}

// Work implements coordinator.Host. At most as many pieces of work run at a time
// as the server has workers, over all its runs. A closed run begins none.
func (r *run) Work(_ coordinator.Work, do func() (finish func())) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.work.Go(func() {
		r.slots <- struct{}{}
		finish := do()
		<-r.slots
		finish()
	})
}

// Notify implements coordinator.Host.
func (r *run) Notify(clients []secagg.PartyID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range clients {
		if c, waiting := r.mail[id]; waiting {
			close(c)
			delete(r.mail, id)
		}
	}
}

// awaitMail returns a channel that closes when there may be something new for a
// client. It is asked for before the engine is, so that nothing is missed.
func (r *run) awaitMail(id secagg.PartyID) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, waiting := r.mail[id]
	if !waiting {
		c = make(chan struct{})
		r.mail[id] = c
	}
	return c
}

// Audit implements coordinator.Observer.
func (r *run) Audit(id secagg.RoundID, entry string) {
	r.log.Info("round", "attempt", id.String(), "entry", entry)
	if r.next != nil {
		r.next.Audit(id, entry)
	}
}

// RoundBegan implements coordinator.Observer.
func (r *run) RoundBegan(id secagg.RoundID, invited []secagg.PartyID) {
	if r.next != nil {
		r.next.RoundBegan(id, invited)
	}
}

// RoundOver implements coordinator.Observer. It wakes everybody who waits: a
// client whose attempt failed before it was admitted is not notified by name.
func (r *run) RoundOver(report coordinator.Report, model tensor.Model) {
	if r.next != nil {
		r.next.RoundOver(report, model)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	report.Members, report.Figures = nil, report.Figures.Bounded()
	if len(r.reports) == maxReports {
		r.reports = r.reports[1:]
	}
	r.reports = append(r.reports, report)
	r.seen++
	close(r.changed)
	r.changed = make(chan struct{})
	for id, c := range r.mail {
		close(c)
		delete(r.mail, id)
	}
}

// reportsSince returns the reports that came after the first seen ones, the number
// seen now, and a channel that closes at the next.
func (r *run) reportsSince(seen int) ([]coordinator.Report, int, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := min(r.seen-seen, len(r.reports))
	return append([]coordinator.Report(nil), r.reports[len(r.reports)-fresh:]...), r.seen, r.changed
}

// open loads or begins the run in its store.
func (r *run) open(s *store.Store, cfg coordinator.Config) error {
	cfg.Plan, cfg.Store, cfg.Host, cfg.Observer = r.plan, s, r, r
	e, err := coordinator.Open(cfg)
	r.engine, r.store = e, s
	return err
}

// close ends the host: no more time passes, work under way is finished, and the
// store is closed.
func (r *run) close() error {
	r.mu.Lock()
	if !r.closed {
		close(r.ended)
	}
	r.closed = true
	if r.alarm != nil {
		r.alarm.Stop()
	}
	r.mu.Unlock()
	r.work.Wait()
	return r.store.Close()
}

// members lists the enrolled clients with good certificates; it implements
// coordinator.Registry.
type members struct {
	registry *auth.Registry
	now      func() time.Time
}

// Clients implements coordinator.Registry.
func (m members) Clients() []secagg.PartyID {
	names := m.registry.Enrolled(auth.RoleClient, m.now())
	out := make([]secagg.PartyID, len(names))
	for i, n := range names {
		out[i] = secagg.PartyID(n)
	}
	return out
}

// failure says why nothing goes on in a run, or returns nil.
func (r *run) failure() error {
	if err := r.engine.State().Failed; err != nil {
		return errors.Join(fmt.Errorf("job %s stopped", r.job), err)
	}
	return nil
}
