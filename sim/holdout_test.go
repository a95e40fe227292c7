package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
)

func TestGateOnTheHoldoutKeepsTheModelThatAnAttackWouldHarm(t *testing.T) {
	cfg := attacked(t, small(t, "plain", 20, 20, 2, 1), "model-replacement:goal=reverse", 0.2)
	s := prepared(t, cfg)
	require.Nil(t, s.holdout(), "nobody asks for one")

	cfg.Plan.Screening = plan.Screening{RecallDrop: 0.2}
	cfg.Plan.Rounds.Attempts = 2
	res, err := Run(cfg)
	require.ErrorContains(t, err, "failed in all its attempts")
	for _, r := range res.Rounds {
		require.Equal(t, Failed, r.Outcome)
		require.Contains(t, r.Reason, "recall of class")
	}

	cfg.Adversary = Adversary{}
	res, err = Run(cfg)
	require.NoError(t, err)
	require.Equal(t, 2, res.Final.RoundsCompleted)
}

func TestHoldoutCountsEachClassAlone(t *testing.T) {
	cfg := small(t, "plain", 20, 20, 1, 1)
	cfg.Plan.Screening = plan.Screening{RecallDrop: 0.9}
	s := prepared(t, cfg)
	_, err := s.run(0)
	require.NoError(t, err)
	m, err := s.model(s.engine.State().Model)
	require.NoError(t, err)
	read, err := readModel(m)
	require.NoError(t, err)
	got, err := s.holdout().Evaluate(read)
	require.NoError(t, err)
	require.InDelta(t, *s.rounds[0].TestAccuracy, got.Accuracy, 1e-12)
	require.InDelta(t, *s.rounds[0].TestLoss, got.Loss, 1e-9)
	require.Len(t, got.Recall, 4)
	mean := 0.0
	for _, r := range got.Recall {
		mean += r / 4
	}
	require.InDelta(t, got.Accuracy, mean, 1e-12, "classes of one size")
}
