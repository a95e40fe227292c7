package bench

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

const (
	// wideWord is the word of masks and sums here: no mask is cut.
	wideWord = 32
	// oddWord is the word of packing: that of 20 clients with 18 bits each, which
	// is not a whole number of bytes.
	oddWord = 23
)

// words fills a vector with numbers that do not compress.
func words(n, width int) []uint32 {
	out := make([]uint32, n)
	x := uint32(1)
	for i := range out {
		x = x*1664525 + 1013904223
		out[i] = x >> (32 - width)
	}
	return out
}

// keystreamLimit is AES-256-CTR at its best: 4 bytes a coordinate, into a buffer
// that stays in the first-level cache.
func keystreamLimit(d int) (contestant, error) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return contestant{}, err
	}
	buf, zeros := make([]byte, 8<<10), make([]byte, 8<<10)
	return contestant{run: func() error {
		stream := cipher.NewCTR(block, make([]byte, aes.BlockSize))
		for left := 4 * d; left > 0; left -= len(buf) {
			n := min(left, len(buf))
			stream.XORKeyStream(buf[:n], zeros[:n])
		}
		return nil
	}}, nil
}

// addLimit adds one vector to another, both in memory.
func addLimit(d int) contestant {
	dst, src := words(d, wideWord), words(d, wideWord)
	return contestant{run: func() error {
		field.Add(dst, src)
		return nil
	}}
}

// digest measures SHA-256 over a vector of 4 bytes a coordinate.
func digest(s *suite) error {
	data := make([]byte, 4*s.d)
	times, err := race(always, contestant{run: func() error {
		sha256.Sum256(data)
		return nil
	}})
	if err != nil {
		return err
	}
	s.add("limit/sha256", PerCoordinate, per(times[0], s.d), 0, s.d, 0)
	return nil
}

// encoding measures the way from floats to integers on a client.
func encoding(s *suite) error {
	const clients, bits = 20, 18
	q, err := field.Spec{Dimension: s.d, Clients: clients, ClipNorm: 1, Bits: bits}.Check()
	if err != nil {
		return err
	}
	update := make([]float32, s.d)
	for i := range update {
		update[i] = float32(i%2001-1000) / 1e6
	}
	dst, coins := make([]uint32, s.d), field.NewStream([32]byte{1})
	times, err := race(always, contestant{run: func() error {
		_, err := q.Encode(dst, update, 1, nil, coins, nil)
		return err
	}})
	if err != nil {
		return err
	}
	s.add("field/encode", PerCoordinate, per(times[0], s.d), clients, s.d, q.WordBits())
	return nil
}

// packing measures the way to bytes and back.
func packing(s *suite) error {
	vector := words(s.d, oddWord)
	packed := make([]byte, field.PackedLen(s.d, oddWord))
	times, err := race(always,
		contestant{run: func() error { return field.Pack(packed, vector, oddWord) }},
		contestant{run: func() error { return field.Unpack(vector, packed, oddWord) }})
	if err != nil {
		return err
	}
	s.add("field/pack", PerCoordinate, per(times[0], s.d), 0, s.d, oddWord)
	s.add("field/unpack", PerCoordinate, per(times[1], s.d), 0, s.d, oddWord)
	return nil
}

// adding checks and adds one whole upload, as the coordinator does once it is complete.
func adding(acc secagg.Accumulator, upload []byte) error {
	pieces := acc.Pieces()
	for i := range pieces.Count {
		piece := upload[:pieces.Len(i)]
		upload = upload[pieces.Len(i):]
		if err := acc.Check(i, piece); err != nil {
			return err
		}
		if err := acc.Add(0, i, piece); err != nil {
			return err
		}
	}
	return nil
}
