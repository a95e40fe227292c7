package share

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Source of the vectors: integers of arbitrary precision in another language,
// and the keystream of another implementation of AES-256-CTR. Coins: word i is
// 7919*0x01020304*(i+1) mod 2^32, but word 2 is all ones. Seed: bytes 00..1f.
func TestGoldenSharesAndChecks(t *testing.T) {
	coins := make([]uint32, 21)
	for i := range coins {
		coins[i] = uint32(7919 * 0x01020304 * uint64(i+1))
	}
	coins[2] = 1<<32 - 1
	source := tape(coins...)
	points := []int{1, 2, 5, 9, 16}
	shares := mustSplit(t, points, []int32{-36, 0, 36, -1}, 2, source)
	require.Zero(t, source.Len())
	require.Equal(t, [][]uint32{
		{129096209, 387288733, 1275244976, 15717500, 1420058685, 1807347417, 47152501, 434441233},
		{1146148663, 1920726163, 289627526, 806012465, 579254979, 1482928687, 239118746, 1142792454},
		{935108691, 513028753, 947470012, 1381911203, 2105979926, 1812996196, 1520012461, 1227028731},
		{916034988, 1797278749, 953118807, 108958801, 2136351223, 999207545, 2009547505, 872403827},
		{1246102614, 2000542666, 356018975, 858978874, 612083940, 1495620200, 231672797, 1115209057},
	}, shares)

	var seed [32]byte
	for i := range seed {
		seed[i] = byte(i)
	}
	checker := NewChecker(seed, 4)
	var values [][Blinds]uint32
	for _, vector := range shares {
		values = append(values, checker.Check(vector))
	}
	require.Equal(t, [][Blinds]uint32{
		{1851702785, 722291968, 1265141713, 1617182696},
		{780592369, 2067962787, 775096145, 1426294378},
		{1483973721, 1458024675, 390861624, 2019790995},
		{107565473, 539307433, 980664925, 521368307},
		{640425870, 789003235, 1106586337, 908074419},
	}, values)
	wrong, err := Consistent(points, values, 2)
	require.NoError(t, err)
	require.Empty(t, wrong)

	sums := make([]int32, 4)
	liars, err := Combine(sums, points, withoutBlinds(shares), 2)
	require.NoError(t, err)
	require.Empty(t, liars)
	require.Equal(t, []int32{-36, 0, 36, -1}, sums)
}
