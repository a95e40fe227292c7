package share

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCombineOpensTheSumsOfManyClients(t *testing.T) {
	random := rand.New(rand.NewPCG(17, 18))
	for degree := 1; degree <= MaxDegree; degree++ {
		const n, clients = 30, 50
		points := somePoints(random, 3*degree+1)
		want := make([]int32, n)
		sums := make([][]uint32, len(points))
		for j := range sums {
			sums[j] = make([]uint32, n)
		}
		for client := range clients {
			secrets := someSecrets(random, n)
			for k, s := range secrets {
				want[k] += s
			}
			for j, shares := range mustSplit(t, points, secrets, degree, seeded(byte(client))) {
				Accumulate(sums[j], shares[:n])
			}
		}
		got := make([]int32, n)
		for r := 2*degree + 1; r <= len(points); r++ {
			liars, err := Combine(got, points[:r], sums[:r], degree)
			require.NoError(t, err)
			require.Nil(t, liars)
			require.Equal(t, want, got)
		}
		for k := range n { // the slow reference
			word := make([]uint32, len(points))
			for j := range sums {
				word[j] = sums[j][k]
			}
			require.EqualValues(t, reduce(lift(want[k])), lagrangeAt(points, word, 0))
		}
	}
}

func TestSumsOf65536ClientsOfTheLargestSecretsAreExact(t *testing.T) {
	secrets := []int32{36 * 65536, -36 * 65536, Prime / 2, -(Prime / 2)}
	got := make([]int32, 4)
	_, err := Combine(got, upTo(4), withoutBlinds(mustSplit(t, upTo(4), secrets, 1, seeded(1))), 1)
	require.NoError(t, err)
	require.Equal(t, secrets, got)
}

func TestALieInOneElementOfOneAnswerIsFound(t *testing.T) {
	const n = 12
	secrets := someSecrets(rand.New(rand.NewPCG(21, 22)), n)
	answers := withoutBlinds(mustSplit(t, upTo(4), secrets, 1, seeded(1)))
	got := make([]int32, n)
	for i := range answers {
		for k := range n {
			kept := answers[i][k]
			answers[i][k] = add(kept, 1)
			liars, err := Combine(got, upTo(4), answers, 1)
			require.NoError(t, err)
			require.Equal(t, []int{i}, liars)
			require.Equal(t, secrets, got)
			answers[i][k] = kept
		}
	}
}

func TestCombineRefusesElementsFromPOn(t *testing.T) {
	for _, wrong := range []uint32{Prime, Prime + 1, 1<<32 - 1} {
		answers := [][]uint32{{0, 0}, {0, 0}, {0, wrong}, {0, 0}}
		liars, err := Combine(make([]int32, 2), upTo(4), answers, 1)
		require.ErrorIs(t, err, ErrRange)
		require.Nil(t, liars)
	}
}

func TestCombineLeavesAnswersAsTheyWere(t *testing.T) {
	answers := withoutBlinds(mustSplit(t, upTo(7), make([]int32, 5), 2, seeded(1)))
	answers[1][2]++
	before := make([][]uint32, len(answers))
	for i := range answers {
		before[i] = slices.Clone(answers[i])
	}
	points := upTo(7)
	_, err := Combine(make([]int32, 5), points, answers, 2)
	require.NoError(t, err)
	require.Equal(t, before, answers)
	require.Equal(t, upTo(7), points)
}

// FuzzCombine: first byte degree, second the number of elements; then a point
// and its elements, three bytes each and often zero, for each member.
func FuzzCombine(f *testing.F) {
	f.Add([]byte{1, 1, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 1})
	f.Add([]byte{1, 1, 1, 1, 0, 0, 2, 2, 0, 0, 3, 3, 0, 0})
	f.Add([]byte{0, 1, 0, 1, 1, 1})
	f.Add([]byte{2, 2, 5, 1, 1, 1, 2, 2, 2, 9, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 || len(data) > 200 {
			return
		}
		degree, n := int(int8(data[0])), int(data[1]%4)
		var points []int
		var answers [][]uint32
		for data = data[2:]; len(data) >= 1+3*n; data = data[1+3*n:] {
			points = append(points, int(int8(data[0])))
			answer := make([]uint32, n)
			for k := range answer {
				b := data[1+3*k:]
				answer[k] = uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<24
			}
			answers = append(answers, answer)
		}
		got := make([]int32, n)
		liars, err := Combine(got, points, answers, degree)
		if err != nil {
			require.Nil(t, liars)
			require.Equal(t, make([]int32, n), got)
			return
		}
		require.LessOrEqual(t, len(liars), mostCorrected(len(points), degree))
		require.GreaterOrEqual(t, len(points)-len(liars), 2*degree+1)
		for k := range n {
			word := make([]uint32, len(points))
			xs, ys := []int(nil), []uint32(nil)
			for i := range points {
				word[i] = answers[i][k]
				if !slices.Contains(liars, i) {
					xs, ys = append(xs, points[i]), append(ys, word[i])
				}
			}
			require.True(t, onOnePolynomial(points, word, degree, liars))
			require.Equal(t, reduce(lift(got[k])), lagrangeAt(xs, ys, 0))
		}
	})
}
