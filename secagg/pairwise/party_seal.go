package pairwise

import (
	"io"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

// Seal implements secagg.Party: it writes the packed words
//
//	x + PRG(b) + sum over j > self of PRG(self, j) - sum over j < self of PRG(j, self)
//
// over the neighbours j in U2, followed by the known answers under the same masks.
// All streams advance together, a block at a time, so scratch does not grow with
// the vector.
func (p *party) Seal(vector []uint32, out io.Writer) (secagg.Reply, error) {
	defer clear(vector)
	switch {
	case p.dead:
		return secagg.Reply{}, secagg.ErrDead
	case p.answered < phaseUpload:
		return secagg.Reply{}, secagg.ErrPhase.At("seal before phase upload")
	case !p.reply.Seal:
		return secagg.Reply{}, secagg.ErrRepeated.At("seal")
	}
	if err := p.checkVector(vector); err != nil {
		return p.leave(err)
	}
	commits := secagg.NewCommitWriter(out)
	if err := p.writeMasked(vector, commits); err != nil {
		return p.leave(err)
	}
	p.eraseMasks()
	commit := commits.Commit()
	commit.Bound = masked(p.root, p.sharers)
	frame := secagg.SignCommit(p.signer, p.attempt.Context, commit)
	p.reply = secagg.Reply{Message: frame, Record: p.record(frame)}
	return p.answer(), nil
}

func (p *party) checkVector(vector []uint32) error {
	if len(vector) != p.attempt.Words {
		return secagg.ErrVector.At("%d words for %d", len(vector), p.attempt.Words)
	}
	var all uint32
	for _, v := range vector {
		all |= v
	}
	if uint64(all)>>p.attempt.WordBits != 0 {
		return secagg.ErrVector.At("a word of more than %d bits", p.attempt.WordBits)
	}
	return nil
}

func (p *party) writeMasked(vector []uint32, out io.Writer) error {
	var m masker
	defer m.erase()
	streams := make([]stream, len(p.masks))
	for i := range p.masks {
		streams[i] = p.masks[i].open(0)
	}
	known := knownAnswer(p.attempt.Context)
	total := len(vector) + knownAnswers
	words := make([]uint32, min(field.ChunkWords, total))
	packed := make([]byte, p.attempt.pieces.Size)
	for first := 0; first < total; first += len(words) {
		words = words[:min(len(words), total-first)]
		n := 0
		if first < len(vector) {
			n = copy(words, vector[first:])
		}
		copy(words[n:], known[max(0, first-len(vector)):])
		m.apply(words, streams)
		piece := packed[:field.PackedLen(len(words), p.attempt.WordBits)]
		if err := field.Pack(piece, words, p.attempt.WordBits); err != nil {
			return secagg.ErrVector.Because(err)
		}
		if _, err := out.Write(piece); err != nil {
			return ErrWrite.Because(err)
		}
	}
	return nil
}
