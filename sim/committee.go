package sim

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/decryptor"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

// DefaultCommittee is the number of virtual decryptors under a plan that names none.
const DefaultCommittee = 5

// FillCommittee puts virtual members in place of a plan's committee: as many as it
// names, DefaultCommittee if none, with keys from the seed. Under a scheme without
// decryptors the plan stays as it is.
func FillCommittee(l *plan.Literal, schemes []Scheme, seed uint64) error {
	i := slices.IndexFunc(schemes, func(s Scheme) bool { return s.Name() == l.Scheme.Name })
	if i < 0 || !slices.Contains(schemes[i].Roles(), secagg.RoleDecryptor) {
		return nil
	}
	size := len(l.Scheme.Committee.Members)
	if size == 0 {
		size = DefaultCommittee
	}
	corrupt := l.Scheme.Committee.Corrupt
	if corrupt == 0 {
		corrupt = (size - 1) / 3
	}
	root := rootOf(seed)
	members := make([]secagg.Decryptor, size)
	for j := range members {
		members[j] = secagg.Join(memberKey(root, j), committeeName, memberID(j))
	}
	c, err := secagg.NewCommittee(committeeName, members, corrupt)
	if err != nil {
		return err
	}
	l.Scheme.CommitteeFile, l.Scheme.Committee = "", plan.CommitteeOf(c)
	return nil
}

const committeeName = "virtual"

func memberID(j int) secagg.PartyID { return secagg.PartyID(fmt.Sprintf("decryptor-%02d", j)) }

func memberKey(root [32]byte, j int) ed25519.PrivateKey {
	seed := field.Derive(root, "decryptor "+string(memberID(j)))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Modelled time in which a committee member opens one letter.
const letterTime = 100 * time.Microsecond

// letterPause is how long a member lets letters gather before it fetches them.
const letterPause = 200 * time.Millisecond

// member is one virtual decryptor: the real participant on a modelled machine. Its
// fields belong to the event loop, as a device's do.
type member struct {
	sim     *simulation
	index   int
	address secagg.PartyID
	policy  decryptor.Policy
	rng     *rand.Rand

	p        *decryptor.Participant
	life     int // counts crashes and attempts; events of an earlier life are void
	round    secagg.RoundID
	after    uint32
	busy     bool
	queue    []func()
	letters  bool // are asked for, from the one numbered from on
	from     int
	fetching bool
	outbox   []client.Message // the first is under way
	// restarted is the latest attempt in which a fault made it restart.
	restarted secagg.RoundID

	record []byte // what survives a crash
}

func (s *simulation) prepareCommittee() error {
	c := s.plan.Terms().Committee
	scheme, ok := s.committeeScheme()
	if c.Len() > 0 && !ok {
		return ErrConfig.At("scheme %q has a committee that this simulator cannot play", s.plan.Scheme().Name())
	}
	for j := range c.Len() {
		m := &member{sim: s, index: j, address: c.At(j).Address(), rng: s.rng("decryptor " + string(c.At(j).ID))}
		seed := field.Derive(s.root, "epoch of "+string(c.At(j).ID))
		m.policy = decryptor.Policy{Committee: c, Name: c.At(j).ID, Authority: s.authority.Public().(ed25519.PublicKey), Roster: s.readRoster,
			Keys:    secagg.DecryptorKeys{Sign: memberKey(s.root, j), Epochs: []secagg.EpochSeed{{Number: 1, Seed: seed}}},
			Schemes: []secagg.CommitteeScheme{scheme}, Limits: decryptor.Limits{Jobs: []string{s.plan.Job()}, Minimum: 1, BucketMinimum: 1, Exact: true}}
		s.members = append(s.members, m)
		s.byAddress[m.address] = m
	}
	return nil
}

// committeeScheme is the committee's half of the plan's scheme.
func (s *simulation) committeeScheme() (secagg.CommitteeScheme, bool) {
	for _, scheme := range s.cfg.Schemes {
		if w, ok := scheme.(*witness); ok {
			scheme = w.Scheme
		}
		if c, ok := scheme.(secagg.CommitteeScheme); ok && scheme.Name() == s.plan.Scheme().Name() {
			return c, true
		}
	}
	return nil, false
}

// fault returns what goes wrong with the member at a step of its present attempt.
func (m *member) fault(step uint32) MemberFaultKind {
	for _, f := range m.sim.faults.Committee {
		if f.Member == m.index && (f.Round == 0 || f.Round == int(m.round.Round)) && (f.Attempt == 0 || f.Attempt == int(m.round.Attempt)) && step >= f.Step {
			return f.Kind
		}
	}
	return 0
}

// do runs one operation on the participant; operations never overlap.
func (m *member) do(cost time.Duration, work func(), then func()) {
	if m.busy {
		m.queue = append(m.queue, func() { m.do(cost, work, then) })
		return
	}
	m.busy = true
	life := m.life
	m.sim.world.compute(cost, work, func() {
		if m.life != life {
			return
		}
		m.busy = false
		then()
		if len(m.queue) > 0 && !m.busy && m.life == life {
			next := m.queue[0]
			m.queue = m.queue[1:]
			next()
		}
	})
}

func (m *member) later(t time.Duration, do func()) {
	life := m.life
	m.sim.world.after(t, func() {
		if m.life == life {
			do()
		}
	})
}

func (m *member) delay() time.Duration {
	return stretch(m.rng, m.sim.network.Latency, m.sim.network.Spread)
}

// reach calls the coordinator, again and again until it was reached.
func (m *member) reach(call func(e *coordinator.Engine)) {
	m.later(m.delay(), func() {
		if e := m.sim.engine; e != nil && m.rng.Float64() >= m.sim.network.Loss {
			call(e)
			return
		}
		m.later(m.sim.network.Retry, func() { m.reach(call) })
	})
}

// checkIn asks for the task of an attempt.
func (m *member) checkIn(id secagg.RoundID) {
	if m.sim.attempt.id != id {
		return
	}
	if m.p != nil { // it has not heard yet that an earlier one is over
		m.sim.world.after(m.sim.network.Retry, func() { m.checkIn(id) })
		return
	}
	m.reach(func(e *coordinator.Engine) {
		offer, err := e.CheckIn(m.address, coordinator.Conditions{})
		if err != nil {
			m.sim.violate("committee member %s may not check in: %v", m.address, err)
			return
		}
		if offer.Task == nil || m.p != nil {
			return
		}
		m.round = offer.Task.Round
		if m.fault(0) == MemberGone {
			return
		}
		p, fx, err := decryptor.Accept(m.policy, *offer.Task, m.record, m.sim.coins("announcement "+string(m.address)+" "+m.round.String()))
		if err != nil {
			m.sim.violate("committee member %s refuses its task: %v", m.address, err)
			return
		}
		m.p, m.after, m.letters = p, 0, false
		m.apply(fx, nil)
	})
}

// poke looks at what the coordinator has: an envelope, and letters.
func (m *member) poke() {
	m.poll()
	m.fetch()
}

func (m *member) poll() {
	if m.p == nil {
		return
	}
	id := m.round
	m.reach(func(e *coordinator.Engine) {
		env, ok := e.Envelope(m.address, id, m.after)
		if !ok {
			return
		}
		env, size := asItArrives(env)
		m.later(m.delay()+m.sim.network.transfer(size), func() { m.receive(env) })
	})
}

func (m *member) receive(env secagg.Envelope) {
	if m.p == nil || env.Round != m.round || env.Step <= m.after {
		return
	}
	if !env.Over {
		switch m.fault(env.Step) {
		case MemberGone:
			m.crash()
			m.record = nil
			return
		case MemberRestarts:
			if m.restarted != m.round {
				m.restarted = m.round
				m.crash()
				m.later(m.sim.faults.Outage, m.restart)
				return
			}
		}
	}
	m.after, m.letters = env.Step, false
	p := m.p
	var fx decryptor.Effects
	var err error
	m.do(m.sim.devices.Crypto, func() { fx, err = p.Envelope(env) }, func() { m.apply(fx, err) })
}

// restart comes back with what was durable.
func (m *member) restart() {
	if m.record == nil {
		return
	}
	p, fx, err := decryptor.Resume(m.policy, m.record)
	if err != nil {
		if !errors.Is(err, secagg.ErrTombstone) {
			m.sim.violate("committee member %s cannot resume: %v", m.address, err)
		}
		return
	}
	m.p, m.after, m.letters = p, 0, false
	m.apply(fx, nil)
	m.poll()
}

func (m *member) apply(fx decryptor.Effects, err error) {
	if err != nil && fault.ClassOf(err) != fault.Conflict {
		m.sim.violate("committee member %s and the coordinator disagree: %v", m.address, err)
	}
	if fx.Record != nil {
		m.record = fx.Record
	}
	if fx.Over {
		m.crash()
		return
	}
	m.letters, m.from = fx.Letters, fx.From
	if fx.Send != nil {
		m.send(*fx.Send)
	}
	m.fetch()
}

// send delivers messages one after another: each until it was taken.
func (m *member) send(msg client.Message) {
	if m.fault(msg.Step) == MemberGarbles && len(msg.Body) > garbled {
		msg.Body = bytes.Clone(msg.Body)
		msg.Body[len(msg.Body)-garbled] ^= 1
	}
	m.outbox = append(m.outbox, msg)
	if len(m.outbox) == 1 {
		m.deliver()
	}
}

func (m *member) deliver() {
	msg := m.outbox[0]
	m.reach(func(e *coordinator.Engine) {
		err := e.Message(m.address, msg.Round, msg.Step, msg.Body)
		switch {
		case err == nil, fault.ClassOf(err) == fault.Conflict, fault.ClassOf(err) == fault.Aborted:
			m.poll()
		case m.fault(msg.Step) == MemberGarbles:
		default:
			m.sim.violate("committee member %s and the coordinator disagree: %v", m.address, err)
		}
		if m.outbox = m.outbox[1:]; len(m.outbox) > 0 {
			m.deliver()
		}
	})
}

// garbled is which byte from the end a garbling member flips a bit of.
const garbled = 8

// fetch gets the letters that are asked for and there, after a pause in which more
// of them may come.
func (m *member) fetch() {
	if m.p == nil || !m.letters || m.fetching {
		return
	}
	m.fetching = true
	m.later(letterPause, func() {
		m.reach(func(e *coordinator.Engine) {
			m.fetching = false
			if m.p == nil || !m.letters {
				return
			}
			r, n, err := e.Letters(m.address, m.round, m.from)
			if err != nil || n == 0 {
				return // Notify says when there are some
			}
			m.read(r, n)
		})
	})
}

func (m *member) read(r io.ReadCloser, n int) {
	p := m.p
	m.fetching = true
	var fx decryptor.Effects
	var err error
	m.do(time.Duration(n)*letterTime, func() {
		fx, err = p.Letters(r)
		_ = r.Close() // only read from
	}, func() {
		m.fetching = false
		if err != nil { // the instruction changed meanwhile, or the attempt is over
			m.poll()
			return
		}
		m.apply(fx, nil)
	})
}

// crash loses what is not durable.
func (m *member) crash() {
	m.life++
	if m.p != nil {
		m.p.Erase()
	}
	m.p, m.busy, m.queue, m.outbox, m.letters, m.fetching = nil, false, nil, nil, false, false
}
