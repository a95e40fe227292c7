package pairwise

import (
	"crypto/aes"
	"encoding/binary"
	"io"
	"slices"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/bucketed"
	"github.com/choir-fl/choir/secagg/field"
)

// bucket is one sum in progress.
type bucket struct {
	words []uint32 // of the vector and the known answers, mod 2^32
	// added counts the uploads in each piece; unmasked marks those that are open.
	added    []uint32
	unmasked []bool
}

// accumulator implements secagg.Accumulator.
type accumulator struct {
	attempt *attempt
	buckets []bucket // one: the scheme yields the sum of all survivors
	spoiled bool     // a snapshot was merged in part
}

// NewAccumulator implements secagg.ServerScheme.
func (p Scheme) NewAccumulator(s secagg.Session) (secagg.Accumulator, error) {
	if s.Buckets > 1 {
		return bucketed.NewAccumulator(p, s, bucketed.Partition(s))
	}
	a, err := begin(s)
	if err != nil {
		return nil, err
	}
	return &accumulator{attempt: a, buckets: []bucket{{
		words: make([]uint32, s.Words+knownAnswers),
		added: make([]uint32, a.pieces.Count), unmasked: make([]bool, a.pieces.Count),
	}}}, nil
}

func (a *accumulator) Pieces() secagg.Pieces { return a.attempt.pieces }

// piece returns the words of a bucket that a piece carries.
func (b *bucket) piece(i int) []uint32 {
	return b.words[i*field.ChunkWords : min((i+1)*field.ChunkWords, len(b.words))]
}

// Check implements secagg.Accumulator: exact length, and no bit outside the words.
func (a *accumulator) Check(piece int, p []byte) error {
	ps := a.attempt.pieces
	if piece < 0 || piece >= ps.Count || len(p) != ps.Len(piece) {
		return secagg.ErrPiece.At("piece %d of %d bytes", piece, len(p))
	}
	if spare := len(p)*8 - len(a.buckets[0].piece(piece))*a.attempt.WordBits; spare > 0 && p[len(p)-1]>>(8-spare) != 0 {
		return secagg.ErrPiece.At("piece %d has spare bits", piece)
	}
	return nil
}

// Add implements secagg.Accumulator.
func (a *accumulator) Add(bucket, piece int, p []byte) error {
	if bucket < 0 || bucket >= len(a.buckets) {
		return secagg.ErrPiece.At("bucket %d", bucket)
	}
	if err := a.Check(piece, p); err != nil {
		return err
	}
	b := &a.buckets[bucket]
	if b.unmasked[piece] || int(b.added[piece]) >= a.attempt.members() {
		return ErrPieces.At("piece %d", piece)
	}
	if err := field.AddPacked(b.piece(piece), p, a.attempt.WordBits); err != nil {
		return secagg.ErrPiece.At("piece %d", piece).Because(err)
	}
	b.added[piece]++
	return nil
}

// Unmask implements secagg.Accumulator: it takes out of one piece every mask
// that did not cancel in the sum.
func (a *accumulator) Unmask(o secagg.Opening, piece int) error {
	op, err := a.own(o)
	if err != nil {
		return err
	}
	b := &a.buckets[0]
	if piece < 0 || piece >= len(b.unmasked) || b.unmasked[piece] || int(b.added[piece]) != len(op.members) {
		return ErrPieces.At("piece %d", piece)
	}
	b.unmasked[piece] = true
	op.remove(b.piece(piece), piece*field.ChunkWords)
	return nil
}

// batch is how many streams are open at a time, so that scratch does not grow
// with the number of clients.
const batch = 64

// remove takes the opening's masks out of words that begin at firstWord.
func (o *opening) remove(words []uint32, firstWord int) {
	var m masker
	defer m.erase()
	streams := make([]stream, 0, batch)
	for expansions := range slices.Chunk(o.masks, batch) {
		streams = streams[:0]
		for i := range expansions {
			streams = append(streams, expansions[i].open(firstWord))
		}
		m.apply(words, streams)
	}
}

// Pieces must begin where a block of the cipher does.
const _ uint = -(field.ChunkWords * wordSize % aes.BlockSize)

// Sums implements secagg.Accumulator.
func (a *accumulator) Sums(o secagg.Opening) ([]secagg.Sum, error) {
	op, err := a.own(o)
	if err != nil {
		return nil, err
	}
	b := &a.buckets[0]
	if slices.Contains(b.unmasked, false) {
		return nil, ErrPieces.At("piece %d is still masked", slices.Index(b.unmasked, false))
	}
	mask := uint32(1<<a.attempt.WordBits - 1)
	for i := range b.words {
		b.words[i] &= mask
	}
	for i, c := range knownAnswer(a.attempt.Context) {
		if b.words[a.attempt.Words+i] != c*uint32(len(op.members))&mask {
			return nil, ErrKnownAnswer.At("attempt %s", a.attempt.Binding.Round)
		}
	}
	return []secagg.Sum{{Members: slices.Clone(op.members), Words: b.words[:a.attempt.Words]}}, nil
}

// own checks that an opening is of this attempt and was not erased.
func (a *accumulator) own(o secagg.Opening) (*opening, error) {
	op, ok := o.(*opening)
	if !ok || op.context != a.attempt.Context || len(op.members) == 0 {
		return nil, ErrOpening.At("attempt %s", a.attempt.Binding.Round)
	}
	if a.spoiled {
		return nil, ErrPieces.At("a snapshot was merged in part")
	}
	return op, nil
}

// A snapshot is a version byte, then for each bucket the counts of its pieces and
// its words, all as 32-bit little-endian integers. Its length follows from the
// session, so it holds none.
const snapshotVersion = 1

// Snapshot implements secagg.Accumulator. A sum that is being unmasked has none.
func (a *accumulator) Snapshot(w io.Writer) error {
	if err := a.closed(); err != nil {
		return err
	}
	if _, err := w.Write([]byte{snapshotVersion}); err != nil {
		return ErrWrite.Because(err)
	}
	for i := range a.buckets {
		b := &a.buckets[i]
		if err := writeWords(w, b.added); err != nil {
			return err
		}
		if err := writeWords(w, b.words); err != nil {
			return err
		}
	}
	return nil
}

// Merge implements secagg.Accumulator. A snapshot that is refused half-way spoils
// the sum: it can then no longer be opened.
func (a *accumulator) Merge(r io.Reader) error {
	if err := a.closed(); err != nil {
		return err
	}
	var version [1]byte
	if _, err := io.ReadFull(r, version[:]); err != nil {
		return ErrSnapshot.At("version").Because(err)
	}
	if version[0] != snapshotVersion {
		return ErrSnapshot.At("version %d", version[0])
	}
	a.spoiled = true
	for i := range a.buckets {
		b := &a.buckets[i]
		added := make([]uint32, len(b.added))
		if err := addWords(r, added); err != nil {
			return err
		}
		for j, n := range added {
			if uint64(n)+uint64(b.added[j]) > uint64(a.attempt.members()) {
				return ErrSnapshot.At("piece %d with %d uploads", j, n)
			}
		}
		field.Add(b.added, added)
		if err := addWords(r, b.words); err != nil {
			return err
		}
	}
	if n, err := r.Read(version[:]); n != 0 || err != io.EOF {
		return ErrSnapshot.At("longer than the sum")
	}
	a.spoiled = false
	return nil
}

// closed refuses a sum that is being opened or cannot be opened any more.
func (a *accumulator) closed() error {
	if a.spoiled {
		return ErrPieces.At("a snapshot was merged in part")
	}
	for i := range a.buckets {
		if slices.Contains(a.buckets[i].unmasked, true) {
			return ErrPieces.At("sum is being opened")
		}
	}
	return nil
}

// writeWords writes words as 32-bit little-endian integers.
func writeWords(w io.Writer, words []uint32) error {
	buf := make([]byte, 0, wordSize*blockWords)
	for part := range slices.Chunk(words, blockWords) {
		buf = buf[:0]
		for _, v := range part {
			buf = binary.LittleEndian.AppendUint32(buf, v)
		}
		if _, err := w.Write(buf); err != nil {
			return ErrWrite.Because(err)
		}
	}
	return nil
}

// addWords adds to words as many as are read.
func addWords(r io.Reader, words []uint32) error {
	buf := make([]byte, wordSize*blockWords)
	for part := range slices.Chunk(words, blockWords) {
		if _, err := io.ReadFull(r, buf[:wordSize*len(part)]); err != nil {
			return ErrSnapshot.At("cut").Because(err)
		}
		addKeystream(part, buf)
	}
	return nil
}
