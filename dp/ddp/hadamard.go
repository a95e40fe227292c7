package ddp

// tile is the part of a block that is transformed while it stays in the first-level
// cache: 16 KiB.
const tile = 1 << 12

// hadamard is the Walsh-Hadamard transform, not normalised, of a power of two of at
// least 64 values. Three levels of the textbook transform are done at a time, which
// gives the same sums in the same order with a third of the memory traffic.
func hadamard(x []float32) {
	n := min(len(x), tile)
	for first := 0; first < len(x); first += n {
		t := x[first : first+n]
		for i := 0; i < n; i += 64 {
			hadamard64((*[64]float32)(t[i:]))
		}
		levels(t, 64)
	}
	levels(x, n)
}

// hadamard64 does the levels of strides 1 to 32.
func hadamard64(x *[64]float32) {
	for i := 0; i < 64; i += 8 {
		v := (*[8]float32)(x[i:])
		a, b, c, d := butterfly(v[0], v[1], v[2], v[3])
		e, f, g, h := butterfly(v[4], v[5], v[6], v[7])
		v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7] = a+e, b+f, c+g, d+h, a-e, b-f, c-g, d-h
	}
	for i := range 8 {
		a, b, c, d := butterfly(x[i], x[i+8], x[i+16], x[i+24])
		e, f, g, h := butterfly(x[i+32], x[i+40], x[i+48], x[i+56])
		x[i], x[i+8], x[i+16], x[i+24] = a+e, b+f, c+g, d+h
		x[i+32], x[i+40], x[i+48], x[i+56] = a-e, b-f, c-g, d-h
	}
}

// butterfly is the transform of four values. It is small enough to be inlined, which a
// transform of eight is not, and a call costs as much as the sums.
func butterfly(a, b, c, d float32) (_, _, _, _ float32) {
	a, b, c, d = a+b, a-b, c+d, c-d
	return a + c, b + d, a - c, b - d
}

// levels does the levels of strides h, 2h, ... below len(x).
func levels(x []float32, h int) {
	for h < len(x) {
		switch len(x) / h {
		case 2:
			level(x, h)
			h *= 2
		case 4:
			level2(x, h)
			h *= 4
		default:
			level3(x, h)
			h *= 8
		}
	}
}

// level does the one of stride h.
func level(x []float32, h int) {
	for ; len(x) > 0; x = x[2*h:] {
		a, b := x[:h], x[h:][:h]
		for i, p := range a {
			q := b[i]
			a[i], b[i] = p+q, p-q
		}
	}
}

// level2 does those of strides h and 2h.
func level2(x []float32, h int) {
	for ; len(x) > 0; x = x[4*h:] {
		a, b, c, d := x[:h], x[h:][:h], x[2*h:][:h], x[3*h:][:h]
		for i := range a {
			a[i], b[i], c[i], d[i] = butterfly(a[i], b[i], c[i], d[i])
		}
	}
}

// level3 does those of strides h, 2h and 4h.
func level3(x []float32, h int) {
	for ; len(x) > 0; x = x[8*h:] {
		a, b, c, d := x[:h], x[h:][:h], x[2*h:][:h], x[3*h:][:h]
		e, f, g, k := x[4*h:][:h], x[5*h:][:h], x[6*h:][:h], x[7*h:][:h]
		for i := range a {
			p, q, r, s := butterfly(a[i], b[i], c[i], d[i])
			t, u, v, w := butterfly(e[i], f[i], g[i], k[i])
			a[i], b[i], c[i], d[i] = p+t, q+u, r+v, s+w
			e[i], f[i], g[i], k[i] = p-t, q-u, r-v, s-w
		}
	}
}
