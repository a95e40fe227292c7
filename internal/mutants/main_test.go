package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The fixture is a module of its own with one patch for each thing that can happen.
func TestEachPatchOfTheFixtureGetsItsVerdict(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("testdata", "fixture"))
	require.NoError(t, err)
	before := readTree(t, root)

	mutants, err := loadMutants(filepath.Join(root, "testdata", "mutants"), nil)
	require.NoError(t, err)
	r := runner{root: root, scratch: t.TempDir(), timeout: "5s", env: os.Environ()}
	var report bytes.Buffer
	results := r.all(context.Background(), mutants, &report)

	want := map[string]struct{ verdict, detail string }{
		"killed":            {killed, "TestHalf"},
		"killed-by-subtest": {killed, "TestHalf"},
		"killed-by-crash":   {killed, "TestFirstInAnotherGoroutine"},
		"killed-by-hang":    {killed, "TestSteps"},
		"survives":          {survived, "still passes without the guard: the refusal of a negative number"},
		"does-not-build":    {faulty, "the patched code does not build"},
		"names-no-test":     {faulty, "no test TestThatIsNotThere passes in ./guarded without the patch"},
		"fails-unpatched":   {faulty, "TestAlwaysFails fails without the patch"},
		"no-such-package":   {faulty, "./absent does not build without the patch"},
		"stale":             {faulty, "the patch no longer applies"},
	}
	require.Len(t, results, len(want))
	for _, o := range results {
		w, ok := want[o.mutant.name]
		require.True(t, ok, "%s is not expected", o.mutant.name)
		require.Equal(t, w.verdict, o.verdict, "%s: %s", o.mutant.name, o.detail)
		require.Contains(t, o.detail, w.detail, o.mutant.name)
		require.Contains(t, report.String(), o.mutant.name)
	}
	require.Equal(t, before, readTree(t, root), "the working tree must not be touched")
}

func TestOnlyKilledMutantsAreSuccess(t *testing.T) {
	t.Setenv("MUTANTS_PART", "") // which CI sets for its own run
	root := filepath.Join("testdata", "fixture")
	for _, c := range []struct {
		name, word string
		ok         bool
		says       string
	}{
		{"all killed", "killed-by-subtest", true, "1 mutants: 1 killed, 0 survived, 0 in error"},
		{"one survives", "survives", false, "1 mutants: 0 killed, 1 survived, 0 in error"},
		{"one is stale", "stale", false, "1 mutants: 0 killed, 0 survived, 1 in error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var report bytes.Buffer
			ok, err := checkAll(context.Background(), &report, root, []string{c.word})
			require.NoError(t, err)
			require.Equal(t, c.ok, ok, report.String())
			require.Contains(t, report.String(), c.says)
		})
	}
	t.Run("a word that selects nothing", func(t *testing.T) {
		_, err := checkAll(context.Background(), &bytes.Buffer{}, root, []string{"absent"})
		require.ErrorContains(t, err, "absent")
	})
}

func TestNoPatchesAtAllIsReportedAsNotRun(t *testing.T) {
	t.Setenv("MUTANTS_PART", "")
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.mod"), []byte("module x\n"), 0o600))
	var report bytes.Buffer
	ok, err := checkAll(context.Background(), &report, root, nil)
	require.NoError(t, err)
	require.True(t, ok)
	require.Contains(t, report.String(), "NOT RUN: ")
}

func TestPatchWithoutAProperHeaderIsRefused(t *testing.T) {
	const header = "# package: ./secagg\n# test: TestX\n# guard: a check\n"
	const diff = "--- a/secagg/x.go\n+++ b/secagg/x.go\n@@ -1 +1 @@\n-a\n+b\n"
	for _, c := range []struct{ name, text, says string }{
		{"no package", "# test: TestX\n# guard: a check\n" + diff, `needs "# package: `},
		{"package not relative", "# package: secagg\n# test: TestX\n# guard: a check\n" + diff, `needs "# package: `},
		{"no test", "# package: ./secagg\n# guard: a check\n" + diff, `needs "# test: `},
		{"not a test", "# package: ./secagg\n# test: FuzzX\n# guard: a check\n" + diff, `needs "# test: `},
		{"bad pattern", "# package: ./secagg\n# test: Test(\n# guard: a check\n" + diff, "test: "},
		{"no guard", "# package: ./secagg\n# test: TestX\n" + diff, `needs "# guard: `},
		{"header after the diff", diff + header, `needs "# package: `},
		{"no diff", header, "no unified diff"},
		{"edits a test", header + "--- a/secagg/x_test.go\n+++ b/secagg/x_test.go\n", "does not edit tests"},
		{"edits something else", header + "--- a/go.mod\n+++ b/go.mod\n", "not a Go file of the product"},
		{"leaves the tree", header + "--- a/../x.go\n+++ b/../x.go\n", "not a Go file of the product"},
		{"adds a file", header + "--- /dev/null\n+++ b/secagg/y.go\n", "only change files that exist"},
		{"removes a file", header + "--- a/secagg/x.go\n+++ /dev/null\n", "only change files that exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.patch"), []byte(c.text), 0o600))
			mutants, err := loadMutants(dir, nil)
			require.ErrorContains(t, err, "bad.patch: ")
			require.ErrorContains(t, err, c.says)
			require.Empty(t, mutants)
		})
	}
}

func TestPatternSelectsWholeNamesAndTheirSubtests(t *testing.T) {
	for _, c := range []struct {
		pattern, test string
		matches       bool
	}{
		{"TestX", "TestX", true},
		{"TestX", "TestX/sub", true},
		{"TestX", "TestXY", false},
		{"TestX/sub", "TestX", false},
		{"TestX/sub", "TestX/sub", true},
		{"TestX/sub", "TestX/sub/deeper", true},
		{"TestX/sub", "TestX/subs", false},
		{"Test(X|Y)", "TestY", true},
		{"Test.*/sub", "TestAnything/sub", true},
	} {
		p, err := compilePattern(c.pattern)
		require.NoError(t, err)
		require.Equal(t, c.matches, p.matches(c.test), "%s against %s", c.pattern, c.test)
	}
	require.Equal(t, "^(?:TestX)$/^(?:sub)$", runFlag("TestX/sub"))
}

// readTree returns the content of each file under root by its path.
func readTree(t *testing.T, root string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	})
	require.NoError(t, err)
	return files
}
