package oneshot

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"io"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot/rlwe"
	"github.com/choir-fl/choir/secagg/oneshot/share"
)

// party implements secagg.Party: it answers one instruction with one upload.
type party struct {
	attempt *attempt
	self    int
	signer  ed25519.PrivateKey
	coins   io.Reader
	dead    bool

	asked secagg.Digest // of the instruction that was obeyed; zero before
	reply secagg.Reply  // to it
}

// NewParty implements secagg.ClientScheme.
func (Scheme) NewParty(s secagg.Session, self int, signer ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	p, err := newParty(s, self, signer)
	if err != nil {
		return nil, err
	}
	if coins == nil {
		return nil, ErrCoins
	}
	p.coins = coins
	return p, nil
}

func newParty(s secagg.Session, self int, signer ed25519.PrivateKey) (*party, error) {
	a, err := begin(s)
	if err != nil {
		return nil, err
	}
	if self < 0 || self >= a.clients() || len(signer) != ed25519.PrivateKeySize {
		return nil, secagg.ErrSession.At("client %d of %d", self, a.clients())
	}
	if me := s.Roster.At(self); !bytes.Equal(me.Key[:], signer[ed25519.PrivateKeySize-ed25519.PublicKeySize:]) {
		return nil, secagg.ErrSession.At("client %q has another key", me.ID)
	}
	return &party{attempt: a, self: self, signer: signer}, nil
}

// ResumeParty implements secagg.ClientScheme. The record holds the instruction's
// digest and the commit frame, and no secret.
func (Scheme) ResumeParty(s secagg.Session, self int, signer ed25519.PrivateKey, b []byte) (secagg.Party, error) {
	p, err := newParty(s, self, signer)
	if err != nil {
		return nil, err
	}
	d := secagg.NewDecoder(bytes.Clone(b))
	version, asked, frame := d.Int(1, recordVersion), d.Digest(2), d.Bytes(3)
	err = closed(d, version == recordVersion && asked != (secagg.Digest{}), "record")
	if err == nil {
		_, err = p.attempt.openFrame(self, frame)
	}
	if err != nil {
		return nil, secagg.ErrTombstone.At("attempt %s", s.Binding.Round).Because(err)
	}
	p.asked, p.reply = asked, secagg.Reply{Message: frame, Record: bytes.Clone(b)}
	return p, nil
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
	asked := secagg.Digest(sha256.Sum256(instruction))
	switch {
	case context != p.attempt.Context:
		return secagg.Reply{}, ErrContext.At("attempt %s", p.attempt.Binding.Round)
	case phase != phaseUpload:
		return secagg.Reply{}, secagg.ErrPhase.At("phase %s", phases[phase].Name)
	case asked == p.asked:
		return p.answer(), nil
	case p.asked != (secagg.Digest{}):
		return secagg.Reply{}, secagg.ErrRepeated.At("phase upload")
	}
	if _, err := p.attempt.openStart(body); err != nil {
		return p.leave(err)
	}
	p.asked, p.reply = asked, secagg.Reply{Seal: true}
	return p.answer(), nil
}

// openStart verifies the instruction of phase upload: the nonces are those that
// were committed to, and a quorum vouches that there is one context and one seed.
func (a *attempt) openStart(body []byte) (secagg.Digest, error) {
	m, err := decodeStart(body, a.members())
	if err != nil {
		return secagg.Digest{}, err
	}
	seed, err := a.seed(m.nonces)
	if err != nil {
		return secagg.Digest{}, err
	}
	return seed, a.verifyQuorum(m.quorum, labelSeed, seed[:])
}

// answer copies the reply, so that nobody else holds the party's own.
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

// Erase implements secagg.Party. The secrets of the ciphertext never outlive Seal.
func (p *party) Erase() { *p = party{dead: true} }

// Seal implements secagg.Party. The sums of the words must stay below 2^WordBits:
// one that does not carries into its neighbour (package rlwe).
func (p *party) Seal(vector []uint32, out io.Writer) (secagg.Reply, error) {
	defer clear(vector)
	switch {
	case p.dead:
		return secagg.Reply{}, secagg.ErrDead
	case p.asked == secagg.Digest{}:
		return secagg.Reply{}, secagg.ErrPhase.At("seal before phase upload")
	case !p.reply.Seal:
		return secagg.Reply{}, secagg.ErrRepeated.At("seal")
	}
	frame, err := p.upload(vector, out)
	if err != nil {
		return p.leave(err)
	}
	var e secagg.Encoder
	e.Uint(1, recordVersion)
	e.Digest(2, p.asked)
	e.Bytes(3, frame)
	p.reply = secagg.Reply{Message: frame, Record: e.Encoded()}
	return p.answer(), nil
}

// upload writes the ciphertext and the letters, and returns the commit frame.
func (p *party) upload(vector []uint32, out io.Writer) ([]byte, error) {
	a := p.attempt
	if len(vector) != a.Words {
		return nil, secagg.ErrVector.At("%d words for %d", len(vector), a.Words)
	}
	var all uint32
	for _, v := range vector {
		all |= v
	}
	if uint64(all)>>a.WordBits != 0 {
		return nil, secagg.ErrVector.At("a word of more than %d bits", a.WordBits)
	}
	secret, err := a.ring.NewSecret(p.coins)
	if err != nil {
		return nil, ErrCoins.Because(err)
	}
	defer clear(secret)
	w := secagg.NewCommitWriter(out)
	if err := p.writeChunks(secret, vector, w); err != nil {
		return nil, err
	}
	detail, err := p.writeLetters(secret, w)
	if err != nil {
		return nil, err
	}
	commit := w.Commit()
	commit.Detail = detail
	return secagg.SignCommit(p.signer, a.Context, commit), nil
}

// writeChunks encrypts the vector under the secret.
func (p *party) writeChunks(secret []int32, vector []uint32, w io.Writer) error {
	ring := p.attempt.ring
	sealer, err := rlwe.NewSealer(ring, p.attempt.Context, secret, p.coins)
	if err != nil {
		return secagg.ErrSession.Because(err)
	}
	defer sealer.Erase()
	chunk := make([]byte, ring.ChunkBytes())
	for i := range ring.Chunks() {
		words := vector[i*ring.ChunkWords():][:ring.WordsOf(i)]
		if err := sealer.Seal(chunk, i, words); err != nil {
			return ErrCoins.At("chunk %d", i).Because(err)
		}
		if _, err := w.Write(chunk); err != nil {
			return ErrWrite.Because(err)
		}
	}
	return nil
}

// writeLetters shares the secret among the members that announced, and returns the
// detail of the commit frame.
func (p *party) writeLetters(secret []int32, w *secagg.CommitWriter) ([]byte, error) {
	a := p.attempt
	ciphertext := w.Commit().Content
	detail := append(make([]byte, 0, a.detailSize()), ciphertext[:]...)
	points, shares := make([]int, len(a.present)), make([][]uint32, len(a.present))
	for i, j := range a.present {
		points[i], shares[i] = point(j), make([]uint32, letterElements(a.ring))
		defer clear(shares[i])
	}
	if err := share.Split(shares, points, secret, a.degree(), p.coins); err != nil {
		return nil, ErrCoins.Because(err)
	}
	plain := make([]byte, letterElements(a.ring)*share.ElementBytes)
	defer clear(plain)
	for i, j := range a.present {
		if err := share.Encode(plain, shares[i]); err != nil {
			return nil, ErrCoins.Because(err)
		}
		public, err := parseKey(a.announced[j].key)
		if err != nil {
			return nil, err
		}
		letter, err := sealLetter(public, p.coins, a.Context, p.self, j, ciphertext, plain)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(letter); err != nil {
			return nil, ErrWrite.Because(err)
		}
		digest := sha256.Sum256(letter)
		detail = append(detail, digest[:]...)
	}
	return detail, nil
}
