package sim

import (
	"math"
	"slices"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/sim/adversary"
	"github.com/choir-fl/choir/tensor"
)

// Adversary makes some of the clients Byzantine: they collude.
//
// What they send in place of their updates is not clipped. It goes through the encoding,
// whose range alone binds them, and the real scheme, and it carries no share of noise. What
// an attacker trains on poisoned data, and sends as it is, goes the way of honest updates.
type Adversary struct {
	// Attack is what they do; the zero value is none.
	Attack adversary.Attack
	// Byzantine is their share of all clients, in [0,0.5), rounded to the nearest number:
	// those with the lowest places in an order drawn from the seed.
	Byzantine float64
}

// attacks is false for attack none.
func (a Adversary) attacks() bool { return a.Attack.Name() != adversary.Attack{}.Name() }

// adversaries are the Byzantine clients of a run. Nil for none.
type adversaries struct {
	sim       *simulation
	attack    adversary.Attack
	attackers map[int]*attacker // by client
	updates   *updates          // of the round under way; nil before its first attempt
	battle    *battle           // of the attempt under way; nil between attempts
	model     []float32         // of the round under way
	step      []float32         // the latest that moved the model; nil before there is one
	memory    adversary.Memory
}

// prepareAdversary chooses the Byzantine clients, and poisons their data.
func (s *simulation) prepareAdversary() error {
	a := s.cfg.Adversary
	if !(a.Byzantine >= 0 && a.Byzantine < 0.5) { // NaN fails
		return ErrConfig.At("Byzantine share %v is not in [0,0.5)", a.Byzantine)
	}
	n := len(s.clients)
	count := int(math.Round(a.Byzantine * float64(n)))
	switch {
	case a.Byzantine > 0 && count == 0:
		return ErrConfig.At("Byzantine share %v is no client of %d", a.Byzantine, n)
	case 2*count >= n && count > 0:
		return ErrConfig.At("%d Byzantine clients of %d", count, n)
	case a.attacks() && s.cfg.Audit.Canaries > 0:
		return ErrConfig.At("attack %s in a run that is audited", a.Attack)
	}
	if err := s.checkCheat(a.Attack.Cheat()); err != nil {
		return err
	}
	if s.cfg.Test.Len() > 0 {
		if probe, ok := a.Attack.Probe(s.cfg.Test); ok {
			s.probe = &probe
		}
	}
	if count == 0 {
		return nil
	}
	s.witness.cheats = cheatsInSums(a.Attack)
	if a.attacks() {
		s.detection = new(detection)
	}
	s.adversaries = &adversaries{sim: s, attack: a.Attack, attackers: map[int]*attacker{}, model: slices.Clone(s.initial.Values())}
	s.trainer.clients = slices.Clone(s.clients)
	for index, place := range s.rng("byzantine").Perm(n) {
		if place >= count {
			continue
		}
		s.adversaries.attackers[index] = &attacker{adversaries: s.adversaries, index: index, place: place, parties: map[secagg.RoundID]*byzantineParty{}}
		var err error
		if s.trainer.clients[index], err = a.Attack.Data(place, s.clients[index], s.cfg.Seed); err != nil {
			return ErrConfig.At("attack %s on the data of client %d", a.Attack, index).Because(err)
		}
	}
	return nil
}

// attacker is the Byzantine client of a device, nil if it is honest.
func (a *adversaries) attacker(index int) *attacker {
	if a == nil {
		return nil
	}
	return a.attackers[index]
}

// arm puts a Byzantine client's own schemes in the place of the honest ones.
func (a *adversaries) arm(d *device) {
	if at := a.attacker(d.index); at != nil {
		schemes := make([]secagg.ClientScheme, len(d.policy.Schemes))
		for i, scheme := range d.policy.Schemes {
			schemes[i] = byzantineScheme{scheme.(Scheme), at}
		}
		d.policy.Schemes = schemes
	}
}

// began takes notice of an attempt: what earlier attempts at the same round trained is
// kept of those who are invited again.
func (a *adversaries) began(id secagg.RoundID, invited []secagg.PartyID) {
	if a == nil {
		return
	}
	a.battle = &battle{adversaries: a, id: id}
	again := map[int]bool{}
	if a.sim.plan.Selection() != plan.SelectCheckIn { // else nobody knows who will be in it
		for _, c := range invited {
			again[a.sim.byID[c].index] = true
		}
	}
	if a.updates != nil {
		a.updates.keep(func(index int) bool { return again[index] })
	}
	for index, at := range a.attackers {
		at.forget()
		if a.attack.Cheat() == adversary.CheatDropoutAfterMasking {
			a.sim.attempt.drops[a.sim.parties[index].id] = at.dropPoint()
		}
	}
}

// over takes notice of the end of an attempt, and returns how many attackers it had and
// how many of them found nothing to do.
func (a *adversaries) over(r coordinator.Report, m tensor.Model) (attackers, idle int) {
	if a == nil || a.battle == nil {
		return 0, 0
	}
	// Whether attackers that nobody waited for got so far depends on the machine: let them.
	if a.battle.asked {
		a.battle.once.Do(a.battle.craft)
	}
	attackers = len(a.battle.bad)
	if a.battle.idle {
		idle = attackers
	}
	a.battle = nil
	if r.Released {
		a.updates = nil
	}
	if r.Released && (r.Pass == 0 || r.Pass == a.sim.plan.Passes()) { // other passes add nothing
		a.step = make([]float32, len(a.model))
		for i, v := range m.Values() {
			a.step[i] = v - a.model[i]
		}
		a.model = slices.Clone(m.Values())
	}
	return attackers, idle
}

// training returns what a device is to do for its task on a worker: to train, or to attack.
func (s *simulation) training(d *device, task secagg.Task) func(global tensor.Model) (client.Update, error) {
	a := s.adversaries
	if a == nil || a.battle == nil || a.battle.id != task.Round { // of an attempt that is over nobody takes it
		return func(global tensor.Model) (client.Update, error) { return s.trainer.train(d.index, global, task) }
	}
	if !a.updates.holds(task) {
		a.updates = &updates{round: task.Round.Round, model: task.Model, entries: map[int]*trained{}}
	}
	known, battle, at := a.updates, a.battle, a.attacker(d.index)
	if at != nil {
		battle.prepare(at, task, known)
	}
	return func(global tensor.Model) (client.Update, error) {
		own, err := known.of(d.index, func() (client.Update, error) { return s.trainer.train(d.index, global, task) })
		if at == nil || err != nil {
			return own, err
		}
		return battle.attack(at, global, own)
	}
}
