package field

import "fmt"

// Decode turns the sum of the contributions of exactly that many clients back
// into floats: values, of Dimension length, receives the sum of their clipped
// and weighted updates (and of their noise), and extras are the sums of their
// extras, in the order of the layout. The words of sum, Layout().Len() of
// them, are reduced mod 2^w here.
//
// With v the integer sum of a coordinate, less clients*2^(Bits-1), the value is
// float64(v)/Scale, rounded once. Without noise it differs from the exact sum
// of the clients' clipped values by at most clients/Scale, beside the rounding
// of float64, unless Scale was chosen so large that Range clamps.
//
// A number of clients below 1 or above Spec.Clients is an [ErrArgument]. A main
// sum beyond clients*(Range+NoiseTail) in magnitude, or an extra beyond
// clients*Bound, is an [ErrRange]: the sum is not one of honest contributions
// of that many clients. On an error values is all zero. Decode may run
// concurrently with itself on different values.
func (q Quantizer) Decode(values []float64, sum []uint32, clients int) (extras []uint64, err error) {
	clear(values)
	s := &q.spec
	switch {
	case s.Dimension == 0:
		return nil, fmt.Errorf("%w: zero Quantizer: make one with Spec.Check", ErrSpec)
	case len(values) != s.Dimension:
		return nil, fmt.Errorf("%w: Decode: room for %d values, want %d (Spec.Dimension)", ErrArgument, len(values), s.Dimension)
	case len(sum) != q.Layout().Len():
		return nil, fmt.Errorf("%w: Decode: sum has %d words, want %d (Layout.Len)", ErrArgument, len(sum), q.Layout().Len())
	case clients < 1 || clients > s.Clients:
		return nil, fmt.Errorf("%w: Decode: sum of %d clients, want 1 to %d (Spec.Clients)", ErrArgument, clients, s.Clients)
	}
	mask := uint32(1<<s.WordBits - 1)
	offset := int64(clients) << (s.Bits - 1)
	limit := int64(clients) * (s.Range + s.NoiseTail)
	for i, word := range sum[:len(values)] {
		v := int64(word&mask) - offset
		if v > limit || v < -limit {
			clear(values)
			return nil, fmt.Errorf("%w: Decode: coordinate %d is beyond what %d clients can reach: discard the sum",
				ErrRange, i, clients)
		}
		values[i] = float64(v) / s.Scale
	}
	extras = make([]uint64, len(s.Extras))
	for i, e := range s.Extras {
		extras[i] = uint64(sum[s.Dimension+i] & mask)
		if extras[i] > uint64(clients)*e.Bound {
			clear(values)
			return nil, fmt.Errorf("%w: Decode: extra %q is beyond what %d clients can reach: discard the sum",
				ErrRange, e.Name, clients)
		}
	}
	return extras, nil
}
