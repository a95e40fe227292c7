package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/coordinator/store/file"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg"
)

// runLedger runs choir ledger and returns its exit code, what it printed, and the line of
// its error.
func runLedger(args ...string) (code int, out, line string) {
	cmd := newLedgerCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var printed bytes.Buffer
	cmd.SetOut(&printed)
	cmd.SetErr(&printed)
	cmd.SetArgs(args)
	if err := cmd.Execute(); err != nil {
		return exitCode(err), printed.String(), strings.Join(lines(err), "\n")
	}
	return exitDone, printed.String(), ""
}

func ledgerOf(population string) ledger.Genesis {
	return ledger.Genesis{Population: population, Unit: dp.UnitClient, Relation: dp.ZeroOut, Clients: 3000, Delta: 1e-5, Slack: 1e-6,
		Releases: ledger.Budget{Epsilon: 8, Order: 8}}
}

// ledgerStore makes a store with the ledger of a population, in which one attempt was
// released, one is open and one void.
func ledgerStore(t *testing.T, dir, population string) *store.Store {
	t.Helper()
	s, err := file.Open(dir, 0)
	require.NoError(t, err)
	b, err := ledger.Open(s.Journal, ledger.Segment(population), ledgerOf(population))
	require.NoError(t, err)
	spec := dp.Spec{Mechanism: dp.DiscreteGaussian, Relation: dp.ZeroOut, Sampling: dp.Sampling{Mode: dp.SamplingNone}, Variance: big.NewRat(64e6+1, 3), Clip: 1000, Dimension: 100, Count: 1}
	rosters, err := dp.NewEvent(spec)
	require.NoError(t, err)
	spec.Sampling = dp.Sampling{Mode: dp.SamplingPoisson, Rate: 0.04}
	released, err := dp.NewEvent(spec)
	require.NoError(t, err)
	c := ledger.Charge{Released: released, Rosters: rosters, Participations: 6, Delta: 1e-9}
	for round, job := range []string{"digits", "digits", "letters"} {
		id := secagg.RoundID{Job: job, Round: uint32(round + 1), Attempt: 1}
		require.NoError(t, b.Reserve(id, secagg.Hash("plan"), c))
		switch round {
		case 0:
			require.NoError(t, b.Commit(id, c, secagg.Hash("model")))
		case 1:
			require.NoError(t, b.Void(id))
		}
	}
	return s
}

func TestLedgerShowPrintsBudgetAndEachAttemptWhileTheStoreIsInUse(t *testing.T) {
	dir := t.TempDir()
	s := ledgerStore(t, dir, "fleet")
	defer s.Close()
	code, out, line := runLedger("show", dir)
	require.Zero(t, code, line)
	for _, want := range []string{"fleet: 3000 clients, zero-out, unit client, delta 1e-05 of which 1e-06 is slack", "sees releases", " of 8; ", "left at order 8", "no budget",
		"job digits: 2 attempts", "job letters: 1 attempts", "digits/1/1  committed", "digits/2/1  voided", "letters/3/1  reserved", "dgauss, noise multiplier 4.619, sampling poisson at 0.04", "head 7:"} {
		require.Contains(t, out, want)
	}

	code, out, line = runLedger("show", dir, "--json")
	require.Zero(t, code, line)
	var doc map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &doc))
	require.Equal(t, "choir.ledger/1", doc["schema"])
	require.Equal(t, "fleet", doc["population"])
	require.Equal(t, 7.0, doc["records"])
	observers := doc["observers"].([]any)
	releases, coordinator := observers[0].(map[string]any), observers[1].(map[string]any)
	require.Equal(t, []any{"releases", 8.0, 8.0}, []any{releases["observer"], releases["budget"], releases["order"]})
	require.Positive(t, releases["epsilon"])
	require.Less(t, releases["left"], 1.0)
	require.Equal(t, []any{"coordinator", nil, nil, nil}, []any{coordinator["observer"], coordinator["budget"], coordinator["order"], coordinator["left"]})
	require.Greater(t, coordinator["epsilon"], releases["epsilon"], "nothing amplifies for those who see rosters")
	entries := doc["entries"].([]any)
	require.Len(t, entries, 3)
	first := entries[0].(map[string]any)
	require.Equal(t, []any{"committed", secagg.Hash("model").String()}, []any{first["state"], first["released"]})
	require.Equal(t, "64000001/3", first["event_released"].(map[string]any)["variance"])
	require.Nil(t, entries[1].(map[string]any)["released"])
	require.Len(t, doc["jobs"], 2)
}

// TestLedgerShowStatesNoEpsilonOfWhichItKnowsTooLittle charges a fixture's ledger until its
// bound passes what is stated.
func TestLedgerShowStatesNoEpsilonOfWhichItKnowsTooLittle(t *testing.T) {
	s := ledgerStore(t, t.TempDir(), "fleet")
	defer s.Close()
	b, err := ledger.Open(s.Journal, ledger.Segment("fleet"), ledgerOf("fleet"))
	require.NoError(t, err)
	c := b.Entries()[0].Charge
	c.Participations = 0
	for round := uint32(1); ; round++ {
		bound, ok := b.Spent(dp.ObserverCoordinator)
		require.True(t, ok)
		shown := showLedger(b).Observers[1].Epsilon
		require.Equal(t, bound <= maxStated, shown != nil)
		if bound > 2*maxStated {
			break
		}
		require.NoError(t, b.Reserve(secagg.RoundID{Job: "more", Round: round, Attempt: 1}, secagg.Hash("plan"), c))
	}
	job := showLedger(b).Jobs[2]
	require.Nil(t, job.Coordinator)
	require.NotNil(t, job.Released)
	var text bytes.Buffer
	require.NoError(t, showLedger(b).writeText(&text))
	require.Contains(t, text.String(), "sees rosters   epsilon unknown")
	require.Contains(t, text.String(), "unknown: no finite bound, or above 16")
}

func TestLedgerVerifyPrintsOneLineWithTheHead(t *testing.T) {
	dir := t.TempDir()
	s := ledgerStore(t, dir, "fleet")
	defer s.Close()
	b, err := ledger.Load(s.Journal, ledger.Segment("fleet"))
	require.NoError(t, err)
	count, digest := b.Head()
	code, out, line := runLedger("verify", dir)
	require.Zero(t, code, line)
	require.Equal(t, fmt.Sprintf("fleet: sound, head %d:%s\n", count, digest), out)

	code, _, line = runLedger("verify", dir, "--head", fmt.Sprintf("%d:%s", count, digest))
	require.Zero(t, code, line)
	for _, seen := range []string{fmt.Sprintf("%d:%s", count+1, digest), fmt.Sprintf("%d:%s", count-1, digest)} {
		code, out, line = runLedger("verify", dir, "--head", seen)
		require.Equal(t, exitRefused, code)
		require.Empty(t, out)
		require.Contains(t, line, "older")
	}
	for _, wrong := range []string{"7", "x:" + digest.String(), "7:abcd", "0:" + digest.String(), ":"} {
		code, _, line = runLedger("verify", dir, "--head", wrong)
		require.Equal(t, exitUsage, code)
		require.Contains(t, line, "--head")
	}
}

// copyLedger writes the records of a ledger into a new store, as change leaves them.
func copyLedger(t *testing.T, from *store.Store, change func(i int, record []byte) []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	s, err := file.Open(dir, 0)
	require.NoError(t, err)
	defer s.Close()
	i := 0
	require.NoError(t, from.Journal.Read(ledger.Segment("fleet"), func(r []byte) error {
		r = change(i, bytes.Clone(r))
		i++
		return s.Journal.Append(ledger.Segment("fleet"), r)
	}))
	return dir
}

func TestLedgerVerifyNamesTheFirstBadRecord(t *testing.T) {
	s := ledgerStore(t, t.TempDir(), "fleet")
	defer s.Close()
	for bad := range 6 { // of 7: the last one is held by the head that somebody saw
		dir := copyLedger(t, s, func(i int, r []byte) []byte {
			if i == bad {
				r[len(r)-1] ^= 1
			}
			return r
		})
		for _, command := range []string{"verify", "show"} {
			code, out, line := runLedger(command, dir)
			require.Equal(t, exitFailed, code, "record %d: %s", bad+1, line)
			require.Empty(t, out)
			require.Regexp(t, fmt.Sprintf(`record (%d|%d): `, bad+1, bad+2), line)
		}
	}
	dir := copyLedger(t, s, func(_ int, r []byte) []byte { return r })
	path := filepath.Join(dir, "journal", "ledger+fleet.log")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	text[len(text)/2] ^= 1
	require.NoError(t, os.WriteFile(path, text, 0o600))
	code, _, line := runLedger("verify", dir)
	require.Equal(t, exitFailed, code)
	require.Contains(t, line, "record ")
	require.Contains(t, line, "corrupt")
}

func TestLedgerCommandsRefuse(t *testing.T) {
	dir := t.TempDir()
	two := filepath.Join(dir, "two")
	require.NoError(t, errors.Join(ledgerStore(t, two, "fleet").Close(), ledgerStore(t, two, "other").Close()))
	empty := filepath.Join(dir, "empty")
	s, err := file.Open(empty, 0)
	require.NoError(t, err)
	require.NoError(t, s.Journal.Append("round/1/1", []byte("x")))
	require.NoError(t, s.Close())
	for _, command := range []string{"show", "verify"} {
		for name, test := range map[string]struct {
			args []string
			code int
			says string
		}{
			"no directory":            {nil, exitUsage, "arguments"},
			"a directory that is not": {[]string{filepath.Join(dir, "none")}, exitUsage, "none"},
			"a directory of others":   {[]string{dir}, exitUsage, dir},
			"a store without ledgers": {[]string{empty}, exitFailed, empty},
			"one of two":              {[]string{two}, exitUsage, "fleet, other"},
			"an unknown population":   {[]string{two, "--population", "nobody"}, exitFailed, "nobody"},
		} {
			code, out, line := runLedger(append([]string{command}, test.args...)...)
			require.Equal(t, test.code, code, "%s %s: %s", command, name, line)
			require.Contains(t, line, test.says)
			require.Empty(t, out)
		}
		code, out, line := runLedger(command, two, "--population", "other")
		require.Zero(t, code, line)
		require.Contains(t, out, "other: ")
	}
}
