package pairwise

import (
	"bytes"

	"github.com/choir-fl/choir/secagg"
)

// agree answers phase agree: it signs one survivor set, after which it can sign
// no other, not even after a restart, because the record says so.
func (p *party) agree(body []byte) (secagg.Reply, error) {
	s, err := decodeSurvivors(body, p.attempt.members())
	if err != nil {
		return secagg.Reply{}, err
	}
	switch {
	case !s.within(p.sharers):
		return secagg.Reply{}, ErrSurvivors.At("phase agree")
	case !s.has(p.self):
		return secagg.Reply{}, secagg.ErrMembership.At("phase agree")
	}
	if err := p.attempt.enough(phases[phaseAgree].Name, s.count()); err != nil {
		return secagg.Reply{}, err
	}
	if holders := p.chosen.countBoth(s); holders < p.attempt.Threshold {
		return secagg.Reply{}, ErrHolders.At("phase agree: %d of at least %d", holders, p.attempt.Threshold)
	}
	p.survivors = bytes.Clone(s)
	message := p.message(encodeAgreement(p.sign(labelAgree, p.statement()...)))
	return secagg.Reply{Message: message, Record: p.record(message)}, nil
}

// statement is what a quorum signs: the list of keys, who shared, who survived.
func (p *party) statement() [][]byte { return [][]byte{p.root[:], p.sharers, p.survivors} }

// unmask answers phase unmask: against a quorum's signatures on the statement that
// this member signed itself it releases one share for each owner it holds shares
// of. Which one follows from the statement; there is nothing else to ask for.
func (p *party) unmask(body []byte) (secagg.Reply, error) {
	m, err := decodeQuorum(body, p.attempt.members())
	if err != nil {
		return secagg.Reply{}, err
	}
	if signers := m.signers.countBoth(p.survivors); signers != m.signers.count() || signers < p.attempt.Quorum {
		return secagg.Reply{}, ErrQuorum.At("phase unmask: %d of at least %d", signers, p.attempt.Quorum)
	}
	signatures := m.signatures
	for j := range m.signers.all() {
		if err := p.verify(j, signatures[:signatureSize], labelAgree, p.statement()...); err != nil {
			return secagg.Reply{}, err
		}
		signatures = signatures[signatureSize:]
	}
	if err := p.confirmed(m); err != nil {
		return secagg.Reply{}, err
	}
	message := p.message(p.release())
	return secagg.Reply{Message: message, Record: p.record(message)}, nil
}

// confirmed checks that every survivor whose shares this member holds masked its
// vector for the very members that shared according to the statement, this one
// among them. Without that a coordinator could tell some members that others did
// not share, and yet have these open what the former uploaded: the sum of a part.
func (p *party) confirmed(m quorum) error {
	bound := masked(p.root, p.sharers)
	for i := range p.held {
		owner := p.held[i].owner
		if !p.survivors.has(owner) {
			continue
		}
		if !m.owners.has(owner) {
			return ErrUnconfirmed.At("member %d", owner)
		}
		commit, err := secagg.OpenCommit(p.attempt.Roster.At(owner), p.attempt.Context, m.frames[m.owners.before(owner)])
		if err != nil {
			return err
		}
		if commit.Bound != bound {
			return ErrUnconfirmed.At("member %d", owner)
		}
	}
	return nil
}

// release builds the answer and destroys the shares it came from: of b for an
// owner that survived, of z for one that dropped out after it had shared.
func (p *party) release() []byte {
	out := answer{owners: newSet(p.attempt.members())}
	for i := range p.held {
		h := &p.held[i]
		share := &h.z
		if p.survivors.has(h.owner) {
			share = &h.b
		}
		out.owners.add(h.owner)
		out.shares = append(out.shares, share[:]...)
		h.z.Erase()
		h.b.Erase()
	}
	p.held = nil
	return out.encode()
}
