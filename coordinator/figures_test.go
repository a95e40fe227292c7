package coordinator

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/internal/parallel"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

func vectorsOf(rows ...[]float64) (out []opened) {
	for i, r := range rows {
		out = append(out, opened{source{bucket: i, clients: 1}, r})
	}
	return out
}

func coins() *field.Stream { return field.NewStream([32]byte{7}) }

func TestLargestEigenvaluesShareIsThatOfTheVariance(t *testing.T) {
	each := parallel.Workers(2)
	// Variances 9 and 4 along two axes: squares about the mean add up to 18 and 8.
	top := likeness(vectorsOf([]float64{8, 1}, []float64{2, 1}, []float64{5, 3}, []float64{5, -1}), 0, coins(), each).top
	require.InDelta(t, 18./26, *top, 1e-9)
	top = likeness(vectorsOf([]float64{1, 1}, []float64{2, 2}, []float64{4, 4}), 0, coins(), each).top
	require.InDelta(t, 1, *top, 1e-9)
	equal := likeness(vectorsOf([]float64{1, 1}, []float64{1, 1}, []float64{1, 1}), 0, coins(), each)
	require.Nil(t, equal.top, "there is no variance")
	require.Equal(t, [][]int{{0, 1, 2}}, equal.groups)
	top = likeness(vectorsOf([]float64{1, 2}, []float64{2, 1}), 0, coins(), each).top
	require.Nil(t, top, "of two, all of it lies in one direction")
	require.Zero(t, likeness(vectorsOf([]float64{1, 2}), 0, coins(), each))
}

func TestNearlyEqualVectorsAreGroupedTheLargestGroupFirst(t *testing.T) {
	a, b := []float64{1, 0, 0}, []float64{0, 1, 0}
	groups := likeness(vectorsOf(a, b, []float64{0.999, 0.001, 0}, []float64{0, 1.001, 0}, []float64{0, 0, 1}, []float64{0, 1.005, 0}, []float64{-1, 0, 0}), 0, coins(), parallel.Workers(2)).groups
	require.Equal(t, [][]int{{1, 3, 5}, {0, 2}}, groups)
	groups = likeness(vectorsOf(a, []float64{1.011, 0, 0}, b, []float64{0.02, 1, 0}), 0, coins(), parallel.Workers(1)).groups
	require.Empty(t, groups, "a hundredth of the longer one is the limit")
}

// In a large model secret coordinates stand for all: the same for the same coins.
func TestLikenessOfLargeVectorsIsThatOfASample(t *testing.T) {
	rows := vectorsOf([]float64{1, 2, 3, 4, 5}, []float64{5, 4, 3, 2, 1})
	sample := func() []float64 { return centred(rows, 3, coins(), parallel.Workers(1))[0].values }
	require.Len(t, sample(), 3)
	require.Equal(t, sample(), sample())
	all := centred(rows, 5, coins(), parallel.Workers(1))
	require.Equal(t, []float64{-2, -1, 0, 1, 2}, all[0].values)
	require.Equal(t, 55., all[0].squared)
	require.Equal(t, []float64{1, 2, 3, 4, 5}, rows[0].mean, "the vectors are left as they are")
	many := make([]opened, mostCompared+1)
	require.Zero(t, likeness(many, 0, coins(), nil))
}

func TestKrumScoresAreSumsOfTheNearestSquaredDistances(t *testing.T) {
	// On a line at 0, 1, 3, 7 and 20: with f 1 the two nearest others count.
	line := vectorsOf([]float64{0, 0}, []float64{1, 0}, []float64{3, 0}, []float64{7, 0}, []float64{20, 0})
	got := likeness(line, 1, coins(), parallel.Workers(2))
	for i, want := range []float64{1 + 9, 1 + 4, 4 + 9, 16 + 36, 169 + 289} {
		require.InDelta(t, want, got.scores[i], 1e-9, "%d", i)
	}
	for i, want := range []int{2, 1, 3, 4, 5} {
		require.Equal(t, want, got.rank(i), "%d", i)
	}
	require.Nil(t, likeness(line[:3], 1, coins(), parallel.Workers(1)).scores, "n - f - 2 is nobody")
	require.Len(t, likeness(line[:4], 1, coins(), parallel.Workers(1)).scores, 4)
	ties := likeness(vectorsOf([]float64{0, 0}, []float64{2, 0}, []float64{2, 2}, []float64{0, 2}, []float64{11, 11}), 1, coins(), parallel.Workers(1))
	require.Equal(t, []int{1, 1, 1, 1, 5}, []int{ties.rank(0), ties.rank(1), ties.rank(2), ties.rank(3), ties.rank(4)})
	require.Equal(t, []float64{20, 20}, krumScores([][]float64{{5, 0}, {0, 5}}, 1, 2), "a sample stands for all")
	require.Equal(t, []float64{0, 0}, krumScores([][]float64{{1, 1 + 1e-15}, {1 + 1e-15, 1}}, 1, 1), "no square is below zero")
}

func TestQuartilesOfNormsAreInterpolated(t *testing.T) {
	require.Equal(t, []float64{1, 1.75, 2.5, 3.25, 4}, quartiles([]float64{4, 1, 3, 2}))
	require.Equal(t, []float64{0, 1, 2, 3, 9}, quartiles([]float64{9, 3, 2, 1, 0}))
	require.Equal(t, []float64{5, 5, 5, 5, 5}, quartiles([]float64{5}))
	require.Equal(t, []float64{1, 1.5, 2, 2.5, 3}, quartiles([]float64{3, 1}))
}

func TestFiguresThatAreNoNumbersAreNotWritten(t *testing.T) {
	require.Nil(t, cosine([]float64{0, 0}, []float64{1, 1}))
	require.Nil(t, cosine([]float64{1, 0}, []float64(nil)))
	require.Nil(t, figure(math.NaN()))
	require.Nil(t, figure(math.Inf(-1)))
	require.Equal(t, -1., *cosine([]float64{3, 4}, []float64{-6, -8}))
	require.Nil(t, topShare([][]float64{{math.Inf(1), 0}, {0, 1}}))
}

// The line of an attempt is in the head, which is small: however many vectors there were.
func TestHistoryKeepsTheVectorsThatStandOut(t *testing.T) {
	f := &Figures{View: "vectors", Rule: "multi-krum", Vectors: 5000}
	for i := range 5000 {
		ratio := 1 + float64(i%100)/1000
		f.Each = append(f.Each, Figure{Bucket: i, Client: secagg.PartyID("client-with-a-name-as-long-as-names-may-be-at-most-0123456789abc"), Clients: 1, NormRatio: &ratio, Cosine: &ratio, Weight: &ratio, Score: &ratio, Rank: 1 + i})
	}
	long := 9.
	f.Each[4000].NormRatio, f.Each[17].Excluded, f.Each[3000].Spoiled, f.Each[2500].Group = &long, true, true, 1
	short := f.Bounded()
	require.Len(t, short.Each, maxLines)
	require.Equal(t, 5000-maxLines, short.Omitted)
	kept := map[int]bool{}
	last := -1
	for _, line := range short.Each {
		kept[line.Bucket] = true
		require.Greater(t, line.Bucket, last)
		last = line.Bucket
	}
	for _, b := range []int{4000, 17, 3000, 2500} {
		require.True(t, kept[b], "%d", b)
	}
	require.Len(t, f.Each, 5000)
	require.Nil(t, (*Figures)(nil).Bounded())
	recall := make([]float64, maxClasses)
	for i := range recall {
		recall[i] = 0.12345678901234567
	}
	text, err := Report{Figures: f, Holdout: &Measurement{Recall: recall}}.line()
	require.NoError(t, err)
	h := fullHead()
	h.ended = text
	require.Less(t, len(h.encode()), store.MaxHead)
	back, err := decodeHead(h.encode())
	require.NoError(t, err)
	var e Ended
	require.NoError(t, json.Unmarshal([]byte(back.ended), &e))
	require.Equal(t, short, e.Figures)
}

func TestAVectorThatIsNotFiniteIsNamed(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), -1e151} {
		v := opened{source{bucket: 3}, []float64{1, bad}}
		require.ErrorIs(t, v.checkFinite(), ErrVector)
		require.ErrorContains(t, v.checkFinite(), "bucket 3")
		v.client = "ann"
		require.ErrorContains(t, v.checkFinite(), "client ann")
		_, err := (&Engine{}).apply(&result{}, []opened{v}, secagg.Session{}, head{})
		require.ErrorIs(t, err, ErrVector)
	}
}

func TestEachViewSaysWhatItKeepsFromTheCoordinator(t *testing.T) {
	require.Contains(t, Unseen(secagg.ViewSum), "Attributing poison is unavailable in this mode.")
	require.Contains(t, Unseen(secagg.ViewBucketMeans), "names nobody in it")
	require.Contains(t, Unseen(secagg.ViewVectors), "honest data is not")
}

// alerting is an engine under such a plan.
func alerting(t *testing.T, change func(*plan.Literal)) *Engine {
	t.Helper()
	return &Engine{cfg: Config{Plan: vectorPlan(t, change)}}
}

func TestAlertsBeginBeyondTheirThresholds(t *testing.T) {
	number := func(x float64) *float64 { return &x }
	recall := func(r ...float64) *Measurement {
		m := Measurement{Recall: r}
		for _, x := range r {
			m.Accuracy += x / float64(len(r))
		}
		return &m
	}
	none := func(*plan.Literal) {}
	for name, c := range map[string]struct {
		plan    func(*plan.Literal)
		p       result
		opposed int
		want    string
	}{
		"cosine of zero":      {none, result{figures: &Figures{Cosine: number(0)}}, 2, ""},
		"one turn":            {none, result{figures: &Figures{Cosine: number(-0.1)}}, 1, ""},
		"two turns":           {none, result{figures: &Figures{Cosine: number(-0.1)}}, 2, AlertCosine},
		"less than two turns": {func(l *plan.Literal) { l.Screening.Alerts.Cosine = 0.5 }, result{figures: &Figures{Cosine: number(0.4)}}, 2, AlertCosine},
		"f of n left out":     {none, result{figures: &Figures{Vectors: 10, Excluded: 0.1}}, 0, ""},
		"more left out":       {none, result{figures: &Figures{Vectors: 10, Excluded: 0.2}}, 0, AlertExcluded},
		"as many as may be":   {func(l *plan.Literal) { l.Screening.Alerts.Excluded = 0.2 }, result{figures: &Figures{Vectors: 10, Excluded: 0.2}}, 0, ""},
		"krum picks one":      {func(l *plan.Literal) { l.Aggregation.Rule = "krum" }, result{figures: &Figures{Vectors: 10, Excluded: 0.9}}, 0, ""},
		"krum, if asked for": {func(l *plan.Literal) { l.Aggregation.Rule, l.Screening.Alerts.Excluded = "krum", 0.5 },
			result{figures: &Figures{Vectors: 10, Excluded: 0.9}}, 0, AlertExcluded},
		"thrice the median": {none, result{figures: &Figures{Vectors: 10, Each: []Figure{{NormRatio: number(3)}}}}, 0, ""},
		"longer":            {none, result{figures: &Figures{Vectors: 10, Each: []Figure{{NormRatio: number(3.1)}}}}, 0, AlertNormRatio},
		"two alike":         {none, result{figures: &Figures{Vectors: 10, Duplicates: 2, Each: []Figure{{Group: 1}}}}, 0, ""},
		"three alike":       {none, result{figures: &Figures{Vectors: 10, Duplicates: 3, Each: []Figure{{}, {Group: 1}}}}, 0, AlertDuplicates},
		"as many alike": {func(l *plan.Literal) { l.Screening.Alerts.Duplicates = 3 },
			result{figures: &Figures{Vectors: 10, Duplicates: 3, Each: []Figure{{Group: 1}}}}, 0, ""},
		"a class forgotten":  {none, result{before: recall(1, 1, 1, 1), measured: recall(1, 0.8, 1, 1)}, 0, AlertRecallDrop},
		"a class worse":      {none, result{before: recall(1, 1, 1, 1), measured: recall(1, 0.91, 1, 1)}, 0, ""},
		"all classes worse":  {none, result{before: recall(1, 1, 1, 1), measured: recall(0.8, 0.8, 0.8, 0.8)}, 0, ""},
		"worse, if asked so": {func(l *plan.Literal) { l.Screening.Alerts.RecallDrop = 0.05 }, result{before: recall(1, 1), measured: recall(1, 0.92)}, 0, AlertRecallDrop},
	} {
		t.Run(name, func(t *testing.T) {
			out := alerting(t, c.plan).alerts(&c.p, c.opposed)
			if c.want == "" {
				require.Empty(t, out)
				return
			}
			require.Len(t, out, 1)
			require.Equal(t, c.want, out[0].Name)
			require.NotEqual(t, out[0].Value, out[0].Threshold)
		})
	}
}

func TestReputationsSurviveTheirEncoding(t *testing.T) {
	for _, b := range [][]byte{{1, 1, 2}, {2, 1, 1}, {1, 1, 1, 3, 1, 1}} {
		require.Error(t, decodeReputation(b, map[secagg.PartyID]Reputation{}), "%x", b)
	}
}

func TestCoinsOfARuleAreThoseOfOneAttempt(t *testing.T) {
	h, id := fullHead(), secagg.RoundID{Job: "job", Round: 2, Attempt: 1}
	draw := func(h head, id secagg.RoundID, what string) (b [16]byte) {
		_, err := ruleCoins(h, id, what).Read(b[:])
		require.NoError(t, err)
		return b
	}
	first := draw(h, id, "rule")
	require.Equal(t, first, draw(h, id, "rule"), "the same again after a crash")
	again, later, other := id, id, h
	again.Attempt, later.Round, other.seed = 2, 3, secagg.Hash("another secret")
	for name, b := range map[string][16]byte{"attempt": draw(h, again, "rule"), "round": draw(h, later, "rule"), "secret": draw(other, id, "rule"), "use": draw(h, id, "figures")} {
		require.NotEqual(t, first, b, "another %s", name)
	}
}
