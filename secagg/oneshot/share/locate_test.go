package share

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// All words near and far from the code, small committees, against all subsets.
func TestDecodingEqualsTryingAllSubsets(t *testing.T) {
	random := rand.New(rand.NewPCG(25, 26))
	refused, corrected := 0, 0
	for range 1500 {
		degree := 1 + random.IntN(3)
		r := 2*degree + 1 + random.IntN(8-2*degree)
		points := somePoints(random, r)
		limit := (r - degree - 1) / 2 // unique, and all that locate asks for
		answers := withoutBlinds(mustSplit(t, points, someSecrets(random, 2), degree, seeded(byte(r))))
		for _, i := range random.Perm(r)[:random.IntN(min(r, limit+2)+1)] {
			lie(random, answers[i])
		}
		words := make([][]uint32, 2)
		for k := range words {
			for i := range points {
				words[k] = append(words[k], answers[i][k])
			}
			want, ok := bruteForce(points, words[k:k+1], degree, limit)
			wrong, located := locate(points, words[k], degree, limit)
			require.Equal(t, ok && len(want) > 0, located)
			if located {
				require.Equal(t, want, wrong)
			}
		}
		want, ok := bruteForce(points, words, degree, mostCorrected(r, degree))
		got := make([]int32, 2)
		liars, err := Combine(got, points, answers, degree)
		require.Equal(t, ok, err == nil)
		require.True(t, slices.Equal(want, liars), "%v, not %v", liars, want)
		if !ok {
			refused++
		} else if len(want) > 0 {
			corrected++
		}
	}
	require.Greater(t, refused, 100)
	require.Greater(t, corrected, 100)
}

func TestLocateRefusesAPolynomialOfHigherDegreeWithErrors(t *testing.T) {
	for degree := 1; degree <= MaxDegree; degree++ {
		points := upTo(degree + 9) // limit 4
		f := make(polynomial, degree+2)
		f[degree+1] = 3
		word := make([]uint32, len(points))
		for i, x := range points {
			word[i] = f.at(uint32(x))
		}
		word[2]++
		_, ok := locate(points, word, degree, 4)
		require.False(t, ok)
	}
}

func TestLocateKeepsToItsLimit(t *testing.T) {
	points, word := upTo(10), make([]uint32, 10)
	word[1], word[4], word[9] = 1, 2, 3
	for limit := range 5 {
		wrong, ok := locate(points, word, 1, limit)
		require.Equal(t, limit >= 3, ok)
		if ok {
			require.Equal(t, []int{1, 4, 9}, wrong)
		}
	}
	_, ok := locate(points, make([]uint32, 10), 1, 4)
	require.False(t, ok, "nothing to name")
}

func TestInterpolationMeetsItsPoints(t *testing.T) {
	random := rand.New(rand.NewPCG(27, 28))
	for r := 1; r <= MaxPoint; r++ {
		points, word := somePoints(random, r), make([]uint32, r)
		for i := range word {
			word[i] = uint32(random.Uint64N(Prime))
		}
		product, through := interpolate(points, word)
		require.Equal(t, r, product.degree())
		require.Less(t, through.degree(), r)
		for i, x := range points {
			require.Zero(t, product.at(uint32(x)))
			require.Equal(t, word[i], through.at(uint32(x)))
		}
		require.Equal(t, lagrangeAt(points, word, 0), through.at(0))

		quotient, rest := product.divide(polynomial{7, 0, 5})
		require.Less(t, rest.degree(), 2)
		require.Equal(t, rest, product.minusProduct(quotient, polynomial{7, 0, 5}))
	}
}
