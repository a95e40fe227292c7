package pairwise

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"io"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise/shamir"
	"github.com/cloudflare/circl/kem/xwing"
)

const (
	keySize       = 32
	sealedSize    = 2*keySize + 16 // two scalars and the tag of AES-256-GCM
	publicKeySize = xwing.PublicKeySize
	kemSize       = xwing.CiphertextSize
)

// A key is a symmetric key. Secret.
type key [keySize]byte

// derive is HKDF-SHA256 (RFC 5869) without salt. The info is a digest over the
// label, the context and who the value is for, so that no two values of one
// secret coincide and none is of use in another attempt.
func derive(secret []byte, size int, label string, context secagg.Digest, parts ...[]byte) []byte {
	info := secagg.Hash("pairwise/1 "+label, append([][]byte{context[:]}, parts...)...)
	out, err := hkdf.Key(sha256.New, secret, nil, string(info[:]), size)
	if err != nil {
		panic("pairwise: HKDF: " + err.Error()) //nolint:forbidigo // sizes are constants far below HKDF's limit
	}
	return out
}

// index encodes a member for a derivation or a digest.
func index(member int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(member)) }

// point is where a holder's shares lie: never zero.
func point(holder int) shamir.Point { return shamir.Point(holder + 1) }

// commitSelfMask is H(b), by which a rebuilt b is recognised. b is a uniform
// 256-bit value, so its hash hides it.
func commitSelfMask(context secagg.Digest, owner int, b *shamir.Scalar) secagg.Digest {
	return secagg.Hash("pairwise/1 self mask commitment", context[:], index(owner), b[:])
}

// masked is what a commit frame confirms beside the upload's bytes: the members
// that shared, as its signer was told. The upload bears a mask towards each of
// them that is a neighbour.
func masked(list secagg.Digest, sharers set) secagg.Digest {
	return secagg.Hash("pairwise/1 masked", list[:], sharers)
}

// selfMaskKey keys the stream that masks the owner's vector on its own.
func selfMaskKey(context secagg.Digest, owner int, b *shamir.Scalar) key {
	return key(derive(b[:], keySize, "self mask", context, index(owner)))
}

// maskKeyPair derives the owner's mask key pair from its scalar z.
func maskKeyPair(context secagg.Digest, owner int, z *shamir.Scalar) (*xwing.PrivateKey, []byte) {
	seed := derive(z[:], xwing.SeedSize, "mask key", context, index(owner))
	defer clear(seed)
	return keyPair(seed)
}

// channelKeyPair draws a key pair from fresh coins: never shared, never rebuilt.
func channelKeyPair(coins io.Reader) (*xwing.PrivateKey, []byte, error) {
	seed := make([]byte, xwing.SeedSize)
	defer clear(seed)
	if _, err := io.ReadFull(coins, seed); err != nil {
		return nil, nil, ErrCoins.Because(err)
	}
	sk, pk := keyPair(seed)
	return sk, pk, nil
}

func keyPair(seed []byte) (*xwing.PrivateKey, []byte) {
	sk, pk := xwing.DeriveKeyPair(seed)
	packed := make([]byte, publicKeySize)
	pk.Pack(packed)
	return sk, packed
}

// parseKey unpacks an advertised public key, of exactly publicKeySize bytes.
func parseKey(packed []byte) (*xwing.PublicKey, error) {
	var pk xwing.PublicKey
	if err := pk.Unpack(packed); err != nil {
		return nil, ErrMessage.At("public key").Because(err)
	}
	return &pk, nil
}

// encapsulateMask makes the pair secret of the edge from < to, from's side. Its
// coins follow from z, so that whoever rebuilds z of a member that dropped out
// also rebuilds the secrets that this member encapsulated.
func encapsulateMask(context secagg.Digest, from, to int, z *shamir.Scalar, pk *xwing.PublicKey, packed []byte) (secret key, ciphertext []byte) {
	digest := sha256.Sum256(packed)
	coins := derive(z[:], xwing.EncapsulationSeedSize, "encap", context, index(from), index(to), digest[:])
	defer clear(coins)
	ciphertext = make([]byte, kemSize)
	pk.EncapsulateTo(ciphertext, secret[:], coins)
	return secret, ciphertext
}

// decapsulate returns the secret in a ciphertext of exactly kemSize bytes. A
// ciphertext that was not made for sk gives an unrelated secret.
func decapsulate(sk *xwing.PrivateKey, ciphertext []byte) (secret key) {
	sk.DecapsulateTo(secret[:], ciphertext)
	return secret
}

// pairKey keys the stream that hides the edge low < high: low adds it, high
// subtracts it.
func pairKey(context secagg.Digest, low, high int, secret *key) key {
	return key(derive(secret[:], keySize, "pair mask", context, index(low), index(high)))
}

// shareBox returns the AEAD for the shares that from sends to to, and its
// associated data, which also binds the agreed list of advertisements.
func shareBox(context secagg.Digest, from, to int, list secagg.Digest, secret *key) (cipher.AEAD, []byte) {
	k := derive(secret[:], keySize, "shares", context, index(from), index(to))
	defer clear(k)
	block, err := aes.NewCipher(k)
	if err != nil {
		panic("pairwise: AES: " + err.Error()) //nolint:forbidigo // the key has 32 bytes
	}
	box, err := cipher.NewGCM(block)
	if err != nil {
		panic("pairwise: GCM: " + err.Error()) //nolint:forbidigo // AES has the block size it needs
	}
	data := secagg.Hash("pairwise/1 shares", context[:], index(from), index(to), list[:])
	return box, data[:]
}

// shareNonce is zero because each key of a shareBox seals one message only: the
// encapsulated secret is fresh for every sender, receiver and attempt.
var shareNonce [12]byte
