package shamir

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// prime is p for the slow reference, math/big.
var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(189))

func toBig(e element) *big.Int {
	var b [32]byte
	e.encode(&b)
	return new(big.Int).SetBytes(b[:])
}

func fromBig(t *testing.T, x *big.Int) element {
	t.Helper()
	var b [32]byte
	new(big.Int).Mod(x, prime).FillBytes(b[:])
	e, canonical := decode(&b)
	require.Equal(t, uint64(1), canonical)
	return e
}

// fieldSamples returns elements at the edges of the limbs and of the field, and
// random ones.
func fieldSamples(t *testing.T) []element {
	t.Helper()
	var samples []element
	for _, shift := range []uint{0, 1, 7, 8, 63, 64, 65, 127, 128, 191, 192, 193, 255, 256} {
		power := new(big.Int).Lsh(big.NewInt(1), shift)
		for _, offset := range []int64{-190, -189, -2, -1, 0, 1, 188, 189} {
			samples = append(samples, fromBig(t, new(big.Int).Add(power, big.NewInt(offset))))
		}
	}
	samples = append(samples, fromBig(t, new(big.Int).Rsh(prime, 1)))
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		samples = append(samples, fromBig(t, new(big.Int).Rand(rand64(random), prime)))
	}
	return samples
}

func TestTheModulusIsTwoToThe256Minus189AndPrime(t *testing.T) {
	var b [32]byte
	modulus.encode(&b)
	require.Equal(t, prime, new(big.Int).SetBytes(b[:]))
	require.True(t, prime.ProbablyPrime(32))
}

func TestArithmeticEqualsBigIntegers(t *testing.T) {
	samples := fieldSamples(t)
	words := []uint64{0, 1, 2, 188, 189, 190, 1<<32 - 1, 1 << 63, 1<<64 - 1}
	for i := range samples {
		a := samples[i]
		wantNegative := new(big.Int).Neg(toBig(a))
		require.Equal(t, fromBig(t, wantNegative), negate(&a))
		for _, w := range words {
			want := new(big.Int).Mul(toBig(a), new(big.Int).SetUint64(w))
			require.Equal(t, fromBig(t, want), mulWord(&a, w), "%v * %d", a, w)
		}
		for j := range samples {
			b := samples[j]
			require.Equal(t, fromBig(t, new(big.Int).Add(toBig(a), toBig(b))), add(&a, &b), "%v + %v", a, b)
			require.Equal(t, fromBig(t, new(big.Int).Mul(toBig(a), toBig(b))), mul(&a, &b), "%v * %v", a, b)
		}
	}
}

func TestInvertEqualsBigIntegersAndKeepsZero(t *testing.T) {
	for _, a := range fieldSamples(t) {
		want := new(big.Int).ModInverse(toBig(a), prime)
		if want == nil {
			want = new(big.Int) // only 0 has no inverse
			require.Equal(t, element{}, a)
		}
		require.Equal(t, fromBig(t, want), invert(&a))
	}
}
