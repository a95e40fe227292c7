package rlwe

import (
	"encoding/binary"
	"io"
	"math/bits"
)

// A law is a discrete Gaussian of mean 0, cut, as cumulative table: entry k is
// 2^64 P(|x| > k), rounded to the nearest integer, and 0 from the cut on.
type law [errorBound]uint64

// secretLaw has sigma 4.5 and is cut at 36.
var secretLaw = law{
	0xe94dfb6026ec2760, 0xbd0558db945eb458, 0x93e61d73df4c51a1, 0x6f8d847ac3e2b3d0,
	0x50f9d0769babedb8, 0x387de12cac4f1048, 0x25d4bd6b5ce6f0e7, 0x184b3fbb00e4bdda,
	0x0ef266da00d12431, 0x08cdcd06b0c410ac, 0x04f6126e6554ac52, 0x02ac5b9de9105ce3,
	0x01606cfc741d18f4, 0x00ad61084d29a146, 0x00517411b1e51680, 0x00248800df5cec09,
	0x000fa2f1c725f59b, 0x000662cd551079d7, 0x00027ce43f1e8a92, 0x0000eca4dce41aa2,
	0x000053d86f3fa34f, 0x00001c52de5a4b78, 0x0000091efffcac4b, 0x000002ccbb0033e9,
	0x000000d1ad0213a0, 0x0000003a746f69aa, 0x0000000f87522a14, 0x00000003ee354862,
	0x00000000f2a58469, 0x0000000037be82f2, 0x000000000c32f9ee, 0x00000000028aee84,
	0x00000000008126ef, 0x0000000000185357, 0x00000000000447c9, 0x000000000000a1cd,
}

// errorLaw has sigma 4.5*sqrt(2) = 6.36396... and is cut at 51.
var errorLaw = law{
	0xeff3b26353040e5c, 0xd03fe80e3e0ad542, 0xb1b333e0196e438c, 0x94faa904e5692723,
	0x7aa2d7501fa41b45, 0x631034df4ddc6dd6, 0x4e7be1330ce340fd, 0x3cf4b95f51aefe12,
	0x2e641ed4ed6b55b5, 0x2295665ef4a5edc9, 0x193eb13cd1ef3667, 0x1209f7afed6facae,
	0x0c9d406c0b61342e, 0x08a1516c4cc16f73, 0x05c680f2f01b326d, 0x03c79fa9d5a229f2,
	0x026b333eb1e116a4, 0x01835e59ea020266, 0x00ece04c5604d6cd, 0x008d913d12e99856,
	0x0052addb2ceef688, 0x002f2e7171eaf735, 0x001a4e2acd12cc63, 0x000e53dede7c86be,
	0x00079f7adf7035b9, 0x0003f62524f22d4d, 0x000202be489b425b, 0x0000ff282383f871,
	0x00007b841277688d, 0x00003a62fb239641, 0x00001af329a11e28, 0x00000c255b7d4aac,
	0x000005583915bc4f, 0x0000024bcf695406, 0x000000f68b4ac192, 0x00000064f3a5fb86,
	0x000000285a796ae0, 0x0000000fbf11fa2d, 0x00000005ff786c3f, 0x000000023aea47fa,
	0x00000000cf345ee4, 0x000000004967261a, 0x0000000019616b8e, 0x000000000890b958,
	0x0000000002d22e0c, 0x0000000000e812d5, 0x000000000048b6af, 0x000000000016292e,
	0x00000000000683f4, 0x000000000001ca9e, 0x0000000000006661,
}

// coinBytes is what n samples, a multiple of 8, take from the coins.
func coinBytes(n int) int { return n/8 + 8*n }

// sampler draws from laws. It holds scratch and serves one goroutine.
type sampler struct{ coins []byte }

// sample fills dst, whose length is a multiple of 8. It takes coinBytes(len(dst))
// bytes: first the signs, that of sample i in bit i%8 of byte i/8 (set: negative),
// then a 64-bit little-endian word u for each sample, whose magnitude is the
// number of tails above u. Each word is compared with the whole table.
func (s *sampler) sample(dst []int32, l *law, coins io.Reader) error {
	need := coinBytes(len(dst))
	if len(s.coins) < need {
		s.coins = make([]byte, need)
	}
	buffer := s.coins[:need]
	defer clear(buffer)
	if _, err := io.ReadFull(coins, buffer); err != nil {
		return ErrCoins.Because(err)
	}
	signs, words := buffer[:len(dst)/8], buffer[len(dst)/8:]
	l.count(dst, words)
	for _, b := range signs {
		group := (*[8]int32)(dst)
		for i, magnitude := range group {
			sign := -int32(b >> i & 1)
			group[i] = (magnitude ^ sign) - sign
		}
		dst = dst[8:]
	}
	return nil
}

// count sets each value of dst to the number of tails above its word, four at a time.
func (l *law) count(dst []int32, words []byte) {
	le := binary.LittleEndian
	for len(dst) >= 4 && len(words) >= 32 {
		to, from := (*[4]int32)(dst), (*[32]byte)(words)
		m, n, o, p := l.above(le.Uint64(from[:]), le.Uint64(from[8:]), le.Uint64(from[16:]), le.Uint64(from[24:]))
		to[0], to[1], to[2], to[3] = int32(m), int32(n), int32(o), int32(p)
		dst, words = dst[4:], words[32:]
	}
}

// above counts the tails above each of four words, as many as fill the processor: of
// those t there is a carry in t + (2^64 - 1 - u).
func (l *law) above(u, v, w, x uint64) (m, n, o, p uint64) {
	u, v, w, x = ^u, ^v, ^w, ^x
	for k := 0; k < len(l); k += 3 { // 51 entries
		m, n = compare(l[k], u, v, m, n)
		o, p = compare(l[k], w, x, o, p)
		m, n = compare(l[k+1], u, v, m, n)
		o, p = compare(l[k+1], w, x, o, p)
		m, n = compare(l[k+2], u, v, m, n)
		o, p = compare(l[k+2], w, x, o, p)
	}
	return m, n, o, p
}

// compare adds to m and n the carries of tail + u and tail + v.
func compare(tail, u, v, m, n uint64) (uint64, uint64) {
	_, carry := bits.Add64(tail, u, 0)
	m, _ = bits.Add64(m, 0, carry)
	_, carry = bits.Add64(tail, v, 0)
	n, _ = bits.Add64(n, 0, carry)
	return m, n
}

// NewSecret draws the secret of one client for one attempt: N values, discrete
// Gaussian of sigma 4.5 cut at 36, in constant time. It takes N/8 + 8N bytes of
// coins in one read; a failing read is an [ErrCoins]. The caller erases the secret.
func (p Parameters) NewSecret(coins io.Reader) ([]int32, error) {
	if p.set == nil {
		return nil, ErrArgument.At("secret of unchecked parameters")
	}
	secret := make([]int32, p.N())
	if err := new(sampler).sample(secret, &secretLaw, coins); err != nil {
		return nil, err
	}
	return secret, nil
}
