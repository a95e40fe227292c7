package share

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

const benchSecrets = 4096

var committees = []struct{ m, degree int }{{5, 1}, {16, 5}}

func BenchmarkSplit(b *testing.B) {
	for _, c := range committees {
		b.Run(fmt.Sprintf("m=%d", c.m), func(b *testing.B) {
			secrets := someSecrets(rand.New(rand.NewPCG(1, 1)), benchSecrets)
			out, points, coins := newShares(c.m, benchSecrets), upTo(c.m), seeded(1)
			for b.Loop() {
				if err := Split(out, points, secrets, c.degree, coins); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNewChecker(b *testing.B) {
	for b.Loop() {
		NewChecker([32]byte{1}, benchSecrets)
	}
}

func BenchmarkCheck(b *testing.B) {
	checker := NewChecker([32]byte{1}, benchSecrets)
	shares := mustSplit(b, upTo(5), make([]int32, benchSecrets), 1, seeded(1))[0]
	for b.Loop() {
		checker.Check(shares)
	}
}

func BenchmarkDecode(b *testing.B) {
	v, data := make([]uint32, benchSecrets), make([]byte, ElementBytes*benchSecrets)
	for b.Loop() {
		if err := Decode(v, data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAccumulate(b *testing.B) {
	shares := mustSplit(b, upTo(5), make([]int32, benchSecrets), 1, seeded(1))
	for b.Loop() {
		Accumulate(shares[0], shares[1])
	}
}

func BenchmarkConsistent(b *testing.B) {
	for _, c := range committees {
		values := checked(NewChecker([32]byte{}, 4), mustSplit(b, upTo(c.m), make([]int32, 4), c.degree, seeded(1)))
		for _, liars := range []int{0, 1} {
			b.Run(fmt.Sprintf("m=%d/liars=%d", c.m, liars), func(b *testing.B) {
				values := append([][Blinds]uint32(nil), values...)
				values[0][0] ^= uint32(liars)
				for b.Loop() {
					if _, err := Consistent(upTo(c.m), values, c.degree); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkCombine(b *testing.B) {
	for _, c := range committees {
		answers := withoutBlinds(mustSplit(b, upTo(c.m), make([]int32, benchSecrets), c.degree, seeded(1)))
		for _, liars := range []int{0, 1} {
			b.Run(fmt.Sprintf("m=%d/liars=%d", c.m, liars), func(b *testing.B) {
				answers[0][0] = (answers[0][0] + uint32(liars)) % Prime
				out, points := make([]int32, benchSecrets), upTo(c.m)
				for b.Loop() {
					if _, err := Combine(out, points, answers, c.degree); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
