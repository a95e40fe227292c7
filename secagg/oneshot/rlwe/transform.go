package rlwe

import "math/bits"

// The transforms over one prime. They give what lattigo's give, in its order, and
// are written anew because primes of 53 bits leave 11 bits of room: sums need no
// reduction between the stages, so nothing is compared and nothing branches, and
// two stages share a pass over memory. Products are Shoup's (Harvey, "Faster
// arithmetic for number-theoretic transforms", 2014, section 3).

// root is a factor w below q and floor(w * 2^64 / q).
type root struct{ w, shoup uint64 }

func (l *limb) root(w uint64) root {
	shoup, _ := bits.Div64(w, 0, l.q)
	return root{w, shoup}
}

// times is x*r.w (mod q), below 2q, for any x.
func (r root) times(x, q uint64) uint64 {
	hi, _ := bits.Mul64(x, r.shoup)
	return x*r.w - hi*q
}

// transform writes the NTT of x over it. x is below 4q; the result is below 28q:
// each of at most 12 stages adds less than 2q.
func (l *limb) transform(x []uint64) {
	q, n := l.q, l.n
	x = x[:n]
	m := 1
	if bits.Len(uint(n))%2 == 0 { // an odd number of stages
		r := l.forward[1]
		a, b := x[:n/2], x[n/2:]
		b = b[:len(a)]
		for j, y := range b {
			v := r.times(y, q)
			a[j], b[j] = a[j]+v, a[j]+2*q-v
		}
		m = 2
	}
	for ; 4*m < n; m *= 4 {
		t := n / (4 * m)
		for i := range m {
			l.quarters(x[4*i*t:], t, l.forward[m+i], l.forward[2*(m+i)], l.forward[2*(m+i)+1])
		}
	}
	roots, pairs := l.forward[m:2*m], l.forward[2*m:4*m]
	for i := range roots {
		r, s, p, o := roots[i], pairs[2*i], pairs[2*i+1], x[4*i:4*i+4]
		va, vb := r.times(o[2], q), r.times(o[3], q)
		a, b, c, d := o[0]+va, o[1]+vb, o[0]+2*q-va, o[1]+2*q-vb
		vb, vd := s.times(b, q), p.times(d, q)
		o[0], o[1], o[2], o[3] = a+vb, a+2*q-vb, c+vd, c+2*q-vd
	}
}

// quarters runs two stages over the four quarters, of t values each, of a block.
func (l *limb) quarters(x []uint64, t int, r, s, p root) {
	q := l.q
	x0, x1, x2, x3 := x[:t], x[t:2*t], x[2*t:3*t], x[3*t:4*t]
	x1, x2, x3 = x1[:len(x0)], x2[:len(x0)], x3[:len(x0)]
	for j := range x0 {
		va, vb := r.times(x2[j], q), r.times(x3[j], q)
		a, b, c, d := x0[j]+va, x1[j]+vb, x0[j]+2*q-va, x1[j]+2*q-vb
		vb, vd := s.times(b, q), p.times(d, q)
		x0[j], x1[j], x2[j], x3[j] = a+vb, a+2*q-vb, c+vd, c+2*q-vd
	}
}

// invert writes N times the inverse NTT of x over it: whoever fills x divides by N.
// x is below 4q, and so is the result.
func (l *limb) invert(x []uint64) {
	q, n := l.q, l.n
	x = x[:n]
	m := n / 4
	roots, pairs := l.backward[m:2*m], l.backward[2*m:4*m]
	for i := range roots {
		r, s, p, o := roots[i], pairs[2*i], pairs[2*i+1], x[4*i:4*i+4]
		a, b := o[0]+o[1], s.times(o[0]+4*q-o[1], q)
		c, d := o[2]+o[3], p.times(o[2]+4*q-o[3], q)
		o[0], o[1], o[2], o[3] = l.foldOnce(a+c), b+d, r.times(a+8*q-c, q), r.times(b+2*q-d, q)
	}
	for m /= 4; m > 0; m /= 4 {
		t := n / (4 * m)
		for i := range m {
			l.inverseQuarters(x[4*i*t:], t, l.backward[m+i], l.backward[2*(m+i)], l.backward[2*(m+i)+1])
		}
		if m == 2 {
			r := l.backward[1]
			a, b := x[:n/2], x[n/2:]
			b = b[:len(a)]
			for j, y := range b {
				a[j], b[j] = l.foldOnce(a[j]+y), r.times(a[j]+4*q-y, q)
			}
			break
		}
	}
}

// foldOnce brings x below q + 2^30, unless it is there.
func (l *limb) foldOnce(x uint64) uint64 { return x&residueMask + x>>residueBits*l.fold }

// inverseQuarters undoes quarters, times 4.
func (l *limb) inverseQuarters(x []uint64, t int, r, s, p root) {
	q, fold := l.q, l.fold
	x0, x1, x2, x3 := x[:t], x[t:2*t], x[2*t:3*t], x[3*t:4*t]
	x1, x2, x3 = x1[:len(x0)], x2[:len(x0)], x3[:len(x0)]
	for j := range x0 {
		a, b := x0[j]+x1[j], s.times(x0[j]+4*q-x1[j], q)
		c, d := x2[j]+x3[j], p.times(x2[j]+4*q-x3[j], q)
		e := a + c
		x0[j], x1[j], x2[j], x3[j] = e&residueMask+e>>residueBits*fold, b+d, r.times(a+8*q-c, q), r.times(b+2*q-d, q)
	}
}
