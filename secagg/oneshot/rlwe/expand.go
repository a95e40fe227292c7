package rlwe

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

// expandInfo names the key of the common polynomials.
const expandInfo = "choir oneshot a/1"

// keystreamBytes is how much of it is made at a time: little, to stay in the nearest
// cache, and enough for the processor to encrypt eight blocks at once.
const keystreamBytes = 4096

// expander makes the common polynomials a_j of one context. They are public. It
// holds scratch and serves one goroutine.
type expander struct {
	block     cipher.Block
	keystream []byte
}

func newExpander(context [32]byte) (*expander, error) {
	key, err := hkdf.Key(sha256.New, context[:], nil, expandInfo, 32)
	if err != nil {
		return nil, ErrArgument.Because(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, ErrArgument.Because(err)
	}
	return &expander{block: block, keystream: make([]byte, keystreamBytes)}, nil
}

// expand fills dst with the NTT-domain values of a_chunk modulo q.
func (x *expander) expand(dst []uint64, q uint64, chunk, limb int) {
	var iv [aes.BlockSize]byte
	binary.BigEndian.PutUint32(iv[:], uint32(chunk))
	binary.BigEndian.PutUint32(iv[4:], uint32(limb))
	stream := cipher.NewCTR(x.block, iv[:])
	for len(dst) > 0 {
		part := dst[:min(len(dst), len(x.keystream)/8)]
		keystream := x.keystream[:8*len(part)]
		clear(keystream)
		stream.XORKeyStream(keystream, keystream)
		dst = dst[accept(part, keystream, q):]
	}
}

// accept writes to dst the words of a keystream as long as dst that are below q, 53
// bits of each, and returns how many there are. It may also write beyond them.
func accept(dst []uint64, keystream []byte, q uint64) int {
	le := binary.LittleEndian
	fold := 1<<residueBits - q
	var over uint64 // bit 53: some word is not below q
	for i := 0; i+8 <= len(dst) && 8*i+64 <= len(keystream); i += 8 {
		to, from := (*[8]uint64)(dst[i:]), (*[64]byte)(keystream[8*i:])
		a, b, c, d := le.Uint64(from[0:])&residueMask, le.Uint64(from[8:])&residueMask, le.Uint64(from[16:])&residueMask, le.Uint64(from[24:])&residueMask
		over |= (a + fold) | (b + fold) | (c + fold) | (d + fold)
		to[0], to[1], to[2], to[3] = a, b, c, d
		a, b, c, d = le.Uint64(from[32:])&residueMask, le.Uint64(from[40:])&residueMask, le.Uint64(from[48:])&residueMask, le.Uint64(from[56:])&residueMask
		over |= (a + fold) | (b + fold) | (c + fold) | (d + fold)
		to[4], to[5], to[6], to[7] = a, b, c, d
	}
	if over>>residueBits == 0 && len(dst)%8 == 0 {
		return len(dst)
	}
	n := 0
	for len(keystream) >= 8 {
		dst[n] = le.Uint64(keystream) & residueMask
		if dst[n] < q {
			n++
		}
		keystream = keystream[8:]
	}
	return n
}
