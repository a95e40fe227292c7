package bucketed

import (
	"encoding/binary"
	"io"

	"github.com/choir-fl/choir/secagg"
)

// accumulator implements secagg.Accumulator over one accumulator for each bucket.
type accumulator struct{ parts []secagg.Accumulator }

// NewAccumulator makes an empty accumulator for all buckets.
func NewAccumulator(inner secagg.ServerScheme, s secagg.Session, bucketOf []int) (secagg.Accumulator, error) {
	if err := check(s, bucketOf); err != nil {
		return nil, err
	}
	a := &accumulator{parts: make([]secagg.Accumulator, s.Buckets)}
	for b, members := range secagg.Members(bucketOf, s.Buckets) {
		p, err := part(s, members)
		if err != nil {
			return nil, err
		}
		if a.parts[b], err = inner.NewAccumulator(p); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *accumulator) Pieces() secagg.Pieces { return a.parts[0].Pieces() }

func (a *accumulator) Check(piece int, p []byte) error { return a.parts[0].Check(piece, p) }

func (a *accumulator) Add(bucket, piece int, p []byte) error {
	if bucket < 0 || bucket >= len(a.parts) {
		return secagg.ErrPiece.At("bucket %d", bucket)
	}
	return a.parts[bucket].Add(0, piece, p)
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// Snapshot writes the snapshot of each bucket, its length before it.
func (a *accumulator) Snapshot(w io.Writer) error {
	for _, p := range a.parts {
		var n counter
		if err := p.Snapshot(&n); err != nil {
			return err
		}
		if err := binary.Write(w, binary.BigEndian, int64(n)); err != nil {
			return err
		}
		if err := p.Snapshot(w); err != nil {
			return err
		}
	}
	return nil
}

func (a *accumulator) Merge(r io.Reader) error {
	for b, p := range a.parts {
		var n int64
		if err := binary.Read(r, binary.BigEndian, &n); err != nil {
			return ErrSnapshot.At("bucket %d", b).Because(err)
		}
		if err := p.Merge(io.LimitReader(r, n)); err != nil {
			return err
		}
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return ErrSnapshot.At("more buckets than %d", len(a.parts))
	}
	return nil
}

// own refuses an opening that is not that of as many buckets.
func (a *accumulator) own(o secagg.Opening) (*opening, error) {
	op, ok := o.(*opening)
	if !ok || len(op.parts) != len(a.parts) {
		return nil, secagg.ErrSession.At("opening of another scheme")
	}
	return op, nil
}

func (a *accumulator) Unmask(o secagg.Opening, piece int) error {
	op, err := a.own(o)
	if err != nil {
		return err
	}
	for b, p := range a.parts {
		if op.parts[b] == nil {
			continue
		}
		if err := p.Unmask(op.parts[b], piece); err != nil {
			return err
		}
	}
	return nil
}

func (a *accumulator) Sums(o secagg.Opening) ([]secagg.Sum, error) {
	op, err := a.own(o)
	if err != nil {
		return nil, err
	}
	var out []secagg.Sum
	for b, p := range a.parts {
		if op.members[b] == nil {
			continue // it was left out
		}
		sum := secagg.Sum{Bucket: b, Members: op.members[b], Spoiled: op.spoiled[b]}
		if sum.Spoiled == nil {
			sums, err := p.Sums(op.parts[b])
			if err != nil {
				sum.Spoiled = err
			} else {
				sum.Words, sum.Spoiled = sums[0].Words, sums[0].Spoiled
			}
		}
		out = append(out, sum)
	}
	return out, nil
}
