package sim

import (
	"flag"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

var reliabilitySeeds = flag.Int("reliability.seeds", 1, "number of seeds of TestNoRoundFailsAtThePlannedDropout")

// With exactly the planned share of a cohort of 100 dropping out, spread over all
// phases, no attempt fails. 200 seeds were run for the figure in docs/FIGURES.md:
//
//	go test ./sim -run NoRoundFails -args -reliability.seeds=200
func TestNoRoundFailsAtThePlannedDropout(t *testing.T) {
	for seed := range uint64(*reliabilitySeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cfg := small(t, "pairwise", 100, 100, 1, seed)
			cfg.Schemes = bothSchemes
			cfg.Plan.Cohort.Minimum = 56
			cfg.Faults = Faults{Dropout: 0.3, Points: pairwiseSteps}
			res, err := Run(cfg)
			require.NoError(t, err)
			require.Equal(t, 30, res.Rounds[0].Dropped)
			require.Zero(t, res.Final.RoundsFailed)
			require.Equal(t, 1, res.Final.RoundsCompleted)
		})
	}
}
