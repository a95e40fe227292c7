package secaggtest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// mutate returns a damaged copy of b.
func mutate(b []byte, coins *rand.Rand) []byte {
	out := slices.Clone(b)
	if len(out) == 0 {
		return []byte{byte(coins.Uint32())}
	}
	switch coins.IntN(5) {
	case 0:
		out = out[:coins.IntN(len(out))]
	case 1:
		out = append(out, make([]byte, 1+coins.IntN(40))...)
	case 2:
		i := coins.IntN(len(out))
		out = slices.Insert(out, i, byte(coins.Uint32()))
	case 3:
		i := coins.IntN(len(out))
		out = slices.Delete(out, i, min(len(out), i+1+coins.IntN(8)))
	default:
		for range 1 + coins.IntN(3) {
			out[coins.IntN(len(out))] ^= 1 << coins.IntN(8)
		}
	}
	return out
}

// malformedInstructions damages instructions of each phase. A party may accept one
// that is still well-formed; it must not panic, and after a refusal that is not a
// matter of timing it must be dead.
func malformedInstructions(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	const member = 1
	var instructions [][]byte
	a := c.attempt(t, scheme, s, cohort, 10)
	a.Instruction = func(_ secagg.Phase, i int, body []byte) []byte {
		if i == member {
			instructions = append(instructions, body)
		}
		return body
	}
	_, err := a.Run()
	require.NoError(t, err)
	coins := rand.New(rand.NewPCG(10, 10))
	for at := range instructions {
		for range 25 {
			p, err := scheme.NewParty(s, member, cohort.Keys[member], Coins(10, fmt.Sprintf("party %d", member)))
			require.NoError(t, err)
			for _, body := range instructions[:at] {
				reply, err := p.Step(body)
				require.NoError(t, err)
				if reply.Seal {
					_, err = p.Seal(slices.Clone(a.Vectors[member]), &bytes.Buffer{})
					require.NoError(t, err)
				}
			}
			if _, err = p.Step(mutate(instructions[at], coins)); err != nil && fault.ClassOf(err) != fault.Conflict {
				_, err = p.Step(instructions[at])
				require.ErrorIs(t, err, secagg.ErrDead)
			}
		}
	}
}

// malformedMessages damages each message several times before the true one.
func malformedMessages(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 12)
	coins := rand.New(rand.NewPCG(12, 12))
	a.Message = func(phase secagg.Phase, member int, body []byte) []byte {
		for range 4 {
			bad := mutate(body, coins)
			// An unsigned answer, in a secret phase or to letters, may be damaged and still
			// well-formed.
			if phase.Kind != secagg.PhaseUnmask && !a.reads(member) && !bytes.Equal(bad, body) {
				_ = requireRejected(t, a.Control, member, bad)
			}
		}
		return body
	}
	sums, err := a.Run()
	require.NoError(t, err)
	require.Empty(t, a.Rejected)
	a.RequireSum(t, sums, everybodyBut(s))
}
