package pairwise

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"io"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/bucketed"
	"github.com/choir-fl/choir/secagg/pairwise/graph"
	"github.com/choir-fl/choir/secagg/pairwise/shamir"
	"github.com/cloudflare/circl/kem/xwing"
)

// party implements secagg.Party.
type party struct {
	attempt *attempt
	self    int
	signer  ed25519.PrivateKey
	coins   io.Reader
	dead    bool

	// The latest phase answered, the digest of its instruction, and the answer.
	answered int
	asked    secagg.Digest
	reply    secagg.Reply

	own       *ownSecrets // until the masks are derived
	list      listing     // of advertisements; not needed after phase share
	root      secagg.Digest
	chosen    set // own out-neighbours: the holders of the own shares
	peers     []peer
	masks     []expansion // between phase upload and Seal
	sharers   set         // U2
	survivors set         // U3
	held      []holding   // until phase unmask
}

// ownSecrets are what the other members' shares rebuild, and the channel key.
type ownSecrets struct {
	z, b          shamir.Scalar
	mask, channel *xwing.PrivateKey
	advertisement []byte
}

func (s *ownSecrets) erase() {
	if s == nil {
		return
	}
	s.z.Erase()
	s.b.Erase()
	*s.mask, *s.channel = xwing.PrivateKey{}, xwing.PrivateKey{}
}

// peer is a mask neighbour.
type peer struct {
	member int
	holder bool // it holds shares of ours: we chose it
	owner  bool // we hold shares of its: it chose us
	secret key  // of the edge, if we made it
}

// holding is what this member holds for another.
type holding struct {
	owner int
	z, b  shamir.Scalar
}

// NewParty implements secagg.ClientScheme.
func (scheme Scheme) NewParty(s secagg.Session, self int, signer ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	if s.Buckets > 1 {
		return bucketed.NewParty(scheme, s, self, bucketed.Partition(s), signer, coins)
	}
	p, err := newParty(s, self, signer)
	if err != nil {
		return nil, err
	}
	p.coins = coins
	return p, nil
}

func newParty(s secagg.Session, self int, signer ed25519.PrivateKey) (*party, error) {
	a, err := begin(s)
	if err != nil {
		return nil, err
	}
	if self < 0 || self >= a.members() || len(signer) != ed25519.PrivateKeySize {
		return nil, secagg.ErrSession.At("member %d of %d", self, a.members())
	}
	if me := s.Roster.At(self); !bytes.Equal(me.Key[:], signer[ed25519.PrivateKeySize-ed25519.PublicKeySize:]) {
		return nil, secagg.ErrSession.At("member %q has another key", me.ID)
	}
	return &party{attempt: a, self: self, signer: signer}, nil
}

// steps answer the instructions of each phase.
var steps = [...]func(*party, []byte) (secagg.Reply, error){
	phaseAdvertise: (*party).advertise,
	phaseChoose:    (*party).choose,
	phaseShare:     (*party).share,
	phaseUpload:    (*party).receiveShares,
	phaseAgree:     (*party).agree,
	phaseUnmask:    (*party).unmask,
}

// Step implements secagg.Party.
func (p *party) Step(instruction []byte) (secagg.Reply, error) {
	if p.dead {
		return secagg.Reply{}, secagg.ErrDead
	}
	context, phase, body, err := openEnvelope(instruction)
	if err != nil {
		return p.leave(err)
	}
	if context != p.attempt.Context {
		return secagg.Reply{}, ErrContext.At("attempt %s", p.attempt.Binding.Round)
	}
	asked := secagg.Digest(sha256.Sum256(instruction))
	if phase == p.answered {
		if asked != p.asked {
			return secagg.Reply{}, secagg.ErrRepeated.At("phase %s", phases[phase].Name)
		}
		return p.answer(), nil
	}
	if phase != p.answered+1 || p.reply.Seal { // an asked-for vector must be sealed first
		return secagg.Reply{}, secagg.ErrPhase.At("phase %s", phases[phase].Name)
	}
	// From here on the phase is answered once: a failure ends the attempt.
	p.answered, p.asked = phase, asked
	reply, err := steps[phase](p, body)
	if err != nil {
		return p.leave(err)
	}
	p.reply = reply
	return p.answer(), nil
}

// answer copies the latest reply, so that the party can erase its own.
func (p *party) answer() secagg.Reply {
	r := p.reply
	r.Message, r.Record = bytes.Clone(r.Message), bytes.Clone(r.Record)
	return r
}

// leave erases everything and passes the cause on.
func (p *party) leave(cause error) (secagg.Reply, error) {
	p.Erase()
	return secagg.Reply{}, cause
}

// Erase implements secagg.Party.
func (p *party) Erase() {
	p.eraseOwn()
	p.eraseMasks()
	for i := range p.held {
		p.held[i].z.Erase()
		p.held[i].b.Erase()
	}
	// Answers and records may hold shares.
	clear(p.reply.Message)
	clear(p.reply.Record)
	*p = party{dead: true}
}

// eraseOwn destroys the secrets that the masks come from.
func (p *party) eraseOwn() {
	p.own.erase()
	p.own = nil
	clear(p.peers)
	p.peers = nil
}

// eraseMasks destroys the masks of the own vector.
func (p *party) eraseMasks() {
	eraseExpansions(p.masks)
	p.masks = nil
}

// message wraps and returns an answer.
func (p *party) message(body []byte) []byte { return envelope(p.attempt.Context, p.answered, body) }

func (p *party) sign(label string, parts ...[]byte) []byte {
	return secagg.Sign(p.signer, label, p.attempt.Context, parts...)
}

func (p *party) verify(member int, signature []byte, label string, parts ...[]byte) error {
	return p.attempt.Roster.At(member).VerifyStatement(signature, label, p.attempt.Context, parts...)
}

// advertise answers phase advertise with fresh keys.
func (p *party) advertise(body []byte) (secagg.Reply, error) {
	if len(body) != 0 {
		return secagg.Reply{}, secagg.ErrEncoding.At("phase advertise")
	}
	context := p.attempt.Context
	z, err := shamir.Random(p.coins)
	if err != nil {
		return secagg.Reply{}, ErrCoins.Because(err)
	}
	b, err := shamir.Random(p.coins)
	if err != nil {
		return secagg.Reply{}, ErrCoins.Because(err)
	}
	channel, channelPublic, err := channelKeyPair(p.coins)
	if err != nil {
		return secagg.Reply{}, err
	}
	mask, maskPublic := maskKeyPair(context, p.self, &z)
	commitment := commitSelfMask(context, p.self, &b)
	m := advertisement{mask: maskPublic, channel: channelPublic, commitment: commitment[:]}
	m.signature = p.sign(labelAdvertise, m.signed()...)
	p.own = &ownSecrets{z: z, b: b, mask: mask, channel: channel, advertisement: m.encode()}
	return secagg.Reply{Message: p.message(p.own.advertisement)}, nil
}

// choose answers phase choose: it checks that the own keys are listed unchanged,
// draws the out-neighbours and signs both.
func (p *party) choose(body []byte) (secagg.Reply, error) {
	m, err := decodeListing(body, p.attempt.members())
	if err != nil {
		return secagg.Reply{}, err
	}
	m = listing{bytes.Clone(m.members), bytes.Clone(m.digests)}
	if digest, ok := m.of(p.self); !ok || digest != digestAdvertisement(p.own.advertisement) {
		return secagg.Reply{}, ErrAdvertisement
	}
	if err := p.attempt.enough(phases[phaseChoose].Name, m.members.count()); err != nil {
		return secagg.Reply{}, err
	}
	// Neighbours are drawn from the whole roster, as the graph's parameters assume:
	// one that did not advertise counts as a drop-out.
	neighbours, err := graph.Draw(p.self, p.attempt.members(), p.attempt.Degree, p.coins)
	if err != nil {
		return secagg.Reply{}, ErrCoins.Because(err)
	}
	p.list, p.root, p.chosen = m, m.root(), newSet(p.attempt.members())
	for _, j := range neighbours {
		p.chosen.add(j)
	}
	c := choice{list: p.root[:], neighbours: p.chosen}
	c.signature = p.sign(labelChoose, c.signed()...)
	return secagg.Reply{Message: p.message(c.encode())}, nil
}
