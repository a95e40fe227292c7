package report

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/sim"
)

func pointer(v float64) *float64 { return &v }

// privatePage is a page of n rounds with an epsilon.
func privatePage(n int) Page {
	p := testPage(n)
	p.Result.Config.DPMode = "distributed"
	f := &p.Result.Final
	f.Delta, f.EpsilonReleased, f.EpsilonCoordinator = pointer(1e-5), pointer(2.34501), pointer(31.2)
	for i := range p.Result.Rounds {
		r := &p.Result.Rounds[i]
		r.EpsilonReleased, r.EpsilonCoordinator, r.ClipNorm = pointer(float64(i+1)/10), pointer(float64(i+1)), pointer(0.75)
	}
	return p
}

func TestBothEpsilonsStandInTheHeadWithTheirMeaning(t *testing.T) {
	page := render(t, privatePage(5))
	for _, part := range []string{
		"<b>2.346</b><span class=\"soft\">epsilon of released models, delta 1e-05</span>", "<b>31.2</b><span class=\"soft\">epsilon against who sees rosters</span>",
		"<b>epsilon, who sees released models: 2.346 at delta 1e-05.</b>", "at most 10.44 times as likely with a client&#39;s data as without",
		"<b>epsilon, who sees a roster: 31.2 at delta 1e-05.</b>", "no protection in practice",
		"<th>epsilon, models</th><th>epsilon, rosters</th><th>clip norm</th>", "<td>0.2</td><td>2</td><td>0.75</td>",
	} {
		require.Contains(t, page, part)
	}
	bare := render(t, testPage(5))
	require.Equal(t, 2, strings.Count(bare, ": none stated.</b>"))
	require.Contains(t, bare, "mode none adds no noise")
	require.NotContains(t, bare, "<th>epsilon, models</th>")
	require.NotContains(t, bare, "epsilon of released models")
}

func TestAccuracyIsDrawnAgainstEpsilon(t *testing.T) {
	found := drawings(t, render(t, privatePage(10)))
	require.Len(t, found, 8)
	trade := found[7]
	require.Equal(t, "Accuracy against epsilon by epsilon, who sees released models", trade.Label)
	at := func(v string) float64 {
		x, err := strconv.ParseFloat(v, 64)
		require.NoError(t, err)
		return x
	}
	require.Len(t, trade.Groups, 10)
	last := 0.0
	for i, g := range trade.Groups {
		if i%5 == 3 {
			require.Len(t, g.Crosses, 1, "a failed attempt has no accuracy")
			continue
		}
		require.Len(t, g.Circles, 1)
		require.Greater(t, at(g.Circles[0].X), last)
		last = at(g.Circles[0].X)
	}
	require.Contains(t, trade.Groups[4].Title, "round 5, epsilon 0.5, test accuracy 0.66")
	// The mark of epsilon 1 is at the place of the label "1".
	for _, text := range trade.Texts {
		if text.Text == "1" {
			require.Equal(t, text.X, trade.Groups[9].Circles[0].X)
			return
		}
	}
	require.Fail(t, "no label 1")
}

func TestStatementsSayWhyThereIsNoEpsilon(t *testing.T) {
	var r sim.Result
	for name, c := range map[string]struct {
		mode             string
		delta            *float64
		released, roster *float64
		rounds           int
		says             [2]string
	}{
		"none":        {"none", nil, nil, nil, 3, [2]string{"adds no noise", "exact sums were opened"}},
		"central":     {"central", pointer(1e-5), pointer(1), nil, 3, [2]string{"2.719 times", "saw exact sums, and is trusted"}},
		"plain":       {"distributed", pointer(1e-5), pointer(1), nil, 3, [2]string{"2.719 times", "single vectors and is trusted"}},
		"no bound":    {"distributed", pointer(1e-5), nil, nil, 3, [2]string{"no finite bound", "no finite bound"}},
		"not charged": {"distributed", pointer(1e-5), nil, nil, 0, [2]string{"nothing was charged", "nothing was charged"}},
	} {
		r.Config.DPMode, r.Final.Delta, r.Final.EpsilonReleased, r.Final.EpsilonCoordinator = c.mode, c.delta, c.released, c.roster
		r.Rounds = make([]sim.Round, c.rounds)
		said := Statements(r)
		require.Len(t, said, 2)
		for i := range said {
			require.Contains(t, said[i].Meaning, c.says[i], name)
		}
		require.Equal(t, c.roster == nil, said[1].Value == "none stated", name)
	}
}
