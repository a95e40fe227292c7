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
	n       int
	// The nodes of the transforms; see transform.go. Of backward the first one, and
	// its children if they share its pass, are divided by N.
	forward, backward []roots
	nInv              root // N^-1
	last              root // that of the first node of backward, not divided
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
	l := limb{q: p.q, qInv: ring.MRedConstant(p.q), fold: 1<<residueBits - p.q, n: n}
	l.mont = ring.MForm(ring.MForm(1, p.q, barrett), p.q, barrett)
	l.nInv = l.root(ring.ModExp(uint64(n), p.q-2, p.q))
	l.forward = l.nodes(p.psi)
	l.backward = l.nodes(ring.ModExp(p.psi, p.q-2, p.q))
	divided := func(r root) root { return l.root(ring.BRed(r.w, l.nInv.w, p.q, barrett)) }
	first := &l.backward[1]
	l.last = first.self
	*first = roots{divided(first.self), divided(first.left), divided(first.right)}
	return l
}

// nodes are the powers of psi: that of node k has the binary digits of k reversed.
func (l *limb) nodes(psi uint64) []roots {
	powers, shift := make([]root, l.n), 64-bits.Len(uint(l.n-1))
	barrett := ring.BRedConstant(l.q)
	for j, w := 0, uint64(1); j < l.n; j++ {
		powers[bits.Reverse64(uint64(j))>>shift] = l.root(w)
		w = ring.BRed(w, psi, l.q, barrett)
	}
	out := make([]roots, l.n/2)
	for k := range out {
		out[k] = roots{powers[k], powers[2*k], powers[2*k+1]}
	}
	return out
}

// reduce brings any x to [0, q), without branches.
func (l *limb) reduce(x uint64) uint64 {
	x = x&residueMask + x>>residueBits*l.fold - l.q // below 2^53 + 2^30 - q
	return x + l.q&-(x>>63)
}

// key writes to dst the NTT of small signed values, times 2^64 mod q: an operand of
// [ring.MRedLazy]. Each |value| is below q.
func (l *limb) key(dst []uint64, values []int32) {
	for i, v := range values {
		dst[i] = l.q + uint64(int64(v))
	}
	l.transform(dst)
	for i, x := range dst {
		dst[i] = l.reduce(ring.MRedLazy(x, l.mont, l.q, l.qInv))
	}
}
