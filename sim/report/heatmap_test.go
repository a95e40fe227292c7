package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/matrix"
)

func some(v float64) *float64 { return &v }

// hostile is a name that would become markup if it were not escaped.
const hostile = `<script>alert("x")</script>&'`

// testHeatmap has a defence that holds and one without a number.
func testHeatmap() Heatmap {
	fine := matrix.Row{Defence: "fine", Entries: []matrix.Entry{
		{Attack: "none", Status: matrix.Done, Mean: some(0.8), Deviation: some(0.01)},
		{Attack: hostile, Status: matrix.Done, Mean: some(0.123), Deviation: some(0.02), AttackSuccess: some(0.5), RoundsFailed: 4}},
		Worst: &matrix.Worst{Attack: hostile, Mean: 0.123, Deviation: some(0.02)}, AttackFree: some(0.8), Drop: some(0.677)}
	bad := matrix.Row{Defence: hostile, Entries: []matrix.Entry{
		{Attack: "none", Status: matrix.Done, Mean: some(0.7)},
		{Attack: hostile, Status: matrix.Refused, Reason: "seed 1: " + hostile}}, AttackFree: some(0.7), Unknown: hostile}
	line := func(status string) matrix.Line { return matrix.Line{Outcome: matrix.Outcome{Status: status}} }
	return Heatmap{matrix.Report{Name: hostile, Dataset: hostile, Model: hostile, Scheme: hostile, Fidelity: sim.Fast, Clients: 25, Rounds: 60, Last: 5, Plan: hostile,
		Defences: []matrix.Defence{{Name: "fine", Rule: "median"}, {Name: hostile, Rule: hostile}}, Attacks: []string{"none", hostile}, Partitions: []string{hostile},
		Byzantine: []float64{0.2}, Seeds: []uint64{1, 2}, Builds: []string{"b1"}, Tables: []matrix.Table{{Partition: hostile, Byzantine: 0.2, Rows: []matrix.Row{fine, bad}}},
		Cells: []matrix.Line{line(matrix.Done), line(matrix.Done), line(matrix.Done), line(matrix.Refused)}}}
}

func renderHeatmap(t *testing.T, h Heatmap) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, h.WriteHTML(&b))
	return b.String()
}

var (
	void  = regexp.MustCompile(`<meta ([^>]*)>`)
	field = regexp.MustCompile(`<td class="([^"]*)" title="([^"]*)">([^<]*)(?:<small>([^<]*)</small>)?</td>`)
)

// elements parses a page as XML, in which every tag is closed, and returns its elements.
func elements(t *testing.T, page string) map[string]int {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(void.ReplaceAllString(page, "<meta $1/>")))
	seen := map[string]int{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return seen
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok {
			seen[e.Name.Local]++
		}
	}
}

func TestTheHeatmapIsWellFormedWhateverNamesAre(t *testing.T) {
	page := renderHeatmap(t, testHeatmap())
	seen := elements(t, page)
	require.Equal(t, 1, seen["html"])
	require.Zero(t, seen["script"])
	require.Equal(t, 3, seen["table"])
	require.NotContains(t, page, "<script")
	require.Contains(t, page, "&lt;script&gt;")
	require.NotContains(t, page, "ZgotmplZ", "a value was taken for an attack on the page")
}

func TestTheHeatmapNeedsNothingBesideItself(t *testing.T) {
	page := strings.ToLower(renderHeatmap(t, testHeatmap()))
	for _, outside := range []string{"http:", "https:", "//", "src=", "href=", "url(", "@import", "<link", "<img", "<iframe", "<object", "srcset"} {
		require.NotContains(t, strings.ReplaceAll(page, "&lt;/script", ""), outside)
	}
	require.Contains(t, page, `content="default-src 'none'; style-src 'unsafe-inline'"`)
}

func TestEachFieldShowsItsNumberOrWhyThereIsNone(t *testing.T) {
	page := renderHeatmap(t, testHeatmap())
	fields := field.FindAllStringSubmatch(page, -1)
	require.Len(t, fields, 10, "two rows of two attacks, WORST, attack-free and drop")
	text := func(i int) string { return strings.TrimSpace(fields[i][3] + " " + fields[i][4]) }
	require.Equal(t, "80.0 ± 1.0", text(0))
	require.Equal(t, "12.3 ± 2.0", text(1))
	require.Contains(t, fields[1][2], "attack succeeds in 50.0, 4 attempts failed")
	require.Contains(t, text(2), "12.3 ± 2.0 &lt;script")
	require.Equal(t, "80.0", text(3))
	require.Equal(t, "67.7 points", text(4))
	require.Equal(t, "70.0", text(5), "one seed has no deviation")
	require.Equal(t, "refused", text(6))
	require.Equal(t, "no", fields[6][1])
	require.Contains(t, text(7), "unknown")
	require.Equal(t, "70.0", text(8))
	require.Equal(t, "–", text(9))
	require.Regexp(t, `<li>[^<]*: refused: seed 1: [^<]*</li>`, page, "the reason stands on the page")
	require.Contains(t, page, "<b>1</b><span class=\"soft\">refused</span>")
}

func TestColourFollowsAccuracy(t *testing.T) {
	page := renderHeatmap(t, testHeatmap())
	fields := field.FindAllStringSubmatch(page, -1)
	require.Equal(t, "h32", fields[0][1])
	require.Equal(t, "h5", fields[1][1])
	all := colours()
	require.Len(t, all, shades+1)
	require.Equal(t, colour{"h0", "#440154", "#ffffff"}, all[0])
	require.Equal(t, colour{"h40", "#fde725", "#10151b"}, all[shades])
	for _, c := range all {
		require.Contains(t, page, "."+c.Class+" { background: "+string(c.Back)+"; color: "+string(c.Fore)+"; }")
	}
	require.Equal(t, "h0", class(-1))
	require.Equal(t, "h40", class(2))
}

func TestSeveralBuildsAreWarnedOf(t *testing.T) {
	h := testHeatmap()
	require.NotContains(t, renderHeatmap(t, h), "may not be comparable")
	h.Builds = []string{"b1", "b2"}
	require.Contains(t, renderHeatmap(t, h), "may not be comparable")
	require.Contains(t, renderHeatmap(t, h), "b1, b2")
}

func TestAMatrixWithoutAttacksOrNoneStillDraws(t *testing.T) {
	h := testHeatmap()
	h.Tables[0].Rows = []matrix.Row{{Defence: "d"}}
	fields := field.FindAllStringSubmatch(renderHeatmap(t, h), -1)
	require.Len(t, fields, 3)
	for _, f := range fields {
		require.Equal(t, "–", f[3])
	}
}

func TestHeatmapHasTheEpsilonsOfADefence(t *testing.T) {
	h := testHeatmap()
	require.NotContains(t, renderHeatmap(t, h), "epsilon:")
	h.Tables[0].Rows[0].EpsilonReleased = some(1.23456)
	require.Contains(t, renderHeatmap(t, h), `<small>epsilon: released models 1.235, rosters –</small>`)
}
