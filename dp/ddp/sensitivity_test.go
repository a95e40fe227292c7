package ddp

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func mustSensitivity(t testing.TB, dimension int, reach float64) Sensitivity {
	s, err := NewSensitivity(dimension, reach)
	require.NoError(t, err)
	return s
}

// TestSensitivityAgreesWithTheReference: entry 45 of the reference on differential
// privacy, and what its section 3.5 says about scales at d = 2^20.
func TestSensitivityAgreesWithTheReference(t *testing.T) {
	s := mustSensitivity(t, 1<<18, 1<<14)
	require.InDelta(t, 16386.507621, s.L2, 1e-6)
	require.InDelta(t, 8389891.901747, s.L1, 1e-6)
	require.InDelta(t, 0.12, SensitivityCost(mustSensitivity(t, 1<<20, 1<<10), 1<<10), 0.005)
	require.InDelta(t, 0.0005, SensitivityCost(mustSensitivity(t, 1<<20, 1<<14), 1<<14), 0.00005)
}

// exactSensitivity is D2^2 and D1 at 300 bits.
func exactSensitivity(dimension int, reach float64) (l2, l1 *big.Float) {
	f := func(x float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(x) }
	op := func() *big.Float { return new(big.Float).SetPrec(300) }
	d, r := f(float64(dimension)), f(reach)
	root := op().Sqrt(d)
	wide := op().Add(r, root)
	square := op().Add(op().Mul(r, r), op().Quo(d, f(4)))
	square.Add(square, op().Add(r, op().Quo(root, f(2))))
	l2 = op().Sqrt(square)
	if wide.Cmp(l2) < 0 {
		l2 = wide
	}
	l1, other := op().Mul(root, l2), op().Mul(l2, l2)
	if other.Cmp(l1) < 0 {
		l1 = other
	}
	return l2, l1
}

func TestSensitivityIsRoundedUpAndTight(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		d, reach := PaddedDimension(1+r.IntN(1<<r.IntN(24))), math.Exp(r.Float64()*25)/2
		s := mustSensitivity(t, d, reach)
		l2, l1 := exactSensitivity(d, reach)
		require.GreaterOrEqual(t, new(big.Float).SetFloat64(s.L2).Cmp(l2), 0, "D2 at d=%d, sC=%g", d, reach)
		require.GreaterOrEqual(t, new(big.Float).SetFloat64(s.L1).Cmp(l1), 0, "D1 at d=%d, sC=%g", d, reach)
		near, _ := l2.Float64()
		require.InEpsilon(t, near, s.L2, 1e-14)
		near, _ = l1.Float64()
		require.InEpsilon(t, near, s.L1, 1e-14)
		require.Equal(t, Sensitivity{d, 2 * s.L1, 2 * s.L2}, s.ReplaceOne())
	}
}

func TestSensitivityGrowsWithDimensionAndReach(t *testing.T) {
	for d := 64; d <= 1<<14; d *= 2 {
		for reach := 0.5; reach < 1e6; reach *= 1.7 {
			s := mustSensitivity(t, d, reach)
			require.Less(t, s.L2, mustSensitivity(t, 2*d, reach+1).L2)
			require.Less(t, s.L1, mustSensitivity(t, 2*d, reach+1).L1)
			require.Greater(t, s.L2, reach)
			require.Less(t, s.L2, mustSensitivity(t, d, reach*1.01).L2)
		}
	}
}

func TestSensitivityRefusesWhatItCannotBound(t *testing.T) {
	for _, c := range []struct {
		d     int
		reach float64
	}{{100, 8}, {0, 8}, {64, 0.4}, {64, math.NaN()}, {64, math.Inf(1)}, {64, 1 << 46}, {64, -8}} {
		_, err := NewSensitivity(c.d, c.reach)
		require.ErrorIs(t, err, ErrParameters, "%v", c)
	}
}

func TestSquaresAreExactBeyond64Bits(t *testing.T) {
	var s square
	want := new(big.Int)
	for range 40 {
		s.add(math.MinInt32)
		s.add(math.MaxInt32)
		want.Add(want, new(big.Int).Lsh(big.NewInt(1), 62))
		want.Add(want, big.NewInt(math.MaxInt32*math.MaxInt32))
	}
	require.Equal(t, want, s.big())
	require.NotZero(t, s.hi)
	r := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		x := math.Exp(r.Float64() * 43)
		exact, _ := new(big.Rat).Mul(new(big.Rat).SetFloat64(x), new(big.Rat).SetFloat64(x)).Float64()
		floor := floorSquare(x).big()
		rat := new(big.Rat).Mul(new(big.Rat).SetFloat64(x), new(big.Rat).SetFloat64(x))
		require.Equal(t, new(big.Int).Quo(rat.Num(), rat.Denom()), floor, "floor(%g)", exact)
	}
	require.Equal(t, square{0, 3}, floorSquare(math.Nextafter(2, 0)), "just below 4")
	require.Equal(t, square{0, 4}, floorSquare(2))
}

func (s square) big() *big.Int {
	v := new(big.Int).Lsh(new(big.Int).SetUint64(s.hi), 64)
	return v.Add(v, new(big.Int).SetUint64(s.lo))
}

func TestNormsAreComparedInAllBits(t *testing.T) {
	order := []square{{0, 0}, {0, 1}, {0, math.MaxUint64}, {1, 0}, {1, 5}, {2, 1}}
	for i, a := range order {
		for j, b := range order {
			require.Equal(t, i <= j, a.atMost(b), "%v <= %v", a, b)
		}
	}
}
