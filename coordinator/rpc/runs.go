package rpc

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store/file"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// runs is the directory of hosted runs. Each has a directory named after its job,
// with the plan, complete, in plan.yaml and the store in store. A run that is
// being made is in a directory whose name begins with newPrefix until it is whole.
type runs struct {
	s *Server

	starting sync.Mutex // held while a run is made or replaced

	mu  sync.RWMutex // owns the field below
	all map[string]*run
}

const (
	newPrefix = ".new-"
	planFile  = "plan.yaml"
	nextFile  = "next.yaml" // the plan that a run is to go on under
	storeDir  = "store"
)

func (rs *runs) path(elem ...string) string {
	return filepath.Join(append([]string{rs.s.cfg.Dir}, elem...)...)
}

// load opens all runs that there are and removes what was never begun.
func (rs *runs) load() error {
	if err := os.MkdirAll(rs.s.cfg.Dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(rs.s.cfg.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), newPrefix):
			if err := os.RemoveAll(rs.path(e.Name())); err != nil {
				return err
			}
		case e.IsDir() && secagg.PartyID(e.Name()).Valid():
			if err := rs.reopen(e.Name()); err != nil {
				return ErrRun.At("%s", rs.path(e.Name())).Because(err)
			}
		}
	}
	return nil
}

// get finds a run.
func (rs *runs) get(job string) (*run, error) {
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	if r := rs.all[job]; r != nil {
		return r, nil
	}
	return nil, ErrNoRun.At("job %.64q", job)
}

// list returns all runs by job.
func (rs *runs) list() []*run {
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	out := make([]*run, 0, len(rs.all))
	for _, r := range rs.all {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *run) int { return strings.Compare(a.job, b.job) })
	return out
}

// config is what the engine of a plan is made of, beside its store and its host. It
// begins the population's ledger if there is none.
func (rs *runs) config(p plan.Plan) (coordinator.Config, error) {
	c := rs.s.cfg
	var charges coordinator.Ledger
	if c.Ledgers != nil {
		var err error
		if charges, err = c.Ledgers.Of(p); err != nil {
			return coordinator.Config{}, err
		}
	}
	var holdout coordinator.Holdout
	if c.Holdout != nil {
		var err error
		if holdout, err = c.Holdout(p); err != nil {
			return coordinator.Config{}, err
		}
	}
	return coordinator.Config{Ledger: charges, Holdout: holdout, Registry: members{c.Registry, c.Now}, Authority: c.Registry.Authority().PublicKey(), Coins: c.Coins, Workers: c.Workers,
		CheckpointBytes: c.CheckpointBytes}, nil
}

func (rs *runs) newRun(p plan.Plan) *run {
	var next coordinator.Observer
	if rs.s.cfg.Observe != nil {
		next = rs.s.cfg.Observe(p.Job())
	}
	return newRun(p, rs.s.slots, rs.s.cfg.Now, rs.s.log, next)
}

// readPlan loads a plan of a run.
func (rs *runs) readPlan(job, name string) (plan.Plan, error) {
	f, err := os.Open(rs.path(job, name))
	if err != nil {
		return plan.Plan{}, err
	}
	defer func() { _ = f.Close() }() // only read from
	l, err := plan.Parse(f.Name(), f)
	if err != nil {
		return plan.Plan{}, err
	}
	return l.Check(rs.s.cfg.Schemes...)
}

// reopen opens a run that is on the disk under its plan. If a change of plan was
// interrupted, the head of the run says which of the two plans is the run's.
func (rs *runs) reopen(job string) error {
	p, err := rs.readPlan(job, planFile)
	if err != nil {
		return err
	}
	err = rs.open(p, false)
	if errors.Is(err, coordinator.ErrOtherRun) {
		var next error
		if p, next = rs.readPlan(job, nextFile); next != nil {
			return errors.Join(err, next)
		}
		if err = rs.open(p, false); err == nil {
			return rs.adopt(job)
		}
	}
	if err == nil {
		err = os.Remove(rs.path(job, nextFile))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return err
}

// adopt makes the next plan of a run its plan.
func (rs *runs) adopt(job string) error {
	if err := os.Rename(rs.path(job, nextFile), rs.path(job, planFile)); err != nil {
		return err
	}
	return syncDir(rs.path(job))
}

// open opens a run under a plan; to resume is to go on under a plan that changed.
func (rs *runs) open(p plan.Plan, resume bool) error {
	st, err := file.Open(rs.path(p.Job(), storeDir), rs.s.limits.Spool)
	if err != nil {
		return err
	}
	cfg, err := rs.config(p)
	r := rs.newRun(p)
	if err == nil {
		cfg.Resume = resume
		err = r.open(st, cfg)
	}
	if err != nil {
		return errors.Join(err, st.Close())
	}
	rs.mu.Lock()
	rs.all[r.job] = r
	rs.mu.Unlock()
	return nil
}

// create makes a run on the disk, whole or not at all.
func (rs *runs) create(p plan.Plan, initial tensor.Model) (err error) {
	job := p.Job()
	if !initial.Schema().Equal(p.Terms().Tensors) { // before a budget is begun that cannot be taken back
		return coordinator.ErrConfig.At("initial model of job %s has another shape than the plan's", job)
	}
	temp := rs.path(newPrefix + job)
	if err := errors.Join(os.RemoveAll(temp), os.Mkdir(temp, 0o700)); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temp))
		}
	}()
	if err := rs.writePlan(filepath.Join(temp, planFile), p.Literal()); err != nil {
		return err
	}
	st, err := file.Open(filepath.Join(temp, storeDir), rs.s.limits.Spool)
	if err != nil {
		return err
	}
	cfg, err := rs.config(p)
	if err == nil {
		cfg.Initial = initial
		err = rs.newRun(p).open(st, cfg)
	}
	if err := errors.Join(err, st.Close()); err != nil {
		return err
	}
	if err := syncDir(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, rs.path(job)); err != nil {
		return err
	}
	return syncDir(rs.s.cfg.Dir)
}

// writePlan writes a plan durably.
func (rs *runs) writePlan(name string, l plan.Literal) error {
	text, err := l.Format()
	if err != nil {
		return err
	}
	again, err := plan.Parse(planFile, strings.NewReader(text))
	if err != nil {
		return err
	}
	// What will be read back at the next start must be the same plan.
	before, err1 := l.Check(rs.s.cfg.Schemes...)
	after, err2 := again.Check(rs.s.cfg.Schemes...)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if before.Digest() != after.Digest() {
		return fmt.Errorf("plan of job %s does not survive being written", l.Job)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".plan-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already, unless something failed
	_, err = io.WriteString(f, text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// start begins a run, or resumes the one of the same job under this plan.
func (rs *runs) start(p plan.Plan, initial tensor.Model, resume bool) (*run, error) {
	rs.starting.Lock()
	defer rs.starting.Unlock()
	job := p.Job()
	old, err := rs.get(job)
	exists := err == nil
	switch {
	case exists && !resume:
		return nil, ErrRunExists.At("job %s", job)
	case !exists && resume:
		return nil, err
	case !exists && len(rs.list()) >= maxJobs:
		return nil, ErrRuns
	case rs.s.stopped():
		return nil, ErrStopping
	}
	if exists {
		err = rs.replace(old, p)
	} else {
		if _, err := os.Stat(rs.path(job)); !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("directory %s is in the way", rs.path(job)), err)
		}
		if err = rs.create(p, initial); err == nil {
			err = rs.reopen(job)
		}
	}
	if err != nil {
		return nil, err
	}
	r, err := rs.get(job)
	if err != nil {
		return nil, err
	}
	return r, r.engine.Start()
}

// replace closes a run and opens it again under another plan, or, if that fails,
// under its own.
func (rs *runs) replace(old *run, p plan.Plan) error {
	if !p.Terms().Tensors.Equal(old.plan.Terms().Tensors) {
		return coordinator.ErrConfig.At("job %s: the plan's model has another shape than the run's", p.Job())
	}
	if err := rs.writePlan(rs.path(p.Job(), nextFile), p.Literal()); err != nil {
		return err
	}
	if err := old.close(); err != nil {
		return err
	}
	err := rs.open(p, true)
	if err == nil {
		return rs.adopt(p.Job())
	}
	back := rs.reopen(p.Job())
	if back == nil {
		var r *run
		if r, back = rs.get(p.Job()); back == nil {
			back = r.engine.Start()
		}
	}
	return errors.Join(err, back)
}

// close ends all runs.
func (rs *runs) close() error {
	var errs []error
	for _, r := range rs.list() {
		errs = append(errs, r.close())
	}
	return errors.Join(errs...)
}
