package sim

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
)

var (
	soakSeeds = flag.Int("soak.seeds", 4, "number of seeds that TestSoak draws")
	soakFirst = flag.Uint64("soak.first", 1, "first seed of TestSoak")
)

// pairwiseSteps are the steps of scheme pairwise whose instruction a client may
// leave unanswered, and the points around its upload.
var pairwiseSteps = []Point{1, 2, 3, 4, BeforeUpload, DuringUpload, AfterUpload, 6}

// TestSoak draws scheme, cohort and faults from each seed, with all cryptography,
// and relies on the invariants that every run holds.
func TestSoak(t *testing.T) {
	for i := range *soakSeeds {
		seed := *soakFirst + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			scheme := bothSchemes[rng.IntN(2)].Name()
			cohort := 16 + rng.IntN(49)
			cfg := small(t, scheme, cohort+rng.IntN(40), cohort, 2+rng.IntN(3), seed)
			cfg.Schemes = bothSchemes
			cfg.Faults = Faults{Dropout: 0.3 * rng.Float64(), Points: pairwiseSteps, Restart: 0.2 * rng.Float64(), Cut: 0.1 * rng.Float64(), Crashes: rng.IntN(3), Span: 15 * time.Second}
			if scheme == "plain" {
				cfg.Faults.Points = nil
			}
			cfg.Network = Network{Loss: 0.1 * rng.Float64(), Duplicate: 0.2 * rng.Float64(), Spread: rng.Float64()}
			if rng.IntN(3) == 0 {
				cfg.Plan.Cohort.OverSelection = 1.2
			}
			if rng.IntN(3) == 0 {
				cfg.Plan.Cohort.Selection = string(plan.SelectCheckIn)
			}
			cfg.Plan.Optimizer.Name = []string{"fedavg", "fedavgm", "fedadam", "fedyogi", "fedadagrad"}[rng.IntN(5)]
			cfg.Plan.Rounds.Attempts = 8
			cfg.CheckpointBytes = int64(rng.IntN(3)) * 400 // an upload is about 180 bytes
			res, err := Run(cfg)
			require.NoError(t, err, "repeat with -soak.first=%d -soak.seeds=1", seed)
			require.Equal(t, cfg.Plan.Rounds.Count, res.Final.RoundsCompleted)
		})
	}
}
