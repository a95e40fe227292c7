package robust

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/choir-fl/choir/internal/parallel"
)

// workers is an Each that keeps every processor busy.
var workers = parallel.Workers(runtime.GOMAXPROCS(0))

// draws are n vectors of d values from seeded coins, a tenth of them far off.
func draws(n, d int, seed uint64) [][]float32 {
	coins := rand.New(rand.NewPCG(seed, 0))
	rows := make([][]float32, n)
	for i := range rows {
		rows[i] = make([]float32, d)
		scale := float32(1)
		if i%10 == 3 {
			scale = 20
		}
		for j := range rows[i] {
			rows[i][j] = scale * (coins.Float32() - 0.4)
		}
	}
	return rows
}

func benchmark(b *testing.B, s Spec) {
	for _, size := range [][2]int{{100, 1e5}, {100, 1e6}, {1000, 1e5}} {
		b.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(b *testing.B) {
			rule, err := s.Check()
			if err != nil {
				b.Fatal(err)
			}
			v, err := Float32(draws(size[0], size[1], 1))
			if err != nil {
				b.Fatal(err)
			}
			dst := make([]float64, size[1])
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rule.Combine(dst, Input{Vectors: v, Each: workers}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkKrum(b *testing.B) { benchmark(b, Spec{Rule: "krum", F: 10}) }

func BenchmarkNNM(b *testing.B) { benchmark(b, Spec{Rule: "krum", F: 10, Pre: []string{"nnm"}}) }

func BenchmarkGeometricMedian(b *testing.B) { benchmark(b, Spec{Rule: "geometric-median", F: 10}) }
