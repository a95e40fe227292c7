package ddp

// Decode takes the sum of the contributions of exactly that many clients to the sum of
// their clipped updates, with its noise: dst has Parameters().Dimension values, in units
// of the update, and extras are the noised sums of the clients' values. words, which has
// Quantizer().Layout().Len(), is a sum that was opened; rotation is that of the round.
//
// The words are taken to integers and held against what so many clients can reach
// ([field.ErrRange], as [field.Quantizer.Integers]). Under central noise one whole Draw
// of this mechanism is added to those integers, before anything else happens to them;
// otherwise draw is nil, as the noise is in the sum. All that follows is
// post-processing: rotated back in float32, block by block, divided by the scale, and
// cut to the dimension. It is the same bit for bit on every architecture.
//
// A float32 holds 24 bits: beside the noise and the clients' rounding, the values of a
// block are off by a vector of at most 2^-20 of the block's length.
//
// Under central noise a sum is decoded once: two draws on the same sum would let
// whoever sees both results average the noise away. Whatever is done again (a restart) must
// publish what was decoded first, or charge both. The draw is erased, also after an
// error, unless it was refused or an argument was. On an error dst is all zero. Decode
// may run concurrently with itself on different dst.
func (m Mechanism) Decode(dst []float64, words []uint32, clients int, rotation Rotation, draw *Draw) (extras []int64, err error) {
	clear(dst)
	if err := m.checkDraw(draw, m.params.Central); err != nil {
		return nil, err
	}
	if err := m.checkSum(dst, words, clients, rotation); err != nil {
		return nil, err
	}
	if err := draw.take(); err != nil {
		return nil, err
	}
	defer draw.Erase()
	integers, extras, err := m.integers(words, clients)
	if err != nil {
		return nil, err
	}
	if m.params.Central {
		if err := draw.addTo(integers, extras); err != nil {
			return nil, err
		}
	}
	m.invert(dst, integers, rotation, m.params.Scale)
	return extras, nil
}

// DecodeWith is Decode with noise that comes from elsewhere, in place of that of a central
// draw or beside that of the clients: add adds it to the sums of coordinates, in grid
// steps, and to those of the extras, and returns how many of the units that the
// coordinates are in afterwards make a grid step.
func (m Mechanism) DecodeWith(dst []float64, words []uint32, clients int, rotation Rotation, add func(sums, extras []int64) (units float64, err error)) (extras []int64, err error) {
	clear(dst)
	if err := m.checkSum(dst, words, clients, rotation); err != nil {
		return nil, err
	}
	integers, extras, err := m.integers(words, clients)
	if err != nil {
		return nil, err
	}
	units, err := add(integers, extras)
	if err != nil {
		return nil, err
	}
	m.invert(dst, integers, rotation, m.params.Scale*units)
	return extras, nil
}

// checkSum refuses what is no sum of this mechanism.
func (m Mechanism) checkSum(dst []float64, words []uint32, clients int, rotation Rotation) error {
	padded := m.sensitivity.Dimension
	switch {
	case padded == 0 || len(dst) != m.params.Dimension || len(words) != m.quantizer.Layout().Len():
		return ErrArgument.At("Decode: %d words into %d values, want %d into %d",
			len(words), len(dst), m.quantizer.Layout().Len(), m.params.Dimension)
	case rotation.Padded() != padded:
		return ErrArgument.At("Decode: rotation of %d values, want %d", rotation.Padded(), padded)
	case clients < 1 || clients > m.params.Clients:
		return ErrArgument.At("Decode: sum of %d clients, want 1 to %d", clients, m.params.Clients)
	}
	return nil
}

// integers are the sums of coordinates and extras in an opened sum.
func (m Mechanism) integers(words []uint32, clients int) (sums, extras []int64, err error) {
	sums = make([]int64, m.sensitivity.Dimension)
	raw, err := m.quantizer.Integers(sums, words, clients)
	if err != nil {
		return nil, nil, err
	}
	extras = make([]int64, len(raw))
	for k, sum := range raw {
		extras[k] = int64(sum) - int64(clients)*m.params.tail(m.extras[k])
	}
	return sums, extras, nil
}

// addTo adds the draw to the integers of a sum. Sums are below 2^32 and noise below 2^31,
// so that nothing wraps.
func (d *Draw) addTo(integers, extras []int64) error {
	var drawn [chunk]int32
	defer clear(drawn[:])
	for first := 0; first < len(integers); first += chunk {
		part := integers[first:min(len(integers), first+chunk)]
		if err := d.pools[0].Take(drawn[:len(part)]); err != nil {
			return ErrNoise.At("Decode: coordinate %d and on", first).Because(err)
		}
		for i := range part {
			part[i] += int64(drawn[i])
		}
	}
	for k := range extras {
		if err := d.pools[1+k].Take(drawn[:1]); err != nil {
			return ErrNoise.At("Decode: extra %d", k).Because(err)
		}
		extras[k] += int64(drawn[0])
	}
	return nil
}

// invert rotates back and scales.
func (m Mechanism) invert(dst []float64, integers []int64, rotation Rotation, scale float64) {
	var buffer [BlockSize]float32
	rotation.blocks(func(first, n int, signs []byte, norm float32) {
		block := buffer[:n]
		for i, v := range integers[first : first+n] {
			block[i] = float32(v)
		}
		hadamard(block)
		flip(block, signs, norm)
		out := dst[first:min(len(dst), first+n)]
		for i := range out {
			out[i] = float64(block[i]) / scale
		}
	})
}
