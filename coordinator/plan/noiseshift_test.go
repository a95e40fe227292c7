package plan

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/robust"
)

func TestNoisePushesAsFarAsBadVectorsBehindItDo(t *testing.T) {
	require.Zero(t, noiseShift("krum", 28, 10, 10))
	require.Zero(t, noiseShift("trimmed-mean", 28, 10, 0))
	require.Zero(t, noiseShift("median", 28, 10, 14), "no honest majority")
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		rule      string
		m, f, bad int
	}{{"trimmed-mean", 280, 100, 100}, {"trimmed-mean", 280, 100, 40}, {"trimmed-mean", 500, 240, 230}, {"median", 281, 0, 100}} {
		spec := robust.Spec{Rule: c.rule, F: max(c.f, 1)}
		rule, err := spec.Check()
		require.NoError(t, err)
		rows := make([][]float64, c.m)
		for i := range rows {
			rows[i] = make([]float64, 4000)
			for j := range rows[i] {
				if rows[i][j] = rng.NormFloat64(); i < c.bad {
					rows[i][j] = 1e9
				}
			}
		}
		v, err := robust.Float64(rows)
		require.NoError(t, err)
		out := make([]float64, 4000)
		_, err = rule.Combine(out, robust.Input{Vectors: v})
		require.NoError(t, err)
		mean := 0.0
		for _, x := range out {
			mean += x / 4000
		}
		require.InEpsilon(t, mean, noiseShift(c.rule, c.m, c.f, c.bad), 0.03, "%+v", c)
	}
}
