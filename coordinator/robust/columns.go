package robust

import "sync"

// block is how many columns are turned over at a time: of a hundred vectors they fill
// 51 KB, and a line of memory that is fetched is used to its end.
const block = 64

// desk is what works on a chunk of columns at a time.
type desk struct {
	pick   func(column []float64) float64
	turned []float64 // a block, each column together
	workspace
}

// columns calls pick with the values of each coordinate of the vectors that m makes, in
// their order, and stores in dst what it returns; newPick is called for every pick that
// may be at work at the same time, so that it may keep scratch. A pick may change the
// slice it is handed.
//
// Mixed values are computed in double precision, in an order that only m decides.
func (v Vectors) columns(dst []float64, m mixing, each func(int, func(int)), newPick func() func(column []float64) float64) {
	length := m.len()
	if length == 0 {
		return // and so is dst: there are no vectors
	}
	var p product
	if m.rows != nil {
		p = m.product()
	}
	desks := sync.Pool{New: func() any { // a desk for each chunk would be a quarter of large inputs
		d := &desk{pick: newPick(), turned: make([]float64, block*length)}
		if m.rows != nil {
			d.workspace = p.workspace(m.n)
		}
		return d
	}}
	chunks(len(dst), each, func(from, to int) {
		d := desks.Get().(*desk)
		defer desks.Put(d)
		for ; from < to; from += block {
			part := dst[from:min(from+block, to)]
			for i := range m.n {
				at, stride := d.turned[i:], length
				if m.rows != nil {
					at, stride = d.in[i*block:], 1
				}
				if v.f64 != nil {
					spread(at, stride, v.f64[i][from:from+len(part)])
				} else {
					spread(at, stride, v.f32[i][from:from+len(part)])
				}
			}
			if m.rows != nil {
				p.multiply(d.workspace)
				for i := range length {
					spread(d.turned[i:], length, d.out[i*block:i*block+len(part)])
				}
			}
			for j := range part {
				part[j] = d.pick(d.turned[j*length : (j+1)*length])
			}
		}
	})
}

// spread writes values into every stride-th place of dst.
func spread[T float32 | float64](dst []float64, stride int, values []T) {
	at := 0
	for _, x := range values {
		dst[at] = float64(x)
		at += stride
	}
}
