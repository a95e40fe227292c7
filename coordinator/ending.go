package coordinator

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// commit makes the opened result the head of the run.
func (e *Engine) commit() {
	r := e.pending
	next := e.head
	next.rounds++
	next.next(next.round+1, 1)
	next.model, next.modelSize, next.optimizer, next.moments = r.model, r.modelSize, r.optimizer, r.moments
	next.ledger, next.lastRound, next.lastAttempt = e.cfg.Ledger.Head(), e.set.ID.Round, e.set.ID.Attempt
	next.clipNorm = r.clipNorm
	next.step, next.reputation = r.step, r.reputation
	moved := e.moves(e.head)
	if moved {
		next.accept(r, e.head, e.cfg.Plan.Screening().Rollback)
	}
	next.opposed = e.turned(r)
	if r.measured != nil {
		next.trend, _, _ = e.followed(r.measured)
	}
	next.fallback, next.leftOut = false, nil
	if ev := r.evaluation; ev != nil && moved { // between passes the same model is measured
		if ev.Loss < next.bestLoss {
			next.bestLoss, next.waited = ev.Loss, 0
		} else {
			next.waited++
		}
		stop := e.cfg.Plan.Stop()
		switch {
		case stop.Accuracy > 0 && ev.Accuracy >= stop.Accuracy:
			next.status, next.reason = Finished, fmt.Sprintf("federated accuracy %.4f reached", ev.Accuracy)
		case stop.Patience > 0 && int(next.waited) >= stop.Patience:
			next.status, next.reason = Finished, fmt.Sprintf("no lower federated loss in %d rounds", next.waited)
		}
	}
	if e.fail(e.forgetNoise(&next)) {
		return
	}
	r.segment = e.segment()
	fx, err := e.machine.Step(round.Committed{At: e.now()}) // its effects come after the swap
	if e.fail(err) {
		return
	}
	next.absent = fx.Outcome.Absent
	r.report = e.report(fx.Outcome, next)
	next.ended, err = r.report.line()
	if e.fail(err) || e.fail(e.participated(e.counted())) || e.fail(e.swap(next)) {
		return
	}
	if r.measured != nil {
		e.good.Store(&measuredModel{r.model, r.measured})
	}
	e.perform(fx)
}

// over cleans up after an attempt and begins the next.
func (e *Engine) over(fx round.Effects) {
	out := fx.Outcome
	if e.fail(e.conclude(fx.Charge)) {
		return
	}
	e.last = lastAttempt{id: e.set.ID, survivors: map[secagg.PartyID]bool{}, reason: out.Reason}
	if out.Released {
		for b, members := range out.Survivors {
			for _, id := range members {
				e.last.survivors[id] = !slices.Contains(out.Spoiled, b)
			}
		}
	}
	segment := e.segment()
	var r Report
	if out.Released {
		segment, r = e.pending.segment, e.pending.report
	} else {
		var err error
		next := e.head
		next.next(next.round, next.attempt+1)
		e.learn(&next, out)
		back := e.pending != nil && e.pending.refused && next.refuse(e.cfg.Plan.Screening().Rollback)
		if back {
			e.afresh(&next)
		}
		r = e.report(out, next)
		if r.RolledBack = back; back {
			r.Alerts = append(r.Alerts, Alert{Name: AlertRollback, What: "the run went back to its best model, " + next.model.String()})
		}
		next.ledger = e.cfg.Ledger.Head()
		if e.exhausted != "" {
			next.status, next.reason = BudgetExhausted, e.exhausted
			if e.fail(e.forgetNoise(&next)) {
				return
			}
		}
		next.ended, err = r.line()
		if e.fail(err) || e.fail(e.swap(next)) {
			return
		}
	}
	e.taken.add(e.set.ID, e.noted)
	if blob, members := e.machine.Checkpointed(); len(members) > 0 {
		e.fail(e.cfg.Store.Blobs.Delete(store.Digest(blob)))
	}
	e.announce(r)
	e.fail(e.cfg.Store.Journal.Drop(segment))
	e.dropSpool()
	if e.fail(e.attempt()) {
		return
	}
}

// learn notes what the round's next attempt makes of a failed one: members of the
// committee that ended it are left out, though never so many that fewer than a
// quorum are left, and a spoiled sum is tried again in buckets where the plan says so.
func (e *Engine) learn(h *head, out *round.Outcome) {
	terms := e.cfg.Plan.Terms()
	h.absent = slices.Clone(out.Absent)
	h.fallback = h.fallback || out.SumSpoiled && terms.Fallback
	for _, id := range out.Culprits {
		name, decryptor := secagg.DecryptorID(id)
		if !decryptor || terms.Committee.Index(name) < 0 {
			continue
		}
		if !slices.Contains(h.absent, id) { // it may be gone, and is not waited for long
			h.absent = append(h.absent, id)
		}
		if !slices.Contains(h.leftOut, id) {
			h.leftOut = append(slices.Clone(h.leftOut), id)
		}
	}
	if most := terms.Committee.Len() - terms.Committee.Quorum(); len(h.leftOut) > most {
		h.leftOut = h.leftOut[len(h.leftOut)-most:]
	}
}

// dropSpool deletes every spooled upload: none belongs to a later attempt.
func (e *Engine) dropSpool() {
	parts, err := e.cfg.Store.Spool.List()
	if e.fail(err) {
		return
	}
	for _, p := range parts {
		e.fail(e.cfg.Store.Spool.Delete(p.ID))
	}
}

// turned is in how many rounds in a row, with the one at hand, the aggregate turned
// against the one before it. Of several passes at a step the first alone counts, which is held
// against the step before: the others go over the same updates again.
func (e *Engine) turned(r *result) uint32 {
	if pass, _ := e.pass(e.head); pass > 1 {
		return e.head.opposed
	}
	if !e.opposed(r.figures) {
		return 0
	}
	return e.head.opposed + 1
}

// followed holds a measurement against the trend.
func (e *Engine) followed(m *Measurement) (next trend, drop, cusum float64) {
	return e.head.trend.follow(*m, cmp.Or(e.cfg.Plan.Screening().Alerts.Cusum, defaultCusum))
}

// report sums up an attempt that ended with next as the head.
func (e *Engine) report(out *round.Outcome, next head) Report {
	r := Report{ID: e.set.ID, Began: time.Unix(0, int64(e.set.Began)), Ended: e.cfg.Host.Now(), Invited: e.invitations(),
		Admitted: e.machine.Admitted(), Buckets: len(out.Survivors), Released: out.Released, Reason: out.Reason, Culprits: slices.Clone(out.Culprits),
		ClipNorm: e.set.ClipNorm, Spent: e.spent(),
		Members: slices.Clone(out.Survivors), Spoiled: len(out.Spoiled), UploadBytes: e.bytes, Parent: e.set.Model, Model: next.model,
		Quarantined: len(e.quarantined()), Trend: next.trend.shown()}
	if pass, of := e.pass(e.head); of > 1 {
		r.Pass = pass
	}
	for b, members := range out.Survivors {
		switch {
		case slices.Contains(out.Spoiled, b):
			r.Members[b] = nil // nothing of theirs was used
		case len(members) == 0:
			r.Short++
		}
		r.Survivors += len(r.Members[b])
	}
	for _, id := range out.Liars {
		if !slices.Contains(r.Culprits, id) {
			r.Culprits = append(r.Culprits, id)
		}
	}
	if p := e.pending; p != nil {
		r.Figures, r.Holdout, r.Alerts = p.figures, p.measured, e.alerts(p, int(e.turned(p)))
		if p.refused {
			r.Alerts = append(r.Alerts, Alert{Name: AlertGate, What: out.Reason})
		}
	}
	if 0 < r.Short && r.Short < r.Buckets { // where none was opened, the reason says why
		r.Alerts = append(r.Alerts, Alert{Name: AlertShort, What: fmt.Sprintf("%d of %d buckets had fewer clients than are opened", r.Short, r.Buckets), Value: float64(r.Short)})
	}
	if p := e.pending; out.Released && p != nil {
		r.Weight, r.UpdateNorm, r.Evaluation, r.Clipped = p.weight, p.norm, p.evaluation, p.clipped
	}
	return r
}

// announce tells the observer how an attempt ended. What it superseded is swept away
// before the next.
func (e *Engine) announce(r Report) {
	var model tensor.Model
	if p := e.pending; r.Released {
		model = p.values
	}
	e.fail(e.cfg.Store.Journal.Append(historySegment, []byte(e.head.ended)))
	e.alerted = r.Alerts
	e.cfg.Observer.RoundOver(r, model)
	e.pending = nil
}
