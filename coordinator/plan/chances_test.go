package plan_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
)

// A cohort that is not full may have as many buckets, in each of which fewer honest
// clients keep Byzantine ones together.
func TestChanceOfMoreBadVectorsIsThatOfTheWorstCohort(t *testing.T) {
	l := sound()
	withRule(&l)
	l.Encoding.Bits, l.Rounds.Count = 16, 1
	l.Aggregation.Buckets = plan.Buckets{Size: 9, Minimum: 7}
	l.Scheme.Corrupt, l.Aggregation.F = 0.02, 87
	l.Cohort = plan.Cohort{Size: 4400, Minimum: 4400}
	full, err := checkAll(l)
	require.NoError(t, err)
	l.Cohort.Minimum = 4390 // 4392 clients make 488 buckets of 9
	p, err := checkAll(l)
	require.NoError(t, err)
	require.Equal(t, 88, p.Robustness().Byzantine)
	require.Greater(t, p.Robustness().Exceeded, full.Robustness().Exceeded*1.0001)
	l.Cohort.Minimum = 4392
	worst, err := checkAll(l)
	require.NoError(t, err)
	require.Equal(t, worst.Robustness().Exceeded, p.Robustness().Exceeded)
	require.True(t, p.Robustness().Exact)
}

// The share of a population is not that of each cohort.
func TestCohortMayByChanceHaveMoreByzantineClientsThanTheShare(t *testing.T) {
	p, err := checkAll(grouped())
	require.NoError(t, err)
	r := p.Robustness()
	require.Zero(t, r.Run)
	none := 1.
	for i := range 9 {
		none *= float64(427-i) / float64(450-i)
	}
	require.InEpsilon(t, 1-none, r.Bad, 1e-12)
	bad, want := 1-math.Pow(0.95, 9), 0.
	for k := 25; k <= 50; k++ {
		ways, _ := new(big.Float).SetInt(new(big.Int).Binomial(50, int64(k))).Float64()
		want += ways * math.Pow(bad, float64(k)) * math.Pow(1-bad, float64(50-k))
	}
	require.InEpsilon(t, want, r.Drawn, 1e-9)
	require.Greater(t, r.Drawn, 0.0147, "of 1000 clients, 50 of them Byzantine, summed exactly over what a cohort may have")

	l := sound()
	inVectors(&l)
	l.Aggregation.F = 3
	p, err = checkAll(l)
	require.NoError(t, err)
	require.InEpsilon(t, 0.1, p.Robustness().Bad, 1e-12)
	require.InEpsilon(t, 0.132953, p.Robustness().Drawn, 1e-4, "more than 3 of 20, each with 0.1")
	l.Scheme.CrossSilo = true
	p, err = l.Check(steered{})
	require.NoError(t, err)
	require.Zero(t, p.Robustness().Drawn)
}

func TestReachOfVectorsFollowsWhatTheEngineMakesOfThem(t *testing.T) {
	l := groupedWithNoise()
	p, err := checkAll(l)
	require.NoError(t, err)
	fixed := p.Robustness()
	l.Privacy.Clipping = plan.Clipping{Quantile: 0.5, Floor: 0.5, Ceiling: 4}
	p, err = checkAll(l)
	require.NoError(t, err)
	adapting := p.Robustness()
	require.InEpsilon(t, 4*fixed.HonestNorm, adapting.HonestNorm, 1e-12, "the clip norm may rise to the ceiling")
	require.InEpsilon(t, 4*fixed.Influence, adapting.Influence, 1e-12)
	require.Greater(t, adapting.BadNorm, 3.9*fixed.BadNorm)

	l = sound()
	inVectors(&l)
	someNoise(&l)
	l.Cohort.OverSelection = 1.5
	p, err = checkAll(l)
	require.NoError(t, err)
	require.Equal(t, 30, p.Robustness().Most)
	require.InEpsilon(t, 2*math.Sqrt(110), p.Robustness().NoiseNorm, 1e-9, "a vector is divided by one, however many are invited")
}
