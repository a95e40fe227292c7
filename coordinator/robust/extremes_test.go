package robust

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLargestVectorsDoNotOverflow(t *testing.T) {
	n, d := 12, 30_000
	rows := make([][]float64, n)
	for i := range rows {
		rows[i] = make([]float64, d)
		for j := range rows[i] {
			rows[i][j] = 1 + float64((i*7+j)%5)/10
			if i < 2 {
				rows[i][j] = 5.7e149 * float64(1-2*i)
			}
		}
	}
	_, in := inputFor(1, d)
	for _, s := range everyRule() {
		s.F = min(s.F, 2)
		if s.F == 1 || s.Rule == "mean" || s.Rule == "foolsgold" || s.Rule == "monna" {
			continue // they take such vectors in
		}
		got, out := apply(t, s, rows, in)
		for _, x := range got {
			require.InDelta(t, 1, x, 1, s)
		}
		require.False(t, math.IsNaN(total(out.Weights)))
	}
	rows[0][0] = 9e149 // more than 1e152 over the root of d
	_, err := Float64(rows)
	require.ErrorIs(t, err, ErrNotFinite)
}
