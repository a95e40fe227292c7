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
	key      [][]uint64 // the sum of the secrets over N, transformed, a limb each; nil once erased
	bound    uint64     // of the noise
	garner   root       // q0^-1 mod q1
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
	x, err := newExpander(context, p.N())
	if err != nil {
		return nil, err
	}
	o := &Opener{p: p, limbs: p.set.limbs(), bound: uint64(errorBound * members), expander: x, a: make([]uint64, p.N())}
	for i := range o.limbs {
		o.rows = append(o.rows, make([]uint64, p.N()))
		o.key = append(o.key, make([]uint64, p.N()))
		o.limbs[i].key(o.key[i], secretSum, o.limbs[i].nInv.w)
	}
	if len(o.limbs) == 2 {
		q := o.limbs[1].q
		o.garner = o.limbs[1].root(ring.ModExp(o.limbs[0].q%q, q-2, q))
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

// decrypt writes (sum - a*key)/N to dst, below 4q; key is divided by N already.
func (l *limb) decrypt(dst, sum, a, key []uint64) {
	for i := range dst {
		dst[i] = l.nInv.times(sum[i], l.q) + 2*l.q - ring.MRedLazy(a[i], key[i], l.q, l.qInv)
	}
}

// decode reads v = noise + 2^kappa * pack(sums), which is below Q/2 and not far
// below 0, from its residues, and reports whether noise and sums are in bounds.
func (o *Opener) decode(out []uint32) bool {
	slots, width, kappa := o.p.slots, uint(o.p.width)&63, uint(o.p.kappa)&63
	rest := (64 - width) & 63
	half, mask := uint64(1)<<(kappa-1), uint64(1)<<width-1
	l, wide := &o.limbs[len(o.limbs)-1], len(o.limbs) == 2
	x, y := o.rows[0], o.rows[len(o.rows)-1]
	y = y[:len(x)]
	var wrong, over uint64
	for j := range x {
		// Garner: v = lo + q0 * ((y - lo) / q0 mod q1), with the noise moved to [0, 2^kappa).
		hi, lo := uint64(0), o.limbs[0].reduce(x[j]+half)
		if wide {
			d := o.garner.times(y[j]+half+2*l.q-lo, l.q) - l.q // q0 < 2 q1
			d += l.q & -(d >> 63)
			ph, pl := bits.Mul64(o.limbs[0].q, d)
			var carry uint64
			lo, carry = bits.Add64(lo, pl, 0)
			hi = ph + carry
		}
		noise := lo&(1<<kappa-1) - half + o.bound // 0 to 2*bound if honest
		wrong |= 2*o.bound - noise | noise
		lo, hi = lo>>kappa|hi<<((64-kappa)&63), hi>>kappa

		group := out[:min(slots, len(out))]
		out = out[len(group):]
		if len(group) == 3 && slots == 3 { // the common case, without the loops
			next := lo>>width | hi<<rest
			last := next>>width | hi>>width<<rest
			group[0], group[1], group[2] = uint32(lo&mask), uint32(next&mask), uint32(last&mask)
			lo, hi = last>>width|hi>>width>>width<<rest, hi>>width>>width>>width
		} else {
			for k := range group {
				group[k] = uint32(lo & mask)
				lo, hi = lo>>width|hi<<rest, hi>>width
			}
			for range slots - len(group) {
				lo, hi = lo>>width|hi<<rest, hi>>width
			}
		}
		over |= lo | hi
	}
	return wrong>>63 == 0 && over == 0
}
