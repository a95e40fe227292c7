package rlwe

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/choir-fl/choir/secagg/field"
	"github.com/stretchr/testify/require"
)

// All vectors here are printed by testdata/golden.py, which shares no code with
// the package.

var goldenContext = func() (c [32]byte) {
	for i := range c {
		c[i] = byte(i)
	}
	return c
}()

func TestGoldenChunks(t *testing.T) {
	for _, c := range []struct {
		Literal
		kappa, slots  int
		secret        []int32
		begin, digest string
	}{
		{Literal{"M", 1000, 100_000, 28}, 19, 3, []int32{5, -3, 9, 2, 0, 2, -2, 4},
			"88cec71bc82d0ed433caa94725625d5e", "dc90fdf7a91ab801b3db3f8241d0d6482c1c686b0dafd1afab5e9fc9fc7542ac"},
		{Literal{"M", 10_000, 131_072, 21}, 20, 4, []int32{5, -3, 9, 2, 0, 2, -2, 4},
			"d067660b436dfc4734d7015dfa301c35", "7f8daa3a85b844fecb467976697ce846eb1e66e1feb6df10cc84f51ef8fa535d"},
		{Literal{"S", 1000, 32_768, 16}, 19, 2, []int32{2, -5, 6, 3, -6, 8, -1, 0},
			"82961e37da350a21949ee3263ba043e9", "1844b7a0c15b157d7e900af03faee382ac78ebfa222649546e628ddcf643d7f1"},
	} {
		l := c.Literal
		full := mustCheck(t, l).ChunkWords()
		l.Words = 8*full - 5 // chunk 7 is the last and five words short
		p := mustCheck(t, l)
		require.Equal(t, []int{c.kappa, c.slots}, []int{p.Kappa(), p.Slots()})
		secret, err := p.NewSecret(field.NewStream([32]byte{1}))
		require.NoError(t, err)
		require.Equal(t, c.secret, secret[:8])
		words := make([]uint32, p.WordsOf(7))
		for i := range words {
			words[i] = (uint32(i)*2654435761 + 12345) >> (32 - p.Width())
		}
		s, err := NewSealer(p, goldenContext, secret, field.NewStream([32]byte{2}))
		require.NoError(t, err)
		got := make([]byte, p.ChunkBytes())
		require.NoError(t, s.Seal(got, 7, words))
		require.Equal(t, c.begin, hex.EncodeToString(got[:16]))
		digest := sha256.Sum256(got)
		require.Equal(t, c.digest, hex.EncodeToString(digest[:]))
	}
}

func TestGoldenExpansion(t *testing.T) {
	for _, c := range []struct {
		set     *set
		context [32]byte
		chunk   int
		limb    int
		begin   []uint64
		digest  string
	}{
		{&setM, goldenContext, 0x01020304, 0, []uint64{0x10c74d4c2c4920, 0x121e3b10af3ecc, 0xc0062881cc2a2}, "bda5e315d5964c1f1f115fe47f98cb5836b364196f1ea32b7d8923f5f6a04f85"},
		{&setM, goldenContext, 0x01020304, 1, []uint64{0x4b6f90961e02b, 0x1f0603dfd0ec5d, 0x7f3120a2da386}, "b752700381c4e48384f42da166415c97ed48e60f5e03c88ce44588bcad96c52c"},
		{&setS, goldenContext, 0x01020304, 0, []uint64{0x10c74d4c2c4920, 0x121e3b10af3ecc, 0xc0062881cc2a2}, "be45019f50f84a8b94b46c94e23eb6512cc7b4519950be5245e6268cb2a93d29"},
		{&setM, [32]byte{}, 1468403, 0, nil, "aaa970e916e1739bdfb0e39518bc74c19fb86fc5eba70a2730a7c00e738b4f89"}, // a word of this row is rejected
	} {
		x, err := newExpander(c.context)
		require.NoError(t, err)
		row := make([]uint64, c.set.n)
		x.expand(row, c.set.primes[c.limb].q, c.chunk, c.limb)
		require.Equal(t, c.begin, append([]uint64(nil), row[:len(c.begin)]...))
		var all []byte
		for _, v := range row {
			all = binary.LittleEndian.AppendUint64(all, v)
		}
		digest := sha256.Sum256(all)
		require.Equal(t, c.digest, hex.EncodeToString(digest[:]))
	}
}

// The root and the order: the transform of X is its root at each place.
func TestGoldenTransformOfX(t *testing.T) {
	for _, c := range []struct {
		set    *set
		limb   int
		values [5]uint64 // the first four places and the last
	}{
		{&setM, 0, [5]uint64{0xc6de3d6e8536, 0x1f3921c28cbacb, 0x13cf08c2a2e3b, 0x1ec30f73d111c6, 0x1dbb008b57dac4}},
		{&setM, 1, [5]uint64{0x1eb4f20a488574, 0x14b0df5b1ba8d, 0x158b1383bfaf12, 0xa74ec7c3a90ef, 0xbebb1bb841782}},
		{&setS, 0, [5]uint64{0x16b89b6fa92c12, 0x947649054e3ef, 0x121175969ef232, 0xdee8a695f1dcf, 0x15e0d79aba5cd7}},
	} {
		l, row := &c.set.limbs()[c.limb], make([]uint64, c.set.n)
		row[1] = 1
		l.transform(row)
		l.reduceAll(row)
		require.Equal(t, c.values, [5]uint64{row[0], row[1], row[2], row[3], row[l.n-1]})
	}
}
