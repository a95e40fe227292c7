package rlwe

import "math/bits"

// The transforms over one prime. They give what lattigo's give, in its order, and
// are written anew because primes of 53 bits leave 11 bits of room: sums need no
// reduction between the stages, so nothing is compared and nothing branches, and
// two stages share a pass over memory. Products are Shoup's (Harvey, "Faster
// arithmetic for number-theoretic transforms", 2014, section 3).
//
// The stages are a tree: node k at depth d has the values of block k - 2^d of 2^d
// and the children 2k and 2k+1. What is below the blocks of 1024 values, 8 KiB, is
// done block by block, so that the values stay in the nearest cache. Blocks are
// arrays, of which the compiler knows the length: no index is checked in a loop.

// root is a factor w below q and floor(w * 2^64 / q).
type root struct{ w, shoup uint64 }

// roots are those of a node and of its two children.
type roots struct{ self, left, right root }

func (l *limb) root(w uint64) root {
	shoup, _ := bits.Div64(w, 0, l.q)
	return root{w, shoup}
}

// times is x*r.w (mod q), below 2q, for any x.
func (r root) times(x, q uint64) uint64 {
	hi, _ := bits.Mul64(x, r.shoup)
	return x*r.w - hi*q
}

// block is the values of a node whose grandchildren have a quarter each.
type block interface {
	[4096]uint64 | [1024]uint64 | [256]uint64 | [64]uint64 | [16]uint64
}

// transform writes the NTT of x over it. x is below 4q; the result is below 28q:
// each of at most 12 stages adds less than 2q.
func (l *limb) transform(x []uint64) {
	top := 2 // of the nodes of 1024 values
	if l.n == 4096 {
		top = 4
		quarters((*[4096]uint64)(x), l.q, &l.forward[1])
	} else {
		l.halves((*[2048]uint64)(x))
	}
	for i := range top {
		l.transformBlock((*[1024]uint64)(x[1024*i:]), top+i)
	}
}

// halves is the first stage of an odd number of them.
func (l *limb) halves(x *[2048]uint64) {
	q, r := l.q, l.forward[1].self
	for j := range len(x) / 2 {
		v := r.times(x[j+1024], q)
		x[j], x[j+1024] = x[j]+v, x[j]+2*q-v
	}
}

// transformBlock runs the last ten stages on the values of node k.
func (l *limb) transformBlock(x *[1024]uint64, k int) {
	q := l.q
	quarters(x, q, &l.forward[k])
	for i := range 4 {
		quarters((*[256]uint64)(x[256*i:]), q, &l.forward[4*k+i])
	}
	for i := range 16 {
		quarters((*[64]uint64)(x[64*i:]), q, &l.forward[16*k+i])
	}
	for i := range 64 {
		quarters((*[16]uint64)(x[16*i:]), q, &l.forward[64*k+i])
	}
	leaves := l.forward[256*k:][:256]
	for i := range leaves {
		o, f := (*[4]uint64)(x[4*i:]), &leaves[i]
		va, vb := f.self.times(o[2], q), f.self.times(o[3], q)
		a, b, c, d := o[0]+va, o[1]+vb, o[0]+2*q-va, o[1]+2*q-vb
		vb, vd := f.left.times(b, q), f.right.times(d, q)
		o[0], o[1], o[2], o[3] = a+vb, a+2*q-vb, c+vd, c+2*q-vd
	}
}

// quarters runs two stages over the quarters of a block.
func quarters[B block](x *B, q uint64, f *roots) {
	t := len(*x) / 4
	r, s, p := f.self, f.left, f.right
	for j := range len(*x) / 4 {
		va, vb := r.times((*x)[j+2*t], q), r.times((*x)[j+3*t], q)
		a, b, c, d := (*x)[j]+va, (*x)[j+t]+vb, (*x)[j]+2*q-va, (*x)[j+t]+2*q-vb
		vb, vd := s.times(b, q), p.times(d, q)
		(*x)[j], (*x)[j+t], (*x)[j+2*t], (*x)[j+3*t] = a+vb, a+2*q-vb, c+vd, c+2*q-vd
	}
}

// room is what differences get on top, in multiples of q, so that they are not
// below 0; see invert.
const room = 512

// invert writes the inverse NTT of x over it. x is below 4q, and so is the result.
//
// A stage adds pairs without reduction. The first value of a block is the sum of
// all of it, the next three are sums of a quarter of it, and so on: of x only the
// first four values of a block pass 256q, where a fold keeps them small.
func (l *limb) invert(x []uint64) {
	top := l.n / 1024
	for i := range top {
		l.invertBlock((*[1024]uint64)(x[1024*i:]), top+i)
	}
	if l.n == 4096 {
		l.inverseTop((*[4096]uint64)(x))
	} else {
		l.inverseHalves((*[2048]uint64)(x))
	}
}

// invertBlock undoes transformBlock, times 1024. The result is below 256q.
func (l *limb) invertBlock(x *[1024]uint64, k int) {
	q, o := l.q, room*l.q
	leaves := l.backward[256*k:][:256]
	for i := range leaves {
		y, f := (*[4]uint64)(x[4*i:]), &leaves[i]
		a, b := y[0]+y[1], f.left.times(y[0]+o-y[1], q)
		c, d := y[2]+y[3], f.right.times(y[2]+o-y[3], q)
		y[0], y[1], y[2], y[3] = a+c, b+d, f.self.times(a+o-c, q), f.self.times(b+o-d, q)
	}
	for i := range 64 {
		inverseQuarters((*[16]uint64)(x[16*i:]), q, &l.backward[64*k+i])
	}
	for i := range 16 {
		y := (*[64]uint64)(x[64*i:])
		inverseQuarters(y, q, &l.backward[16*k+i])
		y[0], y[1], y[2], y[3] = l.foldOnce(y[0]), l.foldOnce(y[1]), l.foldOnce(y[2]), l.foldOnce(y[3])
	}
	for i := range 4 {
		inverseQuarters((*[256]uint64)(x[256*i:]), q, &l.backward[4*k+i])
	}
	inverseQuarters(x, q, &l.backward[k])
}

// inverseQuarters undoes quarters, times 4.
func inverseQuarters[B block](x *B, q uint64, f *roots) {
	t, o := len(*x)/4, room*q
	r, s, p := f.self, f.left, f.right
	for j := range len(*x) / 4 {
		a, b := (*x)[j]+(*x)[j+t], s.times((*x)[j]+o-(*x)[j+t], q)
		c, d := (*x)[j+2*t]+(*x)[j+3*t], p.times((*x)[j+2*t]+o-(*x)[j+3*t], q)
		(*x)[j], (*x)[j+t], (*x)[j+2*t], (*x)[j+3*t] = a+c, b+d, r.times(a+o-c, q), r.times(b+o-d, q)
	}
}

// inverseTop undoes the first two stages. The roots of node 1 and its children are
// divided by N.
func (l *limb) inverseTop(x *[4096]uint64) {
	q, o, u := l.q, room*l.q, l.nInv
	f := l.backward[1]
	for j := range len(x) / 4 {
		a, b := x[j]+x[j+1024], f.left.times(x[j]+o-x[j+1024], q)
		c, d := x[j+2048]+x[j+3072], f.right.times(x[j+2048]+o-x[j+3072], q)
		x[j], x[j+1024], x[j+2048], x[j+3072] = u.times(a+c, q), b+d, f.self.times(a+o-c, q), l.last.times(b+o-d, q)
	}
}

// inverseHalves undoes halves; its root is divided by N.
func (l *limb) inverseHalves(x *[2048]uint64) {
	q, o, u, r := l.q, room*l.q, l.nInv, l.backward[1].self
	for j := range len(x) / 2 {
		x[j], x[j+1024] = u.times(x[j]+x[j+1024], q), r.times(x[j]+o-x[j+1024], q)
	}
}

// foldOnce brings x below q + 2^30, unless it is there.
func (l *limb) foldOnce(x uint64) uint64 { return x&residueMask + x>>residueBits*l.fold }
