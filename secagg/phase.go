package secagg

// WrapPhase returns an instruction or message of one phase of an attempt: its context
// and the phase's number, from 1, before the body. What belongs to another attempt or
// phase is so told apart before anything of it is read.
func WrapPhase(context Digest, phase int, body []byte) []byte {
	var e Encoder
	e.Bytes(1, context[:])
	e.Uint(2, uint64(phase))
	e.Bytes(3, body)
	return e.Encoded()
}

// OpenPhase parses what WrapPhase wrote for a phase of at most last. The context is
// returned with an error too, as far as it was read.
func OpenPhase(b []byte, last int) (context Digest, phase int, body []byte, err error) {
	d := NewDecoder(b)
	context, phase, body = d.Digest(1), d.Int(2, last), d.Bytes(3)
	if err := d.Close(); err != nil {
		return context, 0, nil, err
	}
	if phase == 0 || context == (Digest{}) {
		return context, 0, nil, ErrEncoding.At("message of no phase")
	}
	return context, phase, body, nil
}
