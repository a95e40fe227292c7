package rlwe

import "io"

// A Sum is the running sum of encrypted vectors, of 8 bytes a residue. Calls on
// different chunks may run concurrently; Merge and Snapshot run alone.
type Sum struct {
	p        Parameters
	limbs    []limb
	residues []uint64 // chunk after chunk, limb after limb; see terms
	terms    []uint16 // a residue of the chunk is below terms * 2^53
	spoiled  bool     // a merge broke off half-way
}

// maxTerms keeps a residue within 64 bits.
const maxTerms = 1<<(64-residueBits) - 1

// NewSum makes an empty sum, of 8 bytes for each 53 bits of an encrypted vector.
func NewSum(p Parameters) *Sum {
	s := &Sum{p: p}
	if p.set != nil {
		s.limbs = p.set.limbs()
		s.residues = make([]uint64, p.Chunks()*len(s.limbs)*p.N())
		s.terms = make([]uint16, p.Chunks())
	}
	return s
}

// Check refuses with [ErrPiece] bytes that no [Sealer.Seal] can give for such a
// chunk: those of another length and those with a residue that is not below its
// prime. There are no spare bits. What it accepts has only one form: the residues
// written again give the same bytes. It does not touch the sum, and may run
// concurrently with everything.
func (s *Sum) Check(chunk int, piece []byte) error {
	if err := s.fits(chunk, piece); err != nil {
		return err
	}
	size := s.p.limbBytes()
	for i := range s.limbs {
		if !inField(piece[i*size:(i+1)*size], s.limbs[i].fold) {
			return notBelow(chunk, i)
		}
	}
	return nil
}

// Add adds a piece. It refuses with [ErrPiece] what Check refuses, and the sum is
// then as it was: a piece is read once, to be checked and added. Calls on different
// chunks may run concurrently, on one chunk not.
func (s *Sum) Add(chunk int, piece []byte) error {
	if err := s.fits(chunk, piece); err != nil {
		return err
	}
	row := s.chunk(chunk)
	if s.terms[chunk] >= maxTerms {
		s.reduce(row, row)
		s.terms[chunk] = 1
	}
	n, size := s.p.N(), s.p.limbBytes()
	for i := range s.limbs {
		if !addResidues(row[i*n:(i+1)*n], piece[i*size:(i+1)*size], s.limbs[i].fold) {
			for k := range i + 1 {
				subtractResidues(row[k*n:(k+1)*n], piece[k*size:(k+1)*size])
			}
			return notBelow(chunk, i)
		}
	}
	s.terms[chunk]++
	return nil
}

// fits refuses chunks that do not exist and pieces of another length.
func (s *Sum) fits(chunk int, piece []byte) error {
	if chunk < 0 || chunk >= len(s.terms) {
		return ErrPiece.At("chunk %d of %d", chunk, len(s.terms))
	}
	if len(piece) != s.p.ChunkBytes() {
		return ErrPiece.At("chunk %d: %d bytes, of %d", chunk, len(piece), s.p.ChunkBytes())
	}
	return nil
}

func notBelow(chunk, limb int) error {
	return ErrPiece.At("chunk %d: a residue is not below prime %d", chunk, limb)
}

func (s *Sum) chunk(chunk int) []uint64 {
	size := len(s.limbs) * s.p.N()
	return s.residues[chunk*size : (chunk+1)*size]
}

// reduce writes the residues of a chunk, below their primes, to dst.
func (s *Sum) reduce(dst, row []uint64) {
	n := s.p.N()
	for i := range s.limbs {
		l := &s.limbs[i]
		d, r := dst[i*n:(i+1)*n], row[i*n:(i+1)*n]
		for j := range r {
			d[j] = l.reduce(r[j])
		}
	}
}

// Snapshot writes the sum as Bytes() bytes, in the form of an encrypted vector.
// Sums of the same pieces, in whatever order they came, write the same bytes. A
// failing writer is an [ErrWrite].
func (s *Sum) Snapshot(w io.Writer) error {
	if s.spoiled {
		return ErrSnapshot.At("sum was spoiled by an earlier one")
	}
	row, out := make([]uint64, len(s.limbs)*s.p.N()), make([]byte, s.p.ChunkBytes())
	for chunk := range s.terms {
		s.reduce(row, s.chunk(chunk))
		for i := 0; i < len(row)/8; i++ {
			putGroup((*[groupBytes]byte)(out[i*groupBytes:]), (*[8]uint64)(row[8*i:]))
		}
		if _, err := w.Write(out); err != nil {
			return ErrWrite.At("chunk %d", chunk).Because(err)
		}
	}
	return nil
}

// Merge adds a snapshot: it reads Bytes() bytes, no more, and refuses what
// Add refuses. Bytes that end early or are not a snapshot are an [ErrSnapshot];
// part of them was then added, and so the sum refuses to be written or opened.
func (s *Sum) Merge(r io.Reader) error {
	piece := make([]byte, s.p.ChunkBytes())
	for chunk := range s.terms {
		_, err := io.ReadFull(r, piece)
		if err == nil {
			err = s.Add(chunk, piece)
		}
		if err != nil {
			s.spoiled = true
			return ErrSnapshot.At("chunk %d", chunk).Because(err)
		}
	}
	return nil
}
