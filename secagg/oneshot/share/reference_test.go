package share

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The slow references: math/big, Lagrange's formula, Gaussian elimination and
// all subsets.

var bigPrime = big.NewInt(1<<31 - 1)

// lagrangeAt is the value at x of the polynomial through all given points.
func lagrangeAt(points []int, values []uint32, x int) uint32 {
	sum := new(big.Int)
	for i, y := range points {
		numerator, denominator := big.NewInt(int64(values[i])), big.NewInt(1)
		for j, z := range points {
			if j != i {
				numerator.Mul(numerator, big.NewInt(int64(x-z)))
				denominator.Mul(denominator, big.NewInt(int64(y-z)))
			}
		}
		denominator.ModInverse(denominator.Mod(denominator, bigPrime), bigPrime)
		sum.Add(sum, numerator.Mul(numerator, denominator))
	}
	return uint32(sum.Mod(sum, bigPrime).Uint64())
}

// onOnePolynomial tells whether the word lies on a polynomial of the degree,
// leaving out the indices in except.
func onOnePolynomial(points []int, word []uint32, degree int, except []int) bool {
	var xs []int
	var ys []uint32
	for i := range points {
		if !slices.Contains(except, i) {
			xs, ys = append(xs, points[i]), append(ys, word[i])
		}
	}
	for i := degree + 1; i < len(xs); i++ {
		if lagrangeAt(xs[:degree+1], ys[:degree+1], xs[i]) != ys[i] {
			return false
		}
	}
	return true
}

// bruteForce tries every set of at most limit wrong answers, small ones first.
func bruteForce(points []int, words [][]uint32, degree, limit int) (wrong []int, ok bool) {
	for size := 0; size <= limit; size++ {
		for set := range 1 << len(points) {
			var members []int
			for i := range points {
				if set>>i&1 == 1 {
					members = append(members, i)
				}
			}
			if len(members) != size {
				continue
			}
			if !slices.ContainsFunc(words, func(word []uint32) bool { return !onOnePolynomial(points, word, degree, members) }) {
				return members, true
			}
		}
	}
	return nil, false
}

// mostCorrected is the largest number of wrong answers, of r, such that of the
// answers one polynomial agrees with more are honest than the degree, and no two
// polynomials can agree with as many; -1 if there is none.
func mostCorrected(r, degree int) int {
	corrected := -1
	for e := range r {
		agree := r - e
		if agree-degree > degree && 2*agree-r > degree {
			corrected = e
		}
	}
	return corrected
}

// solve returns the coefficients of the polynomial of degree below len(xs)
// through (xs[i], ys[i]); it fails the test unless it is unique.
func solve(t *testing.T, xs []int, ys []uint32) []uint32 {
	t.Helper()
	n := len(xs)
	rows := make([][]uint32, n)
	for i, x := range xs {
		for j := range n {
			power := new(big.Int).Exp(big.NewInt(int64(x)), big.NewInt(int64(j)), bigPrime)
			rows[i] = append(rows[i], uint32(power.Uint64()))
		}
		rows[i] = append(rows[i], ys[i])
	}
	require.Equal(t, n, eliminate(rows, n), "singular: the polynomial is not unique")
	solution := make([]uint32, n)
	for i := range rows {
		solution[i] = rows[i][n]
	}
	return solution
}

// eliminate brings the first columns of rows to reduced echelon form, mod p, and
// returns their rank.
func eliminate(rows [][]uint32, columns int) (rank int) {
	const p = 1<<31 - 1
	for column := range columns {
		pivot := rank
		for pivot < len(rows) && rows[pivot][column] == 0 {
			pivot++
		}
		if pivot == len(rows) {
			continue
		}
		rows[rank], rows[pivot] = rows[pivot], rows[rank]
		inverse := new(big.Int).ModInverse(big.NewInt(int64(rows[rank][column])), bigPrime).Uint64()
		for j := range rows[rank] {
			rows[rank][j] = uint32(uint64(rows[rank][j]) * inverse % p)
		}
		for i := range rows {
			if factor := uint64(rows[i][column]); i != rank && factor != 0 {
				for j := range rows[i] {
					rows[i][j] = uint32((uint64(rows[i][j]) + (p-factor)*uint64(rows[rank][j])) % p)
				}
			}
		}
		rank++
	}
	return rank
}

// seeded is a repeatable stream of coins.
func seeded(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

// tape is a stream of coins that gives these words and then ends.
func tape(words ...uint32) *bytes.Reader {
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return bytes.NewReader(b)
}

// upTo returns 1..m.
func upTo(m int) []int {
	points := make([]int, m)
	for i := range points {
		points[i] = i + 1
	}
	return points
}

// somePoints returns r distinct points in random order.
func somePoints(random *rand.Rand, r int) []int {
	points := upTo(MaxPoint)
	random.Shuffle(MaxPoint, func(i, j int) { points[i], points[j] = points[j], points[i] })
	return points[:r]
}

// someSecrets returns n secrets of magnitude at most 36.
func someSecrets(random *rand.Rand, n int) []int32 {
	secrets := make([]int32, n)
	for k := range secrets {
		secrets[k] = int32(random.IntN(73)) - 36
	}
	return secrets
}

// mustSplit returns fresh shares of secrets.
func mustSplit(t testing.TB, points []int, secrets []int32, degree int, coins io.Reader) [][]uint32 {
	t.Helper()
	out := newShares(len(points), len(secrets))
	require.NoError(t, Split(out, points, secrets, degree, coins))
	return out
}

func newShares(m, n int) [][]uint32 {
	out := make([][]uint32, m)
	for j := range out {
		out[j] = make([]uint32, n+Blinds)
	}
	return out
}

// withoutBlinds cuts the blinds off, as members do before they add.
func withoutBlinds(shares [][]uint32) [][]uint32 {
	out := make([][]uint32, len(shares))
	for j := range shares {
		out[j] = slices.Clone(shares[j][:len(shares[j])-Blinds])
	}
	return out
}

// lie changes at least one element of answer: each with probability 1/2.
func lie(random *rand.Rand, answer []uint32) {
	always := random.IntN(len(answer))
	for k := range answer {
		if k == always || random.IntN(2) == 0 {
			answer[k] = uint32((uint64(answer[k]) + 1 + random.Uint64N(Prime-1)) % Prime)
		}
	}
}
