package oneshot

import (
	"io"
	"slices"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot/rlwe"
	"github.com/choir-fl/choir/secagg/oneshot/share"
	"github.com/cloudflare/circl/hpke"
	"github.com/cloudflare/circl/kem"
	"github.com/cloudflare/circl/kem/xwing"
)

// A letter carries a client's shares to one committee member: HPKE (RFC 9180) in
// base mode with X-Wing, HKDF-SHA256 and AES-256-GCM, the encapsulation before the
// ciphertext. info is the context; the associated data names the attempt, sender
// and receiver, and the ciphertext that the shares belong to. So a letter is of no
// use to another client, another member, another upload or another attempt.
const (
	publicKeySize = xwing.PublicKeySize
	kemSize       = xwing.CiphertextSize
	tagSize       = 16
)

func suite() hpke.Suite {
	return hpke.NewSuite(hpke.KEM_XWING, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES256GCM)
}

// letterSize is the exact length of every letter of an attempt.
func letterSize(ring rlwe.Parameters) int {
	return kemSize + letterElements(ring)*share.ElementBytes + tagSize
}

// epochKey is the key pair of an epoch of a committee member.
func epochKey(seed [32]byte) (kem.PrivateKey, []byte) {
	sk, pk := xwing.DeriveKeyPair(seed[:])
	packed := make([]byte, publicKeySize)
	pk.Pack(packed)
	return sk, packed
}

// parseKey unpacks an announced public key.
func parseKey(packed []byte) (kem.PublicKey, error) {
	pk, err := xwing.Scheme().UnmarshalBinaryPublicKey(packed)
	if err != nil {
		return nil, secagg.ErrEncoding.At("public key").Because(err)
	}
	return pk, nil
}

// associated is the associated data of a letter.
func associated(context secagg.Digest, client, member int, ciphertext secagg.Digest) []byte {
	return slices.Concat(context[:], index(client), index(member), ciphertext[:])
}

// sealLetter encrypts a client's shares to a member; it reads 64 bytes of coins.
func sealLetter(pk kem.PublicKey, coins io.Reader, context secagg.Digest, client, member int, ciphertext secagg.Digest, shares []byte) ([]byte, error) {
	sender, err := suite().NewSender(pk, context[:])
	if err != nil {
		return nil, ErrAnnouncement.Because(err)
	}
	enc, sealer, err := sender.Setup(coins)
	if err != nil {
		return nil, ErrCoins.Because(err)
	}
	box, err := sealer.Seal(shares, associated(context, client, member, ciphertext))
	if err != nil {
		return nil, ErrCoins.Because(err)
	}
	return append(enc, box...), nil
}

// openLetter decrypts what sealLetter made. It refuses anything else. The caller
// erases the result.
func openLetter(sk kem.PrivateKey, context secagg.Digest, client, member int, ciphertext secagg.Digest, letter []byte) ([]byte, error) {
	if len(letter) < kemSize {
		return nil, ErrLetter.At("client %d", client)
	}
	receiver, err := suite().NewReceiver(sk, context[:])
	if err != nil {
		return nil, ErrLetter.At("client %d", client).Because(err)
	}
	opener, err := receiver.Setup(letter[:kemSize])
	if err != nil {
		return nil, ErrLetter.At("client %d", client).Because(err)
	}
	shares, err := opener.Open(letter[kemSize:], associated(context, client, member, ciphertext))
	if err != nil {
		return nil, ErrLetter.At("client %d", client).Because(err)
	}
	return shares, nil
}
