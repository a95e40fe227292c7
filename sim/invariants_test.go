package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/plain"
)

// dishonest is scheme plain whose opened sums are changed on the way out.
type dishonest struct {
	plain.Scheme
	change func(s secagg.Session, sums []secagg.Sum) []secagg.Sum
}

type dishonestAccumulator struct {
	secagg.Accumulator
	session secagg.Session
	change  func(s secagg.Session, sums []secagg.Sum) []secagg.Sum
}

func (d dishonest) NewAccumulator(s secagg.Session) (secagg.Accumulator, error) {
	a, err := d.Scheme.NewAccumulator(s)
	return dishonestAccumulator{a, s, d.change}, err
}

func (a dishonestAccumulator) Sums(o secagg.Opening) ([]secagg.Sum, error) {
	sums, err := a.Accumulator.Sums(o)
	if err != nil {
		return nil, err
	}
	return a.change(a.session, sums), nil
}

func TestBrokenInvariantsEndTheRunAndAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s secagg.Session, sums []secagg.Sum) []secagg.Sum
		says   string
	}{
		"a sum that is not the plain sum": {func(_ secagg.Session, sums []secagg.Sum) []secagg.Sum {
			sums[0].Words[3] ^= 1
			return sums
		}, "differs from the plain sum"},
		"a client counted twice": {func(s secagg.Session, sums []secagg.Sum) []secagg.Sum {
			sums[0].Members = append(sums[0].Members, sums[0].Members[0])
			return sums
		}, "counted twice"},
		"a sum below the minimum": {func(s secagg.Session, sums []secagg.Sum) []secagg.Sum {
			sums[0].Members = sums[0].Members[:s.Minimum-1]
			return sums
		}, "the minimum is"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := small(t, "plain", 30, 20, 2, 3)
			cfg.Schemes = []Scheme{dishonest{change: c.change}}
			_, err := Run(cfg)
			require.ErrorIs(t, err, ErrInvariant)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "seed 3")
		})
	}
}

func TestFastFidelityPublishesTheModelOfFull(t *testing.T) {
	digest := func(f Fidelity) string {
		cfg := small(t, "pairwise", 40, 20, 2, 5)
		cfg.Schemes = bothSchemes
		cfg.Fidelity = f
		cfg.Faults.Dropout = 0.2
		res, err := Run(cfg)
		require.NoError(t, err)
		require.Equal(t, "pairwise", res.Config.Scheme)
		return res.Final.ModelDigest
	}
	require.Equal(t, digest(Full), digest(Fast))
}

func TestFastRefusesWhatFullRefuses(t *testing.T) {
	cfg := small(t, "pairwise", 40, 10, 1, 5) // below 16 without cross_silo
	cfg.Schemes = bothSchemes
	cfg.Fidelity = Fast
	_, err := Run(cfg)
	require.Error(t, err)
	require.ErrorContains(t, err, "16")
}

func TestTooManyDropoutsFailAttemptsUntilTheRunStops(t *testing.T) {
	cfg := small(t, "pairwise", 20, 20, 2, 9)
	cfg.Schemes = bothSchemes
	cfg.Plan.Rounds.Attempts = 2
	cfg.Faults.Dropout = 0.6
	res, err := Run(cfg)
	require.ErrorContains(t, err, "failed in all its attempts")
	require.Len(t, res.Rounds, 2)
	for i, r := range res.Rounds {
		require.Equal(t, Failed, r.Outcome)
		require.Equal(t, i+1, r.Attempt)
		require.NotEmpty(t, r.Reason)
		require.Nil(t, r.TestAccuracy)
	}
}

func TestOverSelectionClosesOnceTheCohortIsComplete(t *testing.T) {
	cfg := small(t, "pairwise", 40, 20, 2, 4)
	cfg.Schemes = bothSchemes
	cfg.Plan.Cohort.OverSelection = 1.3
	cfg.Devices.Spread = 1.5 // stragglers
	res, err := Run(cfg)
	require.NoError(t, err)
	for _, r := range res.Rounds {
		require.Equal(t, 26, r.Invited)
		require.Equal(t, 20, r.Survivors)
	}
}

func TestConfigurationsThatCannotRunAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no client":             func(c *Config) { c.Partition = nil },
		"a client without data": func(c *Config) { c.Partition[3] = nil },
		"unknown architecture":  func(c *Config) { c.Plan.Model.Architecture = "transformer" },
		"unknown fidelity":      func(c *Config) { c.Fidelity = "exact" },
		"unknown scheme":        func(c *Config) { c.Plan.Scheme.Name = "none" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := small(t, "plain", 30, 20, 1, 1)
			change(&cfg)
			_, err := Run(cfg)
			require.Error(t, err)
		})
	}
}
