package field

import (
	"encoding/binary"
	"fmt"
)

// Limits of ring vectors.
const (
	// MinWordBits and MaxWordBits bound w, the width of a word on the wire.
	MinWordBits = 8
	MaxWordBits = 32

	// MaxWords is the most words a vector may have: at w = 32 it is 1 GiB,
	// whose length fits an int on every platform.
	MaxWords = 1 << 28
)

// PackedLen is the number of bytes that n words of w bits take: n*w/8 rounded
// up. It is -1 if n is outside [0, MaxWords] or w outside [8, 32].
func PackedLen(n, w int) int {
	if n < 0 || n > MaxWords || w < MinWordBits || w > MaxWordBits {
		return -1
	}
	return n/8*w + (n%8*w+7)/8
}

// Pack writes the words of src, reduced mod 2^w, to dst, which must be exactly
// PackedLen(len(src), w) bytes long.
//
// The order is little-endian throughout: bit k (0 <= k < w) of word i is bit
// (i*w+k)%8 of byte (i*w+k)/8, where bit 0 is the least significant. Spare bits
// of the last byte are zero. At w = 8, 16 and 32 this is the usual
// little-endian array.
//
// A wrong length or width is an [ErrArgument], and then nothing is written.
func Pack(dst []byte, src []uint32, w int) error {
	want := PackedLen(len(src), w)
	if want < 0 || len(dst) != want {
		return fmt.Errorf("%w: Pack: %d words of %d bits into %d bytes, want %d bytes (PackedLen)",
			ErrArgument, len(src), w, len(dst), want)
	}
	switch w {
	case 8:
		for i, v := range src {
			dst[i] = byte(v)
		}
	case 16:
		for len(src) >= 4 && len(dst) >= 8 {
			binary.LittleEndian.PutUint64(dst, uint64(src[0]&0xffff)|uint64(src[1]&0xffff)<<16|
				uint64(src[2]&0xffff)<<32|uint64(src[3])<<48)
			dst, src = dst[8:], src[4:]
		}
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], uint16(v))
		}
	case 32:
		for len(src) >= 4 && len(dst) >= 16 {
			binary.LittleEndian.PutUint64(dst, uint64(src[0])|uint64(src[1])<<32)
			binary.LittleEndian.PutUint64(dst[8:], uint64(src[2])|uint64(src[3])<<32)
			dst, src = dst[16:], src[4:]
		}
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], v)
		}
	default:
		packBits(dst, src, uint(w))
	}
	return nil
}

// packBits is Pack for any w below 32, eight bytes at a time. The low n bits
// of acc, n < 64, are those not yet written.
func packBits(dst []byte, src []uint32, w uint) {
	var acc uint64
	var n uint
	mask := uint64(1)<<w - 1
	for _, v := range src {
		x := uint64(v) & mask
		acc |= x << (n & 63)
		n += w
		if n >= 64 {
			binary.LittleEndian.PutUint64(dst, acc)
			dst = dst[8:]
			n -= 64
			acc = x >> ((w - n) & 63)
		}
	}
	for i := range dst {
		dst[i] = byte(acc)
		acc >>= 8
	}
}

// Unpack reads len(dst) words of w bits from src, the inverse of [Pack]. It
// accepts canonical bytes only, so that packing the result gives src again: a
// src that is not exactly PackedLen(len(dst), w) bytes long, or has a spare bit
// set in its last byte, is an [ErrPacking], and then nothing is written. A w
// outside [8, 32] or more than MaxWords words is an [ErrArgument].
func Unpack(dst []uint32, src []byte, w int) error {
	if err := checkPacked(len(dst), src, w); err != nil {
		return err
	}
	addPacked(dst, src, w, 0)
	return nil
}

// AddPacked adds to dst, as [Add] does, the words that [Unpack] would read
// from src. It has the errors of Unpack, and then leaves dst as it was.
func AddPacked(dst []uint32, src []byte, w int) error {
	if err := checkPacked(len(dst), src, w); err != nil {
		return err
	}
	addPacked(dst, src, w, ^uint32(0))
	return nil
}

// checkPacked reports whether src is the canonical form of n words of w bits.
func checkPacked(n int, src []byte, w int) error {
	want := PackedLen(n, w)
	if want < 0 {
		return fmt.Errorf("%w: %d words of %d bits, want at most %d words of %d to %d bits",
			ErrArgument, n, w, MaxWords, MinWordBits, MaxWordBits)
	}
	if len(src) != want {
		return fmt.Errorf("%w: %d bytes for %d words of %d bits, want exactly %d",
			ErrPacking, len(src), n, w, want)
	}
	if used := n % 8 * w % 8; used != 0 && src[want-1]>>used != 0 {
		return fmt.Errorf("%w: spare bits of the last of %d bytes are not zero", ErrPacking, want)
	}
	return nil
}

// addPacked sets each word of dst to (word & keep) + (word of src): it unpacks
// with keep = 0 and adds with keep all ones. src has been checked.
func addPacked(dst []uint32, src []byte, w int, keep uint32) {
	switch w {
	case 8:
		src = src[:len(dst)]
		for i, v := range src {
			dst[i] = dst[i]&keep + uint32(v)
		}
	case 16:
		for len(dst) >= 4 && len(src) >= 8 {
			a := binary.LittleEndian.Uint64(src)
			dst[0] = dst[0]&keep + uint32(a&0xffff)
			dst[1] = dst[1]&keep + uint32(a>>16&0xffff)
			dst[2] = dst[2]&keep + uint32(a>>32&0xffff)
			dst[3] = dst[3]&keep + uint32(a>>48)
			dst, src = dst[4:], src[8:]
		}
		for i := range dst {
			dst[i] = dst[i]&keep + uint32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case 32:
		for len(dst) >= 4 && len(src) >= 16 {
			a, b := binary.LittleEndian.Uint64(src), binary.LittleEndian.Uint64(src[8:])
			dst[0] = dst[0]&keep + uint32(a)
			dst[1] = dst[1]&keep + uint32(a>>32)
			dst[2] = dst[2]&keep + uint32(b)
			dst[3] = dst[3]&keep + uint32(b>>32)
			dst, src = dst[4:], src[16:]
		}
		for i := range dst {
			dst[i] = dst[i]&keep + binary.LittleEndian.Uint32(src[4*i:])
		}
	default:
		addPackedBits(dst, src, w, keep)
	}
}

// addPackedBits is addPacked for any w below 32. Each word is read from the
// eight bytes that begin with its first bit's: 7 + 31 bits are below 64.
func addPackedBits(dst []uint32, src []byte, w int, keep uint32) {
	groups := max(0, len(src)-8) / w // of eight words, w bytes, with eight bytes after
	addPackedWindows(dst[:8*groups], src, w, keep)
	dst, src = dst[8*groups:], src[groups*w:]
	var tail [48]byte // what is left, fewer than 31 + 8 bytes, then zeros
	copy(tail[:], src)
	addPackedWindows(dst, tail[:], w, keep)
}

// addPackedWindows is the loop of addPackedBits; src has the eight bytes of
// every word.
func addPackedWindows(dst []uint32, src []byte, w int, keep uint32) {
	mask := uint32(1)<<w - 1
	pos := uint64(0) // in bits, up to 2^33
	for i := range dst {
		first := pos >> 3
		a := binary.LittleEndian.Uint64(src[first : first+8])
		dst[i] = dst[i]&keep + uint32(a>>(pos&7))&mask
		pos += uint64(w)
	}
}
