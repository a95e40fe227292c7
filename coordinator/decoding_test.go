package coordinator

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

// Sensitivity and sampling are reckoned for a clip bit about its centre: whether a client
// is drawn changes the decoded number by half a bit, whatever its own bit is, and a client
// that counts for nothing is one that is not there. Counted from zero, a drawn client with
// bit 1 would change it by a whole bit, which is twice of what the noise is for.
func TestDrawnClientChangesTheClipBitsByHalf(t *testing.T) {
	m, err := ddp.Parameters{Dimension: 4, Clients: 8, Survivors: 1, ClipNorm: 1, Sigma: 1, Noise: dp.DiscreteGaussian, Central: true,
		Outlier: secagg.OutlierFactor, Extras: []ddp.Extra{ddp.BitExtra(2, 1)}}.Check()
	require.NoError(t, err)
	most, params := m.Parameters().Extras[0].Largest, m.Parameters()
	require.InDelta(t, float64(most)/2, params.Extras[0].Bound, 1, "the sensitivity is half a bit, rounded up")
	rotation, err := ddp.NewRotation(4, [32]byte{1})
	require.NoError(t, err)
	// decoded is the decoded sum of such bits, with the same noise in every world.
	decoded := func(bits ...uint64) float64 {
		sum := make([]uint32, m.Quantizer().Layout().Len())
		for _, bit := range bits {
			prepared, words := make([]float32, m.Sensitivity().Dimension), make([]uint32, len(sum))
			_, err := m.Prepare(prepared, make([]float32, 4), 1, rotation)
			require.NoError(t, err)
			_, err = m.Encode(words, prepared, []uint64{bit}, field.NewStream([32]byte{2}), nil)
			require.NoError(t, err)
			for i, w := range words {
				sum[i] += w
			}
		}
		if width := m.Quantizer().WordBits(); width < 32 {
			for i := range sum {
				sum[i] &= 1<<width - 1
			}
		}
		noise, err := m.Draw(field.NewStream([32]byte{3}))
		require.NoError(t, err)
		d := decoder{noisy: true, mechanism: m, rotation: rotation, stretch: 1, draws: []*ddp.Draw{noise}}
		extras, err := d.decode(make([]float64, 4), &secagg.Sum{Words: sum, Members: make([]int, len(bits))})
		require.NoError(t, err)
		require.Len(t, extras, 1)
		return extras[0]
	}
	for _, others := range [][]uint64{{most}, {0}, {most, 0, most}, {0, 0, 0, most, most / 2}} {
		without := decoded(others...)
		for bit, moves := range map[uint64]float64{most: 0.5, 0: -0.5, most / 2: 0} {
			with := decoded(append(slices.Clone(others), bit)...)
			require.InDelta(t, moves, with-without, 1e-12, "bit %d of %d beside %v", bit, most, others)
		}
	}
}
