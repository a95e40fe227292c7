package client

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"math"

	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/tensor"
)

// Refusals of a participant.
var (
	ErrScheme  = fault.New(fault.Refused, "client/scheme", "the plan's scheme is not among those this app accepts", "hand the scheme to client.New or leave the job")
	ErrRoster  = fault.New(fault.Refused, "client/roster", "the admitted roster is not acceptable", "the coordinator is faulty or dishonest: leave the round")
	ErrModel   = fault.New(fault.Refused, "client/model", "the model is not the one that the task names", "the coordinator is faulty or dishonest: leave the round")
	ErrUpdate  = fault.New(fault.Invalid, "client/update", "the trainer's update does not fit the model", "correct the trainer")
	ErrOrder   = fault.New(fault.Internal, "client/order", "call is not due", "")
	ErrTooLate = fault.New(fault.Aborted, "client/over", "the attempt is over", "check in again")
)

// Update is what local training made of a model.
type Update struct {
	// Model has the schema of the model that was given.
	Model tensor.Model
	// Examples is the number of training examples; it sets the client's weight
	// where the plan weighs clients.
	Examples int
	// Evaluation describes the model as it was received; nil if it was not evaluated.
	Evaluation *Evaluation
}

// Evaluation is a client's own measurement of the model it received.
type Evaluation struct {
	Examples int
	Accuracy float64 // in [0,1]
	Loss     float64 // mean per example, >= 0
}

// Message is a client's answer to the instruction of a step.
type Message struct {
	Round secagg.RoundID
	Step  uint32 // 0 to join
	Body  []byte
}

// Effects is what must be done about an event, in the order of the fields.
type Effects struct {
	// Record must be durable, in place of the attempt's earlier one, before
	// anything else happens. It may hold secrets.
	Record []byte
	// Send goes to the coordinator; repeat it until it was taken.
	Send *Message
	// Train asks to fetch the task's model, to train, and to call Trained.
	Train bool
	// Seal asks to call Participant.Seal.
	Seal bool
	// Upload asks to upload the sealed bytes, completed by Send's body as frame, once
	// what Participant.Charge returns is durable.
	Upload bool
	// Over says that the attempt has ended for this client; erase its records.
	Over bool
	// Completed says that the contribution was used.
	Completed bool
	Reason    string
}

// Participant is the client's side of one attempt, as a pure state machine: it
// reads no clock, starts no goroutine and does no I/O. The app's client and the
// simulator drive the same one. Not safe for concurrent use.
type Participant struct {
	task   secagg.Task
	quant  field.Quantizer
	self   secagg.Identity
	key    ed25519.PrivateKey
	scheme secagg.ClientScheme
	policy Policy
	coins  [32]byte
	roster secagg.Roster
	listed []byte // the roster as it came
	// announced is what the committee said; empty without one.
	announced secagg.Announcements
	session   secagg.Session
	party     secagg.Party
	step      uint32    // of the latest envelope taken
	model     []float32 // values of the global model, until training is done
	centre    []float32 // what the update is weighed by; nil for zero
	update    *Update
	asked     bool   // training was asked for
	wanted    bool   // the party asked for the vector
	upload    uint32 // the step at which it did
	sealed    bool
	over      bool
	noise     noise
	cost      Cost // of the contribution
}

// Policy is what a participant needs of the device's configuration.
type Policy struct {
	Identity secagg.Identity
	Key      ed25519.PrivateKey
	// Authority is the pinned enrolment authority: a roster with a member that it
	// did not enrol is refused.
	Authority ed25519.PublicKey
	// Roster replaces the reading of a roster and the check of its members'
	// credentials against Authority, for a simulator that remembers the rosters that
	// it has checked. Nil otherwise.
	Roster  func(encoded []byte) (secagg.Roster, error)
	Consent Consent
	Schemes []secagg.ClientScheme
	// Account is the device's, for its budget and what it remembers of the job. The zero
	// Account remembers nothing.
	Account Account
	// Mechanism replaces Terms.Mechanism, for a simulator whose clients share the tables
	// that noise is drawn from. Nil otherwise.
	Mechanism func(secagg.Terms) (ddp.Mechanism, error)
}

// Accept decides on an offered task. It asks the device's consent before any
// byte leaves, holds the task against the account, and returns a participant whose
// Join is due once Account.See of the task is durable. coins must be
// cryptographically secure; 32 bytes are read.
func Accept(p Policy, task secagg.Task, coins io.Reader) (*Participant, error) {
	out, err := prepare(p, task)
	if err != nil {
		return nil, err
	}
	seen, err := p.Account.See(task)
	if err != nil {
		return nil, err
	}
	if err := out.allowed(seen); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(coins, out.coins[:]); err != nil {
		return nil, err
	}
	out.noise.key = field.Derive(out.coins, "noise")
	return out, nil
}

func prepare(p Policy, task secagg.Task) (*Participant, error) {
	if err := task.Terms.Check(); err != nil {
		return nil, err
	}
	if task.Round.Job != task.Terms.Job {
		return nil, secagg.ErrTerms.At("job %q under the terms of %q", task.Round.Job, task.Terms.Job)
	}
	if task.Fallback && !task.Terms.Fallback {
		return nil, secagg.ErrTerms.At("attempt %s falls back on buckets", task.Round)
	}
	if task.Centre != (secagg.Digest{}) && task.Terms.Weiszfeld == (secagg.Weiszfeld{}) {
		return nil, secagg.ErrTerms.At("attempt %s has a centre, by which nothing is weighed", task.Round)
	}
	if task.Terms.Committee.Len() > 0 && task.Authority != secagg.AuthorityDigest(p.Authority) {
		return nil, ErrRoster.At("attempt %s: the committee holds it against another enrolment authority", task.Round)
	}
	q, err := task.Terms.Encoding.Check()
	if err != nil {
		return nil, err
	}
	out := &Participant{task: task, quant: q, self: p.Identity, key: p.Key, policy: p}
	if err := out.noise.prepare(p, task); err != nil {
		return nil, err
	}
	out.cost = costOf(task.Terms, out.noise.mechanism)
	for _, s := range p.Schemes {
		if s.Name() == task.Terms.Scheme {
			out.scheme = s
			return out, nil
		}
	}
	return nil, ErrScheme.At("scheme %q", task.Terms.Scheme)
}

// allowed asks the device's consent, for a contribution beside those of an account.
func (p *Participant) allowed(a Account) error {
	if err := p.policy.Consent.Allow(p.task); err != nil {
		return err
	}
	after, err := p.Charge(a)
	if err != nil {
		return err
	}
	if b, ok := p.policy.Consent.(Budget); ok {
		return b.Afford(p.task, after)
	}
	return nil
}

// Charge charges this attempt's contribution to the device's account: what is returned
// must be durable before the first byte of the upload leaves. See Account.Charge.
func (p *Participant) Charge(a Account) (Account, error) { return a.Charge(p.task, p.cost) }

// Task returns the task accepted.
func (p *Participant) Task() secagg.Task { return p.task }

// Join returns the message that accepts the task.
func (p *Participant) Join() Message {
	return Message{Round: p.task.Round, Body: p.self.Encode()}
}

// Envelope takes what the coordinator says. One already taken gets the same
// effects again; an older one is ignored. An error means that the client leaves
// the attempt: its secrets are erased.
func (p *Participant) Envelope(env secagg.Envelope) (Effects, error) {
	if p.over {
		return Effects{}, ErrTooLate
	}
	if env.Round != p.task.Round {
		return Effects{}, p.leave(secagg.ErrPhase.At("envelope of %s", env.Round))
	}
	if env.Step < p.step {
		return Effects{}, nil
	}
	if env.Over {
		p.Erase()
		return Effects{Over: true, Completed: env.Completed, Reason: env.Reason}, nil
	}
	if env.Step == p.step && p.wanted && !p.sealed {
		return Effects{}, nil // repeated while training or sealing
	}
	if p.party == nil {
		if err := p.begin(env.Roster, env.Committee); err != nil {
			return Effects{}, p.leave(err)
		}
	}
	reply, err := p.party.Step(env.Body)
	if fault.ClassOf(err) == fault.Conflict {
		return Effects{}, nil // a repetition out of order; the party is unharmed
	}
	if err != nil {
		return Effects{}, p.leave(err)
	}
	p.step = env.Step
	fx := p.effects(reply)
	fx.Train, p.asked = !p.asked, true
	if reply.Seal && !p.sealed {
		p.wanted, p.upload = true, p.step
		fx.Seal = p.update != nil
	}
	fx.Upload = p.sealed && p.step == p.upload && fx.Send != nil
	return fx, nil
}

// begin checks the roster and makes the scheme's party.
func (p *Participant) begin(roster, announced []byte) error {
	read := p.policy.Roster
	_, asked := p.scheme.(secagg.CommitteeScheme)
	switch {
	case read != nil:
	case asked && p.task.Terms.Committee.Len() > 0:
		// A quorum of the committee, on which everything else depends too, signs a
		// context only after each member verified the roster against this authority.
		// Under a scheme that does not ask the committee, nobody did: a plan may name one
		// all the same.
		read = secagg.DecodeRoster
	default:
		read = func(b []byte) (secagg.Roster, error) { return ReadRoster(b, p.policy.Authority) }
	}
	r, err := read(roster)
	if err != nil {
		return ErrRoster.At("round %s", p.task.Round).Because(err)
	}
	if p.announced, err = secagg.DecodeAnnouncements(announced); err != nil {
		return err
	}
	i := r.Index(p.self.ID)
	if i < 0 || r.At(i) != p.self {
		return ErrRoster.At("client %s is not in it", p.self.ID)
	}
	if r.Len() < p.task.Terms.Minimum || r.Len() > p.task.Terms.Encoding.Clients {
		return ErrRoster.At("%d members for sums of %d to %d", r.Len(), p.task.Terms.Minimum, p.task.Terms.Encoding.Clients)
	}
	p.roster, p.listed = r, roster
	if p.session, err = p.task.Session(r, p.announced); err != nil {
		return err
	}
	if err := p.enoughShares(); err != nil {
		return err
	}
	key := field.Derive(p.coins, "scheme")
	p.party, err = p.scheme.NewParty(p.session, i, p.key, field.NewStream(key))
	clear(key[:])
	return err
}

// ReadRoster decodes a roster and checks that the authority enrolled each member.
func ReadRoster(encoded []byte, authority ed25519.PublicKey) (secagg.Roster, error) {
	r, err := secagg.DecodeRoster(encoded)
	if err != nil {
		return secagg.Roster{}, err
	}
	for i := range r.Len() {
		if err := r.At(i).Verify(authority); err != nil {
			return secagg.Roster{}, err
		}
	}
	return r, nil
}

// effects turns a party's reply into what is to be stored and sent.
func (p *Participant) effects(r secagg.Reply) Effects {
	fx := Effects{}
	if r.Message != nil {
		fx.Send = &Message{Round: p.task.Round, Step: p.step, Body: r.Message}
	}
	if r.Record != nil {
		fx.Record = p.record(r)
	}
	return fx
}

// Model checks the fetched model file against the task. It returns the model to
// train from; its values are the trainer's to change. Noise is drawn now, before there
// is an update whose release could show how long that took. Model may run while other
// methods do.
func (p *Participant) Model(r io.Reader) (tensor.Model, error) {
	m, err := tensor.ReadSafetensors(r, p.task.ModelSize)
	if err != nil {
		return tensor.Model{}, ErrModel.Because(err)
	}
	if !m.Schema().Equal(p.task.Terms.Tensors) || m.Digest() != p.task.Model {
		return tensor.Model{}, ErrModel.At("round %s", p.task.Round)
	}
	return m, p.noise.draw()
}

// Trained takes the trainer's result: global is the model that Model returned,
// unchanged, or a copy of it.
func (p *Participant) Trained(global tensor.Model, u Update) (Effects, error) {
	if p.over {
		return Effects{}, ErrTooLate
	}
	if p.update != nil || p.party == nil || p.centre == nil && p.task.Centre != (secagg.Digest{}) {
		return Effects{}, ErrOrder.At("Trained")
	}
	if !u.Model.Schema().Equal(p.task.Terms.Tensors) || !global.Schema().Equal(p.task.Terms.Tensors) || u.Examples < 0 {
		return Effects{}, p.leave(ErrUpdate)
	}
	p.model, p.update = global.Values(), &u
	return Effects{Seal: p.wanted}, nil
}

// Seal encodes and encrypts the update into out, exactly the bytes to upload.
// The effects are due once those bytes are durable.
func (p *Participant) Seal(out io.Writer) (Effects, error) {
	if p.over {
		return Effects{}, ErrTooLate
	}
	if !p.wanted || p.update == nil || p.sealed {
		return Effects{}, ErrOrder.At("Seal")
	}
	local := p.update.Model.Values()
	delta := make([]float32, len(local))
	for i, g := range p.model {
		delta[i] = local[i] - g
	}
	vector := make([]uint32, p.quant.Layout().Len())
	defer clear(vector)
	err := p.encode(vector, delta)
	clear(delta)
	if err != nil {
		return Effects{}, p.leave(err)
	}
	clear(p.coins[:])
	p.model, p.update = nil, &Update{}
	reply, err := p.party.Seal(vector, out)
	if err != nil {
		return Effects{}, p.leave(err)
	}
	p.sealed = true
	fx := p.effects(reply)
	fx.Upload = true
	return fx, nil
}

// Erase destroys the attempt's secrets; the participant is over.
func (p *Participant) Erase() {
	p.over = true
	clear(p.coins[:])
	p.noise.erase()
	clear(p.model)
	if p.party != nil {
		p.party.Erase()
	}
}

func (p *Participant) leave(err error) error {
	p.Erase()
	return err
}

const recordVersion = 1

// record encodes what a restarted client resumes from. Before the vector was
// sealed that is nothing: the record is a tombstone, which only says that the
// attempt was begun.
func (p *Participant) record(r secagg.Reply) []byte {
	if !p.sealed {
		return p.Tombstone()
	}
	var e secagg.Encoder
	e.Uint(1, recordVersion)
	e.Bytes(2, p.task.Encode())
	e.Bytes(3, p.listed)
	e.Uint(4, uint64(p.step))
	e.Bytes(5, r.Record)
	e.Bytes(6, r.Message)
	e.Bytes(7, p.announced.Encode())
	return e.Encoded()
}

// Tombstone is the record of an attempt that was begun and that nobody resumes.
// A client that leaves an attempt of its own will replaces the attempt's record
// by it, so that a restart does not bring the attempt back.
func (p *Participant) Tombstone() []byte {
	var e secagg.Encoder
	e.Uint(1, recordVersion)
	e.Bytes(2, p.task.Encode())
	return e.Encoded()
}

// Resume rebuilds a participant from its latest record after a restart. A
// tombstone is refused with secagg.ErrTombstone: the attempt cannot be resumed
// and must not be begun again. The effects repeat what was last to be sent.
func Resume(policy Policy, record []byte) (*Participant, Effects, error) {
	d := secagg.NewDecoder(record)
	if v := d.Uint(1); v != recordVersion {
		return nil, Effects{}, secagg.ErrEncoding.At("record of version %d", v)
	}
	taskBytes, rosterBytes := d.Bytes(2), d.Bytes(3)
	step, party, message, announced := uint32(d.Size(4, math.MaxUint32)), d.Bytes(5), d.Bytes(6), d.Bytes(7)
	if err := d.Close(); err != nil {
		return nil, Effects{}, err
	}
	if len(party) == 0 {
		return nil, Effects{}, secagg.ErrTombstone
	}
	task, err := secagg.DecodeTask(taskBytes)
	if err != nil {
		return nil, Effects{}, err
	}
	p, err := prepare(policy, task)
	if err != nil {
		return nil, Effects{}, err
	}
	if p.roster, err = secagg.DecodeRoster(rosterBytes); err != nil {
		return nil, Effects{}, err
	}
	p.listed = rosterBytes
	if p.announced, err = secagg.DecodeAnnouncements(announced); err != nil {
		return nil, Effects{}, err
	}
	if p.session, err = task.Session(p.roster, p.announced); err != nil {
		return nil, Effects{}, err
	}
	i := p.roster.Index(p.self.ID)
	if i < 0 || p.roster.At(i) != p.self {
		return nil, Effects{}, ErrRoster.At("client %s is not in the record's", p.self.ID)
	}
	if p.party, err = p.scheme.ResumeParty(p.session, i, p.key, party); err != nil {
		return nil, Effects{}, err
	}
	p.step, p.asked, p.wanted, p.sealed, p.update = step, true, true, true, &Update{}
	var fx Effects
	if len(message) > 0 {
		fx.Send = &Message{Round: task.Round, Step: step, Body: bytes.Clone(message)}
	}
	if commit, err := secagg.OpenCommit(p.self, p.session.Context, message); err == nil && commit.Size > 0 {
		p.upload, fx.Upload = step, true // the upload itself was the last thing due
	}
	return p, fx, nil
}
