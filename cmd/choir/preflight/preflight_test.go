package preflight

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/secagg/secaggtest"
)

// literal is a plan of n clients for a model of 1000 parameters.
func literal(scheme string, n int, corrupt, dropout float64) plan.Literal {
	l := plan.DemonstrationWithoutNoise()
	l.Scheme = plan.Scheme{Name: scheme, Corrupt: corrupt, Dropout: dropout}
	if scheme == oneshot.Name {
		l.Scheme.Committee, _ = assumed() // it never fails
	}
	l.Aggregation = plan.Aggregation{}
	l.Cohort = plan.Cohort{Size: n, Minimum: n / 2}
	l.Encoding = plan.Encoding{ClipNorm: 8, Bits: 18}
	l.Model.Tensors = []plan.Tensor{{Name: "weights", Shape: []int{100, 10}}}
	return l
}

// divided is such a plan with buckets, as view or as fallback.
func divided(scheme string, n int, corrupt, dropout float64, size, minimum int, fallback bool) plan.Literal {
	l := literal(scheme, n, corrupt, dropout)
	l.Aggregation.Buckets = plan.Buckets{Size: size, Minimum: minimum}
	if l.Aggregation.View = "bucket_means"; fallback {
		l.Aggregation.View, l.Aggregation.Fallback = "sum", "bucket_means"
	}
	return l
}

func check(t *testing.T, l plan.Literal) plan.Plan {
	t.Helper()
	p, err := l.Check(plain.Scheme{}, pairwise.Scheme{}, oneshot.Scheme{})
	require.NoError(t, err)
	return p
}

func examine(t *testing.T, l plan.Literal) *Findings {
	t.Helper()
	f, err := Examine(check(t, l))
	require.NoError(t, err)
	return f
}

// traffic is what a real attempt took, by phase: of a client or of a member.
type traffic struct{ up, down, asked map[string]int }

func newTraffic() traffic { return traffic{map[string]int{}, map[string]int{}, map[string]int{}} }

// TestBytesAreThoseOfARealAttempt drives all parties of an attempt and compares
// what each phase takes with what was foretold.
func TestBytesAreThoseOfARealAttempt(t *testing.T) {
	for name, c := range map[string]struct {
		scheme    secaggtest.Scheme
		n         int
		corrupt   float64
		dropout   float64
		members   int          // of the committee
		buckets   plan.Buckets // zero for one sum
		tolerance float64      // of messages; uploads are exact
	}{
		"plain":              {scheme: plain.Scheme{}, n: 20, corrupt: 0.05, dropout: 0.3},
		"plain, buckets":     {scheme: plain.Scheme{}, n: 40, corrupt: 0.05, dropout: 0.3, buckets: plan.Buckets{Size: 10, Minimum: 5}},
		"complete graph":     {scheme: pairwise.Scheme{}, n: 40, corrupt: 0.05, dropout: 0.3, tolerance: 0.002},
		"complete, odd":      {scheme: pairwise.Scheme{}, n: 17, dropout: 0.2, tolerance: 0.005},
		"complete, buckets":  {scheme: pairwise.Scheme{}, n: 40, corrupt: 0.025, dropout: 0.2, buckets: plan.Buckets{Size: 20, Minimum: 16}, tolerance: 0.002},
		"sparse graph":       {scheme: pairwise.Scheme{}, n: 160, corrupt: 0.05, dropout: 0.05, tolerance: 0.02},
		"committee":          {scheme: oneshot.Scheme{}, n: 20, corrupt: 0.05, dropout: 0.2, members: 5},
		"committee, buckets": {scheme: oneshot.Scheme{}, n: 41, corrupt: 0.025, dropout: 0.2, members: 4, buckets: plan.Buckets{Size: 10, Minimum: 5}},
		"largest committee":  {scheme: oneshot.Scheme{}, n: 16, dropout: 0.2, members: 16},
	} {
		t.Run(name, func(t *testing.T) {
			cohort := secaggtest.NewCohort(t, c.n, 1)
			l := literal(c.scheme.Name(), c.n, c.corrupt, c.dropout)
			if c.buckets != (plan.Buckets{}) {
				l = divided(c.scheme.Name(), c.n, c.corrupt, c.dropout, c.buckets.Size, c.buckets.Minimum, false)
			}
			if c.members > 0 {
				cohort = cohort.WithCommittee(t, c.members, 1)
				l.Scheme.Committee, l.Rounds.Attempts = plan.CommitteeOf(cohort.Committee), 8
			}
			p := check(t, l)
			f, err := Examine(p)
			require.NoError(t, err)
			require.Equal(t, c.n >= 150, f.Graph != nil && !f.Graph.Complete)

			task := secagg.Task{Round: secagg.RoundID{Job: p.Job(), Round: uint32(p.Rounds()), Attempt: 1}, Terms: p.Terms(), Rest: p.Rest()}
			announced := make(secagg.Announcements, c.members)
			for j := range announced {
				announced[j].Body = secaggtest.Announce(t, c.scheme, task.Round, cohort, j).Message
			}
			session, err := task.Session(cohort.Roster, announced)
			require.NoError(t, err)
			a := secaggtest.NewAttempt(t, c.scheme, session, cohort, 1)
			client, member := newTraffic(), newTraffic()
			of := func(party int) traffic {
				if party < c.n {
					return client
				}
				return member
			}
			firsts := map[bool]string{} // the first phase of clients and of members
			a.Instruction = func(phase secagg.Phase, party int, body []byte) []byte {
				env := secagg.Envelope{Round: task.Round, Step: 1, Body: body}
				if first, asked := firsts[party < c.n]; !asked || first == phase.Name {
					firsts[party < c.n] = phase.Name
					env.Roster, env.Committee = cohort.Roster.Encode(), announced.Encode()
				}
				of(party).down[phase.Name] += len(env.Encode())
				of(party).asked[phase.Name]++
				return body
			}
			a.Message = func(phase secagg.Phase, party int, body []byte) []byte {
				of(party).up[phase.Name] += len(body)
				return body
			}
			a.Upload = func(_ int, sealed []byte) []byte {
				client.up["upload"] += len(sealed)
				require.EqualValues(t, len(sealed), f.Bytes.Upload)
				return sealed
			}
			read := 0 // by a member in phase unmask
			a.Post = func(phase secagg.Phase, _ int, letters []secagg.Letter) []secagg.Letter {
				if read = 0; phase.Name == "unmask" {
					for _, one := range letters {
						read += 12 + len(one.Frame) + len(one.Body)
					}
				}
				return letters
			}
			require.NoError(t, a.RunTo(secagg.PhaseOpen))
			require.Empty(t, a.Refusals)

			requireTotals(t, f.Bytes)
			client.require(t, f.Bytes, c.n, firsts[true], c.tolerance)
			if c.members == 0 {
				return
			}
			foretold := f.Oneshot.Member
			requireTotals(t, foretold)
			require.EqualValues(t, len(announced[0].Body), foretold.Phases[0].Up)
			require.EqualValues(t, f.Oneshot.figures.MemberLetters, read)
			for i, phase := range foretold.Phases {
				if phase.Name == "upload" || phase.Name == "unmask" {
					foretold.Phases[i].Down -= int64(read)
				}
			}
			require.Greater(t, member.up["upload"], 0)
			member.up["upload"] = member.asked["upload"] * int(foretold.Phases[4].Up) // in as many messages as there were
			member.require(t, foretold, c.n, firsts[false], 0)
		})
	}
}

// require compares what was foretold.
func (m traffic) require(t *testing.T, foretold Bytes, clients int, first string, tolerance float64) {
	t.Helper()
	compared := 0
	for _, phase := range foretold.Phases {
		n := m.asked[phase.Name]
		if n == 0 {
			continue
		}
		compared++
		// The names of the test's clients are shorter than was counted.
		names := 0.0
		if phase.Name == first {
			names = float64(clients * (nameSize - len("client-00000")))
		}
		require.InDelta(t, float64(phase.Up), float64(m.up[phase.Name])/float64(n), tolerance*float64(phase.Up)+2, "up, %s", phase.Name)
		require.InDelta(t, float64(phase.Down)-names, float64(m.down[phase.Name])/float64(n), tolerance*float64(phase.Down)+2, "down, %s", phase.Name)
	}
	require.Len(t, m.asked, compared)
}

// requireTotals checks that a total is that of all phases.
func requireTotals(t *testing.T, b Bytes) {
	t.Helper()
	var up, down int64
	for _, phase := range b.Phases {
		up, down = up+phase.Up, down+phase.Down
	}
	require.Equal(t, b.Up, up)
	require.Equal(t, b.Down, down)
}

func TestUploadTakesWordBitsOfEachParameter(t *testing.T) {
	l := literal(pairwise.Name, 20, 0.05, 0.3)
	l.Model.Tensors[0].Shape = []int{1 << 20}
	f := examine(t, l)
	require.InEpsilon(t, float64(f.Encoding.WordBits)/8, f.Bytes.PerCoordinate, 0.001)
}

// exactBelow is P[X < least] in rational arithmetic.
func exactBelow(n, least int, dropout *big.Rat) float64 {
	stay := new(big.Rat).Sub(big.NewRat(1, 1), dropout)
	sum := new(big.Rat)
	for k := range least {
		term := new(big.Rat).SetInt(new(big.Int).Binomial(int64(n), int64(k)))
		for range k {
			term.Mul(term, stay)
		}
		for range n - k {
			term.Mul(term, dropout)
		}
		sum.Add(sum, term)
	}
	v, _ := sum.Float64()
	return v
}

func TestBinomialTailEqualsRationalArithmetic(t *testing.T) {
	for _, n := range []int{3, 20, 100} {
		for least := range n + 1 {
			want := exactBelow(n, least, big.NewRat(3, 10))
			require.InDelta(t, want, below(n, least, 0.3), 1e-9*want+1e-300, "n %d, least %d", n, least)
		}
	}
	require.Zero(t, below(10, 5, 0))
	require.InDelta(t, 1, below(10, 11, 0.5), 1e-12)
}

func TestFailureCountsEveryoneWhoIsNeeded(t *testing.T) {
	l := literal(pairwise.Name, 40, 0.05, 0.3)
	l.Cohort.Minimum = 12 // the quorum of 22 is more
	f := examine(t, l)
	require.Equal(t, 22, f.needed())
	require.InEpsilon(t, exactBelow(40, 22, big.NewRat(3, 10)), f.Failure[0].Attempt, 1e-9)
	require.InEpsilon(t, math.Pow(f.Failure[0].Attempt, 3), f.Failure[0].Round, 1e-9)
	require.Equal(t, 0.15, f.Failure[1].Dropout)
	require.Less(t, f.Failure[1].Attempt, f.Failure[0].Attempt)

	l.Cohort.Minimum = 27 // is more than the quorum
	require.InEpsilon(t, exactBelow(40, 27, big.NewRat(3, 10)), examine(t, l).Failure[0].Attempt, 1e-9)

	l.Scheme.Name = plain.Name
	require.InEpsilon(t, exactBelow(40, 27, big.NewRat(3, 10)), examine(t, l).Failure[0].Attempt, 1e-9)

	l.Scheme.Dropout = 0
	f = examine(t, l)
	require.Equal(t, []Failure{{}}, f.Failure)
}

func TestOverSelectionThatCutsMoreThanMayDropOutIsRefused(t *testing.T) {
	l := literal(pairwise.Name, 20, 0.05, 0.3)
	l.Cohort.OverSelection = 2
	_, err := l.Check(plain.Scheme{}, pairwise.Scheme{})
	require.ErrorContains(t, err, "uploads close at 20 of 40 clients")
	l.Cohort.OverSelection = 1.2
	require.Less(t, examine(t, l).Failure[0].Attempt, 1.0)
}

func TestLeastHonestIsThatOfTheWorstCohortAdmitted(t *testing.T) {
	l := literal(pairwise.Name, 60, 0.1, 0.2)
	l.Cohort.Minimum = 20
	p := check(t, l)
	f, err := Examine(p)
	require.NoError(t, err)
	params, err := pairwise.DecodeParameters(p.Terms().SchemeParameters)
	require.NoError(t, err)
	honest, survivors := math.MaxInt, math.MaxInt
	for n := 20; n <= 60; n++ {
		found, err := params.Find(n)
		require.NoError(t, err)
		// A member answers only for at least these many; see package pairwise.
		least := max(20, found.Quorum, found.MaxCorrupt+3)
		for found.HonestInSum(least) == 0 { // nothing is opened
			least++
		}
		honest, survivors = min(honest, found.HonestInSum(least)), min(survivors, least)
	}
	require.Equal(t, honest, f.Graph.Honest)
	require.Equal(t, survivors, f.Graph.Survivors)
	require.Equal(t, 41, f.Graph.SizesTried)
	require.Equal(t, 41, f.Graph.Sizes)
}

func TestLargeCohortsSayHowManySizesWereTried(t *testing.T) {
	l := literal(pairwise.Name, 2000, 0.01, 0.1)
	l.Cohort.Minimum = 900
	f := examine(t, l)
	require.Equal(t, 1101, f.Graph.Sizes)
	require.Less(t, f.Graph.SizesTried, 600)
	var b bytes.Buffer
	require.NoError(t, f.WriteText(&b))
	require.Contains(t, b.String(), fmt.Sprintf("%d of 1101 sizes of cohort were tried", f.Graph.SizesTried))
}

func TestEncodingIsTheQuantizers(t *testing.T) {
	l := literal(pairwise.Name, 20, 0.05, 0.3)
	e := examine(t, l).Encoding
	require.Equal(t, int64(131070), e.Range)
	require.InEpsilon(t, 131070.0/8, e.Scale, 1e-12)
	require.Equal(t, 23, e.WordBits)
	require.Equal(t, int64(32), e.MaxClients)
	require.InEpsilon(t, 20.0/32, e.BudgetUsed, 1e-12)
	require.Equal(t, 1004, e.Words)
	require.Equal(t, 4, e.Extras)
	require.False(t, e.Clamps)
	require.InEpsilon(t, 20*8*math.Sqrt(1000), e.CorruptNorm, 1e-6)

	l.Encoding.Scale = 2 * e.Scale
	f := examine(t, l)
	require.True(t, f.Encoding.Clamps)
	require.Contains(t, strings.Join(f.Warnings, "\n"), "encoding.scale")
}

func TestMemoryDoesNotGrowWithTheCohortButForMessages(t *testing.T) {
	few, many := examine(t, literal(pairwise.Name, 20, 0.05, 0.3)).Memory, examine(t, literal(pairwise.Name, 80, 0.05, 0.3)).Memory
	require.Equal(t, few.Vectors, many.Vectors)
	require.Greater(t, many.Messages, 4*few.Messages)
	l := literal(pairwise.Name, 20, 0.05, 0.3)
	l.Optimizer.Name = "fedadam"
	require.Equal(t, few.Vectors+16*1000, examine(t, l).Memory.Vectors, "two moments of 8 bytes")
}

// parties are those that every report must speak of.
var parties = []string{"the coordinator alone", "the coordinator with", "one client", "somebody on the network", "an auditor"}

func TestReportSpeaksOfEveryPartyAndStatesNoEpsilon(t *testing.T) {
	for name, l := range map[string]plan.Literal{
		"plain": literal(plain.Name, 20, 0.05, 0.3), "pairwise": literal(pairwise.Name, 20, 0.05, 0.3), "oneshot": literal(oneshot.Name, 20, 0.05, 0.3),
		"plain, buckets": divided(plain.Name, 40, 0.05, 0.3, 10, 5, false), "pairwise, buckets": divided(pairwise.Name, 40, 0.025, 0.2, 20, 16, false),
		"oneshot, buckets": divided(oneshot.Name, 100, 0.02, 0.3, 20, 12, false), "oneshot, fallback": divided(oneshot.Name, 100, 0.02, 0.3, 20, 12, true),
	} {
		t.Run(name, func(t *testing.T) {
			p := check(t, l)
			f, err := Examine(p)
			require.NoError(t, err)
			for _, party := range parties {
				require.True(t, slices.ContainsFunc(f.Knowledge, func(k Knowledge) bool { return strings.HasPrefix(k.Party, party) && len(k.Learns) > 0 }), party)
			}
			var text, prose bytes.Buffer
			require.NoError(t, f.WriteText(&text))
			require.NoError(t, f.WriteProse(&prose, p))
			words := strings.Join(strings.Fields(text.String()), " ")
			require.Equal(t, 2, strings.Count(words, "none stated"))
			require.Contains(t, words, "membership inference")
			require.Contains(t, words, "exact")
			require.Contains(t, strings.Join(strings.Fields(prose.String()), " "), "No epsilon is stated")
			for _, line := range strings.Split(prose.String(), "\n") {
				require.LessOrEqual(t, len(line), 84)
			}
			require.LessOrEqual(t, strings.Count(prose.String(), "\n"), 66, "one page")

			doc, err := json.Marshal(Report{Schema: Schema, Accepted: true, Findings: f})
			require.NoError(t, err)
			require.Contains(t, string(doc), `"epsilon_released":null,"epsilon_coordinator":null,"delta":null`)
		})
	}
}

func TestKnowledgeNamesTheNumbersOfThePlan(t *testing.T) {
	f := examine(t, literal(pairwise.Name, 40, 0.05, 0.3))
	byParty := func(prefix string) string {
		for _, k := range f.Knowledge {
			if strings.HasPrefix(k.Party, prefix) {
				return k.Party + "\n" + strings.Join(append(k.Learns, k.Not...), "\n")
			}
		}
		return ""
	}
	alone := byParty("the coordinator alone")
	require.Contains(t, alone, "over at least 20 clients")
	require.Contains(t, alone, "subtracting their sums")
	require.Contains(t, byParty("the coordinator with up to 2 corrupt clients of 40"), fmt.Sprintf("at least %d", f.Graph.Honest))
	require.Contains(t, byParty("the coordinator with more than 2 corrupt clients"), "nothing is promised")
	require.Contains(t, byParty(fmt.Sprintf("up to %d clients together", f.Graph.Threshold-1)), "too few shares")

	f = examine(t, literal(pairwise.Name, 40, 0, 0.3))
	require.Empty(t, byParty("the coordinator with up to"))
	require.Contains(t, strings.Join(f.Warnings, "\n"), "scheme.corrupt is 0")
}

func TestKnowledgeOfACommitteeNamesItsNumbers(t *testing.T) {
	f := examine(t, divided(oneshot.Name, 100, 0.02, 0.3, 20, 12, false))
	all := ""
	for _, k := range f.Knowledge {
		all += k.Party + "\n" + strings.Join(append(k.Learns, k.Not...), "\n") + "\n"
	}
	for _, want := range []string{
		"the coordinator alone, or with up to 1 of the 5 committee members", "each of 5 buckets, over at least 12 clients, and who is in which",
		"the coordinator with up to 1 member and up to 2 corrupt clients of 100", "at least 10 in each, but for a chance of 2^-40",
		"the coordinator with more than 2 corrupt clients", "the coordinator with more than 1 committee member", "2 shares rebuild a client's secret",
		"up to 1 committee member, without", "more than 1 committee member, without",
	} {
		require.Contains(t, all, want)
	}
	require.Contains(t, f.Sees(), "with one more it learns every single update")

	f = examine(t, divided(oneshot.Name, 100, 0.02, 0.3, 20, 12, true))
	require.Contains(t, f.Knowledge[0].Learns[1], "one sum for each attempt, over at least 50 clients; after a spoiled sum")
	require.Equal(t, 1, f.sums())
	require.Empty(t, strings.Join(examine(t, literal(oneshot.Name, 100, 0, 0.3)).Knowledge[1].Not, ""), "nobody is corrupt: the next party is told of")
}

func TestPlainIsSaidToProtectNothing(t *testing.T) {
	f := examine(t, literal(plain.Name, 20, 0, 0.3))
	require.Contains(t, f.Knowledge[0].Learns[1], "every single client")
	require.Empty(t, f.Knowledge[0].Not)
	require.Contains(t, f.Sees(), "every single client")
	require.Contains(t, f.Warnings[0], "plain")
	require.Nil(t, f.Graph)
}

func TestCoalitionsCertaintyDependsOnTheGraph(t *testing.T) {
	sparse := examine(t, literal(pairwise.Name, 200, 0.05, 0.05))
	require.False(t, sparse.Graph.Complete)
	require.Contains(t, sparse.Knowledge[1].Not[0], "2^-40")
	complete := examine(t, literal(pairwise.Name, 100, 0.05, 0.05))
	require.NotContains(t, complete.Knowledge[1].Not[0], "2^-40")
}

// renamed is a scheme that this package has not heard of.
type renamed struct{ plain.Scheme }

func (renamed) Name() string { return "novel" }

func TestSchemeThatIsNotKnownIsRefused(t *testing.T) {
	p, err := literal("novel", 20, 0, 0.3).Check(renamed{})
	require.NoError(t, err)
	_, err = Examine(p)
	require.ErrorIs(t, err, ErrScheme)
}

func TestTimeFollowsTheCounts(t *testing.T) {
	f := examine(t, literal(pairwise.Name, 40, 0.05, 0.3))
	u := f.Time.UnitCosts
	require.InEpsilon(t, 1004*(u.EncodeNanos+u.PackNanos+40*u.MaskNanos)/1e6, f.Time.ClientVectorMS, 1e-9)
	require.Greater(t, *f.Time.OpenDropoutsMS, f.Time.OpenMS)
	require.InEpsilon(t, 40*f.Time.UploadMS+f.Time.OpenMS, f.Time.AttemptMS, 1e-9)
	require.Nil(t, examine(t, literal(pairwise.Name, 40, 0.05, 0)).Time.OpenDropoutsMS)
}

func TestWrapKeepsWordsAndWidth(t *testing.T) {
	require.Equal(t, "> a bb\n. ccc\n. dddddddddd\n. e\n", Wrap("a bb ccc dddddddddd e", "> ", ". ", 7))
	require.Equal(t, ">\n", Wrap("", "> ", ". ", 7))
}
