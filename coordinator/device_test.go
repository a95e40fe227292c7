package coordinator_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

// device is a client: the app's participant, which talks to the engine directly.
type device struct {
	w      *world
	index  int
	policy client.Policy
	gone   func(d *device, id secagg.RoundID) bool // takes no part in this attempt
	bad    func(sealed []byte)                     // spoils the next upload
	evaled func(secagg.RoundID) *client.Evaluation
	size   func(secagg.RoundID) float32 // of what it adds to its weight; nil for step
	// examples that it learned from; 0 for one
	examples int

	p       *client.Participant
	id      secagg.RoundID
	after   uint32
	train   bool
	seal    bool
	out     *client.Message // to repeat until it was taken
	sent    *client.Message // taken last
	frame   *client.Message // of the upload
	sealed  []byte
	waiting bool // for the upload's verification
	refused []error
}

func newDevice(w *world, i int) *device {
	name := fmt.Sprintf("client-%d", i)
	key := keyOf(name)
	return &device{w: w, index: i, policy: client.Policy{Identity: secagg.Enrol(authority, secagg.PartyID(name), key.Public().(ed25519.PublicKey)), Key: key,
		Authority: authority.Public().(ed25519.PublicKey), Consent: agree{}, Schemes: []secagg.ClientScheme{plain.Scheme{}, pairwise.Scheme{}, oneshot.Scheme{}}}}
}

type agree struct{}

func (agree) Allow(secagg.Task) error { return nil }

func (d *device) name() secagg.PartyID { return d.policy.Identity.ID }

// act does the next thing and reports whether anything moved.
func (d *device) act() bool {
	e := d.w.engine
	if e == nil || d.waiting {
		return false
	}
	switch {
	case d.p == nil:
		return d.checkIn(e)
	case d.out != nil:
		err := e.Message(d.name(), d.out.Round, d.out.Step, d.out.Body)
		return d.answered(err, func() { d.sent, d.out = d.out, nil })
	case d.frame != nil:
		return d.upload(e)
	case d.train:
		return d.learn(e)
	case d.seal:
		var b bytes.Buffer
		fx, err := d.p.Seal(&b)
		require.NoError(d.w.t, err)
		d.sealed, d.seal = b.Bytes(), false
		d.apply(fx)
		return true
	}
	return d.poll(e)
}

func (d *device) poll(e *coordinator.Engine) bool {
	env, ok := e.Envelope(d.name(), d.id, d.after)
	if !ok {
		return false
	}
	env, err := secagg.DecodeEnvelope(env.Encode())
	require.NoError(d.w.t, err)
	d.after = env.Step
	fx, err := d.p.Envelope(env)
	require.NoError(d.w.t, err)
	if fx.Over {
		d.forget()
		return true
	}
	d.apply(fx)
	return true
}

func (d *device) apply(fx client.Effects) {
	d.train, d.seal = d.train || fx.Train, d.seal || fx.Seal
	if fx.Upload {
		d.frame = fx.Send
	} else if fx.Send != nil {
		d.out = fx.Send
	}
}

func (d *device) checkIn(e *coordinator.Engine) bool {
	offer, err := e.CheckIn(d.name(), coordinator.Conditions{})
	if err != nil || offer.Task == nil || (d.gone != nil && d.gone(d, offer.Task.Round)) {
		return false
	}
	task, err := secagg.DecodeTask(offer.Task.Encode())
	require.NoError(d.w.t, err)
	p, err := client.Accept(d.policy, task, seeded(fmt.Sprint(d.name(), task.Round)))
	require.NoError(d.w.t, err)
	d.p, d.id, d.after = p, task.Round, 0
	join := p.Join()
	d.out = &join
	return true
}

// learn fetches the model and adds this client's step to its weight.
func (d *device) learn(e *coordinator.Engine) bool {
	r, err := e.Model(d.p.Task().Model)
	if err != nil {
		d.train = false
		return true
	}
	defer r.Close()
	if centre := d.p.Task().Centre; centre != (secagg.Digest{}) {
		c, err := e.Model(centre)
		require.NoError(d.w.t, err)
		defer c.Close()
		require.NoError(d.w.t, d.p.Centre(c))
	}
	global, err := d.p.Model(r)
	require.NoError(d.w.t, err)
	local := global.Clone()
	size := float32(step)
	if d.size != nil {
		size = d.size(d.id)
	}
	local.Values()[d.index%len(local.Values())] += size
	update := client.Update{Model: local, Examples: max(1, d.examples)}
	if d.evaled != nil {
		update.Evaluation = d.evaled(d.id)
	}
	fx, err := d.p.Trained(global, update)
	require.NoError(d.w.t, err)
	d.train = false
	d.apply(fx)
	return true
}

func (d *device) upload(e *coordinator.Engine) bool {
	m, id := *d.frame, d.id
	size := int64(len(d.sealed))
	offset, err := e.UploadBegin(d.name(), id, m.Step, size)
	if err != nil {
		return d.answered(err, nil)
	}
	sent := bytes.Clone(d.sealed)
	if d.bad != nil {
		d.bad(sent)
		d.bad = nil
	}
	for offset < size {
		end := min(offset+(size+1)/2, size)
		if err := e.UploadChunk(d.name(), id, offset, sent[offset:end]); err != nil {
			return d.answered(err, nil)
		}
		offset = end
	}
	d.waiting = true
	e.UploadDone(d.name(), id, m.Step, m.Body, func(err error) {
		d.waiting = false
		d.answered(err, func() {
			d.frame = nil
			d.w.acked[id] = append(d.w.acked[id], d.name())
		})
	})
	return true
}

// answered deals with a reply to a message or an upload, as the client's SDK does.
func (d *device) answered(err error, taken func()) bool {
	if err == nil {
		taken()
		return true
	}
	d.refused = append(d.refused, err)
	switch fault.ClassOf(err) {
	case fault.Conflict:
		d.out, d.frame = nil, nil // the coordinator says what is next
	case fault.Aborted:
		d.forget()
	case fault.Exhausted:
		return false // again later
	}
	return true
}

func (d *device) forget() {
	if d.p != nil {
		d.p.Erase()
	}
	d.p, d.train, d.seal, d.out, d.sent, d.frame, d.sealed, d.waiting = nil, false, false, nil, nil, nil, nil, false
}

// repeat sends the last answer again, as the client's SDK does when nothing
// follows: a coordinator that restarted may have lost it.
func (d *device) repeat() {
	if d.p == nil || d.sent == nil || d.w.engine == nil {
		return
	}
	if err := d.w.engine.Message(d.name(), d.sent.Round, d.sent.Step, d.sent.Body); err != nil {
		require.Contains(d.w.t, []fault.Class{fault.Conflict, fault.Aborted, fault.Internal}, fault.ClassOf(err), "%v", err)
	}
}
