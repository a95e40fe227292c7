package field

import "fmt"

// Decode turns the sum of the contributions of exactly that many clients back
// into floats: values, of Dimension length, receives the sum of their clipped
// and weighted updates (and of their noise), and extras are the sums of their
// extras, in the order of the layout. The words of sum, Layout().Len() of
// them, are reduced mod 2^w here.
//
// With v the integer sum of a coordinate, as [Quantizer.Integers] gives it, the
// value is float64(v)/Scale, rounded once. Without noise it differs from the exact sum
// of the clients' clipped values by at most clients/Scale, beside the rounding
// of float64, unless Scale was chosen so large that Range clamps.
//
// Errors are those of [Quantizer.Integers]. On an error values is all zero.
// Decode may run concurrently with itself on different values.
func (q Quantizer) Decode(values []float64, sum []uint32, clients int) (extras []uint64, err error) {
	clear(values)
	if err := q.checkSum(len(values), sum, clients); err != nil {
		return nil, err
	}
	integers := make([]int64, min(len(values), block))
	for first := 0; first < len(values); first += block {
		out := values[first:min(len(values), first+block)]
		part := integers[:len(out)]
		if err := q.integers(part, sum, first, clients); err != nil {
			clear(values)
			return nil, err
		}
		for i, v := range part {
			out[i] = float64(v) / q.spec.Scale
		}
	}
	if extras, err = q.extraSums(sum, clients); err != nil {
		clear(values)
	}
	return extras, err
}

// Integers takes the sum of the contributions of exactly that many clients to
// the integers that it stands for: dst, of Dimension length, receives each main
// coordinate less clients*2^(Bits-1), which is the sum of the clients' rounded
// values and noise, exactly. extras are as in [Quantizer.Decode]. It is for
// callers who go on with integers, such as one who adds noise to the sum.
//
// A number of clients below 1 or above Spec.Clients is an [ErrArgument]. A main
// sum beyond clients*(Range+NoiseTail) in magnitude, or an extra beyond
// clients*Bound, is an [ErrRange]: the sum is not one of honest contributions
// of that many clients. On an error dst is all zero. Integers may run
// concurrently with itself on different dst.
func (q Quantizer) Integers(dst []int64, sum []uint32, clients int) (extras []uint64, err error) {
	clear(dst)
	if err := q.checkSum(len(dst), sum, clients); err != nil {
		return nil, err
	}
	if err = q.integers(dst, sum, 0, clients); err == nil {
		extras, err = q.extraSums(sum, clients)
	}
	if err != nil {
		clear(dst)
		return nil, err
	}
	return extras, nil
}

// checkSum holds the arguments of Decode and Integers against the spec.
func (q Quantizer) checkSum(values int, sum []uint32, clients int) error {
	s := &q.spec
	switch {
	case s.Dimension == 0:
		return fmt.Errorf("%w: zero Quantizer: make one with Spec.Check", ErrSpec)
	case values != s.Dimension:
		return fmt.Errorf("%w: Decode: room for %d values, want %d (Spec.Dimension)", ErrArgument, values, s.Dimension)
	case len(sum) != q.Layout().Len():
		return fmt.Errorf("%w: Decode: sum has %d words, want %d (Layout.Len)", ErrArgument, len(sum), q.Layout().Len())
	case clients < 1 || clients > s.Clients:
		return fmt.Errorf("%w: Decode: sum of %d clients, want 1 to %d (Spec.Clients)", ErrArgument, clients, s.Clients)
	}
	return nil
}

// integers does the main coordinates from first on that dst has room for.
func (q Quantizer) integers(dst []int64, sum []uint32, first, clients int) error {
	mask := uint32(1<<q.spec.WordBits - 1)
	offset := int64(clients) << (q.spec.Bits - 1)
	limit := int64(clients) * (q.spec.Range + q.spec.NoiseTail)
	for i, word := range sum[first : first+len(dst)] {
		v := int64(word&mask) - offset
		if v > limit || v < -limit {
			return fmt.Errorf("%w: Decode: coordinate %d is beyond what %d clients can reach: discard the sum",
				ErrRange, first+i, clients)
		}
		dst[i] = v
	}
	return nil
}

// extraSums gives the sums of the extras.
func (q Quantizer) extraSums(sum []uint32, clients int) ([]uint64, error) {
	mask := uint32(1<<q.spec.WordBits - 1)
	extras := make([]uint64, len(q.spec.Extras))
	for i, e := range q.spec.Extras {
		extras[i] = uint64(sum[q.spec.Dimension+i] & mask)
		if extras[i] > uint64(clients)*e.Bound {
			return nil, fmt.Errorf("%w: Decode: extra %q is beyond what %d clients can reach: discard the sum",
				ErrRange, e.Name, clients)
		}
	}
	return extras, nil
}
