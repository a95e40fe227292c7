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
			scheme := allSchemes[rng.IntN(len(allSchemes))].Name()
			cohort := 16 + rng.IntN(49)
			cfg := small(t, scheme, cohort+rng.IntN(40), cohort, 2+rng.IntN(3), seed)
			cfg.Schemes = allSchemes
			cfg.Faults = Faults{Dropout: 0.3 * rng.Float64(), Restart: 0.2 * rng.Float64(), Cut: 0.1 * rng.Float64(), Crashes: rng.IntN(3), Span: 15 * time.Second}
			if scheme == "pairwise" {
				cfg.Faults.Points = pairwiseSteps
			}
			if scheme == "oneshot" {
				m := 4 + rng.IntN(4)
				cfg.Plan.Scheme.Committee.Members = make([]plan.Member, m)
				cfg.Faults.Committee = committeeFaults(rng, m)
				cfg.Plan.Scheme.Corrupt, cfg.Plan.Scheme.CrossSilo = 0.01, cohort < 24
			}
			if scheme != "pairwise" && rng.IntN(2) == 0 && cohort >= 48 {
				cfg.Plan.Aggregation = plan.Aggregation{View: "bucket_means", Buckets: plan.Buckets{Size: 24, Minimum: 8}}
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
			if err != nil {
				t.Log(scheme, cohort, cfg.Plan.Scheme, cfg.Faults)
				for _, r := range res.Rounds {
					t.Log(r.Round, r.Attempt, r.Admitted, r.Outcome, r.Reason, r.Culprits)
				}
			}
			require.NoError(t, err, "repeat with -soak.first=%d -soak.seeds=1", seed)
			require.Equal(t, cfg.Plan.Rounds.Count, res.Final.RoundsCompleted)
		})
	}
}

// committeeFaults draws faults of as many members as a committee of m survives:
// those that restart come back.
func committeeFaults(rng *rand.Rand, m int) (out []MemberFault) {
	gone := (m - 1) / 3
	for _, j := range rng.Perm(m) {
		f := MemberFault{Member: j, Step: uint32(rng.IntN(8)), Kind: MemberRestarts}
		if gone > 0 {
			gone--
			f.Kind = MemberGone
			if f.Step == 2 { // a withheld nonce ends attempts until its owner is left out
				f.Attempt = 1
			}
			if rng.IntN(2) == 0 {
				f.Kind, f.Step = MemberGarbles, 7
			}
		}
		if rng.IntN(2) == 0 {
			out = append(out, f)
		}
	}
	return out
}
