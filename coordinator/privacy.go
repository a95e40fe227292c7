package coordinator

import (
	"errors"
	"fmt"
	"math"

	"github.com/choir-fl/choir/coordinator/cohort"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/secagg/plain"
)

// ErrPopulation is a registry that is not the one a plan's privacy was computed for.
var ErrPopulation = fault.New(fault.Refused, "coordinator/population", "the clients that may be drawn are not as many as the plan's privacy was computed for", "state cohort.population and scheme.dropout as they are, and resume the run under the new plan")

// draw decides who may come to an attempt: nil under selection check-in, which is
// anybody.
func (e *Engine) draw(id secagg.RoundID) ([]secagg.PartyID, error) {
	seed := field.Derive(e.head.seed, "cohort "+id.String())
	p := e.cfg.Plan
	switch p.Selection() {
	case plan.SelectUniform:
		return cohort.Uniform(seed, e.eligible(e.enrolled(), id.Round), p.Invited()), nil
	case plan.SelectPoisson:
		enrolled := e.enrolled()
		most := p.Literal().Cohort.Population
		if len(enrolled) > most {
			return nil, ErrPopulation.At("%d are enrolled, of at most %d", len(enrolled), most)
		}
		// With fewer, attempts that one client's coin decides would be likelier than what
		// the plan charges delta for them.
		least := int(float64(most) * (1 - p.Literal().Scheme.Dropout))
		if len(enrolled) < least {
			return nil, ErrPopulation.At("%d are enrolled, of at least %d", len(enrolled), least)
		}
		// Coins are tossed for everybody, so that nobody's depends on who else is eligible.
		drawn := e.eligible(cohort.Poisson(seed, enrolled, p.Guarantee().Noise().Rate), id.Round)
		if len(drawn) > p.Invited() { // as unlikely as delta allows for
			drawn = cohort.Uniform(field.Derive(e.head.seed, "capacity "+id.String()), drawn, p.Invited())
		}
		return drawn, nil
	}
	return nil, nil
}

// invite admits those that were drawn, and nobody else, to the attempt under way.
func (e *Engine) invite(drawn []secagg.PartyID) {
	e.drawn, e.invited = drawn, nil
	switch e.cfg.Plan.Selection() {
	case plan.SelectCheckIn:
		return
	case plan.SelectPoisson:
		e.set.Expected = max(1, len(drawn))
	default:
		if len(drawn) >= e.cfg.Plan.Minimum() { // of fewer than were wanted, nobody else may come
			e.set.Expected = len(drawn)
		}
	}
	e.invited = map[secagg.PartyID]bool{}
	for _, id := range drawn {
		e.invited[id] = true
	}
}

// eligible lists those of some clients that may take part in a round.
func (e *Engine) eligible(clients []secagg.PartyID, number uint32) []secagg.PartyID {
	var out []secagg.PartyID
	for _, id := range clients {
		if e.mayTakePart(id, number) {
			out = append(out, id)
		}
	}
	return out
}

// participations says in how many charged attempts each client's update was, and in
// which round last.
type participations map[secagg.PartyID]participation

type participation struct {
	count int
	last  uint32
}

// mayTakePart holds a client against the plan's cap and separation.
func (e *Engine) mayTakePart(id secagg.PartyID, number uint32) bool {
	n, had := e.cfg.Plan.Guarantee().Noise(), e.taken[id]
	return (n.Participations == 0 || had.count < n.Participations) &&
		(had.count == 0 || int64(number)-int64(had.last) >= int64(n.Separation))
}

// participationSegment is the journal of who took part in which attempt.
const participationSegment = "participations"

// limited reports whether the plan limits participation.
func (e *Engine) limited() bool {
	n := e.cfg.Plan.Guarantee().Noise()
	return n.Participations > 0 || n.Separation > 1
}

// charge reserves the cost of the attempt under way, whose admission has closed. It
// reports false if the attempt does not go on.
func (e *Engine) charge() bool {
	id := e.set.ID
	if !e.resuming && e.cfg.Ledger.Has(id) {
		return !e.fail(ErrOlder.At("attempt %s", id))
	}
	// Until its end everybody counts: that may never be noted, because a crash comes
	// before and the run goes on under another plan.
	if e.fail(e.participated(e.admitted())) {
		return false
	}
	err := e.cfg.Ledger.Reserve(id)
	switch fault.ClassOf(err) {
	case fault.Refused, fault.Exhausted:
		e.exhausted = err.Error()
		e.fail(e.step(round.Abort{At: e.now(), Reason: err.Error()}))
		return false
	}
	return !e.fail(err) // what was reserved is unknown: a restart finds out
}

// conclude tells the ledger how the attempt under way ended, and notes who took part in
// it.
func (e *Engine) conclude(c round.Charge) error {
	switch {
	case c == round.ChargeSettle:
		return e.cfg.Ledger.Settle(e.set.ID, e.head.model)
	case c == round.ChargeVoid && !e.exposed():
		return errors.Join(e.cfg.Ledger.Void(e.set.ID), e.participated(nil))
	}
	return e.participated(e.counted())
}

// exposed reports whether the coordinator sees contributions as they come, each with all
// of its noise: then an attempt costs what it costs though nothing is ever summed.
func (e *Engine) exposed() bool {
	t := e.cfg.Plan.Terms()
	return t.Privacy == secagg.PrivacyLocal && t.Scheme == plain.Name
}

// admitted are the clients of the attempt under way; nobody before admission closed.
func (e *Engine) admitted() (ids []secagg.PartyID) {
	s, _ := e.machine.Session()
	for i := range s.Roster.Len() {
		ids = append(ids, s.Roster.At(i).ID)
	}
	return ids
}

// counted are those of them whose updates are in it.
func (e *Engine) counted() (ids []secagg.PartyID) {
	for i, id := range e.admitted() {
		if e.machine.Frame(i) != nil || e.exposed() {
			ids = append(ids, id)
		}
	}
	return ids
}

// participated notes, durably, who takes part in the attempt under way. What was noted
// of it before does not count any more.
func (e *Engine) participated(members []secagg.PartyID) error {
	if _, closed := e.machine.Session(); !closed || !e.limited() {
		return nil
	}
	var r secagg.Encoder
	r.Uint(1, 1)
	r.Bytes(2, e.set.ID.Encode())
	r.List(3, addresses(members))
	if err := e.cfg.Store.Journal.Append(participationSegment, r.Encoded()); err != nil {
		return err
	}
	e.noted = members
	return nil
}

func (p participations) add(id secagg.RoundID, members []secagg.PartyID) {
	for _, m := range members {
		p[m] = participation{p[m].count + 1, max(p[m].last, id.Round)}
	}
}

// loadParticipations reads who took part so far. An attempt that is there twice, because
// of a crash, counts once, as it is there last.
func (e *Engine) loadParticipations() error {
	e.taken = participations{}
	latest := map[secagg.RoundID][]secagg.PartyID{}
	err := e.cfg.Store.Journal.Read(participationSegment, func(record []byte) error {
		d := secagg.NewDecoder(record)
		v, id, members := d.Uint(1), d.Bytes(2), d.List(3, secagg.MaxRoster)
		if err := d.Close(); err != nil {
			return err
		}
		round, err := secagg.DecodeRoundID(id)
		if err == nil && v != 1 {
			err = fmt.Errorf("participations of version %d", v)
		}
		latest[round] = partyIDs(members)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	for id, members := range latest {
		// The attempt under way counts when it has ended.
		if id.Round != e.head.round || id.Attempt != e.head.attempt {
			e.taken.add(id, members)
		}
	}
	return err
}

// firstClipNorm is the clip norm of a run's first round; zero without noise.
func (e *Engine) firstClipNorm() float64 {
	if !e.cfg.Plan.Guarantee().Stated() {
		return 0
	}
	return e.cfg.Plan.Terms().Encoding.ClipNorm
}

// reconcile refuses a ledger that was put back, and tells it of a release that a crash
// kept from it.
func (e *Engine) reconcile() error {
	if err := e.cfg.Ledger.NotOlder(e.head.ledger); err != nil {
		return err
	}
	if e.head.lastRound == 0 {
		return nil
	}
	id := secagg.RoundID{Job: e.cfg.Plan.Job(), Round: e.head.lastRound, Attempt: e.head.lastAttempt}
	return e.cfg.Ledger.Settle(id, e.head.model)
}

// spent is what the attempts charged so far cost a client.
func (e *Engine) spent() Spent {
	g := e.cfg.Plan.Guarantee()
	if !g.Stated() {
		return Spent{}
	}
	delta := g.Noise().Delta
	return Spent{Released: e.epsilon(dp.ObserverReleases), Coordinator: e.epsilon(dp.ObserverCoordinator), Delta: &delta}
}

// epsilon is nil where there is no bound, which is no promise.
func (e *Engine) epsilon(o dp.Observer) *float64 {
	v, ok := e.cfg.Ledger.Spent(o)
	if !ok || math.IsInf(v, 1) {
		return nil
	}
	return &v
}

// awaits reports whether a client may come to the attempt under way.
func (e *Engine) awaits(id secagg.PartyID) bool {
	return (e.invited == nil || e.invited[id]) && e.mayTakePart(id, e.set.ID.Round) && !e.quarantined()[id]
}

// invitations is how many clients were invited to the attempt under way.
// Where anybody may come, it is how many may.
func (e *Engine) invitations() int {
	if e.cfg.Plan.Selection() == plan.SelectCheckIn {
		return e.cfg.Plan.Invited()
	}
	return len(e.drawn)
}
