package ddp

import (
	"testing"

	"github.com/choir-fl/choir/dp"
	"github.com/stretchr/testify/require"
)

const benchDimension = 1 << 20

func perCoordinate(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchDimension, "ns/coord")
}

// BenchmarkRotation is signs and transform of 2^20 values.
func BenchmarkRotation(b *testing.B) {
	r, x := testRotation(b, benchDimension), randomVector(1, benchDimension)
	for b.Loop() {
		_ = r.Forward(x)
	}
	perCoordinate(b)
}

// BenchmarkHadamard is the transform alone; signs go along to keep values bounded.
func BenchmarkHadamard(b *testing.B) {
	x, y := make([]float32, benchDimension), randomVector(1, benchDimension)
	for b.Loop() {
		b.StopTimer()
		copy(x, y)
		b.StartTimer()
		for i := 0; i < len(x); i += BlockSize {
			hadamard(x[i : i+BlockSize])
		}
	}
	perCoordinate(b)
}

// BenchmarkClient is all that a client does but drawing its noise, which it does
// beforehand. Encode includes the erasure of the draw, and not its making.
func BenchmarkClient(b *testing.B) {
	m, err := Parameters{Dimension: benchDimension, Clients: 1000, Survivors: 800, Corrupt: 10, ClipNorm: 1, Scale: 1 << 14, Sigma: 1,
		Noise: dp.DiscreteGaussian}.Check()
	require.NoError(b, err)
	r, update, c := testRotation(b, benchDimension), randomVector(1, benchDimension), coins(1)
	prepared, words := make([]float32, benchDimension), make([]uint32, m.Quantizer().Layout().Len())
	encode := func(b *testing.B) {
		b.StopTimer()
		draw := drawOf(b, m, constant(3), nil)
		b.StartTimer()
		_, _ = m.Encode(words, prepared, nil, c, draw)
	}
	b.Run("Draw", func(b *testing.B) {
		for b.Loop() {
			_, _ = m.Draw(c)
		}
		perCoordinate(b)
	})
	b.Run("Prepare", func(b *testing.B) {
		for b.Loop() {
			_, _ = m.Prepare(prepared, update, 1, r)
		}
		perCoordinate(b)
	})
	b.Run("Encode", func(b *testing.B) {
		for b.Loop() {
			encode(b)
		}
		perCoordinate(b)
	})
	b.Run("Whole", func(b *testing.B) {
		for b.Loop() {
			_, _ = m.Prepare(prepared, update, 1, r)
			encode(b)
		}
		perCoordinate(b)
	})
}

// BenchmarkDecode is what a coordinator does with a sum, without and with central noise.
func BenchmarkDecode(b *testing.B) {
	p := Parameters{Dimension: benchDimension, Clients: 1000, Survivors: 800, Corrupt: 10, ClipNorm: 1, Scale: 1 << 14, Sigma: 1, Noise: dp.DiscreteGaussian}
	for _, central := range []bool{false, true} {
		name := "Distributed"
		if central {
			name, p.Central, p.Survivors, p.Corrupt = "Central", true, 1, 0
		}
		m := mustCheck(b, p)
		r, dst, words := testRotation(b, benchDimension), make([]float64, benchDimension), make([]uint32, benchDimension)
		for i := range words {
			words[i] = 1000<<(m.Quantizer().Spec().Bits-1) + uint32(i%1000)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				var draw *Draw
				if central {
					draw = drawOf(b, m, constant(3), nil)
				}
				b.StartTimer()
				if _, err := m.Decode(dst, words, 1000, r, draw); err != nil {
					b.Fatal(err)
				}
			}
			perCoordinate(b)
		})
	}
}
