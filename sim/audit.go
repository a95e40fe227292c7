package sim

import (
	"errors"
	"math"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/sim/audit"
	"github.com/choir-fl/choir/tensor"
)

// ErrAudit is a claim that the audit of a run refutes.
var ErrAudit = fault.New(fault.Refused, "sim/audit", "what the run released tells more than the epsilon that is claimed for it", "the privacy statement is wrong: do not publish the model")

// Audit asks for canaries among the clients: each is in or out by a fair coin, and sends
// a direction of its own as its update, or zero. How well the released models tell one
// from the other bounds the run's epsilon from below.
type Audit struct {
	Canaries   int     // of the clients, at least sixteen; 0 for no audit
	Confidence float64 // in (0,1); default 0.95
}

// Audited is what the audit of a run found.
type Audited struct {
	// Released is for those who see released models, Coordinator for those who know who
	// took part; each beside its claim.
	Released    audit.Report `json:"released"`
	Coordinator audit.Report `json:"coordinator"`
	// Gaussian says that the run is Gaussian noise on sums that nobody sampled, of all
	// clients in each round, so that EpsilonFDP is a bound of it too.
	Gaussian bool `json:"gaussian"`
}

// unclaimedDelta is the delta of bounds for a run that claims nothing.
const unclaimedDelta = 1e-5

// auditor follows the canaries of a run. Nil audits nothing.
type auditor struct {
	confidence float64
	// The same canaries, as those see them who do not know who took part, and who do.
	released, rosters *audit.Canaries
	parent            []float32
	clients           int // of the run
	byName            map[string]int
}

func (s *simulation) prepareAudit() error {
	a := s.cfg.Audit
	if a.Canaries == 0 {
		return nil
	}
	preset(&a.Confidence, 0.95)
	if len(audit.Grid(a.Canaries)) == 0 || a.Canaries > len(s.clients) || !(a.Confidence > 0 && a.Confidence < 1) {
		return ErrConfig.At("%d canaries among %d clients, confidence %v", a.Canaries, len(s.clients), a.Confidence)
	}
	out := &auditor{confidence: a.Confidence, clients: len(s.clients), parent: append([]float32(nil), s.initial.Values()...), byName: map[string]int{}}
	var err error
	for _, c := range []**audit.Canaries{&out.released, &out.rosters} {
		if *c, err = audit.NewCanaries(field.Derive(s.root, "audit"), a.Canaries, s.initial.Schema().Total()); err != nil {
			return ErrConfig.Because(err)
		}
	}
	for i := range a.Canaries {
		out.byName[clientName(i)] = i
	}
	s.auditor = out
	s.trainer.audited = func(index int, global tensor.Model, task secagg.Task) (client.Update, error) {
		if index >= a.Canaries {
			return s.trainer.client(index, global, task)
		}
		values := make([]float32, len(global.Values()))
		if err := out.released.Update(index, values, clipNorm(task)); err != nil {
			return client.Update{}, err
		}
		for i, g := range global.Values() {
			values[i] += g
		}
		m, err := tensor.NewModel(global.Schema(), values)
		return client.Update{Model: m, Examples: max(1, task.Terms.Training.WeightCap)}, err
	}
	return nil
}

func clipNorm(task secagg.Task) float64 {
	if task.ClipNorm > 0 {
		return task.ClipNorm
	}
	return task.Terms.Encoding.ClipNorm
}

// score adds what one released model tells: the step from the one before.
func (a *auditor) score(r coordinator.Report, m tensor.Model) error {
	if a == nil {
		return nil
	}
	step := make([]float32, len(a.parent))
	for i, v := range m.Values() {
		step[i] = v - a.parent[i]
	}
	copy(a.parent, m.Values())
	asked := []int{}
	for _, members := range r.Members {
		for _, id := range members {
			if i, ok := a.byName[string(id)]; ok {
				asked = append(asked, i)
			}
		}
	}
	if err := a.released.Score(step, nil); err != nil {
		return err
	}
	return a.rosters.Score(step, asked)
}

// report sets what was found beside what is claimed, unless something failed before.
func (a *auditor) report(p plan.Plan, f Final, failed error) (*Audited, error) {
	if a == nil || failed != nil {
		return nil, failed
	}
	delta := unclaimedDelta
	if f.Delta != nil {
		delta = *f.Delta
	}
	out := Audited{Gaussian: p.Selection() != plan.SelectPoisson && a.clients == p.CohortSize()}
	var refuted error
	for _, x := range []struct {
		to       *audit.Report
		canaries *audit.Canaries
		claimed  *float64
	}{{&out.Released, a.released, f.EpsilonReleased}, {&out.Coordinator, a.rosters, f.EpsilonCoordinator}} {
		claimed := math.Inf(1)
		if x.claimed != nil {
			claimed = *x.claimed
		}
		scores, err := x.canaries.Scores()
		if err != nil {
			return nil, err
		}
		if *x.to, err = audit.NewReport(scores, claimed, delta, a.confidence); err != nil {
			return nil, err
		}
		if x.to.Refuted(out.Gaussian) {
			least := x.to.EpsilonOneRun
			if out.Gaussian {
				least = max(least, x.to.EpsilonFDP)
			}
			refuted = errors.Join(refuted, ErrAudit.At("at least %.3g, claimed %.3g", least, claimed))
		}
	}
	return &out, refuted
}
