package secaggtest

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// told keeps what each member of the committee was last told.
func told(a *Attempt) map[int][]byte {
	last := map[int][]byte{}
	a.Instruction = func(_ secagg.Phase, party int, body []byte) []byte {
		last[party-len(a.Parties)] = body
		return body
	}
	return last
}

// again gives a member its last instruction once more, with all letters that it asks
// for, and returns its answer.
func again(t *testing.T, a *Attempt, p secagg.CommitteeParty, phase secagg.Phase, j int, instruction []byte) secagg.Reply {
	t.Helper()
	reply, err := p.Step(instruction)
	require.NoError(t, err, "phase %s", phase.Name)
	if reply.Letters {
		letters := a.Letters(phase, j)
		reply, err = p.Letters(stream(letters[min(reply.From, len(letters)):]))
		require.NoError(t, err, "phase %s", phase.Name)
	}
	if reply.Record != nil {
		a.Records[j] = reply.Record
	}
	return reply
}

// requireSame checks that an answer repeats the first one: byte for byte, but for
// what a member says of letters, which it says for as many as there are by now.
func requireSame(t *testing.T, a *Attempt, phase secagg.Phase, j int, first, second secagg.Reply) {
	t.Helper()
	if !a.reads(a.Number(j)) {
		require.Equal(t, first.Message, second.Message, "phase %s", phase.Name)
	}
	if second.Message != nil {
		fresh, err := a.Control.Receive(a.Number(j), second.Message)
		require.NoError(t, err, "phase %s", phase.Name)
		require.False(t, fresh, "phase %s", phase.Name)
	}
}

// committeeRestarts kills a member of the committee after each of its answers in turn
// and makes it anew from its record.
func committeeRestarts(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	const victim = 1
	var names []string
	a := c.attempt(t, scheme, s, cohort, 40)
	a.Served = func(phase secagg.Phase, j int, _ secagg.Reply) secagg.CommitteeParty {
		if j == victim && (len(names) == 0 || names[len(names)-1] != phase.Name) {
			names = append(names, phase.Name)
		}
		return a.Decryptors[j]
	}
	_, err := a.Run()
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			a := c.attempt(t, scheme, s, cohort, 40)
			last := told(a)
			a.Served = func(phase secagg.Phase, j int, reply secagg.Reply) secagg.CommitteeParty {
				if j != victim || phase.Name != name {
					return a.Decryptors[j]
				}
				a.Decryptors[j].Erase()
				reading := a.reading[j]
				p := a.Restart(t, j)
				a.reading[j] = reading
				requireSame(t, a, phase, j, reply, again(t, a, p, phase, j, last[j]))
				a.reading[j] = nil
				return p
			}
			sums, err := a.Run()
			require.NoError(t, err)
			require.Empty(t, a.Refusals)
			require.Empty(t, a.Rejected)
			require.Empty(t, a.Liars)
			a.RequireSum(t, sums, everybodyBut(s))
		})
	}
}

func committeeRepeats(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 41)
	last := told(a)
	a.Served = func(phase secagg.Phase, j int, reply secagg.Reply) secagg.CommitteeParty {
		requireSame(t, a, phase, j, reply, again(t, a, a.Decryptors[j], phase, j, last[j]))
		a.reading[j] = nil
		return a.Decryptors[j]
	}
	sums, err := a.Run()
	require.NoError(t, err)
	require.Empty(t, a.Refusals)
	require.Empty(t, a.Rejected)
	a.RequireSum(t, sums, everybodyBut(s))
}

func committeeErased(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 42)
	require.NoError(t, a.RunTo(secagg.PhaseUpload))
	body, asked := a.Control.Instruction(a.Number(0))
	require.True(t, asked)
	a.Decryptors[0].Erase()
	_, err := a.Decryptors[0].Step(body)
	require.ErrorIs(t, err, secagg.ErrDead)
	_, err = a.Decryptors[0].Letters(bytes.NewReader(nil))
	require.ErrorIs(t, err, secagg.ErrDead)
}

// brokenLetters lets connections break while members read letters, in each phase in
// which they do: they read them again.
func brokenLetters(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 43)
	coins, broken := rand.New(rand.NewPCG(43, 43)), map[string]bool{}
	for a.Control.Phase().Kind != secagg.PhaseOpen {
		phase := a.Control.Phase()
		for i := range a.Parties {
			a.Ask(i)
		}
		for j, p := range a.Decryptors {
			body, asked := a.Control.Instruction(a.Number(j))
			if !asked {
				continue
			}
			reply, err := p.Step(body)
			require.NoError(t, err)
			letters := a.Letters(phase, j)
			if reply.Letters && reply.From < len(letters) {
				broken[phase.Name] = true
				whole := stream(letters[reply.From:]).Bytes()
				_, err := p.Letters(io.MultiReader(bytes.NewReader(whole[:coins.IntN(len(whole))]), iotest.ErrReader(errDisk)))
				require.ErrorIs(t, err, errDisk)
				reply, err = p.Letters(bytes.NewReader(whole))
				require.NoError(t, err)
			}
			a.heed(phase, j, reply)
		}
		require.NoError(t, a.Close())
	}
	require.Greater(t, len(broken), 1)
	sums, err := a.Open()
	require.NoError(t, err)
	require.Empty(t, a.Rejected)
	require.Empty(t, a.Liars)
	a.RequireSum(t, sums, everybodyBut(s))
}

// malformedToCommittee damages each instruction for a member that was just restarted.
// It may obey one that is still well-formed; it must not panic, and after a refusal
// it still obeys the true one.
func malformedToCommittee(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 44)
	coins := rand.New(rand.NewPCG(44, 44))
	a.Instruction = func(phase secagg.Phase, party int, body []byte) []byte {
		j := party - len(a.Parties)
		if j != 0 {
			return body
		}
		for range 8 {
			p, err := committeeOf(t, scheme).NewCommitteeParty(s, j, cohort.Decryptors[j], a.Records[j])
			require.NoError(t, err)
			reply, err := p.Step(mutate(body, coins))
			if err == nil && reply.Letters {
				_, err = p.Letters(stream(a.Letters(phase, j)))
			}
			if err != nil && fault.ClassOf(err) != fault.Conflict {
				_, err := p.Step(body)
				require.NoError(t, err, "phase %s", phase.Name)
			}
		}
		return body
	}
	sums, err := a.Run()
	require.NoError(t, err)
	a.RequireSum(t, sums, everybodyBut(s))
}
