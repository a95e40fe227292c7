package filestate

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

const (
	boxVersion = 1
	nonceSize  = 12
	boxExtra   = 1 + nonceSize + 16 // what a box is longer than its content
)

// Key derives the key of a member's state from its signing key (HKDF-SHA256).
func Key(sign ed25519.PrivateKey) ([]byte, error) {
	return hkdf.Key(sha256.New, sign.Seed(), nil, "choir decryptor state/1", KeySize)
}

// box seals files: version byte, random nonce, AES-256-GCM ciphertext and tag. A
// file's name is associated data, so that one cannot take another's place. Random
// nonces of 96 bits allow 2^32 files under a key, more than a member ever writes.
type box struct{ aead cipher.AEAD }

func newBox(key []byte) (box, error) {
	if len(key) != KeySize {
		return box{}, ErrKey.At("%d bytes, expected %d", len(key), KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return box{}, err
	}
	aead, err := cipher.NewGCM(block)
	return box{aead}, err
}

func label(name string) []byte { return []byte("choir decryptor state/1\x00" + name) }

func (b box) seal(name string, content []byte) []byte {
	out := make([]byte, 1+nonceSize, boxExtra+len(content))
	out[0] = boxVersion
	_, _ = rand.Read(out[1:]) // never fails
	return b.aead.Seal(out, out[1:1+nonceSize], content, label(name))
}

func (b box) open(name string, sealed []byte) ([]byte, bool) {
	if len(sealed) < boxExtra || sealed[0] != boxVersion {
		return nil, false
	}
	content, err := b.aead.Open(nil, sealed[1:1+nonceSize], sealed[1+nonceSize:], label(name))
	return content, err == nil
}
