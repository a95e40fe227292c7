package dp

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// slowEpsilon looks at many orders of a grid in ln(a - 1).
func slowEpsilon(rho, delta float64) float64 {
	best := math.Inf(1)
	for l := -20.0; l < 20; l += 1e-3 {
		a := 1 + math.Exp(l)
		if delta*delta+math.Expm1(-a*rho) > 0 {
			return 0
		}
		best = min(best, a*rho+math.Log1p(-1/a)-(math.Log(delta)+math.Log(a))/(a-1))
	}
	return max(0, best)
}

func TestEpsilonIsTheLeastOverAllOrders(t *testing.T) {
	for _, delta := range []float64{1e-2, 1e-5, 1e-10, 1e-30} {
		for rho := 1e-4; rho < 1e4; rho *= 3.7 {
			want, got := slowEpsilon(rho, delta), Epsilon(rho, delta, false)
			require.InDelta(t, want, got, 1e-6*(1+want), "rho %g, delta %g", rho, delta)
		}
	}
	// Reference, entries 35 and 39.
	require.InDelta(t, 1, Epsilon(1/(2*4.530877117*4.530877117), 1e-6, false), 1e-7)
	require.InDelta(t, 8.92, Epsilon(.81, 1e-10, false), .01+1e-9)
}

func TestWholeOrdersAreTwoToSixtyFour(t *testing.T) {
	for _, delta := range []float64{1e-3, 1e-6} {
		for rho := 1e-6; rho < 100; rho *= 3.7 {
			best, at := math.Inf(1), 0
			for k := 2; k <= 64; k++ {
				a := float64(k)
				if e := a*rho + math.Log1p(-1/a) - (math.Log(delta)+math.Log(a))/(a-1); e < best {
					best, at = e, k
				}
			}
			if 1-math.Exp(-2*rho) < delta*delta {
				best = 0
			}
			got := Epsilon(rho, delta, true)
			require.InDelta(t, max(0, best), got, 1e-9*(1+best), "rho %g, delta %g, order %d", rho, delta, at)
			require.GreaterOrEqual(t, got, best, "rounded up")
			require.GreaterOrEqual(t, got, Epsilon(rho, delta, false)-1e-9, "fewer orders are never better")
		}
	}
	require.Greater(t, Epsilon(1e-4, 1e-6, true), 2*Epsilon(1e-4, 1e-6, false), "small spends need larger orders than are proved")
	require.Greater(t, Epsilon(50, 1e-6, true), 1.02*Epsilon(50, 1e-6, false), "and large ones smaller orders")
}

func TestEpsilonPromisesNothingOfNonsense(t *testing.T) {
	for _, whole := range []bool{false, true} {
		for _, c := range [][2]float64{{-1, 1e-5}, {math.NaN(), 1e-5}, {math.Inf(1), 1e-5}, {1, 0}, {1, 1}, {1, -1}, {1, math.NaN()}, {0, 2}} {
			require.Equal(t, math.Inf(1), Epsilon(c[0], c[1], whole), "%v", c)
		}
		require.Zero(t, Epsilon(0, 1e-5, whole), "nothing was released")
		require.Zero(t, Epsilon(1e-12, 1e-5, whole), "total variation within delta")
	}
}

func TestEpsilonAtPromisesNothingOfNonsense(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range [][3]float64{{1, 1, 1e-5}, {.5, 1, 1e-5}, {nan, 1, 1e-5}, {inf, 1, 1e-5}, {2, -1, 1e-5}, {2, nan, 1e-5}, {2, inf, 1e-5},
		{2, 1, 0}, {2, 1, 1}, {2, 1, -1}, {2, 1, nan}, {2, 0, 2}} {
		require.Equal(t, inf, EpsilonAt(c[0], c[1], c[2]), "%v", c)
	}
	require.Zero(t, EpsilonAt(2, 1e-12, 1e-5), "total variation within delta")
	// Reference, entry 35: order 32.
	got := EpsilonAt(32, 1.1, 1e-5)
	require.InDelta(t, 1.32783806176, got, 1e-10)
	exact := 1.1 + math.Log1p(-1./32) - (math.Log(1e-5)+math.Log(32))/31
	require.Greater(t, got, exact, "rounded up")
	require.InEpsilon(t, exact, got, 1e-13)
}
