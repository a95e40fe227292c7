package ddp

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUpdateMultiplierAgreesWithTheReference: entry 46.
func TestUpdateMultiplierAgreesWithTheReference(t *testing.T) {
	for _, c := range []struct {
		z       float64
		clients int
		want    float64
	}{{1, 100, 1.005037815259}, {0.5, 50, 0.502518907630}, {1.2, 120, 1.206045378311}} {
		z, err := UpdateMultiplier(c.z, DefaultBitSigma(c.clients))
		require.NoError(t, err)
		require.InDelta(t, c.want, z, 2e-12)
	}
}

func TestBitAndUpdateSpendTheJointMultiplierTogether(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		bit := math.Exp(r.Float64()*8 - 2)
		z := 2 * bit * r.Float64() * 0.999
		update, err := UpdateMultiplier(z, bit)
		require.NoError(t, err)
		joint := JointMultiplier(Term{1, update}, Term{BitBound, bit})
		require.InEpsilon(t, z, joint, 1e-8)
		require.GreaterOrEqual(t, joint*(1+0x1p-39), z, "not less than was asked for, but for rounding down")
	}
}

func TestJointMultiplierIsRoundedDownAndFallsWithEachPart(t *testing.T) {
	require.InEpsilon(t, 1.2, JointMultiplier(Term{10, 12}), 1e-11)
	require.LessOrEqual(t, JointMultiplier(Term{10, 12}), 1.2)
	require.InEpsilon(t, 1/math.Sqrt(1/1.44+0.01+0.0625), JointMultiplier(Term{10, 12}, Term{1, 10}, Term{0.5, 2}), 1e-11)
	require.Equal(t, math.Inf(1), JointMultiplier())
	for _, bad := range []Term{{1, 0}, {1, -1}, {-1, 1}, {math.NaN(), 1}, {1, math.NaN()}, {math.Inf(1), 1}, {1, math.Inf(1)}} {
		require.Zero(t, JointMultiplier(Term{10, 12}, bad), "%v", bad)
	}
}

func TestUpdateMultiplierRefusesABitThatSpendsEverything(t *testing.T) {
	for _, c := range [][2]float64{{10, 5}, {10.1, 5}, {0, 5}, {-1, 5}, {math.NaN(), 5}, {1, 0}, {1, math.NaN()}, {1, math.Inf(1)}, {math.Inf(1), 5}} {
		_, err := UpdateMultiplier(c[0], c[1])
		require.ErrorIs(t, err, ErrClip, "%v", c)
	}
	z, err := UpdateMultiplier(9.999, 5)
	require.NoError(t, err)
	require.Greater(t, z, 700.0)
}

func TestClipNormMovesTowardsTheQuantile(t *testing.T) {
	q := QuantileClip{Rate: 0.2, Quantile: 0.5, Floor: 0.01, Ceiling: 100}
	for _, c := range []struct{ norm, fraction, want float64 }{
		{1, 0.5, 1}, {1, 1, math.Exp(-0.1)}, {1, 0, math.Exp(0.1)}, {3, 0.75, 3 * math.Exp(-0.05)},
		{1, 7, math.Exp(-0.1)}, {1, -7, math.Exp(0.1)}, {1, math.Inf(1), math.Exp(-0.1)}, // noise beyond what data can do
		{0.01, 1, 0.01}, {100, 0, 100}, // floor and ceiling
	} {
		got, err := q.Next(c.norm, c.fraction)
		require.NoError(t, err)
		require.InEpsilon(t, c.want, got, 1e-15, "%v", c)
	}
	for name, c := range map[string]struct {
		q              QuantileClip
		norm, fraction float64
	}{
		"fraction":  {q, 1, math.NaN()},
		"norm":      {q, math.NaN(), 0.5},
		"below":     {q, 0.001, 0.5},
		"above":     {q, 101, 0.5},
		"rate":      {QuantileClip{0, 0.5, 0.01, 100}, 1, 0.5},
		"rate 2":    {QuantileClip{2, 0.5, 0.01, 100}, 1, 0.5},
		"quantile":  {QuantileClip{0.2, 1.5, 0.01, 100}, 1, 0.5},
		"floor":     {QuantileClip{0.2, 0.5, 0, 100}, 1, 0.5},
		"ceiling":   {QuantileClip{0.2, 0.5, 0.01, math.Inf(1)}, 1, 0.5},
		"no number": {QuantileClip{math.NaN(), 0.5, 0.01, 100}, 1, 0.5},
	} {
		_, err := c.q.Next(c.norm, c.fraction)
		require.ErrorIs(t, err, ErrClip, name)
	}
}

func TestExponentialIsThatOfTheLibrary(t *testing.T) {
	for x := -1.0; x <= 1; x += 1.0 / 512 {
		require.InEpsilon(t, math.Exp(x), exp(x), 1e-15)
	}
}
