package plain

import (
	"io"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/bucketed"
	"github.com/choir-fl/choir/secagg/field"
)

type accumulator struct {
	session secagg.Session
	sum     []uint32
}

// NewAccumulator implements secagg.ServerScheme.
func (p Scheme) NewAccumulator(s secagg.Session) (secagg.Accumulator, error) {
	if s.Buckets > 1 {
		return bucketed.NewAccumulator(p, s, p.partition(s))
	}
	if err := check(s); err != nil {
		return nil, err
	}
	return &accumulator{session: s, sum: make([]uint32, s.Words)}, nil
}

func (a *accumulator) Pieces() secagg.Pieces { return piecesOf(a.session) }

func (a *accumulator) Check(piece int, p []byte) error {
	ps := a.Pieces()
	if piece < 0 || piece >= ps.Count || len(p) != ps.Len(piece) {
		return secagg.ErrPiece.At("piece %d of %d bytes", piece, len(p))
	}
	// Only the last byte of the last piece can hold bits that are not a word's.
	if spare := ps.Len(piece)*8 - len(words(a.sum, piece))*a.session.WordBits; spare > 0 && p[len(p)-1]>>(8-spare) != 0 {
		return secagg.ErrPiece.At("piece %d has spare bits", piece)
	}
	return nil
}

func (a *accumulator) Add(bucket, piece int, p []byte) error {
	if bucket != 0 {
		return secagg.ErrPiece.At("bucket %d", bucket)
	}
	if err := a.Check(piece, p); err != nil {
		return err
	}
	return field.AddPacked(words(a.sum, piece), p, a.session.WordBits)
}

// Snapshot writes the words as 32-bit little-endian integers.
func (a *accumulator) Snapshot(w io.Writer) error {
	buf := make([]byte, 4*min(field.ChunkWords, len(a.sum)))
	for i := range field.ChunkCount(len(a.sum)) {
		ws := words(a.sum, i)
		if err := field.Pack(buf[:4*len(ws)], ws, 32); err != nil {
			return err
		}
		if _, err := w.Write(buf[:4*len(ws)]); err != nil {
			return err
		}
	}
	return nil
}

func (a *accumulator) Merge(r io.Reader) error {
	buf := make([]byte, 4*min(field.ChunkWords, len(a.sum)))
	for i := range field.ChunkCount(len(a.sum)) {
		ws := words(a.sum, i)
		if _, err := io.ReadFull(r, buf[:4*len(ws)]); err != nil {
			return secagg.ErrPiece.At("snapshot is cut").Because(err)
		}
		if err := field.AddPacked(ws, buf[:4*len(ws)], 32); err != nil {
			return err
		}
	}
	if n, err := io.ReadFull(r, buf[:1]); n != 0 || err != io.EOF {
		return secagg.ErrPiece.At("snapshot has more words than the sum")
	}
	return nil
}

func (a *accumulator) Unmask(secagg.Opening, int) error { return nil }

func (a *accumulator) Sums(o secagg.Opening) ([]secagg.Sum, error) {
	op, ok := o.(opening)
	if !ok {
		return nil, secagg.ErrSession.At("opening of another scheme")
	}
	mask := uint32(1<<a.session.WordBits - 1)
	for i := range a.sum {
		a.sum[i] &= mask
	}
	return []secagg.Sum{{Members: op.survivors, Words: a.sum}}, nil
}
