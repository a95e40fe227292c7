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
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/secagg/secaggtest"
)

// literal is a plan of n clients for a model of 1000 parameters.
func literal(scheme string, n int, corrupt, dropout float64) plan.Literal {
	l := plan.Demonstration()
	l.Scheme.Name, l.Scheme.Corrupt, l.Scheme.Dropout = scheme, corrupt, dropout
	l.Cohort = plan.Cohort{Size: n, Minimum: n / 2}
	l.Encoding = plan.Encoding{ClipNorm: 8, Bits: 18}
	l.Model.Tensors = []plan.Tensor{{Name: "weights", Shape: []int{100, 10}}}
	return l
}

func check(t *testing.T, l plan.Literal) plan.Plan {
	t.Helper()
	p, err := l.Check(plain.Scheme{}, pairwise.Scheme{})
	require.NoError(t, err)
	return p
}

func examine(t *testing.T, l plan.Literal) *Findings {
	t.Helper()
	f, err := Examine(check(t, l))
	require.NoError(t, err)
	return f
}

// TestBytesAreThoseOfARealAttempt drives all parties of an attempt and compares
// what each phase takes with what was foretold.
func TestBytesAreThoseOfARealAttempt(t *testing.T) {
	for name, c := range map[string]struct {
		scheme    secaggtest.Scheme
		n         int
		corrupt   float64
		dropout   float64
		tolerance float64 // of messages; uploads are exact
	}{
		"plain":          {plain.Scheme{}, 20, 0.05, 0.3, 0},
		"complete graph": {pairwise.Scheme{}, 40, 0.05, 0.3, 0.002},
		"complete, odd":  {pairwise.Scheme{}, 17, 0, 0.2, 0.005},
		"sparse graph":   {pairwise.Scheme{}, 160, 0.05, 0.05, 0.02},
	} {
		t.Run(name, func(t *testing.T) {
			p := check(t, literal(c.scheme.Name(), c.n, c.corrupt, c.dropout))
			f, err := Examine(p)
			require.NoError(t, err)
			require.Equal(t, c.n >= 150, f.Graph != nil && !f.Graph.Complete)

			cohort := secaggtest.NewCohort(t, c.n, 1)
			task := secagg.Task{Round: secagg.RoundID{Job: p.Job(), Round: uint32(p.Rounds()), Attempt: 1}, Terms: p.Terms(), Rest: p.Rest()}
			session, err := task.Session(cohort.Roster)
			require.NoError(t, err)
			a := secaggtest.NewAttempt(t, c.scheme, session, cohort, 1)
			up, down, asked := map[string]int{}, map[string]int{}, map[string]int{}
			first := a.Control.Phase().Name
			a.Instruction = func(phase secagg.Phase, _ int, body []byte) []byte {
				env := secagg.Envelope{Round: task.Round, Step: 1, Body: body}
				if phase.Name == first {
					env.Roster = cohort.Roster.Encode()
				}
				down[phase.Name] += len(env.Encode())
				asked[phase.Name]++
				return body
			}
			a.Message = func(phase secagg.Phase, _ int, body []byte) []byte {
				up[phase.Name] += len(body)
				return body
			}
			a.Upload = func(_ int, sealed []byte) []byte {
				up["upload"] += len(sealed)
				require.EqualValues(t, len(sealed), f.Bytes.Upload)
				return sealed
			}
			require.NoError(t, a.RunTo(secagg.PhaseOpen))

			compared := 0
			for _, phase := range f.Bytes.Phases {
				n := asked[phase.Name]
				if n == 0 {
					continue
				}
				compared++
				// The names of the test's clients are shorter than was counted.
				names := 0.0
				if phase.Name == first {
					names = float64(c.n * (nameSize - len("client-00000")))
				}
				require.InDelta(t, float64(phase.Up), float64(up[phase.Name])/float64(n), c.tolerance*float64(phase.Up)+2, "up, %s", phase.Name)
				require.InDelta(t, float64(phase.Down)-names, float64(down[phase.Name])/float64(n), c.tolerance*float64(phase.Down)+2, "down, %s", phase.Name)
			}
			require.Len(t, asked, compared)
			var sumUp, sumDown int64
			for _, phase := range f.Bytes.Phases {
				sumUp, sumDown = sumUp+phase.Up, sumDown+phase.Down
			}
			require.Equal(t, f.Bytes.Up, sumUp)
			require.Equal(t, f.Bytes.Down, sumDown)
		})
	}
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
	for _, scheme := range []string{plain.Name, pairwise.Name} {
		t.Run(scheme, func(t *testing.T) {
			p := check(t, literal(scheme, 20, 0.05, 0.3))
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
			require.Less(t, strings.Count(prose.String(), "\n"), 66, "one page")

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
