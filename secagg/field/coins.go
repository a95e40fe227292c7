package field

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"io"
)

// Derive gives the 32-byte key of the stream of coins named label under root:
// HKDF-SHA256 (RFC 5869) with root as key material, no salt and label as info.
// Keys of different labels are independent of each other as long as root is
// secret and uniform. The caller erases root and the keys after use.
func Derive(root [32]byte, label string) [32]byte {
	key, err := hkdf.Key(sha256.New, root[:], nil, label, 32)
	if err != nil { // only a length above 255*32 is refused
		panic("field: HKDF of 32 bytes: " + err.Error()) //nolint:forbidigo // sizes are constants
	}
	out := [32]byte(key)
	clear(key)
	return out
}

// Stream is an endless deterministic stream of coins: the AES-256-CTR
// keystream of its key, with a 16-byte big-endian counter from zero. It is an
// [io.Reader]. It serves one goroutine at a time, and a key makes one Stream
// only: two from the same key repeat each other's coins.
//
// A Stream holds the key's schedule until it is collected; Go offers no way to
// erase it, so keep Streams short-lived.
type Stream struct {
	ctr cipher.Stream
}

var _ io.Reader = (*Stream)(nil)

// NewStream starts the stream of coins of key. The caller may erase its copy
// of the key at once.
func NewStream(key [32]byte) *Stream {
	block, err := aes.NewCipher(key[:])
	if err != nil { // only a key of another length is refused
		panic("field: AES with a 32-byte key: " + err.Error()) //nolint:forbidigo // sizes are constants
	}
	clear(key[:])
	return &Stream{ctr: cipher.NewCTR(block, make([]byte, aes.BlockSize))}
}

// Read fills p with the next len(p) bytes. It never fails and never gives
// less, and how reads are cut does not change the bytes.
func (s *Stream) Read(p []byte) (int, error) {
	clear(p)
	s.ctr.XORKeyStream(p, p)
	return len(p), nil
}
