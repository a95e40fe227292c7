package secaggtest

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// partyAtSeal drives an attempt until the member has been asked for its vector.
func partyAtSeal(t *testing.T, scheme Scheme, c Config, member int) (*Attempt, secagg.Party) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 4)
	require.NoError(t, a.RunTo(secagg.PhaseUpload))
	body, asked := a.Control.Instruction(member)
	require.True(t, asked)
	reply, err := a.Parties[member].Step(body)
	require.NoError(t, err)
	require.True(t, reply.Seal)
	return a, a.Parties[member]
}

func sealOnce(t *testing.T, scheme Scheme, c Config) {
	a, p := partyAtSeal(t, scheme, c, 1)
	vector := slices.Clone(a.Vectors[1])
	var first, second bytes.Buffer
	_, err := p.Seal(vector, &first)
	require.NoError(t, err)
	require.Equal(t, make([]uint32, len(vector)), vector, "the vector is erased")
	require.EqualValues(t, a.Accumulator.Pieces().Total(), first.Len())
	_, err = p.Seal(slices.Clone(a.Vectors[2]), &second)
	require.ErrorIs(t, err, secagg.ErrRepeated)
	require.Zero(t, second.Len(), "nothing is written under the same keys")
}

func wrongVectors(t *testing.T, scheme Scheme, c Config) {
	for name, spoil := range map[string]func([]uint32, int) []uint32{
		"short":    func(v []uint32, _ int) []uint32 { return v[:len(v)-1] },
		"long":     func(v []uint32, _ int) []uint32 { return append(v, 0) },
		"too wide": func(v []uint32, w int) []uint32 { v[3] = 1 << w; return v },
	} {
		t.Run(name, func(t *testing.T) {
			a, p := partyAtSeal(t, scheme, c, 1)
			var out bytes.Buffer
			_, err := p.Seal(spoil(slices.Clone(a.Vectors[1]), a.Session.WordBits), &out)
			require.ErrorIs(t, err, secagg.ErrVector)
			require.Zero(t, out.Len())
		})
	}
}

type failingWriter struct{}

var errDisk = errors.New("disk full")

func (failingWriter) Write([]byte) (int, error) { return 0, errDisk }

func brokenWriter(t *testing.T, scheme Scheme, c Config) {
	a, p := partyAtSeal(t, scheme, c, 1)
	_, err := p.Seal(slices.Clone(a.Vectors[1]), failingWriter{})
	require.ErrorIs(t, err, errDisk)
	_, err = p.Seal(slices.Clone(a.Vectors[1]), &bytes.Buffer{})
	require.Error(t, err, "some bytes may have left under these keys")
}

// restarts kills a party after each phase in turn and resumes it from its record.
func restarts(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	const victim = 2
	var names []string
	a := c.attempt(t, scheme, s, cohort, 6)
	a.Answered = func(phase secagg.Phase, member int, _ secagg.Reply) secagg.Party {
		if member == victim {
			names = append(names, phase.Name)
		}
		return a.Parties[member]
	}
	_, err := a.Run()
	require.NoError(t, err)

	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			a := c.attempt(t, scheme, s, cohort, 6)
			var record, instruction []byte
			resumed := false
			a.Instruction = func(_ secagg.Phase, member int, body []byte) []byte {
				if member == victim {
					instruction = body
				}
				return body
			}
			a.Answered = func(phase secagg.Phase, member int, reply secagg.Reply) secagg.Party {
				if member != victim {
					return a.Parties[member]
				}
				if reply.Record != nil {
					record = reply.Record
				}
				if phase.Name != name {
					return a.Parties[member]
				}
				a.Parties[member].Erase()
				p, err := scheme.ResumeParty(s, victim, cohort.Keys[victim], record)
				if !a.Sealed[victim] {
					require.ErrorIs(t, err, secagg.ErrTombstone)
					return nil
				}
				require.NoError(t, err)
				again, err := p.Step(instruction)
				require.NoError(t, err)
				require.Equal(t, reply.Message, again.Message, "the answer is repeated byte for byte")
				require.Equal(t, record, again.Record)
				_, err = p.Seal(slices.Clone(a.Vectors[victim]), &bytes.Buffer{})
				require.ErrorIs(t, err, secagg.ErrRepeated)
				resumed = true
				return p
			}
			sums, err := a.Run()
			require.NoError(t, err)
			require.Empty(t, a.Refusals)
			require.Equal(t, resumed, slices.Contains(a.survivors(), victim))
			a.RequireSums(t, sums)
		})
	}
}

// recordHoldsNoCoins looks for everything the party drew in the records it keeps.
func recordHoldsNoCoins(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 8)
	const member, window = 1, 16
	drawn := &recorder{from: Coins(8, "party 1")}
	var err error
	a.Parties[member], err = scheme.NewParty(s, member, cohort.Keys[member], drawn)
	require.NoError(t, err)
	var records [][]byte
	a.Answered = func(_ secagg.Phase, i int, reply secagg.Reply) secagg.Party {
		if i == member && reply.Record != nil {
			records = append(records, reply.Record)
		}
		return a.Parties[i]
	}
	_, err = a.Run()
	require.NoError(t, err)
	require.NotEmpty(t, records)
	secret := map[[window]byte]bool{}
	for i := 0; i+window <= len(drawn.seen); i++ {
		secret[[window]byte(drawn.seen[i:i+window])] = true
	}
	for _, r := range records {
		for i := 0; i+window <= len(r); i++ {
			require.False(t, secret[[window]byte(r[i:i+window])], "a record holds a secret of its own party")
		}
	}
}

func erased(t *testing.T, scheme Scheme, c Config) {
	a, p := partyAtSeal(t, scheme, c, 1)
	body, _ := a.Control.Instruction(1)
	p.Erase()
	_, err := p.Step(body)
	require.ErrorIs(t, err, secagg.ErrDead)
	var out bytes.Buffer
	_, err = p.Seal(slices.Clone(a.Vectors[1]), &out)
	require.ErrorIs(t, err, secagg.ErrDead)
	require.Zero(t, out.Len())
}
