package sim

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

// private is small with noise, calibrated for epsilon.
func private(t *testing.T, scheme, mode string, epsilon float64, seed uint64) Config {
	t.Helper()
	cfg := small(t, scheme, 40, 20, 4, seed)
	cfg.Schemes = []Scheme{plain.Scheme{}, pairwise.Scheme{}, oneshot.Scheme{}}
	p := &cfg.Plan
	p.Scheme.Corrupt, p.Scheme.Dropout = 0.05, 0.1
	p.Cohort.Minimum = 12
	p.Encoding = plan.Encoding{ClipNorm: 1}
	p.Training.WeightCap = 0
	p.Evaluation.Clients = false
	p.Aggregation.Denominator = "fixed"
	p.Privacy = plan.Privacy{Mode: mode, TrustCoordinator: mode == "central" || scheme == "plain", Relation: "zero-out", Delta: 1e-3, Epsilon: epsilon}
	return cfg
}

func TestModesWithNoiseRunUnderEveryScheme(t *testing.T) {
	for _, scheme := range []string{"plain", "pairwise", "oneshot"} {
		for _, mode := range []string{"central", "distributed", "local"} {
			t.Run(scheme+" "+mode, func(t *testing.T) {
				res, err := Run(private(t, scheme, mode, 50, 1))
				require.NoError(t, err)
				require.Equal(t, 4, res.Final.RoundsCompleted)
				require.NotNil(t, res.Final.EpsilonReleased)
				require.LessOrEqual(t, *res.Final.EpsilonReleased, 50.0)
				hidden := mode == "local" || mode == "distributed" && scheme != "plain"
				require.Equal(t, hidden, res.Final.EpsilonCoordinator != nil, "a promise against the coordinator")
				require.Equal(t, 1e-3, *res.Final.Delta)
				t.Log(*res.Final.TestAccuracy, *res.Final.EpsilonReleased, *res.Rounds[0].EpsilonReleased)
			})
		}
	}
}

func TestCorrelatedNoiseRuns(t *testing.T) {
	for _, mechanism := range []string{"tree", "bandmf", "blt"} {
		t.Run(mechanism, func(t *testing.T) {
			cfg := private(t, "plain", "central", 20, 1)
			cfg.Plan.Rounds.Count = 12
			cfg.Plan.Cohort.Size, cfg.Plan.Cohort.Minimum = 12, 7
			cfg.Plan.Cohort.Participations, cfg.Plan.Cohort.Separation = 4, 3
			cfg.Plan.Privacy.Mechanism = mechanism
			cfg.Fidelity = Fast
			res, err := Run(cfg)
			require.NoError(t, err)
			require.Equal(t, 12, res.Final.RoundsCompleted)
			for _, r := range res.Rounds {
				require.Equal(t, *res.Final.EpsilonReleased, *r.EpsilonReleased, "the whole run is charged at once")
			}
			require.InDelta(t, 20, *res.Final.EpsilonReleased, 0.2)
			t.Log(*res.Final.TestAccuracy, *res.Final.EpsilonReleased)
		})
	}
}

// byCoins draws cohorts from all clients by coins.
func byCoins(cfg Config) Config {
	cfg.Plan.Cohort.Selection, cfg.Plan.Cohort.Population = "poisson", len(cfg.Partition)
	return cfg
}

func TestCohortsDrawnByCoinsAreFilledUpAndCostLess(t *testing.T) {
	cfg := small(t, "oneshot", 200, 60, 3, 5)
	base := private(t, "oneshot", "distributed", 4, 5)
	partition, train := cfg.Partition, cfg.Train
	cfg = base
	cfg.Partition, cfg.Train = partition, train
	cfg.Plan.Cohort.Size, cfg.Plan.Cohort.Minimum = 60, 20
	cfg.Plan.Privacy.Delta = 1e-4
	cfg.Plan.Rounds.Count = 3
	cfg = byCoins(cfg)
	var digests []string
	for _, fidelity := range []Fidelity{Full, Fast} {
		cfg.Fidelity = fidelity
		res, err := Run(cfg)
		require.NoError(t, err)
		require.Equal(t, 3, res.Final.RoundsCompleted)
		require.LessOrEqual(t, *res.Final.EpsilonReleased, 4.0)
		require.Greater(t, *res.Final.EpsilonCoordinator, 4.0, "no coin hides anything from who sees rosters")
		sizes := map[int]bool{}
		for _, r := range res.Rounds {
			sizes[r.Survivors] = true
		}
		require.Greater(t, len(sizes), 1, "cohorts of several sizes")
		digests = append(digests, res.Final.ModelDigest)
	}
	require.Equal(t, digests[0], digests[1], "fast publishes what full does")
}

func TestModelDigestUnderSharedNoiseIsTheSameUnderEveryScheme(t *testing.T) {
	digests := map[string]string{}
	for _, scheme := range []string{"plain", "pairwise", "oneshot"} {
		for _, fidelity := range []Fidelity{Full, Fast} {
			cfg := private(t, scheme, "distributed", 50, 3)
			cfg.Faults = Faults{Dropout: 0.1, Points: []Point{BeforeUpload, AfterUpload}}
			cfg.Fidelity = fidelity
			res, err := Run(cfg)
			require.NoError(t, err)
			digests[res.Final.ModelDigest] += scheme + " " + string(fidelity) + "; "
		}
	}
	require.Len(t, digests, 1, "%v", digests)
}

func TestBucketsUnderSharedNoiseRun(t *testing.T) {
	for _, scheme := range []string{"plain", "oneshot"} {
		t.Run(scheme, func(t *testing.T) {
			cfg := private(t, scheme, "distributed", 50, 3)
			cfg.Plan.Scheme.Corrupt, cfg.Plan.Scheme.Dropout = 0.01, 0
			cfg.Plan.Cohort.Size, cfg.Plan.Cohort.Minimum = 40, 36
			cfg.Plan.Aggregation.View, cfg.Plan.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 12, Minimum: 10}
			res, err := Run(cfg)
			require.NoError(t, err)
			require.Equal(t, 3, res.Rounds[0].Buckets)
			require.NotNil(t, res.Final.EpsilonReleased)
		})
	}
}

func TestClipNormAdaptsTowardsTheQuantile(t *testing.T) {
	cfg := private(t, "oneshot", "distributed", 200, 2)
	cfg.Plan.Rounds.Count = 8
	cfg.Plan.Encoding.ClipNorm = 0.01 // far too low: everybody is clipped
	cfg.Plan.Privacy.Clipping = plan.Clipping{Quantile: 0.5, Rate: 0.5, Floor: 0.001, Ceiling: 10, BitNoise: 1}
	cfg.Fidelity = Fast
	res, err := Run(cfg)
	require.NoError(t, err)
	require.Equal(t, 0.01, *res.Rounds[0].ClipNorm)
	require.Greater(t, *res.Rounds[7].ClipNorm, 0.02)
}

func TestRunStopsBeforeItOverspends(t *testing.T) {
	cfg := private(t, "oneshot", "distributed", 20, 1)
	cfg.Plan.Privacy.NoiseMultiplier = 1 // enough for fewer than four rounds
	cfg.Plan.Privacy.Epsilon = 8
	res, err := Run(cfg)
	require.ErrorIs(t, err, ErrBudget)
	require.Equal(t, "budget_exhausted", res.Final.Status)
	require.Less(t, res.Final.RoundsCompleted, 4)
	require.Positive(t, res.Final.RoundsCompleted)
	require.LessOrEqual(t, *res.Final.EpsilonReleased, 8.0)
}

func TestNoiseSurvivesCrashesOfTheCoordinator(t *testing.T) {
	for _, mode := range []string{"distributed", "central"} {
		cfg := private(t, "oneshot", mode, 60, 4)
		cfg.Plan.Rounds = plan.Rounds{Count: 4, Attempts: 6}
		calm, err := Run(cfg)
		require.NoError(t, err)
		cfg.Faults = Faults{Crashes: 3}
		res, err := Run(cfg)
		require.NoError(t, err)
		require.Positive(t, res.Final.Crashes)
		require.Equal(t, 4, res.Final.RoundsCompleted)
		require.GreaterOrEqual(t, *res.Final.EpsilonReleased, *calm.Final.EpsilonReleased, "what may have been seen stays charged")
	}
}

func TestAuditStaysBelowTheClaim(t *testing.T) {
	cfg := private(t, "oneshot", "distributed", 10, 6)
	cfg.Fidelity = Fast
	cfg.Audit = Audit{Canaries: 30}
	res, err := Run(cfg)
	require.NoError(t, err)
	require.Equal(t, 30, res.Audit.Released.Canaries)
	require.Equal(t, *res.Final.EpsilonReleased, *res.Audit.Released.Claimed)
	require.Equal(t, *res.Final.EpsilonCoordinator, *res.Audit.Coordinator.Claimed)
	require.LessOrEqual(t, res.Audit.Released.EpsilonOneRun, 10.0)
	for _, a := range []Audit{{Canaries: 1000}, {Canaries: 15}, {Canaries: -1}, {Canaries: 16, Confidence: 1}, {Canaries: 16, Confidence: -1},
		{Canaries: 16, Confidence: math.NaN()}} {
		cfg.Audit = a
		_, err = Run(cfg)
		require.ErrorIs(t, err, ErrConfig, "%+v", a)
	}
}
