package pairwise

import (
	"bytes"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise/shamir"
)

// opening implements secagg.Opening: the masks that did not cancel. Secret.
type opening struct {
	context secagg.Digest
	members []int
	masks   []expansion // to be applied to the sum as they stand
}

// Liars implements secagg.Opening. Wrong shares are corrected, and not counted here.
func (o *opening) Liars() []int { return nil }

// Erase implements secagg.Opening.
func (o *opening) Erase() {
	eraseExpansions(o.masks)
	*o = opening{}
}

// rebuilding is the coordinator at the work of Opening.
type rebuilding struct {
	*control
	// suspects gave a share that was corrected; theirs are tried last, so that one
	// liar does not cost a correction for every owner.
	suspects set
}

// sharesOf collects what the answers hold of an owner's secret, and counts the
// holders that answered without it: they could not open what the owner sent.
func (c *rebuilding) sharesOf(owner int) (shares []shamir.Share, complaints int) {
	var last []shamir.Share
	for holder := range c.chosen[owner].all() {
		m := &c.answers[holder]
		if m.owners == nil {
			continue
		}
		if !m.owners.has(owner) {
			complaints++
			continue
		}
		at := m.owners.before(owner) * keySize
		share := shamir.Share{Point: point(holder), Value: shamir.Scalar(m.shares[at : at+keySize])}
		if c.suspects.has(holder) {
			last = append(last, share)
		} else {
			shares = append(shares, share)
		}
	}
	return append(shares, last...), complaints
}

// enoughShares checks, before the phase unmask is closed, that every secret that
// is needed has its threshold of shares.
func (c *control) enoughShares(answered set) error {
	for owner := range c.sharers.all() {
		if n := c.chosen[owner].countBoth(answered); n < c.attempt.Threshold {
			return ErrRebuild.At("phase unmask: %d of at least %d shares of member %d", n, c.attempt.Threshold, owner)
		}
	}
	return nil
}

// verdict is what the shares of one secret prove.
type verdict int

const (
	rebuilt  verdict = iota // the committed secret
	unproved                // not rebuilt, and any of several members may be the cause
	cheated                 // not rebuilt, and the owner is the cause
)

// rebuild finds the owner's secret that matches accepts, which compares with the
// owner's commitment.
//
// Were the owner honest, every honest holder would have answered with a share on
// one polynomial that matches, so at most MaxCorrupt holders would complain or
// answer wrongly. What contradicts that proves the owner a cheat, whatever the
// corrupt holders do; what does not may be their work.
func (c *rebuilding) rebuild(owner int, matches func(*shamir.Scalar) bool) (shamir.Scalar, verdict) {
	shares, complaints := c.sharesOf(owner)
	defer clear(shares)
	t, corrupt := c.attempt.Threshold, c.attempt.MaxCorrupt-complaints // so many more, at most
	if len(shares) >= t {
		if secret, err := shamir.Recover(shares, t); err == nil && matches(&secret) {
			return secret, rebuilt
		}
	}
	if corrupt < 0 {
		return shamir.Scalar{}, cheated
	}
	secret, wrong, ok := correct(shares, t)
	switch {
	case ok && matches(&secret):
		for _, p := range wrong {
			c.suspects.add(int(p) - 1)
		}
		return secret, rebuilt
	case ok && len(shares)-len(wrong) >= t+corrupt: // t honest holders were dealt another secret
		return shamir.Scalar{}, cheated
	case !ok && len(shares) >= t+2*corrupt: // more wrong shares than corrupt holders
		return shamir.Scalar{}, cheated
	}
	return shamir.Scalar{}, unproved
}

// Opening implements secagg.Control. It rebuilds the secrets and compares each
// with what its owner committed to. It may be called again and repeats the work;
// at n = 100 it takes tens of milliseconds, and about 8 more for every client
// that dropped out after it had shared.
func (c *control) Opening() (secagg.Opening, error) {
	if c.phase != phaseOpen {
		return nil, secagg.ErrPhase.At("phase %s", c.Phase().Name)
	}
	o := &opening{context: c.attempt.Context, members: c.survivors.members()}
	work := &rebuilding{control: c, suspects: newSet(len(c.raw))}
	var culprits []int
	var failed error
	for owner := range c.sharers.all() {
		found := work.openVanished
		if c.survivors.has(owner) {
			found = work.openSurvivor
		}
		masks, v := found(owner)
		o.masks = append(o.masks, masks...)
		eraseExpansions(masks)
		switch {
		case v == cheated:
			culprits = append(culprits, owner)
		case v == unproved && failed == nil:
			failed = ErrRebuild.At("member %d", owner)
		}
	}
	if culprits != nil {
		failed = &secagg.Blame{Members: culprits, Err: ErrCheating.At("members %v", culprits)}
	}
	if failed != nil {
		o.Erase()
		return nil, failed
	}
	return o, nil
}

// openSurvivor rebuilds b of a member whose vector is in the sum: its own mask
// must come off.
func (c *rebuilding) openSurvivor(owner int) ([]expansion, verdict) {
	ad, _ := decodeAdvertisement(c.ads[owner])
	b, v := c.rebuild(owner, func(b *shamir.Scalar) bool {
		digest := commitSelfMask(c.attempt.Context, owner, b)
		return bytes.Equal(digest[:], ad.commitment)
	})
	defer b.Erase()
	if v != rebuilt {
		return nil, v
	}
	return []expansion{{selfMaskKey(c.attempt.Context, owner, &b), true}}, rebuilt
}

// openVanished rebuilds z of a member that shared and then dropped out: its
// neighbours masked their vectors for it, and nothing of its own cancels that. A
// member whose encapsulations do not follow from its z cheated: the neighbour
// used a secret that nobody can rebuild.
func (c *rebuilding) openVanished(owner int) ([]expansion, verdict) {
	context := c.attempt.Context
	ad, _ := decodeAdvertisement(c.ads[owner])
	z, v := c.rebuild(owner, func(z *shamir.Scalar) bool {
		_, public := maskKeyPair(context, owner, z)
		return bytes.Equal(public, ad.mask)
	})
	defer z.Erase()
	if v != rebuilt {
		return nil, v
	}
	sk, _ := maskKeyPair(context, owner, &z)
	var masks []expansion
	for i := range c.neighbours[owner].all() {
		if !c.survivors.has(i) {
			continue
		}
		var secret key
		if owner < i {
			theirs, _ := decodeAdvertisement(c.ads[i])
			pk, err := parseKey(theirs.mask)
			if err != nil {
				return nil, unproved // not reached: keys are checked as they are advertised
			}
			var ciphertext []byte
			if secret, ciphertext = encapsulateMask(context, owner, i, &z, pk, theirs.mask); !bytes.Equal(ciphertext, c.maskPart(owner, i)) {
				return nil, cheated
			}
		} else {
			secret = decapsulate(sk, c.maskPart(i, owner))
		}
		// i added the mask if it has the lower index.
		masks = append(masks, expansion{pairKey(context, min(i, owner), max(i, owner), &secret), i < owner})
	}
	return masks, rebuilt
}

// maskPart returns the encapsulation that from sent to a neighbour of higher index.
func (c *control) maskPart(from, to int) []byte {
	p, _ := decodePart(c.dealt[from].parts[c.neighbours[from].before(to)], c.attempt.members())
	return p.mask
}
