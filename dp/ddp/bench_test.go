package ddp

import (
	"testing"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg/field"
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

// BenchmarkClient is all that a client does but drawing its noise, which package
// dp/noise measures and which a pool does beforehand.
func BenchmarkClient(b *testing.B) {
	m, err := Parameters{Dimension: benchDimension, Clients: 1000, Survivors: 800, Corrupt: 10, ClipNorm: 1, Scale: 1 << 14, Sigma: 1,
		Noise: dp.DiscreteGaussian}.Check()
	require.NoError(b, err)
	r, update, c := testRotation(b, benchDimension), randomVector(1, benchDimension), coins(1)
	prepared, words := make([]float32, benchDimension), make([]uint32, m.Quantizer().Layout().Len())
	b.Run("Prepare", func(b *testing.B) {
		for b.Loop() {
			_, _ = m.Prepare(prepared, update, 1, r)
		}
		perCoordinate(b)
	})
	b.Run("Encode", func(b *testing.B) {
		for b.Loop() {
			_, _ = m.Encode(words, prepared, nil, c, []field.Noise{constant(3)})
		}
		perCoordinate(b)
	})
	b.Run("Whole", func(b *testing.B) {
		for b.Loop() {
			_, _ = m.Prepare(prepared, update, 1, r)
			_, _ = m.Encode(words, prepared, nil, c, []field.Noise{constant(3)})
		}
		perCoordinate(b)
	})
}
