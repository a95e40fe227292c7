package share

import (
	"crypto/aes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkSlowly is Check by its formula, with one block of AES a time.
func checkSlowly(t *testing.T, seed [32]byte, shares []uint32) (values [Blinds]uint32) {
	t.Helper()
	block, err := aes.NewCipher(seed[:])
	require.NoError(t, err)
	n := len(shares) - Blinds
	var a []uint32
	for counter := uint64(0); len(a) < Blinds*n; counter++ {
		var in, out [16]byte
		binary.BigEndian.PutUint64(in[8:], counter)
		block.Encrypt(out[:], in[:])
		for i := 0; i < 16; i += 4 {
			if w := binary.LittleEndian.Uint32(out[i:]) &^ (1 << 31); w < 1<<31-1 {
				a = append(a, w)
			}
		}
	}
	for l := range values {
		sum := uint64(shares[n+l])
		for k := range n {
			sum = (sum + uint64(a[4*k+l])*uint64(shares[k])) % (1<<31 - 1)
		}
		values[l] = uint32(sum)
	}
	return values
}

func TestCheckIsItsFormula(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for _, n := range []int{0, 1, 127, 128, 129, 1000} {
		var seed [32]byte
		seed[n%32] = byte(n)
		checker := NewChecker(seed, n)
		shares := make([]uint32, n+Blinds)
		for k := range shares {
			shares[k] = uint32(random.Uint64N(Prime))
		}
		require.Equal(t, checkSlowly(t, seed, shares), checker.Check(shares))
		for k := range shares {
			shares[k] = Prime - 1
		}
		require.Equal(t, checkSlowly(t, seed, shares), checker.Check(shares))
	}
}

func TestAcceptPassesOverP(t *testing.T) {
	var block [20]byte
	_, err := tape(Prime, 3, 1<<32-1, 1<<31|4, Prime-1).Read(block[:])
	require.NoError(t, err)
	var words [5]uint32
	require.Equal(t, 3, accept(words[:], block[:]))
	require.Equal(t, [5]uint32{3, 4, Prime - 1}, words)
}

// checked publishes every member's values.
func checked(checker *Checker, shares [][]uint32) (values [][Blinds]uint32) {
	for _, vector := range shares {
		values = append(values, checker.Check(vector))
	}
	return values
}

func TestHonestSharesAreConsistent(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	for degree := 1; degree <= MaxDegree; degree++ {
		for r := 2*degree + 1; r <= MaxPoint; r++ {
			points := somePoints(random, r)
			shares := mustSplit(t, points, someSecrets(random, 50), degree, seeded(byte(r)))
			wrong, err := Consistent(points, checked(NewChecker([32]byte{byte(r)}, 50), shares), degree)
			require.NoError(t, err)
			require.Empty(t, wrong)
		}
	}
}

func TestCheckFindsAnySingleChangedShare(t *testing.T) {
	const n = 20
	random := rand.New(rand.NewPCG(13, 14))
	for _, test := range []struct{ m, degree int }{{4, 1}, {7, 2}, {16, 5}} {
		points := somePoints(random, test.m)
		shares := mustSplit(t, points, someSecrets(random, n), test.degree, seeded(byte(test.m)))
		checker := NewChecker([32]byte{byte(test.m)}, n)
		honest := checked(checker, shares)
		for j := range shares {
			for k := range shares[j] { // secrets and blinds
				kept := shares[j][k]
				shares[j][k] = add(kept, 1+uint32(random.Uint64N(Prime-1)))
				values := slices.Clone(honest)
				values[j] = checker.Check(shares[j])
				shares[j][k] = kept
				wrong, err := Consistent(points, values, test.degree)
				require.NoError(t, err)
				require.Equal(t, []int{j}, wrong)
			}
		}
	}
}

func TestPolynomialOfHigherDegreeIsNotConsistent(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 16))
	for degree := 1; degree < MaxDegree; degree++ {
		points := somePoints(random, 3*degree+1)
		shares := mustSplit(t, points, someSecrets(random, 10), degree+1, seeded(3))
		for j, correct := range mustSplit(t, points, someSecrets(random, 10), degree, seeded(4)) {
			copy(shares[j][1:], correct[1:]) // only secret 0 has the higher degree
		}
		_, err := Consistent(points, checked(NewChecker([32]byte{5}, 10), shares), degree)
		require.ErrorIs(t, err, ErrUndecodable)
	}
}

func TestMemberIsWrongIfAnyOfItsValuesIs(t *testing.T) {
	points := upTo(10) // degree 3: three may be wrong
	values := checked(NewChecker([32]byte{}, 5), mustSplit(t, points, make([]int32, 5), 3, seeded(6)))
	for i, l := range []int{3, 0, 2} {
		values[9-2*i][l] ^= 1
		wrong, err := Consistent(points, values, 3)
		require.NoError(t, err)
		require.Equal(t, []int{5, 7, 9}[2-i:], wrong)
	}
	values[0][1] ^= 1 // no single word has more than one error, but four members are wrong
	wrong, err := Consistent(points, values, 3)
	require.ErrorIs(t, err, ErrUndecodable)
	require.Empty(t, wrong)
}

func TestValuesFromPOnAreNotConsistent(t *testing.T) {
	values := make([][Blinds]uint32, 4)
	values[2][1] = Prime
	_, err := Consistent(upTo(4), values, 1)
	require.ErrorIs(t, err, ErrRange)
}

// hiding builds, from Split and Check themselves, the linear map from a client's
// coins and secrets to what others see of it, and compares ranks: a view says
// nothing about a change of the secrets if some change of the coins undoes its
// effect. The view is given the shares of all members and their checks under
// two seeds.
type hiding struct {
	t         *testing.T
	m, degree int
	n         int
	view      func(shares [][]uint32, first, second [][Blinds]uint32) []uint32
}

// see returns what one client with these coins and secrets shows.
func (h hiding) see(coins []uint32, secrets []int32) []uint32 {
	shares := mustSplit(h.t, upTo(h.m), secrets, h.degree, tape(coins...))
	return h.view(shares, checked(NewChecker([32]byte{1}, h.n), shares), checked(NewChecker([32]byte{2}, h.n), shares))
}

// leaks is the dimension of what the view tells about the secrets of one client.
func (h hiding) leaks() int {
	var byCoins, bySecrets [][]uint32
	coins, secrets := make([]uint32, h.n*h.degree+Blinds*(h.degree+1)), make([]int32, h.n)
	for i := range coins {
		coins[i] = 1
		byCoins = append(byCoins, h.see(coins, secrets))
		coins[i] = 0
	}
	for k := range secrets {
		secrets[k] = 1
		bySecrets = append(bySecrets, h.see(coins, secrets))
		secrets[k] = 0
	}
	return rankGain(byCoins, bySecrets)
}

// leaksBesideSum is the dimension of what two clients' views, together with the
// sums of the vectors that total cuts out of their shares, tell beyond the sum
// of their secrets: about a change of one that the other takes back.
func (h hiding) leaksBesideSum(total func(shares []uint32) []uint32) int {
	both := func(coins [2][]uint32, secrets [2][]int32) []uint32 {
		one := mustSplit(h.t, upTo(h.m), secrets[0], h.degree, tape(coins[0]...))
		two := mustSplit(h.t, upTo(h.m), secrets[1], h.degree, tape(coins[1]...))
		first, second := NewChecker([32]byte{1}, h.n), NewChecker([32]byte{2}, h.n)
		seen := append(h.view(one, checked(first, one), nil), h.view(two, checked(second, two), nil)...)
		for j := range one {
			sum := slices.Clone(total(one[j]))
			Accumulate(sum, total(two[j]))
			seen = append(seen, sum...)
		}
		return seen
	}
	var byCoins, bySecrets [][]uint32
	size := h.n*h.degree + Blinds*(h.degree+1)
	coins := [2][]uint32{make([]uint32, size), make([]uint32, size)}
	secrets := [2][]int32{make([]int32, h.n), make([]int32, h.n)}
	for client := range coins {
		for i := range size {
			coins[client][i] = 1
			byCoins = append(byCoins, both(coins, secrets))
			coins[client][i] = 0
		}
	}
	for k := range h.n {
		secrets[0][k], secrets[1][k] = 1, -1
		bySecrets = append(bySecrets, both(coins, secrets))
		secrets[0][k], secrets[1][k] = 0, 0
	}
	return rankGain(byCoins, bySecrets)
}

// rankGain is by how much more rows raise the rank.
func rankGain(rows, more [][]uint32) int {
	all := append(slices.Clone(rows), more...)
	for i := range all {
		all[i] = slices.Clone(all[i])
	}
	columns := len(all[0])
	together := eliminate(all, columns)
	for i := range rows {
		rows[i] = slices.Clone(rows[i])
	}
	return together - eliminate(rows, columns)
}

// joined joins the vectors of some members.
func joined(shares [][]uint32) []uint32 { return slices.Concat(shares...) }

func flatten(values [][Blinds]uint32) (flat []uint32) {
	for i := range values {
		flat = append(flat, values[i][:]...)
	}
	return flat
}

func TestDegreeMembersAndAllChecksRevealNothing(t *testing.T) {
	for degree := 1; degree <= 3; degree++ {
		corrupt := func(shares [][]uint32, first, _ [][Blinds]uint32) []uint32 {
			return append(joined(shares[:degree]), flatten(first)...)
		}
		h := hiding{t: t, m: 3*degree + 1, degree: degree, n: 6, view: corrupt}
		require.Zero(t, h.leaks(), "degree %d", degree)
		require.Zero(t, h.leaksBesideSum(func(shares []uint32) []uint32 { return shares[:h.n] }), "degree %d", degree)

		// The measure is not blind: each condition of the package comment is needed.
		require.Equal(t, Blinds, h.leaksBesideSum(func(shares []uint32) []uint32 { return shares }), "a sum of blinds")
		h.view = func(shares [][]uint32, _, _ [][Blinds]uint32) []uint32 { return joined(shares[:degree+1]) }
		require.Equal(t, h.n, h.leaks(), "one corrupt member more")
		h.view = func(shares [][]uint32, first, second [][Blinds]uint32) []uint32 {
			return append(corrupt(shares, first, nil), flatten(second)...)
		}
		require.Equal(t, Blinds, h.leaks(), "two seeds for one vector")
		h.view = func(shares [][]uint32, first, _ [][Blinds]uint32) []uint32 {
			unblinded := slices.Clone(first)
			for j := range unblinded {
				for l := range unblinded[j] {
					unblinded[j][l] = sub(unblinded[j][l], shares[j][6+l])
				}
			}
			return append(joined(shares[:degree]), flatten(unblinded)...)
		}
		require.Equal(t, Blinds, h.leaks(), "no blinds")
	}
}

func TestCheckerExpandsTheSameForAnyLength(t *testing.T) {
	long, short := NewChecker([32]byte{9}, 600), NewChecker([32]byte{9}, 5)
	require.Equal(t, long.rho[:5], short.rho)
	require.NotEqual(t, NewChecker([32]byte{8}, 5).rho, short.rho)
}
