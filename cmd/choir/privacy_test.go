package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
)

// privacy runs a line of choir privacy.
func privacy(line string) outcome {
	root := &cobra.Command{Use: "choir", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(newPrivacyCommand())
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append([]string{"privacy"}, strings.Fields(line)...))
	if err := root.Execute(); err != nil {
		return outcome{exitCode(err), out.String(), err.Error()}
	}
	return outcome{0, out.String(), ""}
}

// answered runs a line and parses its document.
func answered(t *testing.T, line string) privacyDocument {
	t.Helper()
	o := privacy(line + " --json")
	require.Equal(t, 0, o.code, "%s: %s", line, o.errOut)
	dec := json.NewDecoder(strings.NewReader(o.out))
	dec.DisallowUnknownFields()
	var d privacyDocument
	require.NoError(t, dec.Decode(&d), o.out)
	require.Equal(t, "choir.privacy/1", d.Schema)
	require.Equal(t, "client", d.Unit)
	return d
}

func poissonLine(q, z float64, steps int, delta float64) string {
	return fmt.Sprintf("--mechanism gaussian --relation zero-out --sampling poisson --q %g --noise-multiplier %g --steps %d --delta %g", q, z, steps, delta)
}

// The rows are those of section 4 of the reference on differential privacy, whose
// sources are named there.
func TestEpsilonOfPoissonSamplingMatchesTheGoldenRows(t *testing.T) {
	t.Parallel()
	for _, g := range []struct {
		row                 string
		q, z                float64
		steps               int
		delta, fine, pld    float64
		rdp, order, rdpNear float64
	}{
		{"1", .01, 1, 1000, 1e-5, 1.82823668, 1.82824365, 2.10136527165, 7.8, 1e-9},
		{"7", .04, 1.5, 2250, 1e-5, 6.76878059, 6.76878738, 7.32911117143, 3.9, 1e-9},
		{"8", .0025, 1.3, 6000, 1e-5, 0, 0.64011093, 0.7242234026109595, 19, 6e-9},
		{"9", .001, 1, 30000, 1e-7, 0, 1.09819895, 1.4154988495444842, 13, 6e-9},
	} {
		t.Run("row "+g.row, func(t *testing.T) {
			d := answered(t, "epsilon --accountant pld --grid 1e-4 "+poissonLine(g.q, g.z, g.steps, g.delta))
			require.LessOrEqual(t, d.Epsilon, g.pld+1e-6)
			require.InDelta(t, g.pld, d.Epsilon, 5e-5)
			require.LessOrEqual(t, *d.EpsilonLower, d.Epsilon)
			if g.fine > 0 {
				require.GreaterOrEqual(t, d.Epsilon, g.fine-2e-5)
				require.LessOrEqual(t, *d.EpsilonLower, g.fine+1e-8)
			}
			require.Equal(t, 1e-4, *d.Grid)
			require.Nil(t, d.Order)
			require.Equal(t, g.delta, d.Delta)
			require.Equal(t, "pld", d.Accountant)
			require.Equal(t, "zero-out", d.Relation)

			refined := answered(t, "epsilon --accountant pld "+poissonLine(g.q, g.z, g.steps, g.delta))
			require.LessOrEqual(t, refined.Epsilon-*refined.EpsilonLower, 1e-3*refined.Epsilon)

			d = answered(t, "epsilon --accountant rdp "+poissonLine(g.q, g.z, g.steps, g.delta))
			require.InDelta(t, g.rdp, d.Epsilon, g.rdpNear)
			require.Equal(t, g.order, *d.Order)
			require.Nil(t, d.EpsilonLower)
			require.Nil(t, d.Grid)
		})
	}
}

func TestEpsilonOfOtherMechanismsMatchesTheGoldenRows(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]struct {
		line       string
		want, near float64
	}{
		"row 25": {"delta --accountant pld --epsilon 1 --mechanism gaussian --relation add-remove --sampling poisson --q .2 --noise-multiplier .5 --steps 3", .15594, 1e-3},
		"row 28": {"epsilon --accountant pld --grid 1e-4 --delta 1e-6 " +
			"--event mechanism=gaussian,relation=add-remove,sampling=poisson,q=.5,capacity=2,population=4,noise-multiplier=1,steps=3 " +
			"--event mechanism=gaussian,relation=add-remove,sampling=poisson,q=.5,capacity=2,population=3,noise-multiplier=1,steps=2", 17.904330, 1e-6},
		"row 31, add-remove":  {"epsilon --accountant pld --grid 1e-4 --delta 1e-5 --mechanism gaussian --relation add-remove --sampling poisson --q .01 --stddev 1 --clip 1 --steps 1000", 1.82824365, 1e-5},
		"row 31, replace-one": {"epsilon --accountant pld --grid 1e-4 --delta 1e-5 --mechanism gaussian --relation replace-one --sampling poisson --q .01 --stddev 1 --clip 1 --steps 1000", 2.84344581, 1e-5},
		"row 31, multiplier":  {"epsilon --accountant pld --grid 1e-4 --delta 1e-5 --mechanism gaussian --relation replace-one --sampling poisson --q .01 --noise-multiplier .5 --steps 1000", 2.84344581, 1e-5},
		"row 36":              {"epsilon --accountant rdp --delta 1e-5 --mechanism gaussian --relation replace-one --sampling fixed --n 1000 --m 10 --noise-multiplier 1 --steps 100", 1.482525669, 1e-9},
		"row 36, stddev":      {"epsilon --accountant rdp --delta 1e-5 --mechanism gaussian --relation replace-one --sampling fixed --n 1000 --m 10 --stddev 2 --clip 1 --steps 100", 1.482525669, 1e-9},
		"row 37, gdp":         {"epsilon --accountant gdp --delta 1e-10 --mechanism gaussian --relation zero-out --sampling none --noise-multiplier 10 --steps 1", 0.574640307526, 1e-9},
		"row 37, pld":         {"epsilon --accountant pld --delta 1e-5 --mechanism gaussian --relation zero-out --sampling none --noise-multiplier .5 --steps 1", 9.997256146434, 1e-9},
		"row 37, inverse":     {"delta --accountant gdp --epsilon 1 --mechanism gaussian --relation zero-out --sampling none --noise-multiplier 3.730631634816 --steps 1", 1e-5, 1e-14},
		"row 44, 1 1":         {"epsilon --accountant pld --grid 1e-4 --delta 1e-5 --mechanism dgauss --relation zero-out --sampling none --noise-multiplier 1 --sensitivity 1 --dimension 1 --steps 1", 4.430238055279, 1e-7},
		"row 44, 3 1":         {"epsilon --accountant pld --grid 1e-4 --delta 1e-5 --mechanism dgauss --relation zero-out --sampling none --noise-multiplier 3 --sensitivity 1 --dimension 1 --steps 1", 1.267467816012, 1e-7},
		"row 44, 10 10":       {"epsilon --accountant pld --grid 1e-4 --delta 1e-5 --mechanism dgauss --relation zero-out --sampling none --stddev 10 --clip 10 --dimension 1 --steps 1", 4.377700641249, 1e-7},
		"row 44, sensitivity": {"epsilon --accountant pld --grid 1e-4 --delta 1e-5 --mechanism dgauss --relation replace-one --sampling none --noise-multiplier 1 --sensitivity 10 --dimension 1 --steps 1", 4.377700641249, 1e-7},
		"row 44, 100 100":     {"epsilon --accountant pld --grid 1e-4 --delta 1e-5 --mechanism dgauss --relation replace-one --sampling none --stddev 100 --clip 50 --dimension 1 --steps 1", 4.377187413241, 1e-7},
		// One Laplace release of epsilon 1: delta = 1 - exp((epsilon-1)/2). A hundred reach 100:
		// losses are bounded by that, and the reference has it at Renyi order 1e10.
		"row 49, once":  {"epsilon --accountant pld --grid 1e-5 --delta 1e-2 --mechanism laplace --relation zero-out --sampling none --noise-multiplier 1.4142135623730951 --steps 1", 1 + 2*math.Log(.99), 1e-5},
		"row 49":        {"epsilon --accountant pld --delta 1e-100 --mechanism laplace --relation zero-out --sampling none --noise-multiplier 1.4142135623730951 --steps 100", 100, .06},
		"n and m for q": {"epsilon --accountant pld --grid 1e-4 --delta 1e-5 --mechanism gaussian --relation zero-out --sampling poisson --n 3383 --m 120 --noise-multiplier 1.2 --steps 100", 1.70747132, 1e-5},
	} {
		t.Run(name, func(t *testing.T) {
			d := answered(t, g.line)
			got := d.Epsilon
			if strings.HasPrefix(g.line, "delta") {
				got = d.Delta
				require.LessOrEqual(t, *d.DeltaLower, d.Delta)
				require.Nil(t, d.EpsilonLower)
			} else if d.EpsilonLower != nil {
				require.LessOrEqual(t, *d.EpsilonLower, g.want+1e-6)
			}
			require.InDelta(t, g.want, got, g.near)
		})
	}
}

func TestSkellamCostsAboutWhatAGaussianOfTheSameVarianceDoes(t *testing.T) {
	t.Parallel()
	const rest = " --relation zero-out --sampling none --steps 1 --delta 1e-5 --stddev 1000 --clip 1000"
	skellam := answered(t, "epsilon --accountant rdp --dimension 64 --l1 8000 --mechanism skellam"+rest)
	gaussian := answered(t, "epsilon --accountant rdp --mechanism gaussian"+rest)
	require.Greater(t, skellam.Epsilon, gaussian.Epsilon)
	require.InEpsilon(t, gaussian.Epsilon, skellam.Epsilon, .05)
}

// dp_accounting's calibrations and rows 27 and 37; of opacus the noise of RDP, to 4 places.
func TestNoiseMatchesTheAnchorsAndReachesItsTarget(t *testing.T) {
	t.Parallel()
	const gaussian = "--mechanism gaussian --relation zero-out "
	for name, g := range map[string]struct {
		line       string
		want, near float64
	}{
		"row 27":        {gaussian + "--accountant pld --epsilon 1 --delta 1e-5 --sampling poisson --q .01 --steps 1", 0.67379294682, 2e-6},
		"rdp":           {gaussian + "--accountant rdp --epsilon 8 --delta 1e-5 --sampling poisson --q .04 --steps 2250", 1.416, 5e-4},
		"pld":           {gaussian + "--accountant pld --epsilon 2 --delta 1e-5 --sampling poisson --q .01 --steps 1000", 0.95910329, 5e-6},
		"row 37":        {gaussian + "--accountant gdp --epsilon .1 --delta 1e-6 --sampling none --steps 1", 36.304690426196, 5e-5},
		"gdp, repeated": {gaussian + "--accountant gdp --epsilon .1 --delta 1e-6 --sampling none --steps 4", 2 * 36.304690426196, 1e-4},
	} {
		t.Run(name, func(t *testing.T) {
			d := answered(t, "noise "+g.line)
			require.InDelta(t, g.want, *d.NoiseMultiplier, g.near)
			require.LessOrEqual(t, d.Epsilon, *epsilonIn(t, g.line))
			again := answered(t, fmt.Sprintf("epsilon --accountant %s --delta %g --event %s", d.Accountant, d.Delta, d.Events[0])+map[bool]string{true: " --grid 1e-4"}[d.Grid != nil])
			require.Equal(t, d.Epsilon, again.Epsilon, "the printed event is the one that was found")
		})
	}
	d := answered(t, "noise "+gaussian+"--accountant pld --epsilon 1 --delta 1e-5 --sampling poisson --q .001 --steps 25 --clip 6")
	require.InDelta(t, 3.20956502598, *d.StdDev, 2e-5, "row 27")
	require.InDelta(t, *d.StdDev/6, *d.NoiseMultiplier, 1e-12)
}

func epsilonIn(t *testing.T, line string) *float64 {
	t.Helper()
	x, err := strconv.ParseFloat(regexp.MustCompile(`--epsilon (\S+)`).FindStringSubmatch(line)[1], 64)
	require.NoError(t, err)
	return &x
}

func TestNoiseIsFoundForTheEventsThatStateNone(t *testing.T) {
	t.Parallel()
	fixed := "mechanism=gaussian,relation=zero-out,sampling=none,noise-multiplier=5,steps=1"
	d := answered(t, "noise --accountant gdp --epsilon 1 --delta 1e-5 --event "+fixed+" --event mechanism=gaussian,relation=zero-out,sampling=none,steps=2,clip=3")
	require.Equal(t, fixed, d.Events[0])
	z := 3.730631634816
	require.InDelta(t, math.Sqrt(2/(1/(z*z)-1./25)), *d.NoiseMultiplier, 1e-5, "mu squared adds up")
	require.InDelta(t, 3**d.NoiseMultiplier, *d.StdDev, 1e-9)
	const open = " --event mechanism=gaussian,relation=zero-out,sampling=none,steps=1,clip="
	require.Nil(t, answered(t, "noise --accountant gdp --epsilon 1 --delta 1e-5"+open+"1"+open+"2").StdDev, "there are two")
}

func TestASearchTakesLossesBeyondAnyGridForNoPrivacy(t *testing.T) {
	t.Parallel()
	stated, err := parseGroup("test", 1, "mechanism=dgauss,relation=zero-out,sampling=none,noise-multiplier=1,clip=1000000,dimension=1,steps=1")
	require.NoError(t, err)
	e, err := stated.event()
	require.NoError(t, err)
	epsilon, err := question{accountant: "pld"}.method()([]dp.Event{e}, 1e-5)
	require.NoError(t, err, "the search goes on")
	require.True(t, math.IsInf(epsilon, 1))
}

func TestStepsAndCohortAreTheLargestWithinTheTarget(t *testing.T) {
	t.Parallel()
	const gaussian = "--mechanism gaussian --relation zero-out --delta 1e-5 --noise-multiplier 1 "
	for _, accountant := range []string{"rdp", "pld --grid 1e-3"} {
		d := answered(t, "steps --epsilon 2 --sampling poisson --q .01 --accountant "+accountant+" "+gaussian)
		for extra, within := range map[int64]bool{0: true, 1: false} {
			e := answered(t, fmt.Sprintf("epsilon --sampling poisson --q .01 --steps %d --accountant %s %s", *d.Steps+extra, accountant, gaussian))
			require.Equal(t, within, e.Epsilon <= 2)
		}
		d = answered(t, "cohort --epsilon 2 --sampling poisson --n 1000 --steps 100 --accountant "+accountant+" "+gaussian)
		for extra, within := range map[int64]bool{0: true, 1: false} {
			e := answered(t, fmt.Sprintf("epsilon --sampling poisson --n 1000 --m %d --steps 100 --accountant %s %s", *d.Cohort+extra, accountant, gaussian))
			require.Equal(t, within, e.Epsilon <= 2)
		}
	}
	d := answered(t, "cohort --epsilon 3 --delta 1e-5 --mechanism gaussian --relation replace-one --sampling fixed --n 1000 --noise-multiplier 1 --steps 100 --accountant rdp")
	require.Greater(t, *d.Cohort, int64(10), "row 36: 10 cost 1.48")
	d = answered(t, "cohort --epsilon 20 --sampling poisson --n 3 --steps 1 --accountant rdp "+gaussian)
	require.EqualValues(t, 3, *d.Cohort, "no more than there are")
	d = answered(t, "steps --epsilon 5 --delta 1e-5 --mechanism gaussian --relation zero-out --sampling none --accountant gdp --noise-multiplier 1e9")
	require.Contains(t, strings.Join(d.Warnings, "\n"), "the search ends")
}

func TestWarningsSayWhatToBewareOf(t *testing.T) {
	t.Parallel()
	const gaussian = "epsilon --mechanism gaussian --delta 1e-5 "
	for why, line := range map[string]string{
		"the first or the last": gaussian + "--accountant rdp --relation zero-out --sampling none --noise-multiplier 1000 --steps 1",
		"above 10 promises":     gaussian + "--accountant gdp --relation zero-out --sampling none --noise-multiplier .1 --steps 1",
		"to the power -1.1":     gaussian + "--accountant rdp --relation replace-one --sampling fixed --n 1000000 --m 10 --noise-multiplier 1 --steps 1",
		"capacity cuts":         gaussian + "--accountant pld --relation add-remove --sampling poisson --q .1 --capacity 9 --population 50 --noise-multiplier 1 --steps 1",
		"more than 1 % apart":   gaussian + "--accountant pld --grid .05 --relation zero-out --sampling poisson --q .1 --noise-multiplier 5 --steps 1",
		"delta 1 promises":      "delta --epsilon .1 --mechanism gaussian --accountant rdp --relation zero-out --sampling none --noise-multiplier .01 --steps 9",
	} {
		require.Contains(t, strings.Join(answered(t, line).Warnings, "\n"), why, line)
		require.Contains(t, privacy(line).out, why, "in words too")
	}
	require.Empty(t, answered(t, "epsilon --accountant pld "+poissonLine(.01, 1, 1000, 1e-5)).Warnings)
	cut := strings.Join(answered(t, "epsilon --accountant pld --capacity 2 --population 50 "+poissonLine(.1, 1, 1, 1e-3)).Warnings, "\n")
	require.Contains(t, cut, "no data attain it where a capacity cuts cohorts", "under zero-out a capacity only lowers how often a client is in")
}

func TestTextSaysWhatTheNumbersMean(t *testing.T) {
	t.Parallel()
	line := "epsilon --accountant pld " + poissonLine(.01, 1, 1000, 1e-5)
	o := privacy(line)
	require.Equal(t, 0, o.code)
	d := answered(t, line)
	for _, want := range []string{strconv.FormatFloat(d.Epsilon, 'g', -1, 64) + " at delta 1e-05", strconv.FormatFloat(*d.EpsilonLower, 'g', -1, 64),
		"one client", "contribution becomes zero", "with probability 0.01", "whoever states the sampling", "use --sampling none", "fixed in advance"} {
		require.Contains(t, o.out, want)
	}
	o = privacy("epsilon --accountant gdp --mechanism gaussian --relation replace-one --sampling none --noise-multiplier 1 --steps 1 --delta 1e-5")
	require.Contains(t, o.out, "nothing is claimed")
	require.Contains(t, o.out, "twice the clip norm")
	require.NotContains(t, o.out, "vouched")
}

func TestPrivacyThatIsNotStatedIsRefusedByName(t *testing.T) {
	t.Parallel()
	o := privacy("epsilon")
	require.Equal(t, 2, o.code)
	require.Empty(t, o.out)
	for _, name := range []string{"--accountant", "--delta", "--mechanism", "--relation", "--sampling", "--noise-multiplier or --stddev", "--steps"} {
		require.Contains(t, o.errOut, name)
	}
	whole := []string{"--mechanism dgauss", "--relation zero-out", "--sampling none", "--noise-multiplier 3", "--clip 1", "--dimension 1", "--steps 5", "--delta 1e-5", "--accountant pld"}
	require.Equal(t, 0, privacy("epsilon "+strings.Join(whole, " ")).code)
	for i, part := range whole {
		rest := strings.Join(append(append([]string{"epsilon"}, whole[:i]...), whole[i+1:]...), " ")
		o := privacy(rest)
		require.Equal(t, 2, o.code, rest)
		require.Contains(t, o.errOut, "missing: ")
		require.Contains(t, o.errOut, strings.Fields(part)[0])
	}
	for command, missing := range map[string]string{"noise": "--epsilon", "steps": "--epsilon", "cohort": "--epsilon", "delta": "--epsilon"} {
		o := privacy(command + " --mechanism gaussian")
		require.Equal(t, 2, o.code)
		require.Contains(t, o.errOut, missing)
	}
}

func TestBadInputAboutPrivacyIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	const rest = " --mechanism gaussian --relation zero-out "
	const once = "epsilon --accountant rdp" + rest + "--delta 1e-5 --sampling none --steps 1 --noise-multiplier 1 "
	const drawn = "epsilon --accountant pld" + rest + "--delta 1e-5 --steps 1 --noise-multiplier 1 --sampling poisson "
	type refusal struct {
		line string
		code int
		why  string
	}
	refusals := []refusal{
		{"epsilon sing", 2, "1 given, 0 wanted"},
		{strings.Replace(once, "gaussian", "uniform", 1), 2, "--mechanism uniform"},
		{strings.Replace(once, "zero-out", "near", 1), 2, "--relation near"},
		{strings.Replace(once, "none", "shuffled", 1), 2, "--sampling shuffled"},
		{strings.Replace(once, "rdp", "moments", 1), 2, "--accountant moments"},
		// What does not go together.
		{once + "--q .1", 2, "--q does not go with the rest"},
		{once + "--n 10", 2, "--n does not go with the rest"},
		{once + "--l1 10", 2, "--l1 does not go with the rest"},
		{once + "--dimension 10", 2, "--dimension does not go with the rest"},
		{once + "--stddev 1", 2, "exclude each other"},
		{once + "--clip 1 --sensitivity 1", 2, "exclude each other"},
		{once + "--grid 1e-4", 2, "only the accountant pld"},
		{once + "--event mechanism=gaussian", 2, "does not go with the rest"},
		{strings.Replace(once, "--noise-multiplier", "--stddev", 1), 2, "--clip or --sensitivity"},
		{drawn + "--q .1 --n 10 --m 1", 2, "--m does not go with the rest"},
		{drawn + "--n 10", 2, "missing: --m"},
		{drawn + "--m 10", 2, "missing: --n"},
		{drawn + "--n 10 --m 11", 2, "above the number of clients"},
		{drawn + "--q .1 --capacity 2", 2, "missing: --population"},
		{drawn + "--q .1 --population 2", 2, "missing: --capacity"},
		{drawn + "--q .1 --population 2 --capacity 3", 2, "above the population"},
		{drawn + "--n 10 --m 1 --population 11 --capacity 3", 2, "the population is another"},
		{drawn + "--q 1.5", 2, "a number in (0,1]"},
		{drawn + "--q .5 --grid 1e-8", 2, "from 1e-7 to 1"},
		{drawn + "--q .5 --grid 2", 2, "from 1e-7 to 1"},
		{strings.Replace(drawn, "poisson", "fixed --n 10 --m 11", 1), 2, "above the number of clients"},
		// Groups.
		{"epsilon --accountant rdp --delta 1e-5 --event gaussian", 2, "not name=value"},
		{"epsilon --accountant rdp --delta 1e-5 --event mechanism=gaussian,sing=1", 2, `"sing" is none of`},
		{"epsilon --accountant rdp --delta 1e-5 --event steps=1,steps=2", 2, "steps is given twice"},
		{"epsilon --accountant rdp --delta 1e-5 --event steps=1", 2, "--event 1"},
		{"epsilon --delta 1e-5 --event steps=1", 2, "missing: --accountant"},
		// What gives no guarantee, or none that is known.
		{"epsilon --accountant rdp --delta 1e-5 --event mechanism=gaussian,relation=zero-out,sampling=none,noise-multiplier=1,steps=1" +
			" --event mechanism=gaussian,relation=add-remove,sampling=none,noise-multiplier=1,steps=1", 3, "different relations"},
		{strings.Replace(drawn, "poisson", "fixed --n 10 --m 1", 1), 3, "fixed sampling under zero-out"},
		{strings.Replace(drawn+"--q .1", "pld", "gdp", 1), 3, "does not cover"},
		{strings.Replace(strings.Replace(drawn+"--q .1", "pld", "rdp", 1), "zero-out", "replace-one", 1), 3, "does not cover"},
		{strings.Replace(strings.Replace(once, "rdp", "pld", 1), "gaussian", "dgauss --dimension 2 --clip 1", 1), 3, "does not cover"},
		{strings.Replace(once, "--noise-multiplier 1", "--noise-multiplier 1e-160", 1), 3, "no bound is known"},
		{strings.Replace(strings.Replace(once, "rdp", "pld", 1), "gaussian", "dgauss --dimension 1 --clip 1000000", 1), 3, "no bound is known"},
		// Targets.
		{"noise --accountant gdp --epsilon 1e-6 --delta 1e-12 --sampling none --steps 1000000000000" + rest, 3, "no value in the range"},
		{"steps --accountant gdp --epsilon 1e-6 --delta 1e-5 --sampling none --noise-multiplier 1" + rest, 3, "one is too many"},
		{"cohort --accountant rdp --epsilon 1e-6 --delta 1e-5 --sampling poisson --n 10 --noise-multiplier 1 --steps 9" + rest, 3, "one is too many"},
		{"noise --accountant rdp --epsilon 1 --delta 1e-5 --sampling none --steps 1 --noise-multiplier 1" + rest, 2, "none to find"},
		{"steps --accountant rdp --epsilon 1 --delta 1e-5 --sampling none --steps 1 --noise-multiplier 1" + rest, 2, "none to find"},
		{"cohort --accountant rdp --epsilon 1 --delta 1e-5 --sampling none --steps 1 --noise-multiplier 1" + rest, 2, "no cohort to find"},
		{"cohort --accountant rdp --epsilon 1 --delta 1e-5 --sampling poisson --steps 1 --noise-multiplier 1" + rest, 2, "missing: --n"},
		// Numbers that overflow together.
		{strings.Replace(once, "--noise-multiplier 1", "--stddev 1e300 --clip 1e-300", 1), 2, "noise over sensitivity"},
		{strings.Replace(once, "--noise-multiplier 1", "--noise-multiplier 1e300 --clip 1e300", 1), 2, "standard deviation"},
		{"epsilon --accountant rdp --delta 1e-5 --mechanism dgauss --relation replace-one --sampling none --dimension 1 --noise-multiplier 1 --clip 1e308 --steps 1", 2, "variance"},
		{strings.Replace(once, "gaussian", "skellam --dimension 4 --clip 5 --l1 4", 1), 2, "below the clip norm"},
	}
	// Each number of each kind.
	for _, bad := range []string{"NaN", "Inf", "-Inf", "0", "-1", "1e400", "1e-400", "ten", ""} {
		for name, line := range map[string]string{
			"--delta": strings.Replace(once, "--delta 1e-5", "", 1), "--noise-multiplier": strings.Replace(once, "--noise-multiplier 1", "", 1),
			"--q": drawn, "--clip": once, "--sensitivity": once, "--steps": strings.Replace(once, "--steps 1", "", 1), "--grid": drawn + "--q .1",
			"--stddev": strings.Replace(once, "--noise-multiplier 1", "--clip 1", 1),
			"--l1":     strings.Replace(once, "gaussian", "skellam --clip 1 --dimension 1", 1),
			"--n":      drawn + "--m 1", "--m": drawn + "--n 10", "--capacity": drawn + "--q .1 --population 5", "--population": drawn + "--q .1 --capacity 2",
			"--dimension": strings.Replace(once, "gaussian", "dgauss --clip 1", 1),
			"--epsilon":   "noise --accountant rdp --delta 1e-5 --sampling none --steps 1" + rest,
		} {
			refusals = append(refusals, refusal{line + " " + name + "=" + bad, 2, name + " " + bad})
		}
	}
	refusals = append(refusals, refusal{strings.Replace(once, "1e-5", "1", 1), 2, "--delta 1"}, refusal{strings.Replace(once, "1e-5", "1.5", 1), 2, "--delta 1.5"},
		refusal{"delta --accountant rdp --sampling none --steps 1 --noise-multiplier 1 --epsilon -1" + rest, 2, "--epsilon -1"},
		refusal{strings.Replace(once, "--steps 1", "--steps 1.5", 1), 2, "--steps 1.5"}, refusal{strings.Replace(once, "--steps 1", "--steps 1099511627777", 1), 2, "--steps"})
	for _, r := range refusals {
		o := privacy(r.line + " --json")
		require.Equal(t, r.code, o.code, "%s: %s %s", r.line, o.errOut, o.out)
		require.Contains(t, o.errOut, r.why, r.line)
		require.Empty(t, o.out, r.line)
		require.NotContains(t, o.errOut, "\n")
	}
}

// TestTheManualOfPrivacyShowsWhatIsPrinted runs each command of the manual, and holds
// the block after it against what is printed, numbers to 4 digits.
func TestTheManualOfPrivacyShowsWhatIsPrinted(t *testing.T) {
	t.Parallel()
	number := regexp.MustCompile(`\d+\.\d+(?:e[+-]?\d+)?`)
	normal := func(line string) string {
		return number.ReplaceAllStringFunc(strings.Join(strings.Fields(line), " "), func(s string) string {
			x, err := strconv.ParseFloat(s, 64)
			require.NoError(t, err)
			return fmt.Sprintf("%.4g", x)
		})
	}
	blocks := regexp.MustCompile(`(?m)^(?:    .*\n)+`).FindAllString(manual(t, "docs/PRIVACY.md"), -1)
	seen := 0
	for i, block := range blocks {
		words := strings.ReplaceAll(block, "\\\n", " ")
		line, ok := strings.CutPrefix(strings.TrimSpace(words), "choir privacy ")
		if !ok {
			continue
		}
		o := privacy(line)
		require.Equal(t, 0, o.code, "%s: %s", line, o.errOut)
		printed := map[string]bool{}
		for _, l := range strings.Split(o.out, "\n") {
			printed[normal(l)] = true
		}
		for _, l := range strings.Split(strings.TrimSuffix(blocks[i+1], "\n"), "\n") {
			require.True(t, printed[normal(l)], "%s\nprints no line %q:\n%s", line, l, o.out)
		}
		seen++
	}
	require.GreaterOrEqual(t, seen, 4)
}
