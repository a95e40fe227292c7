package pairwise

import (
	"bytes"
	"io"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise/shamir"
	"github.com/cloudflare/circl/kem/xwing"
)

// share answers phase share: it checks what the neighbours advertised and chose,
// splits z and b among the own out-neighbours that are left, and makes the pair
// secrets of the edges to neighbours of higher index.
func (p *party) share(body []byte) (secagg.Reply, error) {
	m, err := decodeIntroduction(body, p.attempt.members())
	if err != nil {
		return secagg.Reply{}, err
	}
	advertised := make([]advertisement, 0, len(m.choice))
	at := 0
	for j := range m.members.all() {
		ad, met, err := p.meet(j, m.advertisements[at], m.choice[at])
		if err != nil {
			return secagg.Reply{}, err
		}
		advertised, p.peers = append(advertised, ad), append(p.peers, met)
		at++
	}
	if holders := m.members.countBoth(p.chosen); holders < p.attempt.Threshold {
		return secagg.Reply{}, ErrHolders.At("phase share: %d of at least %d", holders, p.attempt.Threshold)
	}
	parts, err := p.deal(advertised)
	if err != nil {
		return secagg.Reply{}, err
	}
	root := newTree(parts).root()
	out := sharing{parts: parts, signature: p.sign(labelShare, p.root[:], root[:])}
	return secagg.Reply{Message: p.message(out.encode()), Record: p.tombstone()}, nil
}

// meet checks one neighbour's advertisement and choice. The signature on the
// choice also vouches for the keys: it names the list, and an honest member signs
// only a list that has its own advertisement unchanged.
func (p *party) meet(j int, advertised, chosen []byte) (advertisement, peer, error) {
	fail := func(err error) (advertisement, peer, error) { return advertisement{}, peer{}, err }
	digest, listed := p.list.of(j)
	if !listed || j == p.self {
		return fail(ErrNeighbour.At("member %d", j))
	}
	if digest != digestAdvertisement(advertised) {
		return fail(ErrKey.At("member %d", j))
	}
	ad, err := decodeAdvertisement(advertised)
	if err != nil {
		return fail(err)
	}
	c, err := decodeChoice(chosen, p.attempt.members())
	if err != nil {
		return fail(err)
	}
	if !bytes.Equal(c.list, p.root[:]) {
		return fail(ErrTwoRosters.At("member %d", j))
	}
	if err := p.verify(j, c.signature, labelChoose, c.signed()...); err != nil {
		return fail(err)
	}
	met := peer{member: j, holder: p.chosen.has(j), owner: c.neighbours.has(p.self)}
	if !met.holder && !met.owner || c.neighbours.has(j) || c.neighbours.count() != p.attempt.Degree {
		return fail(ErrNeighbour.At("member %d", j))
	}
	return ad, met, nil
}

// deal makes the parts for all peers, in order.
func (p *party) deal(advertised []advertisement) ([][]byte, error) {
	var points []shamir.Point
	for i := range p.peers {
		if p.peers[i].holder {
			points = append(points, point(p.peers[i].member))
		}
	}
	zs, err := shamir.Split(p.own.z, p.attempt.Threshold, points, p.coins)
	if err != nil {
		return nil, ErrCoins.Because(err)
	}
	defer clear(zs)
	bs, err := shamir.Split(p.own.b, p.attempt.Threshold, points, p.coins)
	if err != nil {
		return nil, ErrCoins.Because(err)
	}
	defer clear(bs)
	parts := make([][]byte, len(p.peers))
	for i := range p.peers {
		to := &p.peers[i]
		out := part{to: to.member}
		if to.holder {
			if out.channel, out.box, err = p.sealShares(to.member, advertised[i].channel, &zs[0].Value, &bs[0].Value); err != nil {
				return nil, err
			}
			zs, bs = zs[1:], bs[1:]
		}
		if p.self < to.member {
			pk, err := parseKey(advertised[i].mask)
			if err != nil {
				return nil, err
			}
			to.secret, out.mask = encapsulateMask(p.attempt.Context, p.self, to.member, &p.own.z, pk, advertised[i].mask)
		}
		parts[i] = out.encode()
	}
	return parts, nil
}

// sealShares encrypts one holder's shares to its channel key.
func (p *party) sealShares(to int, publicKey []byte, z, b *shamir.Scalar) (ciphertext, box []byte, err error) {
	pk, err := parseKey(publicKey)
	if err != nil {
		return nil, nil, err
	}
	var coins [xwing.EncapsulationSeedSize]byte
	defer clear(coins[:])
	if _, err := io.ReadFull(p.coins, coins[:]); err != nil {
		return nil, nil, ErrCoins.Because(err)
	}
	var secret key
	defer clear(secret[:])
	ciphertext = make([]byte, kemSize)
	pk.EncapsulateTo(ciphertext, secret[:], coins[:])
	aead, data := shareBox(p.attempt.Context, p.self, to, p.root, &secret)
	var plain [2 * keySize]byte
	defer clear(plain[:])
	copy(plain[:keySize], z[:])
	copy(plain[keySize:], b[:])
	return ciphertext, aead.Seal(nil, shareNonce[:], plain[:], data), nil
}

// receiveShares answers phase upload: it checks and opens what the neighbours
// sent, derives the masks, destroys the own secrets and asks for the vector.
func (p *party) receiveShares(body []byte) (secagg.Reply, error) {
	m, err := decodeDelivery(body, p.attempt.members())
	if err != nil {
		return secagg.Reply{}, err
	}
	if err := p.acceptSharers(m.sharers); err != nil {
		return secagg.Reply{}, err
	}
	p.masks = make([]expansion, 1, len(p.peers)+1)
	p.masks[0].key = selfMaskKey(p.attempt.Context, p.self, &p.own.b)
	for i := range p.peers {
		from := &p.peers[i]
		if !p.sharers.has(from.member) {
			continue // it dropped out before anything depended on it
		}
		if len(m.parcels) == 0 {
			return secagg.Reply{}, ErrPart.At("member %d", from.member)
		}
		if err := p.unpack(from, m.parcels[0]); err != nil {
			return secagg.Reply{}, err
		}
		m.parcels = m.parcels[1:]
	}
	if len(m.parcels) != 0 {
		return secagg.Reply{}, ErrPart.At("%d parts too many", len(m.parcels))
	}
	p.eraseOwn()
	p.list = listing{}
	return secagg.Reply{Seal: true}, nil
}

// acceptSharers checks U2, the members that shared, and adopts it.
func (p *party) acceptSharers(sharers set) error {
	switch {
	case !sharers.has(p.self):
		return secagg.ErrMembership.At("phase upload")
	case !sharers.within(p.list.members):
		return ErrSurvivors.At("phase upload")
	}
	if err := p.attempt.enough(phases[phaseUpload].Name, sharers.count()); err != nil {
		return err
	}
	met := newSet(p.attempt.members())
	for i := range p.peers {
		met.add(p.peers[i].member)
	}
	for j := range p.chosen.all() {
		if sharers.has(j) && !met.has(j) {
			return ErrNeighbour.At("member %d shared without having chosen", j)
		}
	}
	if holders := p.chosen.countBoth(sharers); holders < p.attempt.Threshold {
		return ErrHolders.At("phase upload: %d of at least %d", holders, p.attempt.Threshold)
	}
	p.sharers = bytes.Clone(sharers)
	return nil
}

// unpack verifies one neighbour's part, adds the mask of the edge and keeps the
// shares. Shares that do not open are the sender's fault, under its signature:
// they are left out, and the answer of phase unmask says so by leaving the owner
// out. Anything else that does not fit was changed on the way: the coordinator
// had to refuse it from its sender.
func (p *party) unpack(from *peer, b []byte) error {
	context := p.attempt.Context
	m, err := decodeParcel(b)
	if err != nil {
		return err
	}
	root, ok := rootOf(m.part, m.place, m.path)
	if !ok {
		return ErrPart.At("member %d", from.member)
	}
	if err := p.verify(from.member, m.signature, labelShare, p.root[:], root[:]); err != nil {
		return err
	}
	in, err := decodePart(m.part, p.attempt.members())
	if err != nil {
		return err
	}
	if !in.fits(from.member, p.self, from.owner) {
		return ErrPart.At("member %d", from.member)
	}
	low, high := min(p.self, from.member), max(p.self, from.member)
	secret := from.secret
	if from.member == low {
		secret = decapsulate(p.own.mask, in.mask)
	}
	p.masks = append(p.masks, expansion{pairKey(context, low, high, &secret), p.self == high})
	clear(secret[:])
	if !from.owner {
		return nil
	}
	channel := decapsulate(p.own.channel, in.channel)
	aead, data := shareBox(context, from.member, p.self, p.root, &channel)
	clear(channel[:])
	plain, err := aead.Open(nil, shareNonce[:], in.box, data)
	if err != nil {
		return nil
	}
	defer clear(plain)
	z, errZ := shamir.Parse(plain[:keySize])
	b2, errB := shamir.Parse(plain[keySize:])
	if errZ == nil && errB == nil {
		p.held = append(p.held, holding{owner: from.member, z: z, b: b2})
	}
	return nil
}
