package field

import (
	"fmt"
	"testing"
)

// benchWords is a vector of 4 MiB: larger than the first-level caches, as a
// model's is.
const benchWords = 1 << 20

func perWord(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/word")
}

func BenchmarkAdd(b *testing.B) {
	x, y := make([]uint32, benchWords), make([]uint32, benchWords)
	for b.Loop() {
		Add(x, y)
	}
	perWord(b, benchWords)
}

func BenchmarkPacking(b *testing.B) {
	words := make([]uint32, benchWords)
	for i := range words {
		words[i] = uint32(i) * 2654435761
	}
	for _, w := range []int{8, 13, 16, 20, 24, 31, 32} {
		packed := make([]byte, PackedLen(benchWords, w))
		b.Run(fmt.Sprintf("Pack/w=%d", w), func(b *testing.B) {
			for b.Loop() {
				_ = Pack(packed, words, w)
			}
			perWord(b, benchWords)
		})
		out := make([]uint32, benchWords)
		b.Run(fmt.Sprintf("Unpack/w=%d", w), func(b *testing.B) {
			for b.Loop() {
				_ = Unpack(out, packed, w)
			}
			perWord(b, benchWords)
		})
		b.Run(fmt.Sprintf("AddPacked/w=%d", w), func(b *testing.B) {
			for b.Loop() {
				_ = AddPacked(out, packed, w)
			}
			perWord(b, benchWords)
		})
	}
}

func BenchmarkStream(b *testing.B) {
	s, p := NewStream([32]byte{1}), make([]byte, coinBytes*block)
	for b.Loop() {
		_, _ = s.Read(p)
	}
	perWord(b, block)
}

func BenchmarkNorm(b *testing.B) {
	update := make([]float32, benchWords)
	for b.Loop() {
		Norm(update)
	}
	perWord(b, benchWords)
}

func BenchmarkEncode(b *testing.B) {
	q, err := Spec{Dimension: benchWords, Clients: 1000, ClipNorm: 1, Bits: 20}.Check()
	if err != nil {
		b.Fatal(err)
	}
	update := make([]float32, benchWords)
	for i := range update {
		update[i] = float32(i%2001-1000) / 1e5
	}
	dst, coins := make([]uint32, benchWords), NewStream([32]byte{1})
	for b.Loop() {
		if _, err := q.Encode(dst, update, 1, nil, coins, nil); err != nil {
			b.Fatal(err)
		}
	}
	perWord(b, benchWords)
}

func BenchmarkDecode(b *testing.B) {
	q, err := Spec{Dimension: benchWords, Clients: 1000, ClipNorm: 1, Bits: 20}.Check()
	if err != nil {
		b.Fatal(err)
	}
	sum, values := make([]uint32, benchWords), make([]float64, benchWords)
	for i := range sum {
		sum[i] = 1000<<19 + uint32(i)
	}
	for b.Loop() {
		if _, err := q.Decode(values, sum, 1000); err != nil {
			b.Fatal(err)
		}
	}
	perWord(b, benchWords)
}
