package sim

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/tensor"
)

// cheating is one round of a real scheme, in which everybody takes part with a weight of
// a fifth.
func cheating(t *testing.T, scheme, spec string, clients, attackers int) Config {
	t.Helper()
	cfg := attacked(t, small(t, scheme, clients, clients, 1, 4), spec, float64(attackers)/float64(clients))
	cfg.Schemes = allSchemes
	cfg.Plan.Scheme.Corrupt, cfg.Plan.Scheme.Dropout = 0.02, 0.1
	cfg.Plan.Training.Epochs, cfg.Plan.Rounds.Attempts = 1, 2 // a committee may end one
	return cfg
}

// inBuckets divides 48 clients into four buckets.
func inBuckets(cfg Config) Config {
	cfg.Plan.Aggregation = plan.Aggregation{View: "bucket_means", Buckets: plan.Buckets{Size: 12, Minimum: 9}}
	return cfg
}

// What one client puts into a sum that no client may moves its mean no further than honest
// clients could, or the sum is refused.
func TestWordsOfACheatMoveAMeanAsFarAsHonestOnesOrSpoilIt(t *testing.T) {
	const clients = 20
	for _, c := range []struct{ scheme, spec, refused string }{
		{"plain", "out-of-range", ""},
		{"plain", "out-of-range:factor=1e6", ""}, // wraps around to little
		{"plain", "wrap-around", ""},
		{"plain", "false-weight:factor=0", ""},
		{"plain", "false-weight:factor=10", ""},
		{"plain", "false-weight:factor=10223.5018", ""}, // a negative weight: all add up to almost zero
		{"pairwise", "false-weight:factor=10223.5018", ""},
		{"plain", "false-weight", `extra "weight" is beyond what 20 clients can reach`},
		{"pairwise", "out-of-range:factor=10", ""},
		{"oneshot", "wrap-around", "sum does not open"},
		{"oneshot", "false-weight:factor=10223.5018", "sum does not open"},
	} {
		t.Run(c.scheme+" "+c.spec, func(t *testing.T) {
			cfg := cheating(t, c.scheme, c.spec, clients, 1)
			var last []float32
			cfg.Released = func(_ coordinator.Report, m tensor.Model) { last = m.Values() }
			s := prepared(t, cfg)
			res, err := s.run(0)
			require.NotErrorIs(t, err, ErrInvariant)
			if c.refused != "" {
				require.ErrorContains(t, err, "failed in all its attempts")
				require.Contains(t, res.Rounds[0].Reason, c.refused)
				require.Equal(t, 1, res.Rounds[0].Spoiled)
				require.Nil(t, last)
				return
			}
			require.NoError(t, err)
			require.Equal(t, clients, res.Rounds[0].Survivors)
			squares := 0.0
			for i, v := range last {
				moved := float64(v - s.initial.Values()[i])
				squares += moved * moved
			}
			require.LessOrEqual(t, math.Sqrt(squares), s.plan.LongestMean()*(1+1e-6))
		})
	}
}

func TestInconsistentSharesAreBlamedOnTheirOwner(t *testing.T) {
	s := prepared(t, cheating(t, "pairwise", "inconsistent-shares", 16, 1))
	res, err := s.run(0)
	require.ErrorContains(t, err, "failed in all its attempts")
	require.Contains(t, res.Rounds[0].Reason, "do not belong together")
	require.Len(t, res.Rounds[0].Culprits, 1)
	require.NotNil(t, s.adversaries.attacker(s.indices(res.Rounds[0].Culprits)[0]))
}

func TestCheatCostsItsBucketAlone(t *testing.T) {
	for _, spec := range []string{"inconsistent-shares", "wrap-around"} {
		s := prepared(t, inBuckets(cheating(t, "oneshot", spec, 48, 1)))
		res, err := s.run(0)
		require.NoError(t, err)
		r := res.Rounds[0]
		require.Equal(t, 1, r.Spoiled)
		require.Equal(t, 36, r.Survivors)
		for index := range s.adversaries.attackers {
			require.NotContains(t, r.members, clientName(index))
		}
	}
}

func TestNameOfOneshotIsItsOwn(t *testing.T) { require.Equal(t, oneshot.Name, oneshotName) }

func TestDropoutAfterMaskingCostsTheAttackersAlone(t *testing.T) {
	for _, scheme := range []string{"pairwise", "oneshot"} {
		s := prepared(t, cheating(t, scheme, "dropout-after-masking", 20, 2))
		res, err := s.run(0)
		require.NoError(t, err)
		r := res.Rounds[0]
		require.Equal(t, 2, r.Dropped)
		require.Equal(t, 19, r.Survivors)
		for index, a := range s.adversaries.attackers {
			require.Equal(t, a.place == 1, slices.Contains(r.members, clientName(index)), "the other one uploaded before it vanished")
		}
	}
}

func TestSteeringChangesWhoIsLeftInABucketAndNotTheDraw(t *testing.T) {
	for _, scheme := range []string{"plain", "oneshot"} { // with draws of two kinds
		buckets := func(spec string) (*simulation, [][]string) {
			s := prepared(t, inBuckets(cheating(t, scheme, spec, 48, 9)))
			res, err := s.run(0)
			require.NoError(t, err)
			return s, res.Rounds[0].byBucket
		}
		s, drawn := buckets("none")
		_, steered := buckets("bucket-steering:bucket=2")
		gone := 0
		for b, members := range drawn {
			var left []string
			for _, id := range members {
				if b == 2 || s.adversaries.attacker(s.indices([]string{id})[0]) == nil {
					left = append(left, id)
				} else {
					gone++
				}
			}
			if len(left) < 9 {
				left = nil // too few to be opened
			}
			require.Equal(t, left, steered[b], "bucket %d under %s", b, scheme)
		}
		require.Positive(t, gone)
	}
}

func TestHonestSumThatPassesTheModulusIsABrokenInvariant(t *testing.T) {
	cfg := cheating(t, "plain", "wrap-around", 20, 1)
	s := prepared(t, cfg)
	s.witness.cheats = false
	_, err := s.run(0)
	require.ErrorIs(t, err, ErrInvariant)
	require.ErrorContains(t, err, "passes the modulus")
}

func TestWhatAttackersCannotCarryOutEndsTheRunAndIsNoInvariant(t *testing.T) {
	s := prepared(t, cheating(t, "plain", "zero", 20, 1))
	s.stop(secagg.ErrRepeated)
	s.stop(ErrConfig)
	_, err := s.run(0)
	require.ErrorIs(t, err, secagg.ErrRepeated, "the first reason")
	require.NotErrorIs(t, err, ErrInvariant)
	require.ErrorContains(t, err, "seed 4")
}
