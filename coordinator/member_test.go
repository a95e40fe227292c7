package coordinator_test

import (
	"crypto/sha256"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
)

// committee makes a committee of n members.
func committee(n int) secagg.Committee {
	members := make([]secagg.Decryptor, n)
	for j := range members {
		name := fmt.Sprintf("org-%d", j)
		members[j] = secagg.Join(keyOf(name), "panel", secagg.PartyID(name))
	}
	c, err := secagg.NewCommittee("panel", members, 1)
	if err != nil {
		panic(err)
	}
	return c
}

// sealed is a plan under scheme oneshot with a committee of four.
func sealed(l *plan.Literal) {
	l.Scheme.Name, l.Scheme.Committee = oneshot.Name, plan.CommitteeOf(committee(4))
}

// decryptor is a committee member that talks to the engine directly.
type decryptor struct {
	w      *world
	index  int
	gone   func(secagg.RoundID) bool              // takes no part in this attempt
	silent func(secagg.RoundID, string) bool      // does not answer in this phase
	lie    func(phase string, body []byte) []byte // says something else

	id      secagg.RoundID // zero between attempts
	record  []byte
	task    secagg.Task
	party   secagg.CommitteeParty
	after   uint32
	reply   secagg.Reply
	out     *answer // to repeat until it was taken
	sent    *answer
	refused []error
}

type answer struct {
	step uint32
	body []byte
}

func (d *decryptor) address() secagg.PartyID {
	return d.w.plan.Terms().Committee.At(d.index).Address()
}

func (d *decryptor) keys() secagg.DecryptorKeys {
	name := fmt.Sprintf("org-%d", d.index)
	return secagg.DecryptorKeys{Sign: keyOf(name), Epochs: []secagg.EpochSeed{{Number: 1, Seed: sha256.Sum256([]byte("epoch of " + name))}}}
}

// act does the next thing and reports whether anything moved.
func (d *decryptor) act() bool {
	e := d.w.engine
	if e == nil {
		return false
	}
	if d.out != nil {
		return d.send(e)
	}
	if d.id == (secagg.RoundID{}) {
		return d.checkIn(e)
	}
	if env, ok := e.Envelope(d.address(), d.id, d.after); ok {
		d.obey(env)
		return true
	}
	return d.reply.Letters && d.judge(e)
}

func (d *decryptor) checkIn(e *coordinator.Engine) bool {
	offer, err := e.CheckIn(d.address(), coordinator.Conditions{})
	if err != nil || offer.Task == nil || d.gone != nil && d.gone(offer.Task.Round) {
		return false
	}
	d.task, err = secagg.DecodeTask(offer.Task.Encode())
	require.NoError(d.w.t, err)
	d.id = d.task.Round
	reply, err := oneshot.Scheme{}.Announce(d.id, offer.Task.Terms.Committee, d.index, d.keys(), seeded(fmt.Sprint(d.address(), d.id)))
	require.NoError(d.w.t, err)
	d.record, d.out = reply.Record, &answer{0, reply.Message}
	return true
}

func (d *decryptor) obey(env secagg.Envelope) {
	t := d.w.t
	d.after = env.Step
	if env.Over {
		d.forget()
		return
	}
	if env.Roster != nil {
		roster, err := secagg.DecodeRoster(env.Roster)
		require.NoError(t, err)
		announced, err := secagg.DecodeAnnouncements(env.Committee)
		require.NoError(t, err)
		session, err := d.task.Session(roster, announced)
		require.NoError(t, err)
		d.party, err = oneshot.Scheme{}.NewCommitteeParty(session, d.index, d.keys(), d.record)
		require.NoError(t, err)
	}
	reply, err := d.party.Step(env.Body)
	require.NoError(t, err)
	d.take(reply)
}

// judge fetches the letters that are there now.
func (d *decryptor) judge(e *coordinator.Engine) bool {
	r, n, err := e.Letters(d.address(), d.id, d.reply.From)
	if err != nil || n == 0 {
		return false
	}
	reply, err := d.party.Letters(r)
	require.NoError(d.w.t, err)
	require.NoError(d.w.t, r.Close())
	d.take(reply)
	return true
}

func (d *decryptor) take(r secagg.Reply) {
	if r.Record != nil {
		d.record = r.Record
	}
	d.reply = r
	phase := d.w.engine.State().Phase
	if r.Message == nil || d.silent != nil && d.silent(d.id, phase) {
		return
	}
	if d.lie != nil {
		r.Message = d.lie(phase, r.Message)
	}
	d.out = &answer{d.after, r.Message}
}

func (d *decryptor) send(e *coordinator.Engine) bool {
	err := e.Message(d.address(), d.id, d.out.step, d.out.body)
	if err == nil {
		d.sent, d.out = d.out, nil
		return true
	}
	d.refused = append(d.refused, err)
	switch fault.ClassOf(err) {
	case fault.Conflict:
		if d.out.step == 0 { // too late to announce
			d.forget()
		}
		d.out = nil
		return true
	case fault.Internal, fault.Exhausted:
		return false
	case fault.Aborted:
		d.forget()
		return true
	}
	require.NoError(d.w.t, err)
	return false
}

func (d *decryptor) forget() {
	d.id, d.after, d.party, d.reply, d.out, d.sent = secagg.RoundID{}, 0, nil, secagg.Reply{}, nil, nil
}

// repeat sends the last answer again, as device.repeat does.
func (d *decryptor) repeat() {
	if d.sent != nil && d.w.engine != nil && d.id != (secagg.RoundID{}) {
		if err := d.w.engine.Message(d.address(), d.id, d.sent.step, d.sent.body); err != nil {
			require.Contains(d.w.t, []fault.Class{fault.Conflict, fault.Aborted, fault.Internal}, fault.ClassOf(err), "%v", err)
		}
	}
}
