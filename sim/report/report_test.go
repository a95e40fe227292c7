package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/sim"
)

// testPage has n rounds, of which every fifth is an attempt that failed.
func testPage(n int) Page {
	var r sim.Result
	r.Config = sim.Settings{Scheme: "pairwise", Rule: "mean", DPMode: "none", Clients: 100, Cohort: 20, Rounds: n, Fidelity: sim.Full,
		Model: "mlp", Dataset: "fashion", Parameters: 1000}
	for i := range n {
		accuracy, loss := 0.5+0.4*float64(i)/float64(n), 2/float64(i+1)
		one := sim.Round{Round: i + 1, Attempt: 1, Invited: 20, Admitted: 19, Survivors: 17, Dropped: 2, Outcome: sim.Released,
			TestAccuracy: &accuracy, TestLoss: &loss, BytesUp: 400_000, BytesDown: 700_000, WallMS: 1200, VirtualSeconds: 90}
		if i%5 == 3 {
			one.Outcome, one.Reason, one.TestAccuracy, one.TestLoss = sim.Failed, "too few survivors", nil, nil
		}
		r.Rounds = append(r.Rounds, one)
	}
	return Page{Job: "test", Result: r, Sees: "The coordinator sees one sum.", Settings: []Setting{{"clip norm", "8"}}}
}

func render(t *testing.T, p Page) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, p.WriteHTML(&b))
	return b.String()
}

// drawing is what a test looks at in a plot.
type drawing struct {
	ViewBox string `xml:"viewBox,attr"`
	Label   string `xml:"aria-label,attr"`
	Groups  []struct {
		Class   string `xml:"class,attr"`
		Title   string `xml:"title"`
		Circles []struct {
			X string `xml:"cx,attr"`
			Y string `xml:"cy,attr"`
		} `xml:"circle"`
		Bars []struct {
			X      string `xml:"x,attr"`
			Y      string `xml:"y,attr"`
			Width  string `xml:"width,attr"`
			Height string `xml:"height,attr"`
		} `xml:"rect"`
		Crosses []struct{} `xml:"path"`
	} `xml:"g"`
	Texts []struct {
		X    string `xml:"x,attr"`
		Y    string `xml:"y,attr"`
		Text string `xml:",chardata"`
	} `xml:"text"`
	Lines []struct {
		Points string `xml:"points,attr"`
	} `xml:"polyline"`
}

// drawings parses every plot of a page as XML.
func drawings(t *testing.T, page string) []drawing {
	t.Helper()
	var out []drawing
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1) {
		var d drawing
		require.NoError(t, xml.Unmarshal([]byte(svg), &d))
		out = append(out, d)
	}
	return out
}

func TestPageNeedsNothingBesideItself(t *testing.T) {
	page := render(t, testPage(12))
	for _, outside := range []string{"http:", "https:", "//", "src=", "href=", "url(", "@import", "<script", "<link", "<img", "<iframe", "<object", "onload", "srcset"} {
		require.NotContains(t, strings.ToLower(page), outside)
	}
	require.Contains(t, page, `content="default-src 'none'; style-src 'unsafe-inline'"`)
	require.Contains(t, page, "@media (prefers-color-scheme: dark)")
}

func TestEachPlotHoldsOneMarkForEachAttempt(t *testing.T) {
	for _, n := range []int{0, 1, 2, 12, 400} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			found := drawings(t, render(t, testPage(n)))
			require.Len(t, found, 6)
			for _, d := range found {
				marks := 0
				for _, g := range d.Groups {
					if g.Class == "mark" {
						require.Contains(t, g.Title, fmt.Sprintf("round %d,", marks+1), d.Label)
						require.NotZero(t, len(g.Circles)+len(g.Bars)+len(g.Crosses), d.Label)
						marks++
					}
				}
				require.Equal(t, n, marks, d.Label)
			}
		})
	}
}

func TestEverythingDrawnLiesInsideItsPlot(t *testing.T) {
	inside := func(v string, most float64) {
		x, err := strconv.ParseFloat(v, 64)
		require.NoError(t, err)
		require.True(t, x >= 0 && x <= most, v)
	}
	for _, d := range drawings(t, render(t, testPage(57))) {
		require.Equal(t, "0 0 520 250", d.ViewBox)
		for _, g := range d.Groups {
			for _, c := range g.Circles {
				inside(c.X, 520)
				inside(c.Y, 250)
			}
			for _, b := range g.Bars {
				inside(b.X, 520)
				inside(b.Y, 250)
				inside(b.Width, 520)
				inside(b.Height, 250)
			}
		}
		for _, text := range d.Texts {
			inside(text.X, 520)
			inside(text.Y, 250)
		}
		require.NotEmpty(t, d.Texts)
	}
}

func TestHigherValuesAreDrawnHigherOnTheAxisThatIsLabelled(t *testing.T) {
	accuracy := drawings(t, render(t, testPage(3)))[0]
	first, last := accuracy.Groups[0].Circles[0], accuracy.Groups[2].Circles[0]
	at := func(v string) float64 {
		x, err := strconv.ParseFloat(v, 64)
		require.NoError(t, err)
		return x
	}
	require.Less(t, at(last.Y), at(first.Y))
	require.Less(t, at(first.X), at(last.X))
	// The value 0.5 is drawn at the height of the label "0.5".
	for _, text := range accuracy.Texts {
		if text.Text == "0.5" {
			require.Equal(t, text.Y, first.Y)
			return
		}
	}
	require.Fail(t, "no label 0.5")
}

func TestAttemptThatFailedBreaksTheLineAndIsMarked(t *testing.T) {
	found := drawings(t, render(t, testPage(7)))
	accuracy := found[0]
	require.Len(t, accuracy.Lines, 2, "rounds 1 to 3 and 5 to 7")
	require.Len(t, accuracy.Groups[3].Crosses, 1)
	require.Contains(t, accuracy.Groups[3].Title, "round 4, failed: too few survivors")
	require.Len(t, found[2].Groups[3].Bars, 3, "its clients are shown")
}

func TestValuesFromOutsideAreEscaped(t *testing.T) {
	const evil = `"><script>alert(1)</script>&`
	p := testPage(4)
	p.Job, p.Sees, p.Settings = evil, evil, []Setting{{evil, evil}}
	c := &p.Result.Config
	c.Scheme, c.Model, c.Dataset, c.Rule, c.DPMode = evil, evil, evil, evil, evil
	p.Result.Final.ModelDigest = evil
	p.Result.Rounds[3].Reason, p.Result.Rounds[3].Outcome = evil, evil
	page := render(t, p)
	require.NotContains(t, page, "<script")
	require.NotContains(t, page, `"><`+"s")
	require.GreaterOrEqual(t, strings.Count(page, "&lt;script&gt;alert(1)&lt;/script&gt;&amp;"), 10)
	drawings(t, page) // still well-formed
}

func TestPageIsAFunctionOfItsInput(t *testing.T) {
	require.Equal(t, render(t, testPage(20)), render(t, testPage(20)))
}

func TestTableListsEveryAttemptWithItsReason(t *testing.T) {
	page := render(t, testPage(9))
	require.Equal(t, 9+1, strings.Count(page[strings.Index(page, `<table class="rounds">`):], "<tr>"))
	require.Equal(t, 2, strings.Count(page, `<td class="why">too few survivors</td>`))
	require.Contains(t, page, "<p>The coordinator sees one sum.</p>")
	require.Contains(t, page, "<tr><th scope=\"row\">clip norm</th><td>8</td></tr>")
	require.Contains(t, page, "<tr><th scope=\"row\">epsilon, who sees a roster</th><td>none stated</td></tr>")
}

func TestBucketsThatWereLeftOutAreShown(t *testing.T) {
	p := testPage(3)
	p.Result.Rounds[0].Buckets = 1
	p.Result.Rounds[1].Buckets, p.Result.Rounds[1].Short, p.Result.Rounds[1].Spoiled = 7, 2, 1
	page := render(t, p)
	require.Contains(t, page, "<td>7, 2 short, 1 spoiled</td>")
	found := drawings(t, page)
	require.Len(t, found, 7)
	require.Contains(t, found[6].Groups[1].Title, "buckets 7, short 2, spoiled 1")
	require.Equal(t, "3, 1 spoiled", Buckets(sim.Round{Buckets: 3, Spoiled: 1}))
	require.Equal(t, "1", Buckets(sim.Round{Buckets: 1}))
	p.Result.Rounds[1].Buckets = 1
	require.Len(t, drawings(t, render(t, p)), 6, "without buckets there is nothing to plot")
}

func TestPageSaysWhenNoCryptographyRan(t *testing.T) {
	p := testPage(1)
	p.Result.Config.Fidelity = sim.Fast
	require.Contains(t, render(t, p), "no cryptography ran")
}

func TestAxisHoldsAllValuesBetweenRoundNumbers(t *testing.T) {
	for name, values := range map[string][]float64{
		"constant": {3, 3}, "zero": {0, 0}, "negative": {-5, 5}, "tiny": {1e-9, 2e-9}, "huge": {1e12, 3e12}, "gaps": {math.NaN(), 4, math.Inf(1)}, "none": {math.NaN()},
		"close": {0.80001, 0.80002},
	} {
		t.Run(name, func(t *testing.T) {
			for _, fromZero := range []bool{false, true} {
				a := newAxis([]series{{values: values}}, fromZero, byteUnits)
				for _, v := range values {
					if !math.IsNaN(v) && !math.IsInf(v, 0) {
						require.LessOrEqual(t, a.lo, v+a.step*1e-6)
						require.GreaterOrEqual(t, a.hi, v-a.step*1e-6)
					}
				}
				require.True(t, len(a.ticks()) >= 2 && len(a.ticks()) <= 8, "%d ticks", len(a.ticks()))
				require.False(t, fromZero && a.lo > 0)
			}
		})
	}
}

func TestNiceStepIsOneTwoOrFive(t *testing.T) {
	for span, want := range map[float64]float64{1: 0.2, 0.9: 0.2, 5: 1, 7: 2, 24: 5, 26: 10, 1e6: 2e5} {
		require.InEpsilon(t, want, niceStep(span, 5), 1e-9, "span %v", span)
	}
}
