package coordinator

import (
	"errors"
	"fmt"
	"strings"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// Refusals of the gate.
var (
	ErrGate = fault.New(fault.Aborted, "coordinator/gate", "the new model does not pass the gate", "the model stays as it was; its cost in privacy stays charged")
	// ErrHoldout is a measurement that says nothing.
	ErrHoldout = fault.New(fault.Aborted, "coordinator/holdout", "the holdout cannot measure the model", "correct the coordinator's holdout set")
)

// Holdout measures models on data that the coordinator holds and trusts.
//
// What a gate decides by it is computed from sums that are noised where the plan promises
// privacy, and from the coordinator's own data: it is post-processing, and costs clients
// nothing beyond the attempt itself, whose charge stays. The coordinator's data is not
// protected: measurements of it are in histories.
//
// Evaluate is called without the engine's lock, for one model at a time. It keeps to one
// set of data for the length of a run, and gives the same figures for the same model, so
// that an attempt ends as it would have ended without a crash. It does not keep the model.
type Holdout interface {
	Evaluate(tensor.Model) (Measurement, error)
}

// Measurement is what a holdout says of a model.
type Measurement struct {
	// Recall is, for each class, the share of its examples that were recognised, in [0,1];
	// -1 for a class without examples.
	Recall   []float64 `json:"recall"`
	Accuracy float64   `json:"accuracy"`
	Loss     float64   `json:"loss"`
	// Probe is the share of the backdoor probes that were taken for the trigger's target,
	// in [0,1]; nil without probes.
	Probe *float64 `json:"probe,omitempty"`
}

func (m Measurement) check() error {
	share := func(x float64) bool { return x >= 0 && x <= 1 }
	for c, r := range m.Recall {
		if !share(r) && r != -1 {
			return ErrHoldout.At("recall %v of class %d", r, c)
		}
	}
	switch {
	case len(m.Recall) == 0 || len(m.Recall) > maxClasses:
		return ErrHoldout.At("recall of %d classes, not of 1..%d", len(m.Recall), maxClasses)
	case !share(m.Accuracy):
		return ErrHoldout.At("accuracy %v", m.Accuracy)
	case m.Probe != nil && !share(*m.Probe):
		return ErrHoldout.At("probe rate %v", *m.Probe)
	case figure(m.Loss) == nil:
		return ErrHoldout.At("loss %v", m.Loss)
	}
	return nil
}

// maxClasses keeps a measurement within a line of the history.
const maxClasses = 1000

// checkGate refuses a plan whose gate would be none.
func checkGate(cfg Config) error {
	if cfg.Plan.Screening().Gate() && cfg.Holdout == nil {
		return ErrConfig.At("job %s: the plan's screening needs a holdout set, and the coordinator has none", cfg.Plan.Job())
	}
	return nil
}

// measuredModel is an accepted model and what the holdout said of it.
type measuredModel struct {
	model secagg.Digest
	is    *Measurement
}

func (e *Engine) measure(m tensor.Model) (*Measurement, error) {
	out, err := e.cfg.Holdout.Evaluate(m)
	if err != nil {
		return nil, ErrHoldout.Because(err)
	}
	return &out, out.check()
}

// gate measures a new model, and the one that it would follow, and refuses it where a
// class was forgotten or a trigger learned.
func (e *Engine) gate(res *result, model tensor.Model, h head) (err error) {
	if e.cfg.Holdout == nil {
		return nil
	}
	e.gating.Lock() // an attempt that was given up may still be at work
	defer e.gating.Unlock()
	good := e.good.Load()
	if good == nil || good.model != h.model {
		parent, err := e.loadModel(h)
		if err != nil {
			return err
		}
		before, err := e.measure(parent)
		if err != nil {
			return err
		}
		good = &measuredModel{h.model, before}
		e.good.Store(good)
	}
	if res.measured, err = e.measure(model); err != nil {
		res.measured = nil
		return err
	}
	res.before = good.is
	if len(res.before.Recall) != len(res.measured.Recall) {
		return ErrHoldout.At("recall of %d classes, before of %d", len(res.measured.Recall), len(res.before.Recall))
	}
	err = e.passes(*res.before, *res.measured)
	res.refused = errors.Is(err, ErrGate) // not for a holdout that says nothing
	return err
}

// passes holds a model against the plan's bounds.
func (e *Engine) passes(before, now Measurement) error {
	s := e.cfg.Plan.Screening()
	var why []string
	if class, drop := largestDrop(before, now); s.RecallDrop > 0 && drop > s.RecallDrop {
		why = append(why, fmt.Sprintf("recall of class %d fell from %.4f to %.4f, by more than %g", class, before.Recall[class], now.Recall[class], s.RecallDrop))
	}
	if s.BackdoorRate > 0 && now.Probe == nil {
		return ErrHoldout.At("no probes, where the plan bounds the backdoor rate")
	}
	if s.BackdoorRate > 0 && *now.Probe > s.BackdoorRate {
		why = append(why, fmt.Sprintf("backdoor probe rate %.4f is above %g", *now.Probe, s.BackdoorRate))
	}
	if len(why) == 0 {
		return nil
	}
	return ErrGate.At("gate: %s", strings.Join(why, "; "))
}

// largestDrop returns the class whose recall fell most, and by how much.
func largestDrop(before, now Measurement) (class int, drop float64) {
	for c, r := range now.Recall {
		if before.Recall[c] >= 0 && r >= 0 && before.Recall[c]-r > drop {
			class, drop = c, before.Recall[c]-r
		}
	}
	return class, drop
}

// best is the accepted model, or the one a run began with, of the highest accuracy on the
// holdout, and in which attempt it was released: zero for the first model.
type best struct {
	model          secagg.Digest
	size           int64
	accuracy       float64
	round, attempt uint32
}

// accept notes an accepted model, about to be the head's, where the plan rolls back.
func (h *head) accept(p *result, parent head, rollback int) {
	h.refused = 0
	if rollback == 0 || p.measured == nil {
		h.best = best{}
		return
	}
	if h.best.model == (secagg.Digest{}) {
		h.best = best{parent.model, parent.modelSize, p.before.Accuracy, parent.lastRound, parent.lastAttempt}
	}
	if p.measured.Accuracy >= h.best.accuracy {
		h.best = best{h.model, h.modelSize, p.measured.Accuracy, h.lastRound, h.lastAttempt}
	}
}

// refuse notes a refused attempt, and goes back to the best model after as many in a row
// as the plan says: failures of another kind between them do not count either way. What
// the later models led to, moments, last step and trend, is given up with them. It reports
// whether it went back.
func (h *head) refuse(rollback int) bool {
	h.refused++
	if rollback == 0 || int(h.refused) < rollback || h.best.model == (secagg.Digest{}) || h.best.model == h.model {
		return false
	}
	b := h.best
	h.model, h.modelSize, h.lastRound, h.lastAttempt = b.model, b.size, b.round, b.attempt
	h.optimizer, h.moments, h.step = secagg.Digest{}, "", secagg.Digest{}
	h.refused, h.opposed, h.trend = 0, 0, trend{}
	return true
}
