package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/cmd/choir/preflight"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/audit"
	"github.com/choir-fl/choir/sim/report"
)

// privatePlan is a small plan with noise.
const privatePlan = `schema: choir.plan/1
job: private
model: {architecture: softmax}
scheme: {name: pairwise, corrupt: 0.02, dropout: 0.2}
cohort: {size: 60, minimum: 16, selection: poisson, population: 400}
rounds: {count: 6, attempts: 3}
encoding: {clip_norm: 1}
training: {epochs: 1, batch_size: 10, learning_rate: 0.1}
aggregation: {denominator: fixed}
privacy: {mode: distributed, relation: zero-out, delta: 1e-3, epsilon: 4}
`

// private is that plan as read.
func private(t *testing.T) plan.Literal {
	t.Helper()
	l, err := plan.Parse("plan.yaml", strings.NewReader(privatePlan))
	require.NoError(t, err)
	return l
}

// overridden applies flags to a plan.
func overridden(t *testing.T, l plan.Literal, args ...string) (simFlags, plan.Literal) {
	t.Helper()
	cmd := newSimCommand()
	require.NoError(t, cmd.ParseFlags(args))
	f := simFlags{fidelity: "full"}
	fl := cmd.Flags()
	f.clients, _ = fl.GetInt("clients")
	f.rounds, _ = fl.GetInt("rounds")
	f.scheme, _ = fl.GetString("scheme")
	f.privacy.mode, _ = fl.GetString("dp")
	f.privacy.multiplier, _ = fl.GetFloat64("noise-multiplier")
	f.privacy.epsilon, _ = fl.GetFloat64("epsilon")
	f.privacy.delta, _ = fl.GetFloat64("delta")
	require.NoError(t, f.override(cmd, &l))
	return f, l
}

func privateDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plan.yaml"), []byte(privatePlan), 0o600))
	return dir
}

func TestSimulationStatesBothEpsilonsAndWhatTheyMean(t *testing.T) {
	t.Parallel()
	dir := privateDir(t)
	o := choir(t, dir, "sim", "plan.yaml", "--rounds", "2", "--json", "--report", "r")
	require.Equal(t, 0, o.code, o.errOut)
	var res sim.Result
	require.NoError(t, json.Unmarshal([]byte(o.out), &res))
	require.Equal(t, "distributed", res.Config.DPMode)
	require.Equal(t, 400, res.Config.Clients, "as many as the plan draws from")
	require.LessOrEqual(t, *res.Final.EpsilonReleased, 4.0)
	require.Greater(t, *res.Final.EpsilonCoordinator, *res.Final.EpsilonReleased)
	require.Equal(t, 1e-3, *res.Final.Delta)
	require.Less(t, *res.Rounds[0].EpsilonReleased, *res.Rounds[1].EpsilonReleased)
	require.Regexp(t, `round 2 accuracy 0\.\d+ epsilon [0-9.]+ `, o.errOut)

	page, err := os.ReadFile(filepath.Join(dir, "r", "report.html"))
	require.NoError(t, err)
	for _, part := range []string{"What is promised to a client", "epsilon of released models, delta 0.001", "Accuracy against epsilon", "times as likely", "<th>epsilon, rosters</th>"} {
		require.Contains(t, string(page), part)
	}
	o = choir(t, dir, "sim", "plan.yaml", "--rounds", "2", "--fidelity", "fast")
	require.Equal(t, 0, o.code, o.errOut)
	require.Regexp(t, `epsilon, who sees released models +[0-9.]+ at delta 0.001`, o.out)
	require.Regexp(t, `epsilon, who sees a roster +[0-9.]+ at delta 0.001`, o.out)
	require.Contains(t, o.out, res.Final.ModelDigest, "fidelity changes no integer")
	require.Contains(t, strings.Join(strings.Fields(o.out), " "), "times as likely with a client's data as without")

	o = choir(t, dir, "sim", "plan.yaml", "--rounds", "1", "--dp", "none")
	require.Equal(t, 0, o.code, o.errOut)
	require.Equal(t, 2, strings.Count(o.out, "none stated"))
	require.Contains(t, o.out, "exact sums were opened to the coordinator")
}

func TestSimulationThatItsBudgetStopsPrintsItsResultAndExitsWith3(t *testing.T) {
	t.Parallel()
	dir := privateDir(t)
	args := []string{"sim", "plan.yaml", "--rounds", "6", "--fidelity", "fast", "--noise-multiplier", "0.22", "--epsilon", "6"}
	o := choir(t, dir, append(args, "--json", "--report", "r")...)
	require.Equal(t, 3, o.code, o.errOut)
	require.Len(t, o.errorLines(), 1, o.errOut)
	require.Contains(t, o.errOut, "privacy budget is spent")
	var res sim.Result
	require.NoError(t, json.Unmarshal([]byte(o.out), &res))
	require.Greater(t, res.Final.RoundsCompleted, 0)
	require.Less(t, res.Final.RoundsCompleted, 6)
	require.LessOrEqual(t, *res.Final.EpsilonReleased, 6.0)
	require.Equal(t, "budget_exhausted", res.Final.Status)
	require.Equal(t, []string{"report.html", "report.json"}, files(t, filepath.Join(dir, "r")))

	args[1] = filepath.Join(dir, args[1])
	var out, errOut bytes.Buffer // and in this process, where a mutant shows
	require.Equal(t, exitRefused, run(context.Background(), append(args, "--data", "embedded"), nil, &out, &errOut))
	require.Contains(t, out.String(), "test accuracy")
}

func TestDemonstrationIsPrivateAgainstBothObservers(t *testing.T) {
	t.Parallel()
	o := choir(t, t.TempDir(), "sim", "--rounds", "2", "--fidelity", "fast", "--json")
	require.Equal(t, 0, o.code, o.errOut)
	var res sim.Result
	require.NoError(t, json.Unmarshal([]byte(o.out), &res))
	require.Equal(t, "distributed", res.Config.DPMode)
	require.Equal(t, []int{1000, 250}, []int{res.Config.Clients, res.Config.Cohort}, "as many clients as the plan draws from")
	require.LessOrEqual(t, *res.Final.EpsilonReleased, 2.0)
	require.Positive(t, *res.Final.EpsilonReleased)
	require.Greater(t, *res.Final.EpsilonCoordinator, *res.Final.EpsilonReleased)
	require.Equal(t, 1e-5, *res.Final.Delta)
	require.Nil(t, res.Audit)
	require.NotContains(t, o.out, `"audit"`)
}

func TestAuditStandsBesideWhatIsClaimed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"sim", "--audit", "40", "--rounds", "2", "--fidelity", "fast", "--report", "r"}
	o := choir(t, dir, append(args, "--json")...)
	require.Equal(t, 0, o.code, o.errOut)
	var res sim.Result
	require.NoError(t, json.Unmarshal([]byte(o.out), &res))
	for found, claimed := range map[*audit.Report]*float64{&res.Audit.Released: res.Final.EpsilonReleased, &res.Audit.Coordinator: res.Final.EpsilonCoordinator} {
		require.Equal(t, 40, found.Canaries)
		require.Equal(t, *claimed, *found.Claimed)
		require.LessOrEqual(t, found.EpsilonOneRun, *claimed)
		require.Equal(t, 1e-5, found.Delta)
		require.Equal(t, 0.95, found.Confidence)
	}
	page, err := os.ReadFile(filepath.Join(dir, "r", "report.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "What canaries found of it")
	require.Contains(t, string(page), "is not the plan&#39;s")
	o = choir(t, dir, args...)
	require.Equal(t, 0, o.code, o.errOut)
	said := strings.Join(strings.Fields(o.out), " ")
	for _, part := range []string{"audit, who sees released models epsilon is at least", "audit, who sees a roster epsilon is at least", "at delta 1e-05, with 95 % confidence; claimed: at most " +
		report.Epsilon(res.Final.EpsilonReleased), "of 40 canaries", "the accuracy of an audited run is not the plan's"} {
		require.Contains(t, said, part)
	}
}

func TestAuditNeedsAsManyCanariesAsShowAnythingAndNoMoreThanThereAreClients(t *testing.T) {
	given := func(flag string) bool { return flag == "audit" }
	for canaries, allowed := range map[int]bool{-1: false, 0: false, 15: false, 16: true, 100: true, 101: false} {
		err := simFlags{audit: canaries, clients: 100}.checkAudit(given)
		require.Equal(t, allowed, err == nil, canaries)
		require.Equal(t, len(audit.Grid(canaries)) > 0, canaries >= leastCanaries, "what an audit guesses")
	}
	require.NoError(t, simFlags{clients: 100}.checkAudit(func(string) bool { return false }), "no audit")
}

func TestRefutedClaimIsPrintedAndExitsWith3(t *testing.T) {
	claimed := 1.0
	found := audit.Report{Canaries: 40, Guesses: 40, Correct: 40, EpsilonOneRun: 2.5, Claimed: &claimed, Delta: 1e-5, Confidence: 0.95}
	res := sim.Result{Audit: &sim.Audited{Released: found, Coordinator: found}}
	refuted := sim.ErrAudit.At("at least 2.5, claimed 1")
	var out bytes.Buffer
	err := simFlags{}.conclude(&out, plan.Literal{}, plan.Plan{}, res, refuted)
	require.ErrorIs(t, err, sim.ErrAudit)
	require.Equal(t, exitRefused, exitCode(err))
	said := strings.Join(strings.Fields(out.String()), " ")
	require.Contains(t, said, "epsilon is at least 2.5 at delta 1e-05, with 95 % confidence; claimed: at most 1")
	require.Contains(t, said, "claim is refuted: the privacy statement is wrong")
	require.Contains(t, said, "audit, who sees a roster epsilon is at least 2.5")

	out.Reset()
	require.ErrorIs(t, simFlags{}.conclude(&out, plan.Literal{}, plan.Plan{}, res, sim.ErrInvariant), sim.ErrInvariant)
	require.Zero(t, out.Len(), "a result that does not stand is not printed")
}

func TestWithoutNoiseLeavesNothingThatOnlyNoiseNeeds(t *testing.T) {
	l := private(t)
	l.Encoding.Range, l.Encoding.Scale = 500, 1024
	_, none := overridden(t, l, "--dp", "none", "--rounds", "2")
	require.Equal(t, plan.Privacy{Mode: "none", TrustCoordinator: true}, none.Privacy)
	require.Equal(t, plan.Cohort{Size: 60, Minimum: 16, Selection: "uniform"}, none.Cohort)
	require.Equal(t, plan.Encoding{ClipNorm: 1}, none.Encoding)
	require.Equal(t, "weights", none.Aggregation.Denominator)
	require.True(t, none.Evaluation.Clients)
	require.NoError(t, declareTensors(&none, ""))
	_, err := none.Check(serverSchemes()...)
	require.NoError(t, err)

	_, again := overridden(t, none, "--dp", "none", "--rounds", "2")
	require.Equal(t, again.Aggregation, none.Aggregation, "a plan without noise stays as it is")
	require.Equal(t, again.Privacy, none.Privacy)
}

func TestPrivacyFlagsChangeWhatThePlanStates(t *testing.T) {
	f, l := overridden(t, private(t))
	require.Equal(t, private(t), l)
	require.Equal(t, 400, f.clients)
	f, l = overridden(t, private(t), "--clients", "300")
	require.Equal(t, 300, f.clients)
	require.Equal(t, 300, l.Cohort.Population)

	_, l = overridden(t, private(t), "--dp", "central")
	require.Equal(t, "central", l.Privacy.Mode)
	require.True(t, l.Privacy.TrustCoordinator)
	_, l = overridden(t, l, "--dp", "distributed")
	require.False(t, l.Privacy.TrustCoordinator, "nobody is trusted who need not be")
	_, l = overridden(t, private(t), "--scheme", "plain")
	require.True(t, l.Privacy.TrustCoordinator)

	_, l = overridden(t, private(t), "--noise-multiplier", "2", "--delta", "1e-4")
	require.Equal(t, 2.0, l.Privacy.NoiseMultiplier)
	require.Equal(t, 1e-4, l.Privacy.Delta)
	require.Equal(t, 4.0, l.Privacy.Epsilon)
	_, again := overridden(t, l, "--epsilon", "3")
	require.Zero(t, again.Privacy.NoiseMultiplier, "calibrated anew")
	_, again = overridden(t, l, "--epsilon", "3", "--noise-multiplier", "1.5")
	require.Equal(t, 1.5, again.Privacy.NoiseMultiplier)

	capped := private(t)
	capped.Cohort.Selection, capped.Cohort.Population, capped.Cohort.Participations, capped.Cohort.Separation = "uniform", 0, 6, 5
	_, l = overridden(t, capped, "--rounds", "1")
	require.Equal(t, 3, l.Cohort.Participations)
	require.Equal(t, 1, l.Cohort.Separation)

	plain := private(t)
	plain.Cohort.Selection, plain.Cohort.Population = "uniform", 0
	f, _ = overridden(t, plain)
	require.Equal(t, defaultClients, f.clients)
}

func TestPrivateStartingPlansStateEveryKeyAndAreAccepted(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.yaml")
	writeCommittee(t, filepath.Join(dir, "committee.yaml"), 5)
	for _, scheme := range schemeNames() {
		for _, mode := range privacyModes[:3] {
			for _, cohort := range []int{16, 40, 149, 150, 200, 1000} {
				name := fmt.Sprintf("%s, %s, %d", scheme, mode, cohort)
				var b bytes.Buffer
				require.NoError(t, writeStartingPlan(&b, startingKind{scheme: scheme, mode: mode, cohort: cohort, population: 25 * cohort}))
				for _, key := range []string{"mode: " + mode, "trust_coordinator: ", "population: fleet", "mechanism: ", "relation: ", "delta: ", "epsilon: ", "noise_multiplier: ",
					"epsilon_coordinator: ", "clipping: ", "denominator: fixed"} {
					require.Contains(t, b.String(), key, name)
				}
				require.NotContains(t, b.String(), "for estimates only", name)
				coins := strings.Contains(b.String(), "selection: poisson")
				for _, key := range []string{"participations: ", "separation: "} {
					require.Equal(t, !coins, strings.Contains(b.String(), key), name)
				}
				require.Equal(t, coins, strings.Contains(b.String(), "released models rests on it: a round begins only if"), name)
				lit, err := plan.Parse("plan.yaml", bytes.NewReader(b.Bytes()))
				require.NoError(t, err)
				require.NoError(t, nameCommittee(&lit, path))
				require.NoError(t, declareTensors(&lit, path))
				p, err := lit.Check(serverSchemes()...)
				require.NoError(t, err, name)
				require.Equal(t, cohort >= leastByCoins && mode != "local" && scheme != pairwise.Name, p.Selection() == plan.SelectPoisson, name)
				require.Equal(t, p.Selection() == plan.SelectPoisson && mode != "central", p.Guarantee().Shares() > 0, name)
				f, err := preflight.Examine(p)
				require.NoError(t, err, name)
				require.Less(t, f.Failure[0].Round, 0.05, name)
				require.LessOrEqual(t, *f.Privacy.EpsilonReleased, 8.0, name)
				require.Equal(t, mode == "central" || mode == "distributed" && scheme == "plain", f.Privacy.EpsilonCoordinator == nil, name)
				var text bytes.Buffer
				require.NoError(t, f.WriteText(&text))
				for _, line := range strings.Split(text.String(), "\n") {
					require.LessOrEqual(t, len(line), 160, name)
				}
			}
		}
	}
}

func TestStartingPlanIsPrivateUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begun := choir(t, dir, "plan", "init")
	require.Equal(t, 0, begun.code)
	writeCommittee(t, filepath.Join(dir, "committee.yaml"), 5)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plan.yaml"), []byte(begun.out), 0o600))
	o := choir(t, dir, "plan", "check", "plan.yaml")
	require.Equal(t, 0, o.code, o.errOut)
	for _, part := range []string{"distributed", "zero-out", "each of 5000 clients with probability 0.04", "epsilon at delta 1e-05, after 50 rounds", "without amplification"} {
		require.Contains(t, o.out, part)
	}
	explained := choir(t, dir, "plan", "explain", "plan.yaml")
	require.Equal(t, 0, explained.code, explained.errOut)
	require.Contains(t, explained.out, "What is promised.")
}
