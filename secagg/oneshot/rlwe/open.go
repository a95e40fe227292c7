package rlwe

import (
	"math/bits"

	"github.com/tuneinsight/lattigo/v5/ring"
)

// An Opener decrypts the chunks of one sum. It serves one goroutine; workers that
// share a sum have an Opener each.
type Opener struct {
	p        Parameters
	limbs    []limb
	key      [][]uint64 // the sum of the secrets, transformed, a limb each; nil once erased
	garner   garner
	expander *expander

	rows [][]uint64
	a    []uint64
}

// NewOpener takes the context of the sum, the sum of its members' secrets, which
// it copies, and how many members there are, 1 to Clients. It does not ask for two
// honest members, without which opening betrays one: that is the caller's to
// ensure. A sum with a value beyond SecretBound*members is an [ErrKey], another
// length or number of members an [ErrArgument].
func NewOpener(p Parameters, context [32]byte, secretSum []int32, members int) (*Opener, error) {
	if p.set == nil || len(secretSum) != p.N() || members < 1 || members > p.clients {
		return nil, ErrArgument.At("sum of %d values and %d members for an opener of %d values and 1 to %d members", len(secretSum), members, p.N(), p.clients)
	}
	if !bounded(secretSum, secretBound*members) {
		return nil, ErrKey.At("a value is beyond %d for %d members", secretBound*members, members)
	}
	x, err := newExpander(context)
	if err != nil {
		return nil, err
	}
	o := &Opener{p: p, limbs: p.set.limbs(), expander: x, a: make([]uint64, p.N())}
	for i := range o.limbs {
		o.rows = append(o.rows, make([]uint64, p.N()))
		o.key = append(o.key, make([]uint64, p.N()))
		o.limbs[i].key(o.key[i], secretSum)
	}
	first, last := &o.limbs[0], &o.limbs[len(o.limbs)-1]
	o.garner = garner{q0: first.q, q1: last.q, fold: first.fold, half: 1 << (p.kappa - 1), bound: uint64(errorBound * members)}
	if len(o.limbs) == 2 {
		o.garner.inverse = last.root(ring.ModExp(first.q%last.q, last.q-2, last.q))
	}
	return o, nil
}

// Open writes the words of one chunk of the sum to out, which has as many: the
// sums of the members' words, each reduced mod 2^Width.
//
// A coefficient with noise beyond ErrorBound*members, or with more than the slots
// hold, is an [ErrNoise]: this is not the sum of that many honest chunks under
// that key and context. out is then all zero. Words beyond the vector's end are
// not looked at: a client that fills them does no harm.
//
// The sum is only read: openers may run concurrently on it.
func (o *Opener) Open(s *Sum, chunk int, out []uint32) error {
	clear(out)
	switch {
	case o.key == nil:
		return ErrArgument.At("chunk %d: opener was erased", chunk)
	case s.p != o.p:
		return ErrArgument.At("chunk %d: sum and opener have different parameters", chunk)
	case len(out) != o.p.WordsOf(chunk) || len(out) == 0:
		return ErrArgument.At("chunk %d: room for %d words, of %d", chunk, len(out), o.p.WordsOf(chunk))
	case s.spoiled:
		return ErrSnapshot.At("chunk %d: sum was spoiled by an earlier one", chunk)
	}
	row, n := s.chunk(chunk), o.p.N()
	for i := range o.limbs {
		l := &o.limbs[i]
		o.expander.expand(o.a, l.q, chunk, i)
		l.decrypt(o.rows[i], row[i*n:(i+1)*n], o.a, o.key[i])
		l.invert(o.rows[i])
	}
	if !o.decode(out) {
		clear(out)
		return ErrNoise.At("chunk %d", chunk)
	}
	return nil
}

// Erase destroys the key and what was opened last. The opener then refuses to open.
func (o *Opener) Erase() {
	for i := range o.key {
		clear(o.key[i])
		clear(o.rows[i])
	}
	o.key = nil
}

// decrypt writes sum - a*key to dst, below 4q.
func (l *limb) decrypt(dst, sum, a, key []uint64) {
	q, qInv := l.q, l.qInv
	sum, a, key = sum[:len(dst)], a[:len(dst)], key[:len(dst)]
	for i := range dst {
		dst[i] = l.foldOnce(sum[i]) + 2*q - ring.MRedLazy(a[i], key[i], q, qInv)
	}
}

// decode reads the words and reports whether noise and sums are in bounds.
func (o *Opener) decode(out []uint32) bool {
	slots, width, kappa := o.p.slots, uint(o.p.width)&63, uint(o.p.kappa)&63
	x, y := o.rows[0], o.rows[len(o.rows)-1]
	var wrong, over uint64
	full := 0
	if len(o.rows) == 2 && slots == 3 { // the common case
		full = len(out) / 3
		wrong, over = o.decodeThrees(out[:3*full], x[:full], y[:full])
		out = out[3*full:]
	}
	x, y = x[full:], y[full:]
	rest, mask := (64-width)&63, uint64(1)<<width-1
	g := o.garner
	for j := range x {
		hi, lo := uint64(0), g.first(x[j])
		if len(o.rows) == 2 {
			hi, lo = g.both(lo, y[j])
		}
		wrong |= g.noisy(lo)
		lo, hi = lo>>kappa|hi<<((64-kappa)&63), hi>>kappa
		for range slots {
			if len(out) > 0 {
				out[0], out = uint32(lo&mask), out[1:]
			}
			lo, hi = lo>>width|hi<<rest, hi>>width
		}
		over |= lo | hi
	}
	return wrong>>63 == 0 && over == 0
}

// decodeThrees is decode of two limbs and coefficients of three words, of 21 to 28
// bits: the second and the third lie within 64 bits.
func (o *Opener) decodeThrees(out []uint32, x, y []uint64) (wrong, over uint64) {
	width, kappa := uint(o.p.width)&63, uint(o.p.kappa)&63
	second, mask := (kappa+width)&63, uint32(1)<<(width&31)-1
	g := o.garner
	y = y[:len(x)]
	for j, r := range x {
		hi, lo := g.both(g.first(r), y[j])
		wrong |= g.noisy(lo)
		if len(out) < 3 {
			break
		}
		to := (*[3]uint32)(out)
		out = out[3:]
		top := lo>>second | hi<<((64-second)&63)
		to[0], to[1], to[2] = uint32(lo>>kappa)&mask, uint32(top)&mask, uint32(top>>width)&mask
		over |= top>>width>>width | hi>>second
	}
	return wrong, over
}

// garner reads v = noise + 2^kappa * pack(sums), which is below Q/2 and not far below
// 0, from its residues, the noise moved to [0, 2^kappa).
type garner struct {
	q0, q1, fold uint64
	inverse      root   // q0^-1 mod q1
	half         uint64 // 2^(kappa-1)
	bound        uint64 // of the noise
}

// first is v mod q0, which is all of it if there is one limb.
func (g *garner) first(x uint64) uint64 {
	x += g.half
	x = x&residueMask + x>>residueBits*g.fold - g.q0
	return x + g.q0&-(x>>63)
}

// both is v = lo + q0 * ((y - lo) / q0 mod q1).
func (g *garner) both(lo, y uint64) (hi, low uint64) {
	d := g.inverse.times(y+g.half+2*g.q1-lo, g.q1) - g.q1 // q0 < 2 q1
	d += g.q1 & -(d >> 63)
	hi, low = bits.Mul64(g.q0, d)
	low, carry := bits.Add64(low, lo, 0)
	return hi + carry, low
}

// noisy has bit 63 set if the noise of v is beyond the bound.
func (g *garner) noisy(lo uint64) uint64 {
	noise := lo&(2*g.half-1) - g.half + g.bound // 0 to 2*bound if honest
	return 2*g.bound - noise | noise
}
