package dataset

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEmbeddedSubsetIsTheRecordedFile(t *testing.T) {
	provenance, err := os.ReadFile("fashion/PROVENANCE.md")
	require.NoError(t, err)
	require.Contains(t, string(provenance), fmt.Sprintf("%x  subset.idx.gz\n", sha256.Sum256(fashionSubset)))

	r, err := gzip.NewReader(bytes.NewReader(fashionSubset))
	require.NoError(t, err)
	packed, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Contains(t, string(provenance), fmt.Sprintf("%x  subset.idx.gz unpacked", sha256.Sum256(packed)))
}

func TestEmbeddedSubsetIsBalancedAndInRange(t *testing.T) {
	train, test, err := FashionSubset()
	require.NoError(t, err)
	// Published mean pixel value of the full training set: 0.2860.
	for _, c := range []struct {
		set      Dataset
		perClass int
	}{{train, 600}, {test, 100}} {
		require.Equal(t, [3]int{28, 28, 1}, c.set.Shape())
		require.Equal(t, 10, c.set.Classes())
		require.Equal(t, 10*c.perClass, c.set.Len())
		counts, means := make([]int, 10), make([]float64, 10)
		mean, inRange := 0.0, true
		for i := range c.set.Len() {
			var sum float64
			for _, v := range c.set.Features(i) {
				inRange = inRange && v >= 0 && v <= 1
				sum += float64(v)
			}
			counts[c.set.Label(i)]++
			means[c.set.Label(i)] += sum / 784 / float64(c.perClass)
			mean += sum / 784 / float64(c.set.Len())
		}
		require.True(t, inRange)
		for class, n := range counts {
			require.Equal(t, c.perClass, n, "class %d", class)
		}
		require.InDelta(t, 0.2860, mean, 0.005)
		require.Greater(t, means[2], 2*means[5], "a pullover covers more than a sandal")
	}
	require.Equal(t, []int{9, 0, 0, 3, 0, 2, 7, 2, 5, 5}, train.Labels()[:10], "the order of the full set")
	require.Equal(t, []int{9, 2, 1, 1, 6, 1, 4, 6, 5, 7}, test.Labels()[:10])
}
