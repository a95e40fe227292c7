package sim

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

var bothSchemes = []Scheme{plain.Scheme{}, pairwise.Scheme{}}

// Figure 3 of the plan: with the same survivors the scheme does not matter.
func TestModelDigestIsTheSameUnderEveryScheme(t *testing.T) {
	digests := map[string]string{}
	for _, scheme := range []string{"plain", "pairwise"} {
		cfg := small(t, scheme, 60, 40, 3, 7)
		cfg.Schemes = bothSchemes
		cfg.Faults.Dropout = 0.3
		res, err := Run(cfg)
		require.NoError(t, err)
		require.Equal(t, 3, res.Final.RoundsCompleted)
		require.Zero(t, res.Final.RoundsFailed)
		for _, r := range res.Rounds {
			require.Equal(t, 12, r.Dropped)
			require.Equal(t, 40-8, r.Survivors, "those that vanish after their upload are counted")
		}
		digests[scheme] = res.Final.ModelDigest
	}
	require.Equal(t, digests["plain"], digests["pairwise"])
}

func TestSameSeedGivesTheSameRun(t *testing.T) {
	requireRepeats(t, func() Config { return small(t, "pairwise", 40, 20, 3, 11) })
}

// requireRepeats runs a configuration under faults with one worker and with several.
func requireRepeats(t *testing.T, configure func() Config) {
	t.Helper()
	run := func(workers int) string {
		cfg := configure()
		cfg.Schemes, cfg.Workers = bothSchemes, workers
		cfg.Faults = Faults{Dropout: 0.2, Restart: 0.2, Cut: 0.2, Crashes: 1}
		cfg.Network = Network{Loss: 0.05, Duplicate: 0.1}
		res, err := Run(cfg)
		require.NoError(t, err)
		text, err := json.Marshal(res)
		require.NoError(t, err)
		return string(text)
	}
	require.JSONEq(t, run(1), run(4))
}
