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

// expander makes the common polynomials a_j of one context. They are public. It
// holds scratch and serves one goroutine.
type expander struct {
	block     cipher.Block
	keystream []byte
}

func newExpander(context [32]byte, n int) (*expander, error) {
	key, err := hkdf.Key(sha256.New, context[:], nil, expandInfo, 32)
	if err != nil {
		return nil, ErrArgument.Because(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, ErrArgument.Because(err)
	}
	return &expander{block: block, keystream: make([]byte, 8*n)}, nil
}

// expand fills dst with the NTT-domain values of a_chunk modulo q.
func (x *expander) expand(dst []uint64, q uint64, chunk, limb int) {
	var iv [aes.BlockSize]byte
	binary.BigEndian.PutUint32(iv[:], uint32(chunk))
	binary.BigEndian.PutUint32(iv[4:], uint32(limb))
	stream := cipher.NewCTR(x.block, iv[:])
	for len(dst) > 0 { // once, but for one chunk in millions
		keystream := x.keystream[:8*len(dst)]
		clear(keystream)
		stream.XORKeyStream(keystream, keystream)
		dst = dst[accept(dst, keystream, q):]
	}
}

// accept writes to dst the words of a keystream as long as dst that are below q, 53
// bits of each, and returns how many there are. It may also write beyond them.
func accept(dst []uint64, keystream []byte, q uint64) int {
	le := binary.LittleEndian
	var over uint64 // bit 53: some word is not below q
	for i := 0; i+8 <= len(dst) && 8*i+64 <= len(keystream); i += 8 {
		to, from := (*[8]uint64)(dst[i:]), (*[64]byte)(keystream[8*i:])
		for k := range to {
			to[k] = le.Uint64(from[8*k:]) & residueMask
			over |= to[k] + (1<<residueBits - q)
		}
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
