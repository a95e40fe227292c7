package mf

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
)

const (
	// A snapshot is the magic with its version, the digest of the run, the step that is due
	// (uint32), the seed, the vectors (int64), all big-endian, and SHA-256 of all that.
	snapshotMagic  = "choir.mf/1\n"
	snapshotHeader = len(snapshotMagic) + sha256.Size + 4 + 32
)

// SnapshotSize is the length of every snapshot of the run.
func (r Run) SnapshotSize() int {
	return snapshotHeader + 8*r.m.Vectors()*r.dimension + sha256.Size
}

// digest names all that the noise depends on but the seed.
func (r Run) digest() [sha256.Size]byte {
	p := r.m.p
	h := sha256.New()
	put := func(values ...uint64) {
		for _, v := range values {
			_, _ = h.Write(binary.BigEndian.AppendUint64(nil, v))
		}
	}
	put(uint64(p.Family), uint64(p.Participation.Steps), uint64(p.Participation.Participations), uint64(p.Participation.Separation))
	put(uint64(r.dimension), uint64(r.shift), r.num, r.den, uint64(r.fraction), uint64(len(r.m.band)), uint64(len(r.decay)))
	for _, c := range r.m.band {
		put(uint64(c))
	}
	put(r.decay...)
	put(r.scale...)
	return [sha256.Size]byte(h.Sum(nil))
}

// Snapshot is all of the generator, to be restored by [Run.Restore]. It holds the seed and
// the noise: the caller encrypts it, and erases it with the run. A generator that is
// restored from it gives the noise of all steps from Next on, exactly as this one does.
// ErrErased after Erase.
func (g *Generator) Snapshot() ([]byte, error) {
	if g.filter == nil {
		return nil, ErrErased.At("snapshot")
	}
	digest := g.run.digest()
	out := make([]byte, 0, g.run.SnapshotSize())
	out = append(append(out, snapshotMagic...), digest[:]...)
	out = binary.BigEndian.AppendUint32(out, uint32(g.next))
	out = append(out, g.seed[:]...)
	for _, v := range g.filter.state() {
		for _, x := range v {
			out = binary.BigEndian.AppendUint64(out, uint64(x))
		}
	}
	sum := sha256.Sum256(out)
	return append(out, sum[:]...), nil
}

// Restore makes the generator that wrote the snapshot. ErrSnapshot for bytes that are not a
// snapshot of this very run (the same mechanism, noise and dimension). Whether they are the
// newest is for the caller to know: an older one repeats noise, which gives it away if the
// sums differ.
func (r Run) Restore(snapshot []byte) (*Generator, error) {
	if r.dimension == 0 {
		return nil, ErrArgument.At("restore of no run")
	}
	if len(snapshot) != r.SnapshotSize() {
		return nil, ErrSnapshot.At("%d bytes, not %d", len(snapshot), r.SnapshotSize())
	}
	body := snapshot[:len(snapshot)-sha256.Size]
	sum, digest := sha256.Sum256(body), r.digest()
	rest := body[len(snapshotMagic):]
	switch {
	case subtle.ConstantTimeCompare(sum[:], snapshot[len(body):]) != 1:
		return nil, ErrSnapshot.At("checksum")
	case !bytes.HasPrefix(body, []byte(snapshotMagic)):
		return nil, ErrSnapshot.At("format or version")
	case !bytes.HasPrefix(rest, digest[:]):
		return nil, ErrSnapshot.At("mechanism, noise or dimension of another run")
	}
	rest = rest[len(digest):]
	next := binary.BigEndian.Uint32(rest)
	if next > uint32(r.m.p.Participation.Steps) {
		return nil, ErrSnapshot.At("step %d of %d", next, r.m.p.Participation.Steps)
	}
	g := &Generator{run: r, next: int(next), filter: r.newFilter()}
	rest = rest[4:]
	rest = rest[copy(g.seed[:], rest):]
	for _, v := range g.filter.state() {
		for i := range v {
			v[i] = int64(binary.BigEndian.Uint64(rest))
			rest = rest[8:]
		}
	}
	return g, nil
}
