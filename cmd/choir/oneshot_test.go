package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/sim"
)

// writeCommittee writes a committee file of so many members.
func writeCommittee(t *testing.T, path string, members int) {
	t.Helper()
	file := committeeFile{Schema: committeeSchema, Name: "organisations"}
	for j := range members {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(j)}, ed25519.SeedSize))
		file.Members = append(file.Members, encodeMember(secagg.Join(key, file.Name, secagg.PartyID(fmt.Sprintf("hospital-%02d", j)))))
	}
	require.NoError(t, file.write(path))
}

// simulated runs a short simulation without noise and returns its document.
func simulated(t *testing.T, dir string, args ...string) sim.Result {
	t.Helper()
	o := choir(t, dir, append([]string{"sim", "--dp", "none", "--rounds", "2", "--model", "softmax", "--json"}, args...)...)
	require.Equal(t, 0, o.code, o.errOut)
	var res sim.Result
	require.NoError(t, json.Unmarshal([]byte(o.out), &res))
	return res
}

func TestEverySchemeTrainsTheSameModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, flags := range map[string][]string{
		"sum":          {},
		"bucket_means": {"--clients", "50", "--cohort", "40", "--view", "bucket_means", "--bucket", "40:24"},
	} {
		want := simulated(t, dir, append(flags, "--scheme", "plain")...)
		require.Equal(t, plain.Name, want.Config.Scheme)
		for _, scheme := range []string{oneshot.Name, pairwise.Name} {
			got := simulated(t, dir, append(flags, "--scheme", scheme)...)
			require.Equal(t, scheme, got.Config.Scheme)
			require.Equal(t, want.Final.ModelDigest, got.Final.ModelDigest, "%s, %s", name, scheme)
		}
	}
}

func TestSimulationDividesTheCohortAndSaysWhatWasLeftOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flags := []string{"--cohort", "40", "--committee", "7", "--view", "bucket_means", "--bucket", "8:6", "--dropout", "0.3"}
	res := simulated(t, dir, flags...)
	short := 0
	for _, r := range res.Rounds {
		require.Equal(t, 5, r.Buckets)
		short += r.Short
	}
	require.Positive(t, short)
	o := choir(t, dir, append([]string{"sim", "--dp", "none", "--rounds", "2", "--model", "softmax", "--report", "r"}, flags...)...)
	require.Equal(t, 0, o.code, o.errOut)
	require.Regexp(t, `round +invited +survivors +buckets`, o.out)
	require.Contains(t, o.out, "5, ")
	require.Contains(t, o.out, " short ")
	page, err := os.ReadFile(filepath.Join(dir, "r", "report.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "<h2>Buckets</h2>")
	require.Contains(t, string(page), "2 of the 7 members", "as many may be corrupt as seven allow")
	require.Contains(t, string(page), "<td>7, 2, 5</td>", "members, corrupt ones, quorum")
	require.Contains(t, string(page), "<td>5 of 8 clients, opened with 6 or more</td>")
}

func TestSimulationLeavesNothingOfAnotherScheme(t *testing.T) {
	lit := plan.DemonstrationWithoutNoise()
	lit.Scheme.CommitteeFile = "committee.yaml"
	cmd := newSimCommand()
	require.NoError(t, cmd.ParseFlags([]string{"--scheme", "plain"}))
	f := simFlags{scheme: "plain", clients: 100, fidelity: "full"}
	require.NoError(t, f.override(cmd, &lit))
	require.Equal(t, plan.Scheme{Name: "plain", Corrupt: lit.Scheme.Corrupt, Dropout: lit.Scheme.Dropout}, lit.Scheme)
	require.Empty(t, lit.Aggregation.Fallback)
	require.Zero(t, lit.Aggregation.Buckets)

	lit = plan.DemonstrationWithoutNoise()
	f.scheme = "oneshot"
	require.NoError(t, cmd.ParseFlags([]string{"--scheme", "oneshot"}))
	require.NoError(t, f.override(cmd, &lit))
	require.Equal(t, plan.DemonstrationWithoutNoise(), lit, "the plan's own scheme changes nothing")
}

func TestSimulationTakesAScratchDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "scratch"), 0o700))
	res := simulated(t, dir, "--scratch", "scratch")
	require.NotEmpty(t, files(t, filepath.Join(dir, "scratch")))
	require.Equal(t, simulated(t, dir).Final.ModelDigest, res.Final.ModelDigest)
	o := choir(t, dir, "sim", "--scratch", "scratch")
	require.Equal(t, 2, o.code)
	require.Contains(t, o.errOut, "not empty")
}

// committeePlan writes a plan under a committee of so many members and its committee
// file, which is in a directory of its own.
func committeePlan(t *testing.T, dir string, members int) (path string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "plans"), 0o700))
	var text bytes.Buffer
	require.NoError(t, writeStartingPlan(&text, startingKind{scheme: oneshot.Name, mode: "none", cohort: startingCohort}))
	require.Contains(t, text.String(), "committee_file: committee.yaml")
	path = filepath.Join(dir, "plans", "plan.yaml")
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(text.String(), "committee_file: committee.yaml", "committee_file: ../who/organisations.yaml", 1)), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "who"), 0o700))
	writeCommittee(t, filepath.Join(dir, "who", "organisations.yaml"), members)
	return path
}

func TestCommitteeFileIsReadFromBesideThePlan(t *testing.T) {
	dir := t.TempDir()
	path := committeePlan(t, dir, 7)
	committee, err := LoadCommittee(filepath.Join(dir, "who", "organisations.yaml"))
	require.NoError(t, err)
	p, findings, err := examinePlan(path)
	require.NoError(t, err)
	require.Equal(t, committee.Root(), p.Terms().Committee.Root())
	require.Equal(t, committee.Root().String(), findings.Oneshot.Root)

	run, err := prepareRun(path, "", 1, false)
	require.NoError(t, err)
	require.NotContains(t, string(run.Plan), "committee_file", "the coordinator has no such file")
	sent, err := plan.Parse("plan.yaml", bytes.NewReader(run.Plan))
	require.NoError(t, err)
	taken, err := sent.Check(serverSchemes()...)
	require.NoError(t, err)
	require.Equal(t, p.Digest(), taken.Digest(), "what is sent is what was checked")

	o := choir(t, dir, "sim", "plans/plan.yaml", "--rounds", "1", "--model", "softmax", "--report", "r")
	require.Equal(t, 0, o.code, o.errOut)
	page, err := os.ReadFile(filepath.Join(dir, "r", "report.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "2 of the 7 members of committee virtual", "as many as the plan's")
}

func TestDeviceOpensSumsToTheCommitteesItPins(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "client.yaml")
	writeCommittee(t, filepath.Join(dir, "a.yaml"), 4)
	writeCommittee(t, filepath.Join(dir, "b.yaml"), 5)
	a, err := LoadCommittee(filepath.Join(dir, "a.yaml"))
	require.NoError(t, err)
	b, err := LoadCommittee(filepath.Join(dir, "b.yaml"))
	require.NoError(t, err)
	roots, err := consentConfig{Committees: []string{"a.yaml", b.Root().String()}}.pinned(path)
	require.NoError(t, err)
	require.Equal(t, []secagg.Digest{a.Root(), b.Root()}, roots)
	roots, err = consentConfig{}.pinned(path)
	require.NoError(t, err)
	require.Empty(t, roots, "nobody is pinned that was not named")
	for _, pin := range []string{"", "c.yaml", b.Root().String()[:62], b.Root().String() + "00", "client.yaml"} {
		_, err := consentConfig{Committees: []string{pin}}.pinned(path)
		require.ErrorIs(t, err, errConfig, pin)
		require.Equal(t, exitUsage, exitCode(err))
		require.ErrorContains(t, err, "consent.committees")
		require.Len(t, lines(err), 1)
	}
	var names []string
	for _, s := range (consentConfig{}).accepted() {
		names = append(names, s.Name())
	}
	require.Equal(t, []string{oneshot.Name, pairwise.Name}, names, "and never a scheme that protects nothing")
	require.Len(t, consentConfig{Schemes: []string{plain.Name}}.accepted(), 1)
}

func TestBenchMarksWhatWasComputed(t *testing.T) {
	t.Parallel()
	o := choir(t, t.TempDir(), "bench", "--filter", "^pairwise/client$|^oneshot/encrypt$|^limit/aesctr$", "--d", "1024")
	require.Equal(t, 0, o.code, o.errOut)
	require.Regexp(t, `pairwise/client .* computed`, o.out)
	require.Regexp(t, `oneshot/encrypt .* x aesctr`, o.out)
}

func TestPlanNamesItsCommitteeOnce(t *testing.T) {
	path := committeePlan(t, t.TempDir(), 5)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	both := bytes.Replace(text, []byte("  committee_file:"), []byte("  committee: {name: others, members: []}\n  committee_file:"), 1)
	require.NoError(t, os.WriteFile(path, both, 0o600))
	_, _, err = examinePlan(path)
	require.ErrorIs(t, err, plan.ErrContradiction)
	require.ErrorContains(t, err, "one of them")
}

func TestScratchDirectoryMustBeThereAndEmpty(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, simFlags{}.checkScratch())
	require.NoError(t, simFlags{scratch: dir}.checkScratch())
	require.ErrorIs(t, simFlags{scratch: filepath.Join(dir, "none")}.checkScratch(), errUsage)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "store"), nil, 0o600))
	require.ErrorIs(t, simFlags{scratch: dir}.checkScratch(), errUsage)
}

func TestExamplePlansAreAccepted(t *testing.T) {
	examples := filepath.Join("..", "..", "examples", "plans")
	for _, name := range files(t, examples) {
		dir := t.TempDir()
		text, err := os.ReadFile(filepath.Join(examples, name))
		require.NoError(t, err)
		if !bytes.Contains(text, []byte("committee_file:")) { // for choir sim, which brings one
			text = bytes.Replace(text, []byte("{name: oneshot,"), []byte("{name: oneshot, committee_file: committee.yaml,"), 1)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
		writeCommittee(t, filepath.Join(dir, "committee.yaml"), 5)
		_, findings, err := examinePlan(filepath.Join(dir, name))
		require.NoError(t, err, name)
		require.Less(t, findings.Failure[0].Round, 0.01, name)
	}
}
