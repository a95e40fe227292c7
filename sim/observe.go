package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/sim/model"
	"github.com/choir-fl/choir/tensor"
)

// violate records that an invariant was broken; the run stops. It may be called
// from a worker.
func (s *simulation) violate(format string, args ...any) {
	s.violation.CompareAndSwap(nil, ptr(fmt.Sprintf(format, args...)))
}

// stop ends the run for a reason that is no fault of Choir's. It may be called from a
// worker.
func (s *simulation) stop(err error) { s.stopped.CompareAndSwap(nil, &err) }

// indices are the clients of names.
func (s *simulation) indices(names []string) []int {
	out := make([]int, len(names))
	for i, name := range names {
		out[i] = s.byID[secagg.PartyID(name)].index
	}
	return out
}

// refused records a refusal that no honest party should meet.
func (s *simulation) refused(id secagg.PartyID, err error) {
	s.violate("client %s and the coordinator disagree: %v", id, err)
}

// check holds the invariants that can be read off the engine after every event;
// those on sums are held by the witness, those on rounds by RoundOver.
func (s *simulation) check() {
	if s.engine == nil {
		return
	}
	s.judge()
	st := s.engine.State()
	if st.Failed != nil {
		s.violate("coordinator failed: %v", st.Failed)
	}
	if n := s.completed(); st.Rounds != n {
		s.violate("head is at round %d after %d were reported", st.Rounds, n)
	}
	for i := len(s.rounds) - 1; i >= 0; i-- {
		if r := s.rounds[i]; r.Outcome == Released || r.RolledBack {
			if r.model != st.Model {
				s.violate("published model differs from the head")
			}
			break
		}
	}
}

func (s *simulation) completed() int {
	if i := s.lastRelease(); i >= 0 {
		return s.rounds[i].Round
	}
	return 0
}

func (s *simulation) lastRelease() int {
	for i := len(s.rounds) - 1; i >= 0; i-- {
		if s.rounds[i].Outcome == Released {
			return i
		}
	}
	return -1
}

// RoundBegan implements coordinator.Observer: the invited clients check in, and
// the attempt's faults are drawn.
func (s *simulation) RoundBegan(id secagg.RoundID, invited []secagg.PartyID) {
	if s.plan.Selection() == plan.SelectCheckIn {
		invited = s.Clients()
	}
	rng := s.rng("attempt " + id.String())
	s.attempt = attempt{id: id, drops: map[secagg.PartyID]Point{}, acked: map[secagg.PartyID]bool{}, began: s.stopwatch()}
	cohort := min(len(invited), s.plan.Invited()) // of a cohort drawn by coins, all
	order := rng.Perm(len(invited))
	drops := int(s.faults.Dropout * float64(cohort))
	for i := range drops {
		s.attempt.drops[invited[order[i]]] = s.faults.Points[i%len(s.faults.Points)]
	}
	restarts := int(s.faults.Restart * float64(cohort))
	for i := range restarts {
		d := s.byID[invited[order[(drops+i)%len(order)]]]
		s.world.after(time.Duration(rng.Float64()*float64(s.faults.Span)), func() { s.crashDevice(d) })
	}
	cuts := int(s.faults.Cut * float64(cohort))
	for i := range cuts {
		d := s.byID[invited[order[(drops+restarts+i)%len(order)]]]
		s.world.after(time.Duration(rng.Float64()*float64(s.faults.Span)), func() { d.cut = s.world.now.Add(s.faults.Outage) })
	}
	s.adversaries.began(id, invited)
	if s.crashes < s.faults.Crashes && int(id.Round)*s.faults.Crashes >= s.crashes*s.plan.Rounds() {
		s.world.after(time.Duration(rng.Float64()*float64(s.faults.Span)), s.powerCut)
	}
	for _, m := range s.members {
		s.world.after(arrival(rng, s.devices.Arrival/4), func() { m.checkIn(id) })
	}
	for _, c := range invited {
		d := s.byID[c]
		s.world.after(arrival(rng, s.devices.Arrival), func() { d.checkIn(id) })
	}
}

func arrival(rng *rand.Rand, span time.Duration) time.Duration {
	return time.Duration(rng.Float64() * float64(span))
}

// crashDevice takes a client down and brings it back.
func (s *simulation) crashDevice(d *device) {
	if d.p == nil {
		return
	}
	d.crash()
	life := d.life
	s.world.after(s.faults.Outage, func() {
		if d.life == life {
			d.restart()
		}
	})
}

func (s *simulation) dropPoint(id secagg.PartyID) Point { return s.attempt.drops[id] }

func (s *simulation) dropped(secagg.PartyID) { s.attempt.dropped++ }

func (s *simulation) acknowledged(id secagg.RoundID, c secagg.PartyID) {
	if id == s.attempt.id {
		s.attempt.acked[c] = true
	}
}

func (s *simulation) sealed(spent time.Duration) {
	s.attempt.seals++
	s.attempt.sealNanos += int64(spent)
}

func (s *simulation) traffic(id secagg.RoundID, up, down int64) {
	if n := len(s.rounds); n > 0 && s.rounds[n-1].id == id { // over already
		s.rounds[n-1].up += up
		s.rounds[n-1].down += down
	} else if id == s.attempt.id {
		s.attempt.up += up
		s.attempt.down += down
	}
}

// Audit implements coordinator.Observer.
func (s *simulation) Audit(secagg.RoundID, string) {}

// evaluation is a model's result on the holdout.
type evaluation struct {
	accuracy, loss *float64
	success        *float64 // of the backdoor
	err            error
}

// RoundOver implements coordinator.Observer.
func (s *simulation) RoundOver(r coordinator.Report, m tensor.Model) {
	a := &s.attempt
	out := Round{id: r.ID, Round: int(r.ID.Round), Attempt: int(r.ID.Attempt), Invited: r.Invited, Admitted: r.Admitted,
		Survivors: r.Survivors, Buckets: max(r.Buckets, 1), Short: r.Short, Spoiled: r.Spoiled, Outcome: Failed, Reason: r.Reason, RolledBack: r.RolledBack, Pass: r.Pass, Dropped: a.dropped, model: r.Model,
		admitted: r.Admitted, up: a.up, down: a.down, WallMS: milliseconds(s.stopwatch() - a.began),
		VirtualSeconds: r.Ended.Sub(r.Began).Seconds(), EpsilonReleased: r.Spent.Released, EpsilonCoordinator: r.Spent.Coordinator}
	out.Attackers, out.Idle = s.adversaries.over(r, m) // before anything of the round is forgotten
	if s.detection != nil {
		s.detection.over(r, out.Idle > 0, s.byzantine)
	}
	if r.ClipNorm > 0 {
		out.ClipNorm = ptr(r.ClipNorm)
	}
	for _, c := range r.Culprits {
		out.Culprits = append(out.Culprits, string(c))
	}
	for _, members := range r.Members {
		var names []string
		for _, id := range members {
			names = append(names, string(id))
		}
		out.members, out.byBucket = append(out.members, names...), append(out.byBucket, names)
	}
	words := float64(s.plan.Quantizer().Layout().Len())
	if a.seals > 0 && s.cfg.Stopwatch != nil {
		out.ClientNanos = ptr(float64(a.sealNanos) / float64(a.seals) / words)
	}
	if r.Released && r.Survivors > 0 {
		out.Outcome = Released
		if s.cfg.Stopwatch != nil {
			out.ServerNanos = ptr(float64(a.addNanos+a.openNanos) / float64(r.Survivors) / words)
		}
		if r.Survivors < s.plan.Minimum() {
			s.violate("%s released %d survivors; the minimum is %d", r.ID, r.Survivors, s.plan.Minimum())
		}
		sorted := slices.Clone(out.members)
		slices.Sort(sorted)
		if len(slices.Compact(sorted)) != len(out.members) {
			s.violate("%s counts a client twice", r.ID)
		}
		for id := range a.acked {
			if !slices.Contains(out.members, string(id)) && r.Short+r.Spoiled == 0 && len(s.faults.Committee) == 0 {
				s.violate("%s acknowledged the upload of %s and left it out", r.ID, id)
			}
		}
		if m.Digest() != r.Model {
			s.violate("%s reports another model than it published", r.ID)
		}
		s.trainer.momenta.commit(r.ID.Round, s.indices(out.members))
		if s.cfg.Released != nil {
			s.cfg.Released(r, m)
		}
		if err := s.auditor.score(r, m); err != nil {
			s.violate("%s cannot be audited: %v", r.ID, err)
		}
	}
	if s.witness.forget(r.ID) || out.Outcome == Released {
		s.exposed = append(s.exposed, r.ID)
	}
	done := make(chan evaluation, 1)
	if out.Outcome == Released {
		net := s.net.Clone()
		go func() {
			s.world.slots <- struct{}{}
			defer func() { <-s.world.slots }()
			done <- evaluate(net, m, s)
		}()
	} else {
		done <- evaluation{}
	}
	s.rounds = append(s.rounds, out)
	s.evals = append(s.evals, done)
	s.settleEvaluations(2)
}

func evaluate(net *model.Net, m tensor.Model, s *simulation) evaluation {
	var out evaluation
	if s.cfg.Test.Len() > 0 {
		e, err := net.Evaluate(m.Values(), s.cfg.Test)
		out.accuracy, out.loss, out.err = ptr(e.Accuracy()), ptr(e.Loss()), err
	}
	if s.probe != nil && out.err == nil {
		e, err := net.Evaluate(m.Values(), *s.probe)
		out.success, out.err = ptr(e.Accuracy()), err
	}
	return out
}

// settleEvaluations waits for all but the latest few evaluations and reports
// their rounds as progress, in order.
func (s *simulation) settleEvaluations(leave int) {
	for i := range s.evals {
		if i >= len(s.evals)-leave {
			return
		}
		if s.evals[i] == nil {
			continue
		}
		e := <-s.evals[i]
		s.evals[i] = nil
		r := &s.rounds[i]
		if e.err != nil {
			s.violate("model of round %d cannot be evaluated: %v", r.Round, e.err)
		}
		r.TestAccuracy, r.TestLoss, r.AttackSuccess = e.accuracy, e.loss, e.success
		r.settle()
		if s.cfg.Progress != nil {
			s.cfg.Progress(*r)
		}
	}
}

// stopwatch returns the real time spent so far, for measurements only.
func (s *simulation) stopwatch() time.Duration {
	if s.cfg.Stopwatch == nil {
		return 0
	}
	return s.cfg.Stopwatch()
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func ptr[T any](v T) *T { return &v }
