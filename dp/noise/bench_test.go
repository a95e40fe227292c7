package noise

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// keystream is the AES-256-CTR keystream of a key whose first byte is given.
type keystream struct{ cipher.Stream }

func (s keystream) Read(p []byte) (int, error) {
	clear(p)
	s.XORKeyStream(p, p)
	return len(p), nil
}

func coinsOf(seed byte) keystream {
	block, err := aes.NewCipher(append([]byte{seed}, make([]byte, 31)...))
	if err != nil {
		panic(err)
	}
	return keystream{cipher.NewCTR(block, make([]byte, 16))}
}

func BenchmarkSample(b *testing.B) {
	const n = 1 << 14
	run := func(name string, s Sampler) {
		b.Run(name, func(b *testing.B) {
			dst, coins := make([]int64, n), bufio.NewReader(coinsOf(1))
			for b.Loop() {
				if err := s.Sample(dst, coins); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/sample")
		})
	}
	for _, sigma := range []uint64{50, 1000, 2000, 10000, 1 << 15, 1 << 30} {
		g, err := NewGaussian(sigma*sigma, 1)
		require.NoError(b, err)
		run(fmt.Sprintf("gaussian/sigma=%d", sigma), g)
	}
	for _, sigma := range []uint64{50, 1000, 10000} {
		r, err := NewRejection(sigma*sigma, 1)
		require.NoError(b, err)
		run(fmt.Sprintf("rejection/sigma=%d", sigma), r)
	}
	for _, sigma := range []uint64{50, 1000, 4096} {
		s, err := NewSkellam(sigma*sigma, 1)
		require.NoError(b, err)
		run(fmt.Sprintf("skellam/sigma=%d", sigma), s)
	}
	l, err := NewLaplace(1000, 1)
	require.NoError(b, err)
	run("laplace/scale=1000", l)
}

func BenchmarkNew(b *testing.B) {
	for _, sigma := range []uint64{50, 1000, 2047, 2048, 1 << 30} {
		b.Run(fmt.Sprintf("gaussian/sigma=%d", sigma), func(b *testing.B) {
			for b.Loop() {
				_, err := NewGaussian(sigma*sigma, 1)
				require.NoError(b, err)
			}
		})
	}
	b.Run("skellam/sigma=4096", func(b *testing.B) {
		for b.Loop() {
			_, err := NewSkellam(4096*4096, 1)
			require.NoError(b, err)
		}
	})
}
