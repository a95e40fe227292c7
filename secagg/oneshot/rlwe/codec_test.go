package rlwe

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// getGroup reads eight numbers of 53 bits.
func getGroup(src []byte) (r [8]uint64) {
	for i := range r {
		for bit := range residueBits {
			at := residueBits*i + bit
			r[i] |= uint64(src[at/8]>>(at%8)&1) << bit
		}
	}
	return r
}

func TestGroupsAreABitStream(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		var r [8]uint64
		for i := range r {
			r[i] = rng.Uint64() >> 11 >> rng.IntN(53)
		}
		var dst [groupBytes]byte
		putGroup(&dst, &r)
		require.Equal(t, slowPack(r[:], 53, groupBytes), dst[:])
		require.Equal(t, r, getGroup(dst[:]))
		sum := [8]uint64{1, 2, 3, 4, 5, 6, 7, 8}
		addResidues(sum[:], dst[:], 0)
		for i := range sum {
			require.Equal(t, r[i]+uint64(i)+1, sum[i])
		}
	}
}

// One residue at its prime, in each place of a group and of the chunk's ends, is refused.
func TestResiduesNotBelowTheirPrimeAreRefused(t *testing.T) {
	for _, p := range []Parameters{small(t), smallM(t)} {
		sum := NewSum(p)
		for limb, prime := range p.set.primes {
			for _, place := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, p.N()/2 + 3, p.N() - 8, p.N() - 1} {
				for _, x := range []uint64{prime.q - 1, prime.q, prime.q + 1, 1<<53 - 1} {
					rows := make([]uint64, p.N())
					rows[place] = x
					piece := make([]byte, p.ChunkBytes())
					copy(piece[limb*p.limbBytes():], slowPack(rows, 53, p.limbBytes()))
					err := sum.Check(0, piece)
					if x < prime.q {
						require.NoError(t, err)
					} else {
						require.ErrorIs(t, err, ErrPiece, "limb %d place %d: %#x", limb, place, x)
					}
				}
			}
		}
	}
}

// What Check accepts has one form: its residues, written again, are the same bytes.
func FuzzPiece(f *testing.F) {
	p := mustCheck(f, Literal{Set: "S", Clients: 2, Words: 10, WordBits: 8})
	vector := randomMembers(f, p, aContext, 1, rand.New(rand.NewPCG(1, 1)))[0].vector
	f.Add(vector)
	f.Add(vector[1:])
	f.Add(append(vector[:len(vector):len(vector)], 0))
	f.Add(bytes.Repeat([]byte{0xff}, len(vector)))
	f.Add(make([]byte, len(vector)))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, piece []byte) {
		sum := NewSum(p)
		if sum.Check(0, piece) != nil {
			if len(piece) <= p.ChunkBytes() { // what is beyond is not read
				require.ErrorIs(t, sum.Merge(bytes.NewReader(piece)), ErrSnapshot)
			}
			return
		}
		require.NoError(t, sum.Add(0, piece))
		var out bytes.Buffer
		require.NoError(t, sum.Snapshot(&out))
		require.Equal(t, piece, out.Bytes())

		other := NewSum(p)
		require.NoError(t, other.Merge(bytes.NewReader(piece)))
		require.Equal(t, sum.residues, other.residues)
	})
}
