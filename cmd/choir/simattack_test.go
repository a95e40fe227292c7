package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/sim"
)

// attackedRun is a short run over single vectors, with three of twelve clients Byzantine.
func attackedRun(t *testing.T, dir string, args ...string) sim.Result {
	t.Helper()
	return simulated(t, dir, append([]string{"--scheme", "plain", "--view", "vectors", "--clients", "12", "--cohort", "12", "--byzantine", "0.25"}, args...)...)
}

func TestRuleThatIsAskedForWithstandsAnAttackThatTheMeanDoesNot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mean := attackedRun(t, dir, "--attack", "sign-flip:scale=10")
	require.Equal(t, "sign-flip:scale=10", *mean.Config.Attack)
	require.Equal(t, 0.25, mean.Config.Byzantine)
	require.Equal(t, "mean", mean.Config.Rule)
	require.Equal(t, 3, mean.Rounds[0].Attackers)
	require.Nil(t, mean.Final.AttackSuccess)
	robust := attackedRun(t, dir, "--attack", "sign-flip:scale=10", "--rule", "trimmed-mean", "--f", "3", "--pre", "nnm")
	require.Equal(t, "trimmed-mean", robust.Config.Rule)
	require.Greater(t, *robust.Final.TestAccuracy, *mean.Final.TestAccuracy+0.2)
}

func TestSuccessOfABackdoorIsReported(t *testing.T) {
	t.Parallel()
	res := attackedRun(t, t.TempDir(), "--attack", "backdoor:target=3,rate=0.5", "--report", "r")
	require.NotNil(t, res.Final.AttackSuccess)
	require.NotNil(t, res.Rounds[0].AttackSuccess)
	require.Equal(t, "backdoor:target=3,rate=0.5", *res.Config.Attack)
	var b strings.Builder
	writeAttack(&b, res)
	require.Contains(t, b.String(), "attack success\t0.")
	require.Contains(t, b.String(), "25 % of the clients, against rule mean")
	require.Contains(t, b.String(), "bad vectors, by alerts\t")
	require.NotNil(t, res.Detection)
	require.NotContains(t, b.String(), "too little")
	res.Rounds[1].Idle = 3
	b.Reset()
	writeAttack(&b, res)
	require.Contains(t, b.String(), "in 1 of 2 attempts")
}

// defended is a plan after the flags about attacks and rules.
func defended(t *testing.T, lit plan.Literal, args ...string) (plan.Literal, error) {
	t.Helper()
	var f simFlags
	cmd := newSimCommand()
	require.NoError(t, cmd.ParseFlags(args))
	var err error
	f.attack.spec, _ = cmd.Flags().GetString("attack")
	f.attack.byzantine, _ = cmd.Flags().GetFloat64("byzantine")
	f.attack.rule, _ = cmd.Flags().GetString("rule")
	f.attack.f, _ = cmd.Flags().GetInt("f")
	f.attack.pre, _ = cmd.Flags().GetStringSlice("pre")
	f.attack.parameters, err = cmd.Flags().GetStringArray("param")
	require.NoError(t, err)
	err = f.attack.override(cmd.Flags().Changed, &lit)
	return lit, err
}

func TestFlagsOfTheRuleOverrideThePlan(t *testing.T) {
	lit := plan.Literal{Aggregation: plan.Aggregation{Rule: "krum", F: 2, Pre: []string{"nnm"}, Parameters: map[string]string{"neighbours": "byzfl"}, Compat: "byzfl"}}
	for name, c := range map[string]struct {
		args []string
		want plan.Aggregation
	}{
		"none":          {nil, lit.Aggregation},
		"the same rule": {[]string{"--rule", "krum"}, lit.Aggregation},
		"another rule":  {[]string{"--rule", "trimmed-mean", "--f", "3"}, plan.Aggregation{Rule: "trimmed-mean", F: 3}},
		"a parameter": {[]string{"--param", "neighbours=original", "--pre", "clip:2,arc"},
			plan.Aggregation{Rule: "krum", F: 2, Pre: []string{"clip:2", "arc"}, Parameters: map[string]string{"neighbours": "original"}, Compat: "byzfl"}},
	} {
		got, err := defended(t, lit, c.args...)
		require.NoError(t, err, name)
		require.Equal(t, c.want, got.Aggregation, name)
	}
	require.Equal(t, "byzfl", lit.Aggregation.Parameters["neighbours"], "the plan that was given is not changed")
}

func TestAttacksThatMakeNoSenseAreRefused(t *testing.T) {
	for says, args := range map[string][]string{
		"[0,0.5)":                  {"--attack", "zero", "--byzantine", "0.5"},
		"NaN is not in":            {"--attack", "zero", "--byzantine", "NaN"},
		"-0.1 is not in":           {"--attack", "zero", "--byzantine=-0.1"},
		"nobody attacks":           {"--attack", "zero"},
		"add --attack":             {"--byzantine", "0.1"},
		"with --audit":             {"--attack", "zero", "--byzantine", "0.1", "--audit", "20"},
		`attack "hope" is none of`: {"--attack", "hope", "--byzantine", "0.1"},
		`has no parameter "z"`:     {"--attack", "ipm:z=1", "--byzantine", "0.1"},
		"--f -1 is negative":       {"--f", "-1"},
		`--param "nu"`:             {"--param", "nu"},
		`--param "=1"`:             {"--param", "=1"},
	} {
		_, err := defended(t, plan.Literal{}, args...)
		require.ErrorIs(t, err, errUsage, says)
		require.ErrorContains(t, err, says)
	}
}

func TestAttacksAndRulesAreCompleted(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string][]string{"--attack": {"alie:", "zero", "bucket-steering:"}, "--rule": {"trimmed-mean", "krum"}, "--pre": {"nnm"}} {
		o := choir(t, t.TempDir(), "__complete", "sim", flag, "")
		require.Equal(t, 0, o.code)
		for _, w := range want {
			require.Contains(t, o.out, w)
		}
	}
}

func TestWeighedUpdatesAreSimulatedInPasses(t *testing.T) {
	t.Parallel()
	res := simulated(t, t.TempDir(), "--dp", "none", "--fidelity", "fast", "--clients", "20", "--cohort", "20", "--rounds", "4", "--rule", "rfa", "--param", "passes=2", "--param", "nu=0.2")
	require.Equal(t, "rfa", res.Config.Rule)
	for i, r := range res.Rounds {
		require.Equal(t, i%2+1, r.Pass)
	}
	require.Equal(t, *res.Rounds[1].TestAccuracy, *res.Rounds[2].TestAccuracy)
	require.NotEqual(t, *res.Rounds[0].TestAccuracy, *res.Rounds[1].TestAccuracy)
}
