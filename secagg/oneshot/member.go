package oneshot

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"io"

	"github.com/choir-fl/choir/secagg"
	"github.com/cloudflare/circl/kem"
)

// member implements secagg.CommitteeParty.
type member struct {
	attempt *attempt
	self    int
	place   int // of its letter among those of an upload
	signer  ed25519.PrivateKey
	key     kem.PrivateKey // of the epoch it announced
	record  record
	dead    bool

	// The latest phase that was answered, the digest of its instruction, which is
	// zero after a restart, and the answer.
	latest int
	asked  secagg.Digest
	reply  secagg.Reply

	judge judge
	// What phases records, agree and unmask wait for letters to do.
	total    int  // of letters
	proposed set  // survivors
	sums     sums // of their shares
}

// NewCommitteeParty implements secagg.CommitteeScheme. A session that does not hold
// this member's announcement as it was made is refused, and so is one of another
// context than the member signed. The attempt is a tombstone if its record is
// damaged or the key of the epoch it announced is erased.
func (Scheme) NewCommitteeParty(s secagg.Session, self int, keys secagg.DecryptorKeys, b []byte) (secagg.CommitteeParty, error) {
	a, err := begin(s)
	if err != nil {
		return nil, err
	}
	if err := checkKeys(a.Committee, self, keys); err != nil {
		return nil, err
	}
	tombstone := secagg.ErrTombstone.At("attempt %s", s.Binding.Round)
	r, err := decodeRecord(b)
	if err != nil {
		return nil, tombstone.Because(err)
	}
	epoch, kept := epochSeed(keys, r.epoch)
	if r.round != s.Binding.Round || r.self != self || !kept {
		return nil, tombstone
	}
	switch {
	case !bytes.Equal(a.Announcements[self].Body, announce(r.round, a.Committee, self, keys.Sign, epoch, r.nonce)):
		return nil, ErrAnnouncement.At("attempt %s, own announcement", r.round)
	case r.context != secagg.Digest{} && r.context != a.Context:
		return nil, ErrTwoContexts.At("attempt %s", r.round)
	case r.u != nil && decodeSet(r.u, a.clients()) == nil:
		return nil, tombstone
	}
	p := &member{attempt: a, self: self, signer: keys.Sign, record: r, latest: r.reached(), judge: newJudge(a.clients())}
	p.key, _ = epochKey(epoch.Seed)
	for i, j := range a.present {
		if j == self {
			p.place = i
		}
	}
	return p, nil
}

// reached is the last phase that the record shows to be answered.
func (r *record) reached() int {
	switch {
	case r.u != nil:
		return phaseAgree
	case r.seed != secagg.Digest{}:
		return phaseSeed
	case r.context != secagg.Digest{}:
		return phaseContext
	}
	return 0
}

// memberSteps answer the instructions of each phase. Each leaves the member as it
// was when it refuses. after is what the record must show first: the phases between
// need nothing of each other, so that a restart in any of them loses none.
var memberSteps = [...]struct {
	after  int
	answer func(*member, []byte) (secagg.Reply, error)
}{
	phaseContext: {0, (*member).signContext},
	phaseReveal:  {phaseContext, (*member).reveal},
	phaseSeed:    {phaseContext, (*member).signSeed},
	phaseUpload:  {phaseSeed, (*member).startLetters},
	phaseRecords: {phaseSeed, (*member).finishLetters},
	phaseAgree:   {phaseSeed, (*member).agree},
	phaseUnmask:  {phaseAgree, (*member).unmask},
}

// Step implements secagg.CommitteeParty.
func (p *member) Step(instruction []byte) (secagg.Reply, error) {
	if p.dead {
		return secagg.Reply{}, secagg.ErrDead
	}
	context, phase, body, err := openEnvelope(instruction)
	if err != nil {
		return secagg.Reply{}, err
	}
	asked := secagg.Digest(sha256.Sum256(instruction))
	switch {
	case context != p.attempt.Context:
		return secagg.Reply{}, ErrContext.At("attempt %s", p.attempt.Binding.Round)
	case asked == p.asked:
		return p.answer(), nil
	case phase < p.latest || memberSteps[phase].after > p.record.reached():
		return secagg.Reply{}, secagg.ErrPhase.At("phase %s", phases[phase].Name)
	case phase == p.latest && p.asked != secagg.Digest{} && !p.undecided():
		return secagg.Reply{}, secagg.ErrRepeated.At("phase %s", phases[phase].Name)
	}
	reply, err := memberSteps[phase].answer(p, bytes.Clone(body))
	if err != nil {
		return secagg.Reply{}, err
	}
	p.latest, p.asked, p.reply = phase, asked, reply
	return p.answer(), nil
}

// undecided reports whether survivors were proposed and not signed yet.
func (p *member) undecided() bool { return p.latest == phaseAgree && p.record.u == nil }

// answer copies the latest reply, so that the member can erase its own.
func (p *member) answer() secagg.Reply {
	r := p.reply
	r.Message, r.Record = bytes.Clone(r.Message), bytes.Clone(r.Record)
	return r
}

// message wraps an answer in a phase.
func (p *member) message(phase int, body []byte) []byte {
	return envelope(p.attempt.Context, phase, body)
}

// signed returns the reply with the member's signature on a statement, and the
// record that must be durable before it leaves.
func (p *member) signed(phase int, label string, parts ...[]byte) secagg.Reply {
	return secagg.Reply{Message: p.message(phase, secagg.Sign(p.signer, label, p.attempt.Context, parts...)), Record: p.record.encode()}
}

// signContext answers phase context: the session was checked when the member was
// made, and no other context of this attempt is signed after this one.
func (p *member) signContext(body []byte) (secagg.Reply, error) {
	if len(body) != 0 {
		return secagg.Reply{}, secagg.ErrEncoding.At("phase context")
	}
	p.record.context = p.attempt.Context
	return p.signed(phaseContext, labelContext), nil
}

// reveal answers phase reveal: once a quorum has signed the context no other can
// have one, and whoever fixed it did so without the nonces.
func (p *member) reveal(body []byte) (secagg.Reply, error) {
	q, err := decodeQuorum(body, p.attempt.members())
	if err != nil {
		return secagg.Reply{}, err
	}
	if err := p.attempt.verifyQuorum(q, labelContext); err != nil {
		return secagg.Reply{}, err
	}
	if p.attempt.Announcements[p.self].LeftOut {
		return secagg.Reply{Message: p.message(phaseReveal, nil)}, nil
	}
	return secagg.Reply{Message: p.message(phaseReveal, p.record.nonce)}, nil
}

// signSeed answers phase seed.
func (p *member) signSeed(body []byte) (secagg.Reply, error) {
	seed, err := p.attempt.seed(body)
	if err != nil {
		return secagg.Reply{}, err
	}
	p.record.seed = seed
	return p.signed(phaseSeed, labelSeed, seed[:]), nil
}

// startLetters answers phase upload: letters are judged as they come.
func (p *member) startLetters(body []byte) (secagg.Reply, error) {
	if _, err := p.attempt.openStart(body); err != nil {
		return secagg.Reply{}, err
	}
	return p.report(), nil
}

// report is the reply in phase upload: what was found of the letters that no
// earlier message was about.
func (p *member) report() secagg.Reply {
	r := secagg.Reply{Letters: true, From: len(p.judge.list)}
	if m := (verdicts{first: p.judge.sent, list: p.judge.list[p.judge.sent:]}); len(m.list) > 0 {
		r.Message = p.message(phaseUpload, m.encode())
		p.judge.sent = len(p.judge.list)
	}
	return r
}

// finishLetters answers phase records: what was found of all letters.
func (p *member) finishLetters(body []byte) (secagg.Reply, error) {
	total, err := decodeCount(body, p.attempt.clients())
	if err != nil {
		return secagg.Reply{}, err
	}
	p.total = total
	return p.reportAll(), nil
}

// reportAll is the reply in phase records. It repeats what was said in phase upload,
// so that nothing hangs on messages of which some may be lost.
func (p *member) reportAll() secagg.Reply {
	if len(p.judge.list) < p.total {
		return secagg.Reply{Letters: true, From: len(p.judge.list)}
	}
	m := verdicts{list: p.judge.list[:p.total]}
	return secagg.Reply{Message: p.message(phaseRecords, m.encode())}
}

// agree answers phase agree: it signs one set of survivors, after which it signs
// no other, not even after a restart, because the record says so.
func (p *member) agree(body []byte) (secagg.Reply, error) {
	u, err := decodeSurvivors(body, p.attempt.clients())
	if err != nil {
		return secagg.Reply{}, err
	}
	if p.record.u != nil {
		if !bytes.Equal(u, p.record.u) {
			return secagg.Reply{}, secagg.ErrRepeated.At("phase agree")
		}
		return p.signed(phaseAgree, labelAgree, p.record.survivors()...), nil
	}
	if _, err := p.attempt.divide(u, p.record.seed); err != nil {
		return secagg.Reply{}, err
	}
	return p.endorse(u)
}

// endorse signs the survivors if all their letters were judged good. It refuses if
// one was not, and asks for letters while some are missing, as after a restart.
func (p *member) endorse(u set) (secagg.Reply, error) {
	for i := range u.all() {
		switch {
		case !p.judge.judged(i):
			p.proposed = u
			return secagg.Reply{Letters: true, From: len(p.judge.list)}, nil
		case !p.judge.good.has(i):
			return secagg.Reply{}, ErrFailed.At("phase agree, client %d", i)
		}
	}
	p.record.u = u
	p.record.uploads = uploadsDigest(u, func(i int) secagg.Digest { return p.judge.frames[i] })
	return p.signed(phaseAgree, labelAgree, p.record.survivors()...), nil
}

// survivors is the statement of phase agree.
func (r *record) survivors() [][]byte { return survivors(r.seed, r.u, r.uploads) }

func survivors(seed secagg.Digest, u set, uploads secagg.Digest) [][]byte {
	return [][]byte{seed[:], u, uploads[:]}
}

// unmask answers phase unmask: against a quorum's signatures on the survivors that
// this member signed itself it adds up their shares, in a second pass over the
// letters. There is nothing else that it could be asked for.
func (p *member) unmask(body []byte) (secagg.Reply, error) {
	q, err := decodeQuorum(body, p.attempt.members())
	if err != nil {
		return secagg.Reply{}, err
	}
	if err := p.attempt.verifyQuorum(q, labelAgree, p.record.survivors()...); err != nil {
		return secagg.Reply{}, err
	}
	buckets, err := p.attempt.divide(p.record.u, p.record.seed)
	if err != nil {
		return secagg.Reply{}, err
	}
	p.sums = newSums(p.attempt, buckets)
	return secagg.Reply{Letters: true}, nil
}

// release is the reply in phase unmask: the sums, once they are complete, and are
// of the very uploads that were agreed on.
func (p *member) release() (secagg.Reply, error) {
	if p.sums.added.count() < p.record.u.count() {
		return secagg.Reply{Letters: true, From: p.sums.seen.count()}, nil
	}
	if uploadsDigest(p.record.u, func(i int) secagg.Digest { return p.sums.frames[i] }) != p.record.uploads {
		p.sums.reset()
		return secagg.Reply{}, ErrLetter.At("phase unmask: other uploads than were agreed on")
	}
	body, err := p.sums.encode()
	if err != nil {
		return secagg.Reply{}, err
	}
	p.sums.reset()
	return secagg.Reply{Message: p.message(phaseUnmask, body)}, nil
}

// Letters implements secagg.CommitteeParty. Letters before an error of r, or before
// one that is refused, count; who repeats letters from an earlier number on after
// such an error does no harm.
func (p *member) Letters(r io.Reader) (secagg.Reply, error) {
	switch {
	case p.dead:
		return secagg.Reply{}, secagg.ErrDead
	case !p.reply.Letters:
		return secagg.Reply{}, secagg.ErrPhase.At("letters that were not asked for")
	}
	for {
		l, err := secagg.ReadLetter(r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && p.latest == phaseUnmask {
			err = p.add(l)
		} else if err == nil {
			err = p.take(l)
		}
		if err != nil {
			return secagg.Reply{}, err
		}
	}
	reply, err := p.afterLetters()
	if err != nil {
		return secagg.Reply{}, err
	}
	p.reply = reply
	return p.answer(), nil
}

// afterLetters goes on with the phase that asked for letters.
func (p *member) afterLetters() (secagg.Reply, error) {
	switch p.latest {
	case phaseUpload:
		return p.report(), nil
	case phaseRecords:
		return p.reportAll(), nil
	case phaseAgree:
		reply, err := p.endorse(p.proposed)
		if err != nil { // nothing was signed: another set may be
			p.asked, p.reply = secagg.Digest{}, secagg.Reply{}
		}
		return reply, err
	}
	return p.release()
}

// Erase implements secagg.CommitteeParty.
func (p *member) Erase() {
	p.sums.reset()
	clear(p.record.nonce)
	// Answers hold sums of shares.
	clear(p.reply.Message)
	clear(p.reply.Record)
	*p = member{dead: true}
}
