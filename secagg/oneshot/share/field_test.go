package share

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPrimeIsTheMersennePrimeOf31Bits(t *testing.T) {
	require.EqualValues(t, 2147483647, Prime)
	require.True(t, bigPrime.ProbablyPrime(32))
}

func TestReduceIsTheRemainderOfEveryWord(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var samples []uint64
	for shift := range 64 {
		for offset := range uint64(9) {
			samples = append(samples, 1<<shift+offset-4, (1<<shift+offset-4)*Prime)
		}
		samples = append(samples, random.Uint64()>>shift)
	}
	samples = append(samples, math.MaxUint64, math.MaxUint64-Prime)
	for _, x := range samples {
		require.EqualValues(t, x%Prime, reduce(x), "%d", x)
	}
}

func TestArithmeticEqualsBigIntegers(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	samples := []uint32{0, 1, 2, Prime/2 - 1, Prime / 2, Prime/2 + 1, Prime - 2, Prime - 1}
	for range 50 {
		samples = append(samples, uint32(random.Uint64N(Prime)))
	}
	mod := func(x *big.Int) uint32 { return uint32(x.Mod(x, bigPrime).Uint64()) }
	for _, a := range samples {
		bigA := big.NewInt(int64(a))
		for _, b := range samples {
			bigB := big.NewInt(int64(b))
			require.Equal(t, mod(new(big.Int).Add(bigA, bigB)), add(a, b))
			require.Equal(t, mod(new(big.Int).Sub(bigA, bigB)), sub(a, b))
			require.Equal(t, mod(new(big.Int).Mul(bigA, bigB)), mul(a, b))
			sum := []uint32{a}
			Accumulate(sum, []uint32{b})
			require.Equal(t, add(a, b), sum[0])
		}
		if a == 0 {
			require.Zero(t, invert(a))
		} else {
			require.EqualValues(t, 1, mul(a, invert(a)))
		}
	}
	for _, s := range []int32{0, 1, -1, 36, -36, math.MaxInt32, math.MinInt32, math.MinInt32 + 1} {
		require.Equal(t, mod(big.NewInt(int64(s))), reduce(lift(s)))
	}
}

func TestAccumulateAndCheckPanicOnAnotherLength(t *testing.T) {
	require.Panics(t, func() { Accumulate(make([]uint32, 3), make([]uint32, 3+Blinds)) })
	require.Panics(t, func() { Accumulate(make([]uint32, 3+Blinds), make([]uint32, 3)) })
	require.Panics(t, func() { NewChecker([32]byte{}, 3).Check(make([]uint32, 3)) })
	require.Panics(t, func() { NewChecker([32]byte{}, 3).Check(make([]uint32, 4+Blinds)) })
}
