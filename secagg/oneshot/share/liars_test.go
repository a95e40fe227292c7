package share

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCorrectableIsTheLargestSafeNumber(t *testing.T) {
	for degree := 1; degree <= MaxDegree; degree++ {
		for r := degree + 1; r <= MaxPoint; r++ {
			want := mostCorrected(r, degree)
			if r < 2*degree+1 {
				require.Negative(t, want)
				require.Negative(t, correctable(r, degree), "%d answers, degree %d", r, degree)
			} else {
				require.Equal(t, want, correctable(r, degree), "%d answers, degree %d", r, degree)
			}
		}
	}
}

// harmless opens answers, some of them changed from honest ones of secrets: what
// comes out is right, with exactly the changed ones named, or is a refusal, if
// they are more than can be corrected. It says which.
func harmless(t *testing.T, points []int, secrets []int32, honest, answers [][]uint32, degree int) (opened bool) {
	t.Helper()
	var want []int
	for i := range answers {
		if !slices.Equal(honest[i], answers[i]) {
			want = append(want, i)
		}
	}
	got := make([]int32, len(secrets))
	liars, err := Combine(got, points, answers, degree)
	opened = len(want) <= mostCorrected(len(points), degree)
	if opened {
		require.NoError(t, err, "%v of %d wrong, degree %d", want, len(points), degree)
		require.Equal(t, secrets, got, "%v of %d wrong, degree %d", want, len(points), degree)
		require.Equal(t, want, liars)
	} else {
		require.ErrorIs(t, err, ErrUndecodable, "%v of %d wrong, degree %d", want, len(points), degree)
		require.Equal(t, make([]int32, len(secrets)), got)
		require.Nil(t, liars)
	}
	if len(secrets) == Blinds {
		values := make([][Blinds]uint32, len(answers))
		for i := range answers {
			values[i] = [Blinds]uint32(answers[i])
		}
		wrong, again := Consistent(points, values, degree)
		require.Equal(t, err, again)
		require.Equal(t, liars, wrong)
	}
	return opened
}

// collude moves element k of the answers of liars to another polynomial that
// meets the honest one at the points of friends, at most degree of them, and
// nowhere else: factor times the product of (x - z) over those points z.
func collude(answers [][]uint32, points []int, k int, liars, friends []int, factor uint32) {
	for _, i := range liars {
		shift := factor
		for _, j := range friends {
			shift = mul(shift, reduce(lift(int32(points[i]-points[j]))))
		}
		answers[i][k] = add(answers[i][k], shift)
	}
}

func clones(vectors [][]uint32) (same [][]uint32) {
	for _, v := range vectors {
		same = append(same, slices.Clone(v))
	}
	return same
}

// Every number of answers, every degree, every number of liars who know nothing
// of each other.
func TestExactlyTheCorrectableLiarsAreCorrectedAndNamed(t *testing.T) {
	random := rand.New(rand.NewPCG(19, 20))
	for degree := 1; degree <= MaxDegree; degree++ {
		for r := 2*degree + 1; r <= MaxPoint; r++ {
			points, secrets := somePoints(random, r), someSecrets(random, 9)
			honest := withoutBlinds(mustSplit(t, points, secrets, degree, seeded(byte(r))))
			for wrong := range r + 1 {
				answers := clones(honest)
				for _, i := range random.Perm(r)[:wrong] {
					lie(random, answers[i])
				}
				harmless(t, points, secrets, honest, answers, degree)
			}
		}
	}
}

// Liars who take turns: no element has more wrong values than can be corrected,
// but more members lie than that.
func TestLiarsAreCountedOverAllElements(t *testing.T) {
	answers := withoutBlinds(mustSplit(t, upTo(7), make([]int32, 8), 2, seeded(1)))
	for k, i := range []int{0, 1, 1, 0, 0, 1, 1, 6} {
		answers[i][k]++
	}
	_, err := Combine(make([]int32, 8), upTo(7), answers, 2)
	require.ErrorIs(t, err, ErrUndecodable)
	answers[6][7]--
	liars, err := Combine(make([]int32, 8), upTo(7), answers, 2)
	require.NoError(t, err)
	require.Equal(t, []int{0, 1}, liars)
}

// All committees up to eight, all sets of at most c colluders, all sets of honest
// members they can take as witnesses of another polynomial.
func TestDegreeColludersNeverBlameExhaustively(t *testing.T) {
	random := rand.New(rand.NewPCG(23, 24))
	tried := 0
	for degree := 1; degree <= 3; degree++ {
		for r := 2*degree + 1; r <= 8; r++ {
			points, secrets := somePoints(random, r), []int32{5}
			honest := withoutBlinds(mustSplit(t, points, secrets, degree, seeded(byte(r))))
			for _, liars := range subsets(r, degree) {
				for _, friends := range subsets(r, degree) {
					if slices.ContainsFunc(friends, func(i int) bool { return slices.Contains(liars, i) }) {
						continue
					}
					answers := clones(honest)
					collude(answers, points, 0, liars, friends, 1)
					harmless(t, points, secrets, honest, answers, degree)
					tried++
				}
			}
		}
	}
	require.Greater(t, tried, 5000)
}

// subsets returns all subsets of 0..n-1 with at most size elements.
func subsets(n, size int) (all [][]int) {
	for set := range 1 << n {
		var members []int
		for i := range n {
			if set>>i&1 == 1 {
				members = append(members, i)
			}
		}
		if len(members) <= size {
			all = append(all, members)
		}
	}
	return all
}

// All committees, all numbers of answers that can be opened, all numbers of
// colluders up to c and beyond as long as they can do no harm. In each element a
// different part of them backs a different polynomial.
func TestDegreeColludersNeverBlame(t *testing.T) {
	random := rand.New(rand.NewPCG(29, 30))
	opened, refused := 0, 0
	for m := 4; m <= MaxPoint; m++ {
		for degree := 1; degree <= min(MaxDegree, (m-1)/2); degree++ {
			for r := 2*degree + 1; r <= m; r++ {
				bound := r - degree - 1 - mostCorrected(r, degree)
				require.GreaterOrEqual(t, bound, degree)
				require.Equal(t, r >= 3*degree+2, bound > degree)
				for wrong := 1; wrong <= bound; wrong++ {
					points, secrets := random.Perm(m)[:r], someSecrets(random, Blinds)
					for i := range points {
						points[i]++
					}
					honest := withoutBlinds(mustSplit(t, points, secrets, degree, seeded(byte(wrong))))
					answers, members := clones(honest), random.Perm(r)
					for k := range Blinds {
						liars, others := slices.Clone(members[:wrong]), slices.Clone(members[wrong:])
						random.Shuffle(wrong, func(i, j int) { liars[i], liars[j] = liars[j], liars[i] })
						random.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
						if k > 0 { // in element 0 all of them back one polynomial
							liars = liars[:random.IntN(wrong+1)]
						}
						collude(answers, points, k, liars, others[:min(degree, len(others))], 1+uint32(random.Uint64N(Prime-1)))
					}
					if harmless(t, points, secrets, honest, answers, degree) {
						opened++
					} else {
						refused++
					}
				}
			}
		}
	}
	require.Greater(t, opened, 300)
	require.Greater(t, refused, 300)
}

// The guarantee ends at c: the package comment's warning, and what tells that
// these attacks are the strongest.
func TestOneColluderMoreThanTheDegreeBlamesAnHonestMember(t *testing.T) {
	for degree := 1; degree <= MaxDegree; degree++ {
		for r := 2*degree + 1; r <= 3*degree+1; r++ {
			points := upTo(r)
			answers := withoutBlinds(mustSplit(t, points, []int32{5}, degree, seeded(1)))
			wrong := degree + 1
			collude(answers, points, 0, indices(0, wrong), indices(wrong, wrong+degree), 1)
			got := []int32{0}
			liars, err := Combine(got, points, answers, degree)
			require.NoError(t, err)
			require.True(t, slices.Equal(indices(wrong+degree, r), liars), "%d answers, degree %d: %v", r, degree, liars)
			require.NotEqual(t, []int32{5}, got)
		}
	}
}

// indices returns from..to-1.
func indices(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

// With 2c answers, c liars have a polynomial through all honest answers for any
// sum they like: nothing shows it.
func TestTooFewAnswersForLiarsToShowAreRefused(t *testing.T) {
	for degree := 1; degree <= MaxDegree; degree++ {
		for r := degree + 1; r <= 2*degree; r++ {
			points := upTo(r)
			answers := withoutBlinds(mustSplit(t, points, make([]int32, Blinds), degree, seeded(1)))
			for range 2 { // honest answers, then lies that agree with all of them
				got := []int32{9, 9, 9, 9}
				liars, err := Combine(got, points, answers, degree)
				require.ErrorIs(t, err, ErrTooFew, "%d answers, degree %d", r, degree)
				require.Equal(t, make([]int32, Blinds), got)
				require.Nil(t, liars)

				values := make([][Blinds]uint32, r)
				for i := range values {
					values[i] = [Blinds]uint32(answers[i])
				}
				wrong, err := Consistent(points, values, degree)
				require.ErrorIs(t, err, ErrTooFew, "%d answers, degree %d", r, degree)
				require.Nil(t, wrong)

				collude(answers, points, 0, indices(0, degree), indices(degree, r), 1)
				word := make([]uint32, r)
				for i := range word {
					word[i] = answers[i][0]
				}
				require.True(t, onOnePolynomial(points, word, degree, nil))
			}
		}
	}
}

// Committees of m >= 3c+1 members, with the quorum above (m+c)/2: it is enough to
// open, and with at most c members silent or lying in all the sums come out.
func TestCommitteesOpenDespiteTheSilentAndTheLiars(t *testing.T) {
	random := rand.New(rand.NewPCG(31, 32))
	for m := 4; m <= MaxPoint; m++ {
		for degree := 1; degree <= (m-1)/3; degree++ {
			secrets := someSecrets(random, Blinds)
			all := withoutBlinds(mustSplit(t, upTo(m), secrets, degree, seeded(byte(m))))
			quorum := (m+degree)/2 + 1
			require.True(t, harmless(t, upTo(quorum), secrets, all[:quorum], all[:quorum], degree), "m %d, degree %d", m, degree)
			for silent := 0; silent <= degree; silent++ {
				r := m - silent
				require.GreaterOrEqual(t, r, quorum)
				for wrong := 0; wrong <= degree-silent; wrong++ {
					answers := clones(all[:r])
					collude(answers, upTo(r), 0, indices(0, wrong), indices(wrong, wrong+degree), 1)
					require.True(t, harmless(t, upTo(r), secrets, all[:r], answers, degree), "m %d, degree %d, silent %d, wrong %d", m, degree, silent, wrong)
				}
			}
		}
	}
}
