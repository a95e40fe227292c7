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

// addResidues adds the numbers of one limb to acc, without reduction, and reports as
// inField does whether all are below its prime.
func addResidues(acc []uint64, src []byte, fold uint64) bool {
	le := binary.LittleEndian
	var over uint64
	for len(acc) >= 8 && len(src) >= groupBytes {
		to, b := (*[8]uint64)(acc), (*[groupBytes]byte)(src)
		r := le.Uint64(b[0:]) & residueMask
		over |= r + fold
		to[0] += r
		r = le.Uint64(b[6:]) >> 5 & residueMask
		over |= r + fold
		to[1] += r
		r = le.Uint64(b[13:]) >> 2 & residueMask
		over |= r + fold
		to[2] += r
		r = le.Uint64(b[19:]) >> 7 & residueMask
		over |= r + fold
		to[3] += r
		r = le.Uint64(b[26:]) >> 4 & residueMask
		over |= r + fold
		to[4] += r
		r = le.Uint64(b[33:]) >> 1 & residueMask
		over |= r + fold
		to[5] += r
		r = le.Uint64(b[39:]) >> 6 & residueMask
		over |= r + fold
		to[6] += r
		r = le.Uint64(b[45:]) >> 11
		over |= r + fold
		to[7] += r
		acc, src = acc[8:], src[groupBytes:]
	}
	return over>>residueBits == 0
}

// subtractResidues undoes addResidues.
func subtractResidues(acc []uint64, src []byte) {
	negate(acc)
	addResidues(acc, src, 0)
	negate(acc)
}

func negate(row []uint64) {
	for i, x := range row {
		row[i] = -x
	}
}
