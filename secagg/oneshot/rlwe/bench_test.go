package rlwe

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/choir-fl/choir/secagg/field"
)

// benchWords is a vector of 2^20 coordinates: far larger than the caches.
const benchWords = 1 << 20

func perCoordinate(b *testing.B, words int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(words), "ns/coord")
}

func benchParameters(b *testing.B, l Literal) Parameters {
	p, err := l.Check()
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// benchVector seals a whole vector.
func benchVector(b *testing.B, p Parameters) ([]byte, []int32) {
	coins := field.NewStream([32]byte{1})
	secret, err := p.NewSecret(coins)
	if err != nil {
		b.Fatal(err)
	}
	s, err := NewSealer(p, [32]byte{2}, secret, coins)
	if err != nil {
		b.Fatal(err)
	}
	out, words := make([]byte, p.Bytes()), benchInput(p)
	for c := range p.Chunks() {
		if err := s.Seal(out[c*p.ChunkBytes():][:p.ChunkBytes()], c, words[:p.WordsOf(c)]); err != nil {
			b.Fatal(err)
		}
	}
	return out, secret
}

func benchInput(p Parameters) []uint32 {
	words := make([]uint32, p.ChunkWords())
	for i := range words {
		words[i] = uint32(i) * 2654435761 >> (32 - p.Width() + 10)
	}
	return words
}

var benchShapes = []Literal{
	{Set: "M", Clients: 1000, Words: benchWords, WordBits: 28},
	{Set: "M", Clients: 1000, Words: benchWords, WordBits: 26},
	{Set: "M", Clients: 1000, Words: benchWords, WordBits: 21},
	{Set: "S", Clients: 1000, Words: 1 << 13, WordBits: 16},
}

func BenchmarkSeal(b *testing.B) {
	for _, l := range benchShapes {
		b.Run(fmt.Sprintf("%s/w=%d", l.Set, l.WordBits), func(b *testing.B) {
			p := benchParameters(b, l)
			coins := field.NewStream([32]byte{1})
			secret, _ := p.NewSecret(coins)
			s, err := NewSealer(p, [32]byte{2}, secret, coins)
			if err != nil {
				b.Fatal(err)
			}
			out, words := make([]byte, p.Bytes()), benchInput(p)
			for b.Loop() {
				for c := range p.Chunks() {
					if err := s.Seal(out[c*p.ChunkBytes():][:p.ChunkBytes()], c, words[:p.WordsOf(c)]); err != nil {
						b.Fatal(err)
					}
				}
			}
			perCoordinate(b, l.Words)
		})
	}
}

func BenchmarkCheckAndAdd(b *testing.B) {
	for _, l := range benchShapes {
		b.Run(fmt.Sprintf("%s/w=%d", l.Set, l.WordBits), func(b *testing.B) {
			p := benchParameters(b, l)
			vector, _ := benchVector(b, p)
			sum := NewSum(p)
			for b.Loop() {
				for c := range p.Chunks() {
					piece := vector[c*p.ChunkBytes():][:p.ChunkBytes()]
					if err := sum.Check(c, piece); err != nil {
						b.Fatal(err)
					}
					if err := sum.Add(c, piece); err != nil {
						b.Fatal(err)
					}
				}
			}
			perCoordinate(b, l.Words)
		})
	}
}

// Opening costs the same whatever the number of members.
func BenchmarkOpen(b *testing.B) {
	for _, l := range benchShapes {
		for _, members := range []int{2, 1000} {
			b.Run(fmt.Sprintf("%s/w=%d/n=%d", l.Set, l.WordBits, members), func(b *testing.B) {
				p := benchParameters(b, l)
				vector, secret := benchVector(b, p)
				sum := NewSum(p)
				for range members {
					for c := range p.Chunks() {
						if err := sum.Add(c, vector[c*p.ChunkBytes():][:p.ChunkBytes()]); err != nil {
							b.Fatal(err)
						}
					}
				}
				for i := range secret {
					secret[i] *= int32(members)
				}
				o, err := NewOpener(p, [32]byte{2}, secret, members)
				if err != nil {
					b.Fatal(err)
				}
				out := make([]uint32, p.ChunkWords())
				for b.Loop() {
					for c := range p.Chunks() {
						if err := o.Open(sum, c, out[:p.WordsOf(c)]); err != nil {
							b.Fatal(err)
						}
					}
				}
				perCoordinate(b, l.Words)
			})
		}
	}
}

func BenchmarkSnapshotAndMerge(b *testing.B) {
	p := benchParameters(b, benchShapes[0])
	sum, other := NewSum(p), NewSum(p)
	vector, _ := benchVector(b, p)
	if err := sum.Merge(bytes.NewReader(vector)); err != nil {
		b.Fatal(err)
	}
	var buffer bytes.Buffer
	for b.Loop() {
		buffer.Reset()
		if err := sum.Snapshot(&buffer); err != nil {
			b.Fatal(err)
		}
		if err := other.Merge(&buffer); err != nil {
			b.Fatal(err)
		}
	}
	perCoordinate(b, benchWords)
}

func BenchmarkParts(b *testing.B) {
	p := benchParameters(b, benchShapes[0])
	l := &p.set.limbs()[0]
	row := make([]uint64, p.N())
	part := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(p.N()), "ns/coefficient")
		})
	}
	x, err := newExpander([32]byte{1})
	if err != nil {
		b.Fatal(err)
	}
	part("expand", func() { x.expand(row, l.q, 1, 0) })
	part("transform", func() { l.transform(row); l.reduceAll(row) })
	part("invert", func() { l.invert(row); l.reduceAll(row) })
	errors, coins, s := make([]int32, p.N()), field.NewStream([32]byte{3}), new(sampler)
	part("error", func() { _ = s.sample(errors, &errorLaw, coins) })
	part("secret", func() { _ = s.sample(errors, &secretLaw, coins) })
}

// reduceAll keeps a row that is transformed again and again in range.
func (l *limb) reduceAll(row []uint64) {
	for i := range row {
		row[i] = l.reduce(row[i])
	}
}
