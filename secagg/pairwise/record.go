package pairwise

import (
	"bytes"
	"crypto/ed25519"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/bucketed"
	"github.com/choir-fl/choir/secagg/pairwise/shamir"
)

// A record is what a client keeps of an attempt across a restart. Before Seal it
// is a tombstone: the attempt was begun and is lost. After Seal it holds what the
// remaining phases need, none of it a secret of the own vector: the latest answer,
// the statement to sign or signed, and the shares held for others, which are gone
// once the answer of phase unmask is in it.
const recordVersion = 1

// tombstone returns the record that must be durable before shares leave.
func (p *party) tombstone() []byte {
	var e secagg.Encoder
	p.encodeIdentity(&e)
	return e.Encoded()
}

func (p *party) encodeIdentity(e *secagg.Encoder) {
	e.Uint(1, recordVersion)
	e.Bytes(2, p.attempt.Context[:])
	e.Uint(3, uint64(p.self)+1)
}

// record returns the record to be durable before message leaves.
func (p *party) record(message []byte) []byte {
	owners := newSet(p.attempt.members())
	shares := make([]byte, 0, 2*keySize*len(p.held))
	for i := range p.held {
		h := &p.held[i]
		owners.add(h.owner)
		shares = append(append(shares, h.z[:]...), h.b[:]...)
	}
	defer clear(shares)
	var e secagg.Encoder
	p.encodeIdentity(&e)
	e.Uint(4, uint64(p.answered))
	e.Bytes(5, p.asked[:])
	e.Bytes(6, message)
	e.Bytes(7, p.root[:])
	e.Bytes(8, p.chosen)
	e.Bytes(9, p.sharers)
	e.Bytes(10, p.survivors)
	e.Bytes(11, owners)
	e.Bytes(12, shares)
	return e.Encoded()
}

// ResumeParty implements secagg.ClientScheme.
func (scheme Scheme) ResumeParty(s secagg.Session, self int, signer ed25519.PrivateKey, record []byte) (secagg.Party, error) {
	if s.Buckets > 1 {
		return bucketed.ResumeParty(scheme, s, self, bucketed.Partition(s), signer, record)
	}
	p, err := newParty(s, self, signer)
	if err != nil {
		return nil, err
	}
	if err := p.resume(record); err != nil {
		return nil, secagg.ErrTombstone.At("attempt %s", s.Binding.Round).Because(err)
	}
	return p, nil
}

func (p *party) resume(record []byte) error {
	record = bytes.Clone(record)
	n := p.attempt.members()
	d := secagg.NewDecoder(record)
	version, context, self := d.Int(1, recordVersion), d.Digest(2), d.Int(3, n)-1
	p.answered, p.asked = d.Int(4, phaseUnmask), d.Digest(5)
	p.reply.Message, p.reply.Record = d.Bytes(6), record
	p.root, p.chosen, p.sharers, p.survivors = d.Digest(7), membersOf(d.Bytes(8), n), membersOf(d.Bytes(9), n), set(d.Bytes(10))
	owners, shares := membersOf(d.Bytes(11), n), d.Bytes(12)
	fits := version == recordVersion && context == p.attempt.Context && self == p.self &&
		p.answered >= phaseUpload && len(p.reply.Message) > 0 && p.chosen != nil && p.sharers != nil &&
		(p.answered == phaseUpload || membersOf(p.survivors, n) != nil) &&
		owners != nil && len(shares) == 2*keySize*owners.count()
	if err := closed(d, fits, "record"); err != nil {
		return err
	}
	for owner := range owners.all() {
		z, errZ := shamir.Parse(shares[:keySize])
		b, errB := shamir.Parse(shares[keySize : 2*keySize])
		if errZ != nil || errB != nil {
			return secagg.ErrEncoding.At("share in a record")
		}
		p.held = append(p.held, holding{owner: owner, z: z, b: b})
		shares = shares[2*keySize:]
	}
	return nil
}
