package rlwe

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// The package again, after its manual and as plainly as can be: big integers,
// polynomials evaluated one root at a time. What is fast is held against it.

func mulMod(a, b, q uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	_, r := bits.Div64(hi%q, lo, q)
	return r
}

func powMod(a, e, q uint64) uint64 {
	r := uint64(1)
	for ; e > 0; e >>= 1 {
		if e&1 == 1 {
			r = mulMod(r, a, q)
		}
		a = mulMod(a, a, q)
	}
	return r
}

// slowTransform evaluates f at psi^(2*r+1), for place i with r = i in reversed binary digits.
func slowTransform(f []uint64, p prime) []uint64 {
	n := len(f)
	out := make([]uint64, n)
	for i := range out {
		r := uint64(bits.Reverse64(uint64(i)) >> (64 - bits.Len(uint(n-1))))
		x, y := powMod(p.psi, 2*r+1, p.q), uint64(0)
		for j := n - 1; j >= 0; j-- {
			y = (mulMod(y, x, p.q) + f[j]) % p.q
		}
		out[i] = y
	}
	return out
}

func slowResidues(values []*big.Int, q uint64) []uint64 {
	out := make([]uint64, len(values))
	modulus := new(big.Int).SetUint64(q)
	for i, v := range values {
		out[i] = new(big.Int).Mod(v, modulus).Uint64()
	}
	return out
}

func slowExpand(t testing.TB, context [32]byte, n int, q uint64, chunk, limb uint32) []uint64 {
	key, err := hkdf.Key(sha256.New, context[:], nil, "choir oneshot a/1", 32)
	require.NoError(t, err)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	iv := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, chunk), limb), 0)
	stream := cipher.NewCTR(block, iv)
	var out []uint64
	for len(out) < n {
		var word [8]byte
		stream.XORKeyStream(word[:], word[:])
		if r := binary.LittleEndian.Uint64(word[:]) % (1 << 53); r < q {
			out = append(out, r)
		}
	}
	return out
}

func slowSample(coins []byte, n int, l *law) []*big.Int {
	out := make([]*big.Int, n)
	for i := range out {
		u, magnitude := binary.LittleEndian.Uint64(coins[n/8+8*i:]), int64(0)
		for _, tail := range l {
			if u < tail {
				magnitude++
			}
		}
		if coins[i/8]>>(i%8)&1 == 1 {
			magnitude = -magnitude
		}
		out[i] = big.NewInt(magnitude)
	}
	return out
}

// slowPack writes numbers of so many bits, the first one lowest.
func slowPack(values []uint64, width uint, size int) []byte {
	all := new(big.Int)
	for i := len(values) - 1; i >= 0; i-- {
		all.Add(all.Lsh(all, width), new(big.Int).SetUint64(values[i]))
	}
	out := all.FillBytes(make([]byte, size))
	for i, j := 0, size-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

func slowSeal(t testing.TB, p Parameters, context [32]byte, secret []int32, coins []byte, chunk int, words []uint32) []byte {
	n := p.N()
	s, m := make([]*big.Int, n), slowSample(coins, n, &errorLaw)
	for j := range n {
		s[j] = big.NewInt(int64(secret[j]))
		for k := range p.Slots() {
			if i := j*p.Slots() + k; i < len(words) {
				word := new(big.Int).SetUint64(uint64(words[i]))
				m[j].Add(m[j], word.Lsh(word, uint(p.Kappa()+k*p.Width())))
			}
		}
	}
	var out []byte
	for i, prime := range p.set.primes {
		a := slowExpand(t, context, n, prime.q, uint32(chunk), uint32(i))
		sHat := slowTransform(slowResidues(s, prime.q), prime)
		c := slowTransform(slowResidues(m, prime.q), prime)
		for j := range c {
			c[j] = (c[j] + mulMod(a[j], sHat[j], prime.q)) % prime.q
		}
		out = append(out, slowPack(c, 53, 53*n/8)...)
	}
	return out
}
