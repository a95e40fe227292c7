package share

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// recorded is a tee of coins as words.
func recorded(b *bytes.Buffer) []uint32 {
	var words []uint32
	for data := b.Next(4); len(data) == 4; data = b.Next(4) {
		words = append(words, (uint32(data[0])|uint32(data[1])<<8|uint32(data[2])<<16|uint32(data[3])<<24)&(1<<31-1))
	}
	return words
}

func TestSharesArePolynomialsWhoseCoefficientsAreTheCoins(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for degree := 1; degree <= MaxDegree; degree++ {
		for _, n := range []int{0, 1, splitBlock - 1, splitBlock, splitBlock + 1, 2*splitBlock + 3} {
			points := somePoints(random, degree+1+random.IntN(MaxPoint-degree))
			secrets := someSecrets(random, n)
			var read bytes.Buffer
			out := mustSplit(t, points, secrets, degree, io.TeeReader(seeded(byte(degree)), &read))
			words := recorded(&read)
			require.Len(t, words, n*degree+Blinds*(degree+1), "no coin is read and not used")
			for k := range n + Blinds {
				var coefficients []uint32
				if k < n {
					coefficients = append([]uint32{uint32((int64(secrets[k]) + Prime) % Prime)}, words[k*degree:(k+1)*degree]...)
				} else {
					at := n*degree + (k-n)*(degree+1)
					coefficients = words[at : at+degree+1]
				}
				for j, x := range points {
					want, power := uint64(0), uint64(1)
					for _, c := range coefficients {
						want = (want + uint64(c)*power) % Prime
						power = power * uint64(x) % Prime
					}
					require.EqualValues(t, want, out[j][k])
				}
			}
		}
	}
}

func TestSplitTakesExtremeSecretsModuloP(t *testing.T) {
	secrets := []int32{-1 << 31, 1<<31 - 1, -1<<31 + 1, Prime / 2, -(Prime / 2)}
	out := mustSplit(t, upTo(4), secrets, 1, seeded(1))
	sums := make([]int32, len(secrets))
	_, err := Combine(sums, upTo(4), withoutBlinds(out), 1)
	require.NoError(t, err)
	require.Equal(t, []int32{-1, 0, 0, Prime / 2, -(Prime / 2)}, sums)
}

// For each candidate secret there is exactly one polynomial through it and any
// degree shares, and the coins that are its coefficients make Split hand out
// those very shares: so the shares have the same distribution for all secrets.
func TestDegreeSharesAreConsistentWithEverySecretInExactlyOneWay(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for degree := 1; degree <= MaxDegree; degree++ {
		points := somePoints(random, 3*degree+1)
		shares := mustSplit(t, points, []int32{17}, degree, seeded(2))
		for first := 0; first+degree <= len(points); first++ {
			for _, candidate := range []int32{-36, -1, 0, 1, 17, 36} {
				xs, ys := []int{0}, []uint32{uint32((int64(candidate) + Prime) % Prime)}
				for j := first; j < first+degree; j++ {
					xs, ys = append(xs, points[j]), append(ys, shares[j][0])
				}
				coins := append(solve(t, xs, ys)[1:], make([]uint32, Blinds*(degree+1))...)
				again := mustSplit(t, points, []int32{candidate}, degree, tape(coins...))
				for j := first; j < first+degree; j++ {
					require.Equal(t, shares[j][0], again[j][0])
				}
			}
		}
	}
}

func TestSplitPassesOverCoinsThatAreP(t *testing.T) {
	const ones = 1<<32 - 1
	plain := tape(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	holes := tape(Prime, 1, 2, 3, ones, ones, 4, 1<<31|5, 6, 7, 8, 9, 10, 11)
	points := upTo(4)
	want := mustSplit(t, points, []int32{3, 4}, 1, plain)
	require.Equal(t, want, mustSplit(t, points, []int32{3, 4}, 1, holes))
	require.Equal(t, 4, holes.Len(), "no more is read than it takes")
}

var errGone = errors.New("gone")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errGone }

// dirty is a place for shares that holds something.
func dirty(m, n int) [][]uint32 {
	out := newShares(m, n)
	for j := range out {
		for k := range out[j] {
			out[j][k] = 7
		}
	}
	return out
}

func TestSplitRefusesBrokenCoinsAndLeavesNoShares(t *testing.T) {
	secrets := make([]int32, 2*splitBlock)
	enough := make([]byte, 4*(2*splitBlock+2*Blinds))
	for name, coins := range map[string]io.Reader{
		"none":              failing{},
		"ends at once":      bytes.NewReader(nil),
		"ends in secrets":   bytes.NewReader(enough[:4*splitBlock]),
		"ends in blinds":    bytes.NewReader(enough[:len(enough)-1]),
		"stuck at ones":     bytes.NewReader(bytes.Repeat([]byte{255}, 1<<20)),
		"nine words of one": io.MultiReader(bytes.NewReader(bytes.Repeat([]byte{255}, 4*(maxRejections+1))), bytes.NewReader(enough)),
	} {
		out := dirty(4, len(secrets))
		require.ErrorIs(t, Split(out, upTo(4), secrets, 1, coins), ErrCoins, name)
		require.Equal(t, newShares(4, len(secrets)), out, name)
	}
	require.ErrorIs(t, Split(newShares(2, 1), upTo(2), []int32{1}, 1, failing{}), errGone)
	eight := io.MultiReader(bytes.NewReader(bytes.Repeat([]byte{255}, 4*maxRejections)), bytes.NewReader(enough))
	require.NoError(t, Split(newShares(4, len(secrets)), upTo(4), secrets, 1, eight))
}

func TestScratchIsErased(t *testing.T) {
	s := splitter{coins: seeded(1), degree: 5}
	out := newShares(6, splitBlock)
	require.NoError(t, s.split(out, upTo(6), make([]int32, splitBlock)))
	s.erase()
	require.Equal(t, splitter{coins: s.coins, degree: 5}, s)
}

func TestRefusals(t *testing.T) {
	split := func(degree int, points ...int) error {
		return Split(newShares(len(points), 2), points, make([]int32, 2), degree, seeded(1))
	}
	combine := func(degree int, points ...int) error {
		answers := make([][]uint32, len(points))
		for i := range answers {
			answers[i] = make([]uint32, 2)
		}
		_, err := Combine(make([]int32, 2), points, answers, degree)
		return err
	}
	consistent := func(degree int, points ...int) error {
		_, err := Consistent(points, make([][Blinds]uint32, len(points)), degree)
		return err
	}
	for name, test := range map[string]struct {
		want   error
		degree int
		points []int
	}{
		"point zero":       {ErrPoints, 1, []int{1, 0, 2, 3}},
		"negative point":   {ErrPoints, 1, []int{1, -1, 2, 3}},
		"point 17":         {ErrPoints, 1, []int{1, 17, 2, 3}},
		"huge point":       {ErrPoints, 1, []int{1, 1 << 40, 2, 3}},
		"equal points":     {ErrPoints, 1, []int{4, 1, 4, 3}},
		"seventeen points": {ErrPoints, 1, append(upTo(16), 1)},
		"degree zero":      {ErrDegree, 0, upTo(4)},
		"negative degree":  {ErrDegree, -1, upTo(4)},
		"degree six":       {ErrDegree, 6, upTo(16)},
		"as many as c":     {ErrTooFew, 3, upTo(3)},
		"nobody":           {ErrTooFew, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, split(test.degree, test.points...), test.want)
			require.ErrorIs(t, combine(test.degree, test.points...), test.want)
			require.ErrorIs(t, consistent(test.degree, test.points...), test.want)
		})
	}
	for degree := 1; degree <= MaxDegree; degree++ {
		require.NoError(t, split(degree, upTo(degree+1)...))
		require.NoError(t, combine(degree, upTo(16)...))
		require.NoError(t, consistent(degree, 16, 1, 9, 2, 8, 4, 3, 15, 7, 6, 5))
	}
}

func TestLengthsAreRefused(t *testing.T) {
	secrets, points := make([]int32, 2), upTo(3)
	uneven := newShares(3, 2)
	uneven[2] = uneven[2][:2]
	require.ErrorIs(t, Split(newShares(2, 2), points, secrets, 1, seeded(1)), ErrLength)
	require.ErrorIs(t, Split(newShares(4, 2), points, secrets, 1, seeded(1)), ErrLength)
	require.ErrorIs(t, Split(newShares(3, 1), points, secrets, 1, seeded(1)), ErrLength)
	require.ErrorIs(t, Split(uneven, points, secrets, 1, seeded(1)), ErrLength)

	out := []int32{9, 9}
	for _, answers := range [][][]uint32{
		{{1, 1}, {1, 1}}, {{1, 1}, {1, 1}, {1, 1}, {1, 1}}, {{1, 1}, {1}, {1, 1}}, {{1, 1}, {1, 1}, nil},
		newShares(3, 2), // a sum with its blinds
	} {
		_, err := Combine(out, points, answers, 1)
		require.ErrorIs(t, err, ErrLength)
		require.Equal(t, []int32{0, 0}, out)
	}
	_, err := Consistent(points, make([][Blinds]uint32, 4), 1)
	require.ErrorIs(t, err, ErrLength)
}
