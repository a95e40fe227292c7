package secaggtest

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// Config says how a scheme is put to the test.
type Config struct {
	// Policy is what the plan states. Clients and Minimum are set for each cohort:
	// the minimum is what is left when all declared drop-outs are gone.
	Policy secagg.Policy
	// Cohorts are the sizes that are tried.
	Cohorts []int
	// Seeds is how many random attempts are run; each draws cohort, width, length
	// and drop-outs.
	Seeds int
	// Forger plays the dishonest coordinator in Attacks. A scheme that trusts its
	// coordinator has none.
	Forger *Forger
}

// dropouts is how many of n members may vanish: the declared share, rounded up.
func (c Config) dropouts(n int) int { return (n*c.Policy.Dropout + 999_999) / 1_000_000 }

// session makes a cohort of n and the session of an attempt.
func (c Config) session(t testing.TB, scheme Scheme, n int, shape Shape) (secagg.Session, Cohort) {
	t.Helper()
	cohort := NewCohort(t, n, uint64(n))
	if shape.Minimum == 0 {
		shape.Minimum = n - c.dropouts(n)
	}
	return NewSession(t, scheme, c.Policy, cohort, shape), cohort
}

// small is the session of tests that need no more than one.
func (c Config) small(t testing.TB, scheme Scheme) (secagg.Session, Cohort) {
	return c.session(t, scheme, c.Cohorts[0], Shape{Words: 40, WordBits: 19})
}

// Conformance holds a scheme to the contracts of package secagg.
func Conformance(t *testing.T, scheme Scheme, c Config) {
	t.Run("declares itself", func(t *testing.T) {
		require.True(t, secagg.PartyID(scheme.Name()).Valid())
		require.Contains(t, scheme.Roles(), secagg.RoleClient)
		require.Contains(t, scheme.Views(), secagg.ViewSum)
	})
	t.Run("sum equals the plain sum whoever drops out", func(t *testing.T) { sumsEqual(t, scheme, c) })
	t.Run("sum of long vectors in several pieces", func(t *testing.T) { longVectors(t, scheme, c) })
	t.Run("too many drop-outs open nothing", func(t *testing.T) { tooFew(t, scheme, c) })
	t.Run("snapshots merge into the same sum", func(t *testing.T) { snapshots(t, scheme, c) })
	t.Run("snapshots are refused when malformed", func(t *testing.T) { badSnapshots(t, scheme, c) })
	t.Run("control moves and refuses as its contract says", func(t *testing.T) { controlContract(t, scheme, c) })
	t.Run("repeated instructions get the same reply", func(t *testing.T) { repeats(t, scheme, c) })
	t.Run("seal works once and erases the vector", func(t *testing.T) { sealOnce(t, scheme, c) })
	t.Run("seal refuses a wrong vector", func(t *testing.T) { wrongVectors(t, scheme, c) })
	t.Run("seal that cannot be written ends the party", func(t *testing.T) { brokenWriter(t, scheme, c) })
	t.Run("restart after each phase", func(t *testing.T) { restarts(t, scheme, c) })
	t.Run("record holds no coins of the party", func(t *testing.T) { recordHoldsNoCoins(t, scheme, c) })
	t.Run("erased party refuses everything", func(t *testing.T) { erased(t, scheme, c) })
	t.Run("session that does not fit is refused", func(t *testing.T) { badSessions(t, scheme, c) })
	t.Run("pieces are checked", func(t *testing.T) { badPieces(t, scheme, c) })
	t.Run("malformed instructions never panic", func(t *testing.T) { malformedInstructions(t, scheme, c) })
	t.Run("malformed messages cost their sender only", func(t *testing.T) { malformedMessages(t, scheme, c) })
}

// moments of an attempt at which a member can vanish.
const (
	beforeUpload = iota
	duringUpload
	afterUpload
	momentCount
)

// plan draws who vanishes when; it returns who is in the sum.
func planDropouts(a *Attempt, coins *rand.Rand, count int) (survivors []int) {
	moment := map[int]int{}
	for _, i := range coins.Perm(len(a.Parties))[:count] {
		moment[i] = coins.IntN(momentCount)
	}
	early := map[int]int{} // how many exchanges an early leaver still answers
	for _, i := range slices.Sorted(mapKeys(moment)) {
		early[i] = coins.IntN(3)
	}
	a.Leaves = func(phase secagg.Phase, member int) bool {
		m, leaves := moment[member]
		if !leaves {
			return false
		}
		if m == beforeUpload && phase.Kind == secagg.PhaseExchange {
			early[member]--
			return early[member] < 0
		}
		return m == beforeUpload && phase.Kind == secagg.PhaseUpload || m == afterUpload && a.Sealed[member]
	}
	a.Upload = func(member int, sealed []byte) []byte {
		if m, leaves := moment[member]; leaves && m == duringUpload {
			a.Parties[member] = nil
			return sealed[:len(sealed)*2/3] // the connection breaks
		}
		return sealed
	}
	for i := range a.Parties {
		if m, leaves := moment[i]; !leaves || m == afterUpload {
			survivors = append(survivors, i)
		}
	}
	return survivors
}

func mapKeys(m map[int]int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func sumsEqual(t *testing.T, scheme Scheme, c Config) {
	for seed := range uint64(c.Seeds) {
		coins := rand.New(rand.NewPCG(seed, 11))
		n := c.Cohorts[coins.IntN(len(c.Cohorts))]
		shape := Shape{Words: 1 + coins.IntN(300), WordBits: 8 + int(7*seed%25)}
		s, cohort := c.session(t, scheme, n, shape)
		a := NewAttempt(t, scheme, s, cohort, seed)
		want := planDropouts(a, coins, coins.IntN(c.dropouts(n)+1))
		sums, err := a.Run()
		require.NoError(t, err, "seed %d, n %d", seed, n)
		require.Empty(t, a.Refusals, "seed %d", seed)
		a.RequireSum(t, sums, want)
	}
}

func longVectors(t *testing.T, scheme Scheme, c Config) {
	n := c.Cohorts[0]
	for _, width := range []int{8, 13, 32} {
		s, cohort := c.session(t, scheme, n, Shape{Words: 1<<17 - 2, WordBits: width})
		a := NewAttempt(t, scheme, s, cohort, uint64(width))
		require.Greater(t, a.Accumulator.Pieces().Count, 1)
		want := planDropouts(a, rand.New(rand.NewPCG(1, uint64(width))), min(2, c.dropouts(n)))
		sums, err := a.Run()
		require.NoError(t, err)
		a.RequireSum(t, sums, want)
	}
}

func tooFew(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	a := NewAttempt(t, scheme, s, cohort, 1)
	present := 0
	a.Leaves = func(phase secagg.Phase, member int) bool {
		return phase.Kind == secagg.PhaseUpload && member >= s.Minimum-1
	}
	_, err := a.Run()
	require.ErrorIs(t, err, secagg.ErrTooFew)
	for _, p := range a.Parties {
		if p != nil {
			present++
		}
	}
	require.Equal(t, s.Minimum-1, present)
}

func snapshots(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.session(t, scheme, c.Cohorts[0], Shape{Words: 1<<16 + 5, WordBits: 20})
	a := NewAttempt(t, scheme, s, cohort, 5)
	// Every third upload goes to another accumulator, as on another machine.
	other, err := scheme.NewAccumulator(s)
	require.NoError(t, err)
	first := a.Accumulator
	a.Upload = func(member int, sealed []byte) []byte {
		a.Accumulator = first
		if member%3 == 0 {
			a.Accumulator = other
		}
		return sealed
	}
	require.NoError(t, a.RunTo(secagg.PhaseOpen))
	var one, two bytes.Buffer
	require.NoError(t, first.Snapshot(&one))
	require.NoError(t, other.Snapshot(&two))
	a.Accumulator, err = scheme.NewAccumulator(s)
	require.NoError(t, err)
	require.NoError(t, a.Accumulator.Merge(&two))
	require.NoError(t, a.Accumulator.Merge(&one))
	sums, err := a.Open()
	require.NoError(t, err)
	a.RequireSum(t, sums, a.Control.Survivors()[0])
}

func badSnapshots(t *testing.T, scheme Scheme, c Config) {
	s, _ := c.small(t, scheme)
	acc, err := scheme.NewAccumulator(s)
	require.NoError(t, err)
	var whole bytes.Buffer
	require.NoError(t, acc.Snapshot(&whole))
	for _, cut := range []int{0, 1, whole.Len() / 2, whole.Len() - 1} {
		fresh, err := scheme.NewAccumulator(s)
		require.NoError(t, err)
		require.Error(t, fresh.Merge(bytes.NewReader(whole.Bytes()[:cut])), "cut at %d", cut)
	}
	fresh, err := scheme.NewAccumulator(s)
	require.NoError(t, err)
	require.Error(t, fresh.Merge(bytes.NewReader(append(whole.Bytes(), 0))))
}

// controlContract walks one attempt and checks at every phase what Control says.
func controlContract(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	a := NewAttempt(t, scheme, s, cohort, 2)
	n := s.Roster.Len()
	seen := map[string]bool{}
	for a.Control.Phase().Kind != secagg.PhaseOpen {
		phase := a.Control.Phase()
		require.False(t, seen[phase.Name], "phase %s entered twice", phase.Name)
		seen[phase.Name] = true
		for _, member := range []int{-1, n} {
			_, asked := a.Control.Instruction(member)
			require.False(t, asked)
			require.ErrorIs(t, a.Control.Receive(member, []byte("x")), secagg.ErrNotAsked)
		}
		waiting := a.Control.Waiting()
		require.Len(t, waiting, n, "nobody has left")
		_, err := a.Control.Opening()
		require.ErrorIs(t, err, secagg.ErrPhase)
		var answers [][]byte
		a.Message = func(_ secagg.Phase, _ int, body []byte) []byte {
			answers = append(answers, body)
			return body
		}
		for _, i := range waiting {
			a.Ask(i)
			require.Equal(t, waiting[i+1:], append([]int{}, a.Control.Waiting()...))
		}
		for i, m := range answers {
			require.NoError(t, a.Control.Receive(i, m), "a repeated answer is accepted again")
			require.Error(t, a.Control.Receive(i, answers[(i+1)%n]), "another answer is not")
		}
		require.NoError(t, a.Control.Advance())
	}
	require.Empty(t, a.Control.Waiting())
	require.ErrorIs(t, a.Control.Advance(), secagg.ErrPhase)
	sums, err := a.Open()
	require.NoError(t, err)
	a.RequireSum(t, sums, a.Control.Survivors()[0])
}

func repeats(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	a := NewAttempt(t, scheme, s, cohort, 3)
	last := map[int][]byte{}
	a.Instruction = func(_ secagg.Phase, member int, body []byte) []byte {
		last[member] = body
		return body
	}
	a.Answered = func(_ secagg.Phase, member int, reply secagg.Reply) secagg.Party {
		again, err := a.Parties[member].Step(last[member])
		require.NoError(t, err)
		require.Equal(t, reply, again)
		return a.Parties[member]
	}
	_, err := a.Run()
	require.NoError(t, err)
}

// partyAtSeal drives an attempt until the member has been asked for its vector.
func partyAtSeal(t *testing.T, scheme Scheme, c Config, member int) (*Attempt, secagg.Party) {
	s, cohort := c.small(t, scheme)
	a := NewAttempt(t, scheme, s, cohort, 4)
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
	require.EqualValues(t, a.Accumulator.Pieces().Total, first.Len())
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
	a := NewAttempt(t, scheme, s, cohort, 6)
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
			a := NewAttempt(t, scheme, s, cohort, 6)
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
			require.Equal(t, resumed, slices.Contains(sums[0].Members, victim))
			a.RequireSum(t, sums, a.Control.Survivors()[0])
		})
	}
}

// recordHoldsNoCoins looks for everything the party drew in the records it keeps.
func recordHoldsNoCoins(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	a := NewAttempt(t, scheme, s, cohort, 8)
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

func badSessions(t *testing.T, scheme Scheme, c Config) {
	good, cohort := c.small(t, scheme)
	for name, spoil := range map[string]func(*secagg.Session){
		"no words":          func(s *secagg.Session) { s.Words = 0 },
		"too many words":    func(s *secagg.Session) { s.Words = math.MaxInt32 },
		"narrow words":      func(s *secagg.Session) { s.WordBits = 7 },
		"wide words":        func(s *secagg.Session) { s.WordBits = 33 },
		"no minimum":        func(s *secagg.Session) { s.Minimum = 0 },
		"unreached minimum": func(s *secagg.Session) { s.Minimum = s.Roster.Len() + 1 },
		"bad parameters":    func(s *secagg.Session) { s.Binding.Parameters = []byte{0xff}; s.Context = s.Binding.Context() },
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			spoil(&s)
			_, err := scheme.NewParty(s, 0, cohort.Keys[0], Coins(1, "party 0"))
			require.Error(t, err)
			_, err = scheme.NewControl(s)
			require.Error(t, err)
			_, err = scheme.NewAccumulator(s)
			require.Error(t, err)
		})
	}
}

func badPieces(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.session(t, scheme, c.Cohorts[0], Shape{Words: 1<<16 + 3, WordBits: 19})
	a := NewAttempt(t, scheme, s, cohort, 9)
	acc := a.Accumulator
	ps := acc.Pieces()
	for i := range ps.Count {
		good := make([]byte, ps.Len(i))
		require.NoError(t, acc.Check(i, good))
		for what, p := range map[string][]byte{"empty": nil, "truncated": good[:len(good)-1], "oversized": append(good, 0)} {
			require.ErrorIs(t, acc.Check(i, p), secagg.ErrPiece, what)
			require.Error(t, acc.Add(0, i, p), what)
		}
	}
	last := make([]byte, ps.Len(ps.Count-1))
	last[len(last)-1] = 0x80
	require.ErrorIs(t, acc.Check(ps.Count-1, last), secagg.ErrPiece, "spare bits")
	require.ErrorIs(t, acc.Check(-1, last), secagg.ErrPiece)
	require.ErrorIs(t, acc.Check(ps.Count, last), secagg.ErrPiece)
	require.Error(t, acc.Add(1, 0, make([]byte, ps.Len(0))), "no such bucket")
	// Nothing of all that is in the sum.
	sums, err := a.Run()
	require.NoError(t, err)
	a.RequireSum(t, sums, a.Control.Survivors()[0])
}
