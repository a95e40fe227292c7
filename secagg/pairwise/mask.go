package pairwise

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"github.com/choir-fl/choir/secagg"
)

// A mask is the AES-256-CTR keystream of its key from counter zero, read as
// little-endian 32-bit words, one for each word of the vector. Words are reduced
// mod 2^w where they are packed. A key masks one vector of one attempt, so the
// counter may start at zero.

// expansion is one mask and whether it is subtracted. Secret.
type expansion struct {
	key      key
	subtract bool
}

// eraseExpansions destroys the keys.
func eraseExpansions(es []expansion) { clear(es[:cap(es)]) }

// stream is an expansion in progress. The cipher's expanded key cannot be
// erased; it is left to the collector when the vector is done.
type stream struct {
	cipher.Stream
	subtract bool
}

const wordSize = 4

// open starts the expansion at a word whose position is a multiple of four.
func (x *expansion) open(firstWord int) stream {
	block, err := aes.NewCipher(x.key[:])
	if err != nil {
		panic("pairwise: AES: " + err.Error()) //nolint:forbidigo // the key has 32 bytes
	}
	var counter [aes.BlockSize]byte
	binary.BigEndian.PutUint64(counter[8:], uint64(firstWord)*wordSize/aes.BlockSize)
	return stream{cipher.NewCTR(block, counter[:]), x.subtract}
}

// blockWords is how many words of all streams are applied before the next words
// are: vector, keystream and zeros of a block stay in the first-level cache.
const blockWords = 2048

// masker applies streams to words. The zero value is ready; it holds only
// scratch, to be erased after use.
type masker struct {
	keystream, zeros [blockWords * wordSize]byte
}

// apply advances all streams by len(dst) words and adds them to dst, mod 2^32,
// or subtracts them. dst has a multiple of four words unless the streams end there.
func (m *masker) apply(dst []uint32, streams []stream) {
	for len(dst) > 0 {
		block := dst[:min(blockWords, len(dst))]
		dst = dst[len(block):]
		ks := m.keystream[:wordSize*len(block)]
		for i := range streams {
			streams[i].XORKeyStream(ks, m.zeros[:len(ks)])
			if streams[i].subtract {
				subKeystream(block, ks)
			} else {
				addKeystream(block, ks)
			}
		}
	}
}

func (m *masker) erase() { clear(m.keystream[:]) }

func addKeystream(dst []uint32, ks []byte) {
	for len(dst) >= 8 && len(ks) >= 32 {
		a, b := binary.LittleEndian.Uint64(ks), binary.LittleEndian.Uint64(ks[8:])
		c, d := binary.LittleEndian.Uint64(ks[16:]), binary.LittleEndian.Uint64(ks[24:])
		dst[0] += uint32(a)
		dst[1] += uint32(a >> 32)
		dst[2] += uint32(b)
		dst[3] += uint32(b >> 32)
		dst[4] += uint32(c)
		dst[5] += uint32(c >> 32)
		dst[6] += uint32(d)
		dst[7] += uint32(d >> 32)
		dst, ks = dst[8:], ks[32:]
	}
	for i := range dst {
		dst[i] += binary.LittleEndian.Uint32(ks[wordSize*i:])
	}
}

func subKeystream(dst []uint32, ks []byte) {
	for len(dst) >= 8 && len(ks) >= 32 {
		a, b := binary.LittleEndian.Uint64(ks), binary.LittleEndian.Uint64(ks[8:])
		c, d := binary.LittleEndian.Uint64(ks[16:]), binary.LittleEndian.Uint64(ks[24:])
		dst[0] -= uint32(a)
		dst[1] -= uint32(a >> 32)
		dst[2] -= uint32(b)
		dst[3] -= uint32(b >> 32)
		dst[4] -= uint32(c)
		dst[5] -= uint32(c >> 32)
		dst[6] -= uint32(d)
		dst[7] -= uint32(d >> 32)
		dst, ks = dst[8:], ks[32:]
	}
	for i := range dst {
		dst[i] -= binary.LittleEndian.Uint32(ks[wordSize*i:])
	}
}

// knownAnswers is how many words follow each vector whose sum is known before
// it is opened. They find wrong masks, not attackers.
const knownAnswers = 4

// knownAnswer returns the words that every member appends.
func knownAnswer(context secagg.Digest) (out [knownAnswers]uint32) {
	digest := secagg.Hash("pairwise/1 known answer", context[:])
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(digest[wordSize*i:])
	}
	return out
}
