package rlwe

import "encoding/binary"

// groupBytes is the length of eight residues of 53 bits. As N is a multiple of 8,
// groups are all there is: a chunk ends with a byte and has no spare bits.
const groupBytes = residueBits

// putGroup writes eight residues as a little-endian bit stream.
func putGroup(dst *[groupBytes]byte, r *[8]uint64) {
	le := binary.LittleEndian
	le.PutUint64(dst[0:], r[0]|r[1]<<53)
	le.PutUint64(dst[8:], r[1]>>11|r[2]<<42)
	le.PutUint64(dst[16:], r[2]>>22|r[3]<<31)
	le.PutUint64(dst[24:], r[3]>>33|r[4]<<20)
	le.PutUint64(dst[32:], r[4]>>44|r[5]<<9|r[6]<<62)
	le.PutUint64(dst[40:], r[6]>>2|r[7]<<51)
	le.PutUint64(dst[45:], r[6]>>42|r[7]<<11)
}

// inField reports whether all residues of one limb are below its prime,
// 2^53 - fold: if not, adding fold carries into bit 53.
func inField(src []byte, fold uint64) bool {
	le := binary.LittleEndian
	var over uint64
	for len(src) >= groupBytes {
		b := (*[groupBytes]byte)(src)
		over |= (le.Uint64(b[0:])&residueMask + fold) |
			(le.Uint64(b[6:])>>5&residueMask + fold) |
			(le.Uint64(b[13:])>>2&residueMask + fold) |
			(le.Uint64(b[19:])>>7&residueMask + fold) |
			(le.Uint64(b[26:])>>4&residueMask + fold) |
			(le.Uint64(b[33:])>>1&residueMask + fold) |
			(le.Uint64(b[39:])>>6&residueMask + fold) |
			(le.Uint64(b[45:])>>11 + fold)
		src = src[groupBytes:]
	}
	return over>>residueBits == 0
}

// addResidues adds the numbers of one limb to acc, without reduction.
func addResidues(acc []uint64, src []byte) {
	le := binary.LittleEndian
	for len(acc) >= 8 && len(src) >= groupBytes {
		a, b := (*[8]uint64)(acc), (*[groupBytes]byte)(src)
		a[0] += le.Uint64(b[0:]) & residueMask
		a[1] += le.Uint64(b[6:]) >> 5 & residueMask
		a[2] += le.Uint64(b[13:]) >> 2 & residueMask
		a[3] += le.Uint64(b[19:]) >> 7 & residueMask
		a[4] += le.Uint64(b[26:]) >> 4 & residueMask
		a[5] += le.Uint64(b[33:]) >> 1 & residueMask
		a[6] += le.Uint64(b[39:]) >> 6 & residueMask
		a[7] += le.Uint64(b[45:]) >> 11
		acc, src = acc[8:], src[groupBytes:]
	}
}
