package rlwe

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two reductions happen on the way; without them residues would pass 2^64.
func TestSumsOfThousandsDoNotOverflow(t *testing.T) {
	const n = 5000
	p := mustCheck(t, Literal{Set: "S", Clients: n, Words: 50, WordBits: 16})
	rng := rand.New(rand.NewPCG(1, 1))
	words, secret := make([]uint32, 50), drawSecret(t, p, rng)
	for i := range words {
		words[i] = uint32(rng.IntN(1 << 16 / n))
	}
	vector := sealVector(t, p, aContext, secret, words, rng)
	largest := slowPack(slowResiduesOfMinusOne(p), 53, p.ChunkBytes())
	sum, top := NewSum(p), NewSum(p)
	for range n {
		require.NoError(t, sum.Add(0, vector))
		require.NoError(t, top.Add(0, largest))
	}
	for i := range words {
		words[i] *= n
	}
	for i := range secret {
		secret[i] *= n
	}
	got, err := openSum(t, sum, aContext, secret, n)
	require.NoError(t, err)
	require.Equal(t, words, got)

	// n times -1 is -n.
	q := p.set.primes[0].q
	for _, x := range top.residues {
		require.Equal(t, q-n, x%q)
	}
}

func slowResiduesOfMinusOne(p Parameters) []uint64 {
	rows := make([]uint64, p.N())
	for i := range rows {
		rows[i] = p.set.primes[0].q - 1
	}
	return rows
}

func TestSnapshotsMergeInAnyOrder(t *testing.T) {
	for _, p := range []Parameters{small(t), smallM(t)} {
		members := randomMembers(t, p, aContext, 4, rand.New(rand.NewPCG(2, 1)))
		var snapshots [3]bytes.Buffer
		all := NewSum(p)
		for _, m := range members {
			addVector(t, all, m.vector)
		}
		require.NoError(t, all.Snapshot(&snapshots[0]))
		require.Equal(t, p.Bytes(), int64(snapshots[0].Len()))

		for i, part := range [][]member{members[:1], members[1:]} {
			sum := NewSum(p)
			for _, m := range part {
				addVector(t, sum, m.vector)
			}
			require.NoError(t, sum.Snapshot(&snapshots[1+i]))
		}
		require.Equal(t, members[0].vector, snapshots[1].Bytes(), "the sum of one vector is that vector")
		merged := NewSum(p)
		tail := []byte("what follows is not read")
		require.NoError(t, merged.Merge(&snapshots[2]))
		after := bytes.NewBuffer(append(snapshots[1].Bytes(), tail...))
		require.NoError(t, merged.Merge(after))
		require.Equal(t, tail, after.Bytes())
		var again bytes.Buffer
		require.NoError(t, merged.Snapshot(&again))
		require.Equal(t, snapshots[0].Bytes(), again.Bytes())

		words, secret := totals(members)
		got, err := openSum(t, merged, aContext, secret, 4)
		require.NoError(t, err)
		require.Equal(t, words, got)
	}
}

func TestSpoiledSumsAreOfNoUse(t *testing.T) {
	p := small(t)
	m := randomMembers(t, p, aContext, 1, rand.New(rand.NewPCG(3, 1)))[0]
	large := append([]byte(nil), m.vector...)
	copy(large[p.ChunkBytes():], bytes.Repeat([]byte{0xff}, 7))
	for name, r := range map[string]io.Reader{
		"empty":                  bytes.NewReader(nil),
		"one byte short":         bytes.NewReader(m.vector[:len(m.vector)-1]),
		"ends after a chunk":     bytes.NewReader(m.vector[:p.ChunkBytes()]),
		"a residue is too large": bytes.NewReader(large),
		"fails":                  io.MultiReader(bytes.NewReader(m.vector[:100]), brokenReader{}),
	} {
		t.Run(name, func(t *testing.T) {
			sum := NewSum(p)
			require.ErrorIs(t, sum.Merge(r), ErrSnapshot)
			require.ErrorIs(t, sum.Snapshot(io.Discard), ErrSnapshot)
			_, err := openSum(t, sum, aContext, m.secret, 1)
			require.ErrorIs(t, err, ErrSnapshot)
		})
	}
}

var errBroken = errors.New("broken")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error)  { return 0, errBroken }
func (brokenReader) Write([]byte) (int, error) { return 0, errBroken }

func TestSnapshotTellsOfAFailingWriter(t *testing.T) {
	err := NewSum(small(t)).Snapshot(brokenReader{})
	require.ErrorIs(t, err, ErrWrite)
	require.ErrorIs(t, err, errBroken)
}

// One residue is changed, in the first or the last group of either limb.
func TestARefusedPieceLeavesTheSumAsItWas(t *testing.T) {
	for _, p := range []Parameters{small(t), smallM(t)} {
		m := randomMembers(t, p, aContext, 1, rand.New(rand.NewPCG(4, 1)))[0]
		var before, after bytes.Buffer
		sum := NewSum(p)
		addVector(t, sum, m.vector)
		require.NoError(t, sum.Snapshot(&before))
		for i, q := range p.set.primes {
			for _, at := range []int{0, p.limbBytes() - groupBytes} {
				piece := append([]byte(nil), pieceOf(p, m.vector, 1)...)
				putGroup((*[groupBytes]byte)(piece[i*p.limbBytes()+at:]), &[8]uint64{1, 2, 3, 4, 5, 6, 7, q.q})
				require.ErrorIs(t, sum.Add(1, piece), ErrPiece)
			}
		}
		require.NoError(t, sum.Snapshot(&after))
		require.Equal(t, before.Bytes(), after.Bytes())
	}
}

func TestPiecesOfAnotherShapeAreRefused(t *testing.T) {
	p := small(t)
	sum, size := NewSum(p), p.ChunkBytes()
	for _, c := range []struct{ chunk, bytes int }{
		{0, size - 1}, {0, size + 1}, {0, 0}, {1, size - 1}, {-1, size}, {2, size}, {1 << 30, size},
	} {
		require.ErrorIs(t, sum.Check(c.chunk, make([]byte, c.bytes)), ErrPiece)
		require.ErrorIs(t, sum.Add(c.chunk, make([]byte, c.bytes)), ErrPiece)
	}
	require.NoError(t, sum.Check(1, make([]byte, size)))
	none := NewSum(Parameters{})
	require.ErrorIs(t, none.Check(0, nil), ErrPiece)
	require.ErrorIs(t, none.Add(0, nil), ErrPiece)
}
