package rlwe

import (
	"math/bits"
	"sync"

	"github.com/tuneinsight/lattigo/v5/ring"
)

// residueBits is the width of a residue; every prime lies within 2^19 below 2^53,
// so 2^53 = fold (mod q) with a fold of 19 bits.
const (
	residueBits = 53
	residueMask = 1<<residueBits - 1
)

// set is one choice of ring.
type set struct {
	name   string
	n      int
	logQ   int // floor of log2 Q, plus one: 2^(logQ-1) < Q < 2^logQ
	primes []prime
	limbs  func() []limb // the tables, made once, never written again
}

// prime is a modulus and the 2N-th root of unity that fixes the order of its transform.
type prime struct{ q, psi uint64 }

var (
	primesM = []prime{{0x1ffffffffb4001, 0x00c6de3d6e8536}, {0x1ffffffffa4001, 0x1eb4f20a488574}}
	primesS = []prime{{0x1ffffffffe1001, 0x16b89b6fa92c12}}

	setM = set{name: "M", n: 4096, logQ: 106, primes: primesM,
		limbs: sync.OnceValue(func() []limb { return makeLimbs(4096, primesM) })}
	setS = set{name: "S", n: 2048, logQ: 53, primes: primesS,
		limbs: sync.OnceValue(func() []limb { return makeLimbs(2048, primesS) })}
)

// limb is arithmetic modulo one prime. It is read only, so goroutines share it:
// of lattigo only functions over words and slices are used, none of its structs.
type limb struct {
	q, qInv uint64 // qInv*q = 1 mod 2^64
	fold    uint64 // 2^53 - q
	mont    uint64 // 2^128 mod q: MRed(x, mont) = x * 2^64 mod q
	nInv    root   // N^-1
	n       int
	// psi^j and psi^-j, at the place whose binary digits are those of j reversed.
	forward, backward []root
}

func makeLimbs(n int, primes []prime) []limb {
	out := make([]limb, len(primes))
	for i, p := range primes {
		out[i] = makeLimb(n, p)
	}
	return out
}

func makeLimb(n int, p prime) limb {
	barrett := ring.BRedConstant(p.q)
	l := limb{q: p.q, qInv: ring.MRedConstant(p.q), fold: 1<<residueBits - p.q, n: n,
		forward: make([]root, n), backward: make([]root, n)}
	l.mont = ring.MForm(ring.MForm(1, p.q, barrett), p.q, barrett)
	l.nInv = l.root(ring.ModExp(uint64(n), p.q-2, p.q))
	psiInv := ring.ModExp(p.psi, p.q-2, p.q)
	shift := 64 - bits.Len(uint(n-1))
	for j, f, b := 0, uint64(1), uint64(1); j < n; j++ {
		at := bits.Reverse64(uint64(j)) >> shift
		l.forward[at], l.backward[at] = l.root(f), l.root(b)
		f, b = ring.BRed(f, p.psi, p.q, barrett), ring.BRed(b, psiInv, p.q, barrett)
	}
	return l
}

// reduce brings any x to [0, q), without branches.
func (l *limb) reduce(x uint64) uint64 {
	x = x&residueMask + x>>residueBits*l.fold - l.q // below 2^53 + 2^30 - q
	return x + l.q&-(x>>63)
}

// key writes to dst the NTT of small signed values times a factor, times 2^64 mod q:
// an operand of [ring.MRedLazy]. Each |value| is below q.
func (l *limb) key(dst []uint64, values []int32, factor uint64) {
	for i, v := range values {
		dst[i] = l.q + uint64(int64(v))
	}
	l.transform(dst)
	factor = ring.MRed(factor, l.mont, l.q, l.qInv)
	factor = ring.MRed(factor, l.mont, l.q, l.qInv)
	for i, x := range dst {
		dst[i] = l.reduce(ring.MRedLazy(x, factor, l.q, l.qInv))
	}
}
