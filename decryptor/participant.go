package decryptor

import (
	"bytes"
	"io"
	"slices"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of a participant.
var (
	ErrRound   = fault.New(fault.Refused, "decryptor/round", "this committee member announced itself for this attempt or a later one before", "wait for the next attempt; a run that begins anew needs a new job name")
	ErrAttempt = fault.New(fault.Refused, "decryptor/attempt", "a round has no attempt beyond the eighth", "abort the run and find out why its attempts fail")
	ErrOther   = fault.New(fault.Refused, "decryptor/other", "this attempt was offered before under another task", "the coordinator is faulty or dishonest")
	ErrRoster  = fault.New(fault.Refused, "decryptor/roster", "the admitted roster is not acceptable", "the coordinator is faulty or dishonest")
	ErrOrder   = fault.New(fault.Internal, "decryptor/order", "call is not due", "")
	ErrOver    = fault.New(fault.Aborted, "decryptor/over", "the attempt is over", "check in again")
)

// Effects is what must be done about an event, in the order of the fields.
type Effects struct {
	// Record must be durable, in place of the job's earlier one, before anything else
	// happens. It holds secrets.
	Record []byte
	// Send goes to the coordinator; repeat it until it was taken.
	Send *client.Message
	// Letters asks to fetch letters from the one numbered From on, and to call
	// Participant.Letters with them. A later envelope takes the request back.
	Letters bool
	From    int
	// Over says that the attempt has ended for this member. Reason is for a log.
	Over   bool
	Reason string
}

// Participant is a committee member's side of one attempt, as a pure state machine:
// it reads no clock, starts no goroutine and does no I/O. Not safe for concurrent use.
type Participant struct {
	policy Policy
	self   int
	task   secagg.Task
	scheme secagg.CommitteeScheme
	record record
	party  secagg.CommitteeParty // from the first envelope on
	step   uint32                // of the latest envelope taken
	wanted bool                  // letters are
	over   bool
}

// Accept decides on an offered task, before anything is announced. latest is the
// job's latest record, nil if there is none: an attempt that is not later than the
// recorded one is refused, unless it is that one, which is resumed. The effects
// announce the member. coins must be cryptographically secure and is read now.
func Accept(p Policy, task secagg.Task, latest []byte, coins io.Reader) (*Participant, Effects, error) {
	out, err := prepare(p, task)
	if err != nil {
		return nil, Effects{}, err
	}
	if latest != nil {
		r, err := decodeRecord(latest)
		switch {
		case err != nil:
			return nil, Effects{}, err
		case r.round.Job != task.Round.Job:
			return nil, Effects{}, ErrRecord.At("job %s under the name of %s", r.round.Job, task.Round.Job)
		case r.round == task.Round && r.task != nil:
			if !bytes.Equal(r.task, task.Encode()) {
				return nil, Effects{}, ErrOther.At("round %s", task.Round)
			}
			return Resume(p, latest)
		case !later(task.Round, r.round):
			return nil, Effects{}, ErrRound.At("round %s after %s", task.Round, r.round)
		}
	}
	reply, err := out.scheme.Announce(task.Round, out.policy.Committee, out.self, out.policy.Keys, coins)
	if err != nil {
		return nil, Effects{}, err
	}
	out.record = record{round: task.Round, task: task.Encode(), announcement: reply.Message, scheme: reply.Record}
	return out, Effects{Record: out.record.encode(), Send: out.announcement()}, nil
}

// prepare holds a task against the policy.
func prepare(p Policy, task secagg.Task) (*Participant, error) {
	p, self, err := p.check()
	if err != nil {
		return nil, err
	}
	if err := task.Terms.Check(); err != nil {
		return nil, err
	}
	switch {
	case task.Round.Job != task.Terms.Job:
		return nil, secagg.ErrTerms.At("job %q under the terms of %q", task.Round.Job, task.Terms.Job)
	case task.Round.Attempt > maxAttempt:
		return nil, ErrAttempt.At("round %s", task.Round)
	case task.Terms.Committee.Root() != p.Committee.Root():
		return nil, ErrCommittee.At("committee %q of job %s", task.Terms.Committee.Name(), task.Terms.Job)
	}
	if task.Authority != secagg.AuthorityDigest(p.Authority) {
		return nil, ErrRoster.At("attempt %s: clients rely on another enrolment authority than this member's", task.Round)
	}
	if err := p.Limits.allow(task.Terms); err != nil {
		return nil, err
	}
	p.Keys = secagg.DecryptorKeys{Sign: slices.Clone(p.Keys.Sign), Epochs: slices.Clone(p.Keys.Epochs)} // erased with the participant
	for _, s := range p.Schemes {
		if s.Name() == task.Terms.Scheme {
			return &Participant{policy: p, self: self, task: task, scheme: s}, nil
		}
	}
	return nil, ErrScheme.At("scheme %q", task.Terms.Scheme)
}

// Resume goes on with the attempt of a job's latest record after a restart. The
// record of an attempt that is over is refused with secagg.ErrTombstone. The effects
// repeat the announcement; what was said after it, the next envelope asks for again.
func Resume(p Policy, latest []byte) (*Participant, Effects, error) {
	r, err := decodeRecord(latest)
	if err != nil {
		return nil, Effects{}, err
	}
	if r.task == nil {
		return nil, Effects{}, secagg.ErrTombstone.At("round %s", r.round)
	}
	task, err := secagg.DecodeTask(r.task)
	if err == nil && task.Round != r.round {
		err = secagg.ErrEncoding.At("task of %s", task.Round)
	}
	if err != nil {
		return nil, Effects{}, ErrRecord.At("round %s", r.round).Because(err)
	}
	out, err := prepare(p, task)
	if err != nil {
		return nil, Effects{}, err
	}
	out.record = r
	if r.roster != nil {
		if err := out.begin(); err != nil {
			out.Erase()
			return nil, Effects{}, err
		}
		return out, Effects{}, nil
	}
	return out, Effects{Send: out.announcement()}, nil
}

// announcement returns the message that accepts the task.
func (p *Participant) announcement() *client.Message {
	return &client.Message{Round: p.task.Round, Body: p.record.announcement}
}

// Task returns the task accepted.
func (p *Participant) Task() secagg.Task { return p.task }

// begin makes the session of what is recorded, and the scheme's party in it.
func (p *Participant) begin() error {
	read := p.policy.Roster
	if read == nil {
		read = func(b []byte) (secagg.Roster, error) { return client.ReadRoster(b, p.policy.Authority) }
	}
	roster, err := read(p.record.roster)
	if err != nil {
		return ErrRoster.At("round %s", p.task.Round).Because(err)
	}
	announced, err := secagg.DecodeAnnouncements(p.record.announcements)
	if err != nil {
		return err
	}
	if t := p.task.Terms; roster.Len() < t.Minimum || roster.Len() > t.Encoding.Clients {
		return ErrRoster.At("%d members for sums of %d to %d", roster.Len(), t.Minimum, t.Encoding.Clients)
	}
	session, err := p.task.Session(roster, announced)
	if err != nil {
		return err
	}
	p.party, err = p.scheme.NewCommitteeParty(session, p.self, p.policy.Keys, p.record.scheme)
	return err
}

// Envelope takes what the coordinator says. One already taken gets the same effects
// again; an older one is ignored. After an error the instruction was not obeyed and
// never will be. The effects are due all the same: they say whether the attempt goes
// on, and a later instruction may be obeyed, or has ended.
func (p *Participant) Envelope(env secagg.Envelope) (Effects, error) {
	switch {
	case p.over:
		return Effects{}, ErrOver
	case env.Round != p.task.Round:
		return Effects{}, secagg.ErrPhase.At("envelope of %s", env.Round)
	case env.Step < p.step:
		return Effects{}, nil
	case env.Over:
		return p.Close(env.Reason), nil
	}
	p.step, p.wanted = env.Step, false
	first := p.party == nil
	if first {
		if len(env.Roster)+len(env.Committee)+len(p.record.task) > maxRecorded {
			return p.Close("left"), ErrRoster.At("%d bytes", len(env.Roster)+len(env.Committee))
		}
		p.record.roster, p.record.announcements = bytes.Clone(env.Roster), bytes.Clone(env.Committee)
		if err := p.begin(); err != nil {
			return p.Close("left"), err
		}
	}
	reply, err := p.party.Step(env.Body)
	if fault.ClassOf(err) == fault.Conflict {
		reply, err = secagg.Reply{}, nil // a repetition out of order; the party is unharmed
	}
	fx := p.effects(reply)
	if first {
		fx.Record = p.record.encode() // the roster comes but once
	}
	return fx, err
}

// maxRecorded bounds roster, announcements and task, which must fit into a record.
const maxRecorded = secagg.MaxMessage - 1<<20

// Letters reads letters from the one numbered Effects.From on, to the end of r, and
// returns the answer to them, if there is one yet. It may be called again with those
// that follow, as long as the latest effects ask for letters. An error of r itself
// changes nothing.
func (p *Participant) Letters(r io.Reader) (Effects, error) {
	if p.over {
		return Effects{}, ErrOver
	}
	if !p.wanted {
		return Effects{}, ErrOrder.At("Letters")
	}
	reply, err := p.party.Letters(r)
	if err != nil {
		return Effects{}, err
	}
	return p.effects(reply), nil
}

// effects turns a party's reply into what is to be stored, sent and fetched.
func (p *Participant) effects(r secagg.Reply) Effects {
	fx := Effects{Letters: r.Letters, From: r.From}
	p.wanted = r.Letters
	if r.Message != nil {
		fx.Send = &client.Message{Round: p.task.Round, Step: p.step, Body: r.Message}
	}
	if r.Record != nil {
		p.record.scheme = bytes.Clone(r.Record)
		fx.Record = p.record.encode()
	}
	return fx
}

// Close ends the attempt for this member: its secrets are erased, and the record that
// is due says no more than that it was.
func (p *Participant) Close(reason string) Effects {
	p.Erase()
	return Effects{Record: record{round: p.task.Round}.encode(), Over: true, Reason: reason}
}

// Erase destroys the attempt's secrets in memory; the participant is over. The record
// stays as it is, to be resumed from.
func (p *Participant) Erase() {
	p.over = true
	clear(p.policy.Keys.Sign)
	clear(p.policy.Keys.Epochs)
	clear(p.record.scheme)
	if p.party != nil {
		p.party.Erase()
	}
}
