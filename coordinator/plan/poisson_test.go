package plan

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg/plain"
)

// TestCohortsBeyondTheCapacityCostNoMoreThanIsSetAside: they are a difference in total
// variation between the real draws and those of the events, which counts exp(epsilon) times.
func TestCohortsBeyondTheCapacityCostNoMoreThanIsSetAside(t *testing.T) {
	for _, rounds := range []int{1, 20, 5000} {
		for _, delta := range []float64{1e-3, 1e-5, 1e-9} {
			for epsilon := 0.5; epsilon <= 20; epsilon += 0.5 {
				l := Literal{Rounds: Rounds{Count: rounds, Attempts: 3}, Privacy: Privacy{Epsilon: epsilon, Delta: delta}}
				bits := l.overflowBits()
				cost := float64(3*rounds) * (1 + math.Exp(epsilon)) * math.Exp2(-bits)
				require.LessOrEqual(t, cost, delta*tailsPart/2*(1+1e-12))
				require.Greater(t, 2*cost, delta*tailsPart/2, "cohorts have no more room than that")
			}
		}
	}
	for _, epsilon := range []float64{200, 1000, math.Inf(1), math.NaN()} {
		l := Literal{Rounds: Rounds{Count: 1, Attempts: 1}, Privacy: Privacy{Epsilon: epsilon, Delta: 1e-5}}
		require.Equal(t, 200.0, l.overflowBits(), "epsilon of %g", epsilon)
	}
}

func TestCapacityOfAPlanIsForItsBudget(t *testing.T) {
	last := 0
	for epsilon := 0.5; epsilon <= 20; epsilon += 1.5 {
		l := DemonstrationWithoutNoise()
		l.Model.Tensors = []Tensor{{Name: "weights", Shape: []int{100}}}
		l.Scheme = Scheme{Name: "plain"}
		l.Aggregation, l.Evaluation, l.Stop = Aggregation{Denominator: "fixed"}, Evaluation{}, Stop{}
		l.Encoding = Encoding{ClipNorm: 1}
		l.Cohort = Cohort{Size: 60, Minimum: 20, Selection: "poisson", Population: 600}
		l.Privacy = Privacy{Mode: "distributed", TrustCoordinator: true, Relation: "zero-out", Delta: 1e-5, Epsilon: epsilon}
		p, err := l.Check(plain.Scheme{})
		require.NoError(t, err)
		g := p.Guarantee()
		require.Equal(t, p.Invited(), g.Shares())
		require.GreaterOrEqual(t, g.Shares(), last)
		last = g.Shares()
		require.Equal(t, epsilon, g.tails.sampled(epsilon, g.slack.Tails), "all of the budget can be spent")

		beyond := binomialTail(600, p.Invited(), g.noise.Rate)
		cost, _ := beyond.Mul(beyond, big.NewFloat(float64(p.Rounds()*p.Attempts())*(1+math.Exp(epsilon)))).Float64()
		require.LessOrEqual(t, cost, g.slack.Tails/2, "epsilon %g", epsilon)
	}
	require.Greater(t, last, 60)
}
