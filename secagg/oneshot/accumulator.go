package oneshot

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot/rlwe"
)

// bucket is one sum in progress.
type bucket struct {
	sum *rlwe.Sum
	// added counts the uploads in each piece; unmasked marks those that are open.
	added    []uint32
	unmasked []bool

	mu      sync.Mutex
	words   []uint32 // from the first piece that is open on
	spoiled error    // why it cannot be opened
}

// accumulator implements secagg.Accumulator.
type accumulator struct {
	attempt *attempt
	buckets []*bucket
	spoiled bool // a snapshot was merged in part
}

// NewAccumulator implements secagg.ServerScheme.
func (Scheme) NewAccumulator(s secagg.Session) (secagg.Accumulator, error) {
	a, err := begin(s)
	if err != nil {
		return nil, err
	}
	acc := &accumulator{attempt: a, buckets: make([]*bucket, a.Buckets)}
	for b := range acc.buckets {
		acc.buckets[b] = &bucket{sum: rlwe.NewSum(a.ring), added: make([]uint32, a.pieces.Count), unmasked: make([]bool, a.pieces.Count)}
	}
	return acc, nil
}

// Pieces implements secagg.Accumulator.
func (a *accumulator) Pieces() secagg.Pieces { return a.attempt.pieces }

// Check implements secagg.Accumulator: exact length, and every residue below its prime.
func (a *accumulator) Check(piece int, p []byte) error {
	if err := a.buckets[0].sum.Check(piece, p); err != nil {
		return secagg.ErrPiece.At("piece %d", piece).Because(err)
	}
	return nil
}

// Add implements secagg.Accumulator. It refuses what Check refuses.
func (a *accumulator) Add(bucket, piece int, p []byte) error {
	if bucket < 0 || bucket >= len(a.buckets) {
		return secagg.ErrPiece.At("bucket %d", bucket)
	}
	if piece < 0 || piece >= a.attempt.pieces.Count {
		return secagg.ErrPiece.At("piece %d", piece)
	}
	b := a.buckets[bucket]
	if b.unmasked[piece] || int(b.added[piece]) >= a.attempt.clients() {
		return ErrPieces.At("bucket %d, piece %d", bucket, piece)
	}
	if err := b.sum.Add(piece, p); err != nil {
		return secagg.ErrPiece.At("piece %d", piece).Because(err)
	}
	b.added[piece]++
	return nil
}

// Unmask implements secagg.Accumulator. A bucket that does not open is spoiled,
// which Sums says, and the others go on.
func (a *accumulator) Unmask(o secagg.Opening, piece int) error {
	op, err := a.own(o)
	if err != nil {
		return err
	}
	if piece < 0 || piece >= a.attempt.pieces.Count {
		return ErrPieces.At("piece %d", piece)
	}
	for i, x := range op.buckets {
		if x == nil {
			continue
		}
		if b := a.buckets[i]; b.unmasked[piece] || int(b.added[piece]) != len(x.members) {
			return ErrPieces.At("bucket %d, piece %d: %d uploads of %d", i, piece, b.added[piece], len(x.members))
		}
	}
	for i, x := range op.buckets {
		if x == nil {
			continue
		}
		a.buckets[i].unmasked[piece] = true
		if x.spoiled != nil {
			continue
		}
		if err := a.open(i, x, piece); err != nil {
			return err
		}
	}
	return nil
}

// open decrypts one piece of one bucket.
func (a *accumulator) open(i int, x *openedBucket, piece int) error {
	b, ring := a.buckets[i], a.attempt.ring
	words := b.output(a.attempt)
	if words == nil {
		return nil // spoiled by another piece
	}
	key, err := x.take(a.attempt)
	if err != nil {
		return ErrOpening.At("bucket %d", i).Because(err)
	}
	defer x.give(key)
	err = key.Open(b.sum, piece, words[piece*ring.ChunkWords():][:ring.WordsOf(piece)])
	if errors.Is(err, rlwe.ErrNoise) {
		b.spoil(secagg.ErrSpoiled.At("bucket %d", i).Because(err))
		return nil
	}
	if err != nil {
		return ErrPieces.At("bucket %d, piece %d", i, piece).Because(err)
	}
	return nil
}

// output returns the words of the sum, or nil if the bucket is spoiled.
func (b *bucket) output(a *attempt) []uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spoiled != nil {
		return nil
	}
	if b.words == nil {
		b.words = make([]uint32, a.Words)
	}
	return b.words
}

func (b *bucket) spoil(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spoiled = why
}

// Sums implements secagg.Accumulator.
func (a *accumulator) Sums(o secagg.Opening) ([]secagg.Sum, error) {
	op, err := a.own(o)
	if err != nil {
		return nil, err
	}
	var out []secagg.Sum
	for i, x := range op.buckets {
		if x == nil {
			continue
		}
		b := a.buckets[i]
		if slices.Contains(b.unmasked, false) {
			return nil, ErrPieces.At("bucket %d, piece %d is still masked", i, slices.Index(b.unmasked, false))
		}
		s := secagg.Sum{Bucket: i, Members: slices.Clone(x.members), Words: b.words, Spoiled: b.spoiled}
		if x.spoiled != nil {
			s.Spoiled = secagg.ErrSpoiled.At("bucket %d", i).Because(x.spoiled)
		}
		if s.Spoiled != nil {
			s.Words = nil
		}
		out = append(out, s)
	}
	return out, nil
}

// own checks that an opening is of this attempt and was not erased.
func (a *accumulator) own(o secagg.Opening) (*opening, error) {
	op, ok := o.(*opening)
	if !ok || op.attempt == nil || op.attempt.Context != a.attempt.Context {
		return nil, ErrOpening.At("attempt %s", a.attempt.Binding.Round)
	}
	if a.spoiled {
		return nil, ErrPieces.At("a snapshot was merged in part")
	}
	return op, nil
}

// A snapshot is a version byte, then for each bucket the counts of its pieces, as
// 32-bit little-endian integers, and the snapshot of its sum (package rlwe). Its
// length follows from the session, so it holds none.
const snapshotVersion = 1

// Snapshot implements secagg.Accumulator. Sums that are being unmasked have none.
func (a *accumulator) Snapshot(w io.Writer) error {
	if err := a.closed(); err != nil {
		return err
	}
	if _, err := w.Write([]byte{snapshotVersion}); err != nil {
		return ErrWrite.Because(err)
	}
	for _, b := range a.buckets {
		counts := make([]byte, 0, 4*len(b.added))
		for _, n := range b.added {
			counts = binary.LittleEndian.AppendUint32(counts, n)
		}
		if _, err := w.Write(counts); err != nil {
			return ErrWrite.Because(err)
		}
		if err := b.sum.Snapshot(w); err != nil {
			return ErrWrite.Because(err)
		}
	}
	return nil
}

// Merge implements secagg.Accumulator. A snapshot that is refused half-way spoils
// the sums: they can then no longer be opened.
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
	for i, b := range a.buckets {
		counts := make([]byte, 4*len(b.added))
		if _, err := io.ReadFull(r, counts); err != nil {
			return ErrSnapshot.At("bucket %d", i).Because(err)
		}
		for j := range b.added {
			n := uint64(b.added[j]) + uint64(binary.LittleEndian.Uint32(counts[4*j:]))
			if n > uint64(a.attempt.clients()) {
				return ErrSnapshot.At("bucket %d, piece %d with %d uploads", i, j, n)
			}
			b.added[j] = uint32(n)
		}
		if err := b.sum.Merge(r); err != nil {
			return ErrSnapshot.At("bucket %d", i).Because(err)
		}
	}
	if _, err := io.ReadFull(r, version[:]); err != io.EOF {
		return ErrSnapshot.At("longer than the sums")
	}
	a.spoiled = false
	return nil
}

// closed refuses sums that are being opened or cannot be opened any more.
func (a *accumulator) closed() error {
	if a.spoiled {
		return ErrPieces.At("a snapshot was merged in part")
	}
	for i, b := range a.buckets {
		if slices.Contains(b.unmasked, true) {
			return ErrPieces.At("bucket %d is being opened", i)
		}
	}
	return nil
}
