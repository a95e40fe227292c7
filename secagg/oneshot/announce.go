package oneshot

import (
	"bytes"
	"crypto/ed25519"
	"io"

	"github.com/choir-fl/choir/secagg"
)

// announcement is what a committee member says before the context is fixed: the
// key that clients encrypt to, and a commitment to the nonce of this attempt.
type announcement struct {
	epoch      uint64
	key        []byte // X-Wing public key, packed: unpacked it takes 6 kB
	commitment []byte
	signature  []byte // over the above, the round and the committee
}

// signed is what the member signs; in place of the context, which is not known
// yet, stands the committee's root.
func (m *announcement) signed(round secagg.RoundID) [][]byte {
	var e secagg.Encoder
	e.Uint(1, m.epoch)
	return [][]byte{round.Encode(), e.Encoded(), m.key, m.commitment}
}

func (m *announcement) encode() []byte {
	var e secagg.Encoder
	e.Uint(1, m.epoch)
	e.Bytes(2, m.key)
	e.Bytes(3, m.commitment)
	e.Bytes(4, m.signature)
	return e.Encoded()
}

func decodeAnnouncement(b []byte) (m announcement, err error) {
	d := secagg.NewDecoder(b)
	m = announcement{epoch: d.Uint(1), key: d.Bytes(2), commitment: d.Bytes(3), signature: d.Bytes(4)}
	return m, closed(d, m.epoch > 0 && len(m.key) == publicKeySize && len(m.commitment) == len(secagg.Digest{}) &&
		len(m.signature) == signatureSize, "announcement")
}

// commitNonce is what a member publishes of its nonce before the context is fixed.
func commitNonce(round secagg.RoundID, member int, nonce []byte) secagg.Digest {
	return secagg.Hash("oneshot/1 nonce", round.Encode(), index(member), nonce)
}

// CheckAnnouncement implements secagg.CommitteeServer.
func (Scheme) CheckAnnouncement(round secagg.RoundID, c secagg.Committee, member int, body []byte) error {
	_, err := checkAnnouncement(round, c, member, body)
	return err
}

func checkAnnouncement(round secagg.RoundID, c secagg.Committee, member int, body []byte) (announcement, error) {
	if member < 0 || member >= c.Len() {
		return announcement{}, ErrAnnouncement.At("member %d of %d", member, c.Len())
	}
	m, err := decodeAnnouncement(body)
	if err == nil {
		_, err = parseKey(m.key)
	}
	if err == nil {
		err = c.At(member).VerifyStatement(m.signature, labelAnnounce, c.Root(), m.signed(round)...)
	}
	if err != nil {
		return announcement{}, ErrAnnouncement.At("round %s, member %q", round, c.At(member).ID).Because(err)
	}
	return m, nil
}

// announce builds a member's announcement, which its keys and nonce determine.
func announce(round secagg.RoundID, c secagg.Committee, self int, sign ed25519.PrivateKey, epoch secagg.EpochSeed, nonce []byte) []byte {
	_, public := epochKey(epoch.Seed)
	commitment := commitNonce(round, self, nonce)
	m := announcement{epoch: epoch.Number, key: public, commitment: commitment[:]}
	m.signature = secagg.Sign(sign, labelAnnounce, c.Root(), m.signed(round)...)
	return m.encode()
}

// Announce implements secagg.CommitteeScheme. It refuses an attempt beyond the
// last: each attempt draws another partition.
func (Scheme) Announce(round secagg.RoundID, c secagg.Committee, self int, keys secagg.DecryptorKeys, coins io.Reader) (secagg.Reply, error) {
	if round.Attempt < 1 || round.Attempt > MaxAttempts {
		return secagg.Reply{}, ErrParameters.At("attempt %d of at most %d", round.Attempt, MaxAttempts)
	}
	if err := checkKeys(c, self, keys); err != nil {
		return secagg.Reply{}, err
	}
	if len(keys.Epochs) == 0 || coins == nil {
		return secagg.Reply{}, secagg.ErrSession.At("member %q has no epoch key or no coins", c.At(self).ID)
	}
	r := record{round: round, self: self, epoch: keys.Epochs[len(keys.Epochs)-1].Number, nonce: make([]byte, nonceSize)}
	if _, err := io.ReadFull(coins, r.nonce); err != nil {
		return secagg.Reply{}, ErrCoins.Because(err)
	}
	return secagg.Reply{Message: announce(round, c, self, keys.Sign, keys.Epochs[len(keys.Epochs)-1], r.nonce), Record: r.encode()}, nil
}

// checkKeys refuses keys that are not the member's.
func checkKeys(c secagg.Committee, self int, keys secagg.DecryptorKeys) error {
	if self < 0 || self >= c.Len() || len(keys.Sign) != ed25519.PrivateKeySize {
		return secagg.ErrSession.At("member %d of a committee of %d", self, c.Len())
	}
	if me := c.At(self); !bytes.Equal(me.Key[:], keys.Sign[ed25519.PrivateKeySize-ed25519.PublicKeySize:]) {
		return secagg.ErrSession.At("member %q has another key", me.ID)
	}
	for _, e := range keys.Epochs {
		if e.Number == 0 {
			return secagg.ErrSession.At("member %q has a key of epoch 0", c.At(self).ID)
		}
	}
	return nil
}

// epochSeed returns the seed of an epoch, if it is still there.
func epochSeed(keys secagg.DecryptorKeys, number uint64) (secagg.EpochSeed, bool) {
	for _, e := range keys.Epochs {
		if e.Number == number {
			return e, true
		}
	}
	return secagg.EpochSeed{}, false
}
