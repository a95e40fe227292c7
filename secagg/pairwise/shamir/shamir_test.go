package shamir

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	oldrand "math/rand"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rand64 lets math/big draw from a seeded source of math/rand/v2.
func rand64(source *rand.Rand) *oldrand.Rand { return oldrand.New(oldSource{source}) }

type oldSource struct{ *rand.Rand }

func (s oldSource) Int63() int64 { return s.Rand.Int64() }
func (s oldSource) Seed(int64)   {}

// seededCoins is a repeatable stream of coins.
func seededCoins(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

func scalarFrom(x *big.Int) (s Scalar) {
	new(big.Int).Mod(x, prime).FillBytes(s[:])
	return s
}

func bigFrom(s Scalar) *big.Int { return new(big.Int).SetBytes(s[:]) }

// hexOf goes round Scalar.Format, which hides the value.
func hexOf(s Scalar) string { return hex.EncodeToString(s[:]) }

func mustRandom(t testing.TB, coins io.Reader) Scalar {
	t.Helper()
	s, err := Random(coins)
	require.NoError(t, err)
	return s
}

// evaluate is the slow reference of a share: the polynomial at x by powers.
func evaluate(coefficients []*big.Int, x Point) *big.Int {
	sum := new(big.Int)
	for i, c := range coefficients {
		power := new(big.Int).Exp(big.NewInt(int64(x)), big.NewInt(int64(i)), prime)
		sum.Add(sum, power.Mul(power, c))
	}
	return sum.Mod(sum, prime)
}

// solve returns the polynomial of degree below len(xs) through (xs[i], ys[i]),
// by Gaussian elimination on the Vandermonde matrix; it fails the test if the
// matrix is singular, that is, if the polynomial is not unique.
func solve(t *testing.T, xs []Point, ys []*big.Int) []*big.Int {
	t.Helper()
	n := len(xs)
	rows := make([][]*big.Int, n)
	for i, x := range xs {
		for j := range n {
			rows[i] = append(rows[i], new(big.Int).Exp(big.NewInt(int64(x)), big.NewInt(int64(j)), prime))
		}
		rows[i] = append(rows[i], new(big.Int).Set(ys[i]))
	}
	for column := range n {
		pivot := column
		for pivot < n && rows[pivot][column].Sign() == 0 {
			pivot++
		}
		require.Less(t, pivot, n, "singular: the polynomial is not unique")
		rows[column], rows[pivot] = rows[pivot], rows[column]
		inverse := new(big.Int).ModInverse(rows[column][column], prime)
		for j := range rows[column] {
			rows[column][j].Mul(rows[column][j], inverse).Mod(rows[column][j], prime)
		}
		for i := range rows {
			if i == column {
				continue
			}
			factor := new(big.Int).Set(rows[i][column])
			for j := range rows[i] {
				product := new(big.Int).Mul(factor, rows[column][j])
				rows[i][j].Sub(rows[i][j], product).Mod(rows[i][j], prime)
			}
		}
	}
	solution := make([]*big.Int, n)
	for i := range rows {
		solution[i] = rows[i][n]
	}
	return solution
}

func TestSharesAreThePolynomialWhoseCoefficientsAreTheCoins(t *testing.T) {
	coins := seededCoins(1)
	for _, threshold := range []int{1, 2, 3, 10, 40} {
		secret := mustRandom(t, coins)
		var tape bytes.Buffer
		points := []Point{1, 2, 3, 1<<32 - 1, 1 << 31, 77}
		for point := Point(1000); len(points) < threshold; point++ {
			points = append(points, point)
		}
		shares, err := Split(secret, threshold, points, io.TeeReader(coins, &tape))
		require.NoError(t, err)

		coefficients := []*big.Int{bigFrom(secret)}
		for tape.Len() > 0 {
			coefficients = append(coefficients, new(big.Int).SetBytes(tape.Next(32)))
		}
		require.Len(t, coefficients, threshold)
		for i, share := range shares {
			require.Equal(t, points[i], share.Point)
			require.Equal(t, hexOf(scalarFrom(evaluate(coefficients, points[i]))), hexOf(share.Value))
		}
	}
}

func TestAnyThresholdSharesRecoverTheSecret(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	coins := seededCoins(2)
	for range 200 {
		holders := 1 + random.IntN(20)
		threshold := 1 + random.IntN(holders)
		points := make([]Point, holders)
		for i, at := range random.Perm(1 << 10)[:holders] {
			points[i] = Point(at+1) * 4_000_003
		}
		secret := mustRandom(t, coins)
		shares, err := Split(secret, threshold, points, coins)
		require.NoError(t, err)
		random.Shuffle(len(shares), func(i, j int) { shares[i], shares[j] = shares[j], shares[i] })

		got, err := Recover(shares, threshold)
		require.NoError(t, err)
		require.Equal(t, hexOf(secret), hexOf(got))

		// The slow reference, on the same shares.
		xs, ys := make([]Point, threshold), make([]*big.Int, threshold)
		for i, share := range shares[:threshold] {
			xs[i], ys[i] = share.Point, bigFrom(share.Value)
		}
		require.Equal(t, hexOf(scalarFrom(solve(t, xs, ys)[0])), hexOf(got))
	}
}

// With threshold-1 shares every secret is equally consistent: for each
// candidate there is exactly one polynomial through the shares, and the coins
// that are its coefficients make Split hand out those very shares.
func TestFewerThanThresholdSharesAreConsistentWithEverySecret(t *testing.T) {
	coins := seededCoins(3)
	const threshold = 5
	points := []Point{2, 9, 4, 1<<32 - 1, 30, 31}
	secret := mustRandom(t, coins)
	shares, err := Split(secret, threshold, points, coins)
	require.NoError(t, err)

	candidates := []Scalar{{}, scalarFrom(big.NewInt(1)), scalarFrom(big.NewInt(-1)), secret, mustRandom(t, coins)}
	for first := 0; first+threshold-1 <= len(points); first++ {
		seen := shares[first : first+threshold-1]
		for _, candidate := range candidates {
			xs, ys := []Point{0}, []*big.Int{bigFrom(candidate)}
			for _, share := range seen {
				xs, ys = append(xs, share.Point), append(ys, bigFrom(share.Value))
			}
			var tape bytes.Buffer
			for _, coefficient := range solve(t, xs, ys)[1:] { // unique, or solve fails
				encoded := scalarFrom(coefficient)
				tape.Write(encoded[:])
			}
			again, err := Split(candidate, threshold, points, &tape)
			require.NoError(t, err)
			require.Zero(t, tape.Len())
			for i, share := range seen {
				require.Equal(t, share.Point, again[first+i].Point)
				require.Equal(t, hexOf(share.Value), hexOf(again[first+i].Value))
			}
		}
	}
}

func TestWrongThresholdOrChangedShareGivesAnotherSecret(t *testing.T) {
	coins := seededCoins(4)
	secret := mustRandom(t, coins)
	shares, err := Split(secret, 3, []Point{1, 2, 3, 4}, coins)
	require.NoError(t, err)
	fewer, err := Recover(shares, 2)
	require.NoError(t, err)
	require.NotEqual(t, hexOf(secret), hexOf(fewer))
	more, err := Recover(shares, 4) // a polynomial of lower degree is still the same one
	require.NoError(t, err)
	require.Equal(t, hexOf(secret), hexOf(more))
	shares[0].Value[31] ^= 1
	changed, err := Recover(shares, 3)
	require.NoError(t, err)
	require.NotEqual(t, hexOf(secret), hexOf(changed))
}

// Source: evaluated with arbitrary-precision integers. Secret 00 01 .. 1f,
// coefficients 32 bytes 11 and 32 bytes 22. Checked against math/big again, so
// a wrong constant cannot hide behind a wrong Split.
func TestGoldenSplit(t *testing.T) {
	var secret Scalar
	for i := range secret {
		secret[i] = byte(i)
	}
	tape := append(bytes.Repeat([]byte{0x11}, 32), bytes.Repeat([]byte{0x22}, 32)...)
	points := []Point{1, 2, 0xffffffff}
	shares, err := Split(secret, 3, points, bytes.NewReader(tape))
	require.NoError(t, err)
	golden := []string{
		"333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152",
		"aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9",
		"000102030405060708090a0b0c0d0e0f1011121314151630292a2b06939495a3",
	}
	coefficients := []*big.Int{bigFrom(secret), new(big.Int).SetBytes(tape[:32]), new(big.Int).SetBytes(tape[32:])}
	for i, share := range shares {
		require.Equal(t, golden[i], hexOf(share.Value))
		require.Equal(t, golden[i], hexOf(scalarFrom(evaluate(coefficients, points[i]))))
	}
}

func TestBasisServesManySecretsAtTheSamePoints(t *testing.T) {
	coins := seededCoins(5)
	points := []Point{8, 3, 1<<32 - 1, 5}
	basis, err := NewBasis(points)
	require.NoError(t, err)
	for range 20 {
		secret := mustRandom(t, coins)
		shares, err := Split(secret, len(points), points, coins)
		require.NoError(t, err)
		values := make([]Scalar, len(shares))
		for i, share := range shares {
			values[i] = share.Value
		}
		got, err := basis.Recover(values)
		require.NoError(t, err)
		require.Equal(t, hexOf(secret), hexOf(got))
	}
}

func TestRefusals(t *testing.T) {
	var tooLarge Scalar
	prime.FillBytes(tooLarge[:])
	coins := func() io.Reader { return seededCoins(6) }
	split := func(secret Scalar, threshold int, coins io.Reader, points ...Point) error {
		_, err := Split(secret, threshold, points, coins)
		return err
	}
	recovery := func(threshold int, shares ...Share) error {
		_, err := Recover(shares, threshold)
		return err
	}
	basis, err := NewBasis([]Point{1, 2})
	require.NoError(t, err)
	basisRecovery := func(values ...Scalar) error {
		_, err := basis.Recover(values)
		return err
	}
	_, noPoints := NewBasis(nil)
	_, zeroPoint := NewBasis([]Point{1, 0})
	_, samePoint := NewBasis([]Point{7, 1, 7})
	for name, test := range map[string]struct{ got, want error }{
		"split with threshold 0":           {split(Scalar{}, 0, coins(), 1, 2), ErrThreshold},
		"split with threshold above n":     {split(Scalar{}, 3, coins(), 1, 2), ErrThreshold},
		"split at point 0":                 {split(Scalar{}, 1, coins(), 1, 0), ErrZeroPoint},
		"split at one point twice":         {split(Scalar{}, 1, coins(), 5, 1, 5), ErrDuplicatePoint},
		"split of a secret above p":        {split(tooLarge, 1, coins(), 1, 2), ErrRange},
		"split without coins":              {split(Scalar{}, 2, strings.NewReader("short"), 1, 2), ErrCoins},
		"split with coins stuck at ones":   {split(Scalar{}, 2, bytes.NewReader(bytes.Repeat([]byte{255}, 1<<10)), 1, 2), ErrCoins},
		"recover with threshold 0":         {recovery(0, Share{Point: 1}), ErrThreshold},
		"recover from too few":             {recovery(2, Share{Point: 1}), ErrTooFewShares},
		"recover at point 0":               {recovery(2, Share{Point: 1}, Share{}), ErrZeroPoint},
		"recover at one point twice":       {recovery(2, Share{Point: 1}, Share{Point: 1}), ErrDuplicatePoint},
		"recover from a value above p":     {recovery(2, Share{Point: 1}, Share{Point: 2, Value: tooLarge}), ErrRange},
		"basis of no points":               {noPoints, ErrTooFewShares},
		"basis with point 0":               {zeroPoint, ErrZeroPoint},
		"basis with one point twice":       {samePoint, ErrDuplicatePoint},
		"basis given too few values":       {basisRecovery(Scalar{}), ErrShareCount},
		"basis given too many values":      {basisRecovery(Scalar{}, Scalar{}, Scalar{}), ErrShareCount},
		"basis given a value above p":      {basisRecovery(Scalar{}, tooLarge), ErrRange},
		"failing coins keep their own err": {split(Scalar{}, 2, failing{}, 1, 2), errCoinsGone},
	} {
		require.ErrorIs(t, test.got, test.want, name)
	}
}

var errCoinsGone = errors.New("gone")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCoinsGone }

func TestRecoverLooksAtNoShareBeyondTheThreshold(t *testing.T) {
	coins := seededCoins(7)
	secret := mustRandom(t, coins)
	shares, err := Split(secret, 2, []Point{1, 2, 3}, coins)
	require.NoError(t, err)
	shares[2] = Share{Point: 0, Value: Scalar{0: 0xff}}
	got, err := Recover(shares, 2)
	require.NoError(t, err)
	require.Equal(t, hexOf(secret), hexOf(got))
}

func TestRandomRejectsOnlyValuesFromP(t *testing.T) {
	below, at, above := new(big.Int).Sub(prime, big.NewInt(1)), prime, new(big.Int).Add(prime, big.NewInt(188))
	var tape bytes.Buffer
	for _, value := range []*big.Int{at, above, below} {
		tape.Write(value.FillBytes(make([]byte, 32)))
	}
	got, err := Random(&tape)
	require.NoError(t, err)
	require.Equal(t, below, bigFrom(got))
}

func TestParseAcceptsExactlyTheScalarsBelowP(t *testing.T) {
	below := new(big.Int).Sub(prime, big.NewInt(1)).FillBytes(make([]byte, 32))
	got, err := Parse(below)
	require.NoError(t, err)
	require.Equal(t, below, got[:])
	_, err = Parse(prime.FillBytes(make([]byte, 32)))
	require.ErrorIs(t, err, ErrRange)
	for _, length := range []int{0, 31, 33, 64} {
		_, err = Parse(make([]byte, length))
		require.ErrorIs(t, err, ErrLength)
	}
}

func TestErasedScalarIsZero(t *testing.T) {
	s := mustRandom(t, seededCoins(8))
	s.Erase()
	require.Equal(t, Scalar{}, s)
}

func TestScalarNeverPrintsItsValue(t *testing.T) {
	share := Share{Point: 7, Value: mustRandom(t, seededCoins(9))}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s", "%q"} {
		printed := fmt.Sprintf(verb, share.Value)
		require.Equal(t, "shamir.Scalar(hidden)", printed, verb)
		require.Contains(t, fmt.Sprintf(verb, share), "shamir.Scalar(hidden)", verb)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 32))
	f.Add(bytes.Repeat([]byte{0xff}, 32))
	f.Add(prime.Bytes())
	f.Add(new(big.Int).Sub(prime, big.NewInt(1)).Bytes())
	f.Add(make([]byte, 33))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data)
		valid := len(data) == 32 && new(big.Int).SetBytes(data).Cmp(prime) < 0
		require.Equal(t, valid, err == nil)
		if err == nil {
			require.Equal(t, data, s[:])
		}
	})
}

// benchmarkShares splits one secret per point set, 67 of 96 as for 1000 clients.
func benchmarkShares(b *testing.B, sets int) [][]Share {
	coins := seededCoins(10)
	all := make([][]Share, sets)
	for i := range all {
		points := make([]Point, 96)
		for j := range points {
			points[j] = Point(1 + (j*10+i*7)%1000)
		}
		shares, err := Split(mustRandom(b, coins), 67, points, coins)
		require.NoError(b, err)
		all[i] = shares
	}
	return all
}

// One round's recoveries: 100 secrets with threshold 67, each at other points.
func BenchmarkRecover100x67(b *testing.B) {
	all := benchmarkShares(b, 100)
	for b.Loop() {
		for _, shares := range all {
			if _, err := Recover(shares, 67); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// One client's sharing of one secret, 67 of 96.
func BenchmarkSplit67of96(b *testing.B) {
	coins := seededCoins(11)
	secret := mustRandom(b, coins)
	points := make([]Point, 96)
	for j := range points {
		points[j] = Point(10 * (j + 1))
	}
	for b.Loop() {
		if _, err := Split(secret, 67, points, coins); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMul(b *testing.B) {
	var s Scalar
	binary.BigEndian.PutUint64(s[:], 1<<63)
	x, _ := decode((*[32]byte)(&s))
	for b.Loop() {
		x = mul(&x, &x)
	}
}
